//! What differs, as a unified diff.

use std::io;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Report, json};
use crate::ops::DiffReport;

impl Report for DiffReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for difference in &self.differences {
            if difference.diff.is_empty() {
                writeln!(out, "{}: no difference", difference.title)?;
            } else {
                writeln!(out, "{}", difference.title)?;
                colored(&difference.diff, out)?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json::v1::diff(self)
    }

    fn summary(&self) -> String {
        let blocks = self.differences.iter().map(|difference| {
            format!("#### {}\n\n```diff\n{}```\n\n", difference.title, difference.diff)
        });
        blocks.collect()
    }
}

/// Writes a unified diff with colours, which the stream drops where they are not wanted.
pub(super) fn colored(diff: &str, out: &mut dyn io::Write) -> io::Result<()> {
    for line in diff.lines() {
        let style = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Style::new().bold(),
            [b'+', ..] => AnsiColor::Green.on_default(),
            [b'-', ..] => AnsiColor::Red.on_default(),
            [b'@', ..] => AnsiColor::Cyan.on_default(),
            _ => Style::new(),
        };
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}
