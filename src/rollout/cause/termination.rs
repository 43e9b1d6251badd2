//! An old pod does not go: a finalizer holds it, its node is lost, the kubelet can't kill it, or its
//! program does not heed SIGTERM and has a long time to end.

use jiff::SignedDuration;

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::{Container, Snapshot, Workload};

/// The kubelet and the API server need some time after the grace period.
const LATE: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    overdue(workload).or_else(|| lingering(workload))
}

fn overdue(workload: &Workload<'_>) -> Option<RootCause> {
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
    let because = "the pod may still go, and other pods may come meanwhile";
    let weight = Weight::new(Gravity::Transient, because, advice);
    Some(cause(workload, stuck, &summary, &why, weight))
}

fn lingering(workload: &Workload<'_>) -> Option<RootCause> {
    let now = workload.snapshot().time?;
    let pods = workload.pods().into_iter().filter(|_| waits_for_the_old(workload));
    let (pod, asked) =
        pods.filter_map(|pod| Some((pod, asked_to_end(pod)?))).min_by_key(|(_, asked)| *asked)?;
    let containers = Container::of_pod(pod);
    let running = containers.iter().find(|container| container.is_running())?;
    if now.duration_since(asked) < LATE {
        return None;
    }
    let (name, namespace) = (pod.name(), pod.namespace());
    let end = pod.text("/metadata/deletionTimestamp").unwrap_or_default();
    let why = format!("its container `{}` still runs", running.name);
    let summary =
        format!("pod `{name}` was asked to end at {asked}, may take until {end}, and {why}");
    let advice = format!(
        "Have the program end on SIGTERM (a shell does not pass it on: start the program by `exec`), or lower `terminationGracePeriodSeconds`; `kubectl delete pod {name} -n {namespace} --grace-period=1` ends this one"
    );
    let because = "it is killed when its grace period is over";
    let weight = Weight::new(Gravity::Transient, because, advice);
    Some(cause(workload, pod, &summary, &why, weight))
}

fn cause(
    workload: &Workload<'_>,
    pod: &Object,
    summary: &str,
    why: &str,
    weight: Weight,
) -> RootCause {
    let end = pod.text("/metadata/deletionTimestamp").unwrap_or_default();
    let mut evidence = vec![Evidence::of_object(pod, "Terminating", why).at(end)];
    evidence.extend(Evidence::of_warnings(workload.snapshot(), pod));
    RootCause::new(CauseKind::StuckTermination, workload.id(), summary, weight, evidence)
}

// Other rollouts go on beside the pods that are on their way out.
fn waits_for_the_old(workload: &Workload<'_>) -> bool {
    let object = workload.object();
    match object.kind() {
        "Deployment" => object.text("/spec/strategy/type") == Some("Recreate"),
        kind => matches!(kind, "StatefulSet" | "DaemonSet"),
    }
}

fn asked_to_end(pod: &Object) -> Option<jiff::Timestamp> {
    let end: jiff::Timestamp = pod.text("/metadata/deletionTimestamp")?.parse().ok()?;
    let grace = pod.integer("/metadata/deletionGracePeriodSeconds")?;
    end.checked_sub(SignedDuration::from_secs(grace)).ok()
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
