//! Each case is what a real kubelet, scheduler or controller wrote, cut down to what counts.

use super::*;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ranking, namespace: shop, uid: d, generation: 2}\nspec: {replicas: 1}\n";
const SETS: &str = "---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: ranking-old, namespace: shop, uid: old, annotations: {deployment.kubernetes.io/revision: '9'}, ownerReferences: [{uid: d, controller: true}]}\n---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: ranking-new, namespace: shop, uid: new, annotations: {deployment.kubernetes.io/revision: '10'}, ownerReferences: [{uid: d, controller: true}]}\n";

fn snapshot(status: &str, rest: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in Object::read_all(&format!("{DEPLOYMENT}status: {status}\n{SETS}{rest}")).unwrap()
    {
        match object.kind() {
            "Pod" => snapshot.pods.push(object),
            "ReplicaSet" => snapshot.owned.push(object),
            "Event" => snapshot.events.push(object),
            _ => snapshot.objects.push(object),
        }
    }
    snapshot
}

fn pod(owner: &str, status: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: ranking-{owner}-1, namespace: shop, uid: p-{owner}, ownerReferences: [{{uid: {owner}, controller: true}}]}}\n\
         spec: {{containers: [{{name: web, image: 'registry.example.com/shop/ranking:1.5', resources: {{limits: {{memory: 64Mi}}}}}}]}}\nstatus: {status}\n"
    )
}

fn waiting(reason: &str, message: &str) -> String {
    let container = format!(
        "{{containerStatuses: [{{name: web, restartCount: 0, state: {{waiting: {{reason: {reason}, message: '{message}'}}}}}}]}}"
    );
    pod("new", &container)
}

fn event(uid: &str, reason: &str, message: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Event\ntype: Warning\nreason: {reason}\nmessage: '{message}'\ninvolvedObject: {{uid: {uid}}}\n"
    )
}

/// The summary, and the grace in seconds, or `transient`.
fn told(rest: &str) -> Option<(String, String)> {
    told_of("{observedGeneration: 2}", rest)
}

fn told_of(status: &str, rest: &str) -> Option<(String, String)> {
    let cause = diagnose(&snapshot(status, rest))?;
    let gravity = match cause.gravity {
        Gravity::Fatal { grace } => grace.as_secs().to_string(),
        Gravity::Transient => "transient".to_owned(),
    };
    Some((cause.summary, gravity))
}

fn check(rest: &str, summary: &str, gravity: &str) {
    assert_eq!(told(rest), Some((summary.to_owned(), gravity.to_owned())));
}

#[test]
fn an_image_that_is_not_there_is_final() {
    let answer = "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example.com/shop/ranking:1.5\": not found";
    let summary =
        "`ranking` can''t pull `registry.example.com/shop/ranking:1.5`: the registry has no such image"
            .replace("''", "'");
    check(&waiting("ErrImagePull", answer), &summary, "0");
    let backing_off = waiting("ImagePullBackOff", "Back-off pulling image");
    let failed = "Failed to pull image \"registry.example.com/shop/ranking:1.5\": not found";
    check(&format!("{backing_off}{}", event("p-new", "Failed", failed)), &summary, "0");
}

#[test]
fn a_busy_registry_is_not_final() {
    let (_, gravity) =
        told(&waiting("ErrImagePull", "429 Too Many Requests: toomanyrequests: denied")).unwrap();
    assert_eq!(gravity, "transient");
    let (_, gravity) = told(&waiting("ErrImagePull", "dial tcp: i/o timeout")).unwrap();
    assert_eq!(gravity, "transient");
}

#[test]
fn a_missing_configuration_is_named() {
    check(
        &waiting("CreateContainerConfigError", "secret \"db\" not found"),
        "container `web` can't be started: secret \"db\" not found",
        "5",
    );
    let (_, gravity) =
        told(&waiting("CreateContainerConfigError", "failed to sync secret cache: timed out"))
            .unwrap();
    assert_eq!(gravity, "transient");
}

#[test]
fn a_volume_of_a_missing_config_map_is_named() {
    let message = "MountVolume.SetUp failed for volume \"config\" : configmap \"web\" not found";
    check(
        &format!("{}{}", waiting("ContainerCreating", ""), event("p-new", "FailedMount", message)),
        &format!("pod `ranking-new-1` waits for a volume: {message}"),
        "30",
    );
}

#[test]
fn a_crash_loop_is_final_after_three_restarts() {
    let crash = |restarts: u32, ended: &str| {
        let status = format!(
            "{{containerStatuses: [{{name: web, restartCount: {restarts}, state: {{waiting: {{reason: CrashLoopBackOff}}}}, lastState: {{terminated: {ended}}}}}]}}"
        );
        pod("new", &status)
    };
    let failed = "{exitCode: 3, reason: Error}";
    check(&crash(2, failed), "container `web` ends with exit code 3, 2 restarts", "transient");
    check(&crash(3, failed), "container `web` ends with exit code 3, 3 restarts", "0");
    check(
        &crash(3, "{exitCode: 137, reason: OOMKilled}"),
        "container `web` is killed for lack of memory (limit 64Mi), 3 restarts",
        "0",
    );
}

#[test]
fn an_old_pod_and_a_pod_beside_ready_ones_do_not_doom_the_rollout() {
    let crashing = "{containerStatuses: [{name: web, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]}";
    assert_eq!(told(&pod("old", crashing)), None);
    let ready = pod("new", "{conditions: [{type: Ready, status: 'True'}]}").replace("p-new", "p-2");
    let (_, gravity) = told(&format!("{}{ready}", pod("new", crashing))).unwrap();
    assert_eq!(gravity, "transient");
    // Until the controller has seen the new spec there is no new revision.
    assert_eq!(told_of("{observedGeneration: 1}", &pod("new", crashing)), None);
}

#[test]
fn a_failing_probe_is_told_in_the_kubelets_words() {
    let running =
        pod("new", "{containerStatuses: [{name: web, ready: false, state: {running: {}}}]}");
    let failed = "Readiness probe failed: HTTP probe failed with statuscode: 500";
    check(
        &format!("{running}{}", event("p-new", "Unhealthy", failed)),
        "container `web`: readiness probe failed: HTTP probe failed with statuscode: 500",
        "180",
    );
}

#[test]
fn a_pod_that_no_node_takes_has_a_grace_unless_an_autoscaler_is_at_work() {
    let says = "0/1 nodes are available: 1 Insufficient cpu.";
    let status = format!(
        "{{conditions: [{{type: PodScheduled, status: 'False', reason: Unschedulable, message: '{says}'}}]}}"
    );
    let pending = pod("new", &status);
    let summary = format!("no node takes pod `ranking-new-1`: {says}");
    check(&pending, &summary, "60");
    let helped = event("p-new", "TriggeredScaleUp", "pod triggered scale-up");
    check(&format!("{pending}{helped}"), &summary, "transient");
}

#[test]
fn a_passed_deadline_is_final() {
    let over = "{observedGeneration: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 'ReplicaSet \"x\" has timed out progressing.'}]}";
    assert_eq!(
        told_of(over, ""),
        Some((
            "`ranking` gave up: ReplicaSet \"x\" has timed out progressing.".to_owned(),
            "0".to_owned()
        ))
    );
}
