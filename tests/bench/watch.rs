//! How soon `verify` has its verdict after the change that decides it, beside `kubectl rollout status`
//! and `kubectl wait`, which wait for the same change at the same time; and how much memory 500
//! Applications take that are followed at once. On an API server of its own, real but for controllers:
//! their part is played, so that the change comes when the clock runs.
//!
//! `cargo bench --bench watch` prints medians of one run, with their ratios. Without the programs of a
//! control plane (`KUBEBUILDER_ASSETS`, see `.github/CONTRIBUTING.md`) it says so and measures nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../testsuite/support/kubernetes/certificates.rs"]
mod certificates;
#[path = "../testsuite/support/kubernetes/keeper.rs"]
mod keeper;
#[path = "../testsuite/support/kubernetes/servers.rs"]
mod servers;

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deployctl::argocd::ApplicationName;
use deployctl::cluster::{Live, Scope};
use deployctl::k8s::Object;
use deployctl::ops::{RolloutVerdict, VerifyOptions, verify};
use futures_util::future::join_all;
use keeper::Kept;
use serde_json::{Value, json};

/// Names the kubeconfig with which a child of this process follows Applications, to see how much
/// memory that takes.
const FOLLOW: &str = "DEPLOYCTL_BENCH_FOLLOW";
const COUNT: &str = "DEPLOYCTL_BENCH_COUNT";

const CRD: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: applications.argoproj.io}, spec: {group: argoproj.io, scope: Namespaced, names: {kind: Application, plural: applications}, versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(kubeconfig) = std::env::var_os(FOLLOW) {
        let count = std::env::var(COUNT).unwrap().parse().unwrap();
        return runtime.block_on(follow(Path::new(&kubeconfig), count));
    }
    // `cargo test --benches` only wants to know that it runs.
    let full = std::env::args().any(|argument| argument == "--bench");
    let (rounds, count) = if full { (9, 500) } else { (1, 5) };
    let Some(api) = Api::start() else { return println!("there is no API server to measure with") };
    runtime.block_on(latency(&api, rounds));
    runtime.block_on(memory(&api, count));
}

async fn latency(api: &Api, rounds: usize) {
    let deployment = api.deployment("web").await;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..rounds {
        api.status(&deployment, false).await;
        let live = api.live().await;
        let objects = vec![Object::new(deployment.clone()).unwrap()];
        let options = options(Scope { application: None, objects }, Duration::from_secs(60));
        let ours = async {
            let report = verify(&live, &options, &|_| {}).await.unwrap();
            assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
            Instant::now()
        };
        let ended = |args: &'static [&str]| async move {
            let mut kubectl = api.command(args);
            assert!(
                tokio::task::spawn_blocking(move || kubectl.status())
                    .await
                    .unwrap()
                    .unwrap()
                    .success()
            );
            Instant::now()
        };
        let decide = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let start = Instant::now();
            api.status(&deployment, true).await;
            start
        };
        let (start, ours, status, wait) = tokio::join!(
            decide,
            ours,
            ended(&["rollout", "status", "deployment/web"]),
            ended(&["wait", "--for=condition=Available", "--timeout=60s", "deployment/web"]),
        );
        for (times, end) in times.iter_mut().zip([ours, status, wait]) {
            times.push(end.duration_since(start));
        }
    }
    let [ours, status, wait] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("verdict after the deciding change: {ours:.1?}");
    for (name, time) in [("rollout status", status), ("wait", wait)] {
        let ratio = time.as_secs_f64() / ours.as_secs_f64();
        println!("kubectl {name}: {time:.1?}, {ratio:.1} times as long");
    }
}

async fn memory(api: &Api, count: usize) {
    api.kubectl(&["apply", "-f", "-"], CRD);
    let applications = "/apis/argoproj.io/v1alpha1/namespaces/default/applications";
    wait_until("the definition", || api.try_kubectl(&["get", "--raw", applications], "").is_ok());
    let all: Vec<usize> = (0..count).collect();
    for some in all.chunks(8) {
        join_all(some.iter().map(|index| api.application(*index))).await;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.env(FOLLOW, api.kubeconfig()).env(COUNT, count.to_string());
    let child = child.stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    for some in all.chunks(8) {
        join_all(some.iter().map(|index| async move {
            let patch = json!({"metadata": {"annotations": {"example.com/seen": "yes"}}});
            api.send("PATCH", &format!("{applications}/a{index}"), &patch).await;
        }))
        .await;
    }
    let said = child.wait_with_output().unwrap();
    print!("{}", String::from_utf8(said.stdout).unwrap());
}

async fn follow(kubeconfig: &Path, count: usize) {
    let live = live(kubeconfig).await;
    let scope = |index| Scope {
        application: Some(ApplicationName {
            namespace: "default".into(),
            name: format!("a{index}"),
        }),
        objects: Vec::new(),
    };
    let options: Vec<_> =
        (0..count).map(|index| options(scope(index), Duration::from_secs(15))).collect();
    let reports = join_all(options.iter().map(|options| verify(&live, options, &|_| {}))).await;
    let seen = reports.iter().filter(|report| {
        let report = report.as_ref().unwrap();
        report.verdict == RolloutVerdict::TimedOut && report.objects.len() == 2
    });
    assert_eq!(seen.count(), count, "{:?}", reports.first());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak memory of following {count} Applications: {}", peak.trim());
}

fn options(scope: Scope, timeout: Duration) -> VerifyOptions<'static> {
    VerifyOptions {
        // Nobody refreshes here.
        within_sync: scope.application.is_some(),
        revision: scope.application.is_some().then(|| "2".repeat(40)),
        timeout,
        settle: Duration::ZERO,
        ..VerifyOptions::new("dev", "web", scope)
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = assets.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not ready after 60 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn live(kubeconfig: &Path) -> Live {
    let environment = [("KUBECONFIG", kubeconfig.to_str().unwrap())].into_iter().collect();
    Live::connect(&environment, None).await.unwrap()
}

/// An API server without controllers.
struct Api {
    home: tempfile::TempDir,
    kubectl: PathBuf,
    client: reqwest::Client,
    url: String,
    _servers: [Kept; 2],
}

impl Api {
    fn start() -> Option<Self> {
        let [etcd, server, kubectl] = ["etcd", "kube-apiserver", "kubectl"].map(program);
        let (etcd, server, kubectl) = (etcd?, server?, kubectl?);
        program("setpriv")?;
        let home = tempfile::tempdir().unwrap();
        certificates::write_all(home.path());
        std::fs::create_dir(home.path().join("certificates")).unwrap();
        std::fs::write(home.path().join("tokens.csv"), servers::TOKENS).unwrap();
        let (port, store) = (servers::quiet_port(), servers::quiet_port());
        let kubeconfig = servers::kubeconfig(port, home.path());
        std::fs::write(home.path().join("kubeconfig"), kubeconfig).unwrap();
        let etcd = servers::start_etcd(&etcd, home.path(), store);
        wait_until("etcd", || TcpStream::connect((Ipv4Addr::LOCALHOST, store)).is_ok());
        let api = servers::start_api(
            &server,
            home.path(),
            port,
            store,
            // Nobody makes service accounts here.
            &["--disable-admission-plugins=ServiceAccount"],
        );
        let authority = std::fs::read(home.path().join("ca.crt")).unwrap();
        // The crate's own choice of a cryptography provider is left to the program that uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
            .build()
            .unwrap();
        let url = format!("https://127.0.0.1:{port}");
        let own = Self { home, kubectl, client, url, _servers: [etcd, api] };
        let ready = || own.try_kubectl(&["get", "namespace", "default"], "").is_ok();
        wait_until("kube-apiserver", ready);
        Some(own)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    async fn live(&self) -> Live {
        live(&self.kubeconfig()).await
    }

    fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        servers::run_kubectl(&self.kubectl, self.home.path(), args, input)
    }

    fn kubectl(&self, args: &[&str], input: &str) {
        self.try_kubectl(args, input).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(args).env("KUBECONFIG", self.kubeconfig()).env("HOME", self.home.path());
        command.stdout(Stdio::null());
        command
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        let request = request.bearer_auth("admin-token").header("content-type", kind);
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a Deployment with its ReplicaSet and pod, as the controllers would.
    async fn deployment(&self, name: &str) -> Value {
        let labels = json!({"app": name});
        let containers = json!([{"name": "web", "image": "registry.example.com/shop/web:1"}]);
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
        let spec =
            json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
        let owned_by = |kind: &str, owner: &Value| json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": true}]);
        let apps = "/apis/apps/v1/namespaces/default";
        let body = json!({"metadata": {"name": name}, "spec": spec});
        let deployment = self.send("POST", &format!("{apps}/deployments"), &body).await;
        let owners = owned_by("Deployment", &deployment);
        let annotations = json!({"deployment.kubernetes.io/revision": "1"});
        let body = json!({"metadata": {"name": format!("{name}-1"), "labels": labels, "annotations": annotations, "ownerReferences": owners}, "spec": spec});
        let set = self.send("POST", &format!("{apps}/replicasets"), &body).await;
        let status = json!({"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}});
        self.send("PATCH", &format!("{apps}/replicasets/{name}-1/status"), &status).await;
        let owners = owned_by("ReplicaSet", &set);
        let body = json!({"metadata": {"name": format!("{name}-1-x"), "labels": labels, "ownerReferences": owners}, "spec": {"containers": containers, "automountServiceAccountToken": false}});
        self.pod(&format!("{name}-1-x"), &body).await;
        let mut deployment = deployment;
        deployment["apiVersion"] = json!("apps/v1");
        deployment["kind"] = json!("Deployment");
        deployment
    }

    async fn pod(&self, name: &str, body: &Value) {
        let pods = "/api/v1/namespaces/default/pods";
        self.send("POST", pods, body).await;
        let ready = json!({"type": "Ready", "status": "True"});
        let status = json!({"status": {"phase": "Running", "conditions": [ready], "containerStatuses": [{
            "name": "web", "image": "web", "imageID": "web", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }]}});
        self.send("PATCH", &format!("{pods}/{name}/status"), &status).await;
    }

    /// Says that the Deployment is rolled out, or is not.
    async fn status(&self, deployment: &Value, is_done: bool) {
        let name = deployment["metadata"]["name"].as_str().unwrap();
        let (count, holds) = if is_done { (1, "True") } else { (0, "False") };
        let condition = json!({"type": "Available", "status": holds, "reason": "MinimumReplicas"});
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": 1,
            "updatedReplicas": 1, "readyReplicas": count, "availableReplicas": count,
            "conditions": [condition],
        }});
        let path = format!("/apis/apps/v1/namespaces/default/deployments/{name}/status");
        self.send("PATCH", &path, &status).await;
    }

    /// Makes an Application of a usual size, and what it deploys.
    async fn application(&self, index: usize) {
        let name = format!("a{index}");
        self.deployment(&name).await;
        let port = json!([{"port": 80}]);
        let service = json!({"metadata": {"name": name}, "spec": {"clusterIP": "None", "ports": port, "selector": {"app": name}}});
        self.send("POST", "/api/v1/namespaces/default/services", &service).await;
        let source = json!({"repoURL": "https://git.example.com/shop/manifests.git", "targetRevision": "main", "path": format!("apps/{name}/overlays/dev")});
        let revision = "1".repeat(40);
        let (time, by) = ("2026-01-01T00:00:00Z", json!({"automated": true}));
        let entry = |id: usize| json!({"id": id, "revision": revision, "deployedAt": time, "deployStartedAt": time, "initiatedBy": by, "source": source});
        let resource = |group: &str, kind: &str| json!({"group": group, "version": "v1", "kind": kind, "namespace": "default", "name": name, "status": "Synced"});
        let result = |group: &str, kind: &str| json!({"group": group, "version": "v1", "kind": kind, "namespace": "default", "name": name, "status": "Synced", "message": format!("{kind}/{name} configured"), "hookPhase": "Running", "syncPhase": "Sync"});
        let destination =
            json!({"server": "https://kubernetes.default.svc", "namespace": "default"});
        let body = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name},
            "spec": {"project": "shop", "source": source, "destination": destination, "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}},
            "status": {
                "sync": {"status": "Synced", "revision": revision, "comparedTo": {"source": source, "destination": destination}},
                "health": {"status": "Healthy", "lastTransitionTime": time},
                "history": (0..10).map(entry).collect::<Vec<_>>(),
                "reconciledAt": time,
                "resourceHealthSource": "appTree",
                "resources": [resource("apps", "Deployment"), resource("", "Service")],
                "operationState": {
                    "phase": "Succeeded", "message": "successfully synced (all tasks run)", "startedAt": time, "finishedAt": time,
                    "operation": {"initiatedBy": by, "sync": {"revision": revision}},
                    "syncResult": {"revision": revision, "source": source, "resources": [result("apps", "Deployment"), result("", "Service")]},
                },
                "summary": {"images": ["registry.example.com/shop/web:1"]},
            },
        });
        self.send("POST", "/apis/argoproj.io/v1alpha1/namespaces/default/applications", &body)
            .await;
    }
}
