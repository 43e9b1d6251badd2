//! What in a cluster shows a cause.

use std::fmt;

use jiff::Timestamp;

use crate::k8s::{Object, ObjectId};
use crate::rollout::{Container, Snapshot};

/// More kinds of warnings about one object help nobody.
const MOST_WARNINGS: usize = 3;

/// A message of a webhook or a scheduler of many nodes can be long.
const LONGEST_MESSAGE: usize = 2000;

/// Something in the cluster that shows a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The object that says it.
    pub object: ObjectId,
    /// The container of the pod, where it is about one.
    pub container: Option<String>,
    /// The reason in Kubernetes' words, for example `CrashLoopBackOff` or `BackOff`.
    pub reason: String,
    /// The message; may be empty.
    pub message: String,
    /// When it was last said, where that is known.
    pub time: Option<Timestamp>,
    /// How often it was said.
    pub count: i64,
    /// The last lines of the container's log, oldest first.
    pub log: Vec<String>,
}

impl Evidence {
    pub(super) fn of_waiting(container: &Container<'_>) -> Self {
        let (reason, message) = container.waiting().unwrap_or_default();
        Self::of_container(container, reason, message)
    }

    pub(super) fn of_container(container: &Container<'_>, reason: &str, message: &str) -> Self {
        let of_pod = Self::of_object(container.pod, reason, message);
        Self { container: Some(container.name.to_owned()), ..of_pod }
    }

    pub(super) fn of_event(about: &Object, event: &Object) -> Self {
        let text = |pointer| event.text(pointer).unwrap_or_default();
        let seen = ["/series/count", "/count"];
        let count = seen.into_iter().find_map(|pointer| event.integer(pointer));
        let container = event.text("/involvedObject/fieldPath").and_then(container_of_path);
        Self {
            container: container.map(str::to_owned),
            time: last_seen(event),
            count: count.unwrap_or(1).max(1),
            ..Self::of_object(about, text("/reason"), text("/message"))
        }
    }

    pub(super) fn of_object(about: &Object, reason: &str, message: &str) -> Self {
        let message = message.trim().chars().take(LONGEST_MESSAGE).collect();
        Self {
            object: about.id(),
            container: None,
            reason: reason.to_owned(),
            message,
            time: None,
            count: 1,
            log: Vec::new(),
        }
    }

    /// Returns the latest warning of each reason about `about`, at most three.
    pub fn of_warnings(snapshot: &Snapshot, about: &Object) -> Vec<Self> {
        let mut told: Vec<Self> = Vec::new();
        for event in snapshot.warnings_about(about) {
            let evidence = Self::of_event(about, event);
            if !told.iter().any(|earlier| earlier.reason == evidence.reason)
                && told.len() < MOST_WARNINGS
            {
                told.push(evidence);
            }
        }
        told
    }

    pub(super) fn at(self, time: &str) -> Self {
        Self { time: time.parse().ok(), ..self }
    }
}

// `spec.containers{web}` and `spec.initContainers{migrate}`.
fn container_of_path(path: &str) -> Option<&str> {
    path.split_once('{')?.1.strip_suffix('}')
}

fn last_seen(event: &Object) -> Option<Timestamp> {
    let fields = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime"];
    let seen = fields.into_iter().find_map(|field| event.text(field));
    seen.or_else(|| event.text("/metadata/creationTimestamp"))?.parse().ok()
}

impl fmt::Display for Evidence {
    /// Writes `Pod:namespace/name container: Reason: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(container) = &self.container {
            write!(f, " {container}")?;
        }
        write!(f, ": {}", self.reason)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}
