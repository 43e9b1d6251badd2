//! The image can't be pulled: no such tag, no such name, no credentials, no such platform, or the
//! registry is busy.

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::image::ImageReference;
use crate::k8s::Object;
use crate::rollout::{Container, Snapshot, without_account};

const REASONS: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// What registries and container runtimes say, and what it means.
struct Meaning {
    words: &'static [&'static str],
    meaning: &'static str,
    gravity: Gravity,
    because: &'static str,
    advice: &'static str,
}

const NOT_FOUND: &str = "not found";

/// The first match counts: a busy registry's answer often mentions credentials too.
const MEANINGS: &[Meaning] = &[
    Meaning {
        words: &["toomanyrequests", "429 too many", "rate limit"],
        meaning: "the registry answers that there were too many requests",
        gravity: Gravity::Transient,
        because: "the kubelet tries again, and limits are by the hour",
        advice: "Pull with credentials (`imagePullSecrets`), or through a mirror that keeps the image",
    },
    Meaning {
        words: &["no match for platform", "no matching manifest", "does not provide any platform"],
        meaning: "the image is not made for the node's platform",
        gravity: Gravity::NOW,
        because: "an image does not change under its digest",
        advice: "Build the image for the node's platform too, or choose nodes of the image's platform by the label `kubernetes.io/arch`",
    },
    Meaning {
        words: &[
            "name unknown",
            "name_unknown",
            "repository does not exist",
            "repository name not known",
        ],
        meaning: "the registry has no such repository, or hides it",
        gravity: Gravity::NOW,
        because: "the registry answered, and it stays so until somebody pushes or changes the name",
        advice: "Check the image's name for a misspelling, and that the node's credentials may see the repository",
    },
    Meaning {
        words: &["manifest unknown", "manifest_unknown"],
        meaning: "the registry has the repository, and no such tag or digest in it",
        gravity: Gravity::NOW,
        because: "the registry answered, and it stays so until somebody pushes or changes the tag",
        advice: "Check that the build pushed this very tag and digest, and that no clean-up removed it",
    },
    Meaning {
        words: &[NOT_FOUND],
        meaning: "the registry has no such image",
        gravity: Gravity::NOW,
        because: "the registry answered, and it stays so until somebody pushes or changes the reference",
        advice: "Check name, tag and digest: `deployctl image parse` shows how they are read; and that the build pushed them",
    },
    Meaning {
        words: &[
            "unauthorized",
            "authorization failed",
            "authentication required",
            "no basic auth credentials",
            "denied",
            "forbidden",
        ],
        meaning: "the registry refuses the node's credentials",
        gravity: Gravity::after(30),
        because: "a pull secret that is just being made would be taken up within seconds",
        advice: "Name a Secret of type `kubernetes.io/dockerconfigjson` in `imagePullSecrets` of the pod or its service account, and check that it may pull",
    },
    Meaning {
        words: &["invalid reference format", "couldn't parse image", "could not parse image"],
        meaning: "the image's name is malformed",
        gravity: Gravity::NOW,
        because: "the reference has to change",
        advice: "Correct the reference: `deployctl image parse` says what is wrong with it",
    },
    Meaning {
        words: &["x509:", "http response to https client", "certificate"],
        meaning: "the node does not trust the registry's certificate",
        gravity: Gravity::after(30),
        because: "certificates and the nodes' configuration change only by hand",
        advice: "Give the nodes the authority that signed the registry's certificate, or correct the registry's name",
    },
    Meaning {
        words: &["no such host"],
        meaning: "the node finds no registry by that name",
        gravity: Gravity::after(60),
        because: "a name that is not in the DNS comes there only by hand; the DNS itself may hiccup",
        advice: "Check the registry's name for a misspelling, and the DNS of the nodes",
    },
    Meaning {
        words: &["no space left"],
        meaning: "there is no space left on the node",
        gravity: Gravity::Transient,
        because: "the kubelet removes images that nobody uses",
        advice: "Give the nodes more disk, or free it",
    },
];

/// What is not in the list: time-outs, resets, answers 5xx.
const OTHER: Meaning = Meaning {
    words: &[],
    meaning: "the registry did not deliver it",
    gravity: Gravity::Transient,
    because: "the kubelet tries again, and networks and registries recover",
    advice: "Check that the node reaches the registry, and the registry's own state",
};

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let mut containers = suspect.containers.iter();
    let container = containers.find(|container| {
        container.waiting().is_some_and(|(reason, _)| REASONS.contains(&reason))
    })?;
    let evidence = evidence(suspect, container);
    let Meaning { meaning, gravity, because, advice, .. } = meaning(&evidence);
    let summary =
        format!("`{}` can't pull `{}`: {meaning}", suspect.workload.id().name, container.image());
    let weight = Weight::new(gravity, because, advice);
    Some(suspect.cause(CauseKind::ImagePull, &summary, weight, evidence))
}

/// Returns the image that `cause` is about if the node's runtime did not say whether it lacks the tag or
/// the whole repository; containerd says "not found" of both.
pub fn not_found(cause: &RootCause, snapshot: &Snapshot) -> Option<ImageReference> {
    if cause.kind != CauseKind::ImagePull || !cause.summary.ends_with(known(NOT_FOUND).meaning) {
        return None;
    }
    let shown = cause.evidence.first()?;
    let pod = snapshot.pods.iter().find(|pod| pod.id() == shown.object)?;
    let containers = Container::of_pod(pod);
    let container = containers.iter().find(|c| shown.container.as_deref() == Some(c.name))?;
    container.image().parse().ok()
}

/// Returns `cause`, which [`not_found`] had an image of, with what the registry said: whether it has
/// the repository.
pub fn located(cause: RootCause, has_repository: bool) -> RootCause {
    let located = known(if has_repository { "manifest unknown" } else { "name unknown" });
    let Some(start) = cause.summary.strip_suffix(known(NOT_FOUND).meaning) else { return cause };
    RootCause {
        summary: format!("{start}{}", located.meaning),
        advice: located.advice.to_owned(),
        because: located.because.to_owned(),
        ..cause
    }
}

// `ImagePullBackOff` often says no more than that it waits; what the registry said is in the event
// `Failed`.
fn evidence(suspect: &Suspect<'_>, container: &Container<'_>) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::of_waiting(container)];
    let tells = |event: &&Object| {
        event.text("/reason") == Some("Failed")
            && event.text("/message").is_some_and(|message| {
                message.contains("Failed to pull image") && message.contains(container.image())
            })
    };
    let event = suspect.warnings().find(tells);
    evidence.extend(event.map(|event| Evidence::of_event(suspect.pod, event)));
    let without_account =
        |evidence: Evidence| Evidence { message: without_account(&evidence.message), ..evidence };
    evidence.into_iter().map(without_account).collect()
}

fn meaning(evidence: &[Evidence]) -> Meaning {
    match evidence[0].reason.as_str() {
        "InvalidImageName" => return known("invalid reference format"),
        "ErrImageNeverPull" => {
            return Meaning {
                meaning: "it is not on the node, and the pull policy is `Never`",
                gravity: Gravity::NOW,
                because: "nobody but the pull would bring it there",
                advice: "Set `imagePullPolicy: IfNotPresent`, or load the image onto the nodes",
                ..OTHER
            };
        }
        "SignatureValidationFailed" => {
            return Meaning {
                meaning: "its signature is not valid",
                gravity: Gravity::NOW,
                because: "a signature is about a digest, and neither changes",
                advice: "Sign the image with a key that the nodes' policy trusts",
                ..OTHER
            };
        }
        _ => {}
    }
    let texts: Vec<String> =
        evidence.iter().map(|evidence| evidence.message.to_ascii_lowercase()).collect();
    let word = MEANINGS
        .iter()
        .flat_map(|meaning| meaning.words)
        .find(|word| texts.iter().any(|text| text.contains(**word)));
    word.map_or(OTHER, |word| known(word))
}

fn known(word: &str) -> Meaning {
    let found = MEANINGS.iter().find(|meaning| meaning.words.contains(&word));
    found.map_or(OTHER, |&Meaning { words, meaning, gravity, because, advice }| Meaning {
        words,
        meaning,
        gravity,
        because,
        advice,
    })
}
