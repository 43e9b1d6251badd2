//! One pattern of an ignore file, with the meaning that moby/patternmatcher gives it.
//!
//! That meaning is the pattern's translation to a Go regular expression, character by character,
//! with its accidents: inside brackets `*` and `?` are translated as well. So it is translated the
//! same way here. Negation and order are left to [`super`].

use super::go_regexp::Expression;

/// How a cleaned pattern decides about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The path is this.
    Exact(String),
    /// The path begins with this (`dir/**`).
    Prefix(String),
    /// The path ends with this (`**/name`).
    Suffix(String),
    /// The path matches this.
    Expression(Expression),
}

/// Go's regular expression does not compile. moby tells so when the pattern is first matched, not
/// when the file is read, so a pattern that is never asked is not an error (moby/moby#52203).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPattern;

impl Pattern {
    /// Returns the pattern that `cleaned` writes down.
    pub(super) fn compile(cleaned: &str) -> Result<Self, BadPattern> {
        let translation = Translation::of(cleaned);
        match translation.kind {
            Kind::Exact => Ok(Self::Exact(cleaned.to_owned())),
            Kind::Prefix => Ok(Self::Prefix(cleaned[..cleaned.len() - 2].to_owned())),
            // Behind a BOM moby takes the end from the middle of a character, which no path has.
            Kind::Suffix => {
                cleaned.get(2..).map(|end| Self::Suffix(end.to_owned())).ok_or(BadPattern)
            }
            Kind::Expression => {
                Expression::parse(&translation.text).map(Self::Expression).ok_or(BadPattern)
            }
        }
    }

    /// Returns whether the path itself matches, whatever its parents do.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(whole) => path == whole,
            Self::Prefix(start) => path.starts_with(start.as_str()),
            Self::Suffix(end) => {
                path.ends_with(end.as_str()) || end.strip_prefix('/') == Some(path)
            }
            Self::Expression(expression) => expression.matches(path),
        }
    }
}

/// Returns whether Go's `filepath.Match` takes the pattern for well-formed; moby refuses a file
/// with any that is not.
pub(super) fn is_well_formed(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let fine = match c {
            '\\' => rest.next().is_some(),
            '[' => class_is_well_formed(&mut rest),
            _ => true,
        };
        if !fine {
            return false;
        }
    }
    true
}

fn class_is_well_formed(rest: &mut std::str::Chars<'_>) -> bool {
    // One character of a class, escaped or not; `-` and `]` must be escaped.
    fn member(rest: &mut std::str::Chars<'_>) -> bool {
        match rest.next() {
            None | Some('-' | ']') => false,
            Some('\\') => rest.next().is_some(),
            Some(_) => true,
        }
    }
    if rest.as_str().starts_with('^') {
        rest.next();
    }
    loop {
        if !member(rest) {
            return false;
        }
        if rest.as_str().starts_with('-') {
            rest.next();
            if !member(rest) {
                return false;
            }
        }
        if rest.as_str().starts_with(']') {
            rest.next();
            return true;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Expression,
}

/// moby's translation (`Pattern.compile`): the expression's text, without its final `$`.
struct Translation {
    kind: Kind,
    text: String,
}

impl Translation {
    fn of(cleaned: &str) -> Self {
        let mut this = Self { kind: Kind::Exact, text: "^".to_owned() };
        // Go's `text/scanner`, with which moby reads the pattern, skips a BOM in front.
        let mut rest = cleaned.strip_prefix('\u{feff}').unwrap_or(cleaned).chars().peekable();
        let mut is_first = true;
        while let Some(c) = rest.next() {
            match c {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    this.any_folders(rest.peek().is_none());
                    if is_first {
                        this.kind = Kind::Suffix;
                    }
                }
                '*' => this.special("[^/]*"),
                '?' => this.special("[^/]"),
                '\\' => match rest.next() {
                    Some(escaped) => {
                        this.special("\\");
                        this.text.push(escaped);
                    }
                    None => this.text.push('\\'),
                },
                '[' | ']' => {
                    this.kind = Kind::Expression;
                    this.text.push(c);
                }
                '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                    this.text.push('\\');
                    this.text.push(c);
                }
                c => this.text.push(c),
            }
            is_first = false;
        }
        this
    }

    fn any_folders(&mut self, at_end: bool) {
        match (at_end, self.kind) {
            (true, Kind::Exact) => self.kind = Kind::Prefix,
            (true, _) => self.special(".*"),
            (false, _) => self.special("(.*/)?"),
        }
    }

    fn special(&mut self, text: &str) {
        self.text.push_str(text);
        self.kind = Kind::Expression;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filepath_match_calls_malformed() {
        for good in ["a", "[a-c]", r"[\]a]", r"[x\-]", r"\[", "a]", "[^a]", "[Local-Only]"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in ["[", "[]a]", "[-]", "[x-]", "[-x]", r"\", "[a-b-c]", "[^", "[^bc", "a["] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn a_range_backwards_is_noticed_when_matched() {
        assert_eq!(Pattern::compile("[Local-Only]"), Err(BadPattern));
    }

    #[test]
    fn a_pattern_without_wildcards_is_compared_as_it_is() {
        assert_eq!(Pattern::compile("a(b)c/d.e"), Ok(Pattern::Exact("a(b)c/d.e".into())));
        assert_eq!(Pattern::compile("dir/**"), Ok(Pattern::Prefix("dir/".into())));
        assert_eq!(Pattern::compile("**/dir"), Ok(Pattern::Suffix("/dir".into())));
        assert_eq!(Pattern::compile("**"), Ok(Pattern::Suffix(String::new())));
    }
}
