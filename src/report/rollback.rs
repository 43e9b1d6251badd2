//! What was rolled back, and which holds were released.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::{Basis, Outcome, ReleaseReport, Return, RollbackReport};
use crate::promotion::{Hold, minute};

impl Report for RollbackReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.set.human(out)?;
        self.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        self.hold_line().map_or(Ok(()), |line| writeln!(out, "{line}"))
    }

    fn json(&self) -> Value {
        json::v1::rollback(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        self.set.outputs()
    }

    fn summary(&self) -> String {
        let lines: String = self.lines().map(|line| format!("- {line}\n")).collect();
        let hold = self.hold_line().map(|line| format!("\n{line}\n")).unwrap_or_default();
        format!("{}{lines}{hold}\n", self.set.summary())
    }
}

impl RollbackReport {
    /// Returns what each service returns to that does not state it already, a line each.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.returns.iter().filter(|found| found.from != found.image.to_string()).map(line)
    }

    fn hold_line(&self) -> Option<String> {
        let services: Vec<&str> = self.holds.iter().map(|hold| hold.service.as_str()).collect();
        let services = services.join(" ");
        let (environment, dry) = (&self.set.environment, self.set.outcome == Outcome::DryRun);
        let are = if dry { "would be" } else { "is" };
        (!self.holds.is_empty()).then(|| {
            format!(
                "{environment} {are} held against pipelines until `deployctl release-hold \
                 {services} --env {environment}`, or a person sets or promotes any image"
            )
        })
    }
}

/// Returns for example `web returns to …, verified 2026-11-22 10:00 UTC by Ada; it was …`.
fn line(found: &Return) -> String {
    let basis = match &found.basis {
        Basis::Verified { time, by } => format!("verified {} by {by}", minute(*time)),
        Basis::History { commit } => format!("as {} stated it, never verified", short(commit)),
        Basis::Revision { commit } => format!("as {} states it", short(commit)),
    };
    format!("{} returns to {}, {basis}; it was {}", found.service, found.image, found.from)
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

impl Report for ReleaseReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let verb = if self.dry_run { "would release" } else { "released" };
        if self.released.is_empty() {
            return writeln!(out, "nothing is held in {}", self.environment);
        }
        let sentence = if self.dry_run { Hold::sentence } else { Hold::past_sentence };
        self.released.iter().try_for_each(|hold| writeln!(out, "{verb}: {}", sentence(hold)))
    }

    fn json(&self) -> Value {
        json::v1::release_hold(self)
    }
}
