//! The part of Go's regular expressions (`regexp/syntax`, Perl flags) that an ignore pattern can
//! turn into, matched in time linear in pattern times path.
//!
//! Unicode classes (`\pL`) and `\Q…\E` are refused; nothing else that Go accepts is.

use std::iter::Peekable;
use std::str::Chars;

/// A compiled expression; the whole path must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// One character of the set.
    One(Set),
    /// Any number of characters of the set.
    Many(Set),
    /// `(.*/)?`: any number of folders, or none.
    Folders,
    /// A place between two characters.
    At(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    WordBoundary,
    NoWordBoundary,
}

/// A set of characters: ranges, or everything but them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    pub(super) fn char(c: char) -> Self {
        Self { ranges: vec![(c, c)], negated: false }
    }

    pub(super) fn all_but(c: char) -> Self {
        Self { ranges: vec![(c, c)], negated: true }
    }

    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != self.negated
    }
}

impl Expression {
    /// Returns the expression that `text` writes down, or `None` if Go would not compile it.
    ///
    /// `text` is without the final `$`. Quantifiers occur only where moby's translation puts them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (item, after) = match c {
                '(' => (Item::Folders, rest.strip_prefix("(.*/)?")?),
                '.' => (Item::Many(Set::all_but('\n')), rest.strip_prefix(".*")?),
                '^' => (Item::At(Place::Start), &rest[1..]),
                '\\' => escape(rest)?,
                '[' => {
                    let (set, after) = class(rest)?;
                    match after.strip_prefix('*') {
                        Some(after) => (Item::Many(set), after),
                        None => (Item::One(set), after),
                    }
                }
                c => (Item::One(Set::char(c)), &rest[c.len_utf8()..]),
            };
            items.push(item);
            rest = after;
        }
        Some(Self(items))
    }

    /// Returns whether all of `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        // `reached[i]`: the items so far can match the first `i` characters.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for item in &self.0 {
            reached = item.advance(&path, &reached);
        }
        reached[path.len()]
    }
}

impl Item {
    fn advance(&self, path: &[char], reached: &[bool]) -> Vec<bool> {
        let mut next = vec![false; reached.len()];
        match self {
            Self::One(set) => {
                for (i, &c) in path.iter().enumerate() {
                    next[i + 1] = reached[i] && set.contains(c);
                }
            }
            Self::Many(set) => {
                next.copy_from_slice(reached);
                for (i, &c) in path.iter().enumerate() {
                    next[i + 1] |= next[i] && set.contains(c);
                }
            }
            Self::Folders => {
                next.copy_from_slice(reached);
                let mut inside = false;
                for (i, &c) in path.iter().enumerate() {
                    inside |= reached[i];
                    next[i + 1] |= inside && c == '/';
                    // `.` does not match a line feed.
                    inside &= c != '\n';
                }
            }
            Self::At(place) => {
                for i in 0..reached.len() {
                    next[i] = reached[i] && place.holds(path, i);
                }
            }
        }
        next
    }
}

impl Place {
    fn holds(self, path: &[char], i: usize) -> bool {
        let word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let before = i > 0 && word(&path[i - 1]);
        let after = path.get(i).is_some_and(word);
        match self {
            Self::Start => i == 0,
            Self::End => i == path.len(),
            Self::WordBoundary => before != after,
            Self::NoWordBoundary => before == after,
        }
    }
}

/// Reads an escape outside a class; `text` begins with the backslash.
fn escape(text: &str) -> Option<(Item, &str)> {
    let place = match text.chars().nth(1)? {
        'A' => Some(Place::Start),
        'z' => Some(Place::End),
        'b' => Some(Place::WordBoundary),
        'B' => Some(Place::NoWordBoundary),
        _ => None,
    };
    if let Some(place) = place {
        return Some((Item::At(place), &text[2..]));
    }
    if let Some((set, rest)) = perl_class(text) {
        return Some((Item::One(set), rest));
    }
    let (c, rest) = escaped_char(text)?;
    Some((Item::One(Set::char(c)), rest))
}

/// Reads `\d`, `\S` and so on.
fn perl_class(text: &str) -> Option<(Set, &str)> {
    let letter = text.strip_prefix('\\')?.chars().next()?;
    let name = match letter.to_ascii_lowercase() {
        'd' => "digit",
        'w' => "word",
        's' => "perl space",
        _ => return None,
    };
    let ranges = named_ranges(name)?;
    Some((Set { ranges, negated: letter.is_ascii_uppercase() }, &text[2..]))
}

/// Reads an escape that stands for one character (`parseEscape` in Go).
fn escaped_char(text: &str) -> Option<(char, &str)> {
    let mut rest = text.strip_prefix('\\')?.chars().peekable();
    let c = rest.next()?;
    let value = match c {
        '1'..='7' if !matches!(rest.peek(), Some('0'..='7')) => return None,
        '0'..='7' => octal(c, &mut rest),
        'x' => hexadecimal(&mut rest)?,
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return None,
    };
    let read: usize = text.len() - rest.map(char::len_utf8).sum::<usize>();
    Some((value, &text[read..]))
}

fn octal(first: char, rest: &mut Peekable<Chars<'_>>) -> char {
    let mut value = first.to_digit(8).unwrap_or_default();
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        rest.next();
    }
    char::from_u32(value).unwrap_or_default()
}

fn hexadecimal(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let first = rest.next()?;
    if first != '{' {
        return char::from_u32(first.to_digit(16)? * 16 + rest.next()?.to_digit(16)?);
    }
    let mut value: u32 = rest.next()?.to_digit(16)?;
    loop {
        match rest.next()? {
            '}' => return char::from_u32(value),
            c => value = value.checked_mul(16)?.checked_add(c.to_digit(16)?)?,
        }
    }
}

/// Reads a class; `text` begins with the bracket (`parseClass` in Go).
fn class(text: &str) -> Option<(Set, &str)> {
    let mut rest = &text[1..];
    let negated = rest.starts_with('^');
    rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        match rest.strip_prefix(']') {
            Some(after) if !first => return Some((Set { ranges, negated }, after)),
            _ => first = false,
        }
        rest = class_part(rest, &mut ranges)?;
    }
}

fn class_part<'a>(text: &'a str, ranges: &mut Vec<(char, char)>) -> Option<&'a str> {
    if let Some(inner) = text.strip_prefix("[:")
        && let Some(end) = inner.find(":]")
    {
        let (name, negated) = match inner[..end].strip_prefix('^') {
            Some(name) => (name, true),
            None => (&inner[..end], false),
        };
        add(ranges, &Set { ranges: named_ranges(name)?, negated });
        return Some(&inner[end + 2..]);
    }
    if let Some((set, rest)) = perl_class(text) {
        add(ranges, &set);
        return Some(rest);
    }
    let (low, rest) = class_char(text)?;
    let (high, rest) = match rest.strip_prefix('-') {
        Some(after) if !after.is_empty() && !after.starts_with(']') => class_char(after)?,
        _ => (low, rest),
    };
    ranges.push((low, high));
    (low <= high).then_some(rest)
}

fn class_char(text: &str) -> Option<(char, &str)> {
    if text.starts_with('\\') {
        return escaped_char(text);
    }
    let c = text.chars().next()?;
    Some((c, &text[c.len_utf8()..]))
}

/// Adds a set to the ranges of a class; a negated set becomes the gaps between its ranges.
fn add(ranges: &mut Vec<(char, char)>, set: &Set) {
    if !set.negated {
        ranges.extend(&set.ranges);
        return;
    }
    let mut sorted = set.ranges.clone();
    sorted.sort_unstable();
    let mut from = '\0';
    for (low, high) in sorted {
        if let Some(end) = (from..low).next_back() {
            ranges.push((from, end));
        }
        from = (high..=char::MAX).nth(1).unwrap_or(char::MAX);
    }
    ranges.push((from, char::MAX));
}

/// Returns what is in a class like `[:alpha:]`.
fn named_ranges(name: &str) -> Option<Vec<(char, char)>> {
    Some(match name {
        "alnum" => vec![('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => vec![('A', 'Z'), ('a', 'z')],
        "ascii" => vec![('\0', '\x7f')],
        "blank" => vec![('\t', '\t'), (' ', ' ')],
        "cntrl" => vec![('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => vec![('0', '9')],
        "graph" => vec![('!', '~')],
        "lower" => vec![('a', 'z')],
        "print" => vec![(' ', '~')],
        "punct" => vec![('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => vec![('\t', '\r'), (' ', ' ')],
        "perl space" => vec![('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        "upper" => vec![('A', 'Z')],
        "word" => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => vec![('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, yes: &[&str], no: &[&str]) {
        let compiled = Expression::parse(expression).unwrap();
        for path in yes {
            assert!(compiled.matches(path), "{expression} {path}");
        }
        for path in no {
            assert!(!compiled.matches(path), "{expression} {path}");
        }
    }

    #[test]
    fn classes_are_read_as_go_reads_them() {
        check(r"^[]a]", &["]", "a"], &["b"]);
        check(r"^[a-]", &["a", "-"], &["b"]);
        check(r"^[^[:alpha:]0]", &["1", "/"], &["x", "0"]);
        check(r"^[\D]", &["x", "é"], &["5"]);
        check(r"^[\x41-\x{43}]", &["A", "C"], &["D"]);
        // `[a*b]` as moby translates it: a class up to the first bracket, then the rest.
        check(r"^[a[^/]*b]", &["b]", "a[^b]"], &["a"]);
    }

    #[test]
    fn escapes_outside_a_class_are_go_s_too() {
        check(r"^bin\Debug", &["binxebug"], &[r"bin\Debug", "bin5ebug"]);
        check(r"^a\bb", &[], &["ab"]);
        check(r"^\101\_", &["A_"], &[]);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in
            [r"[", r"[a", r"[b-a]", r"\8", r"\1", r"\é", r"\Q", r"\pL", r"[[:no:]]", r"\x{z}"]
        {
            assert_eq!(Expression::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn folders_match_none_one_and_many() {
        check(r"^a(.*/)?b", &["ab", "a/b", "ax/y/b"], &["axb"]);
    }
}
