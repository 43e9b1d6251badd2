//! Argo CD's settings of a real cluster: the health scripts in its `argocd-cm` decide, and who may not
//! read them is told so.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::kubernetes::ControlPlane;

/// Namespaces of their own, so that no other test is judged by the script.
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: web, namespace: NAMESPACE, annotations: {state: Degraded}}
spec: {ports: [{port: 80}]}
";

const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: NAMESPACE}
data:
  oidc.config: canary
  resource.customizations.health.Service: |
    return {status = obj.metadata.annotations.state, message = 'as the script says'}
";

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: verify, namespace: NAMESPACE}
rules:
- {apiGroups: [''], resources: [services, events], verbs: [get, list, watch]}
- {apiGroups: [argoproj.io], resources: [applications], verbs: [get, list, watch, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: verify, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: verify}
subjects: [{kind: User, name: nobody}]
";

const REVISION: &str = "2222222222222222222222222222222222222222";

/// Makes the namespace with a Service and the Application that has brought it, and the settings in
/// the namespace `argocd`.
fn scene(control_plane: &ControlPlane, namespace: &str, argocd: &str) -> World {
    [namespace, argocd].iter().for_each(|name| control_plane.namespace(name));
    for (yaml, namespace) in [(SERVICE, namespace), (SETTINGS, argocd), (ROLE, namespace)] {
        control_plane.apply(&yaml.replace("NAMESPACE", namespace));
    }
    let source = json!({"repoURL": "https://git.example.com/shop/manifests.git", "path": "web", "targetRevision": "main"});
    let destination = json!({"server": "https://kubernetes.default.svc", "namespace": namespace});
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"project": "default", "source": source, "destination": destination, "syncPolicy": {"automated": {}}},
        "status": {
            "controllerNamespace": argocd,
            "reconciledAt": "2026-03-01T10:00:00Z", "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Succeeded", "message": "successfully synced (all tasks run)", "operation": {"sync": {}},
                "startedAt": "2026-03-01T09:00:00Z", "finishedAt": "2026-03-01T09:00:01Z",
                "syncResult": {"revision": REVISION, "source": source},
            },
            "sync": {"status": "Synced", "revision": REVISION, "comparedTo": {"source": source, "destination": destination}},
            "resources": [{"version": "v1", "kind": "Service", "namespace": namespace, "name": "web", "status": "Synced"}],
        },
    });
    control_plane.write_application(&application.to_string());
    World::new().with("KUBECONFIG", control_plane.kubeconfig().to_str().unwrap())
}

/// Runs `deployctl` and returns its exit code, the report on the only rollout, and standard error.
fn run(world: &World, arguments: &[&str]) -> (i32, Value, String) {
    let ran = world.run(&[arguments, &["--output", "json"]].concat());
    let mut report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
    (ran.code, report["services"][0].take(), ran.stderr)
}

/// Within a sync nobody has to serve a refresh.
const VERIFY: [&str; 6] = ["verify", "--within-sync", "--settle", "0s", "--timeout", "3s"];

#[test]
fn the_script_in_the_cluster_s_argocd_cm_decides_in_the_replay_too() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let world = scene(&control_plane, "settings", "settings-argocd");
    let arguments = [&VERIFY[..], &["--application", "settings/web", "--record", "seen"]].concat();
    let (code, report, stderr) = run(&world, &arguments);
    assert_eq!(code, 5, "{report:#} {stderr}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.ends_with("Service `web` is Degraded: as the script says"), "{reason}");
    let kept = world.read("seen/web/argocd-cm.yaml");
    assert!(kept.contains("as the script says") && !kept.contains("canary"), "{kept}");
    let offline = World::new();
    let seen = world.path().join("seen");
    let (code, again, _) = run(&offline, &["verify", "--replay", seen.as_str()]);
    assert_eq!((code, &again["reason"]), (5, &report["reason"]));
    let (code, again, _) = run(&offline, &["verify", "--native-only", "--replay", seen.as_str()]);
    assert_eq!((code, &again["verdict"]), (0, &json!("healthy")));
}

#[test]
fn who_may_not_read_argocd_cm_is_told_so() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let world = scene(&control_plane, "settings-denied", "settings-locked");
    let arguments =
        [&VERIFY[..], &["--application", "settings-denied/web", "--context", "nobody"]].concat();
    let (code, report, stderr) = run(&world, &arguments);
    assert_eq!((code, &report["verdict"]), (0, &json!("healthy")), "{report:#} {stderr}");
    let told = "judging without the health scripts of argocd-cm: the cluster refuses to get configmaps `argocd-cm` in namespace `settings-locked`";
    assert!(stderr.contains(told), "{stderr}");
}

#[test]
fn objects_from_a_file_are_judged_by_the_configuration_s_rules_where_there_is_one() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let world = scene(&control_plane, "settings-rows", "settings-rows-argocd");
    let project = "{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: shop, namespace: settings-rows}, spec: {}}";
    control_plane.apply(project);
    world.write("project.yaml", project);
    let verify = [&VERIFY[..1], &VERIFY[2..], &["-f", "project.yaml"]].concat();
    let (code, report, stderr) = run(&world, &verify);
    assert_eq!((code, &report["verdict"]), (0, &json!("healthy")), "{report:#} {stderr}");
    world.write(
        "deployctl.yaml",
        "version: 1\nmanifests: {repo: https://git.example.com/shop/manifests.git}\n\
         environments: {dev: {overlay: apps}}\nservices: {web: {image: registry.example.com/web}}\n\
         health: {rules: [{group: argoproj.io, kinds: [AppProject], rows: [{health: Degraded, message: as the row says}]}]}\n",
    );
    let (code, report, stderr) = run(&world, &verify);
    let reason = report["reason"].as_str().unwrap();
    assert!(code != 0 && reason.ends_with("as the row says"), "{report:#} {stderr}");
}
