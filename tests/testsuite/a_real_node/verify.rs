//! Rollouts on a real node.
//!
//! With `DEPLOYCTL_RECORD=1` this also writes what `deployctl demo` plays back, to
//! `src/ops/demo/recordings`. The image, its digest, the commit and the repository become placeholders
//! there, the loopback registry is called by the name in `manifests/`, and fields that no verdict
//! needs are left out: see `placeheld` and `lean`.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::cluster::{Cluster, Live, Recorder, Recording, Scope};
use deployctl::k8s::Object;
use deployctl::ops::{RolloutReport, RolloutVerdict, VerifyOptions, verify};
use deployctl::rollout::{CauseKind, Progress};
use serde_json::Value;

use crate::support::RegistryServer;
use crate::support::kubernetes::{ControlPlane, Node, Pulls, images};
use crate::verify::{
    COMMITS, History, IMAGE, REPOSITORY, application, assert_verdict, deployment, live, options,
    played,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_runs_or_the_report_says_why_not() {
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
    for namespace in ["ranking-dev", "ranking-prod"] {
        control_plane.namespace(namespace);
    }
    let _pulls = Pulls::within(control_plane, "ranking-missing");
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
