//! Pods that the node puts out, and old pods that do not go.

use deployctl::cluster::Live;
use deployctl::ops::{RolloutReport, RolloutVerdict, VerifyOptions, verify};
use deployctl::rollout::CauseKind;

use super::{LATE, apply, case, deployment, options, shell};
use crate::cluster::environment;
use crate::support::RegistryServer;
use crate::support::kubernetes::{ControlPlane, Node, images};

const NAMESPACE: &str = "why-going";

fn here(yaml: &str) -> String {
    yaml.replace("namespace: why", &format!("namespace: {NAMESPACE}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_are_put_out_or_do_not_go_are_told() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let Some(_node) = Node::start(&control_plane).await else { return };
    let image = format!("{}/shop/ranking:1", registry.domain());
    images::push(&image, "exec sleep 1000").await.unwrap();
    control_plane.namespace(NAMESPACE);
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    tokio::join!(
        a_volume_that_is_too_full(control_plane, &live, &image),
        an_old_pod_with_a_finalizer(control_plane, &live, &image),
        an_old_pod_that_does_not_heed_sigterm(control_plane, &live, &image),
    );
}

async fn a_volume_that_is_too_full(control_plane: ControlPlane, live: &Live, image: &str) {
    let fill = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do x=$x$x; done; echo $x >/v/full; exec sleep 1000";
    let container = format!("{}{LATE}, volumeMounts: [{{name: v, mountPath: /v}}]", shell(fill));
    let volume = ", volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]";
    let yaml = here(&deployment("full", image, &container, volume));
    apply(control_plane, &yaml).await;
    let expected = case(yaml, 75, CauseKind::Eviction, "exceeds the limit \"1Mi\"", "`sizeLimit`");
    let report = verify(live, &options(&expected.yaml, 75), &|_| {}).await.unwrap();
    assert!(expected.is_told(&report), "{report:#?}");
}

/// Rolls out a first revision of `yaml`, and returns what is said of a second one, for which the first
/// one's pod has to go.
async fn second_revision(control_plane: ControlPlane, live: &Live, yaml: &str) -> RolloutReport {
    let first = here(yaml).replace("replicas: 1\n", "replicas: 1\n  strategy: {type: Recreate}\n");
    apply(control_plane, &first).await;
    let soon = VerifyOptions { settle: std::time::Duration::ZERO, ..options(&first, 180) };
    let report = verify(live, &soon, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    let second = first.replace("{name: web, ", "{name: web, env: [{name: REVISION, value: '2'}], ");
    apply(control_plane, &second).await;
    verify(live, &options(&second, 60), &|_| {}).await.unwrap()
}

fn assert_stuck(report: &RolloutReport, summary: &str, advice: &str) {
    assert_eq!(report.verdict, RolloutVerdict::TimedOut, "{report:#?}");
    let cause = report.cause.as_ref().unwrap_or_else(|| panic!("no cause: {report:#?}"));
    assert_eq!(cause.kind, CauseKind::StuckTermination, "{report:#?}");
    assert!(cause.summary.contains(summary) && cause.advice.contains(advice), "{report:#?}");
}

async fn an_old_pod_with_a_finalizer(control_plane: ControlPlane, live: &Live, image: &str) {
    let yaml = deployment("held", image, "", "");
    let label = "{labels: {app: held}}";
    let yaml = yaml.replace(label, "{labels: {app: held}, finalizers: [example.com/hold]}");
    let report = second_revision(control_plane, live, &yaml).await;
    assert_stuck(&report, "its finalizer `example.com/hold` holds it", "controller that owns");
}

async fn an_old_pod_that_does_not_heed_sigterm(
    control_plane: ControlPlane,
    live: &Live,
    image: &str,
) {
    let deaf = shell("trap \"\" TERM; while :; do sleep 1; done");
    let yaml = deployment("deaf", image, &deaf, "");
    let yaml = yaml.replace("PeriodSeconds: 1,", "PeriodSeconds: 3600,");
    let report = second_revision(control_plane, live, &yaml).await;
    assert_stuck(&report, "its container `web` still runs", "--grace-period=1");
}
