//! Whether the time that somebody is willing to wait can be enough.

use std::time::Duration;

use serde_json::Value;

use super::{Snapshot, Workload};

/// Returns why `timeout` may be too short for the rollout, a sentence for each workload.
pub fn short_of_time(snapshot: &Snapshot, timeout: Duration) -> Vec<String> {
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    snapshot.workloads().filter_map(|workload| shortage(&workload, seconds)).collect()
}

fn shortage(workload: &Workload<'_>, timeout: i64) -> Option<String> {
    let object = workload.object();
    let named = format!("{} `{}`", object.kind(), object.name());
    let ready = object.integer("/spec/minReadySeconds").unwrap_or(0);
    let batches = batches(workload)?;
    let least = ready.saturating_mul(batches);
    if least > timeout {
        return Some(format!(
            "{named} needs at least {least} s (minReadySeconds {ready} for each of {batches} batches), and only {timeout} s are waited"
        ));
    }
    if object.kind() != "Deployment" {
        return None;
    }
    let deadline = object.integer("/spec/progressDeadlineSeconds").unwrap_or(600);
    // 2147483647 means none.
    let applies = deadline > timeout && deadline < i64::from(i32::MAX);
    applies.then(|| format!(
        "{named} may take {deadline} s to make progress (progressDeadlineSeconds), and only {timeout} s are waited: a slow rollout ends as timed out"
    ))
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
    use crate::k8s::Object;

    fn check(kind: &str, spec: &str, timeout: u64, expected: &str) {
        let yaml = format!(
            "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: web}}, spec: {spec}, status: {{desiredNumberScheduled: 10}}}}"
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
}
