//! What was written into an environment.

use std::io;

use serde_json::Value;

use super::{Report, diff, json};
use crate::ops::{Merging, Outcome, SetReport, Superseded, rendered_diff};
use crate::promotion::Hold;

/// How much of the rendered difference a step summary shows, in bytes; all of it may have 1 MiB.
const MOST_IN_SUMMARY: usize = 128 << 10;

impl Report for SetReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if matches!(self.outcome, Outcome::DryRun) {
            self.edits.iter().try_for_each(|edit| diff::colored(&edit.diff, out))?;
            for change in self.rendered() {
                writeln!(out, "rendered, that changes in {}:", change.overlay)?;
                diff::colored(&change.diff, out)?;
            }
        }
        writeln!(out, "{}", sentence(self))
    }

    fn json(&self) -> Value {
        json::v1::set(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let mut outputs = vec![("changed", self.is_changed().to_string())];
        match &self.outcome {
            Outcome::Pushed { commit, .. } => outputs.push(("commit", commit.to_string())),
            Outcome::PullRequest { url, .. } => outputs.push(("pull-request", url.clone())),
            Outcome::Unchanged { tip } => outputs.push(("commit", tip.to_string())),
            Outcome::DryRun | Outcome::Superseded => {}
            Outcome::Held { .. } => outputs.push(("held", "true".to_owned())),
        }
        if !self.superseded.is_empty() {
            outputs.push(("superseded", true.to_string()));
        }
        outputs
    }

    fn summary(&self) -> String {
        let diffs = self.edits.iter().filter(|edit| !edit.diff.is_empty());
        let diffs = diffs.map(|edit| format!("```diff\n{}```\n\n", edit.diff));
        let diffs: String = diffs.collect();
        let rendered = rendered_diff(self.rendered(), MOST_IN_SUMMARY);
        format!("### {}\n\n{}\n\n{diffs}{rendered}", self.environment, sentence(self))
    }
}

/// Returns that nothing was written, and what keeps it from that.
fn held(environment: &str, holds: &[Hold]) -> String {
    let lines: String = holds.iter().map(|hold| format!("\n  {}", hold.sentence())).collect();
    format!("{environment} was not changed:{lines}\n  {}", release_hint(environment, holds))
}

/// Returns what to do about holds.
fn release_hint(environment: &str, holds: &[Hold]) -> String {
    let services: Vec<&str> = holds.iter().map(|hold| hold.service.as_str()).collect();
    format!(
        "until `deployctl release-hold {} --env {environment}`, or a person sets or promotes any image",
        services.join(" ")
    )
}

/// Returns what came of the change, as a sentence.
pub(super) fn sentence(report: &SetReport) -> String {
    let environment = &report.environment;
    let images: Vec<_> = report.edits.iter().map(|edit| edit.image.to_string()).collect();
    let images = images.join(", ");
    let newer: Vec<_> = report.superseded.iter().map(|left| newer(environment, left)).collect();
    if report.outcome == Outcome::Superseded {
        let newer = newer.join("; ");
        return format!(
            "superseded: {newer}; nothing was written (`--allow-older` writes it all the same)"
        );
    }
    let written = written(report, &images);
    match newer.as_slice() {
        [] => written,
        newer => format!("{written}; superseded: {}", newer.join("; ")),
    }
}

/// Returns what a service has that was left alone.
fn newer(environment: &str, left: &Superseded) -> String {
    let by = &left.by;
    let source = by.record.source.as_ref().map(|source| {
        let short = source.commit.get(..12).unwrap_or(&source.commit);
        format!(" from commit {short}")
    });
    format!(
        "{environment} has the newer {}{} since {} by {}",
        by.record.image,
        source.unwrap_or_default(),
        by.commit.get(..12).unwrap_or(&by.commit),
        by.author,
    )
}

fn written(report: &SetReport, images: &str) -> String {
    let environment = &report.environment;
    match &report.outcome {
        Outcome::Unchanged { .. } => format!("unchanged: {environment} already states {images}"),
        Outcome::Superseded => format!("superseded: {images}"),
        Outcome::Held { holds } => held(environment, holds),
        Outcome::DryRun => format!("dry run: {environment} would state {images}"),
        Outcome::Pushed { commit, branch } => {
            format!("{environment} states {images}: {} on {branch}", commit.short())
        }
        Outcome::PullRequest { number, url, merging, .. } => {
            let then = match merging {
                None => "",
                Some(Merging::Merged) => ", merged",
                Some(Merging::Queued) => ", in the merge queue",
                Some(Merging::Enabled) => ", merged by GitHub when its requirements are met",
                Some(Merging::Overtaken) => ", and another run has changed it since",
            };
            format!("pull request #{number} puts {images} into {environment}{then}: {url}")
        }
    }
}
