//! A verification that came to no verdict: for those who wait for a report, so that its absence is none.

use std::io;

use jiff::Timestamp;
use serde_json::Value;

use super::{Documents, html, junit, markdown};
use crate::report::text::one_line;
use crate::report::{Report, json};

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoVerdict {
    /// What was to be verified: an environment, an Application, files or a recording.
    pub subject: String,
    /// The error and its causes, outermost first.
    pub texts: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// How the command ends.
    pub exit_code: u8,
    /// When it began.
    pub started: Timestamp,
}

impl NoVerdict {
    /// Returns the error and its causes in one line.
    pub(super) fn in_one_line(&self) -> String {
        one_line(&self.texts.join(": "))
    }

    /// Returns the error, its causes and what to do, a paragraph each.
    pub(super) fn description(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("What to do: {}", one_line(hint)));
        let texts = self.texts.iter().map(|text| one_line(text));
        texts.chain(hint).collect::<Vec<_>>().join("\n\n")
    }
}

impl Report for NoVerdict {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "{}: no verdict: {}", one_line(&self.subject), self.in_one_line())
    }

    fn json(&self) -> Value {
        json::v1::error(self)
    }

    fn summary(&self) -> String {
        markdown::render_none(self)
    }
}

impl Documents for NoVerdict {
    fn junit(&self) -> String {
        junit::render_none(self)
    }

    fn html(&self) -> String {
        html::render_none(self)
    }
}
