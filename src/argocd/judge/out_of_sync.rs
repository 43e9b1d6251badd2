//! The live state is not what git says: what will change that, or why nothing will.

use jiff::Timestamp;

use super::comparison::named;
use super::{Case, Verdict, failed, failed_since, waiting};
use crate::argocd::{AutoSync, ClosedWindow, OperationState, Phase, ResourceStatus, SyncCode};

pub(super) fn is_out_of_sync(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    match case.application.sync().code {
        SyncCode::Synced => return None,
        SyncCode::Unknown => {
            return waiting(format!("Argo CD does not know whether {name} is in sync"));
        }
        SyncCode::OutOfSync => {}
    }
    let resources = case.application.resources();
    let differing: Vec<_> = resources.filter(|r| r.status == "OutOfSync").collect();
    let objects = named(&differing);
    let synced = synced_already(case);
    if case.expected.accepts.out_of_sync && (synced.is_some() || only_to_prune(&differing)) {
        return None;
    }
    if let Some(state) = synced.filter(|state| !state.operation().is_partial()) {
        return failed_since(
            state.finished_at(),
            format!("{name} differs from git although its sync succeeded{objects}"),
        );
    }
    let Some(auto_sync) = case.application.auto_sync() else {
        return its_turn_comes(case, &objects).or_else(|| nobody_syncs(case, &objects));
    };
    if only_to_prune(&differing) && !auto_sync.prune {
        return failed(format!(
            "automated pruning of application {name} is off, and git no longer has what differs{objects}"
        ));
    }
    forbidden_kind(case, &differing)
        .or_else(|| window(case, &objects))
        .or_else(|| after_a_partial_sync(case, synced, auto_sync, &objects))
        .or_else(|| {
            waiting(format!("{name} is out of sync, and auto-sync has not started{objects}"))
        })
}

fn only_to_prune(differing: &[ResourceStatus<'_>]) -> bool {
    !differing.is_empty() && differing.iter().all(|resource| resource.requires_pruning)
}

/// An ApplicationSet that syncs in steps switches auto-sync off.
fn its_turn_comes(case: &Case<'_>, objects: &str) -> Option<Verdict> {
    let set = case.expected.application_set.filter(|set| set.syncs_in_steps())?;
    let (name, set_name) = (case.application.name(), set.name());
    let status = set.rolling_status(&name.name);
    let step = match status {
        Some(status) if !status.message.is_empty() => {
            format!(" in step {}: {}", status.step, status.message)
        }
        Some(status) => format!(" in step {}", status.step),
        None => String::new(),
    };
    waiting(format!(
        "{name} is out of sync and waits for ApplicationSet `{set_name}` to sync it{step}{objects}"
    ))
}

fn nobody_syncs(case: &Case<'_>, objects: &str) -> Option<Verdict> {
    let name = case.application.name();
    let windows = match closed(case).filter(|window| !window.lets_manual) {
        Some(window) => format!(" once a sync window lets you ({})", window.why),
        None => String::new(),
    };
    failed(format!(
        "auto-sync of application {name} is off and nobody syncs it; run `argocd app sync {name}`, or `deployctl verify` with `--sync`{windows}{objects}"
    ))
}

fn closed(case: &Case<'_>) -> Option<ClosedWindow> {
    case.expected.project?.closed_window(case.application, case.expected.now)
}

/// A window that opens before waiting ends is worth waiting for.
fn window(case: &Case<'_>, objects: &str) -> Option<Verdict> {
    let name = case.application.name();
    let window = closed(case)?;
    let opens = window.opens_at.map_or_else(String::new, |at| format!("; it may from {at} on"));
    let reason = format!("{name} is out of sync and may not sync: {}{opens}{objects}", window.why);
    let comes_late = |until: Timestamp| window.opens_at.is_none_or(|at| at >= until);
    if case.expected.until.is_some_and(comes_late) { failed(reason) } else { waiting(reason) }
}

/// Argo CD would try, and fail at this object.
fn forbidden_kind(case: &Case<'_>, differing: &[ResourceStatus<'_>]) -> Option<Verdict> {
    let project = case.expected.project?;
    let forbidden = differing.iter().find(|resource| project.forbids_kind(&resource.id))?;
    // Argo CD may know better, so it gets the time to try.
    failed_since(
        None,
        format!(
            "project `{}` does not allow application {} to manage {}",
            project.name(),
            case.application.name(),
            forbidden.id
        ),
    )
}

/// Auto-sync syncs no commit twice, even if somebody synced a part of its objects only.
fn after_a_partial_sync(
    case: &Case<'_>,
    synced: Option<OperationState<'_>>,
    auto_sync: AutoSync,
    objects: &str,
) -> Option<Verdict> {
    let state = synced.filter(|_| !auto_sync.self_heal)?;
    let name = case.application.name();
    failed_since(
        state.finished_at(),
        format!(
            "somebody synced a part of {name} only, and auto-sync syncs no commit twice without self-heal; run `argocd app sync {name}`{objects}"
        ),
    )
}

/// A sync to the expected revision, of some objects at least, that ended well.
fn synced_already<'a>(case: &Case<'a>) -> Option<OperationState<'a>> {
    let state = case.application.operation_state()?;
    let succeeded = state.phase() == Some(Phase::Succeeded) && !state.operation().is_dry_run();
    let revisions = case.tracked_among(&state.revisions());
    let covers = !revisions.is_empty() && revisions.iter().all(|r| case.covers_expected(r));
    (succeeded && covers).then_some(state)
}
