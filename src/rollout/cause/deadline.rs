//! The workload's own deadline has passed: a Deployment or a Rollout made no progress, a Job failed.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::rollout::{ArgoRollout, Workload};

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let object = workload.object();
    let mut conditions = object.conditions();
    let over = match object.kind() {
        "Deployment" | "Rollout" if workload.is_observed() => {
            conditions.find(|c| c.kind == "Progressing" && c.reason == "ProgressDeadlineExceeded")
        }
        "Job" => conditions.find(|c| c.kind == "Failed" && c.status == "True"),
        _ => None,
    }?;
    let advice = match over.reason {
        "BackoffLimitExceeded" => {
            "Look in the logs of its pods why they fail; after the fix the Job has to be deleted and made anew"
        }
        "DeadlineExceeded" => "Raise `activeDeadlineSeconds`, or look why the Job takes so long",
        "PodFailurePolicy" => {
            "Its `podFailurePolicy` ends the Job at this failure: look at the pod's log"
        }
        _ => {
            "Look at the newest pods of the workload; a slow start needs a longer `progressDeadlineSeconds`"
        }
    };
    let advice = match ArgoRollout::new(object) {
        Some(rollout) => format!("{advice}. Where it stands: `{}`", rollout.command("get rollout")),
        None => advice.to_owned(),
    };
    let weight = Weight::new(Gravity::NOW, "its controller has given it up", advice);
    let summary = format!("`{}` gave up: {}", object.name(), over.message);
    let mut evidence = vec![Evidence::of_object(object, over.reason, over.message)];
    evidence.extend(Evidence::of_warnings(workload.snapshot(), object));
    Some(RootCause::new(CauseKind::ProgressDeadline, workload.id(), &summary, weight, evidence))
}
