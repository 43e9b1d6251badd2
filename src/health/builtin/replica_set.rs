//! apps/ReplicaSet.

use super::fields::{CheckError, FieldError, Fields, POD_TEMPLATE, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Degraded, Healthy, Progressing};
use crate::k8s::Object;

struct ReplicaSet<'a> {
    generation: i64,
    replicas: Option<i32>,
    observed_generation: i64,
    available_replicas: i32,
    failure: Option<&'a str>,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.minReadySeconds", Shape::Count),
    ("status.replicas", Shape::Count),
    ("status.readyReplicas", Shape::Count),
    ("status.fullyLabeledReplicas", Shape::Count),
];

/// Returns the health of a ReplicaSet.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    typed(object, "ReplicaSet", &["v1"], read).map(|replica_set| judge(&replica_set))
}

fn read(fields: Fields<'_>) -> Result<ReplicaSet<'_>, FieldError> {
    fields.agree(POD_TEMPLATE)?;
    fields.agree(SHAPE)?;
    let conditions = fields.conditions()?;
    let failure = conditions.iter().find(|condition| condition.kind == "ReplicaFailure");
    Ok(ReplicaSet {
        generation: fields.metadata()?.generation,
        replicas: fields.optional_count("spec.replicas")?,
        observed_generation: fields.generation("status.observedGeneration")?,
        available_replicas: fields.count("status.availableReplicas")?,
        failure: failure.filter(|c| c.status == "True").map(|c| c.message),
    })
}

fn judge(replica_set: &ReplicaSet<'_>) -> Health {
    let available = replica_set.available_replicas;
    if replica_set.generation > replica_set.observed_generation {
        return Progressing.because(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(message) = replica_set.failure {
        return Degraded.because(message);
    }
    if let Some(replicas) = replica_set.replicas.filter(|replicas| available < *replicas) {
        return Progressing.because(format!(
            "Waiting for rollout to finish: {available} out of {replicas} new replicas are available..."
        ));
    }
    Healthy.into()
}
