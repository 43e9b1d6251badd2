//! The sync that runs or ran last.

use super::{Case, Verdict, failed, short, waiting};
use crate::argocd::{OperationState, Phase, ResourceResult, SyncResult};

/// How many objects a reason names.
const NAMED_OBJECTS: usize = 3;

pub(super) fn is_under_way(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let state = case.application.operation_state();
    match state.and_then(OperationState::phase) {
        Some(Phase::Running) => waiting(running(&name.to_string(), state?)),
        Some(Phase::Terminating) => waiting(format!("the sync of {name} is being terminated")),
        _ => {
            case.application.operation()?;
            waiting(format!("a sync of {name} is asked for and has not started"))
        }
    }
}

fn running(name: &str, state: OperationState<'_>) -> String {
    let message = match state.message() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    match state.finished_at() {
        Some(_) => format!(
            "attempt {} to sync {name} failed, and Argo CD will try again{message}",
            state.retry_count() + 1
        ),
        None => format!("Argo CD is syncing {name}{message}"),
    }
}

pub(super) fn has_failed(case: &Case<'_>) -> Option<Verdict> {
    let state = case.application.operation_state()?;
    if !matches!(state.phase()?, Phase::Failed | Phase::Error) {
        return None;
    }
    // A trial or a sync of single objects says nothing about the rollout.
    if state.operation().is_dry_run() || state.operation().is_partial() {
        return None;
    }
    let tracked = case.tracked_among(&state.revisions());
    let revision = tracked.into_iter().find(|revision| case.covers_expected(revision))?;
    failed(format!(
        "the sync of {} to {} failed: {}",
        case.application.name(),
        short(revision),
        cause(state)
    ))
}

/// What the objects say that failed, else what the operation says.
fn cause(state: OperationState<'_>) -> String {
    failed_objects(state).unwrap_or_else(|| {
        let phase = format!("{:?}", state.phase().unwrap_or(Phase::Failed));
        Some(state.message()).filter(|m| !m.is_empty()).map_or(phase, str::to_owned)
    })
}

/// Returns the objects that the operation could not apply, and what the cluster said; `None` if there
/// are none.
pub(super) fn failed_objects(state: OperationState<'_>) -> Option<String> {
    let results = state.sync_result().into_iter().flat_map(SyncResult::resources);
    let failures: Vec<_> = results.filter(ResourceResult::is_failure).collect();
    if failures.is_empty() {
        return None;
    }
    let named = failures.iter().take(NAMED_OBJECTS);
    let mut text = named.map(|f| format!("{} {}", f.id, f.message)).collect::<Vec<_>>().join("; ");
    if failures.len() > NAMED_OBJECTS {
        text.push_str(&format!("; and {} more", failures.len() - NAMED_OBJECTS));
    }
    Some(text)
}
