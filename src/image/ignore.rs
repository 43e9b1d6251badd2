//! The ignore file of a build context, and the same patterns in a recipe, as moby reads them
//! (moby/patternmatcher, `ignorefile.ReadAll`).
//!
//! Unlike in a `.gitignore`, patterns are anchored at the context's root and the last match wins.
//! Finding the file and walking the context are left to [`crate::build`].

mod go_regexp;
mod pattern;

use self::pattern::{BadPattern, Pattern, is_well_formed};

/// Go's `bufio.MaxScanTokenSize`.
const LONGEST_LINE: usize = 64 << 10;

/// The rules of an ignore file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreFile {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    line: usize,
    /// The cleaned pattern, without `!`.
    text: String,
    /// Whether a match takes the path back in (`!`).
    is_exception: bool,
    pattern: Result<Pattern, BadPattern>,
}

/// Whether a path is left out of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is left out.
    pub ignored: bool,
    /// The line of the ignore file that decided, counted from 1; `None` if none matched.
    pub line: Option<usize>,
}

/// Why a line of an ignore file is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// An exclamation mark with nothing behind it.
    #[error("line {line}: {}", self.reason())]
    EmptyException {
        /// The line, counted from 1.
        line: usize,
    },
    /// More than the 64 KiB that Go's line reader takes.
    #[error("line {line}: {}", self.reason())]
    TooLong {
        /// The line, counted from 1.
        line: usize,
    },
    /// Brackets or a backslash that lead nowhere.
    #[error("line {line}: {}", self.reason())]
    BadPattern {
        /// The line, counted from 1.
        line: usize,
        /// The pattern.
        pattern: String,
    },
}

impl IgnoreError {
    /// Returns the line, counted from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::EmptyException { line }
            | Self::TooLong { line }
            | Self::BadPattern { line, .. } => *line,
        }
    }

    /// Returns what is wrong with the line.
    pub fn reason(&self) -> String {
        match self {
            Self::EmptyException { .. } => "illegal exclusion pattern: \"!\"".to_owned(),
            Self::TooLong { .. } => "longer than 64 KiB".to_owned(),
            Self::BadPattern { pattern, .. } => format!("syntax error in pattern `{pattern}`"),
        }
    }
}

/// Which rules match a folder or one of its parents; what its entries inherit.
#[derive(Debug, Clone)]
pub(crate) struct Matches(Vec<bool>);

impl IgnoreFile {
    /// Returns the rules that an ignore file's text states.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is malformed. Some malformed patterns are only noticed by
    /// [`IgnoreFile::verdict`], as in moby.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        Self::from_numbered(Self::lines(text))
    }

    /// Fails if `pattern` is malformed, also where [`IgnoreFile::verdict`] alone would notice: for
    /// patterns that are not moby's to judge.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it; the line is 1.
    pub fn check_pattern(pattern: &str) -> Result<(), IgnoreError> {
        match rule(1, pattern.trim())? {
            Some(Rule { text, pattern: Err(BadPattern), .. }) => Err(bad_pattern(1, &text)),
            _ => Ok(()),
        }
    }

    /// Returns the rules that `patterns` state, one pattern each.
    ///
    /// # Errors
    ///
    /// As [`IgnoreFile::parse`].
    pub fn from_patterns<I: IntoIterator<Item: Into<String>>>(
        patterns: I,
    ) -> Result<Self, IgnoreError> {
        Self::from_numbered((1..).zip(patterns.into_iter().map(Into::into)))
    }

    /// Returns the patterns that an ignore file's text lists, well-formed or not, cleaned, with
    /// their line numbers (`ignorefile.ReadAll`).
    pub fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        (1..).zip(text.split('\n')).filter_map(|(line, pattern)| {
            if pattern.starts_with('#') || pattern.trim().is_empty() {
                return None;
            }
            let pattern = pattern.trim();
            Some(match pattern.strip_prefix('!') {
                Some(rest) => (line, format!("!{}", from_root(rest.trim()))),
                None => (line, from_root(pattern)),
            })
        })
    }

    fn from_numbered(patterns: impl Iterator<Item = (usize, String)>) -> Result<Self, IgnoreError> {
        let rules = patterns.filter_map(|(line, pattern)| rule(line, pattern.trim()).transpose());
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Returns whether the context leaves out `path`, a `/`-separated path from its root.
    ///
    /// # Errors
    ///
    /// Fails if a pattern that has a say is one that moby can't match with.
    pub fn verdict(&self, path: &str) -> Result<Verdict, IgnoreError> {
        if path == "." {
            return Ok(Verdict { ignored: false, line: None });
        }
        let matches = parents(path)
            .into_iter()
            .fold(self.root(), |matches, parent| self.matches(&parent, &matches));
        self.judge(&self.matches(path, &matches))
    }

    /// Returns the patterns as moby would hand them on, `!` included.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(|rule| {
            let mark = if rule.is_exception { "!" } else { "" };
            format!("{mark}{}", rule.text)
        })
    }

    /// Returns what the entries of the context's root inherit: nothing.
    pub(crate) fn root(&self) -> Matches {
        Matches(vec![false; self.rules.len()])
    }

    /// Returns which rules match `path` itself or, as `parent` says, a folder above it.
    pub(crate) fn matches(&self, path: &str, parent: &Matches) -> Matches {
        let matches = |(rule, inherited): (&Rule, &bool)| {
            *inherited || rule.pattern.as_ref().is_ok_and(|pattern| pattern.matches(path))
        };
        Matches(self.rules.iter().zip(&parent.0).map(matches).collect())
    }

    /// Returns the verdict on a path that the rules in `matches` match.
    pub(crate) fn judge(&self, matches: &Matches) -> Result<Verdict, IgnoreError> {
        let mut verdict = Verdict { ignored: false, line: None };
        for (rule, &is_match) in self.rules.iter().zip(&matches.0) {
            // A rule that could not change the verdict is not asked, so if it is a bad one nobody
            // notices (`MatchesOrParentMatches`).
            if rule.is_exception != verdict.ignored {
                continue;
            }
            if rule.pattern.is_err() {
                return Err(bad_pattern(rule.line, &rule.text));
            }
            if is_match {
                verdict = Verdict { ignored: !rule.is_exception, line: Some(rule.line) };
            }
        }
        Ok(verdict)
    }

    /// Returns whether a `!` rule may take back something below the ignored folder `dir`.
    pub(crate) fn may_take_back_below(&self, dir: &str) -> bool {
        let below = format!("{dir}/");
        self.rules.iter().filter(|rule| rule.is_exception).any(|rule| {
            let fixed = rule.text.split(['*', '?', '[', '\\', '^']).next().unwrap_or_default();
            let has_wildcard = fixed.len() < rule.text.len();
            fixed.starts_with(&below) || (has_wildcard && below.starts_with(fixed))
        })
    }
}

fn from_root(pattern: &str) -> String {
    if pattern.is_empty() {
        return String::new();
    }
    let cleaned = clean(pattern);
    match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => cleaned,
    }
}

fn rule(line: usize, pattern: &str) -> Result<Option<Rule>, IgnoreError> {
    if pattern.is_empty() {
        return Ok(None);
    }
    if pattern.len() >= LONGEST_LINE {
        return Err(IgnoreError::TooLong { line });
    }
    let cleaned = clean(pattern);
    let (text, is_exception) = match cleaned.strip_prefix('!') {
        Some("") => return Err(IgnoreError::EmptyException { line }),
        Some(rest) => (rest, true),
        None => (cleaned.as_str(), false),
    };
    if !is_well_formed(text) {
        return Err(bad_pattern(line, text));
    }
    let pattern = Pattern::compile(text);
    Ok(Some(Rule { line, text: text.to_owned(), is_exception, pattern }))
}

fn bad_pattern(line: usize, pattern: &str) -> IgnoreError {
    IgnoreError::BadPattern { line, pattern: pattern.to_owned() }
}

/// Returns the folders above `path`, the highest first, as Go's `filepath.Dir` and `Split` find
/// them: `/a/b` is in ``, then in `/a`; `./a` is in none.
fn parents(path: &str) -> Vec<String> {
    let above = clean(&path[..path.rfind('/').map_or(0, |slash| slash + 1)]);
    if above == "." {
        return Vec::new();
    }
    let slashes = above.match_indices('/').map(|(at, _)| at);
    slashes.chain([above.len()]).map(|end| above[..end].to_owned()).collect()
}

/// Returns `path` without `.`, `..` and doubled slashes, by its text alone (Go's
/// `filepath.Clean`).
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, ignored: bool, line: Option<usize>) {
        let verdict = IgnoreFile::parse(text).unwrap().verdict(path).unwrap();
        assert_eq!(verdict, Verdict { ignored, line }, "{path}");
    }

    #[test]
    fn the_last_match_decides() {
        check("docs\n!docs/README.md\n", "docs/README.md", false, Some(2));
        check("docs\n!docs/README.md\n", "docs/other.md", true, Some(1));
        check("!a\n*\n", "a", true, Some(2));
        check("*\n", "a", true, Some(1));
        check("", "a", false, None);
    }

    #[test]
    fn a_pattern_for_a_folder_is_one_for_what_is_in_it() {
        check("# all\n\n/node_modules/\r\n", "node_modules/a/b", true, Some(3));
        check("dir/**\n", "dir", false, None);
        check("\u{feff}a\n", "a", true, Some(1));
    }

    #[test]
    fn a_bad_pattern_names_its_line() {
        assert_eq!(IgnoreFile::parse("a\n!"), Err(IgnoreError::EmptyException { line: 2 }));
        assert_eq!(IgnoreFile::parse("\n["), Err(bad_pattern(2, "[")));
        let long = "x".repeat(LONGEST_LINE);
        assert_eq!(IgnoreFile::parse(&long), Err(IgnoreError::TooLong { line: 1 }));
        let late = IgnoreFile::parse("[b-a]/").unwrap();
        for _ in 0..2 {
            assert_eq!(late.verdict("x"), Err(bad_pattern(1, "[b-a]")));
        }
        assert_eq!(IgnoreFile::check_pattern("[b-a]/"), Err(bad_pattern(1, "[b-a]")));
        assert_eq!(IgnoreFile::check_pattern("!a/[a-b]"), Ok(()));
    }

    #[test]
    fn knows_where_an_exception_can_reach() {
        let rules = IgnoreFile::parse("*\n!a/b\n!c/*/d\n").unwrap();
        assert!(rules.may_take_back_below("a"));
        assert!(!rules.may_take_back_below("a/b"));
        assert!(rules.may_take_back_below("c"));
        assert!(rules.may_take_back_below("c/x"));
        assert!(!rules.may_take_back_below("b"));
        assert!(IgnoreFile::parse("!**/x").unwrap().may_take_back_below("any"));
    }

    #[test]
    fn cleans_paths_as_go_does() {
        for (path, cleaned) in
            [("", "."), ("a//b/./..", "a"), ("/..", "/"), ("../a/..", ".."), ("./a/", "a")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn parents_are_what_go_splits() {
        assert_eq!(parents("a/b/c"), ["a", "a/b"]);
        assert_eq!(parents("a"), Vec::<&str>::new());
        assert_eq!(parents("file/"), ["file"]);
        assert_eq!(parents("/"), ["", "/"]);
        assert_eq!(parents("/a/b"), ["", "/a"]);
        assert_eq!(parents("./a"), Vec::<&str>::new());
        assert_eq!(parents("./a//b"), ["a"]);
        assert_eq!(parents("../a/b"), ["..", "../a"]);
    }
}
