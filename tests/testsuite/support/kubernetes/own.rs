//! An API server of a test's own, which may be killed.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use super::certificates;
use super::keeper::Kept;
use super::servers::{TOKENS, kubeconfig, quiet_port, run_kubectl, start_api, start_etcd};
use crate::support::{peer, wait_until};

/// etcd and an API server without controllers. It has no watch cache, so that a watch goes on from
/// wherever etcd can.
pub(crate) struct OwnApi {
    home: tempfile::TempDir,
    kubectl: PathBuf,
    program: PathBuf,
    port: u16,
    store: u16,
    _etcd: Kept,
    api: Option<Kept>,
}

impl OwnApi {
    /// Starts one; `None` if a part of it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let [etcd, program, kubectl] = ["etcd", "kube-apiserver", "kubectl"].map(peer);
        let (etcd, program, kubectl) = (etcd?, program?, kubectl?);
        peer("setpriv")?;
        let home = tempfile::tempdir().unwrap();
        certificates::write_all(home.path());
        fs::create_dir(home.path().join("certificates")).unwrap();
        fs::write(home.path().join("tokens.csv"), TOKENS).unwrap();
        let (port, store) = (quiet_port(), quiet_port());
        fs::write(home.path().join("kubeconfig"), kubeconfig(port, home.path())).unwrap();
        let etcd = start_etcd(&etcd, home.path(), store);
        wait_until("etcd", || TcpStream::connect((Ipv4Addr::LOCALHOST, store)).is_ok());
        let mut own = Self { home, kubectl, program, port, store, _etcd: etcd, api: None };
        own.restart();
        Some(own)
    }

    /// Returns the administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Runs `kubectl` as administrator and returns what it prints.
    pub(crate) fn kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        run_kubectl(&self.kubectl, self.home.path(), args, input)
    }

    /// Kills the API server.
    pub(crate) fn kill(&mut self) {
        self.api.take();
    }

    /// Starts the API server anew, on the same port.
    pub(crate) fn restart(&mut self) {
        let home = self.home.path();
        let more = ["--watch-cache=false"];
        self.api = Some(start_api(&self.program, home, self.port, self.store, &more));
        let ready = ["get", "--raw", "/readyz"];
        wait_until("kube-apiserver", || self.kubectl(&ready, "").is_ok_and(|text| text == "ok"));
    }

    /// Has etcd forget the versions that there were so far, the present one too.
    pub(crate) async fn compact(&self) {
        let put = serde_json::json!({"key": "dGVzdA==", "value": ""});
        // One may still go on from the version right before the oldest.
        self.etcd("kv/put", &put).await;
        let answer = self.etcd("kv/put", &put).await;
        let revision = answer["header"]["revision"].as_str().unwrap().to_owned();
        self.etcd("kv/compaction", &serde_json::json!({"revision": revision})).await;
    }

    // By etcd's gateway, see its documentation, "Why gRPC gateway".
    async fn etcd(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let url = format!("http://127.0.0.1:{}/v3/{path}", self.store);
        let sent = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
        serde_json::from_slice(&sent.error_for_status().unwrap().bytes().await.unwrap()).unwrap()
    }
}
