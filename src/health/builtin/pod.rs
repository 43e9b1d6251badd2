//! Pod.

use super::fields::{CheckError, FieldError, Fields, Shape, typed};
use crate::health::HealthStatus::{Degraded, Healthy, Progressing, Unknown};
use crate::health::hook::is_hook;
use crate::health::{ArgoCdVersion, Health};
use crate::k8s::Object;

const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";

struct Pod<'a> {
    restart_policy: &'a str,
    phase: &'a str,
    message: &'a str,
    is_ready: bool,
    init_containers: Vec<Container<'a>>,
    containers: Vec<Container<'a>>,
}

/// An entry of `status.containerStatuses`.
struct Container<'a> {
    name: &'a str,
    waiting: Option<Waiting<'a>>,
    terminated: Option<Terminated<'a>>,
    was_terminated: bool,
}

struct Waiting<'a> {
    reason: &'a str,
    message: &'a str,
}

struct Terminated<'a> {
    reason: &'a str,
    message: &'a str,
    exit_code: i32,
}

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.containers", Shape::ListOfMaps),
    ("spec.initContainers", Shape::ListOfMaps),
    ("spec.volumes", Shape::ListOfMaps),
    ("spec.nodeName", Shape::Text),
    ("spec.nodeSelector", Shape::MapOfTexts),
    ("spec.tolerations", Shape::ListOfMaps),
    ("spec.terminationGracePeriodSeconds", Shape::Integer),
    ("status.reason", Shape::Text),
    ("status.podIP", Shape::Text),
    ("status.hostIP", Shape::Text),
    ("status.startTime", Shape::Time),
    ("status.qosClass", Shape::Text),
    ("status.ephemeralContainerStatuses", Shape::ListOfMaps),
];

/// Returns the health of a Pod.
pub(super) fn check(object: &Object, version: ArgoCdVersion) -> Result<Health, CheckError> {
    let pod = typed(object, "Pod", &["v1"], read)?;
    // A pod that runs to its end, most often a hook, may recover from what its containers wait
    // for, and to call it Degraded would end the sync too early.
    let ignores_policy = version >= ArgoCdVersion::V3_6
        && object.annotation(IGNORE_RESTART_POLICY) == Some("true")
        && !is_hook(object);
    let is_long_running = pod.restart_policy == "Always" || ignores_policy;
    Ok(judge(&pod, is_long_running))
}

fn read(fields: Fields<'_>) -> Result<Pod<'_>, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    let conditions = fields.conditions()?;
    let ready = conditions.iter().find(|condition| condition.kind == "Ready");
    Ok(Pod {
        restart_policy: fields.text("spec.restartPolicy")?,
        phase: fields.text("status.phase")?,
        message: fields.text("status.message")?,
        is_ready: ready.is_some_and(|condition| condition.status == "True"),
        init_containers: fields.each("status.initContainerStatuses", read_container)?,
        containers: fields.each("status.containerStatuses", read_container)?,
    })
}

fn read_container(fields: Fields<'_>) -> Result<Container<'_>, FieldError> {
    fields.agree(&[
        ("ready", Shape::Flag),
        ("restartCount", Shape::Count),
        ("image", Shape::Text),
        ("imageID", Shape::Text),
        ("state.running", Shape::Map),
    ])?;
    Ok(Container {
        name: fields.text("name")?,
        waiting: fields.section("state.waiting", read_waiting)?,
        terminated: fields.section("state.terminated", read_terminated)?,
        was_terminated: fields.section("lastState.terminated", read_terminated)?.is_some(),
    })
}

fn read_waiting(fields: Fields<'_>) -> Result<Waiting<'_>, FieldError> {
    Ok(Waiting { reason: fields.text("reason")?, message: fields.text("message")? })
}

fn read_terminated(fields: Fields<'_>) -> Result<Terminated<'_>, FieldError> {
    Ok(Terminated {
        reason: fields.text("reason")?,
        message: fields.text("message")?,
        exit_code: fields.count("exitCode")?,
    })
}

fn judge(pod: &Pod<'_>, is_long_running: bool) -> Health {
    let stuck: Vec<_> = stuck_messages(&pod.containers).collect();
    if is_long_running && !stuck.is_empty() {
        return Degraded.because(stuck.join(", "));
    }
    let status = match pod.phase {
        "Pending" => Progressing,
        "Succeeded" => Healthy,
        "Failed" => return Degraded.because(failure(pod)),
        "Running" if is_long_running && pod.is_ready => Healthy,
        "Running" if is_long_running && pod.containers.iter().any(|c| c.was_terminated) => Degraded,
        "Running" if is_long_running => Progressing,
        "Running" if matches!(pod.restart_policy, "OnFailure" | "Never") => Progressing,
        _ => Unknown,
    };
    status.because(pod.message)
}

/// The messages of containers that wait for something which will not come by itself. Init
/// containers are not asked, so a pod that cannot initialise stays Progressing.
fn stuck_messages<'a>(containers: &'a [Container<'_>]) -> impl Iterator<Item = &'a str> {
    let waiting = containers.iter().filter_map(|container| container.waiting.as_ref());
    let stuck = waiting.filter(|Waiting { reason, .. }| {
        reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
    });
    stuck.map(|waiting| waiting.message)
}

fn failure(pod: &Pod<'_>) -> String {
    if !pod.message.is_empty() {
        return pod.message.to_owned();
    }
    let containers = pod.init_containers.iter().chain(&pod.containers);
    containers.filter_map(exit_text).next().unwrap_or_default()
}

fn exit_text(container: &Container<'_>) -> Option<String> {
    match container.terminated.as_ref()? {
        Terminated { message, .. } if !message.is_empty() => Some((*message).to_owned()),
        Terminated { reason: "OOMKilled", .. } => Some("OOMKilled".to_owned()),
        Terminated { exit_code: 0, .. } => None,
        Terminated { exit_code, .. } => {
            Some(format!("container {:?} failed with exit code {exit_code}", container.name))
        }
    }
}
