//! PersistentVolumeClaim.

use super::fields::{CheckError, FieldError, Fields, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Unknown};
use crate::k8s::Object;

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.accessModes", Shape::ListOfTexts),
    ("spec.volumeName", Shape::Text),
    ("spec.storageClassName", Shape::Text),
    ("spec.volumeMode", Shape::Text),
    ("spec.resources", Shape::Map),
    ("status.accessModes", Shape::ListOfTexts),
    ("status.conditions", Shape::ListOfMaps),
];

/// Returns the health of a PersistentVolumeClaim, by its phase.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    let status = match typed(object, "PersistentVolumeClaim", &["v1"], phase)? {
        "Bound" => Healthy,
        "Pending" => Progressing,
        "Lost" => Degraded,
        _ => Unknown,
    };
    Ok(status.into())
}

fn phase(fields: Fields<'_>) -> Result<&str, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    fields.text("status.phase")
}
