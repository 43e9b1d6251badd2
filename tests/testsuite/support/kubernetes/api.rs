//! Requests to the API server as administrator. A `kubectl` for each takes more than the API server
//! itself, where a test asks again and again.

use std::fs;
use std::path::Path;
use std::sync::{LazyLock, mpsc};

use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// The API server of a control plane.
pub(super) struct Api {
    server: String,
    client: Client,
}

impl Api {
    /// Returns the API server at `port`, whose authority is in `home`.
    pub(super) fn new(port: u16, home: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = fs::read(home.join("ca.crt")).unwrap();
        let authority = Certificate::from_pem(&authority).unwrap();
        let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        Self { server: format!("https://127.0.0.1:{port}"), client }
    }

    /// Returns what is at `path`, and `None` if nothing is there.
    ///
    /// # Panics
    ///
    /// Panics if the API server does not answer.
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        match self.send(Method::GET, path, "application/json", String::new()) {
            (StatusCode::OK, answer) => Some(answer),
            (StatusCode::NOT_FOUND, _) => None,
            (_, answer) => panic!("GET {path}: {answer}"),
        }
    }

    /// Makes `object` in the collection at `path`.
    pub(super) fn create(&self, path: &str, object: &Value) -> Result<(), String> {
        self.write(Method::POST, path, "application/json", object)
    }

    /// Puts `object` in the place of what is at `path`.
    pub(super) fn replace(&self, path: &str, object: &Value) -> Result<(), String> {
        self.write(Method::PUT, path, "application/json", object)
    }

    /// Merges `patch` into what is at `path`.
    pub(super) fn merge(&self, path: &str, patch: &Value) -> Result<(), String> {
        self.write(Method::PATCH, path, "application/merge-patch+json", patch)
    }

    fn write(&self, method: Method, path: &str, kind: &str, body: &Value) -> Result<(), String> {
        match self.send(method, path, kind, body.to_string()) {
            (status, _) if status.is_success() => Ok(()),
            (_, answer) => Err(answer["message"].as_str().unwrap_or("no message").to_owned()),
        }
    }

    fn send(&self, method: Method, path: &str, kind: &str, body: String) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.server));
        let request = request.bearer_auth("admin-token").header("Content-Type", kind).body(body);
        waited_for(async {
            let answer = request.send().await.unwrap();
            let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
            (status, serde_json::from_slice(&bytes).unwrap_or_default())
        })
    }
}

/// Tests call from threads with and without a runtime; connections outlive the runtime of each.
fn waited_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    let (answer, waits) = mpsc::channel();
    RUNTIME.spawn(async move { answer.send(work.await) });
    waits.recv().expect("the request did not panic")
}
