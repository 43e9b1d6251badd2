//! Why a rollout does not get on: one file a cause, one visible list.
//!
//! A cause looks at the new revision only: an old pod's trouble is not this rollout's. Which
//! signals are final and which pass by themselves follows krane's rules for doomed pods, and
//! Kubernetes' own words for its reasons.

mod admission;
mod autoscaler;
mod claim;
mod container_config;
mod crash_loop;
mod deadline;
mod disruption_budget;
mod eviction;
mod evidence;
mod failing_probe;
mod image_pull;
mod ingress;
mod init_container;
mod judge;
mod rollout_aborted;
mod rollout_analysis;
mod rollout_inconclusive;
mod rollout_spec;
mod service;
mod stuck_stateful_set;
mod termination;
mod unschedulable;
mod volume_mount;

use std::time::Duration;

use crate::k8s::{Object, ObjectId};

pub use self::crash_loop::restarted;
pub use self::evidence::Evidence;
pub use self::image_pull::{located, not_found};
pub use self::judge::diagnose;
use super::{Container, Snapshot, Workload};

/// What a cause is looked for in.
#[derive(Clone, Copy)]
enum Find {
    /// Each pod of the new revision.
    Pod(fn(&Suspect<'_>) -> Option<RootCause>),
    /// Each workload.
    Workload(fn(&Workload<'_>) -> Option<RootCause>),
    /// Each object of the scope.
    Object(fn(&Object, &Snapshot) -> Option<RootCause>),
}

/// All causes, the most telling first. Of those that are found the first is told, one that nothing
/// but a change mends before one that may pass.
const CAUSES: &[Find] = &[
    Find::Workload(rollout_spec::find),
    Find::Workload(rollout_analysis::find),
    Find::Workload(rollout_inconclusive::find),
    Find::Pod(image_pull::find),
    Find::Pod(container_config::find),
    Find::Pod(volume_mount::find),
    Find::Pod(init_container::find),
    Find::Pod(failing_probe::find),
    Find::Pod(crash_loop::find),
    Find::Workload(stuck_stateful_set::find),
    Find::Workload(admission::find),
    Find::Object(claim::find),
    Find::Pod(unschedulable::find),
    Find::Pod(eviction::find),
    Find::Workload(deadline::find),
    Find::Workload(rollout_aborted::find),
    Find::Workload(termination::find),
    Find::Object(autoscaler::find),
    Find::Object(disruption_budget::find),
    Find::Object(service::find),
    Find::Object(ingress::find),
];

/// Why a rollout does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCause {
    /// What kind of cause it is.
    pub kind: CauseKind,
    /// The object that does not get on, mostly a workload.
    pub workload: ObjectId,
    /// One line for people.
    pub summary: String,
    /// What to do, in a sentence or two.
    pub advice: String,
    /// Whether waiting can help.
    pub gravity: Gravity,
    /// Why it can or can't.
    pub because: String,
    /// What shows it, the most telling first.
    pub evidence: Vec<Evidence>,
}

/// The kinds of causes; [`CauseKind::as_str`] is their stable name in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CauseKind {
    /// The image can't be pulled.
    ImagePull,
    /// A ConfigMap, a Secret or a key in one is missing, or the container is otherwise malformed.
    ContainerConfig,
    /// A volume can't be mounted.
    VolumeMount,
    /// An init container does not get through.
    InitContainer,
    /// A probe says no.
    FailingProbe,
    /// A container ends again and again.
    CrashLoop,
    /// A StatefulSet waits for a broken pod that it will not replace.
    StuckStatefulSet,
    /// The API server does not admit the pods: quota, security policy, webhook.
    Admission,
    /// A PersistentVolumeClaim has no volume.
    VolumeClaim,
    /// No node takes the pods.
    Unschedulable,
    /// Nodes put the pods out: pressure, preemption, shutdown.
    Eviction,
    /// The workload's own deadline has passed.
    ProgressDeadline,
    /// An old pod does not go.
    StuckTermination,
    /// A HorizontalPodAutoscaler has no metrics.
    Autoscaler,
    /// A PodDisruptionBudget allows no disruption.
    DisruptionBudget,
    /// A Service selects no pod, or has no address.
    Service,
    /// An Ingress has no address.
    Ingress,
    /// The analysis of an Argo Rollout failed.
    RolloutAnalysis,
    /// An Argo Rollout waits for somebody to decide about an inconclusive analysis.
    RolloutInconclusive,
    /// An Argo Rollout was aborted.
    RolloutAborted,
    /// The spec of an Argo Rollout is invalid.
    RolloutSpec,
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

impl CauseKind {
    /// Returns the name that reports call it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image-pull",
            Self::ContainerConfig => "container-config",
            Self::VolumeMount => "volume-mount",
            Self::InitContainer => "init-container",
            Self::FailingProbe => "failing-probe",
            Self::CrashLoop => "crash-loop",
            Self::StuckStatefulSet => "stuck-stateful-set",
            Self::Admission => "admission",
            Self::VolumeClaim => "volume-claim",
            Self::Unschedulable => "unschedulable",
            Self::Eviction => "eviction",
            Self::ProgressDeadline => "progress-deadline",
            Self::StuckTermination => "stuck-termination",
            Self::Autoscaler => "autoscaler",
            Self::DisruptionBudget => "disruption-budget",
            Self::Service => "service",
            Self::Ingress => "ingress",
            Self::RolloutAnalysis => "rollout-analysis",
            Self::RolloutInconclusive => "rollout-inconclusive",
            Self::RolloutAborted => "rollout-aborted",
            Self::RolloutSpec => "rollout-spec",
        }
    }
}

impl Gravity {
    const NOW: Self = Self::Fatal { grace: Duration::ZERO };

    const fn after(seconds: u64) -> Self {
        Self::Fatal { grace: Duration::from_secs(seconds) }
    }

    /// Returns whether nothing but a change mends it.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Fatal { .. })
    }
}

/// How a cause weighs: its gravity, why it is that, and what to do.
#[derive(Debug, Clone)]
struct Weight {
    gravity: Gravity,
    because: &'static str,
    advice: String,
}

impl Weight {
    fn new(gravity: Gravity, because: &'static str, advice: impl Into<String>) -> Self {
        Self { gravity, because, advice: advice.into() }
    }
}

/// A pod whose trouble is looked for.
struct Suspect<'a> {
    workload: Workload<'a>,
    pod: &'a Object,
    containers: Vec<Container<'a>>,
}

impl<'a> Suspect<'a> {
    fn new(workload: Workload<'a>, pod: &'a Object) -> Self {
        Self { workload, pod, containers: Container::of_pod(pod) }
    }

    fn snapshot(&self) -> &'a Snapshot {
        self.workload.snapshot()
    }

    fn warnings(&self) -> impl Iterator<Item = &'a Object> {
        self.snapshot().warnings_about(self.pod)
    }

    fn cause(
        &self,
        kind: CauseKind,
        summary: &str,
        weight: Weight,
        evidence: Vec<Evidence>,
    ) -> RootCause {
        RootCause::new(kind, self.workload.id(), summary, weight, evidence)
    }
}

impl RootCause {
    fn new(
        kind: CauseKind,
        workload: ObjectId,
        summary: &str,
        weight: Weight,
        mut evidence: Vec<Evidence>,
    ) -> Self {
        let Weight { gravity, because, advice } = weight;
        let mut told: Vec<(ObjectId, String, String)> = Vec::new();
        evidence.retain(|e| {
            let key = (e.object.clone(), e.reason.clone(), e.message.clone());
            let is_new = !told.contains(&key);
            told.push(key);
            is_new
        });
        let summary = one_line(summary);
        Self { kind, workload, summary, advice, gravity, because: because.to_owned(), evidence }
    }
}

/// A webhook's refusal or a scheduler's account of a thousand nodes is cut to this.
const LONGEST_SUMMARY: usize = 400;

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_SUMMARY) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
