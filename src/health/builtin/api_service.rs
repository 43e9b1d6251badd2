//! apiregistration.k8s.io/APIService.

use super::fields::{CheckError, Condition, FieldError, Fields, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Healthy, Progressing};
use crate::k8s::Object;

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.group", Shape::Text),
    ("spec.version", Shape::Text),
    ("spec.service", Shape::Map),
    ("spec.caBundle", Shape::Text),
    ("spec.insecureSkipTLSVerify", Shape::Flag),
    ("spec.groupPriorityMinimum", Shape::Count),
    ("spec.versionPriority", Shape::Count),
];

/// Returns the health of an APIService, by its condition `Available`.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    let conditions = typed(object, "APIService", &["v1", "v1beta1"], read)?;
    let Some(available) = conditions.iter().find(|condition| condition.kind == "Available") else {
        return Ok(Progressing.because("Waiting to be processed"));
    };
    let status = if available.status == "True" { Healthy } else { Progressing };
    Ok(status.because(format!("{}: {}", available.reason, available.message)))
}

fn read(fields: Fields<'_>) -> Result<Vec<Condition<'_>>, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    fields.conditions()
}
