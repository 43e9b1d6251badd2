//! The paths that a Rust source names, with their lines.
//!
//! Not a parser: comments and literals are blanked out, and every `a::b::{c, d::e}` in what is left
//! is spelt out. That is enough to see who reaches for what.

/// A path as a source spells it, `{}` groups taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The line of its last segment, from 1.
    pub(super) line: usize,
    /// `["crate", "image", "Digest"]`; a macro's name ends in `!`.
    pub(super) segments: Vec<String>,
}

/// Returns the paths in `source`; a name on its own is a path of one segment.
pub(super) fn paths(source: &str) -> Vec<Path> {
    let tokens = tokens(&blank(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = if tokens[at].1.is_name() { path(&tokens, at, &[], &mut found) } else { at + 1 };
    }
    found
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Separator,
    Other(char),
}

impl Token {
    fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

/// Reads the path that starts at `at` and goes on from `prefix`; returns where it ends.
fn path(
    tokens: &[(usize, Token)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Path>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut line = tokens.get(at).map_or(0, |token| token.0);
    loop {
        match tokens.get(at) {
            Some((here, Token::Name(name))) => {
                line = *here;
                segments.push(name.clone());
                at += 1;
            }
            Some((_, Token::Other('{'))) if !prefix.is_empty() || !segments.is_empty() => {
                return group(tokens, at + 1, &segments, found);
            }
            Some((_, Token::Other('*'))) => at += 1,
            _ => break,
        }
        match tokens.get(at) {
            Some((_, Token::Separator)) => at += 1,
            Some((_, Token::Other('!'))) => {
                if let Some(last) = segments.last_mut() {
                    last.push('!');
                }
                break;
            }
            _ => break,
        }
    }
    found.push(Path { line, segments });
    at
}

/// Reads `a, b::c}`, what stands in braces behind `prefix::`.
fn group(
    tokens: &[(usize, Token)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Path>,
) -> usize {
    while let Some((_, token)) = tokens.get(at) {
        match token {
            Token::Other('}') => return at + 1,
            Token::Name(_) | Token::Other('{') => at = path(tokens, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' => line += 1,
            ':' if rest.peek() == Some(&':') => {
                rest.next();
                found.push((line, Token::Separator));
            }
            _ if is_name(character) => {
                let mut name = String::from(character);
                while let Some(next) = rest.next_if(|next| is_name(*next)) {
                    name.push(next);
                }
                found.push((line, Token::Name(name)));
            }
            _ if character.is_whitespace() => {}
            _ => found.push((line, Token::Other(character))),
        }
    }
    found
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns `source` with comments, strings and characters turned into blanks, line by line the same.
fn blank(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let skipped = literal(rest, before);
        let taken = if skipped == 0 { first.len_utf8() } else { skipped };
        let (text, after) = rest.split_at(taken);
        match skipped {
            0 => code.push_str(text),
            _ => code.extend(text.chars().map(|it| if it == '\n' { '\n' } else { ' ' })),
        }
        before = text.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    code
}

/// Returns the length of the comment or literal that `rest` starts with, 0 if it starts with code.
fn literal(rest: &str, before: char) -> usize {
    let ends = |at: Option<usize>, length: usize| at.map_or(rest.len(), |at| at + length);
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return ends(rest.find("*/"), 2);
    }
    if rest.starts_with('"') {
        return escaped(rest, '"');
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !is_name(before)) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let from = 2 + hashes;
            return ends(rest[from..].find(&close).map(|at| at + from), close.len());
        }
    }
    // 'a' and '\n' are characters, 'a in `&'a str` is a lifetime.
    let mut characters = rest.chars();
    match (characters.next(), characters.next(), characters.next()) {
        (Some('\''), Some('\\'), _) => escaped(rest, '\''),
        (Some('\''), Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 0,
    }
}

/// Returns the length of the literal that `rest` starts with and that an unescaped `quote` ends.
fn escaped(rest: &str, quote: char) -> usize {
    let mut escape = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escape => escape = false,
            '\\' => escape = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
