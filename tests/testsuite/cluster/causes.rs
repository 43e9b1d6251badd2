//! Causes as real controllers write them: several at once, on one control plane without a node.

use std::time::Duration;

use deployctl::cluster::{Cluster as _, Live, Scope};
use deployctl::k8s::Object;
use deployctl::rollout::{CauseKind, RootCause, diagnose};
use futures_util::future::join_all;

use super::environment;
use crate::support::kubernetes::ControlPlane;
use crate::support::wait_until;

/// What is applied, and what is told about it.
struct Case {
    yaml: String,
    kind: CauseKind,
    /// A part of the summary.
    summary: &'static str,
}

const NAMESPACES: [&str; 3] = ["causes", "causes-quota", "causes-limits"];

const LIMITS: &str = "---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: none, namespace: causes-quota}, spec: {hard: {pods: '0'}}}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: small, namespace: causes-limits}, spec: {limits: [{type: Container, max: {memory: 64Mi}}]}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: causes-lost}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /nowhere}}}
";

fn deployment(namespace: &str, name: &str, spec: &str, container: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{{spec}containers: [{{name: web, image: 'registry.example.com/web:1'{container}}}]}}
"
    )
}

fn claim(name: &str, of: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}, namespace: causes}}, spec: {{{of}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}"
    )
}

fn cases() -> Vec<Case> {
    let case = |yaml: String, kind, summary| Case { yaml, kind, summary };
    let web = deployment("causes", "web", "nodeSelector: {example.com/none: here}, ", "");
    let service = "{apiVersion: v1, kind: Service, metadata: {name: still, namespace: causes}, spec: {selector: {app: stil}, ports: [{port: 80}]}}";
    // It has no pods, which might be to blame for something else.
    let still = deployment("causes", "still", "", "")
        .replace("spec:\n  sel", "spec:\n  replicas: 0\n  sel");
    vec![
        case(
            deployment("causes-quota", "web", "", ""),
            CauseKind::Admission,
            "exceeded quota: none",
        ),
        case(
            deployment("causes-limits", "web", "", ", resources: {limits: {memory: 128Mi}}"),
            CauseKind::Admission,
            "maximum memory usage per Container is 64Mi",
        ),
        case(
            deployment("causes", "nobody", "serviceAccountName: nobody, ", ""),
            CauseKind::Admission,
            "serviceaccount \"nobody\" not found",
        ),
        case(web, CauseKind::Unschedulable, "no node takes pod `web-"),
        case(
            format!("{service}\n---\n{still}"),
            CauseKind::Service,
            "Service `still` selects `app=stil`, and the pods of Deployment `still` have `app=still`",
        ),
        case(claim("lost", "storageClassName: '', volumeName: causes-lost"), CauseKind::VolumeClaim, "claim `lost` has lost its volume `causes-lost`"),
        case(claim("unmade", "storageClassName: fast"), CauseKind::VolumeClaim, "claim `unmade` gets no volume: storageclass.storage.k8s.io \"fast\" not found"),
        case(
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web, namespace: causes}, spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}}".to_owned(),
            CauseKind::Ingress,
            "Ingress `web` has no address (it names no class)",
        ),
        case(
            "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: causes}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3, targetCPUUtilizationPercentage: 50}}".to_owned(),
            CauseKind::Autoscaler,
            "autoscaler `web` can't scale: the HPA was unable to compute the replica count: ",
        ),
        case(
            "{apiVersion: policy/v1beta1, kind: PodDisruptionBudget, metadata: {name: web, namespace: causes}, spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}}".to_owned(),
            CauseKind::DisruptionBudget,
            "disruption budget `web` allows none: 0 of 1 required pods are healthy",
        ),
        case(
            deployment("causes", "db", "", "")
                .replace("kind: Deployment", "kind: StatefulSet")
                .replace("spec:\n  sel", "spec:\n  serviceName: db\n  sel")
                .replace("labels: {app: db}", "labels: {app: db}, finalizers: [example.com/backup]"),
            CauseKind::StuckTermination,
            "and its finalizer `example.com/backup` holds it",
        ),
    ]
}

/// Does what has to happen after the objects are there: a volume goes, and a pod shall go.
fn disturb(control_plane: ControlPlane) {
    let is = |args: &[&str], expected: &str| {
        control_plane.try_kubectl(args, "").is_ok_and(|text| text == expected)
    };
    let phase = ["-n", "causes", "get", "pvc", "lost", "-o", "jsonpath={.status.phase}"];
    wait_until("a bound claim", || is(&phase, "Bound"));
    control_plane.kubectl(&["delete", "pv", "causes-lost", "--wait=false"]);
    let released = [
        "patch",
        "pv",
        "causes-lost",
        "--type=merge",
        "-p",
        "{\"metadata\":{\"finalizers\":null}}",
    ];
    // The volume may be gone before.
    let _ = control_plane.try_kubectl(&released, "");
    wait_until("the pod", || control_plane.kubectl_may(&["-n", "causes", "get", "pod", "db-0"]));
    control_plane.kubectl(&["-n", "causes", "delete", "pod", "db-0", "--wait=false"]);
}

/// Returns the cause that the controllers come to show for `case`.
async fn cause(live: &Live, case: &Case) -> Option<RootCause> {
    let objects = Object::read_all(&case.yaml).unwrap();
    let scope = Scope { application: None, objects };
    let mut view = live.follow(&scope);
    let mut last = None;
    let seen = async {
        loop {
            let mut snapshot = view.observe().await.unwrap();
            // A pod that is to go has half a minute.
            snapshot.time = Some(jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1));
            last = diagnose(&snapshot);
            if last.as_ref().is_some_and(|found| {
                found.kind == case.kind && found.summary.contains(case.summary)
            }) {
                return;
            }
            view.pause(Duration::from_millis(500)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(30), seen).await;
    last
}

#[tokio::test]
async fn causes_are_told_as_real_controllers_show_them() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let cases = cases();
    let yaml: Vec<String> = cases.iter().map(|case| case.yaml.clone()).collect();
    let made = tokio::task::spawn_blocking(move || {
        NAMESPACES.iter().for_each(|namespace| control_plane.namespace(namespace));
        control_plane.apply(LIMITS);
        let used =
            ["-n", "causes-quota", "get", "quota", "none", "-o", "jsonpath={.status.hard.pods}"];
        wait_until("the quota", || control_plane.try_kubectl(&used, "").is_ok_and(|n| n == "0"));
        control_plane.apply(&format!("---\n{}", yaml.join("\n---\n")));
        disturb(control_plane);
    });
    made.await.unwrap();
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let told = join_all(cases.iter().map(|case| cause(&live, case))).await;
    let mut wrong = Vec::new();
    for (case, told) in cases.iter().zip(told) {
        let is_right = told.as_ref().is_some_and(|told| {
            told.kind == case.kind
                && told.summary.contains(case.summary)
                && !told.advice.is_empty()
                && !told.evidence.is_empty()
        });
        if !is_right {
            wrong.push(format!("{:?} {}: {told:#?}", case.kind, case.summary));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
