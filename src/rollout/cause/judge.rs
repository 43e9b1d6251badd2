//! Which of the causes that are found is the one to tell, and how far it reaches.

use super::{CAUSES, CauseKind, Find, Gravity, RootCause, Suspect};
use crate::k8s::Object;
use crate::rollout::{Snapshot, Workload};

type Ranked = (usize, RootCause);

/// Returns why the rollout that `snapshot` shows does not get on, or `None` if nothing speaks
/// against it.
pub fn diagnose(snapshot: &Snapshot) -> Option<RootCause> {
    let mut found: Vec<Ranked> = snapshot.workloads().flat_map(of_workload).collect();
    found.extend(snapshot.objects.iter().flat_map(|object| of_object(object, snapshot)));
    most_telling(found).map(|(_, cause)| cause)
}

fn most_telling(found: Vec<Ranked>) -> Option<Ranked> {
    found.into_iter().min_by_key(|(rank, cause)| (!cause.gravity.is_fatal(), *rank))
}

fn of_object(object: &Object, snapshot: &Snapshot) -> Vec<Ranked> {
    let ranked = CAUSES.iter().enumerate();
    let found = ranked.filter_map(|(rank, find)| match find {
        Find::Object(find) => Some((rank, find(object, snapshot)?)),
        _ => None,
    });
    found.collect()
}

fn of_workload(workload: Workload<'_>) -> Vec<Ranked> {
    let ranked = CAUSES.iter().enumerate();
    let found = ranked.filter_map(|(rank, find)| match find {
        Find::Workload(find) => Some((rank, find(&workload)?)),
        _ => None,
    });
    let mut found: Vec<Ranked> = found.collect();
    if let Some(of_pods) = of_pods(&workload) {
        found.push(of_pods);
    }
    overdue(found)
}

/// Returns the trouble of one pod, the most telling first.
pub(super) fn of_pod(suspect: &Suspect<'_>) -> Option<(usize, RootCause)> {
    let ranked = CAUSES.iter().enumerate();
    let found = ranked.filter_map(|(rank, find)| match find {
        Find::Pod(find) => Some((rank, find(suspect)?)),
        _ => None,
    });
    most_telling(found.collect())
}

// A ReplicaSet is doomed only if all its pods are: one broken pod out of many, on a bad node for
// example, may well be replaced (krane's rule). A StatefulSet that goes one by one waits for each.
fn of_pods(workload: &Workload<'_>) -> Option<Ranked> {
    let pods = workload.current_pods();
    let counting = pods.iter().filter(|pod| !is_over(pod)).count();
    let troubles: Vec<Ranked> =
        pods.iter().filter_map(|pod| of_pod(&Suspect::new(*workload, pod))).collect();
    let doomed = troubles.iter().filter(|(_, cause)| cause.gravity.is_fatal()).count();
    let (rank, mut cause) = most_telling(troubles)?;
    if cause.gravity.is_fatal() && doomed < counting && !workload.goes_one_by_one() {
        cause.gravity = Gravity::Transient;
        cause.because = format!(
            "{doomed} of {counting} new pods {} broken, the rest may do",
            if doomed == 1 { "is" } else { "are" }
        );
    }
    if let Some(delete) = workload.goes_one_by_one().then(|| deletion(&cause)).flatten() {
        cause.advice = format!(
            "{}; the StatefulSet then still waits for the broken pod: `{delete}`",
            cause.advice.trim_end_matches('.')
        );
    }
    Some((rank, cause))
}

// kubernetes/kubernetes#67250: with the policy OrderedReady the controller does not replace a pod
// that is broken, not even by the mended revision.
fn deletion(cause: &RootCause) -> Option<String> {
    let pod = cause.evidence.iter().map(|evidence| &evidence.object);
    let pod = pod.into_iter().find(|object| object.kind == "Pod")?;
    Some(format!("kubectl delete pod {} -n {}", pod.name, pod.namespace))
}

// An evicted pod stays to be looked at, and its successor counts; a Job's pods come to an end.
fn is_over(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), Some("Failed" | "Succeeded"))
}

// That time is over, or that somebody had enough, says less than what took it; what took it does not
// pass any more.
fn overdue(mut found: Vec<Ranked>) -> Vec<Ranked> {
    let is_late = |(_, cause): &Ranked| {
        matches!(cause.kind, CauseKind::ProgressDeadline | CauseKind::RolloutAborted)
    };
    let Some(late) = found.iter().position(is_late).filter(|_| found.len() > 1) else {
        return found;
    };
    let (_, late) = found.swap_remove(late);
    for (_, cause) in &mut found {
        cause.gravity = late.gravity;
        cause.because.clone_from(&late.summary);
        cause.evidence.extend(late.evidence.iter().cloned());
    }
    found
}
