//! Argo CD's Application resource, read as data: sources, revisions, sync and operation state.
//!
//! [`Application`] reads the resource, [`judge()`] says whether a revision is rolled out by it, and
//! [`Project`] what its AppProject lets it do and when. Everything comes from the resources alone: the
//! workloads behind it are [`crate::rollout`]'s, and how two commits relate is the caller's knowledge.

use std::fmt;

mod application;
mod application_set;
mod deploys;
mod glob;
mod judge;
mod missing;
mod operation;
mod project;
mod repo_url;
mod source;
mod status;

pub use application::Application;
pub use application_set::{ApplicationSet, RollingStatus};
pub use deploys::deploys;
pub use glob::glob;
pub use judge::{
    Accepts, Expected, Finality, Relation, Verdict, has_compared, judge, sync_request,
    wants_refresh,
};
pub use missing::{Missing, maker, missing};
pub use operation::{Operation, OperationState, Phase, ResourceResult, SyncResult};
pub use project::{
    ClosedWindow, Project, Schedule, ScheduleError, UnknownTimeZone, Window, time_zone,
};
pub use repo_url::normalise_repo_url;
pub use source::{Destination, Hydrator, Source};
pub use status::{
    ApplicationCondition, ApplicationHealth, AutoSync, HistoryEntry, HydrateOperation,
    ResourceStatus, SyncCode, SyncStatus,
};

/// Which Argo CD Application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationName {
    /// The namespace that the resource is in, `argocd` unless configured.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ApplicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
