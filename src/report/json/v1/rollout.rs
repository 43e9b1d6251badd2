//! How rollouts went.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::health::HealthOf;
use super::moment::MomentOf;
use super::{document, schema_of};
use crate::ops;
use crate::report::VerifyReport;
use crate::rollout::{Evidence, Gravity, Proof, RootCause};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "The report of deployctl verify")]
struct Rollouts {
    /// What was verified.
    environment: String,
    /// `healthy`, `degraded` or `timed-out`.
    verdict: &'static str,
    services: Vec<Rollout>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Rollout {
    service: String,
    application: Option<String>,
    image: Option<String>,
    revision: Option<String>,
    verdict: &'static str,
    reason: String,
    cause: Option<Cause>,
    evidence: Vec<EvidenceOf>,
    objects: Vec<ObjectOf>,
    pods: Vec<PodOf>,
    /// What could not be read, one sentence each.
    unread: Vec<String>,
    /// What has to be said about the verdict, a sentence each.
    notes: Vec<String>,
    /// RFC 3339.
    started: String,
    seconds: f64,
    /// What happened when, oldest first.
    timeline: Vec<MomentOf>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cause {
    kind: &'static str,
    /// The object that does not get on, mostly a workload.
    workload: String,
    summary: String,
    /// What to do.
    advice: String,
    /// Whether waiting does not help.
    fatal: bool,
    /// Why waiting can help, or can't.
    because: String,
    /// How long a fatal cause may last before it ends the wait.
    grace_seconds: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EvidenceOf {
    object: String,
    container: Option<String>,
    reason: String,
    message: String,
    /// RFC 3339; when it was last said.
    time: Option<String>,
    /// How often it was said.
    count: i64,
    /// The last lines of the container's log, oldest first.
    log: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ObjectOf {
    object: String,
    health: Option<HealthOf>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PodOf {
    pod: String,
    container: String,
    image: String,
    #[serde(rename = "imageID")]
    image_id: String,
    ready: bool,
    restarts: i64,
    /// What is known about the image that runs; `null` if it is not to be the promoted one.
    proof: Option<ProofOf>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProofOf {
    /// `digest`, `platform-manifest`, `config`, `spec-only`, `other-image` or `not-running`.
    by: &'static str,
    /// Whether the container runtime's own words prove it.
    proven: bool,
    platform: Option<String>,
    digest: Option<String>,
    because: Option<String>,
}

/// Returns `deployctl.dev/rollout/v1`.
pub fn rollout(report: &VerifyReport) -> Value {
    let services = report.rollouts.iter().map(|rollout| Rollout {
        service: rollout.service.clone(),
        application: rollout.application.as_ref().map(ToString::to_string),
        image: rollout.image.as_ref().map(ToString::to_string),
        revision: rollout.revision.clone(),
        verdict: rollout.verdict.as_str(),
        reason: rollout.reason.clone(),
        cause: rollout.cause.as_ref().map(Cause::from),
        evidence: rollout.evidence.iter().map(EvidenceOf::from).collect(),
        objects: rollout.objects.iter().map(ObjectOf::from).collect(),
        pods: rollout.pods.iter().map(PodOf::from).collect(),
        unread: rollout.unread.clone(),
        notes: rollout.notes.clone(),
        started: rollout.started.to_string(),
        timeline: rollout.timeline.iter().filter_map(MomentOf::of).collect(),
        seconds: rollout.duration.as_secs_f64(),
    });
    let (environment, verdict) = (report.environment.clone(), report.verdict().as_str());
    document("rollout", &Rollouts { environment, verdict, services: services.collect() })
}

/// Returns the JSON schema of `deployctl.dev/rollout/v1`.
pub fn rollout_schema() -> Value {
    schema_of::<Rollouts>("rollout")
}

impl From<&RootCause> for Cause {
    fn from(cause: &RootCause) -> Self {
        Self {
            kind: cause.kind.as_str(),
            workload: cause.workload.to_string(),
            summary: cause.summary.clone(),
            advice: cause.advice.clone(),
            fatal: cause.gravity.is_fatal(),
            because: cause.because.clone(),
            grace_seconds: match cause.gravity {
                Gravity::Fatal { grace } => Some(grace.as_secs_f64()),
                Gravity::Transient => None,
            },
        }
    }
}

impl From<&Evidence> for EvidenceOf {
    fn from(evidence: &Evidence) -> Self {
        Self {
            object: evidence.object.to_string(),
            container: evidence.container.clone(),
            reason: evidence.reason.clone(),
            message: evidence.message.clone(),
            time: evidence.time.map(|time| time.to_string()),
            count: evidence.count,
            log: evidence.log.clone(),
        }
    }
}

impl From<&ops::ObjectReport> for ObjectOf {
    fn from(object: &ops::ObjectReport) -> Self {
        Self { object: object.id.to_string(), health: object.health.as_ref().map(HealthOf::from) }
    }
}

impl From<&ops::PodReport> for PodOf {
    fn from(pod: &ops::PodReport) -> Self {
        Self {
            pod: pod.pod.to_string(),
            container: pod.container.clone(),
            image: pod.image.clone(),
            image_id: pod.image_id.clone(),
            ready: pod.ready,
            restarts: pod.restarts,
            proof: pod.proof.as_ref().map(ProofOf::from),
        }
    }
}

impl From<&Proof> for ProofOf {
    fn from(proof: &Proof) -> Self {
        let (platform, digest, because) = match proof {
            Proof::Platform { platform, digest } => (Some(platform), Some(digest), None),
            Proof::Config { digest } | Proof::Other { digest } => (None, Some(digest), None),
            Proof::Spec { because } => (None, None, Some(because)),
            Proof::Digest | Proof::NotRunning => (None, None, None),
        };
        Self {
            by: proof.as_str(),
            proven: proof.is_proven(),
            platform: platform.cloned(),
            digest: digest.map(ToString::to_string),
            because: because.cloned(),
        }
    }
}
