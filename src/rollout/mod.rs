//! What a rollout is doing: snapshots to progress, and, where it fails, to the cause.
//!
//! Plain functions over one look at a cluster: looking is left to [`crate::cluster`], waiting and
//! the verdict to [`crate::ops::verify()`].

mod cause;
mod container;
mod overview;
mod progress;
mod snapshot;
mod workload;

pub use cause::{CauseKind, Evidence, Gravity, RootCause, diagnose};
pub use container::{Container, Terminated};
pub use overview::{ApplicationOverview, ContainerOverview, Overview, WorkloadOverview};
pub use progress::{Change, Event, Progress};
pub use snapshot::Snapshot;
pub use workload::{Counts, Workload};
