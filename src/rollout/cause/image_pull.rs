//! The image can't be pulled: no such tag, no such name, no credentials, or the registry is busy.

use std::time::Duration;

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::rollout::{Container, Workload};

const REASONS: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// What registries and container runtimes say, and what it means. The first match counts: a busy
/// registry's answer often mentions credentials too.
const MEANINGS: &[(&[&str], &str, Gravity)] = &[
    (
        &["toomanyrequests", "429", "rate limit"],
        "the registry answers that there were too many requests",
        Gravity::Transient,
    ),
    (
        &["no match for platform", "no matching manifest"],
        "the image is not made for the node's platform",
        Gravity::NOW,
    ),
    (
        &["not found", "manifest unknown", "name unknown", "repository does not exist"],
        "the registry has no such image",
        Gravity::NOW,
    ),
    (
        &["unauthorized", "authorization failed", "authentication required", "denied", "forbidden"],
        "the registry refuses the node's credentials",
        Gravity::Fatal { grace: Duration::from_secs(30) },
    ),
    (
        &["invalid reference format", "couldn't parse image"],
        "the image's name is malformed",
        Gravity::NOW,
    ),
];

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let containers = workload.containers();
    let container = containers.iter().find(|container| {
        container.waiting().is_some_and(|(reason, _)| REASONS.contains(&reason))
    })?;
    let evidence = evidence(workload, container);
    let (meaning, gravity) = meaning(&evidence);
    Some(RootCause {
        kind: CauseKind::ImagePull,
        workload: workload.id(),
        summary: format!(
            "`{}` can't pull `{}`: {meaning}",
            workload.object().name(),
            container.image()
        ),
        gravity: gravity.unless_partly_ready(workload),
        evidence,
    })
}

// `ImagePullBackOff` often says no more than that it waits; what the registry said is in the event
// `Failed`.
fn evidence(workload: &Workload<'_>, container: &Container<'_>) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::of_waiting(container)];
    let tells = |event: &&crate::k8s::Object| {
        event.text("/reason") == Some("Failed")
            && event.text("/message").is_some_and(|message| {
                message.contains("Failed to pull image") && message.contains(container.image())
            })
    };
    let snapshot = workload.snapshot();
    let event = snapshot.warnings_about(container.pod).find(tells);
    evidence.extend(event.map(|event| Evidence::of_event(container.pod, event)));
    evidence
}

fn meaning(evidence: &[Evidence]) -> (&'static str, Gravity) {
    match evidence[0].reason.as_str() {
        "InvalidImageName" => return ("the image's name is malformed", Gravity::NOW),
        "ErrImageNeverPull" => {
            return ("it is not on the node, and the pull policy is `Never`", Gravity::NOW);
        }
        _ => {}
    }
    let texts: Vec<String> =
        evidence.iter().map(|evidence| evidence.message.to_ascii_lowercase()).collect();
    let said =
        |words: &[&str]| texts.iter().any(|text| words.iter().any(|word| text.contains(word)));
    let known = MEANINGS.iter().find(|(words, ..)| said(words));
    known
        .map_or(("the registry did not deliver it", Gravity::Transient), |(_, meaning, gravity)| {
            (meaning, *gravity)
        })
}
