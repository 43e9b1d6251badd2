//! One input that differs between two builds, in words.

use std::fmt;

/// An input that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about: `file`, `argument`, `base` and so on.
    pub kind: String,
    /// Its name: a path, for example.
    pub name: String,
    /// How it differs.
    pub difference: Difference,
}

/// How an input differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
    /// It was there and is something else now; of what must not be told, these are digests.
    Changed {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
}

impl Difference {
    /// Returns the word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed { .. } => "changed",
        }
    }
}

impl Change {
    /// Returns what it was and what it is, where both are there and may be told.
    pub fn values(&self) -> Option<(&str, &str)> {
        match (&self.difference, self.kind.as_str()) {
            (
                Difference::Changed { from, to },
                "base" | "builder" | "epoch" | "link" | "platforms" | "target",
            ) => Some((from, to)),
            _ => None,
        }
    }

    fn subject(&self) -> String {
        let Self { kind, name, .. } = self;
        match kind.as_str() {
            "argument" => format!("build argument `{name}`"),
            "base" => format!("base `{name}`"),
            "dockerfile" => format!("`{name}`"),
            "epoch" => "the time in the image".to_owned(),
            "files below" => format!("files below `{name}`"),
            "link" => format!("link `{name}`"),
            "platforms" => "the list of platforms".to_owned(),
            "recipe" => format!("`{name}` of the recipe"),
            "special" => format!("`{name}`, a socket, pipe or device,"),
            "target" => "the target".to_owned(),
            _ => format!("{kind} `{name}`"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        let (verb, is, was) = match self.kind.as_str() {
            "files below" => ("changed", "are new", "are gone"),
            _ => ("changed", "is new", "is gone"),
        };
        match (&self.difference, self.values()) {
            (Difference::New, _) => write!(f, "{subject} {is}"),
            (Difference::Gone, _) => write!(f, "{subject} {was}"),
            (_, Some((from, to))) if self.kind == "base" => {
                write!(f, "{subject} moved from {from} to {to}")
            }
            (_, Some((from, to))) => write!(f, "{subject} changed from `{from}` to `{to}`"),
            (Difference::Changed { from, to }, None) if self.kind == "file" => {
                let parts = (from.split_once(' '), to.split_once(' '));
                match parts {
                    (Some((before, one)), Some((after, other))) if one == other => {
                        write!(f, "{subject} changed its mode from {before} to {after}")
                    }
                    _ => write!(f, "{subject} {verb}"),
                }
            }
            (Difference::Changed { .. }, None) => write!(f, "{subject} {verb}"),
        }
    }
}
