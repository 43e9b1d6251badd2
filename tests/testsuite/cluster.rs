//! The live cluster, against a real API server: who may read, what is read, how refusals sound.

mod causes;
mod faults;
mod settings;

use std::time::Duration;

use deployctl::argocd::ApplicationName;
use deployctl::cluster::{Cluster as _, Live, Scope, View};
use deployctl::k8s::Object;
use deployctl::rollout::{Snapshot, stray};
use deployctl::system::Environment;

use crate::support::kubernetes::ControlPlane;
use crate::support::wait_until;

/// The machine's environment with this control plane's kubeconfig.
pub(crate) fn environment(control_plane: &ControlPlane) -> Environment {
    let kubeconfig = control_plane.kubeconfig();
    [("KUBECONFIG", kubeconfig.to_str().unwrap())].into_iter().collect()
}

async fn live(control_plane: &ControlPlane, context: Option<&str>) -> Live {
    Live::connect(&environment(control_plane), context).await.unwrap()
}

fn scope(yaml: &str) -> Scope {
    Scope { application: None, objects: Object::read_all(yaml).unwrap() }
}

const CONFIG_MAP: &str =
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}}";

/// Returns what the API server answers, as soon as the watches hold the same: controllers may be at
/// work still.
async fn held(view: &mut dyn View) -> Snapshot {
    let held = async {
        loop {
            let answered = view.confirm().await.unwrap();
            view.pause(Duration::from_millis(50)).await;
            if view.observe().await.unwrap() == answered {
                return answered;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), held).await.unwrap()
}

#[tokio::test]
async fn refusals_say_what_was_asked_and_hide_the_token() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let config_map = scope(CONFIG_MAP);
    let refused = async |context: &str| {
        let live = live(&control_plane, Some(context)).await;
        let mut view = live.follow(&config_map);
        let error = view.observe().await.unwrap_err();
        assert_eq!(view.confirm().await.unwrap_err(), error);
        error.to_string()
    };
    assert_eq!(
        refused("nobody").await,
        "the cluster refuses to get configmaps `a` in namespace `default`: configmaps \"a\" is forbidden: User \"nobody\" cannot get resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    let name = ApplicationName { namespace: "argocd".into(), name: "ranking-dev".into() };
    let scope = Scope { application: Some(name), objects: Vec::new() };
    let nobody = live(&control_plane, Some("nobody")).await;
    let error = nobody.follow(&scope).observe().await.unwrap_err();
    let start =
        "the cluster refuses to get applications.argoproj.io `ranking-dev` in namespace `argocd`: ";
    assert!(error.to_string().starts_with(start), "{error}");
    let stranger = refused("stranger").await;
    assert!(
        stranger.ends_with("the credentials are not accepted (401 Unauthorized)"),
        "{stranger}"
    );
    assert!(!stranger.contains("canary"), "{stranger}");
    let gone = refused("gone").await;
    assert!(gone.starts_with("can't reach the cluster at `https://127.0.0.1:1`: "), "{gone}");
    assert!(gone.contains("refused"), "{gone}");
}

#[tokio::test]
async fn finds_pods_and_events_from_the_workload_and_reads_no_secret() {
    let Some(control_plane) = ControlPlane::start() else { return };
    control_plane.namespace("finds-pods");
    let yaml = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: finds-pods}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {schedulerName: nobody, containers: [{name: web, image: 'registry.example.com/web:1'}]}
---
{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: finds-pods}, stringData: {a: canary}}
---
{apiVersion: v1, kind: Pod, metadata: {name: stray, namespace: finds-pods, labels: {app: web}}, spec: {containers: [{name: web, image: x}], nodeName: nowhere}}
";
    control_plane.apply(yaml);
    let live = live(&control_plane, None).await;
    let more = "---\n{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: finds-pods}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: missing, namespace: finds-pods}}";
    let scope = scope(&format!("{yaml}{more}"));
    wait_until("two pods", || {
        control_plane.kubectl(&["-n", "finds-pods", "get", "pods", "-o", "name"]).lines().count()
            == 3
    });
    control_plane.play_kubelet("finds-pods");
    let mut view = live.follow(&scope);
    let snapshot = held(&mut *view).await;
    let kinds = |objects: &[Object]| -> Vec<String> {
        objects.iter().map(|object| object.kind().to_owned()).collect()
    };
    // `stray` took the Deployment's label and is a Pod of the scope itself.
    assert_eq!(kinds(&snapshot.objects), ["Deployment", "Pod"]);
    assert_eq!((kinds(&snapshot.owned), snapshot.pods.len()), (vec!["ReplicaSet".to_owned()], 3));
    let workload = snapshot.workloads().next().unwrap();
    assert_eq!(workload.current_pods().len(), 2);
    assert_eq!(
        snapshot.unread,
        ["the cluster does not know `example.com/v1 Widget`: is its CRD installed?"]
    );
    let text = format!("{snapshot:?}");
    assert!(!text.contains("managedFields") && !text.contains("canary"));
}

#[tokio::test]
async fn what_the_api_server_makes_of_a_pod_template_is_no_difference() {
    let Some(control_plane) = ControlPlane::start() else { return };
    control_plane.namespace("templates");
    let template = "metadata: {labels: {app: NAME}, annotations: {checksum/config: a1}}
    spec:
      restartPolicy: RESTART
      securityContext: {}
      initContainers: [{name: migrate, image: 'm:1', command: [migrate], resources: {requests: {cpu: 1000m, memory: 1024Mi}}}]
      containers:
      - name: web
        image: 'registry.example.com/web:1'
        command: []
        args: ['--level', '$(LEVEL)']
        env: [{name: LEVEL, value: info}, {name: EMPTY, value: ''}, {name: NONE}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}},
          {name: KEY, valueFrom: {configMapKeyRef: {name: config, key: key, optional: false}}}]
        envFrom: [{configMapRef: {name: config}}, {secretRef: {name: token}, prefix: A_}]
        ports: [{containerPort: 80}]
        livenessProbe: {httpGet: {path: /, port: 80}, initialDelaySeconds: 0}
        resources: {limits: {cpu: 0.5, memory: 0.5Gi}}
        volumeMounts: [{name: config, mountPath: /config, readOnly: false}]
      volumes: [{name: config, configMap: {name: config}}, {name: token, secret: {secretName: token, defaultMode: 256}}, {name: tmp, emptyDir: {}}]
";
    let workload = |kind: &str, group: &str, more: &str| {
        let name = kind.to_lowercase();
        let restart = if kind == "Job" { "Never" } else { "Always" };
        let template = template.replace("NAME", &name).replace("RESTART", restart);
        let more = more.replace("NAME", &name);
        format!(
            "---\napiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: templates}}\nspec:\n{more}  template:\n    {template}"
        )
    };
    let selector = "  selector: {matchLabels: {app: NAME}}\n";
    let yaml = [
        workload("Deployment", "apps", selector),
        workload("StatefulSet", "apps", &format!("  serviceName: db\n{selector}")),
        workload("DaemonSet", "apps", selector),
        workload("Job", "batch", ""),
    ];
    control_plane.apply(&yaml.concat());
    let scope = scope(&yaml.concat());
    let live = live(&control_plane, None).await;
    let snapshot = live.follow(&scope).confirm().await.unwrap();
    assert_eq!(snapshot.objects.len(), 4);
    for stated in &scope.objects {
        let there = snapshot.object(&stated.id()).unwrap();
        assert_eq!(stray(stated, there), None, "{}", stated.kind());
        let mut other = stated.value().clone();
        other["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "debug".into();
        let other = Object::new(other).unwrap();
        let found = stray(&other, there);
        assert_eq!(found.as_deref(), Some("the variable `LEVEL` of its container `web`"));
    }
}

#[tokio::test]
async fn a_refresh_sets_the_annotation_and_nothing_else() {
    let Some(control_plane) = ControlPlane::start() else { return };
    control_plane.namespace("refresh");
    let name = ApplicationName { namespace: "refresh".into(), name: "web".into() };
    let live = live(&control_plane, None).await;
    let scope = Scope { application: Some(name.clone()), objects: Vec::new() };
    assert_eq!(live.follow(&scope).observe().await.unwrap().application, None);
    assert!(live.refresh(&name).await.is_err());
    control_plane.write_application(
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: web, namespace: refresh}, spec: {project: default, destination: {}}}",
    );
    let before = live.follow(&scope).confirm().await.unwrap().application.unwrap();
    live.refresh(&name).await.unwrap();
    let after = live.follow(&scope).observe().await.unwrap().application.unwrap();
    assert_eq!(after.at("/metadata/managedFields"), None);
    assert_eq!(after.annotation("argocd.argoproj.io/refresh"), Some("normal"));
    assert_eq!(before.at("/spec"), after.at("/spec"));
}
