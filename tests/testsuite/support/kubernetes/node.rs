//! A real node: containerd and a kubelet, one for all tests of a run. Needs root.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tokio::sync::OnceCell;

use super::control_plane::ControlPlane;
use super::images;
use super::keeper::{Kept, bound, keep};
use super::servers::quiet_port;
use super::sweeper;
use crate::support::image::output;
use crate::support::{RegistryServer, peer, wait_until};

/// The node on which containers really run, and which all tests of this run share. Each test uses
/// namespaces and labels of its own. It pulls from all registries on loopback, without TLS.
#[derive(Clone, Copy)]
pub(crate) struct Node(&'static Shared);

struct Shared {
    control_plane: ControlPlane,
    name: String,
    _kubelet: Kept,
    _containerd: Kept,
    _sweeper: Child,
}

impl Node {
    /// Returns the node of this run, started if it is not running; `None` if a part of it is not
    /// installed.
    pub(crate) async fn start(control_plane: &ControlPlane) -> Option<Self> {
        static SHARED: OnceCell<Option<Shared>> = OnceCell::const_new();
        SHARED.get_or_init(|| Shared::start(*control_plane)).await.as_ref().map(Self)
    }

    /// Returns the node's name in the cluster.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Gives the node `label` (`key=value`), besides those that it has.
    pub(crate) fn label(&self, label: &str) {
        self.0.control_plane.kubectl(&["label", "node", &self.0.name, label]);
    }
}

/// The pods of a namespace, which are taken away when this value is dropped. The kubelet would pull
/// their images again and again, and what listens at the registry's port then may be another test's.
pub(crate) struct Pulls {
    control_plane: ControlPlane,
    namespace: &'static str,
}

impl Pulls {
    /// Makes the namespace. What pods pull from has to outlive the returned value.
    pub(crate) fn within(control_plane: ControlPlane, namespace: &'static str) -> Self {
        control_plane.namespace(namespace);
        Self { control_plane, namespace }
    }
}

impl Drop for Pulls {
    fn drop(&mut self) {
        let delete = ["-n", self.namespace, "delete", "deployments,replicasets,pods", "--all"];
        let now = ["--cascade=background", "--force", "--grace-period=0", "--wait=false"];
        let _ = self.control_plane.try_kubectl(&[&delete[..], &now[..]].concat(), "");
    }
}

impl Shared {
    async fn start(control_plane: ControlPlane) -> Option<Self> {
        let [kubelet, containerd, ctr] = ["kubelet", "containerd", "ctr"].map(peer);
        let (kubelet, containerd, ctr) = (kubelet?, containerd?, ctr?);
        for tool in ["conntrack", "ip", "runc", "containerd-shim-runc-v2"] {
            peer(tool)?;
        }
        let registry = RegistryServer::start_plain()?;
        let pause = format!("{}/pause:1", registry.domain());
        images::push(&pause, "exec sleep 1000000").await?;
        let number = quiet_port();
        let home = control_plane.home().join(format!("node-{number}"));
        write_configuration(&home, &pause, number);
        let sweeper = sweeper::start(&home, &bridge(number));
        let containerd = start_containerd(&containerd, &home);
        let socket = home.join("containerd.sock");
        wait_until("containerd", || UnixStream::connect(&socket).is_ok());
        // Pods need it before anything else; the registry is gone then.
        let pull = ["-n", "k8s.io", "images", "pull", "--plain-http", &pause];
        output(Command::new(ctr).arg("-a").arg(&socket).args(pull));
        let name = address(number);
        let shared = Self {
            _kubelet: start_kubelet(&kubelet, &control_plane, &name, &home),
            control_plane,
            name,
            _containerd: containerd,
            _sweeper: sweeper,
        };
        wait_until("the node", || shared.is_ready());
        Some(shared)
    }

    fn is_ready(&self) -> bool {
        let node = self.control_plane.api().get(&format!("/api/v1/nodes/{}", self.name));
        node.is_some_and(|node| {
            let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
            let is_ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
            is_ready && node["spec"]["taints"].is_null()
        })
    }
}

// The API server reaches the kubelet, for logs, at the address that the node is named by.
fn address(number: u16) -> String {
    format!("127.{}.{}.1", number / 256, number % 256)
}

// The kernel allows 15 characters.
fn bridge(number: u16) -> String {
    format!("deployctl{number}")
}

fn write_configuration(home: &Path, pause: &str, number: u16) {
    for folder in ["cni", "root", "state", "kubelet", "certificates"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
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
    fs::write(home.join("containerd.toml"), containerd_configuration(home, pause)).unwrap();
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
# What else the machine does is no reason to put out pods or to remove images.
evictionHard: {imagefs.available: '0%', nodefs.available: '0%', memory.available: '0%'}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
syncFrequency: 1s
volumeStatsAggPeriod: 1s
# Many pods at once are what a test makes: none is to wait for another, and no event is to be left out.
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 100
kubeAPIBurst: 200
clusterDNS: [10.0.0.10]
clusterDomain: cluster.local
";

fn containerd_configuration(home: &Path, pause: &str) -> String {
    let home = home.display();
    format!(
        "version = 2\nroot = \"{home}/root\"\nstate = \"{home}/state\"\n\
         [grpc]\n  address = \"{home}/containerd.sock\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"{pause}\"\n  \
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

fn start_kubelet(program: &Path, control_plane: &ControlPlane, name: &str, home: &Path) -> Kept {
    let file = |flag: &str, path: PathBuf| format!("--{flag}={}", path.display());
    let socket = format!("unix://{}", home.join("containerd.sock").display());
    let mut command = bound(program);
    command.args([
        file("config", home.join("kubelet.yaml")),
        file("kubeconfig", control_plane.kubeconfig()),
        file("root-dir", home.join("kubelet")),
        file("cert-dir", home.join("certificates")),
        format!("--hostname-override={name}"),
        format!("--container-runtime-endpoint={socket}"),
        format!("--image-service-endpoint={socket}"),
        "--container-runtime=remote".to_owned(),
    ]);
    keep(command, &home.join("kubelet.log"))
}
