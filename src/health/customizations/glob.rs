//! Patterns for groups and kinds, `group/Kind`.

use regex::Regex;

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    pattern: String,
    regex: Regex,
}

/// Returns whether the pattern matches nothing but itself.
pub(super) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{', '\\'])
}

impl Glob {
    /// Returns a pattern as `argocd-cm` has it, or `None` if it is none: `*` and `?` also match a
    /// `/`, `[…]` one of a set, `{a,b}` one of several patterns.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let regex = Regex::new(&translate(pattern)?).ok()?;
        Some(Self { pattern: pattern.to_owned(), regex })
    }

    /// Returns the pattern of a directory, in which `_` matches any text without a `/`.
    pub(super) fn of_directory(directory: &str) -> Self {
        let parts: Vec<_> = directory.split('_').map(regex::escape).collect();
        let regex = Regex::new(&format!("^(?s:{})$", parts.join("[^/]*")));
        let regex = regex.expect("escaped text and wildcards are a regular expression");
        Self { pattern: directory.to_owned(), regex }
    }

    /// Returns the pattern as it was written.
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Returns whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

fn translate(pattern: &str) -> Option<String> {
    let mut regex = "^(?s:".to_owned();
    let mut alternatives = 0_usize;
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '{' => {
                alternatives += 1;
                regex.push_str("(?:");
            }
            '}' if alternatives > 0 => {
                alternatives -= 1;
                regex.push(')');
            }
            ',' if alternatives > 0 => regex.push('|'),
            '[' => {
                let is_not = chars.next_if_eq(&'!').is_some();
                let mut set = String::new();
                loop {
                    match chars.next()? {
                        ']' => break,
                        char => set.push(char),
                    }
                }
                let set = set.replace(['\\', '[', '&', '~', '^'], "");
                regex.push_str(&format!("[{}{set}]", if is_not { "^" } else { "" }));
            }
            '\\' => regex.push_str(&regex::escape(&chars.next()?.to_string())),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str(")$");
    (alternatives == 0).then_some(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_keys() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        };
        check("*", "a.b/C", true);
        check("*/*", "Pod", false);
        check("*.b/*", "x/a.b/C", true);
        check("a.b/?", "axb/C", false);
        check("a.b/?", "a.b/C", true);
        check("a.[bc]/C", "a.c/C", true);
        check("a.[!bc]/C", "a.c/C", false);
        check("{a,b*}.io/C", "bc.io/C", true);
        check("{a,b}.io/C", "c.io/C", false);
        check("\\*/C", "*/C", true);
        assert!(Glob::new("{a").is_none() && Glob::new("[a").is_none());
    }
}
