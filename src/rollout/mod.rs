//! What a rollout is doing: snapshots to progress, and, where it fails, to the cause.

use crate::k8s::Object;

/// Everything that one look at a cluster showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The Argo CD Application, where one was asked for and is there.
    pub application: Option<Object>,
    /// The live objects of the scope; one that is missing is not here.
    pub objects: Vec<Object>,
    /// The ReplicaSets and other controllers that the scope's objects own.
    pub owned: Vec<Object>,
    /// The pods of the scope's workloads.
    pub pods: Vec<Object>,
    /// The events about any of them, oldest first.
    pub events: Vec<Object>,
}
