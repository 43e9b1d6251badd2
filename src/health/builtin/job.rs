//! batch/Job.

use super::fields::{CheckError, Condition, FieldError, Fields, Shape, typed};
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Suspended};
use crate::health::{ArgoCdVersion, Health};
use crate::k8s::Object;

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.parallelism", Shape::Count),
    ("spec.completions", Shape::Count),
    ("spec.backoffLimit", Shape::Count),
    ("spec.activeDeadlineSeconds", Shape::Integer),
    ("spec.ttlSecondsAfterFinished", Shape::Count),
    ("spec.suspend", Shape::Flag),
    ("spec.template", Shape::Map),
    ("spec.template.spec.containers", Shape::ListOfMaps),
    ("status.startTime", Shape::Time),
    ("status.completionTime", Shape::Time),
    ("status.active", Shape::Count),
    ("status.succeeded", Shape::Count),
    ("status.failed", Shape::Count),
];

/// Returns the health of a Job.
pub(super) fn check(object: &Object, version: ArgoCdVersion) -> Result<Health, CheckError> {
    typed(object, "Job", &["v1"], read).map(|conditions| judge(&conditions, version))
}

fn read(fields: Fields<'_>) -> Result<Vec<Condition<'_>>, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    fields.conditions()
}

/// Conditions count by being there, `Failed` and `Complete` whatever their status; and one
/// `Suspended` with status False, on a job that was resumed, counts as Healthy.
fn judge(conditions: &[Condition<'_>], version: ArgoCdVersion) -> Health {
    let of_kind = |kind: &str| conditions.iter().rev().find(|c| c.kind == kind);
    if let Some(failed) = of_kind("Failed") {
        return Degraded.because(failed.message);
    }
    let is_end = |condition: &&Condition<'_>| matches!(condition.kind, "Complete" | "Suspended");
    let Some(last) = conditions.iter().rev().find(is_end) else {
        return Progressing.into();
    };
    let is_suspended = conditions.iter().any(|c| c.kind == "Suspended" && c.status == "True");
    match is_suspended {
        true if version < ArgoCdVersion::V3_6 => Suspended.into(),
        true => Suspended.because(last.message),
        false => Healthy.because(last.message),
    }
}
