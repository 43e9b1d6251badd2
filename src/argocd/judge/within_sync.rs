//! The sync that asks about itself, by a hook that it runs and waits for.

use super::operation::failed_objects;
use super::{Case, Relation, Verdict, failed, short, waiting};
use crate::argocd::{OperationState, Phase};

/// A hook that runs outside of a sync was started by somebody else than Argo CD, or its sync was ended.
pub(super) fn is_no_sync(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let state = case.application.operation_state();
    match state.and_then(OperationState::phase) {
        Some(Phase::Running | Phase::Succeeded) => None,
        Some(Phase::Terminating) => failed(format!("the sync of {name} is being terminated")),
        Some(Phase::Failed | Phase::Error) => {
            let message = state.map_or("", |state| state.message());
            failed(format!("the sync of {name} failed: {message}"))
        }
        None => waiting(format!("no sync of {name} is running")),
    }
}

pub(super) fn is_about_another_revision(case: &Case<'_>) -> Option<Verdict> {
    let expected = case.expected.revision?;
    let revisions = case.application.operation_state()?.revisions();
    let name = case.application.name();
    case.tracked_among(&revisions).into_iter().find_map(|revision| {
        let (syncs, expected) = (short(revision), short(expected));
        match case.relation(revision) {
            Relation::Same | Relation::Newer => None,
            Relation::Unknown => waiting(format!(
                "Argo CD is syncing {name} to {syncs}, and whether it contains {expected} is not known"
            )),
            Relation::Older | Relation::Diverged => failed(format!(
                "Argo CD is syncing {name} to {syncs}, which does not contain {expected}"
            )),
        }
    })
}

pub(super) fn could_not_apply(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let objects = failed_objects(case.application.operation_state()?)?;
    failed(format!("the sync of {name} could not apply all: {objects}"))
}
