//! What an edit of a kustomization came to.

use std::io;

use serde_json::Value;

use super::diff::colored;
use super::{Report, json};
use crate::ops::EditReport;

impl Report for EditReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if !self.changed {
            return writeln!(out, "unchanged");
        }
        match &self.dry_run {
            Some(diff) => {
                writeln!(out, "dry run: {} would change", self.file)?;
                colored(diff, out)?;
            }
            None => writeln!(out, "{}", self.file)?,
        }
        self.images.iter().try_for_each(|entry| {
            let is_added = self.added.iter().any(|added| added.name == entry.name);
            let new = if is_added { " (new entry)" } else { "" };
            writeln!(out, "  {}: {}{new}", entry.name, entry.reference())
        })
    }

    fn json(&self) -> Value {
        json::v1::edit(self)
    }
}
