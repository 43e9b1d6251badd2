//! A HorizontalPodAutoscaler gets no metrics, or can't scale its target.

use serde_json::Value;

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Snapshot;

pub(super) fn find(object: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    if (object.group(), object.kind()) != ("autoscaling", "HorizontalPodAutoscaler") {
        return None;
    }
    let fails = |kind: &str, status: &str| kind != "ScalingLimited" && status == "False";
    let conditions = conditions(object);
    let failing = conditions.iter().find(|condition| {
        fails(text(condition, "type"), text(condition, "status"))
            && text(condition, "reason") != "ScalingDisabled"
    })?;
    let (reason, message) = (text(failing, "reason"), text(failing, "message"));
    let (gravity, because, advice) = match reason {
        "FailedGetScale" | "InvalidSelector" | "InvalidMetricSourceType" | "AmbiguousSelector" => (
            Gravity::after(30),
            "the reference has to change",
            "Correct `scaleTargetRef`: kind, name and API version of what is to be scaled",
        ),
        _ => (
            // The metrics server looks every 15 s, and leaves out pods that have just started.
            Gravity::after(180),
            "metrics come within a minute or two after the pods are ready",
            "Check that a metrics server runs (`kubectl top pods`), and that every container of the pods states `resources.requests` for what is measured",
        ),
    };
    let summary = format!("autoscaler `{}` can't scale: {message}", object.name());
    let mut evidence = vec![Evidence::of_object(object, reason, message)];
    evidence.extend(Evidence::of_warnings(snapshot, object));
    let weight = Weight::new(gravity, because, advice);
    Some(RootCause::new(CauseKind::Autoscaler, object.id(), &summary, weight, evidence))
}

// `autoscaling/v1` keeps its conditions as JSON in an annotation.
fn conditions(object: &Object) -> Vec<Value> {
    let of_v1 = object.annotation("autoscaling.alpha.kubernetes.io/conditions");
    match of_v1.and_then(|text| serde_json::from_str(text).ok()) {
        Some(Value::Array(conditions)) => conditions,
        _ => object.list("/status/conditions").to_vec(),
    }
}

fn text<'a>(condition: &'a Value, key: &str) -> &'a str {
    condition.get(key).and_then(Value::as_str).unwrap_or_default()
}
