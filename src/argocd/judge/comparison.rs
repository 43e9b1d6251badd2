//! The last comparison of the live state with the sources.

use super::{Case, Verdict, failed, failed_since, short, waiting};
use crate::argocd::{OperationState, Phase, Relation, ResourceStatus, SyncCode};
use crate::health::{Health, HealthStatus};

/// How many objects a reason names.
const NAMED_OBJECTS: usize = 3;

/// Argo CD removes the request after it has stored what the refresh brought.
pub(super) fn waits_for_a_refresh(case: &Case<'_>) -> Option<Verdict> {
    case.application.requested_refresh()?;
    let name = case.application.name();
    // It stays, too, while the repository is out of reach, and then the reason is a condition.
    match case.application.conditions().find(|condition| condition.kind.ends_with("Error")) {
        Some(error) => waiting(format!(
            "Argo CD has not served the refresh of {name}; it reports: {}",
            error.message
        )),
        None => waiting(format!("Argo CD has not served the refresh of {name}")),
    }
}

pub(super) fn has_failed_to_hydrate(case: &Case<'_>) -> Option<Verdict> {
    case.application.hydrator()?;
    let name = case.application.name();
    let hydration = case.application.hydration();
    if let Some(failure) = hydration.filter(|operation| operation.phase == "Failed") {
        let reason = format!(
            "Argo CD can't hydrate {name} from {}: {}",
            short(failure.dry_sha),
            failure.message
        );
        return if case.covers_expected(failure.dry_sha) {
            failed(reason)
        } else {
            waiting(reason)
        };
    }
    None
}

pub(super) fn compared_other_sources(case: &Case<'_>) -> Option<Verdict> {
    if case.application.is_compared_to_its_sources() {
        return None;
    }
    let name = case.application.name();
    waiting(format!("Argo CD has not compared {name} with the sources that it states now"))
}

pub(super) fn compared_another_revision(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let compared = case.tracked_among(&case.application.sync().revisions);
    if compared.len() < case.tracked().len() {
        return waiting(format!("Argo CD has not compared {name} with git yet"));
    }
    let expected = case.expected.revision?;
    compared.into_iter().find_map(|revision| {
        let (seen, expected) = (short(revision), short(expected));
        match case.relation(revision) {
            Relation::Same | Relation::Newer => None,
            Relation::Older => {
                waiting(format!("Argo CD has seen {seen} for {name}, which is before {expected}"))
            }
            Relation::Unknown => waiting(format!(
                "Argo CD has seen {seen} for {name}, and whether it contains {expected} is not known"
            )),
            Relation::Diverged => failed_since(
                case.application.reconciled_at(),
                format!("Argo CD has seen {seen} for {name}, which does not contain {expected}; was the branch rewritten?"),
            ),
        }
    })
}

/// A health from before the sync ended says nothing about what it brought.
pub(super) fn is_older_than_the_sync(case: &Case<'_>) -> Option<Verdict> {
    let state = case.application.operation_state()?;
    let finished = state.finished_at()?;
    let is_newer = case.application.reconciled_at().is_some_and(|at| at >= finished);
    if is_newer || state.operation().is_dry_run() {
        return None;
    }
    let name = case.application.name();
    waiting(format!("Argo CD has not looked at {name} since its sync ended"))
}

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
    if let Some(state) = synced_already(case) {
        return failed_since(
            state.finished_at(),
            format!("{name} differs from git although its sync succeeded{objects}"),
        );
    }
    let Some(auto_sync) = case.application.auto_sync() else {
        return failed(format!(
            "auto-sync of application {name} is off and nobody syncs it; run `argocd app sync {name}`{objects}"
        ));
    };
    let only_to_prune = !differing.is_empty() && differing.iter().all(|r| r.requires_pruning);
    if only_to_prune && !auto_sync.prune {
        return failed(format!(
            "automated pruning of application {name} is off, and git no longer has what differs{objects}"
        ));
    }
    waiting(format!("{name} is out of sync, and auto-sync has not started{objects}"))
}

/// A full sync to the expected revision that ended well.
fn synced_already<'a>(case: &Case<'a>) -> Option<OperationState<'a>> {
    let state = case.application.operation_state()?;
    let operation = state.operation();
    let is_full = !operation.is_dry_run() && !operation.is_partial();
    let succeeded = state.phase() == Some(Phase::Succeeded) && is_full;
    let revisions = case.tracked_among(&state.revisions());
    let covers = !revisions.is_empty() && revisions.iter().all(|r| case.covers_expected(r));
    (succeeded && covers).then_some(state)
}

fn named(resources: &[ResourceStatus<'_>]) -> String {
    let named: Vec<_> = resources.iter().take(NAMED_OBJECTS).map(|r| r.id.to_string()).collect();
    match resources.len() {
        0 => String::new(),
        count if count > NAMED_OBJECTS => {
            format!(" ({} and {} more)", named.join(", "), count - NAMED_OBJECTS)
        }
        _ => format!(" ({})", named.join(", ")),
    }
}

pub(super) fn is_not_healthy(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let Some(found) = case.application.health() else {
        return waiting(format!("Argo CD has not assessed the health of {name}"));
    };
    let Health { status, message } = &found.health;
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    match status {
        HealthStatus::Healthy => None,
        HealthStatus::Suspended => {
            waiting(format!("{name} is Suspended and waits for somebody to resume it{why}"))
        }
        HealthStatus::Degraded => failed_since(found.since, format!("{name} is Degraded{why}")),
        _ => waiting(format!("{name} is {status}{why}")),
    }
}
