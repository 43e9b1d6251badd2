//! Which image runs where, as a table; and an environment's history, as lines.

use std::io;

use comfy_table::{Table, presets};
use serde_json::Value;

use super::{Report, json};
use crate::ops::{Change, StatedImage, StatusReport};

impl Report for StatusReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["SERVICE", "ENVIRONMENT", "IMAGE", "DIGEST", "SINCE", "BY"]);
        for row in &self.rows {
            let (image, digest) = match &row.image {
                Ok(image) => shortened(image),
                Err(error) => (format!("none: {error}"), String::new()),
            };
            let change = row.change.as_ref();
            let since = change.map(|change| change.time.strftime("%Y-%m-%d %H:%M UTC").to_string());
            let by = change.map(|change| change.author.clone());
            let (service, environment) = (row.service.clone(), row.environment.clone());
            let (since, by) = (since.unwrap_or_default(), by.unwrap_or_default());
            table.add_row([service, environment, image, digest, since, by]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json::v1::status(self)
    }
}

/// Returns the image without its digest, and as much of that as people compare: a row with all of it
/// is wider than most terminals.
fn shortened(image: &StatedImage) -> (String, String) {
    let digest = image.digest.as_deref().unwrap_or_default();
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    let short = hex.chars().take(12).collect();
    (StatedImage { digest: None, ..image.clone() }.to_string(), short)
}

/// The changes of one overlay, newest first.
pub struct History(
    /// The changes.
    pub Vec<Change>,
);

/// Writes changes, one or two lines each.
pub(super) fn write_history(changes: &[Change], out: &mut dyn io::Write) -> io::Result<()> {
    for change in changes {
        let time = change.time.strftime("%Y-%m-%d %H:%M UTC");
        writeln!(out, "{} {time} {}: {}", &change.commit[..12], change.author, change.subject)?;
        if let Some(image) = &change.image {
            writeln!(out, "    {image}")?;
        }
    }
    Ok(())
}

impl Report for History {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write_history(&self.0, out)
    }

    fn json(&self) -> Value {
        json::v1::history(&self.0)
    }
}
