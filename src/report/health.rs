//! What health rules say about objects.

use std::io;

use serde_json::Value;

use super::text::one_line;
use super::{Report, json};
use crate::health::{Assessment, Health, HealthStatus};
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
            let id = one_line(&id.to_string());
            match &assessment.health {
                Some(health) => line(out, &id, health)?,
                None if assessment.is_empty_health() => writeln!(out, "{id}: empty health")?,
                None => writeln!(out, "{id}: no health")?,
            }
        }
        self.app.as_ref().map_or(Ok(()), |health| line(out, "application", health))
    }

    fn json(&self) -> Value {
        json::v1::health(self)
    }
}

fn line(out: &mut dyn io::Write, what: &str, health: &Health) -> io::Result<()> {
    // Whoever writes an object's status could else write lines of ours.
    match one_line(&health.message).as_str() {
        "" => writeln!(out, "{what}: {}", health.status),
        message => writeln!(out, "{what}: {}: {message}", health.status),
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
