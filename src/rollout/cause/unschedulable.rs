//! No node takes a pod: resources, taints, selectors, volumes.

use serde_json::Value;

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::k8s::Object;

/// An autoscaler needs some time to say that it is at work.
const GRACE: Gravity = Gravity::after(60);

/// Words of the scheduler, and what to do about them; those of older versions too.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["volume node affinity conflict", "no available volume zone"],
        "The pod's volume is in another zone than the nodes that could take it: add a node there, or use a storage class with `volumeBindingMode: WaitForFirstConsumer`",
    ),
    (
        &["match pod's node affinity", "match node selector"],
        "No node has these labels: correct `nodeSelector` and `affinity`, or label a node",
    ),
    (
        &["unbound immediate persistentvolumeclaims", "persistentvolumeclaim"],
        "Look at the claim: its name, its storage class, and the events of `kubectl describe pvc`",
    ),
    (&["taint"], "Add a toleration for the taint, or nodes without it"),
    (
        &["insufficient", "too many pods"],
        "Lower `resources.requests`, remove other pods, or add nodes",
    ),
    (&["free ports"], "Use no `hostPort`, or have no more pods than nodes"),
    (
        &["pod topology spread", "anti-affinity", "affinity rules"],
        "Make the spread or the anti-affinity a preference, or add nodes; a surge pod needs a place of its own beside the old ones",
    ),
    (&["unschedulable"], "The nodes are cordoned: `kubectl uncordon`, or wait for the drain's end"),
];

/// Taints by which a node says that it is in trouble itself.
const PRESSURE: &[&str] = &[
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

/// What autoscalers say when they bring a node.
const HELP: &[&str] = &["TriggeredScaleUp", "Nominated", "ProvisioningRequest"];

/// What they say when they can't.
const NO_HELP: &[&str] = &["NotTriggerScaleUp"];

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let (pod, message) = (suspect.pod, unscheduled(suspect.pod)?);
    let snapshot = suspect.snapshot();
    let says = |event: &&Object, words: &[&str]| {
        event.text("/reason").is_some_and(|reason| words.contains(&reason))
    };
    let help = snapshot.events_about(pod).find(|event| says(event, HELP));
    let no_help = snapshot.events_about(pod).find(|event| says(event, NO_HELP));
    let mut evidence = vec![Evidence::of_object(pod, "Unschedulable", message)];
    evidence.extend(help.or(no_help).map(|event| Evidence::of_event(pod, event)));
    let weight = weight(message, help.is_some(), &asked(pod));
    let summary = format!("no node takes pod `{}`: {message}", pod.name());
    Some(suspect.cause(CauseKind::Unschedulable, &summary, weight, evidence))
}

fn weight(message: &str, is_helped: bool, asked: &str) -> Weight {
    let text = message.to_ascii_lowercase();
    // Nodes may each have a reason of their own.
    let known = ADVICE.iter().filter(|(words, _)| words.iter().any(|word| text.contains(word)));
    let known: Vec<_> = known.take(2).map(|(_, advice)| *advice).collect();
    let advice = if known.is_empty() { vec!["Read the scheduler's message"] } else { known };
    let advice = format!("{}{asked}", advice.join("; "));
    if is_helped {
        return Weight::new(Gravity::Transient, "an autoscaler brings a node", advice);
    }
    if PRESSURE.iter().any(|taint| text.contains(taint)) {
        return Weight::new(
            Gravity::Transient,
            "a node's trouble passes, or the node is replaced",
            "Look at the conditions of the nodes: `kubectl describe nodes`",
        );
    }
    Weight::new(GRACE, "no node takes it, and no autoscaler has said that it brings one", advice)
}

// What the pod asks for, as far as it is short: the scheduler tells what nodes lack, not what was
// wanted.
fn asked(pod: &Object) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in
        pod.at("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten()
    {
        parts.push(format!("label {key}={}", value.as_str().unwrap_or_default()));
    }
    for container in pod.list("/spec/containers") {
        let requests = container.pointer("/resources/requests").and_then(Value::as_object);
        for (key, value) in requests.into_iter().flatten() {
            let quantity = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            parts.push(format!("{key} {quantity} for `{name}`"));
        }
    }
    parts.truncate(6);
    if parts.is_empty() { String::new() } else { format!(" (it asks for {})", parts.join(", ")) }
}

fn unscheduled(pod: &Object) -> Option<&str> {
    let says_no = |condition: &crate::k8s::Condition<'_>| {
        condition.kind == "PodScheduled"
            && condition.status == "False"
            && condition.reason == "Unschedulable"
    };
    pod.conditions().find(says_no).map(|condition| condition.message)
}
