//! networking.k8s.io/Ingress and extensions/Ingress, in any version.

use super::fields::CheckError;
use crate::health::Health;
use crate::health::HealthStatus::{Healthy, Progressing};
use crate::k8s::Object;

/// Returns the health of an Ingress: Healthy once a controller has written an address.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    let has_address = !object.list("/status/loadBalancer/ingress").is_empty();
    Ok(if has_address { Healthy } else { Progressing }.into())
}
