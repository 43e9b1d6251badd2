//! One look at a cluster, and the way from an object to its pods, events and logs.

use jiff::Timestamp;

use crate::k8s::{Object, ObjectId};

use super::{Container, LogTail, Workload};

/// Everything that one look at a cluster showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The Argo CD Application, where one was asked for and is there.
    pub application: Option<Object>,
    /// The Application's AppProject, where it may be read.
    pub project: Option<Object>,
    /// The ApplicationSet that made the Application, where there is one and it may be read.
    pub application_set: Option<Object>,
    /// The live objects of the scope; one that is missing is not here.
    pub objects: Vec<Object>,
    /// The ReplicaSets and other controllers that the scope's objects own.
    pub owned: Vec<Object>,
    /// The pods of the scope's workloads.
    pub pods: Vec<Object>,
    /// The events about any of them, oldest first.
    pub events: Vec<Object>,
    /// The last lines that containers wrote which came to a bad end.
    pub logs: Vec<LogTail>,
    /// What of the scope could not be read, and why, one sentence each.
    pub unread: Vec<String>,
    /// When this was seen, for whoever needs to know how long something lasts; `None` if nobody said.
    pub time: Option<Timestamp>,
}

impl Snapshot {
    /// Returns the live object of the scope that `id` names, or `None` if it is not there.
    pub fn object(&self, id: &ObjectId) -> Option<&Object> {
        self.objects.iter().find(|object| object.id() == *id)
    }

    /// Returns the scope's objects that run pods.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(|object| Workload::new(object, self))
    }

    /// Returns the last lines that `container` wrote before it ended, or `None` if nobody read them.
    pub fn log_of(&self, container: &Container<'_>) -> Option<&LogTail> {
        self.logs.iter().rev().find(|log| log.is_of(container))
    }

    /// Returns the events about `object`, oldest first.
    pub fn events_about(&self, object: &Object) -> impl Iterator<Item = &Object> {
        let uid = object.uid().to_owned();
        self.events.iter().filter(move |event| event.text("/involvedObject/uid") == Some(&uid))
    }

    /// Returns the latest warnings about `object`, newest first.
    pub fn warnings_about(&self, object: &Object) -> impl Iterator<Item = &Object> {
        let about: Vec<_> = self.events_about(object).collect();
        about.into_iter().rev().filter(|event| event.text("/type") == Some("Warning"))
    }
}
