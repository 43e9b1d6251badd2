//! apps/StatefulSet. It is never Degraded, whatever its pods do.

use super::fields::{CheckError, FieldError, Fields, POD_TEMPLATE, Shape, typed};
use crate::health::Health;
use crate::health::HealthStatus::{Healthy, Progressing};
use crate::k8s::Object;

struct StatefulSet<'a> {
    generation: i64,
    replicas: Option<i32>,
    strategy: &'a str,
    /// The partition of `rollingUpdate`, where that section is there at all.
    rolling_update: Option<Option<i32>>,
    observed_generation: i64,
    current_replicas: i32,
    ready_replicas: i32,
    updated_replicas: i32,
    current_revision: &'a str,
    update_revision: &'a str,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.minReadySeconds", Shape::Count),
    ("spec.serviceName", Shape::Text),
    ("spec.podManagementPolicy", Shape::Text),
    ("spec.revisionHistoryLimit", Shape::Count),
    ("spec.volumeClaimTemplates", Shape::ListOfMaps),
    ("status.replicas", Shape::Count),
    ("status.availableReplicas", Shape::Count),
    ("status.collisionCount", Shape::Count),
];

/// Returns the health of a StatefulSet.
pub(super) fn check(object: &Object) -> Result<Health, CheckError> {
    typed(object, "StatefulSet", &["v1"], read).map(|stateful_set| judge(&stateful_set))
}

fn read(fields: Fields<'_>) -> Result<StatefulSet<'_>, FieldError> {
    fields.agree(POD_TEMPLATE)?;
    fields.agree(SHAPE)?;
    let partition = |section: Fields<'_>| section.optional_count("partition");
    fields.conditions()?;
    Ok(StatefulSet {
        generation: fields.metadata()?.generation,
        replicas: fields.optional_count("spec.replicas")?,
        strategy: fields.text("spec.updateStrategy.type")?,
        rolling_update: fields.section("spec.updateStrategy.rollingUpdate", partition)?,
        observed_generation: fields.generation("status.observedGeneration")?,
        current_replicas: fields.count("status.currentReplicas")?,
        ready_replicas: fields.count("status.readyReplicas")?,
        updated_replicas: fields.count("status.updatedReplicas")?,
        current_revision: fields.text("status.currentRevision")?,
        update_revision: fields.text("status.updateRevision")?,
    })
}

fn judge(stateful_set: &StatefulSet<'_>) -> Health {
    let &StatefulSet { observed_generation: observed, ready_replicas: ready, .. } = stateful_set;
    // The controller starts to count at 1, so 0 says that it has not looked yet.
    if observed == 0 || stateful_set.generation > observed {
        return Progressing.because("Waiting for statefulset spec update to be observed...");
    }
    if let Some(replicas) = stateful_set.replicas.filter(|replicas| ready < *replicas) {
        return Progressing.because(format!(
            "Waiting for {} pods to be ready...",
            i64::from(replicas) - i64::from(ready)
        ));
    }
    match (stateful_set.strategy, stateful_set.rolling_update) {
        // The API server writes `partition: 0` into every set, so this arm decides about all real
        // sets and the revisions below are never compared. See argo-cd#6527.
        ("RollingUpdate", Some(partition)) => judge_partition(stateful_set, partition),
        ("OnDelete", _) => Healthy.because(format!("statefulset has {ready} ready pods")),
        _ => judge_revisions(stateful_set),
    }
}

fn judge_partition(stateful_set: &StatefulSet<'_>, partition: Option<i32>) -> Health {
    let updated = stateful_set.updated_replicas;
    if let (Some(replicas), Some(partition)) = (stateful_set.replicas, partition) {
        let wanted = i64::from(replicas) - i64::from(partition);
        if i64::from(updated) < wanted {
            return Progressing.because(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {wanted} new pods have been updated..."
            ));
        }
    }
    Healthy
        .because(format!("partitioned roll out complete: {updated} new pods have been updated..."))
}

fn judge_revisions(stateful_set: &StatefulSet<'_>) -> Health {
    let &StatefulSet { current_revision: current, update_revision: update, .. } = stateful_set;
    if update != current {
        return Progressing.because(format!(
            "waiting for statefulset rolling update to complete {} pods at revision {update}...",
            stateful_set.updated_replicas
        ));
    }
    Healthy.because(format!(
        "statefulset rolling update complete {} pods at revision {current}...",
        stateful_set.current_replicas
    ))
}
