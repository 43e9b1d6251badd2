//! What was built.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::{BuildReport, Explanation};

impl Report for BuildReport {
    /// One line a service: the pinned image alone if the build was about one service, else with its
    /// name, as `set` takes it; in a dry run what would be built.
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match (self.images.as_slice(), self.planned.as_slice()) {
            ([built], []) if !self.several => writeln!(out, "{}", built.image)?,
            (images, _) => images
                .iter()
                .try_for_each(|built| writeln!(out, "{}={}", built.service, built.image))?,
        }
        for planned in &self.planned {
            writeln!(out, "{}: would be built", planned.service)?;
        }
        self.explained.iter().try_for_each(|explanation| explain(explanation, out))
    }

    fn json(&self) -> Value {
        json::v1::build(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let lines = self.images.iter().map(|built| format!("{}={}", built.service, built.image));
        let mut outputs = vec![("images", lines.collect::<Vec<_>>().join("\n"))];
        if let ([built], []) = (self.images.as_slice(), self.planned.as_slice()) {
            outputs.push(("image", built.image.to_string()));
            outputs.push(("digest", built.image.digest.to_string()));
        }
        if let Some(since) = &self.since {
            // As a matrix takes it, with `fromJSON`.
            let names: Vec<&String> = since.changed.iter().map(|(service, _)| service).collect();
            outputs.push(("changed", serde_json::json!(names).to_string()));
        }
        outputs
    }

    fn summary(&self) -> String {
        let mut rows = String::new();
        for built in &self.images {
            let what = match &built.reused {
                Some(tag) => format!("nothing changed (`{tag}`)"),
                None => "built".to_owned(),
            };
            rows.push_str(&format!("| {} | `{}` | {what} |\n", built.service, built.image));
        }
        for planned in &self.planned {
            rows.push_str(&format!("| {} | | would be built |\n", planned.service));
        }
        for failed in &self.failed {
            let reason = failed.reason.replace('|', "\\|").replace('\n', " ");
            rows.push_str(&format!("| {} | | failed: {reason} |\n", failed.service));
        }
        let mut text = format!("### Built\n\n| service | image | |\n|---|---|---|\n{rows}\n");
        for explanation in &self.explained {
            for change in &explanation.changes {
                let change = change.to_string().replace('\n', " ");
                text.push_str(&format!("- {}: {change}\n", explanation.service));
            }
        }
        text
    }
}

/// Writes which inputs of a service differ.
fn explain(explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    let Explanation { service, last, changes } = explanation;
    match (last, changes.as_slice()) {
        (Err(reason), _) => writeln!(out, "{service}: nothing to compare with: {reason}"),
        (Ok(last), []) => writeln!(out, "{service}: made of the same as {last}"),
        (Ok(last), changes) => {
            writeln!(out, "{service}: differs from {last}")?;
            changes.iter().try_for_each(|change| writeln!(out, "  {change}"))
        }
    }
}
