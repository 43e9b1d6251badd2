//! A volume can't be mounted: its ConfigMap, Secret or claim is missing, or the storage does not
//! deliver.

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::k8s::Object;

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let waits = suspect.containers.iter().any(|container| {
        let reason = container.waiting().map(|(reason, _)| reason);
        matches!(reason, Some("ContainerCreating" | "PodInitializing"))
    });
    // Once an init container runs, all volumes are mounted.
    let started = suspect.containers.iter().any(|c| c.is_running() || c.terminated().is_some());
    let event = suspect.warnings().filter(|_| waits && !started).find(is_mount)?;
    // The kubelet also says that it waited for all volumes in vain, which names none.
    let telling = suspect.warnings().find(|event| is_mount(event) && !is_time_out(event));
    let event = telling.unwrap_or(event);
    let message = event.text("/message").unwrap_or_default().trim();
    let summary = format!("pod `{}` waits for a volume: {message}", suspect.pod.name());
    let mut evidence = vec![Evidence::of_event(suspect.pod, event)];
    evidence.extend(Evidence::of_warnings(suspect.snapshot(), suspect.pod));
    Some(suspect.cause(CauseKind::VolumeMount, &summary, weight(message), evidence))
}

fn weight(message: &str) -> Weight {
    let text = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["failed to sync"]) && says(&["cache"]) {
        return Weight::new(
            Gravity::Transient,
            "the kubelet's cache fills by itself",
            "Wait; if it lasts, look at the kubelet of the pod's node",
        );
    }
    // What the API server does not have stays missing until somebody makes it; on a first install
    // the ConfigMap may come after the pod.
    if says(&["not found", "non-existent"]) {
        return Weight::new(
            Gravity::after(30),
            "the kubelet tries for ever, and what is missing comes only if somebody makes it",
            "Make the ConfigMap, Secret, key or claim that the volume names in the pod's namespace, or correct its name, or mark it `optional: true`",
        );
    }
    if says(&["multi-attach"]) {
        return Weight::new(
            Gravity::Transient,
            "the volume comes free when the pod that has it is gone",
            "A volume of access mode ReadWriteOnce serves one node: use `strategy: {type: Recreate}`, or look why the old pod does not go",
        );
    }
    Weight::new(
        Gravity::Transient,
        "storage may be slow, and the kubelet tries again",
        "Look at the storage driver's pods and at the VolumeAttachments of the node",
    )
}

fn is_mount(event: &&Object) -> bool {
    matches!(event.text("/reason"), Some("FailedMount" | "FailedAttachVolume" | "FailedMapVolume"))
}

fn is_time_out(event: &Object) -> bool {
    let message = event.text("/message").unwrap_or_default();
    message.starts_with("Unable to attach or mount volumes")
}
