//! argoproj.io/Workflow, in any version.

use super::fields::{CheckError, FieldError, Fields, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Unknown};
use crate::k8s::Object;

/// Returns the health of a Workflow, by its phase.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    let (phase, message) = typed(object, "Workflow", &[object.version()], read)?;
    let status = match phase {
        "" | "Pending" | "Running" => Progressing,
        "Succeeded" => Healthy,
        "Failed" | "Error" => Degraded,
        _ => Unknown,
    };
    Ok(status.because(message))
}

fn read(fields: Fields<'_>) -> Result<(&str, &str), FieldError> {
    Ok((fields.text("status.phase")?, fields.text("status.message")?))
}
