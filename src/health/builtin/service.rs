//! Service.

use super::fields::{CheckError, FieldError, Fields, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Healthy, Progressing};
use crate::k8s::Object;

struct Service<'a> {
    kind: &'a str,
    ingresses: usize,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.selector", Shape::MapOfTexts),
    ("spec.ports", Shape::ListOfMaps),
    ("spec.clusterIP", Shape::Text),
    ("spec.clusterIPs", Shape::ListOfTexts),
    ("spec.externalIPs", Shape::ListOfTexts),
    ("spec.externalName", Shape::Text),
    ("spec.sessionAffinity", Shape::Text),
];

/// Returns the health of a Service: only one of type LoadBalancer has something to wait for.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    let service = typed(object, "Service", &["v1"], read)?;
    let waits = service.kind == "LoadBalancer" && service.ingresses == 0;
    Ok(if waits { Progressing } else { Healthy }.into())
}

fn read(fields: Fields<'_>) -> Result<Service<'_>, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    Ok(Service {
        kind: fields.text("spec.type")?,
        ingresses: fields.length("status.loadBalancer.ingress")?,
    })
}
