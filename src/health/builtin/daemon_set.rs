//! apps/DaemonSet. It is never Degraded, whatever its pods do.

use super::fields::{CheckError, FieldError, Fields, POD_TEMPLATE, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Healthy, Progressing};
use crate::k8s::Object;

struct DaemonSet<'a> {
    name: &'a str,
    generation: i64,
    strategy: &'a str,
    observed_generation: i64,
    desired: i32,
    updated: i32,
    available: i32,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.minReadySeconds", Shape::Count),
    ("spec.updateStrategy.rollingUpdate", Shape::Map),
    ("spec.revisionHistoryLimit", Shape::Count),
    ("status.currentNumberScheduled", Shape::Count),
    ("status.numberMisscheduled", Shape::Count),
    ("status.numberReady", Shape::Count),
    ("status.numberUnavailable", Shape::Count),
    ("status.collisionCount", Shape::Count),
];

/// Returns the health of a DaemonSet.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    typed(object, "DaemonSet", &["v1"], read).map(|daemon_set| judge(&daemon_set))
}

fn read(fields: Fields<'_>) -> Result<DaemonSet<'_>, FieldError> {
    fields.agree(POD_TEMPLATE)?;
    fields.agree(SHAPE)?;
    let metadata = fields.metadata()?;
    fields.conditions()?;
    Ok(DaemonSet {
        name: metadata.name,
        generation: metadata.generation,
        strategy: fields.text("spec.updateStrategy.type")?,
        observed_generation: fields.generation("status.observedGeneration")?,
        desired: fields.count("status.desiredNumberScheduled")?,
        updated: fields.count("status.updatedNumberScheduled")?,
        available: fields.count("status.numberAvailable")?,
    })
}

fn judge(daemon_set: &DaemonSet<'_>) -> Health {
    let &DaemonSet { name, desired, updated, available, .. } = daemon_set;
    if daemon_set.generation > daemon_set.observed_generation {
        return Progressing.because(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    if daemon_set.strategy == "OnDelete" {
        return Healthy
            .because(format!("daemon set {updated} out of {desired} new pods have been updated"));
    }
    if updated < desired {
        return Progressing.because(format!(
            "Waiting for daemon set {name:?} rollout to finish: {updated} out of {desired} new pods have been updated..."
        ));
    }
    if available < desired {
        return Progressing.because(format!(
            "Waiting for daemon set {name:?} rollout to finish: {available} of {desired} updated pods are available..."
        ));
    }
    Healthy.into()
}
