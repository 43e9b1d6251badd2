//! The container can't be made: a ConfigMap, a Secret or a key is missing, or the runtime refuses it.

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::rollout::Container;

const REASONS: &[&str] = &[
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
    "StartError",
];

/// Words of the kubelet and the runtimes, and what to do about them.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &[
            "couldn't find key",
            "references non-existent config key",
            "references non-existent secret key",
        ],
        "Add the key to the ConfigMap or Secret, correct its name in the container's `env`, or mark the reference `optional: true`",
    ),
    (
        &["configmap "],
        "Make the ConfigMap in the pod's namespace, or correct its name: a `configMapGenerator` gives it a suffix that only references in the same build follow",
    ),
    (
        &["secret "],
        "Make the Secret in the pod's namespace, or correct its name; with an operator (External Secrets, Sealed Secrets) look why it did not make it",
    ),
    (
        &["runasnonroot", "run as root"],
        "Let the image state a numeric user other than 0, or set `securityContext.runAsUser`",
    ),
    (
        &["executable file not found", "no such file or directory", "no command specified"],
        "Correct `command` and `args`, or the image's entrypoint: that file is not in the image",
    ),
    (
        &["permission denied"],
        "Make the entrypoint executable in the image (mode 0755) for the user that the container runs as",
    ),
    (&["exec format error"], "Build the image for the node's platform"),
    (&["environment variable"], "Correct the names of the container's environment variables"),
    (
        &["subpath", "mount"],
        "Correct the container's `volumeMounts`: path, `subPath`, and whether the image has a file where a folder is mounted",
    ),
];

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let mut containers = suspect.containers.iter();
    let (container, (reason, message)) =
        containers.find_map(|container| Some((container, reason(container)?)))?;
    let mut evidence = vec![Evidence::of_container(container, reason, message)];
    evidence.extend(Evidence::of_warnings(suspect.snapshot(), suspect.pod));
    let first = message.lines().next().unwrap_or_default();
    let kind = if container.is_init { "init container" } else { "container" };
    let summary = format!("{kind} `{}` can't be started: {first}", container.name);
    Some(suspect.cause(CauseKind::ContainerConfig, &summary, weight(reason, message), evidence))
}

fn reason<'a>(container: &Container<'a>) -> Option<(&'a str, &'a str)> {
    if let Some((reason, message)) = container.waiting()
        && REASONS.contains(&reason)
    {
        return Some((reason, message));
    }
    // A command that is not in the image ends as `StartError` or `ContainerCannotRun`, and the
    // container then waits in `CrashLoopBackOff`.
    let ended = container.terminated()?;
    let never_ran = ["StartError", "ContainerCannotRun"].contains(&ended.reason);
    (never_ran && !container.is_running()).then_some((ended.reason, ended.message))
}

fn weight(reason: &str, message: &str) -> Weight {
    let text = message.to_ascii_lowercase();
    // The kubelet's cache of ConfigMaps and Secrets lags behind a first install.
    if text.contains("failed to sync") && text.contains("cache") {
        return Weight::new(
            Gravity::Transient,
            "the kubelet's cache fills by itself",
            "Wait; if it lasts, look at the kubelet of the pod's node",
        );
    }
    let known = ADVICE.iter().find(|(words, _)| words.iter().any(|word| text.contains(word)));
    let advice = known.map_or(
        "Read the message: it is the container runtime's refusal of the pod's spec",
        |(_, advice)| advice,
    );
    match reason {
        "CreateContainerConfigError" | "StartError" | "ContainerCannotRun" => Weight::new(
            Gravity::after(5),
            "the kubelet tries again and again, and the same is missing each time",
            advice,
        ),
        _ => Weight::new(
            Gravity::after(30),
            "the container runtime refuses again and again; after an overload it would recover in seconds",
            advice,
        ),
    }
}
