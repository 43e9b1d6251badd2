//! etcd, API server, controller manager and scheduler: one of each for all tests of a run.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::api::Api;
use super::applications::definitions;
use super::certificates;
use super::keeper::{Kept, bound, keep};
use super::servers::{TOKENS, kubeconfig, quiet_port, run_kubectl, start_api, start_etcd};
use crate::support::{peer, wait_until};

/// The control plane that all tests of this run share. Each test uses namespaces of its own.
#[derive(Clone, Copy)]
pub(crate) struct ControlPlane(&'static Shared);

struct Shared {
    home: PathBuf,
    kubectl: PathBuf,
    port: u16,
    api: Api,
    _servers: Vec<Kept>,
}

impl ControlPlane {
    /// Returns the control plane of this run, started if it is not running; `None` if a part of it
    /// is not installed.
    pub(crate) fn start() -> Option<Self> {
        static SHARED: OnceLock<Option<Shared>> = OnceLock::new();
        SHARED.get_or_init(Shared::start).as_ref().map(Self)
    }

    /// Returns the kubeconfig. Its contexts are `admin` (the current one), `nobody` (a user without
    /// rights), `stranger` (a token that is not known) and `gone` (nobody listens).
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.home.join("kubeconfig")
    }

    /// Runs `kubectl` as administrator and returns what it prints.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.0.kubectl(args, "").unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    /// Runs `kubectl` as administrator and returns whether it succeeds.
    pub(crate) fn kubectl_may(&self, args: &[&str]) -> bool {
        self.0.kubectl(args, "").is_ok()
    }

    /// Applies the documents of `yaml`.
    ///
    /// # Panics
    ///
    /// Panics if the API server refuses them.
    pub(crate) fn apply(&self, yaml: &str) {
        let applied = self.0.kubectl(&["apply", "-f", "-"], yaml);
        applied.unwrap_or_else(|error| panic!("can't apply: {error}\n{yaml}"));
    }

    /// Makes a namespace, and waits until pods can be made in it.
    pub(crate) fn namespace(&self, name: &str) {
        self.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"));
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        wait_until("the default service account", || self.api().get(&account).is_some());
    }

    /// Says of every pod of `namespace` that it is ready, as the kubelet of a node would.
    pub(crate) fn play_kubelet(&self, namespace: &str) {
        let all = format!("/api/v1/namespaces/{namespace}/pods");
        for pod in self.list(&all) {
            if pod["status"]["phase"] != "Running" {
                let name = pod["metadata"]["name"].as_str().unwrap();
                // The controllers may have taken the pod away meanwhile.
                let _ = self.api().merge(&format!("{all}/{name}/status"), &ready_status(&pod));
            }
        }
    }

    /// Gives every Ingress of `namespace` an address, as an ingress controller does; without one Argo
    /// CD calls it Progressing for ever.
    pub(crate) fn play_ingress_controller(&self, namespace: &str) {
        let all = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses");
        let address = serde_json::json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}});
        for ingress in self.list(&all) {
            let name = ingress["metadata"]["name"].as_str().unwrap();
            let status = serde_json::json!({"status": address});
            self.api().merge(&format!("{all}/{name}/status"), &status).unwrap();
        }
    }

    /// Returns the objects of the collection at `path`.
    pub(super) fn list(&self, path: &str) -> Vec<serde_json::Value> {
        let list = self.api().get(path).unwrap_or_else(|| panic!("there is no {path}"));
        list["items"].as_array().unwrap().clone()
    }

    pub(super) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    pub(super) fn home(&self) -> &Path {
        &self.0.home
    }

    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        self.0.kubectl(args, input)
    }
}

fn ready_status(pod: &serde_json::Value) -> serde_json::Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let holds =
        |kind| serde_json::json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(holds);
    let containers = pod["spec"]["containers"].as_array().unwrap().iter().map(|container| {
        serde_json::json!({
            "name": container["name"], "image": container["image"], "imageID": container["image"],
            "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        })
    });
    serde_json::json!({"status": {
        "phase": "Running", "startTime": now,
        "conditions": conditions,
        "containerStatuses": containers.collect::<Vec<_>>(),
    }})
}

impl Shared {
    fn start() -> Option<Self> {
        let [etcd, api, controllers, scheduler] =
            ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(peer);
        let (etcd, api) = (etcd?, api?);
        let (controllers, scheduler) = (controllers?, scheduler?);
        let kubectl = peer("kubectl")?;
        peer("setpriv")?;
        let home = fresh_home();
        certificates::write_all(&home);
        fs::write(home.join("tokens.csv"), TOKENS).unwrap();
        let port = quiet_port();
        fs::write(home.join("kubeconfig"), kubeconfig(port, &home)).unwrap();
        let store = quiet_port();
        let mut servers = vec![start_etcd(&etcd, &home, store)];
        wait_until("etcd", || TcpStream::connect((Ipv4Addr::LOCALHOST, store)).is_ok());
        servers.push(start_api(&api, &home, port, store, &[]));
        let api = Api::new(port, &home);
        let mut shared = Self { home, kubectl, port, api, _servers: servers };
        wait_until("kube-apiserver", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        let ready = ["get", "--raw", "/readyz"];
        wait_until("kube-apiserver", || shared.kubectl(&ready, "").is_ok_and(|text| text == "ok"));
        shared._servers.push(start_controllers(&controllers, &shared.home));
        shared._servers.push(start_scheduler(&scheduler, &shared.home));
        for file in definitions(&shared.home) {
            // Argo CD's are too large for the annotation that a client-side apply writes.
            let file = file.to_str().unwrap();
            shared.kubectl(&["apply", "--server-side", "-f", file], "").unwrap();
        }
        let established = ["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"];
        wait_until("the definitions", || shared.kubectl(&established, "").is_ok());
        shared.kubectl(&["create", "namespace", "argocd"], "").unwrap();
        Some(shared)
    }

    fn kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        run_kubectl(&self.kubectl, &self.home, args, input)
    }
}

fn start_controllers(program: &Path, home: &Path) -> Kept {
    let mut command = controller(program, home);
    command.arg(format!("--service-account-private-key-file={}", home.join("sa.key").display()));
    command.arg(format!("--root-ca-file={}", home.join("ca.crt").display()));
    command.args([
        "--use-service-account-credentials=false",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=24h",
        "--pod-eviction-timeout=24h",
        "--horizontal-pod-autoscaler-sync-period=1s",
        "--controllers=*,-nodeipam,-route,-cloud-node-lifecycle,-ttl,-attachdetach",
    ]);
    keep(command, &home.join("kube-controller-manager.log"))
}

fn start_scheduler(program: &Path, home: &Path) -> Kept {
    keep(controller(program, home), &home.join("kube-scheduler.log"))
}

fn controller(program: &Path, home: &Path) -> Command {
    let mut command = bound(program);
    command.arg(format!("--kubeconfig={}", home.join("kubeconfig").display()));
    command.arg(format!("--cert-dir={}", home.join("certificates").display()));
    command.arg(format!("--secure-port={}", quiet_port()));
    command.args([
        "--bind-address=127.0.0.1",
        "--port=0",
        "--leader-elect=false",
        "--kube-api-qps=200",
    ]);
    command
}

/// Returns a new folder in Cargo's folder for tests; those of processes that are gone are removed,
/// as a control plane that lives until the process ends can't remove its own.
fn fresh_home() -> PathBuf {
    let tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(tests).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("kubernetes-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let home = tests.join(format!("kubernetes-{}", std::process::id()));
    fs::create_dir_all(home.join("certificates")).unwrap();
    home
}
