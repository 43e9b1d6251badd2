//! Text to the parts of a template.

use super::{Argument, Call, Node, Path, TemplateError};

/// Templates are lines; a block in a block in a block is more than enough.
const MOST_DEPTH: usize = 16;

/// Returns the parts of `text`.
pub(super) fn nodes(text: &str) -> Result<Vec<Node>, TemplateError> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.into_iter().peekable();
    let nodes = block(&mut tokens, 0)?;
    if tokens.next().is_some() { Err(TemplateError::Block) } else { Ok(nodes) }
}

enum Token {
    Text(String),
    /// What stands between the braces, and whether its value is escaped.
    Tag {
        inner: String,
        is_escaped: bool,
    },
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

/// Returns text and tags in turn; comments are dropped, and space that `~` takes away.
fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut pending = String::new();
    let mut rest = text;
    let mut trims = false;
    while let Some(at) = rest.find("{{") {
        let before = &rest[..at];
        let before = if trims { before.trim_start() } else { before };
        trims = false;
        let escapes = before.len() - before.trim_end_matches('\\').len();
        if escapes == 1 {
            // `\{{` is text, up to the next tag.
            pending.push_str(&before[..before.len() - 1]);
            pending.push_str("{{");
            rest = &rest[at + 2..];
            continue;
        }
        pending.push_str(if escapes == 0 { before } else { &before[..before.len() - 1] });
        let (tag, after) = Tag::cut(&rest[at..])?;
        if tag.trims_before {
            pending.truncate(pending.trim_end().len());
        }
        if let Some(token) = tag.token {
            tokens.push(Token::Text(std::mem::take(&mut pending)));
            tokens.push(token);
        }
        trims = tag.trims_after;
        rest = after;
    }
    pending.push_str(if trims { rest.trim_start() } else { rest });
    tokens.push(Token::Text(pending));
    Ok(tokens)
}

struct Tag {
    /// `None` for a comment.
    token: Option<Token>,
    trims_before: bool,
    trims_after: bool,
}

impl Tag {
    /// Returns the tag that `text` begins with, and what is behind it.
    fn cut(text: &str) -> Result<(Self, &str), TemplateError> {
        let inner = text.strip_prefix("{{").ok_or(TemplateError::Open)?;
        let trims_before = inner.starts_with('~');
        let inner = inner.strip_prefix('~').unwrap_or(inner);
        let is_raw = inner.starts_with('{');
        let inner = inner.strip_prefix('{').unwrap_or(inner);
        let close = if is_raw {
            ["}}}", "}~}}"].iter().filter_map(|end| inner.find(end)).min()
        } else if inner.starts_with("!--") {
            ["--}}", "--~}}"].iter().filter_map(|end| inner.find(end)).min().map(|at| at + 2)
        } else {
            closing(inner)
        };
        let close = close.ok_or(TemplateError::Open)?;
        let (mut content, mut after) = inner.split_at(close);
        if is_raw {
            after = after.strip_prefix('}').ok_or(TemplateError::Open)?;
        }
        let trims_after = content.ends_with('~') || after.starts_with('~');
        content = content.strip_suffix('~').unwrap_or(content);
        after = after.strip_prefix('~').unwrap_or(after);
        let after = after.strip_prefix("}}").ok_or(TemplateError::Open)?;
        let token = (!content.starts_with('!')).then(|| {
            let raw = content.strip_prefix('&');
            let inner = raw.unwrap_or(content).trim().to_owned();
            Token::Tag { inner, is_escaped: !is_raw && raw.is_none() }
        });
        Ok((Self { token, trims_before, trims_after }, after))
    }
}

/// Returns where the `}}` is that closes a tag; one in quotes does not, save in a comment.
fn closing(inner: &str) -> Option<usize> {
    if inner.starts_with('!') {
        return inner.find("}}");
    }
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') if inner[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// Returns the parts up to the end, or to a tag that ends a block or its first half.
fn block(tokens: &mut Tokens, depth: usize) -> Result<Vec<Node>, TemplateError> {
    let mut nodes = Vec::new();
    while let Some(token) = tokens.peek() {
        if let Token::Tag { inner, .. } = token
            && (inner.starts_with('/') || is_else(inner))
        {
            break;
        }
        match tokens.next() {
            Some(Token::Text(text)) if text.is_empty() => {}
            Some(Token::Text(text)) => nodes.push(Node::Text(text)),
            Some(Token::Tag { inner, is_escaped }) => {
                nodes.push(tag(&inner, is_escaped, tokens, depth)?);
            }
            None => break,
        }
    }
    Ok(nodes)
}

fn is_else(inner: &str) -> bool {
    inner == "else" || inner == "^"
}

fn tag(
    inner: &str,
    is_escaped: bool,
    tokens: &mut Tokens,
    depth: usize,
) -> Result<Node, TemplateError> {
    let unsupported = || TemplateError::Unsupported(format!("{{{{{inner}}}}}"));
    match inner.chars().next() {
        Some('#') => {
            let call = call(&inner[1..])?;
            let name = call.name.as_deref().unwrap_or_default().to_owned();
            let ([condition], "if" | "unless") = (call.arguments.as_slice(), name.as_str()) else {
                return Err(unsupported());
            };
            if depth == MOST_DEPTH || !call.named.is_empty() {
                return Err(unsupported());
            }
            choice(condition.clone(), &name, tokens, depth + 1)
        }
        Some('>' | '*' | '^') => Err(unsupported()),
        Some(_) if inner.starts_with("else ") => Err(unsupported()),
        _ => Ok(Node::Value { call: call(inner)?, is_escaped }),
    }
}

fn choice(
    condition: Argument,
    name: &str,
    tokens: &mut Tokens,
    depth: usize,
) -> Result<Node, TemplateError> {
    let then = block(tokens, depth)?;
    let mut end = tokens.next();
    let mut otherwise = Vec::new();
    if matches!(&end, Some(Token::Tag { inner, .. }) if is_else(inner)) {
        otherwise = block(tokens, depth)?;
        end = tokens.next();
    }
    match end {
        Some(Token::Tag { inner, .. })
            if inner.strip_prefix('/').is_some_and(|ended| ended.trim() == name) =>
        {
            Ok(Node::Choice { condition, negated: name == "unless", then, otherwise })
        }
        _ => Err(TemplateError::Block),
    }
}

fn call(text: &str) -> Result<Call, TemplateError> {
    let mut words = Words { text, rest: text };
    let call = words.call()?;
    if words.skip_space().is_empty() { Ok(call) } else { Err(words.wrong()) }
}

/// Reads the words of an expression.
struct Words<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Words<'_> {
    fn wrong(&self) -> TemplateError {
        TemplateError::Expression(self.text.trim().to_owned())
    }

    fn skip_space(&mut self) -> &str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn call(&mut self) -> Result<Call, TemplateError> {
        // A text or a number where a name belongs is that name.
        let name = match self.argument()? {
            Argument::Name(name) => name,
            Argument::Text(text) | Argument::Number(text) => Some(text),
            Argument::Word(word) => Some(word.to_owned()),
            Argument::Call(_) => return Err(self.wrong()),
        };
        let mut call = Call { name, arguments: Vec::new(), named: Vec::new() };
        while !self.skip_space().is_empty() && !self.rest.starts_with(')') {
            match self.key() {
                Some(key) => call.named.push((key, self.argument()?)),
                None if call.named.is_empty() => call.arguments.push(self.argument()?),
                None => return Err(self.wrong()),
            }
        }
        Ok(call)
    }

    /// Returns the key if `key=` is next.
    fn key(&mut self) -> Option<String> {
        let end = self.rest.find(|c| !is_name(c))?;
        let after = self.rest[end..].trim_start().strip_prefix('=')?;
        let key = self.rest[..end].to_owned();
        self.rest = after;
        (!key.is_empty()).then_some(key)
    }

    fn argument(&mut self) -> Result<Argument, TemplateError> {
        let rest = self.skip_space();
        match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote).map(Argument::Text),
            Some('(') => {
                if self.text.matches('(').count() > MOST_DEPTH {
                    return Err(self.wrong());
                }
                self.rest = &self.rest[1..];
                let call = self.call()?;
                self.rest = self.rest.strip_prefix(')').ok_or_else(|| self.wrong())?;
                Ok(Argument::Call(Box::new(call)))
            }
            Some(_) => self.word(),
            None => Err(self.wrong()),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, TemplateError> {
        let inside = &self.rest[1..];
        let end = inside.find(quote).ok_or_else(|| self.wrong())?;
        self.rest = &inside[end + 1..];
        Ok(inside[..end].to_owned())
    }

    fn word(&mut self) -> Result<Argument, TemplateError> {
        let path = |c: char| is_name(c) || matches!(c, '.' | '/' | '@' | '[' | ']' | '-');
        let end = self.rest.find(|c| !path(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        // What a word may be followed by, as Handlebars' lexer looks ahead.
        let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == ')');
        if word.is_empty() || !ends {
            return Err(self.wrong());
        }
        self.rest = rest;
        let is_number = word.strip_prefix('-').unwrap_or(word).parse::<f64>().is_ok()
            && word.ends_with(|c: char| c.is_ascii_digit())
            && !word.contains(['e', 'E', 'n']);
        Ok(match word {
            "true" => Argument::Word("true"),
            "false" => Argument::Word("false"),
            "null" => Argument::Word("null"),
            "undefined" => Argument::Word("undefined"),
            _ if is_number => Argument::Number(word.to_owned()),
            _ => Argument::Name(self::path(word)),
        })
    }
}

/// Returns the name that a path is, or `None` if it reaches anywhere else.
fn path(word: &str) -> Path {
    let word = ["@root.", "@root/", "this.", "this/", "./"]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix))
        .unwrap_or(word);
    let word = match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        Some(inside) => inside,
        None if word.contains(['.', '/', '@', '[', ']']) => return None,
        None => word,
    };
    Some(word.to_owned())
}

fn is_name(c: char) -> bool {
    const NOT: &str = "!\"#%&'()*+,./;<=>@[\\]^`{|}~";
    !c.is_whitespace() && !NOT.contains(c)
}
