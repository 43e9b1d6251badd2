//! A container ends again and again: it fails, is killed for lack of memory, or its init container
//! does not get through.

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::rollout::{Container, Terminated, Workload};

/// A dependency may just be late, so the first restarts are no verdict.
const PATIENCE: i64 = 3;

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let containers = workload.containers();
    let loops = |container: &&Container<'_>| !container.is_ready() && is_crashing(container);
    let container = containers.iter().filter(loops).max_by_key(|container| container.restarts())?;
    let ended = container.terminated()?;
    let mut evidence = vec![Evidence::of_container(container, ended.reason, ended.message)];
    evidence[0].message = told(&ended);
    if container.waiting().is_some() {
        evidence.push(Evidence::of_waiting(container));
    }
    evidence.extend(Evidence::of_warnings(workload.snapshot(), container.pod));
    let patient = container.restarts() < PATIENCE;
    let gravity = if patient { Gravity::Transient } else { Gravity::NOW };
    Some(RootCause {
        kind: CauseKind::CrashLoop,
        workload: workload.id(),
        summary: summary(container, &ended),
        gravity: gravity.unless_partly_ready(workload),
        evidence,
    })
}

fn is_crashing(container: &Container<'_>) -> bool {
    let in_loop = container.waiting().is_some_and(|(reason, _)| reason == "CrashLoopBackOff");
    let ended = container.terminated().is_some_and(|ended| ended.exit_code != 0);
    in_loop || ended
}

fn summary(container: &Container<'_>, ended: &Terminated<'_>) -> String {
    let kind = if container.is_init { "init container" } else { "container" };
    let (name, restarts) = (container.name, container.restarts());
    let times = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
    match ended.reason {
        "OOMKilled" => {
            let limit = container.memory_limit().map(|limit| format!(" (limit {limit})"));
            let limit = limit.unwrap_or_default();
            format!("{kind} `{name}` is killed for lack of memory{limit}, {times}")
        }
        _ if is_wrong_platform(ended) => {
            format!("{kind} `{name}` is made for another platform than the node's, {times}")
        }
        _ => format!("{kind} `{name}` ends with exit code {}, {times}", ended.exit_code),
    }
}

fn is_wrong_platform(ended: &Terminated<'_>) -> bool {
    ended.message.to_ascii_lowercase().contains("exec format error")
}

fn told(ended: &Terminated<'_>) -> String {
    let signal = match ended.exit_code {
        code @ 129..=159 => format!(", signal {}", code - 128),
        _ => String::new(),
    };
    let message = ended.message.trim();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("exit code {}{signal}{message}", ended.exit_code)
}
