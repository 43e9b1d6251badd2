//! What health rules say about objects.

use std::io;

use serde_json::Value;

use super::text::one_line;
use super::{Report, json};
use crate::health::{Assessment, DecidedBy, Health, HealthStatus};
use crate::k8s::ObjectId;
use crate::ops::HealthTestReport;

/// Objects and their health, in order.
pub struct HealthReport {
    /// The objects.
    pub resources: Vec<AssessedObject>,
    /// The health of the application that manages them all, if it was asked for.
    pub app: Option<Health>,
}

/// An object and its health.
pub struct AssessedObject {
    /// `apiVersion`.
    pub api_version: String,
    /// Which object.
    pub id: ObjectId,
    /// Its health, and which rule said so.
    pub assessment: Assessment,
}

impl HealthReport {
    /// Returns every status in it.
    pub fn statuses(&self) -> impl Iterator<Item = HealthStatus> {
        let objects = self.resources.iter().filter_map(|object| object.assessment.health.as_ref());
        objects.chain(&self.app).map(|health| health.status)
    }
}

impl Report for HealthReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for AssessedObject { id, assessment, .. } in &self.resources {
            // Whoever writes an object's status could else write lines of ours.
            let id = one_line(&id.to_string());
            let by = assessment.decided_by.as_ref().map(by).unwrap_or_default();
            match &assessment.health {
                Some(health) => writeln!(out, "{id}: {}{by}", said(health))?,
                None if assessment.is_empty_health() => writeln!(out, "{id}: empty health{by}")?,
                None => writeln!(out, "{id}: no health")?,
            }
        }
        match &self.app {
            Some(health) => writeln!(out, "application: {}", said(health)),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        json::v1::health(self)
    }
}

fn said(health: &Health) -> String {
    match one_line(&health.message).as_str() {
        "" => health.status.to_string(),
        message => format!("{}: {message}", health.status),
    }
}

/// Returns which rule decided, in brackets behind what it says.
fn by(rule: &DecidedBy) -> String {
    match rule {
        // The message says it.
        DecidedBy::Deletion => String::new(),
        DecidedBy::Config(_) => " (by your own rules)".to_owned(),
        DecidedBy::ArgoCdCm(key) => {
            let short = ["resource.customizations.health.", "resource.customizations:"];
            let name = short.iter().find_map(|prefix| key.strip_prefix(prefix)).unwrap_or(key);
            format!(" (by argocd-cm {})", one_line(name))
        }
        DecidedBy::Directory(directory) => format!(" (by script {})", one_line(directory)),
        DecidedBy::Native(_) => " (by deployctl's rules)".to_owned(),
        DecidedBy::Builtin(_) => " (by Argo CD's check)".to_owned(),
    }
}

impl Report for HealthTestReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for case in &self.failed {
            writeln!(out, "{}: expected {}, got {}", case.input, case.expected(), case.actual)?;
        }
        writeln!(out, "{} passed, {} failed", self.passed, self.failed.len())
    }

    fn json(&self) -> Value {
        json::v1::health_test(self)
    }
}
