//! autoscaling/HorizontalPodAutoscaler, versions 1 and 2, and before Argo CD 3.5 the beta ones.

use serde::Deserialize;
use serde_json::Value;

use super::fields::{CheckError, FieldError, Fields, Shape, typed};
use crate::health::HealthStatus::{Degraded, Healthy, Progressing};
use crate::health::{ArgoCdVersion, Health};
use crate::k8s::Object;

/// Version 1 has no `status.conditions`; they are JSON in this annotation.
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// Types and reasons that keep an autoscaler from its work.
const FAILURES: [(&str, &str); 8] = [
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "FailedComputeMetricsReplicas"),
    ("ScalingActive", "InvalidSelector"),
];

/// What else must be of its type.
const SHAPE: &[(&str, Shape)] = &[
    ("spec.scaleTargetRef", Shape::Map),
    ("spec.minReplicas", Shape::Count),
    ("spec.maxReplicas", Shape::Count),
    ("status.observedGeneration", Shape::Integer),
    ("status.lastScaleTime", Shape::Time),
    ("status.currentReplicas", Shape::Count),
    ("status.desiredReplicas", Shape::Count),
];

#[derive(Default)]
struct Condition {
    kind: String,
    status: String,
    reason: String,
    message: String,
}

/// Returns the health of a HorizontalPodAutoscaler.
pub(super) fn check(object: &Object, version: ArgoCdVersion) -> Result<Health, CheckError> {
    let versions: &[&str] = match version {
        ArgoCdVersion::V3_5 | ArgoCdVersion::V3_6 => &["v1", "v2"],
        _ => &["v1", "v2", "v2beta1", "v2beta2"],
    };
    let conditions = typed(object, "HPA", versions, read)?;
    if object.version() == "v1" {
        let annotation = object.annotation(CONDITIONS).unwrap_or("null");
        return from_annotation(annotation).map(|conditions| judge(&conditions));
    }
    Ok(judge(&conditions))
}

fn read(fields: Fields<'_>) -> Result<Vec<Condition>, FieldError> {
    fields.agree(SHAPE)?;
    fields.metadata()?;
    let conditions = fields.conditions()?.into_iter().map(|condition| Condition {
        kind: condition.kind.to_owned(),
        status: condition.status.to_owned(),
        reason: condition.reason.to_owned(),
        message: condition.message.to_owned(),
    });
    Ok(conditions.collect())
}

fn from_annotation(json: &str) -> Result<Vec<Condition>, CheckError> {
    let failed = |reason: String| CheckError::Annotation { reason };
    let entries: Option<Vec<Option<serde_json::Map<String, Value>>>> =
        serde_json::from_str(json).map_err(|error| failed(error.to_string()))?;
    let entries = entries.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
    entries.map(|entry| from_entry(&entry).map_err(failed)).collect()
}

/// Go, which Argo CD reads the annotation with, does not mind the case of keys.
fn from_entry(entry: &serde_json::Map<String, Value>) -> Result<Condition, String> {
    let mut condition = Condition::default();
    for (key, value) in entry {
        let field = match key.to_ascii_lowercase().as_str() {
            "type" => &mut condition.kind,
            "status" => &mut condition.status,
            "reason" => &mut condition.reason,
            "message" => &mut condition.message,
            _ => continue,
        };
        let text =
            Option::<String>::deserialize(value).map_err(|error| format!("{key}: {error}"))?;
        *field = text.unwrap_or_default();
    }
    Ok(condition)
}

fn judge(conditions: &[Condition]) -> Health {
    let fails = |c: &&Condition| FAILURES.contains(&(c.kind.as_str(), c.reason.as_str()));
    let works = |c: &&Condition| {
        matches!(c.kind.as_str(), "AbleToScale" | "ScalingLimited") && c.status == "True"
    };
    match (conditions.iter().find(fails), conditions.iter().find(works)) {
        (Some(failure), _) => Degraded.because(failure.message.as_str()),
        (None, Some(working)) => Healthy.because(working.message.as_str()),
        (None, None) => Progressing.because("Waiting to Autoscale"),
    }
}
