//! The workload's own deadline has passed: a Deployment made no progress, a Job failed.

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::rollout::Workload;

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let object = workload.object();
    let mut conditions = object.conditions();
    let over = match object.kind() {
        "Deployment" if workload.is_observed() => {
            conditions.find(|c| c.kind == "Progressing" && c.reason == "ProgressDeadlineExceeded")
        }
        "Job" => conditions.find(|c| c.kind == "Failed" && c.status == "True"),
        _ => None,
    }?;
    Some(RootCause {
        kind: CauseKind::ProgressDeadline,
        workload: workload.id(),
        summary: format!("`{}` gave up: {}", object.name(), over.message),
        gravity: Gravity::NOW,
        evidence: vec![Evidence::of_object(object, over.reason, over.message)],
    })
}
