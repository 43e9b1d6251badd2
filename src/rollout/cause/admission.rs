//! The API server does not admit the pods: quota, security policy, an admission webhook.

use std::time::Duration;

use super::{CauseKind, Evidence, Gravity, RootCause};
use crate::k8s::Object;
use crate::rollout::Workload;

/// A webhook that is just being installed refuses for a moment.
const GRACE: Duration = Duration::from_secs(10);

/// Words of refusals that stay until somebody changes something; other failures to create a pod
/// (a webhook that does not answer, a conflict) are tried again.
const REFUSALS: &[&str] = &["forbidden", "exceeded quota", "denied the request", "is invalid"];

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let creator = workload.current_replica_set().unwrap_or(workload.object());
    let evidence = evidence(workload, creator)?;
    let refused = REFUSALS.iter().any(|word| evidence.message.contains(word));
    Some(RootCause {
        kind: CauseKind::Admission,
        workload: workload.id(),
        summary: format!("`{}` may not create its pods: {}", creator.name(), evidence.message),
        gravity: if refused { Gravity::Fatal { grace: GRACE } } else { Gravity::Transient },
        evidence: vec![evidence],
    })
}

fn evidence(workload: &Workload<'_>, creator: &Object) -> Option<Evidence> {
    let failed = |object: &Object| {
        let fails = object.conditions().find(|c| c.kind == "ReplicaFailure" && c.status == "True");
        fails.map(|condition| Evidence::of_object(object, condition.reason, condition.message))
    };
    let of_condition = failed(creator).or_else(|| failed(workload.object()));
    // StatefulSets and DaemonSets have no such condition, only the event.
    let lacks_pods = || (workload.current_pods().len() as i64) < workload.counts().desired;
    let snapshot = workload.snapshot();
    let of_event = || {
        let mut warnings = snapshot.warnings_about(creator);
        let event = warnings.find(|event| event.text("/reason") == Some("FailedCreate"))?;
        Some(Evidence::of_event(creator, event))
    };
    let by_event = workload.object().kind() != "Deployment" && workload.is_observed();
    of_condition.or_else(|| if by_event && lacks_pods() { of_event() } else { None })
}
