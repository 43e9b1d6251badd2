//! Why rollouts fail on a real node: in the kubelet's, the runtime's, the scheduler's and the
//! controllers' own words. One node for all of them.

mod going;
mod pulls;

use std::time::Duration;

use deployctl::cluster::{Live, Scope};
use deployctl::k8s::Object;
use deployctl::ops::{Moment, RolloutReport, RolloutVerdict, VerifyEvent, VerifyOptions, verify};
use deployctl::registry::Remote;
use deployctl::rollout::{CauseKind, Gravity};
use deployctl::system::Environment;
use futures_util::future::join_all;
use tokio::sync::Notify;

use self::pulls::push_index;
use crate::cluster::environment;
use crate::support::kubernetes::{ControlPlane, Node, images};
use crate::support::{RegistryServer, wait_until};

const NAMESPACE: &str = "why";

fn options<'a>(yaml: &str, seconds: u64) -> VerifyOptions<'a> {
    let scope = Scope { application: None, objects: Object::read_all(yaml).unwrap() };
    VerifyOptions {
        timeout: Duration::from_secs(seconds),
        interval: Duration::from_millis(500),
        ..VerifyOptions::new("dev", "ranking", scope)
    }
}

/// A Deployment of one pod; `container` and `pod` are further fields of either.
fn deployment(name: &str, image: &str, container: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: web, image: '{image}'{container}}}]{pod}}}\n"
    )
}

/// Runs what blocks elsewhere: what is verified meanwhile has its own deadlines.
async fn aside(job: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(job).await.unwrap();
}

fn apply(control_plane: ControlPlane, yaml: &str) -> impl Future<Output = ()> {
    let yaml = yaml.to_owned();
    aside(move || control_plane.apply(&yaml))
}

fn shell(command: &str) -> String {
    format!(", command: [sh, -c, '{command}']")
}

/// What is deployed, and what is told of it.
struct Case {
    yaml: String,
    /// How long to wait at most; a cause whose grace is longer is told when the time is over.
    seconds: u64,
    kind: CauseKind,
    /// What the summary contains.
    summary: &'static str,
    /// What the advice contains.
    advice: &'static str,
}

impl Case {
    /// Returns whether the report is as expected.
    fn is_told(&self, report: &RolloutReport) -> bool {
        let Some(cause) = &report.cause else { return false };
        let expected = match cause.gravity {
            Gravity::Fatal { grace } if grace.as_secs() < self.seconds => RolloutVerdict::Degraded,
            _ => RolloutVerdict::TimedOut,
        };
        cause.kind == self.kind
            && cause.summary.contains(self.summary)
            && cause.advice.contains(self.advice)
            && !cause.evidence.is_empty()
            && report.verdict == expected
    }

    fn assert_told(cases: &[Self], reports: &[RolloutReport]) {
        let reports = cases.iter().zip(reports);
        let wrong = reports.filter(|(case, report)| !case.is_told(report));
        let wrong: Vec<_> = wrong
            .map(|(case, report)| (&case.summary, report.verdict, &report.reason, &report.cause))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

fn case(
    yaml: String,
    seconds: u64,
    kind: CauseKind,
    summary: &'static str,
    advice: &'static str,
) -> Case {
    Case { yaml, seconds, kind, summary, advice }
}

fn configurations(image: &str) -> Vec<Case> {
    let of = |name: &str, container: &str, pod: &str, kind, summary, advice| {
        case(deployment(name, image, container, pod), 180, kind, summary, advice)
    };
    let config = CauseKind::ContainerConfig;
    let from = |source: &str| format!(", env: [{{name: A, valueFrom: {{{source}}}}}]");
    let mount = ", volumeMounts: [{name: v, mountPath: /v}]";
    let volume = ", volumes: [{name: v, configMap: {name: nowhere}}]";
    vec![
        of(
            "secret",
            &from("secretKeyRef: {name: nowhere, key: k}"),
            "",
            config,
            "secret \"nowhere\" not found",
            "Make the Secret",
        ),
        of(
            "map",
            ", envFrom: [{configMapRef: {name: nowhere}}]",
            "",
            config,
            "configmap \"nowhere\" not found",
            "Make the ConfigMap",
        ),
        of(
            "key",
            &from("configMapKeyRef: {name: there, key: k}"),
            "",
            config,
            "couldn't find key k in ConfigMap why/there",
            "Add the key",
        ),
        of(
            "env",
            &from("resourceFieldRef: {containerName: nobody, resource: limits.cpu}"),
            "",
            config,
            "container nobody not found",
            "",
        ),
        of(
            "command",
            ", command: [/bin/nothing]",
            "",
            config,
            "no such file or directory",
            "not in the image",
        ),
        of(
            "volume",
            mount,
            volume,
            CauseKind::VolumeMount,
            "configmap \"nowhere\" not found",
            "Make the ConfigMap",
        ),
        of(
            "secret-volume",
            mount,
            ", volumes: [{name: v, secret: {secretName: nowhere}}]",
            CauseKind::VolumeMount,
            "secret \"nowhere\" not found",
            "Secret",
        ),
        of(
            "key-volume",
            mount,
            ", volumes: [{name: v, configMap: {name: there, items: [{key: k, path: p}]}}]",
            CauseKind::VolumeMount,
            "references non-existent config key: k",
            "key",
        ),
    ]
}

/// A container without a probe is ready while it runs, and what happens after health has another verdict.
const LATE: &str = ", readinessProbe: {exec: {command: [cat, /nowhere]}, initialDelaySeconds: 120}";

fn crashes(image: &str) -> Vec<Case> {
    let of = |name: &str, container: &str, pod: &str, kind, summary, advice| {
        case(deployment(name, image, container, pod), 180, kind, summary, advice)
    };
    let probe =
        ", startupProbe: {exec: {command: [cat, /nowhere]}, periodSeconds: 1, failureThreshold: 1}";
    let init = format!(
        ", initContainers: [{{name: migrate, image: '{image}', command: [sh, -c, 'echo no such table; exit 4']}}]"
    );
    let memory = "x=a; while :; do x=$x$x; done";
    let limit = ", resources: {limits: {memory: 32Mi}}";
    vec![
        of(
            "crash",
            &(shell("echo -e \"\\033[31mno database\\033[0m\"; exit 3") + LATE),
            "",
            CauseKind::CrashLoop,
            "container `web` ends with exit code 3, ",
            "kubectl logs crash-",
        ),
        of(
            "signal",
            &(shell("exit 139") + LATE),
            "",
            CauseKind::CrashLoop,
            "killed by SIGSEGV",
            "native libraries",
        ),
        of(
            "memory",
            &(shell(memory) + limit + LATE),
            "",
            CauseKind::CrashLoop,
            "killed for lack of memory (limit 32Mi)",
            "Raise `resources.limits.memory`",
        ),
        of(
            "init",
            "",
            &init,
            CauseKind::InitContainer,
            "init container `migrate` ends with exit code 4",
            "kubectl logs init-",
        ),
        of(
            "startup",
            &(shell("exec sleep 1000") + probe),
            "",
            CauseKind::FailingProbe,
            "startup probe failed",
            "wait longer",
        ),
    ]
}

fn stuck(image: &str) -> Vec<Case> {
    let of = |name: &str, container: &str, pod: &str, kind, summary, advice| {
        case(deployment(name, image, container, pod), 45, kind, summary, advice)
    };
    let probe = ", readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}";
    let large = ", resources: {requests: {cpu: 4000}}";
    let placed = ", nodeSelector: {node.example.com/for: batch}";
    let kind = CauseKind::Unschedulable;
    vec![
        of(
            "readiness",
            probe,
            "",
            CauseKind::FailingProbe,
            "statuscode: 404 [GET /ready on port 8080]",
            "readiness probe",
        ),
        of("large", large, "", kind, "Insufficient cpu", "cpu 4k for `web`"),
        of(
            "selector",
            "",
            ", nodeSelector: {disktype: ssd}",
            kind,
            "didn't match",
            "label disktype=ssd",
        ),
        of("taint", "", placed, kind, "taint", "toleration"),
    ]
}

// Nobody runs it; its taint keeps all others away.
const TAINTED_NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: tainted, labels: {node.example.com/for: batch}}\nspec: {taints: [{key: dedicated, value: batch, effect: NoSchedule}]}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_node_says_is_told_with_what_to_do() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let Some(_node) = Node::start(&control_plane).await else { return };
    let image = format!("{}/shop/ranking:1", registry.domain());
    images::push(&image, "exec httpd -f -p 8080 -h /www").await.unwrap();
    control_plane.namespace(NAMESPACE);
    control_plane.apply(&format!(
        "{TAINTED_NODE}---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: there, namespace: {NAMESPACE}}}}}\n"
    ));
    let mut cases = configurations(&image);
    cases.extend(crashes(&image));
    cases.extend(stuck(&image));
    let all: Vec<_> = cases.iter().map(|case| case.yaml.as_str()).collect();
    control_plane.apply(&all.join("---\n"));
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let told = join_all(cases.iter().map(async |case| {
        verify(&live, &options(&case.yaml, case.seconds), &|_| {}).await.unwrap()
    }));
    let (told, (), (), (), ()) = tokio::join!(
        told,
        a_stuck_stateful_set_is_freed_by_the_advice(control_plane, &live, &image),
        a_restart_soon_after_health_is_a_failure(control_plane, &live, &image),
        a_quota_is_told(control_plane, &live, &image),
        what_runs_is_proven(control_plane, &live, registry.domain()),
    );
    Case::assert_told(&cases, &told);
    let mut reports = cases.iter().zip(&told);
    let (_, crash) = reports.find(|(case, _)| case.yaml.contains("name: crash,")).unwrap();
    assert_eq!(crash.evidence[0].log, ["no database"], "{crash:#?}");
    control_plane.kubectl(&["delete", "node", "tainted"]);
}

fn stateful_set(image: &str, command: &str) -> String {
    deployment("db", image, &shell(command), "")
        .replace("kind: Deployment", "kind: StatefulSet")
        .replace("replicas: 1", "serviceName: db\n  replicas: 1")
}

async fn a_stuck_stateful_set_is_freed_by_the_advice(
    control_plane: ControlPlane,
    live: &Live,
    image: &str,
) {
    apply(control_plane, &stateful_set(image, "exit 1")).await;
    aside(move || {
        wait_until("the broken pod", || {
            let format = "jsonpath={.status.containerStatuses[*].restartCount}";
            let restarts = control_plane
                .try_kubectl(&["-n", NAMESPACE, "get", "pod", "db-0", "-o", format], "");
            restarts.is_ok_and(|restarts| matches!(restarts.as_str(), "1" | "2" | "3"))
        });
    })
    .await;
    let mended = stateful_set(image, "exec sleep 1000");
    apply(control_plane, &mended).await;
    let report = verify(live, &options(&mended, 30), &|_| {}).await.unwrap();
    let cause = report.cause.as_ref().unwrap_or_else(|| panic!("no cause: {report:#?}"));
    assert_eq!(cause.kind, CauseKind::StuckStatefulSet, "{report:#?}");
    assert!(cause.advice.contains("`kubectl delete pod db-0 -n why`"), "{report:#?}");
    let delete = ["delete", "pod", "db-0", "-n", NAMESPACE];
    aside(move || drop(control_plane.kubectl(&delete))).await;
    let report = verify(live, &options(&mended, 180), &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
}

async fn a_restart_soon_after_health_is_a_failure(
    control_plane: ControlPlane,
    live: &Live,
    image: &str,
) {
    let command = shell("until [ -e /end ]; do sleep 1; done; echo gone; exit 7");
    let yaml = deployment("short", image, &command, "");
    apply(control_plane, &yaml).await;
    let options = VerifyOptions { settle: Duration::from_secs(60), ..options(&yaml, 180) };
    let healthy = Notify::new();
    let tell = |moment: Moment| {
        if matches!(moment.event, VerifyEvent::Settling { .. }) {
            healthy.notify_one();
        }
    };
    let end = async {
        healthy.notified().await;
        let end = ["-n", NAMESPACE, "exec", "deploy/short", "--", "sh", "-c", ": >/end"];
        // The container may be gone before the command that ends it is.
        aside(move || _ = control_plane.kubectl_may(&end)).await;
        std::future::pending::<()>().await;
    };
    let report = tokio::select! {
        report = verify(live, &options, &tell) => report.unwrap(),
        () = end => unreachable!(),
    };
    assert_eq!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
    assert!(report.reason.starts_with("it was healthy at "), "{report:#?}");
    assert!(report.reason.contains("was restarted after exit code 7"), "{report:#?}");
}

async fn a_quota_is_told(control_plane: ControlPlane, live: &Live, image: &str) {
    let namespace = "why-quota";
    aside(move || control_plane.namespace(namespace)).await;
    let quota = format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: none, namespace: {namespace}}}, spec: {{hard: {{pods: 0}}}}}}"
    );
    apply(control_plane, &quota).await;
    aside(move || {
        wait_until("the quota", || {
            let format = "jsonpath={.status.hard.pods}";
            let hard = control_plane
                .try_kubectl(&["-n", namespace, "get", "quota", "none", "-o", format], "");
            hard.is_ok_and(|hard| hard == "0")
        });
    })
    .await;
    let in_namespace = format!("namespace: {namespace}");
    let yaml = deployment("web", image, "", "").replace("namespace: why", &in_namespace);
    apply(control_plane, &yaml).await;
    let expected =
        case(yaml, 60, CauseKind::Admission, "exceeded quota: none", "Raise the ResourceQuota");
    let report = verify(live, &options(&expected.yaml, 60), &|_| {}).await.unwrap();
    assert!(expected.is_told(&report), "{report:#?}");
}

async fn what_runs_is_proven(control_plane: ControlPlane, live: &Live, domain: &str) {
    let name = format!("{domain}/shop/search:1");
    let of_platform = images::push(&name, "exec httpd -f -p 8080 -h /www").await.unwrap();
    let index = push_index(&name, &of_platform, &["riscv64", "amd64"]).await;
    let registry = Remote::new(&Environment::default()).unwrap();
    let settle = Duration::from_secs(1);
    // The pod names the platform's manifest, the promotion the index.
    for (app, runs) in [("by-index", &index), ("by-platform", &of_platform)] {
        let yaml = deployment(app, &format!("{name}@{runs}"), "", "");
        apply(control_plane, &yaml).await;
        let image = Some(format!("{name}@{runs}").parse().unwrap());
        let options =
            VerifyOptions { image, registry: Some(&registry), settle, ..options(&yaml, 180) };
        let report = verify(live, &options, &|_| {}).await.unwrap();
        assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
        assert!(report.pods[0].proof.as_ref().unwrap().is_proven(), "{report:#?}");
        assert!(report.proven().is_some(), "{report:#?}");
    }
    // A tag moves, and the pods stay as they are.
    let yaml = deployment("by-tag", &name, "", "");
    apply(control_plane, &yaml).await;
    let options = VerifyOptions { registry: Some(&registry), settle, ..options(&yaml, 180) };
    let report = verify(live, &options, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    assert!(!report.notes.iter().any(|note| note.contains("deploys nothing")), "{report:#?}");
    images::push(&name, "exec sleep 1000").await.unwrap();
    let committed = Some(jiff::Timestamp::now());
    let options = VerifyOptions { committed, ..options };
    let report = verify(live, &options, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    let notes = report.notes.join("\n");
    assert!(notes.contains("the commit restarted no pods"), "{notes}");
    assert!(notes.contains("a tag that moves deploys nothing"), "{notes}");
}
