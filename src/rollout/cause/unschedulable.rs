//! No node takes a pod: resources, taints, selectors, volumes.

use std::time::Duration;

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::k8s::Object;
use crate::rollout::Workload;

/// An autoscaler needs some time to say that it is at work.
const GRACE: Duration = Duration::from_secs(60);

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let pods = workload.current_pods();
    let (pod, message) = pods.into_iter().find_map(|pod| Some((pod, unscheduled(pod)?)))?;
    let snapshot = workload.snapshot();
    let scales_up = |event: &Object| event.text("/reason") == Some("TriggeredScaleUp");
    let helped = snapshot.events_about(pod).any(scales_up);
    Some(RootCause {
        kind: CauseKind::Unschedulable,
        workload: workload.id(),
        summary: format!("no node takes pod `{}`: {message}", pod.name()),
        gravity: if helped { Gravity::Transient } else { Gravity::Fatal { grace: GRACE } },
        evidence: vec![Evidence::of_object(pod, "Unschedulable", message)],
    })
}

fn unscheduled(pod: &Object) -> Option<&str> {
    let says_no = |condition: &crate::k8s::Condition<'_>| {
        condition.kind == "PodScheduled"
            && condition.status == "False"
            && condition.reason == "Unschedulable"
    };
    pod.conditions().find(says_no).map(|condition| condition.message)
}
