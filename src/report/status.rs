//! Which image runs where, as a table; and an environment's history, as lines.

use std::io;

use comfy_table::{Table, presets};
use serde_json::Value;

use super::{Report, json};
use crate::image::PinnedImage;
use crate::ops::{Change, StatedImage, StatusReport, StatusRow};
use crate::promotion::{Record, minute};

impl Report for StatusReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["SERVICE", "ENVIRONMENT", "IMAGE", "DIGEST", "SINCE", "BY", "STATE"]);
        for row in &self.rows {
            let (image, digest) = match &row.image {
                Ok(image) => shortened(image),
                Err(_) => ("none".to_owned(), String::new()),
            };
            let change = row.change.as_ref();
            let since = change.map(|change| change.time.strftime("%Y-%m-%d %H:%M UTC").to_string());
            let by = change.map(|change| change.author.clone());
            let (service, environment) = (row.service.clone(), row.environment.clone());
            let (since, by) = (since.unwrap_or_default(), by.unwrap_or_default());
            table.add_row([service, environment, image, digest, since, by, state(row)]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        for row in &self.rows {
            if let Err(error) = &row.image {
                writeln!(out, "{} in {}: {error}", row.service, row.environment)?;
            }
        }
        let mut holds = self.rows.iter().filter_map(|row| row.hold.as_ref());
        holds.try_for_each(|hold| writeln!(out, "{}", hold.sentence()))
    }

    fn json(&self) -> Value {
        json::v1::status(self)
    }
}

/// Returns whether the image is verified, or another one was, and whether it is held.
fn state(row: &StatusRow) -> String {
    let stated = row.image.as_ref().ok().map(ToString::to_string);
    let verified = row.verified.as_ref().map(|verified| {
        let time = minute(verified.time);
        match stated.as_ref() == Some(&verified.image) {
            true => format!("verified {time}"),
            false => format!("not verified; {} was {time}", tag(&verified.image)),
        }
    });
    let held = row.hold.as_ref().map(|_| "held".to_owned());
    held.into_iter().chain(verified).collect::<Vec<_>>().join(", ")
}

/// Returns what people call an image that is pinned: its tag, or the beginning of its digest.
fn tag(image: &str) -> String {
    match image.parse::<PinnedImage>() {
        Ok(PinnedImage { tag: Some(tag), .. }) => tag.to_string(),
        Ok(pinned) => pinned.digest.short().to_owned(),
        Err(_) => image.to_owned(),
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
        if let Some(verified) = &change.verified {
            writeln!(out, "    verified {} by {}", minute(verified.time), verified.by)?;
        }
        for line in change.record.iter().flat_map(details) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// Returns what else is on record, a line each.
fn details(record: &Record) -> Vec<String> {
    let source = record.source.as_ref().map(|source| {
        let commit = source.commit.get(..12).unwrap_or(&source.commit);
        format!("built from {commit}")
    });
    let rollback = record.rollback_of.iter().rev().map(|image| format!("rolled back {image}"));
    let reason = record.reason.as_ref().map(|reason| format!("because {reason}"));
    let unproven = record.unproven.then(|| "unproven".to_owned());
    let other = record.other_changes.then(|| "other changes were allowed".to_owned());
    let overrides = record.overrides.iter();
    let overrides = overrides.map(|o| format!("overrode gate {}: {}", o.gate, o.reason));
    let run = record.run.as_ref().map(|run| format!("run {run}"));
    let rollback = rollback.chain(reason);
    source
        .into_iter()
        .chain(rollback)
        .chain(unproven)
        .chain(other)
        .chain(overrides)
        .chain(run)
        .collect()
}

impl Report for History {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write_history(&self.0, out)
    }

    fn json(&self) -> Value {
        json::v1::history(&self.0)
    }
}
