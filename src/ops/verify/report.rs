//! How a verification ended, as data.

use std::time::Duration;

use jiff::Timestamp;

use super::{End, Known, Moment, VerifyOptions};
use crate::argocd::ApplicationName;
use crate::health::{Health, HealthStatus};
use crate::image::PinnedImage;
use crate::k8s::{Object, ObjectId};
use crate::rollout::{Container, Evidence, Proof, RootCause, Snapshot};

/// More pieces of evidence than this help nobody.
const MOST_EVIDENCE: usize = 8;

/// How a verification ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutReport {
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The Application that deploys it, if one does.
    pub application: Option<ApplicationName>,
    /// The image that was expected.
    pub image: Option<PinnedImage>,
    /// The commit that was expected.
    pub revision: Option<String>,
    /// The verdict.
    pub verdict: RolloutVerdict,
    /// Why, in one line.
    pub reason: String,
    /// The cause, if the rollout is not healthy and one was found.
    pub cause: Option<RootCause>,
    /// What shows the cause, or, without one, the latest warnings; empty if healthy.
    pub evidence: Vec<Evidence>,
    /// The scope's objects, in order, with their health.
    pub objects: Vec<ObjectReport>,
    /// The containers of the new revision's pods.
    pub pods: Vec<PodReport>,
    /// What could not be read, one sentence each.
    pub unread: Vec<String>,
    /// What has to be said about the verdict, one sentence each.
    pub notes: Vec<String>,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What happened when, oldest first.
    pub timeline: Vec<Moment>,
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutVerdict {
    /// Live and healthy.
    Healthy,
    /// Failed, and waiting does not help.
    Degraded,
    /// Neither, when the time was over.
    TimedOut,
}

/// An object of the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReport {
    /// Which.
    pub id: ObjectId,
    /// Its health; `None` if its kind has none.
    pub health: Option<Health>,
}

/// A container of a pod of the new revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodReport {
    /// The pod.
    pub pod: ObjectId,
    /// The container.
    pub container: String,
    /// The image that the pod's spec states.
    pub image: String,
    /// The image that runs, in the container runtime's words: the digest in it may be that of the
    /// index or that of the platform's manifest. Empty until it runs.
    pub image_id: String,
    /// Whether the container is ready.
    pub ready: bool,
    /// How often it was restarted.
    pub restarts: i64,
    /// What proves that it runs the promoted image; `None` if it is not to run it.
    pub proof: Option<Proof>,
}

impl RolloutVerdict {
    /// Returns the verdict's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::TimedOut => "timed-out",
        }
    }
}

impl RolloutReport {
    /// Returns the image that the rollout proves: it is healthy, and the container runtimes of all pods
    /// that run it say so. What their spec states alone is no proof to rely on later.
    pub fn proven(&self) -> Option<&PinnedImage> {
        let image = self.image.as_ref().filter(|_| self.verdict == RolloutVerdict::Healthy)?;
        let proves = |pod: &PodReport| match &pod.proof {
            Some(Proof::NotRunning) | None => None,
            Some(proof) => Some(proof.is_proven()),
        };
        let proofs: Vec<bool> = self.pods.iter().filter_map(proves).collect();
        (!proofs.is_empty() && proofs.iter().all(|proven| *proven)).then_some(image)
    }
}

impl PodReport {
    /// Returns whether the container runtime names the very digest of `image`. If it does not, that
    /// proves nothing: of a multi-platform image it may name the platform's manifest.
    pub fn names_digest_of(&self, image: &PinnedImage) -> bool {
        self.image_id.rsplit_once('@').is_some_and(|(_, digest)| digest == image.digest.as_str())
    }
}

pub(super) fn write(
    options: &VerifyOptions<'_>,
    snapshot: &Snapshot,
    end: End,
    known: &Known<'_>,
    start: Timestamp,
    now: Timestamp,
) -> RolloutReport {
    let pods = snapshot.workloads().flat_map(|workload| workload.containers());
    RolloutReport {
        environment: options.environment.to_owned(),
        service: options.service.to_owned(),
        application: options.scope.application.clone(),
        image: options.image.clone(),
        revision: options.revision.clone(),
        verdict: end.verdict,
        reason: end.reason,
        evidence: evidence(end.verdict, end.cause.as_ref(), snapshot),
        cause: end.cause,
        objects: objects(options, snapshot),
        pods: pods.map(|container| pod(&container, known)).collect(),
        unread: snapshot.unread.clone(),
        notes: known.notes.clone(),
        started: start,
        timeline: Vec::new(),
        duration: Duration::try_from(now.duration_since(start)).unwrap_or_default(),
    }
}

fn pod(container: &Container<'_>, known: &Known<'_>) -> PodReport {
    PodReport {
        pod: container.pod.id(),
        container: container.name.to_owned(),
        image: container.image().to_owned(),
        image_id: container.image_id().to_owned(),
        ready: container.is_ready(),
        restarts: container.restarts(),
        proof: known.digest.of(container),
    }
}

fn objects(options: &VerifyOptions<'_>, snapshot: &Snapshot) -> Vec<ObjectReport> {
    let live = |object: &Object| ObjectReport {
        id: object.id(),
        health: options.rules.assess(object).health,
    };
    let mut objects: Vec<_> = snapshot.objects.iter().map(live).collect();
    let missing = super::standing::missing(&options.scope, snapshot);
    let missing = missing.map(|object| ObjectReport {
        id: object.id(),
        health: Some(HealthStatus::Missing.because("")),
    });
    objects.extend(missing);
    objects
}

/// Returns what has to be said about custom resources that have a status and no rule. Argo CD passes
/// over them, too; where it looks after an Application, its word counts.
pub(super) fn unjudged(options: &VerifyOptions<'_>, snapshot: &Snapshot) -> Vec<String> {
    let is_custom = |group: &str| group.contains('.') && !group.ends_with(".k8s.io");
    let is_meant = |object: &&Object| {
        options.scope.application.is_none()
            && is_custom(object.group())
            && object.at("/status").is_some()
            && options.rules.assess(object).decided_by.is_none()
    };
    let told = |object: &Object| {
        let (kind, name) = (object.kind(), object.name());
        format!("no rule says how {kind} `{name}` does, so that its health was not looked at")
    };
    snapshot.objects.iter().filter(is_meant).map(told).collect()
}

fn evidence(
    verdict: RolloutVerdict,
    cause: Option<&RootCause>,
    snapshot: &Snapshot,
) -> Vec<Evidence> {
    match (verdict, cause) {
        (RolloutVerdict::Healthy, _) => Vec::new(),
        (_, Some(cause)) => cause.evidence.clone(),
        (_, None) => {
            let current = snapshot.workloads().flat_map(|workload| {
                let set = workload.current_replica_set();
                std::iter::once(workload.object()).chain(set).chain(workload.current_pods())
            });
            let of = |object: &Object| Evidence::of_warnings(snapshot, object);
            current.flat_map(of).take(MOST_EVIDENCE).collect()
        }
    }
}
