//! The spec of an Argo Rollout is none that its controller accepts.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::rollout::{ArgoRollout, Workload};

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let rollout = ArgoRollout::new(workload.object()).filter(|rollout| rollout.is_observed())?;
    let mut conditions = rollout.object().conditions();
    let invalid = conditions.find(|c| c.kind == "InvalidSpec" && c.status == "True")?;
    let name = rollout.object().name();
    let start = format!("The Rollout \"{name}\" is invalid: ");
    let message = invalid.message.strip_prefix(&start).unwrap_or(invalid.message);
    // A template or a Service may come with the same sync, a moment later.
    let weight = match message.contains("not found") {
        true => Weight::new(
            Gravity::after(30),
            "what it refers to comes only if somebody makes it",
            "Add what the message names to the overlay, or correct the reference",
        ),
        false => Weight::new(
            Gravity::NOW,
            "its controller does nothing before the spec is valid",
            "Correct the field that the message names; `kubectl argo rollouts lint -f FILE` finds such before a commit",
        ),
    };
    let summary = format!("Rollout `{name}` is invalid: {message}");
    let evidence = vec![Evidence::of_object(rollout.object(), invalid.reason, invalid.message)];
    Some(RootCause::new(CauseKind::RolloutSpec, workload.id(), &summary, weight, evidence))
}
