//! apps/Deployment.

use super::fields::{CheckError, FieldError, Fields, POD_TEMPLATE, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Suspended};
use crate::k8s::Object;

struct Deployment<'a> {
    name: &'a str,
    generation: i64,
    paused: bool,
    replicas: Option<i32>,
    observed_generation: i64,
    current_replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
    exceeded_deadline: bool,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.minReadySeconds", Shape::Count),
    ("spec.strategy.type", Shape::Text),
    ("spec.strategy.rollingUpdate", Shape::Map),
    ("spec.revisionHistoryLimit", Shape::Count),
    ("spec.progressDeadlineSeconds", Shape::Count),
    ("status.readyReplicas", Shape::Count),
    ("status.unavailableReplicas", Shape::Count),
    ("status.collisionCount", Shape::Count),
];

/// Returns the health of a Deployment.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    typed(object, "Deployment", &["v1"], read).map(|deployment| judge(&deployment))
}

fn read(fields: Fields<'_>) -> Result<Deployment<'_>, FieldError> {
    fields.agree(POD_TEMPLATE)?;
    fields.agree(SHAPE)?;
    let metadata = fields.metadata()?;
    // The first condition of a type is the one that counts, and its status is not looked at.
    let conditions = fields.conditions()?;
    let progress = conditions.iter().find(|condition| condition.kind == "Progressing");
    Ok(Deployment {
        name: metadata.name,
        generation: metadata.generation,
        paused: fields.flag("spec.paused")?,
        replicas: fields.optional_count("spec.replicas")?,
        observed_generation: fields.generation("status.observedGeneration")?,
        current_replicas: fields.count("status.replicas")?,
        updated_replicas: fields.count("status.updatedReplicas")?,
        available_replicas: fields.count("status.availableReplicas")?,
        exceeded_deadline: progress.is_some_and(|c| c.reason == "ProgressDeadlineExceeded"),
    })
}

fn judge(deployment: &Deployment<'_>) -> Health {
    let &Deployment { name, replicas, updated_replicas: updated, .. } = deployment;
    let (current, available) = (deployment.current_replicas, deployment.available_replicas);
    if deployment.paused {
        return Suspended.because("Deployment is paused");
    }
    if deployment.generation > deployment.observed_generation {
        return waiting("observed deployment generation less than desired generation");
    }
    if deployment.exceeded_deadline {
        return Degraded.because(format!("Deployment {name:?} exceeded its progress deadline"));
    }
    if let Some(replicas) = replicas.filter(|replicas| updated < *replicas) {
        return waiting(&format!("{updated} out of {replicas} new replicas have been updated..."));
    }
    if current > updated {
        let old = i64::from(current) - i64::from(updated);
        return waiting(&format!("{old} old replicas are pending termination..."));
    }
    if available < updated {
        return waiting(&format!("{available} of {updated} updated replicas are available..."));
    }
    Healthy.into()
}

fn waiting(what: &str) -> Health {
    Progressing.because(format!("Waiting for rollout to finish: {what}"))
}
