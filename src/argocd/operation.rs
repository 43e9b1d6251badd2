//! Sync operations: one that is asked for, and the state of the last one.

use jiff::Timestamp;
use serde_json::Value;

use crate::argocd::source::text;
use crate::k8s::ObjectId;

/// A sync that was asked for, `operation` or `status.operationState.operation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation<'a>(pub(super) &'a Value);

/// `status.operationState`: the operation that runs or ran last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperationState<'a>(pub(super) &'a Value);

/// `status.operationState.syncResult`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyncResult<'a>(pub(super) &'a Value);

/// What became of one object in a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceResult<'a> {
    /// Which object.
    pub id: ObjectId,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`; empty for a hook.
    pub status: &'a str,
    /// The hook's or the health's phase while the sync went on, or empty.
    pub hook_phase: &'a str,
    /// What the cluster said.
    pub message: &'a str,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// At work, or, with an end time, waiting for its next attempt.
    Running,
    /// Stopped by somebody and ending.
    Terminating,
    /// Ended: objects could not be applied, or hooks failed.
    Failed,
    /// Ended: it could not be carried out.
    Error,
    /// Ended well.
    Succeeded,
}

impl<'a> Operation<'a> {
    /// Returns the revisions it was asked to sync, by position of the source.
    pub fn revisions(self) -> Vec<&'a str> {
        self.0.get("sync").map(revisions).unwrap_or_default()
    }

    /// Returns whether it changes nothing.
    pub fn is_dry_run(self) -> bool {
        self.0.pointer("/sync/dryRun").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns whether it is about some of the objects only.
    pub fn is_partial(self) -> bool {
        let resources = self.0.pointer("/sync/resources").and_then(Value::as_array);
        resources.is_some_and(|resources| !resources.is_empty())
    }

    /// Returns who asked for it: a person's name, `auto-sync`, or empty.
    pub fn initiator(self) -> &'a str {
        let by = |key: &str| self.0.get("initiatedBy").and_then(|by| by.get(key));
        match by("automated").and_then(Value::as_bool) {
            Some(true) => "auto-sync",
            _ => by("username").and_then(Value::as_str).unwrap_or_default(),
        }
    }
}

impl<'a> OperationState<'a> {
    /// Returns the phase, or `None` if it is not one that Argo CD has.
    pub fn phase(self) -> Option<Phase> {
        match text(self.0, "phase") {
            "Running" => Some(Phase::Running),
            "Terminating" => Some(Phase::Terminating),
            "Failed" => Some(Phase::Failed),
            "Error" => Some(Phase::Error),
            "Succeeded" => Some(Phase::Succeeded),
            _ => None,
        }
    }

    /// Returns what Argo CD says about it.
    pub fn message(self) -> &'a str {
        text(self.0, "message")
    }

    /// Returns the operation as it was asked for.
    pub fn operation(self) -> Operation<'a> {
        Operation(self.0.get("operation").unwrap_or(&Value::Null))
    }

    /// Returns when it, or the attempt before the next one, ended.
    pub fn finished_at(self) -> Option<Timestamp> {
        text(self.0, "finishedAt").parse().ok()
    }

    /// Returns how many attempts failed before.
    pub fn retry_count(self) -> i64 {
        self.0.get("retryCount").and_then(Value::as_i64).unwrap_or_default()
    }

    /// Returns what it did, once it got so far.
    pub fn sync_result(self) -> Option<SyncResult<'a>> {
        self.0.get("syncResult").filter(|result| result.is_object()).map(SyncResult)
    }

    /// Returns the revisions that it was about: those it synced, else those it was asked for.
    pub fn revisions(self) -> Vec<&'a str> {
        let synced = self.sync_result().map(SyncResult::revisions).unwrap_or_default();
        if synced.is_empty() { self.operation().revisions() } else { synced }
    }
}

impl<'a> SyncResult<'a> {
    /// Returns the revisions that were synced, by position of the source.
    pub fn revisions(self) -> Vec<&'a str> {
        revisions(self.0)
    }

    /// Returns what became of each object.
    pub fn resources(self) -> impl Iterator<Item = ResourceResult<'a>> {
        let resources = self.0.get("resources").and_then(Value::as_array);
        resources.into_iter().flatten().map(|entry| ResourceResult {
            id: object_id(entry),
            status: text(entry, "status"),
            hook_phase: text(entry, "hookPhase"),
            message: text(entry, "message"),
        })
    }
}

impl ResourceResult<'_> {
    /// Returns whether this object made the sync fail.
    pub fn is_failure(&self) -> bool {
        self.status == "SyncFailed" || matches!(self.hook_phase, "Failed" | "Error")
    }
}

/// `revisions` of several sources, or `revision` of the only one.
pub(super) fn revisions(value: &Value) -> Vec<&str> {
    match value.get("revisions").and_then(Value::as_array) {
        Some(several) if !several.is_empty() => {
            several.iter().map(|revision| revision.as_str().unwrap_or_default()).collect()
        }
        _ => Some(text(value, "revision")).filter(|one| !one.is_empty()).into_iter().collect(),
    }
}

pub(super) fn object_id(entry: &Value) -> ObjectId {
    ObjectId {
        group: text(entry, "group").to_owned(),
        kind: text(entry, "kind").to_owned(),
        namespace: text(entry, "namespace").to_owned(),
        name: text(entry, "name").to_owned(),
    }
}
