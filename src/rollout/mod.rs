//! What a rollout is doing: snapshots to progress, and, where it fails, to the cause.
//!
//! Plain functions over one look at a cluster: looking is left to [`crate::cluster`], waiting and
//! the verdict to [`crate::ops::verify()`].

mod account;
mod analysis_run;
mod argo_rollout;
mod cause;
mod container;
mod deadlines;
mod digest;
mod log;
mod overview;
mod past;
mod progress;
mod snapshot;
mod template;
mod workload;

pub use account::without_account;
pub use argo_rollout::{Analysis, ArgoRollout, Pause};
pub use cause::{CauseKind, Evidence, Gravity, RootCause, diagnose, located, not_found, restarted};
pub use container::{Container, ProbeKind, Terminated};
pub use deadlines::short_of_time;
pub use digest::{ImageContent, Proof, running_digest};
pub use log::{LogRequest, LogTail, MOST_BYTES, MOST_LINES, wanted_logs};
pub use overview::{ApplicationOverview, ContainerOverview, Overview, WorkloadOverview};
pub use past::Past;
pub use progress::{Change, Event, Progress};
pub use snapshot::Snapshot;
pub use template::stray;
pub use workload::{Counts, Workload};
