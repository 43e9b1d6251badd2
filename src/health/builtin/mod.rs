//! Argo CD's checks that are written in Go, one file a kind.
//!
//! A check reads the fields that it decides by as Kubernetes' own types would, all of them before
//! the first comparison, so an object of the wrong shape is an error and not a wrong verdict.

use crate::health::{Health, HealthStatus};
use crate::k8s::Object;

mod api_service;
mod daemon_set;
mod deployment;
mod fields;
mod horizontal_pod_autoscaler;
mod ingress;
mod job;
mod persistent_volume_claim;
mod pod;
mod replica_set;
mod service;
mod stateful_set;
mod workflow;

use fields::CheckError;

/// A check: the health of an object of its group and kind.
type Check = fn(&Object) -> Result<Health, CheckError>;

/// Every group and kind that has a check.
const CHECKS: &[(&str, &str, Check)] = &[
    ("", "PersistentVolumeClaim", persistent_volume_claim::check),
    ("", "Pod", pod::check),
    ("", "Service", service::check),
    ("apiregistration.k8s.io", "APIService", api_service::check),
    ("apps", "DaemonSet", daemon_set::check),
    ("apps", "Deployment", deployment::check),
    ("apps", "ReplicaSet", replica_set::check),
    ("apps", "StatefulSet", stateful_set::check),
    ("argoproj.io", "Workflow", workflow::check),
    ("autoscaling", "HorizontalPodAutoscaler", horizontal_pod_autoscaler::check),
    ("batch", "Job", job::check),
    ("extensions", "Ingress", ingress::check),
    ("networking.k8s.io", "Ingress", ingress::check),
];

/// Returns the health by the check of the object's group and kind, whatever its version, or `None`
/// if there is no such check. A check that cannot read the object leaves it Unknown and says why.
pub(super) fn assess(object: &Object) -> Option<Health> {
    let (group, kind) = (object.group(), object.kind());
    let (_, _, check) = CHECKS.iter().find(|(g, k, _)| *g == group && *k == kind)?;
    Some(check(object).unwrap_or_else(|error| HealthStatus::Unknown.because(error.to_string())))
}
