//! What an edit of a kustomization came to.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::EditReport;

impl Report for EditReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if !self.changed {
            return writeln!(out, "unchanged");
        }
        writeln!(out, "{}", self.file)?;
        self.images
            .iter()
            .try_for_each(|entry| writeln!(out, "  {}: {}", entry.name, entry.reference()))
    }

    fn json(&self) -> Value {
        json::v1::edit(self)
    }
}
