//! etcd, API server, controller manager and scheduler: one of each for all tests of a run.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::applications::definitions;
use super::certificates;
use super::keeper::{Kept, bound, keep};
use crate::support::{peer, wait_until};

/// The control plane that all tests of this run share. Each test uses namespaces of its own.
#[derive(Clone, Copy)]
pub(crate) struct ControlPlane(&'static Shared);

struct Shared {
    home: PathBuf,
    kubectl: PathBuf,
    port: u16,
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
        let account = ["-n", name, "get", "serviceaccount", "default"];
        wait_until("the default service account", || self.0.kubectl(&account, "").is_ok());
    }

    /// Says of every pod of `namespace` that it is ready, as the kubelet of a node would.
    pub(crate) fn play_kubelet(&self, namespace: &str) {
        let pods = self.kubectl(&["-n", namespace, "get", "pods", "-o", "json"]);
        let pods: serde_json::Value = serde_json::from_str(&pods).unwrap();
        for pod in pods["items"].as_array().unwrap() {
            if pod["status"]["phase"] != "Running" {
                let name = pod["metadata"]["name"].as_str().unwrap();
                let status = ready_status(pod).to_string();
                let patch = ["--subresource=status", "--type=merge", "-p", &status];
                let args = [&["-n", namespace, "patch", "pod", name], &patch[..]].concat();
                // The controllers may have taken the pod away meanwhile.
                let _ = self.0.kubectl(&args, "");
            }
        }
    }

    /// Gives every Ingress of `namespace` an address, as an ingress controller does; without one Argo
    /// CD calls it Progressing for ever.
    pub(crate) fn play_ingress_controller(&self, namespace: &str) {
        let list = self.kubectl(&["-n", namespace, "get", "ingress", "-o", "name"]);
        let status = "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.10\"}]}}}";
        for name in list.lines() {
            let patch = ["--subresource=status", "--type=merge", "-p", status];
            self.kubectl(&[&["-n", namespace, "patch", name], &patch[..]].concat());
        }
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
        let mut shared = Self { home, kubectl, port, _servers: servers };
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

/// Runs `kubectl` with the kubeconfig in `home` and returns what it prints, or what it complains of.
pub(super) fn run_kubectl(
    kubectl: &Path,
    home: &Path,
    args: &[&str],
    input: &str,
) -> Result<String, String> {
    let mut child = Command::new(kubectl)
        .args(args)
        .env("KUBECONFIG", home.join("kubeconfig"))
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // kubectl takes a text that begins with a brace for JSON.
    let is_flow = input.starts_with('{') && !input.starts_with("{\"");
    let input = if is_flow { format!("---\n{input}") } else { input.to_owned() };
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Tokens, and who they are of. The administrator has two.
pub(super) const TOKENS: &str = "admin-token,admin,1,\"system:masters\"\nnewer-token,admin,1,\"system:masters\"\nnobody-token,nobody,2,\"guests\"\n";

pub(super) fn kubeconfig(port: u16, home: &Path) -> String {
    let ca = home.join("ca.crt");
    let ca = ca.display();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: admin\nclusters:\n\
         - {{name: test, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: {ca}}}}}\n\
         - {{name: gone, cluster: {{server: 'https://127.0.0.1:1', certificate-authority: {ca}}}}}\n\
         users:\n- {{name: admin, user: {{token: admin-token}}}}\n- {{name: nobody, user: {{token: nobody-token}}}}\n\
         - {{name: stranger, user: {{token: canary-token}}}}\ncontexts:\n\
         - {{name: admin, context: {{cluster: test, user: admin}}}}\n- {{name: nobody, context: {{cluster: test, user: nobody}}}}\n\
         - {{name: stranger, context: {{cluster: test, user: stranger}}}}\n- {{name: gone, context: {{cluster: gone, user: admin}}}}\n"
    )
}

pub(super) fn start_etcd(program: &Path, home: &Path, port: u16) -> Kept {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", quiet_port());
    let mut command = bound(program);
    command.arg("--data-dir").arg(home.join("etcd")).args(["--name", "test", "--unsafe-no-fsync"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("test={peer}")]);
    keep(command, &home.join("etcd.log"))
}

pub(super) fn start_api(program: &Path, home: &Path, port: u16, store: u16, more: &[&str]) -> Kept {
    let mut command = bound(program);
    let file = |flag: &str, name: &str| format!("--{flag}={}", home.join(name).display());
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{store}"),
        format!("--secure-port={port}"),
        file("tls-cert-file", "api.crt"),
        file("tls-private-key-file", "api.key"),
        file("client-ca-file", "ca.crt"),
        file("token-auth-file", "tokens.csv"),
        file("service-account-key-file", "sa.pub"),
        file("service-account-signing-key-file", "sa.key"),
        file("cert-dir", "certificates"),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
    ]);
    command.args(more);
    keep(command, &home.join("kube-apiserver.log"))
}

fn start_controllers(program: &Path, home: &Path) -> Kept {
    let mut command = controller(program, home);
    command.arg(format!("--service-account-private-key-file={}", home.join("sa.key").display()));
    command.arg(format!("--root-ca-file={}", home.join("ca.crt").display()));
    command.args([
        "--use-service-account-credentials=false",
        "--node-monitor-grace-period=24h",
        "--pod-eviction-timeout=24h",
        "--controllers=*,-nodeipam,-route,-cloud-node-lifecycle,-ttl,-persistentvolume-binder,-attachdetach",
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
    command.args(["--bind-address=127.0.0.1", "--port=0", "--leader-elect=false"]);
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

/// Returns a port below those that the kernel gives to outgoing connections and to port 0, so that
/// nothing takes it before the server that it is for.
pub(super) fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 100).unwrap() * 100;
    let ports = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let ports = ports.map(|next| 20_000 + (start + next) % 12_000);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.take(12_000).find(free).expect("one of 12,000 ports is free")
}
