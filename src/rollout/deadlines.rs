//! Whether the time that somebody is willing to wait can be enough.

use std::time::Duration;

use serde_json::Value;

use super::{ArgoRollout, Snapshot, Workload};
use crate::k8s::Object;

/// Returns why `timeout` may be too short for the rollout: a sentence for each workload that needs longer,
/// and one for those that may take longer by their own deadline.
pub fn short_of_time(snapshot: &Snapshot, timeout: Duration) -> Vec<String> {
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    let all: Vec<Workload<'_>> = snapshot.workloads().collect();
    let mut told: Vec<String> = all.iter().filter_map(|w| shortage(w, seconds)).collect();
    let patient = all.iter().filter(|workload| shortage(workload, seconds).is_none());
    let late: Vec<_> = patient
        .filter_map(|workload| Some((deadline(workload)?, workload)))
        .filter(|((deadline, _), _)| *deadline > seconds)
        .collect();
    // Nothing comes after the longest.
    if let Some(((deadline, field), workload)) = late.iter().max_by_key(|((d, _), _)| *d) {
        let more = match late.len() - 1 {
            0 => String::new(),
            more => format!(", as may {more} more"),
        };
        told.push(format!(
            "{} may take {deadline} s by its own deadline ({field}){more}, and only {seconds} s are waited: a slow rollout ends as timed out",
            named(workload)
        ));
    }
    told
}

fn named(workload: &Workload<'_>) -> String {
    format!("{} `{}`", workload.object().kind(), workload.object().name())
}

/// Returns why a workload can't be done within `timeout`, in seconds.
fn shortage(workload: &Workload<'_>, timeout: i64) -> Option<String> {
    let object = workload.object();
    let (least, why) = match ArgoRollout::new(object) {
        Some(rollout) => {
            (rollout.pauses_for().as_secs(), "the pauses between its steps".to_owned())
        }
        None => {
            let ready = object.integer("/spec/minReadySeconds").unwrap_or(0);
            let batches = batches(workload)?;
            (
                ready.saturating_mul(batches),
                format!("minReadySeconds {ready} for each of {batches} batches"),
            )
        }
    };
    let named = named(workload);
    (least > timeout).then(|| {
        format!("{named} needs at least {least} s ({why}), and only {timeout} s are waited")
    })
}

/// Returns how many seconds a workload gives itself, and the field that says so. A Deployment and a
/// Rollout that state none have ten minutes each.
fn deadline(workload: &Workload<'_>) -> Option<(i64, &'static str)> {
    let object = workload.object();
    let (deadline, field) = match object.kind() {
        "Deployment" | "Rollout" => (
            object.integer("/spec/progressDeadlineSeconds").unwrap_or(600),
            "progressDeadlineSeconds",
        ),
        "Job" if !is_over(object) => {
            (object.integer("/spec/activeDeadlineSeconds")?, "activeDeadlineSeconds")
        }
        _ => return None,
    };
    // 2147483647 means none.
    (deadline < i64::from(i32::MAX)).then_some((deadline, field))
}

fn is_over(job: &Object) -> bool {
    let is_end = |kind: &str| matches!(kind, "Complete" | "Failed");
    job.conditions().any(|condition| is_end(condition.kind) && condition.status == "True")
}

/// Returns in how many batches pods are replaced.
fn batches(workload: &Workload<'_>) -> Option<i64> {
    let object = workload.object();
    let pods = workload.counts().desired;
    let of = |pointer: &str, default: &str, up: bool| {
        let stated = object.at(pointer).map_or_else(|| default.to_owned(), written);
        share(&stated, pods, up)
    };
    let at_once = match object.kind() {
        "Deployment" if object.text("/spec/strategy/type") == Some("Recreate") => pods,
        "Deployment" => {
            of("/spec/strategy/rollingUpdate/maxSurge", "25%", true)
                + of("/spec/strategy/rollingUpdate/maxUnavailable", "25%", false)
        }
        "StatefulSet" => {
            return Some((pods - workload.partition()).max(0));
        }
        "DaemonSet" => {
            of("/spec/updateStrategy/rollingUpdate/maxUnavailable", "1", true)
                + of("/spec/updateStrategy/rollingUpdate/maxSurge", "0", true)
        }
        _ => return None,
    };
    let at_once = at_once.max(1);
    Some((pods + at_once - 1) / at_once)
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

// A surge is rounded up, what may be missing down.
fn share(stated: &str, pods: i64, up: bool) -> i64 {
    let Some(percent) = stated.strip_suffix('%') else { return stated.parse().unwrap_or(1) };
    let hundredths = pods.saturating_mul(percent.parse().unwrap_or(25));
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, spec: &str, timeout: u64, expected: &str) {
        let group = match kind {
            "Rollout" => "argoproj.io/v1alpha1",
            "Job" => "batch/v1",
            _ => "apps/v1",
        };
        let yaml = format!(
            "{{apiVersion: {group}, kind: {kind}, metadata: {{name: web}}, spec: {spec}, status: {{desiredNumberScheduled: 10}}}}"
        );
        let snapshot =
            Snapshot { objects: Object::read_all(&yaml).unwrap(), ..Snapshot::default() };
        let found = short_of_time(&snapshot, Duration::from_secs(timeout));
        match expected {
            "" => assert_eq!(found, Vec::<String>::new(), "{spec}"),
            _ => assert!(found.len() == 1 && found[0].contains(expected), "{spec}: {found:?}"),
        }
    }

    #[test]
    fn a_wait_that_can_not_be_enough_is_told() {
        check("Deployment", "{replicas: 10}", 600, "");
        check("Deployment", "{replicas: 10}", 300, "may take 600 s");
        check("Deployment", "{replicas: 10, progressDeadlineSeconds: 2147483647}", 300, "");
        // A surge of 3 and 2 that may be missing: two batches of five.
        check("Deployment", "{replicas: 10, minReadySeconds: 400}", 600, "at least 800 s");
        check("Deployment", "{replicas: 10, minReadySeconds: 300}", 600, "");
        let one = "{replicas: 4, minReadySeconds: 200, strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}}";
        check("Deployment", one, 600, "each of 4 batches");
        check("StatefulSet", "{replicas: 3, minReadySeconds: 250}", 600, "at least 750 s");
        check("DaemonSet", "{minReadySeconds: 61}", 600, "each of 10 batches");
        check(
            "DaemonSet",
            "{minReadySeconds: 61, updateStrategy: {rollingUpdate: {maxUnavailable: 50%}}}",
            600,
            "",
        );
    }

    #[test]
    fn a_workload_may_give_itself_more_time_than_is_waited() {
        let stated = "{progressDeadlineSeconds: 900}";
        check(
            "Deployment",
            stated,
            899,
            "may take 900 s by its own deadline (progressDeadlineSeconds)",
        );
        check("Deployment", stated, 900, "");
        check("Rollout", stated, 300, "Rollout `web` may take 900 s by its own deadline");
        check("Rollout", "{}", 300, "may take 600 s");
        check("Job", "{activeDeadlineSeconds: 700}", 600, "(activeDeadlineSeconds)");
        check("Job", "{activeDeadlineSeconds: 600}", 600, "");
        check("Job", "{}", 1, "");
        check("StatefulSet", "{replicas: 3}", 1, "");
    }

    #[test]
    fn a_canary_that_pauses_longer_than_is_waited_is_told() {
        let steps = "{strategy: {canary: {steps: [{setWeight: 20}, {pause: {duration: 10m}}, {pause: {duration: 301}}, {pause: {}}]}}}";
        check("Rollout", steps, 900, "at least 901 s (the pauses between its steps)");
        check("Rollout", steps, 901, "");
    }

    #[test]
    fn many_deadlines_are_told_in_one_sentence() {
        let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: JOB}, spec: {activeDeadlineSeconds: SECONDS}, status: {conditions: [{type: CONDITION, status: 'True'}]}}\n---\n";
        let jobs =
            [("a", "100", "X"), ("b", "300", "X"), ("c", "200", "X"), ("d", "900", "Complete")];
        let yaml = jobs.map(|(name, seconds, condition)| {
            job.replace("JOB", name).replace("SECONDS", seconds).replace("CONDITION", condition)
        });
        let objects = Object::read_all(&yaml.concat()).unwrap();
        let snapshot = Snapshot { objects, ..Snapshot::default() };
        let told = short_of_time(&snapshot, Duration::from_secs(60));
        assert_eq!(
            told,
            [
                "Job `b` may take 300 s by its own deadline (activeDeadlineSeconds), as may 2 more, and only 60 s are waited: a slow rollout ends as timed out"
            ]
        );
    }
}
