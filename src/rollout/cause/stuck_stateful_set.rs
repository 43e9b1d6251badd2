//! A StatefulSet waits for a broken pod of the old revision, and replaces it only when somebody
//! deletes it.
//!
//! With the policy `OrderedReady` the controller goes on only while all pods are ready: a fix or a
//! rollback does not reach the pod that needs it. kubernetes/kubernetes#67250, #60164, #88896.

use super::judge::of_pod;
use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::k8s::Object;
use crate::rollout::Workload;
use crate::rollout::workload::is_ready;

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    if !workload.goes_one_by_one() || !workload.is_observed() {
        return None;
    }
    let staying = workload.old_pods().into_iter().filter(|pod| !is_going(pod) && !is_ready(pod));
    // A pod below the partition keeps its revision, and is replaced by a pod of it.
    let partition = workload.partition();
    let mut outdated =
        staying.filter(|pod| ordinal(pod).is_none_or(|ordinal| ordinal >= partition));
    outdated.find_map(|pod| {
        // A pod that is just starting is no trouble: the controller waits for it, and goes on.
        let (_, trouble) = of_pod(&Suspect::new(*workload, pod))?;
        Some(cause(workload, pod, trouble))
    })
}

fn cause(workload: &Workload<'_>, pod: &Object, trouble: RootCause) -> RootCause {
    let (name, set) = (pod.name(), workload.object().name());
    let delete = format!("kubectl delete pod {name} -n {}", pod.namespace());
    let summary = format!(
        "StatefulSet `{set}` waits for its old pod `{name}`, which is broken, and replaces it only when it is deleted: {}",
        trouble.summary
    );
    let gravity = if trouble.gravity.is_fatal() { Gravity::after(30) } else { Gravity::Transient };
    let because = "the controller waits until every pod is ready before it replaces one";
    let advice = format!("Delete the pod, the new revision takes its place: `{delete}`");
    let about = Evidence::of_object(
        pod,
        "OldRevision",
        pod.label("controller-revision-hash").unwrap_or_default(),
    );
    let mut evidence = trouble.evidence;
    evidence.push(about);
    let weight = Weight::new(gravity, because, advice);
    RootCause::new(CauseKind::StuckStatefulSet, workload.id(), &summary, weight, evidence)
}

fn is_going(pod: &Object) -> bool {
    pod.at("/metadata/deletionTimestamp").is_some()
}

fn ordinal(pod: &Object) -> Option<i64> {
    pod.name().rsplit_once('-')?.1.parse().ok()
}
