//! Takes a node away when the test process has ended, in whichever way.
//!
//! The kernel kills kubelet and containerd then, see `keeper`; what containers run, their shims,
//! mounts and networks would stay.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Its input ends with the process that started it. Everything of the node names the node's folder,
/// and what runs in a container is a child of a shim.
const SCRIPT: &str = r#"
cat >/dev/null
tasks=$NODE/state/io.containerd.runtime.v2.task/k8s.io
networks=$(grep -oh 'netns/[a-z0-9-]*' "$tasks"/*/config.json | cut -d/ -f2 | sort -u)
for pid in $(grep -aslF "$NODE" /proc/[0-9]*/cmdline | cut -d/ -f3); do
  kill -9 $(cat /proc/$pid/task/*/children) $pid
done
for mount in $(cut -d' ' -f2 /proc/mounts | grep -F "$NODE/" | sort -r); do umount -l "$mount"; done
for network in $networks; do ip netns delete "$network"; done
ip link delete "$BRIDGE"
for pod in $(ls "$NODE/kubelet/pods"); do
  find /var/log/containers -lname "*_$pod/*" -delete
  rm -rf /var/log/pods/*_"$pod"
done
rm -rf --one-file-system "$NODE"
"#;

/// Returns the process that waits for the end of this one to remove the node in the folder `home` and
/// its network bridge. It ends too early if its input is closed, so it is to be kept.
pub(super) fn start(home: &Path, bridge: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).env("NODE", home).env("BRIDGE", bridge);
    // In a group of its own: Ctrl-C is for the tests.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}
