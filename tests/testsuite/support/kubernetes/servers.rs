//! etcd and API servers on loopback, and `kubectl` to talk to them.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use super::keeper::{Kept, bound, keep};

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
