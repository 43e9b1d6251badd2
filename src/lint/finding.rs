//! Something that a rule found.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and will surprise somebody.
    Warning,
    /// It does not do what it says.
    Error,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file, from the root of the repository.
    pub file: Utf8PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}

impl Finding {
    /// Returns what `rule` found there; what is wrong is still to be said.
    pub fn at(rule: &'static str, severity: Severity, file: &Utf8Path, line: usize) -> Self {
        let (file, message) = (file.to_owned(), String::new());
        Self { rule, severity, file, line, message, hint: None }
    }

    /// Returns it with what is wrong and what to write instead.
    pub fn saying(self, message: impl Into<String>, hint: &str) -> Self {
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        Self { message: message.into(), hint, ..self }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
