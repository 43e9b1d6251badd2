//! A container runs, and one of its probes says that it does not work.

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::k8s::Object;
use crate::rollout::{Container, Workload};

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let containers = workload.containers();
    let runs = |container: &&Container<'_>| !container.is_ready() && container.is_running();
    let (container, event) = containers.iter().filter(runs).find_map(|container| {
        let mut warnings = workload.snapshot().warnings_about(container.pod);
        let event = warnings.find(|event| is_about(event, container))?;
        Some((container, event))
    })?;
    let message = event.text("/message").unwrap_or_default().trim();
    Some(RootCause {
        kind: CauseKind::FailingProbe,
        workload: workload.id(),
        summary: format!("container `{}`: {}", container.name, lower_first(message)),
        // An application may take its time to start; the workload's own deadline is the judge.
        gravity: Gravity::Transient,
        evidence: vec![Evidence {
            container: Some(container.name.to_owned()),
            ..Evidence::of_event(container.pod, event)
        }],
    })
}

fn is_about(event: &Object, container: &Container<'_>) -> bool {
    let field = format!("{{{}}}", container.name);
    event.text("/reason") == Some("Unhealthy")
        && event.text("/involvedObject/fieldPath").is_none_or(|path| path.contains(&field))
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
