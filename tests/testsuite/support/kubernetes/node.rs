//! A real node: containerd and a kubelet. Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::control_plane::ControlPlane;
use super::images;
use super::keeper::{Kept, bound, keep};
use super::servers::quiet_port;
use crate::support::{peer, wait_until};

/// Kubelets share folders below `/var`, so there is one node at a time.
static ONE: Mutex<()> = Mutex::new(());

/// A node on which containers really run; dropping it stops them and takes it off the cluster.
pub(crate) struct Node {
    control_plane: ControlPlane,
    name: String,
    bridge: String,
    home: PathBuf,
    kubelet: Option<Kept>,
    containerd: Option<Kept>,
    _one: MutexGuard<'static, ()>,
}

impl Node {
    /// Starts a node that pulls from the plain-HTTP registry at `registry_domain`
    /// (`127.0.0.1:PORT`), which gets an image `pause:1`; `None` if a part is not installed.
    pub(crate) async fn start(control_plane: &ControlPlane, registry_domain: &str) -> Option<Self> {
        let (kubelet, containerd) = (peer("kubelet")?, peer("containerd")?);
        for tool in ["conntrack", "ip", "runc", "containerd-shim-runc-v2"] {
            peer(tool)?;
        }
        images::push(&format!("{registry_domain}/pause:1"), "exec sleep 1000000").await?;
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let number = quiet_port();
        let home = control_plane.home().join(format!("node-{number}"));
        write_configuration(&home, registry_domain, number);
        let mut node = Self {
            control_plane: *control_plane,
            name: address(number),
            bridge: bridge(number),
            containerd: Some(start_containerd(&containerd, &home)),
            kubelet: None,
            home,
            _one: one,
        };
        let socket = node.home.join("containerd.sock");
        wait_until("containerd", || socket.exists());
        node.kubelet = Some(start_kubelet(&kubelet, &node));
        wait_until("the node", || node.is_ready());
        Some(node)
    }

    /// Returns the node's name in the cluster.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn is_ready(&self) -> bool {
        let format = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}{.spec.taints}";
        let state = self.control_plane.try_kubectl(&["get", "node", &self.name, "-o", format], "");
        state.is_ok_and(|state| state == "True")
    }

    /// The shims are no children of containerd and live on without it.
    fn shims(&self) -> Vec<String> {
        let home = self.home.to_str().unwrap();
        let is_ours = |pid: &String| {
            let line = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("containerd-shim") && line.contains(home)
        };
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().into_string().ok());
        pids.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(is_ours).collect()
    }

    fn network_namespaces(&self) -> BTreeSet<String> {
        let tasks = self.home.join("state/io.containerd.runtime.v2.task/k8s.io");
        let bundles = fs::read_dir(tasks).into_iter().flatten().flatten();
        let configs =
            bundles.filter_map(|entry| fs::read_to_string(entry.path().join("config.json")).ok());
        let name = |config: String| {
            let (_, rest) = config.split_once("/netns/")?;
            Some(rest.split('"').next()?.to_owned())
        };
        configs.filter_map(name).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kubelet.take();
        let namespaces = self.network_namespaces();
        for shim in self.shims() {
            let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children"));
            for pid in children.unwrap_or_default().split_whitespace().chain([shim.as_str()]) {
                run("kill", &["-9", pid]);
            }
        }
        self.containerd.take();
        let home = self.home.to_str().unwrap();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut own: Vec<_> = points.filter(|point| point.starts_with(home)).collect();
        own.reverse();
        for point in own {
            run("umount", &["-l", point]);
        }
        for namespace in namespaces {
            run("ip", &["netns", "delete", &namespace]);
        }
        run("ip", &["link", "delete", &self.bridge]);
        let _ = self.control_plane.try_kubectl(&["delete", "node", &self.name, "--wait=false"], "");
    }
}

fn run(program: &str, args: &[&str]) {
    let _ = Command::new(program).args(args).output();
}

// The API server reaches the kubelet, for logs, at the address that the node is named by.
fn address(number: u16) -> String {
    format!("127.{}.{}.1", number / 256, number % 256)
}

// The kernel allows 15 characters.
fn bridge(number: u16) -> String {
    format!("deployctl{number}")
}

fn write_configuration(home: &Path, registry: &str, number: u16) {
    for folder in ["cni", "root", "state", "kubelet", "certificates"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let hosts = home.join("hosts").join(registry);
    fs::create_dir_all(&hosts).unwrap();
    let host = format!(
        "server = \"http://{registry}\"\n[host.\"http://{registry}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
    );
    fs::write(hosts.join("hosts.toml"), host).unwrap();
    let (bridge, folder) = (bridge(number), home.display());
    // Each node has a subnet of its own, as it has a port: the route of another, which is just going or
    // was killed with its test, would hide this one's.
    let [second, third] = [100 + number / 512, number / 2 % 256];
    let subnet = format!("10.{second}.{third}.{}/25", number % 2 * 128);
    let network = format!(
        "{{\"cniVersion\":\"0.4.0\",\"name\":\"{bridge}\",\"plugins\":[{{\"type\":\"bridge\",\"bridge\":\"{bridge}\",\"isGateway\":true,\"ipMasq\":false,\
         \"ipam\":{{\"type\":\"host-local\",\"dataDir\":\"{folder}/ipam\",\"ranges\":[[{{\"subnet\":\"{subnet}\"}}]]}}}}]}}"
    );
    fs::write(home.join("cni/10-bridge.conflist"), network).unwrap();
    fs::write(home.join("containerd.toml"), containerd_configuration(home, registry)).unwrap();
    let kubelet = KUBELET.replace("PORT", &number.to_string()).replace("ADDRESS", &address(number));
    fs::write(home.join("kubelet.yaml"), kubelet).unwrap();
}

const KUBELET: &str = "
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ADDRESS
port: PORT
healthzPort: 0
readOnlyPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
evictionHard: {imagefs.available: '1%', nodefs.available: '1%', memory.available: 50Mi}
nodeStatusUpdateFrequency: 2s
syncFrequency: 5s
clusterDNS: [10.0.0.10]
clusterDomain: cluster.local
";

fn containerd_configuration(home: &Path, registry: &str) -> String {
    let home = home.display();
    format!(
        "version = 2\nroot = \"{home}/root\"\nstate = \"{home}/state\"\n\
         [grpc]\n  address = \"{home}/containerd.sock\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"{registry}/pause:1\"\n  \
         restrict_oom_score_adj = true\n  stream_server_address = \"127.0.0.1\"\n  disable_apparmor = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = \"/usr/lib/cni\"\n  conf_dir = \"{home}/cni\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"{home}/hosts\"\n"
    )
}

fn start_containerd(program: &Path, home: &Path) -> Kept {
    let mut command = bound(program);
    command.arg("--config").arg(home.join("containerd.toml"));
    keep(command, &home.join("containerd.log"))
}

fn start_kubelet(program: &Path, node: &Node) -> Kept {
    let file = |flag: &str, path: PathBuf| format!("--{flag}={}", path.display());
    let socket = format!("unix://{}", node.home.join("containerd.sock").display());
    let mut command = bound(program);
    command.args([
        file("config", node.home.join("kubelet.yaml")),
        file("kubeconfig", node.control_plane.kubeconfig()),
        file("root-dir", node.home.join("kubelet")),
        file("cert-dir", node.home.join("certificates")),
        format!("--hostname-override={}", node.name),
        format!("--container-runtime-endpoint={socket}"),
        format!("--image-service-endpoint={socket}"),
        "--container-runtime=remote".to_owned(),
    ]);
    keep(command, &node.home.join("kubelet.log"))
}
