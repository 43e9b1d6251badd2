//! A PodDisruptionBudget allows no disruption: drains and updates of nodes wait for it.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Snapshot;

pub(super) fn find(object: &Object, _: &Snapshot) -> Option<RootCause> {
    if (object.group(), object.kind()) != ("policy", "PodDisruptionBudget") {
        return None;
    }
    let number = |pointer: &str| object.integer(pointer).unwrap_or(0);
    let (healthy, desired) = (number("/status/currentHealthy"), number("/status/desiredHealthy"));
    let expected = number("/status/expectedPods");
    let mut conditions = object.conditions().filter(|c| c.kind == "DisruptionAllowed");
    let (reason, message) = match conditions.next() {
        Some(refuses) if refuses.status == "False" => (refuses.reason, refuses.message),
        Some(_) => return None,
        // Kubernetes before 1.22 states numbers only.
        None if expected > 0 && object.integer("/status/disruptionsAllowed") == Some(0) => {
            ("InsufficientPods", "")
        }
        None => return None,
    };
    // A controller of pods does not ask the budget, only who evicts them does.
    let (because, advice) = if desired >= expected && expected > 0 {
        (
            "a rollout does not ask the budget, only a drain does",
            "It never allows one: let `minAvailable` be below the number of replicas, or `maxUnavailable` at least 1",
        )
    } else {
        (
            "it allows disruptions again once enough pods are ready",
            "Look why the pods are not ready",
        )
    };
    let said = if message.is_empty() { reason } else { message };
    let summary = format!(
        "disruption budget `{}` allows none: {healthy} of {desired} required pods are healthy ({said})",
        object.name()
    );
    let evidence = vec![Evidence::of_object(object, reason, message)];
    let weight = Weight::new(Gravity::Transient, because, advice);
    Some(RootCause::new(CauseKind::DisruptionBudget, object.id(), &summary, weight, evidence))
}
