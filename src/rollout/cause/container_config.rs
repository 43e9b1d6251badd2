//! The container can't be made: a ConfigMap, a Secret or a key is missing, or the runtime refuses it.

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::rollout::{Container, Workload};

const REASONS: &[&str] =
    &["CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"];

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let containers = workload.containers();
    let container = containers.iter().find(|container| reason(container).is_some())?;
    let (reason, message) = reason(container)?;
    let mut evidence = vec![Evidence::of_container(container, reason, message)];
    evidence.extend(Evidence::of_warnings(workload.snapshot(), container.pod));
    let first = message.lines().next().unwrap_or_default();
    Some(RootCause {
        kind: CauseKind::ContainerConfig,
        workload: workload.id(),
        summary: format!("container `{}` can't be started: {first}", container.name),
        gravity: gravity(reason, message).unless_partly_ready(workload),
        evidence,
    })
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

fn gravity(reason: &str, message: &str) -> Gravity {
    // The kubelet's cache of ConfigMaps and Secrets lags behind a first install.
    let is_passing = message.contains("failed to sync") && message.contains("cache");
    match reason {
        _ if is_passing => Gravity::Transient,
        "CreateContainerConfigError" | "StartError" | "ContainerCannotRun" => {
            Gravity::Fatal { grace: std::time::Duration::from_secs(5) }
        }
        _ => Gravity::Fatal { grace: std::time::Duration::from_secs(30) },
    }
}
