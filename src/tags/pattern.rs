//! JavaScript's regular expressions, said in those of the `regex` crate, which takes time linear in
//! the text whatever the expression is. Look-around and back-references can't be said so.

use regex::{Regex, RegexBuilder};

/// An expression and its flags.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    is_global: bool,
    is_sticky: bool,
}

/// Why an expression can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// JavaScript knows it, deployctl does not.
    #[error("the expression `{pattern}` has {what} in it, which is not supported")]
    Unsupported {
        /// The expression.
        pattern: String,
        /// What of it.
        what: &'static str,
    },
    /// It is no expression.
    #[error("`{0}` is not a regular expression")]
    Invalid(String),
    /// A flag is none, or is stated twice.
    #[error("`{flags}` are not the flags of an expression; expected some of d, g, i, m, s and y")]
    Flags {
        /// The flags.
        flags: String,
    },
}

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t\n\x0B\x0C\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
const NO_LINE_END: &str = r"[^\n\r\x{2028}\x{2029}]";

impl Pattern {
    /// Returns the expression `text` without flags.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        Self::with_flags(text, "")
    }

    /// Returns the expression `text`, which is written `/EXPRESSION/FLAGS`, or without flags.
    pub(super) fn written(text: &str) -> Result<Self, PatternError> {
        let inside = text.strip_prefix('/').and_then(|text| text.rsplit_once('/'));
        match inside {
            Some((pattern, flags)) if !pattern.is_empty() => Self::with_flags(pattern, flags),
            _ => Self::parse(text),
        }
    }

    fn with_flags(text: &str, flags: &str) -> Result<Self, PatternError> {
        let is_twice = |(at, c): (usize, char)| flags[..at].contains(c);
        if flags.contains(['u', 'v']) {
            let what = "the flag `u` or `v`";
            return Err(PatternError::Unsupported { pattern: text.to_owned(), what });
        }
        if !flags.chars().all(|c| "dgimsy".contains(c)) || flags.char_indices().any(is_twice) {
            return Err(PatternError::Flags { flags: flags.to_owned() });
        }
        let translated = Translation::of(text, flags.contains('s'))?;
        let regex = RegexBuilder::new(&translated)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .build()
            .map_err(|_| PatternError::Invalid(text.to_owned()))?;
        Ok(Self { regex, is_global: flags.contains('g'), is_sticky: flags.contains('y') })
    }

    /// Returns what JavaScript's `match` returns: the first match and its groups or, of a global
    /// expression, all matches; `None` if there is none.
    pub(super) fn find<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        if self.is_global {
            let mut end = 0;
            let follows = |found: &regex::Match<'_>| {
                let follows = !self.is_sticky || found.start() == end;
                end = found.end();
                follows
            };
            let all: Vec<_> = self.regex.find_iter(text).take_while(follows).collect();
            let all: Vec<_> = all.into_iter().map(|found| Some(found.as_str())).collect();
            return (!all.is_empty()).then_some(all);
        }
        let found = self.regex.captures(text)?;
        if self.is_sticky && found.get(0).is_some_and(|whole| whole.start() > 0) {
            return None;
        }
        Some(found.iter().map(|group| group.map(|group| group.as_str())).collect())
    }
}

/// Turns an expression of JavaScript into one of the crate.
struct Translation<'a> {
    text: &'a str,
    rest: &'a str,
    out: String,
    dot: &'static str,
}

impl<'a> Translation<'a> {
    fn of(text: &'a str, dot_all: bool) -> Result<String, PatternError> {
        let dot = if dot_all { r"(?s:.)" } else { NO_LINE_END };
        let mut translation = Self { text, rest: text, out: String::new(), dot };
        while let Some(c) = translation.next() {
            translation.one(c)?;
        }
        Ok(translation.out)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn unsupported(&self, what: &'static str) -> PatternError {
        PatternError::Unsupported { pattern: self.text.to_owned(), what }
    }

    fn invalid(&self) -> PatternError {
        PatternError::Invalid(self.text.to_owned())
    }

    fn one(&mut self, c: char) -> Result<(), PatternError> {
        match c {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '.' => self.out.push_str(self.dot),
            '{' => self.brace(),
            '^' | '$' | '|' | ')' | '*' | '+' | '?' => self.out.push(c),
            c => self.char(c),
        }
        Ok(())
    }

    fn char(&mut self, c: char) {
        self.out.push_str(&escaped(c));
    }

    fn group(&mut self) -> Result<(), PatternError> {
        for ahead in ["?=", "?!", "?<=", "?<!"] {
            if self.rest.starts_with(ahead) {
                return Err(self.unsupported("look-around"));
            }
        }
        if self.rest.starts_with('?')
            && !self.rest.starts_with("?:")
            && !self.rest.starts_with("?<")
        {
            return Err(self.invalid());
        }
        self.out.push('(');
        if self.rest.starts_with('?') {
            let end = if self.rest.starts_with("?:") { Some(1) } else { self.rest.find('>') };
            let (opening, rest) = self.rest.split_at(end.ok_or_else(|| self.invalid())? + 1);
            self.out.push_str(opening);
            self.rest = rest;
        }
        Ok(())
    }

    /// A brace that is no quantifier is text.
    fn brace(&mut self) {
        let inside = self.rest.split_once('}').map(|(inside, _)| inside);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_quantifier = inside.is_some_and(|inside| match inside.split_once(',') {
            Some((low, high)) => is_number(low) && (high.is_empty() || is_number(high)),
            None => is_number(inside),
        });
        match inside {
            Some(inside) if is_quantifier => {
                self.out.push_str(&format!("{{{inside}}}"));
                self.rest = &self.rest[inside.len() + 1..];
            }
            _ => self.char('{'),
        }
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.rest.chars().next().ok_or_else(|| self.invalid())? {
            boundary @ ('b' | 'B') => {
                self.next();
                self.out.push_str(if boundary == 'b' { r"(?-u:\b)" } else { r"\B" });
            }
            '1'..='9' | 'k' => return Err(self.unsupported("a back-reference")),
            _ => match self.atom()? {
                Atom::Set(set) => self.out.push_str(&format!("[{set}]")),
                Atom::Char(c) => self.char(c),
            },
        }
        Ok(())
    }

    /// Returns what a backslash and the characters behind it stand for, in a class and outside.
    fn atom(&mut self) -> Result<Atom, PatternError> {
        let c = self.next().ok_or_else(|| self.invalid())?;
        Ok(match c {
            'd' => Atom::Set(DIGIT.to_owned()),
            'w' => Atom::Set(WORD.to_owned()),
            's' => Atom::Set(SPACE.to_owned()),
            'D' => Atom::Set(format!("[^{DIGIT}]")),
            'W' => Atom::Set(format!("[^{WORD}]")),
            'S' => Atom::Set(format!("[^{SPACE}]")),
            'n' => Atom::Char('\n'),
            'r' => Atom::Char('\r'),
            't' => Atom::Char('\t'),
            'v' => Atom::Char('\u{B}'),
            'f' => Atom::Char('\u{C}'),
            '0' => Atom::Char('\0'),
            'x' => self.hex(2).map_or(Atom::Char('x'), Atom::Char),
            'u' => self.hex(4).map_or(Atom::Char('u'), Atom::Char),
            'c' => match self.rest.chars().next().filter(char::is_ascii_alphabetic) {
                Some(letter) => {
                    self.next();
                    Atom::Char(char::from(letter as u8 % 32))
                }
                None => Atom::Char('\\'),
            },
            // Without the flag `u`, anything else stands for itself.
            c => Atom::Char(c),
        })
    }

    fn hex(&mut self, digits: usize) -> Option<char> {
        let text = self.rest.get(..digits)?;
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        let c = char::from_u32(u32::from_str_radix(text, 16).ok()?).filter(|_| is_hex)?;
        self.rest = &self.rest[digits..];
        Some(c)
    }

    fn class(&mut self) -> Result<(), PatternError> {
        let negated = self.rest.starts_with('^');
        if negated {
            self.next();
        }
        let mut set = String::new();
        loop {
            let atom = match self.next().ok_or_else(|| self.invalid())? {
                ']' => break,
                '\\' if self.rest.starts_with('b') => {
                    self.next();
                    Atom::Char('\u{8}')
                }
                '\\' => self.atom()?,
                c => Atom::Char(c),
            };
            let Atom::Char(low) = atom else {
                set.push_str(&atom.in_class());
                continue;
            };
            match self.high()? {
                Some(high) if low > high => return Err(self.invalid()),
                Some(high) => set.push_str(&format!("{}-{}", code(low), code(high))),
                None => set.push_str(&code(low)),
            }
        }
        // An empty class fits nothing, and its opposite everything.
        self.out.push_str(&match (negated, set.as_str()) {
            (false, "") => r"[^\s\S]".to_owned(),
            (true, "") => "(?s:.)".to_owned(),
            (false, set) => format!("[{set}]"),
            (true, set) => format!("[^{set}]"),
        });
        Ok(())
    }

    /// Returns the end of a range, if a range is what goes on here.
    fn high(&mut self) -> Result<Option<char>, PatternError> {
        let Some(after) = self.rest.strip_prefix('-').filter(|after| !after.starts_with(']'))
        else {
            return Ok(None);
        };
        let before = self.rest;
        self.rest = after;
        let atom = match self.next().ok_or_else(|| self.invalid())? {
            '\\' if self.rest.starts_with('b') => {
                self.next();
                Atom::Char('\u{8}')
            }
            '\\' => self.atom()?,
            c => Atom::Char(c),
        };
        match atom {
            Atom::Char(high) => Ok(Some(high)),
            // `a-\d` is three things.
            Atom::Set(_) => {
                self.rest = before;
                Ok(None)
            }
        }
    }
}

enum Atom {
    Char(char),
    /// What stands between the brackets of a class.
    Set(String),
}

impl Atom {
    fn in_class(&self) -> String {
        match self {
            Self::Char(c) => code(*c),
            Self::Set(set) => set.clone(),
        }
    }
}

fn code(c: char) -> String {
    format!("\\x{{{:X}}}", u32::from(c))
}

fn escaped(c: char) -> String {
    if c.is_ascii_alphanumeric() { c.to_string() } else { code(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str) -> Option<Vec<String>> {
        let found = Pattern::written(pattern).unwrap().find(text)?;
        Some(found.into_iter().map(|group| group.unwrap_or("-").to_owned()).collect())
    }

    #[test]
    fn expressions_find_what_javascript_finds() {
        let groups: &[(&str, &str, &[&str])] = &[
            (r"\d.\d.\d", "v1.2.3", &["1.2.3"]),
            (r"v(\d+)\.(\d+)(-rc)?", "v10.2", &["v10.2", "10", "2", "-"]),
            (r"/^V(.*)$/i", "v1.2", &["v1.2", "1.2"]),
            (r"/\d/g", "1a2b3", &["1", "2", "3"]),
            (r"/(\d)./g", "1a2b3", &["1a", "2b"]),
            (r"/\d/gy", "12b3", &["1", "2"]),
            (r"(?:a|b)(?<n>[\w-.]+)", "xb1-.c/", &["b1-.c", "1-.c"]),
            (r"[^\d\]]+", "12]ab3", &["ab"]),
            (r"[a-c&&[]", "x[y", &["["]),
            (r"a{b}{2}", "a{b}}", &["a{b}}"]),
            (r"\bv\/(\d{1,2})\b", "release v/12!", &["v/12", "12"]),
            (r"\x41\u0042\-\_", "AB-_", &["AB-_"]),
            (r"[^]", "\n", &["\n"]),
            (r"/a/b", "/a/b", &[]),
            (r"\Bb\B", "abc", &["b"]),
        ];
        for (pattern, text, expected) in groups {
            if expected.is_empty() {
                assert!(Pattern::written(pattern).is_err(), "{pattern}");
            } else {
                assert_eq!(find(pattern, text).unwrap(), *expected, "{pattern}");
            }
        }
        assert_eq!(find("[]", "a"), None);
        assert_eq!(find(r"/b/y", "ab"), None);
        assert_eq!(find(r"a.b", "a\nb"), None);
        assert_eq!(find(r"\d", "٣"), None);
    }

    #[test]
    fn what_can_not_be_said_is_named() {
        for pattern in ["(?=a)", "(?<!a)", r"(a)\1", "/a/u"] {
            let error = Pattern::written(pattern).unwrap_err();
            assert!(matches!(error, PatternError::Unsupported { .. }), "{pattern}");
        }
        for pattern in ["(", "[z-a]", "[a", r"a\", "*"] {
            let error = Pattern::written(pattern).unwrap_err();
            assert!(matches!(error, PatternError::Invalid(_)), "{pattern}");
        }
        for pattern in ["/a/gg", "/a/z"] {
            let error = Pattern::written(pattern).unwrap_err();
            assert!(matches!(error, PatternError::Flags { .. }), "{pattern}");
        }
    }
}
