//! A volume can't be mounted: its ConfigMap, Secret or claim is missing, or the storage does not
//! deliver.

use std::time::Duration;

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::k8s::Object;
use crate::rollout::{Container, Workload};

/// The kubelet tries for ever, and on a first install the ConfigMap may come after the pod.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let containers = workload.containers();
    let waits = |container: &&Container<'_>| {
        let reason = container.waiting().map(|(reason, _)| reason);
        matches!(reason, Some("ContainerCreating" | "PodInitializing"))
    };
    let (pod, event) = containers.iter().filter(waits).find_map(|container| {
        let mut warnings = workload.snapshot().warnings_about(container.pod);
        Some((container.pod, warnings.find(is_mount)?))
    })?;
    let message = event.text("/message").unwrap_or_default().trim();
    // What the API server does not have stays missing until somebody makes it; storage may be slow.
    let is_missing = message.contains("not found") || message.contains("non-existent");
    let gravity = if is_missing { Gravity::Fatal { grace: GRACE } } else { Gravity::Transient };
    Some(RootCause {
        kind: CauseKind::VolumeMount,
        workload: workload.id(),
        summary: format!("pod `{}` waits for a volume: {message}", pod.name()),
        gravity: gravity.unless_partly_ready(workload),
        evidence: vec![Evidence::of_event(pod, event)],
    })
}

fn is_mount(event: &&Object) -> bool {
    matches!(event.text("/reason"), Some("FailedMount" | "FailedAttachVolume"))
}
