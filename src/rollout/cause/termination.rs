//! An old pod does not go, long after its time: a finalizer holds it, its node is lost, or the kubelet
//! can't kill it.

use jiff::SignedDuration;

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::{Snapshot, Workload};

/// The kubelet and the API server need some time after the grace period.
const LATE: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let snapshot = workload.snapshot();
    let pods = workload.pods();
    let stuck = pods.into_iter().find(|pod| is_overdue(pod, snapshot))?;
    let (name, namespace) = (stuck.name(), stuck.namespace());
    let since = stuck.text("/metadata/deletionTimestamp").unwrap_or_default();
    let finalizers: Vec<_> =
        stuck.list("/metadata/finalizers").iter().filter_map(|f| f.as_str()).collect();
    let (why, advice) = match finalizers.first() {
        Some(finalizer) => (
            format!("its finalizer `{finalizer}` holds it"),
            "Look at the controller that owns the finalizer: it has to take it off".to_owned(),
        ),
        None if stuck.text("/status/reason") == Some("NodeLost") => (
            "its node is lost".to_owned(),
            format!(
                "If the node is surely off: `kubectl delete pod {name} -n {namespace} --force --grace-period=0`"
            ),
        ),
        None => (
            "the kubelet has not ended it".to_owned(),
            format!(
                "Look at the kubelet of node `{}`: a mount or a process in the kernel may hold the container",
                stuck.text("/spec/nodeName").unwrap_or("?")
            ),
        ),
    };
    let summary = format!("pod `{name}` was to be gone by {since}, and {why}");
    let mut evidence = vec![Evidence::of_object(stuck, "Terminating", &why).at(since)];
    evidence.extend(Evidence::of_warnings(snapshot, stuck));
    let because = "the pod may still go, and other pods may come meanwhile";
    let weight = Weight::new(Gravity::Transient, because, advice);
    Some(RootCause::new(CauseKind::StuckTermination, workload.id(), &summary, weight, evidence))
}

// `deletionTimestamp` is when the grace period ends, not when the deletion was asked for.
fn is_overdue(pod: &Object, snapshot: &Snapshot) -> bool {
    let Some(end) = pod.text("/metadata/deletionTimestamp") else { return false };
    let failed = || {
        let mut warnings = snapshot.warnings_about(pod);
        warnings.any(|event| event.text("/reason") == Some("FailedKillPod"))
    };
    let late = || {
        let end: Option<jiff::Timestamp> = end.parse().ok();
        let (end, now) = end.zip(snapshot.time)?;
        Some(now.duration_since(end) >= LATE)
    };
    failed() || late().unwrap_or(false)
}
