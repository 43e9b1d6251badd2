//! A path into a document, as people write it: `image.tag`, `containers[0].image`, `a\.b.c`.

use std::fmt;
use std::str::FromStr;

/// A path into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A mapping's key; where a list stands, the index of its item.
    Key(String),
    /// The index of a list's item.
    Index(usize),
}

/// Why a text is not a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a path: {reason}; expected for example `image.tag`, `list[0].tag`, `a\\.b`"
)]
pub struct PathError {
    text: String,
    reason: &'static str,
}

impl Path {
    /// Returns the path that takes `steps`.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }

    /// Returns its steps, from the root.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the path with every key replaced by what `change` makes of it.
    pub fn map_keys(&self, change: impl Fn(&str) -> String) -> Self {
        let step = |step: &Step| match step {
            Step::Key(key) => Step::Key(change(key)),
            Step::Index(index) => Step::Index(*index),
        };
        Self::new(self.steps.iter().map(step))
    }
}

impl Step {
    /// Returns the index of the list item that it may mean.
    pub(super) fn index(&self) -> Option<usize> {
        match self {
            Self::Key(key) => key.parse().ok(),
            Self::Index(index) => Some(*index),
        }
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Reads keys between dots, a dot or bracket of a key behind a backslash, indexes in brackets.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let wrong = |reason| PathError { text: text.to_owned(), reason };
        let (mut steps, mut key) = (Vec::new(), None::<String>);
        let mut rest = text.chars();
        // Whether a key must follow: at the beginning, and behind a dot.
        let mut open = true;
        while let Some(c) = rest.next() {
            match c {
                '.' => {
                    steps.extend(key.take().map(Step::Key));
                    if open {
                        return Err(wrong("a key is empty"));
                    }
                    open = true;
                }
                '[' => {
                    steps.extend(key.take().map(Step::Key));
                    let (index, after) =
                        rest.as_str().split_once(']').ok_or_else(|| wrong("a `]` is missing"))?;
                    let index = index.parse().map_err(|_| wrong("an index is not a number"))?;
                    steps.push(Step::Index(index));
                    (rest, open) = (after.chars(), false);
                }
                _ if !open && key.is_none() => return Err(wrong("a `.` is missing behind a `]`")),
                '\\' => {
                    let escaped = rest.next().ok_or_else(|| wrong("nothing is behind the `\\`"))?;
                    key.get_or_insert_default().push(escaped);
                    open = false;
                }
                c => {
                    key.get_or_insert_default().push(c);
                    open = false;
                }
            }
        }
        if open {
            return Err(wrong("a key is empty"));
        }
        steps.extend(key.map(Step::Key));
        Ok(Self { steps })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if number > 0 { "." } else { "" })?;
                    for c in key.chars() {
                        f.write_str(if matches!(c, '.' | '[' | '\\') { "\\" } else { "" })?;
                        write!(f, "{c}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_indexes_and_what_is_escaped() {
        let key = |text: &str| Step::Key(text.to_owned());
        let steps = |text: &str| text.parse::<Path>().unwrap().steps;
        assert_eq!(steps("image.tag"), [key("image"), key("tag")]);
        assert_eq!(steps("a[0][12].b"), [key("a"), Step::Index(0), Step::Index(12), key("b")]);
        assert_eq!(steps(r"a\.b\[c\\.d"), [key(r"a.b[c\"), key("d")]);
        assert_eq!(steps("[1]"), [Step::Index(1)]);
        assert_eq!(steps("list.0"), [key("list"), key("0")]);
        for text in ["image.tag", "a[0][12].b", r"a\.b\[c\\.d", "[1].x"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path() {
        for text in ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]b[0]c", "a\\"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
        let error = "a..b".parse::<Path>().unwrap_err().to_string();
        assert!(error.starts_with("`a..b` is not a path: a key is empty"), "{error}");
    }
}
