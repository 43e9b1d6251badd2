//! PersistentVolumeClaim.

use super::fields::{CheckError, FieldError, Fields, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Unknown};
use crate::k8s::Object;

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
    fields.metadata()?;
    fields.text("status.phase")
}
