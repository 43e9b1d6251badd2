//! Rollouts on a real control plane, and on a real node.
//!
//! With `DEPLOYCTL_RECORD=1` the test on the node also writes what `deployctl demo` plays back, to
//! `src/ops/demo/recordings`. The image, its digest, the commit and the repository become placeholders
//! there, the loopback registry is called by the name in `manifests/`, and fields that no verdict
//! needs are left out: see `placeheld` and `lean`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use deployctl::argocd::{ApplicationName, Relation};
use deployctl::cluster::{Cluster, Live, Recorder, Recording, Scope};
use deployctl::health::Rules;
use deployctl::k8s::Object;
use deployctl::ops::{
    Ancestry, RolloutReport, RolloutVerdict, VerifyOptions, record, replay, verify,
};
use deployctl::rollout::{CauseKind, Progress};
use serde_json::Value;

use crate::cluster::environment;
use crate::support::RegistryServer;
use crate::support::kubernetes::{ControlPlane, Node, PlayedArgoCd, images};

const REPOSITORY: &str = "https://git.example.com/shop/manifests.git";
const IMAGE: &str = "registry.example.com/shop/ranking";

/// The commits of the manifests repository, oldest first.
const COMMITS: [&str; 2] =
    ["1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"];

pub(crate) struct History(pub(crate) &'static str);

#[async_trait]
impl Ancestry for History {
    async fn relation(&self, observed: &str) -> Relation {
        let place = |commit: &str| COMMITS.iter().position(|known| *known == commit);
        match (place(observed), place(self.0)) {
            (Some(observed), Some(expected)) if observed > expected => Relation::Newer,
            (Some(observed), Some(expected)) if observed < expected => Relation::Older,
            (Some(_), Some(_)) => Relation::Same,
            _ => Relation::Unknown,
        }
    }
}

fn options<'a>(scope: Scope, image: &str, expected: &'a History) -> VerifyOptions<'a> {
    VerifyOptions {
        image: Some(image.parse().unwrap()),
        revision: Some(expected.0.to_owned()),
        repo_url: Some(REPOSITORY),
        branch: Some("main"),
        ancestry: expected,
        timeout: Duration::from_secs(120),
        interval: Duration::from_millis(300),
        settle: Duration::from_secs(1),
        ..VerifyOptions::new("dev", "ranking", scope)
    }
}

fn played(
    control_plane: ControlPlane,
    application: &str,
    namespace: &str,
    environment: &str,
) -> PlayedArgoCd {
    PlayedArgoCd {
        control_plane,
        name: application.to_owned(),
        repo_url: REPOSITORY.to_owned(),
        path: format!("apps/ranking/overlays/{environment}"),
        namespace: namespace.to_owned(),
    }
}

fn application(name: &str) -> Scope {
    let name = ApplicationName { namespace: "argocd".into(), name: name.into() };
    Scope { application: Some(name), objects: Vec::new() }
}

fn deployment(namespace: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: ranking, namespace: {namespace}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: ranking}}}}\n  \
         template:\n    metadata: {{labels: {{app: ranking}}}}\n    spec: {{containers: [{{name: ranking, image: '{image}'}}]}}\n"
    )
}

/// The same, for no node at all: another test's node must not take its pods.
fn homeless(namespace: &str, image: &str) -> String {
    deployment(namespace, image)
        .replace("spec: {containers", "spec: {nodeSelector: {nowhere: 'true'}, containers")
}

async fn live(control_plane: &ControlPlane) -> Live {
    Live::connect(&environment(control_plane), None).await.unwrap()
}

fn pinned(tag: &str, digit: &str) -> String {
    format!("{IMAGE}:{tag}@sha256:{}", digit.repeat(64))
}

fn assert_verdict(report: &RolloutReport, verdict: RolloutVerdict) {
    assert_eq!(report.verdict, verdict, "{report:#?}");
}

#[tokio::test]
async fn healthy_at_the_commit_before_is_not_the_commit_that_is_expected() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let namespace = "stale-healthy";
    control_plane.namespace(namespace);
    let argo_cd = played(control_plane, namespace, namespace, "dev");
    argo_cd.create();
    argo_cd.sync(COMMITS[0], &homeless(namespace, &pinned("1", "1")));
    let cluster = live(&control_plane).await;
    // No kubelet: the test says that the pods are ready, again and again, as replicas come.
    let ready = async {
        loop {
            tokio::task::spawn_blocking(move || control_plane.play_kubelet(namespace))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let play = async {
        let (old, new) = (History(COMMITS[0]), History(COMMITS[1]));
        let at_old = options(application(namespace), &pinned("1", "1"), &old);
        let at_new = options(application(namespace), &pinned("2", "2"), &new);
        let controller = argo_cd.keep_reconciling();
        let report = verify(&cluster, &at_old, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::Healthy);
        let soon = VerifyOptions { timeout: Duration::from_secs(3), ..at_new.clone() };
        let report = verify(&cluster, &soon, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::TimedOut);
        let expected = "which is before 222222222222";
        assert!(report.reason.contains(expected), "{}", report.reason);
        drop(controller);
        argo_cd.sync(COMMITS[1], &homeless(namespace, &pinned("2", "2")));
        let _controller = argo_cd.keep_reconciling();
        let report = verify(&cluster, &at_new, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::Healthy);
        assert_eq!(report.pods.len(), 1);
    };
    tokio::select! { () = ready => unreachable!(), () = play => {} }
}

#[tokio::test]
async fn without_argo_cd_the_rendered_objects_are_watched() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let namespace = "plain-objects";
    control_plane.namespace(namespace);
    let image = pinned("1", "1");
    let rendered = homeless(namespace, &image);
    control_plane.apply(&rendered);
    let scope = Scope { application: None, objects: Object::read_all(&rendered).unwrap() };
    let history = History(COMMITS[0]);
    let options =
        VerifyOptions { timeout: Duration::from_secs(4), ..options(scope, &image, &history) };
    let cluster = live(&control_plane).await;
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let report = recorded_and_replayed(&cluster, &options, &dir.join("late")).await;
    assert_verdict(&report, RolloutVerdict::TimedOut);
    // In the real scheduler's words.
    assert_eq!(report.cause.unwrap().kind, CauseKind::Unschedulable);
    assert!(report.reason.contains("no node takes pod `ranking-"), "{}", report.reason);
    control_plane.play_kubelet(namespace);
    let report = recorded_and_replayed(&cluster, &options, &dir.join("healthy")).await;
    assert_verdict(&report, RolloutVerdict::Healthy);
}

/// Returns the report, which the recording leads to, too.
async fn recorded_and_replayed(
    cluster: &Live,
    options: &VerifyOptions<'_>,
    dir: &Utf8Path,
) -> RolloutReport {
    let report = record(cluster, options, dir, &|_| {}).await.unwrap();
    let again = replay(dir, &|_| Ok(Rules::default()), Duration::ZERO, &|_| {}).await.unwrap();
    assert_eq!(again, std::slice::from_ref(&report));
    report
}

/// The node is one of both environments, which the shipped label has no room for.
fn node_label(environment: &str) -> String {
    format!("node.example.com/{environment}")
}

/// Returns what the overlay of `environment` renders to, with `image` instead of the one it states.
fn rendered(control_plane: &ControlPlane, environment: &str, image: &str) -> String {
    let overlay = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("manifests/apps/ranking/overlays/{environment}"));
    let text = control_plane.kubectl(&["kustomize", overlay.as_str()]);
    let text = text.replace("node.example.com/environment", &node_label(environment));
    let swap = |line: &str| match line.split_once(IMAGE) {
        Some((before, _)) => format!("{before}{image}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(swap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_node_runs_the_image_or_the_report_says_why_not() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let Some(node) = Node::start(&control_plane).await else { return };
    let name = format!("{}/shop/ranking", registry.domain());
    let push = async |tag: &str, command: &str| {
        let digest = images::push(&format!("{name}:{tag}"), command).await.unwrap();
        format!("{name}:{tag}@{digest}")
    };
    let good = push("3f9c2ab47d10", "exec httpd -f -p 8080 -h /www").await;
    let crashing = push("9a01c44be2f7", "echo no database; exit 3").await;
    let missing = format!("{name}:gone@sha256:{}", "0".repeat(64));
    for namespace in ["ranking-dev", "ranking-prod", "ranking-missing"] {
        control_plane.namespace(namespace);
    }
    for environment in ["dev", "prod"] {
        node.label(&format!("{}={environment}", node_label(environment)));
    }
    let cluster = live(&control_plane).await;
    let roll_out = async |application_name: &str,
                          environment: &str,
                          image: &str,
                          commit: usize,
                          record: &str| {
        let namespace = format!("ranking-{environment}");
        let argo_cd = played(control_plane, application_name, &namespace, environment);
        argo_cd.create();
        argo_cd.sync(COMMITS[commit], &rendered(&control_plane, environment, image));
        control_plane.play_ingress_controller(&namespace);
        let _controller = argo_cd.keep_reconciling();
        let history = History(COMMITS[commit]);
        let options = options(application(application_name), image, &history);
        watch(&cluster, &options, record, [registry.domain(), node.name()]).await
    };
    let plain = deployment("ranking-missing", &missing);
    control_plane.apply(&plain);
    let scope = Scope { application: None, objects: Object::read_all(&plain).unwrap() };
    let history = History(COMMITS[0]);
    let options = options(scope, &missing, &history);
    let (report, dev) = tokio::join!(
        verify(&cluster, &options, &|_| {}),
        roll_out("ranking-dev", "dev", &good, 0, "healthy-dev"),
    );
    let report = report.unwrap();
    assert_verdict(&report, RolloutVerdict::Degraded);
    assert_eq!(report.cause.as_ref().unwrap().kind, CauseKind::ImagePull, "{report:#?}");
    assert!(report.reason.ends_with("the registry has no such image"), "{}", report.reason);
    assert_verdict(&dev, RolloutVerdict::Healthy);
    let image = good.parse().unwrap();
    assert!(dev.pods.iter().all(|pod| pod.ready && pod.names_digest_of(&image)), "{dev:#?}");

    let (broken, prod) = tokio::join!(
        roll_out("ranking-dev", "dev", &crashing, 1, "broken-dev"),
        roll_out("ranking-prod", "prod", &good, 1, "healthy-prod"),
    );
    assert_verdict(&prod, RolloutVerdict::Healthy);
    assert_verdict(&broken, RolloutVerdict::Degraded);
    assert_eq!(broken.cause.as_ref().unwrap().kind, CauseKind::CrashLoop, "{broken:#?}");
    assert_eq!(broken.reason, "container `ranking` ends with exit code 3, 3 restarts");
}

async fn watch(
    cluster: &Live,
    options: &VerifyOptions<'_>,
    record: &str,
    names: [&str; 2],
) -> RolloutReport {
    if std::env::var_os("DEPLOYCTL_RECORD").is_none() {
        return verify(cluster, options, &|_| {}).await.unwrap();
    }
    let scratch = tempfile::tempdir().unwrap();
    let raw = Utf8Path::from_path(scratch.path()).unwrap().join(record);
    let report = {
        let recorder = Recorder::new(cluster, &raw).unwrap();
        verify(&recorder, options, &|_| {}).await.unwrap()
    };
    recorded(&raw, options, record, names).await;
    report
}

/// Writes the versions that show something new to the folder of the demo.
async fn recorded(raw: &Utf8Path, options: &VerifyOptions<'_>, record: &str, names: [&str; 2]) {
    let folder =
        Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/demo/recordings").join(record);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let recording = Recording::open(raw, &[]).unwrap();
    let mut view = recording.follow(&options.scope);
    let mut files: Vec<Utf8PathBuf> =
        raw.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    files.sort();
    let (mut progress, mut kept) = (Progress::default(), 0);
    for (index, file) in files.iter().enumerate() {
        let snapshot = view.observe().await.unwrap();
        let is_news = !progress.observe(&snapshot, recording.now()).is_empty();
        if is_news || index + 1 == files.len() {
            kept += 1;
            let text = std::fs::read_to_string(file).unwrap();
            let text = placeheld(&lean(&text), options, names);
            std::fs::write(folder.join(format!("{kept:04}.yaml")), text).unwrap();
        }
        view.pause(Duration::ZERO).await;
    }
}

/// What no verdict needs: the demo's recordings are small, so that they can be read.
const LEFT_OUT: [(&str, &[&str]); 12] = [
    ("", &["data"]),
    ("/metadata", &["resourceVersion", "generateName"]),
    ("/metadata/labels", &["app.kubernetes.io/name", "app.kubernetes.io/part-of"]),
    (
        "/metadata/annotations",
        &[
            "kubectl.kubernetes.io/last-applied-configuration",
            "seccomp.security.alpha.kubernetes.io/pod",
            "deployment.kubernetes.io/desired-replicas",
            "deployment.kubernetes.io/max-replicas",
        ],
    ),
    ("/spec", &["ports", "rules", "tls", "clusterIP", "clusterIPs", "strategy", "serviceAccount"]),
    ("/status", &["hostIP", "podIP", "podIPs", "qosClass"]),
    ("/spec", POD_SPEC),
    ("/spec/template/spec", POD_SPEC),
    ("/spec/containers/0", CONTAINER),
    ("/spec/template/spec/containers/0", CONTAINER),
    ("/status/containerStatuses/0", &["containerID", "image", "started"]),
    ("/involvedObject", &["resourceVersion", "apiVersion"]),
];

const POD_SPEC: &[&str] = &[
    "affinity",
    "automountServiceAccountToken",
    "dnsPolicy",
    "enableServiceLinks",
    "preemptionPolicy",
    "priority",
    "restartPolicy",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

const CONTAINER: &[&str] = &[
    "envFrom",
    "imagePullPolicy",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "securityContext",
    "startupProbe",
    "terminationMessagePath",
    "terminationMessagePolicy",
];

fn lean(text: &str) -> String {
    let mut version: Value = serde_yaml::from_str(text).unwrap();
    for list in ["objects", "owned", "pods", "events"] {
        for object in version.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for (pointer, keys) in LEFT_OUT {
                if let Some(map) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
                    map.retain(|key, _| !keys.contains(&key.as_str()));
                }
            }
            // The Deployment states the template; its ReplicaSets repeat it.
            if object["kind"] == "ReplicaSet" {
                object["spec"].as_object_mut().unwrap().retain(|key, _| key == "replicas");
            }
        }
    }
    serde_yaml::to_string(&version).unwrap()
}

fn placeheld(text: &str, options: &VerifyOptions<'_>, [registry, node]: [&str; 2]) -> String {
    let image = options.image.as_ref().unwrap();
    text.replace(&image.to_string(), "{{image}}")
        .replace(image.digest.as_str(), "{{digest}}")
        .replace(options.revision.as_deref().unwrap(), "{{revision}}")
        .replace(REPOSITORY, "{{repo_url}}")
        .replace(registry, "registry.example.com")
        .replace(node, "node-1")
}

#[tokio::test]
async fn what_the_demo_plays_back_ends_as_it_was_recorded() {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/demo/recordings");
    let image = pinned("2", "2");
    let by_name: BTreeMap<&str, RolloutVerdict> = BTreeMap::from([
        ("healthy-dev", RolloutVerdict::Healthy),
        ("healthy-prod", RolloutVerdict::Healthy),
        ("broken-dev", RolloutVerdict::Degraded),
    ]);
    for (name, verdict) in by_name {
        let digest = image.split_once('@').unwrap().1;
        let texts = [
            ("image", image.as_str()),
            ("digest", digest),
            ("revision", COMMITS[1]),
            ("repo_url", REPOSITORY),
        ];
        let substitutions =
            texts.map(|(name, text)| deployctl::cluster::Substitution { name, text });
        let recording = Recording::open(&folder.join(name), &substitutions).unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |moment| told.lock().unwrap().push(moment);
        let history = History(COMMITS[1]);
        let application =
            application(name.replace("healthy", "ranking").trim_start_matches("broken-"));
        let options = options(application, &image, &history);
        let report = verify(&recording, &options, &tell).await.unwrap();
        assert_verdict(&report, verdict);
        assert!(told.lock().unwrap().len() > 3, "{name} tells too little");
    }
}
