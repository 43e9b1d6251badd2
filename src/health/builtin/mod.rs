//! Argo CD's checks that are written in Go, one file a kind.
//!
//! A check reads the fields that it decides by as Kubernetes' own types would, all of them before
//! the first comparison, so an object of the wrong shape is an error and not a wrong verdict.

use crate::health::{ArgoCdVersion, Health, HealthStatus};
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

/// A check: the health of an object of its group and kind, as a version of Argo CD has it.
type Check = fn(&Object, ArgoCdVersion) -> Result<Health, CheckError>;

/// Every group and kind that has a check.
const CHECKS: &[(&str, &str, Check)] = &[
    ("", "PersistentVolumeClaim", |object, _| persistent_volume_claim::check(object)),
    ("", "Pod", pod::check),
    ("", "Service", |object, _| service::check(object)),
    ("apiregistration.k8s.io", "APIService", |object, _| api_service::check(object)),
    ("apps", "DaemonSet", |object, _| daemon_set::check(object)),
    ("apps", "Deployment", |object, _| deployment::check(object)),
    ("apps", "ReplicaSet", |object, _| replica_set::check(object)),
    ("apps", "StatefulSet", |object, _| stateful_set::check(object)),
    ("argoproj.io", "Workflow", |object, _| workflow::check(object)),
    ("autoscaling", "HorizontalPodAutoscaler", horizontal_pod_autoscaler::check),
    ("batch", "Job", job::check),
    ("extensions", "Ingress", |object, _| ingress::check(object)),
    ("networking.k8s.io", "Ingress", |object, _| ingress::check(object)),
];

/// Returns the health by the check of the object's group and kind, whatever its version, or `None`
/// if there is no such check. A check that cannot read the object leaves it Unknown and says why.
pub(super) fn assess(object: &Object, version: ArgoCdVersion) -> Option<Health> {
    let check = find(object)?;
    Some(
        check(object, version)
            .unwrap_or_else(|error| HealthStatus::Unknown.because(error.to_string())),
    )
}

/// Returns whether there is a check of the object's group and kind.
pub(super) fn knows(object: &Object) -> bool {
    find(object).is_some()
}

fn find(object: &Object) -> Option<Check> {
    let (group, kind) = (object.group(), object.kind());
    CHECKS.iter().find(|(g, k, _)| *g == group && *k == kind).map(|(_, _, check)| *check)
}
