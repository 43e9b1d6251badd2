//! A sync that somebody has to ask for, as the operation to ask for it by.

use serde_json::{Map, Value, json};

use super::{Case, Expected, has_compared, spec};
use crate::argocd::{Application, ApplicationSet, OperationState, Phase, SyncCode};

/// Who asks, in the Application's history.
const INITIATOR: &str = "deployctl";

/// Returns the operation that makes Argo CD sync `application`, or `None` if none is needed, one runs,
/// or none may be asked for now.
///
/// It syncs to what Argo CD has compared to, if that covers the expected revision, as auto-sync would,
/// and prunes only if the Application's own policy does. Where auto-sync is on it is left to that,
/// unless a sync window keeps auto-sync back and lets people sync, or the commit was synced in part.
pub fn sync_request(application: Application<'_>, expected: &Expected<'_>) -> Option<Value> {
    let case = Case { application, expected };
    let never = [spec::is_being_deleted, spec::is_left_alone, spec::tracks_another_repository];
    let is_held = never.iter().any(|question| question(&case).is_some())
        || application.requested_refresh().is_some()
        || is_at_work(application)
        || application.conditions().any(|condition| condition.kind.ends_with("Error"));
    if is_held
        || application.sync().code != SyncCode::OutOfSync
        || !has_compared(application, expected)
    {
        return None;
    }
    let window = expected.project.and_then(|p| p.closed_window(application, expected.now));
    if window.as_ref().is_some_and(|window| !window.lets_manual) {
        return None;
    }
    let in_steps = expected.application_set.is_some_and(ApplicationSet::syncs_in_steps);
    let is_needed = match application.auto_sync() {
        None => !in_steps,
        Some(auto_sync) => window.is_some() || synced_in_part(&case) && !auto_sync.self_heal,
    };
    is_needed.then(|| operation(application))
}

fn is_at_work(application: Application<'_>) -> bool {
    let phase = application.operation_state().and_then(OperationState::phase);
    application.operation().is_some() || matches!(phase, Some(Phase::Running | Phase::Terminating))
}

fn synced_in_part(case: &Case<'_>) -> bool {
    let Some(state) = case.application.operation_state() else { return false };
    let revisions = case.tracked_among(&state.revisions());
    state.phase() == Some(Phase::Succeeded)
        && state.operation().is_partial()
        && revisions.iter().all(|revision| case.covers_expected(revision))
}

/// What auto-sync would ask for. See `autoSync` in argo-cd `controller/appcontroller.go`.
fn operation(application: Application<'_>) -> Value {
    let object = application.object();
    let mut sync = Map::new();
    for key in ["revision", "revisions"] {
        if let Some(value) = object.at(&format!("/status/sync/{key}")) {
            sync.insert(key.to_owned(), value.clone());
        }
    }
    if object.at("/spec/syncPolicy/automated/prune") == Some(&Value::Bool(true)) {
        sync.insert("prune".to_owned(), Value::Bool(true));
    }
    if let Some(options) = object.at("/spec/syncPolicy/syncOptions") {
        sync.insert("syncOptions".to_owned(), options.clone());
    }
    let mut operation = json!({"initiatedBy": {"username": INITIATOR}, "sync": sync});
    if let Some(retry) = object.at("/spec/syncPolicy/retry") {
        operation["retry"] = retry.clone();
    }
    operation
}
