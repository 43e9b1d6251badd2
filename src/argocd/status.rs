//! What Argo CD last found out about an Application.

use jiff::Timestamp;

use crate::health::Health;
use crate::k8s::ObjectId;

/// `status.sync`: what the live state was compared to, and how that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus<'a> {
    /// How it came out.
    pub code: SyncCode,
    /// The revisions that were compared, by position of the source. Not: that were applied.
    pub revisions: Vec<&'a str>,
}

/// `status.sync.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncCode {
    /// The live state is what the revisions say.
    Synced,
    /// It is not.
    OutOfSync,
    /// It could not be compared, or was not yet.
    Unknown,
}

/// `status.health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationHealth {
    /// The status, with a message where Argo CD writes one (3.6).
    pub health: Health,
    /// Since when, where Argo CD writes it (2.14).
    pub since: Option<Timestamp>,
}

/// An entry of `status.conditions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationCondition<'a> {
    /// `type`, such as `ComparisonError`.
    pub kind: &'a str,
    /// `message`.
    pub message: &'a str,
    /// `lastTransitionTime`.
    pub since: Option<Timestamp>,
}

/// `spec.syncPolicy.automated`, where it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoSync {
    /// Deletes what git no longer has.
    pub prune: bool,
    /// Syncs again when the live state drifts.
    pub self_heal: bool,
}

/// An entry of `status.resources`: an object that the Application manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceStatus<'a> {
    /// Which object.
    pub id: ObjectId,
    /// `Synced`, `OutOfSync`, `Unknown`, or empty for a hook.
    pub status: &'a str,
    /// Its health, which Argo CD 3 keeps elsewhere unless configured.
    pub health: Option<Health>,
    /// Whether git no longer has it.
    pub requires_pruning: bool,
    /// Whether it is a hook.
    pub is_hook: bool,
}

/// An entry of `status.history`: a full sync that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry<'a> {
    /// Counts up from 0.
    pub id: i64,
    /// The revisions that were synced, by position of the source.
    pub revisions: Vec<&'a str>,
    /// When it ended.
    pub deployed_at: Option<Timestamp>,
    /// Who asked for it: a person's name, `auto-sync`, or empty.
    pub initiator: &'a str,
}

/// `status.sourceHydrator.currentOperation` or `lastSuccessfulOperation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HydrateOperation<'a> {
    /// `Hydrating`, `Hydrated` or `Failed`; empty for the last successful one.
    pub phase: &'a str,
    /// The commit that was rendered.
    pub dry_sha: &'a str,
    /// The commit that holds the result, or empty.
    pub hydrated_sha: &'a str,
    /// What went wrong, or empty.
    pub message: &'a str,
}
