//! A node puts a pod out: it is under pressure, it shuts down, or a pod of higher priority takes the
//! place.

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::k8s::Object;

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let (reason, message) = put_out(suspect.pod)?;
    // In the kubelet's words, `pkg/kubelet/eviction/eviction_manager.go`: a limit of the pod's own.
    let exceeds = message.contains("exceeds the") || message.contains("exceeded its");
    let (what, advice) = match reason {
        "Evicted" if exceeds => (
            "was evicted",
            "Have the program write less to its disk, or raise the limit: `sizeLimit` of the volume, `ephemeral-storage` of the container",
        ),
        "Evicted" => (
            "was evicted",
            "Look at the node's conditions; set `resources.requests` to what the program needs, and a limit on `ephemeral-storage`",
        ),
        "Preempting" | "Preempted" | "PreemptionByScheduler" | "PreemptionByKubeScheduler" => (
            "made room for a pod of higher priority",
            "Give it a `priorityClassName` of its own, or the cluster more room",
        ),
        "NodeLost" => {
            ("is on a node that is lost", "Look at the node, or delete it if it does not return")
        }
        _ => ("lost its node", "Look at the node's events: it shuts down or is drained"),
    };
    let summary = format!("pod `{}` {what}: {message}", suspect.pod.name());
    let mut evidence = vec![Evidence::of_object(suspect.pod, reason, message)];
    evidence.extend(Evidence::of_warnings(suspect.snapshot(), suspect.pod));
    let because = match exceeds {
        true => "the controller makes another pod, which may write less",
        false => "the controller makes another pod",
    };
    let weight = Weight::new(Gravity::Transient, because, advice);
    Some(suspect.cause(CauseKind::Eviction, &summary, weight, evidence))
}

fn put_out(pod: &Object) -> Option<(&str, &str)> {
    const REASONS: &[&str] = &[
        "Evicted",
        "Preempting",
        "NodeShutdown",
        "Shutdown",
        "Terminated",
        "NodeLost",
        "NodeAffinity",
    ];
    let reason = pod.text("/status/reason").unwrap_or_default();
    if REASONS.contains(&reason) {
        return Some((reason, pod.text("/status/message").unwrap_or_default()));
    }
    let disruption = pod.conditions().find(|c| c.kind == "DisruptionTarget" && c.status == "True");
    disruption.map(|condition| (condition.reason, condition.message))
}
