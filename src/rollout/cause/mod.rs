//! Why a rollout does not get on: one file a cause, one visible list.
//!
//! A cause looks at the new revision only: an old pod's trouble is not this rollout's. Which
//! signals are final and which pass by themselves follows krane's rules for doomed pods, and
//! Kubernetes' own words for its reasons.

mod admission;
mod container_config;
mod crash_loop;
mod deadline;
mod failing_probe;
mod image_pull;
mod unschedulable;
mod volume_mount;

use std::fmt;
use std::time::Duration;

use crate::k8s::{Object, ObjectId};

use super::{Container, Snapshot, Workload};

type Find = fn(&Workload<'_>) -> Option<RootCause>;

/// All causes. The first that is found is told, one that nothing but a change mends before one that
/// may pass.
const CAUSES: &[Find] = &[
    image_pull::find,
    container_config::find,
    volume_mount::find,
    crash_loop::find,
    admission::find,
    unschedulable::find,
    failing_probe::find,
    deadline::find,
];

/// Why a rollout does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCause {
    /// What kind of cause it is.
    pub kind: CauseKind,
    /// The workload that does not get on.
    pub workload: ObjectId,
    /// One line for people.
    pub summary: String,
    /// Whether waiting can help.
    pub gravity: Gravity,
    /// What shows it, the most telling first.
    pub evidence: Vec<Evidence>,
}

/// The kinds of causes; [`CauseKind::as_str`] is their stable name in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// The image can't be pulled.
    ImagePull,
    /// A ConfigMap, a Secret or a key in one is missing, or the container is otherwise malformed.
    ContainerConfig,
    /// A volume can't be mounted.
    VolumeMount,
    /// A container ends again and again.
    CrashLoop,
    /// The API server does not admit the pods: quota, security policy, webhook.
    Admission,
    /// No node takes the pods.
    Unschedulable,
    /// A probe says no.
    FailingProbe,
    /// The workload's own deadline has passed.
    ProgressDeadline,
}

/// Whether waiting can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// Nothing but a change mends it, if it stays for `grace`.
    Fatal {
        /// How long it may still vanish by itself.
        grace: Duration,
    },
    /// It may pass by itself.
    Transient,
}

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
}

/// Returns why the rollout that `snapshot` shows does not get on, or `None` if nothing speaks
/// against it.
pub fn diagnose(snapshot: &Snapshot) -> Option<RootCause> {
    let of = |workload: Workload<'_>| {
        let found: Vec<_> = CAUSES.iter().filter_map(|find| find(&workload)).collect();
        found
    };
    let mut causes: Vec<RootCause> = snapshot.workloads().flat_map(of).collect();
    let first_fatal = causes.iter().position(|cause| cause.gravity.is_fatal()).unwrap_or(0);
    (!causes.is_empty()).then(|| causes.swap_remove(first_fatal))
}

impl CauseKind {
    /// Returns the name that reports call it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image-pull",
            Self::ContainerConfig => "container-config",
            Self::VolumeMount => "volume-mount",
            Self::CrashLoop => "crash-loop",
            Self::Admission => "admission",
            Self::Unschedulable => "unschedulable",
            Self::FailingProbe => "failing-probe",
            Self::ProgressDeadline => "progress-deadline",
        }
    }
}

impl Gravity {
    const NOW: Self = Self::Fatal { grace: Duration::ZERO };

    /// Returns whether nothing but a change mends it.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Fatal { .. })
    }

    // A ReplicaSet is doomed only if all its pods are: one broken pod out of many, on a bad node for
    // example, may well be replaced (krane's rule).
    fn unless_partly_ready(self, workload: &Workload<'_>) -> Self {
        if workload.is_partly_ready() { Self::Transient } else { self }
    }
}

impl Evidence {
    fn of_waiting(container: &Container<'_>) -> Self {
        let (reason, message) = container.waiting().unwrap_or_default();
        Self::of_container(container, reason, message)
    }

    fn of_container(container: &Container<'_>, reason: &str, message: &str) -> Self {
        Self {
            object: container.pod.id(),
            container: Some(container.name.to_owned()),
            reason: reason.to_owned(),
            message: message.trim().to_owned(),
        }
    }

    fn of_event(about: &Object, event: &Object) -> Self {
        Self::of_object(
            about,
            event.text("/reason").unwrap_or_default(),
            event.text("/message").unwrap_or_default(),
        )
    }

    fn of_object(about: &Object, reason: &str, message: &str) -> Self {
        let (reason, message) = (reason.to_owned(), message.trim().to_owned());
        Self { object: about.id(), container: None, reason, message }
    }

    /// Returns the latest warning of each reason about `about`, at most three.
    pub fn of_warnings(snapshot: &Snapshot, about: &Object) -> Vec<Self> {
        let mut told: Vec<Self> = Vec::new();
        for event in snapshot.warnings_about(about) {
            let evidence = Self::of_event(about, event);
            if !told.iter().any(|earlier| earlier.reason == evidence.reason) && told.len() < 3 {
                told.push(evidence);
            }
        }
        told
    }
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

#[cfg(test)]
mod tests;
