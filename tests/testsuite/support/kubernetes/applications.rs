//! Argo CD's Applications, kept by the test itself and served as an aggregated API: the API server
//! authenticates, authorizes and proxies each request as it does for any API.
//!
//! A CustomResourceDefinition would be simpler, but kube-apiserver 1.20 as Debian's sources build it
//! with Go 1.19 crashes on the first custom resource: its reflect2 1.0.1 calls the Go runtime in a
//! way that changed in Go 1.18.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

const ROOT: &str = "/apis/argoproj.io/v1alpha1";

/// What the API server must know to send requests for Applications to `port`.
pub(super) fn registration(port: u16) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: applications, namespace: default}}, spec: {{type: ExternalName, externalName: localhost}}}}\n---\n\
         {{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {{name: v1alpha1.argoproj.io}}, spec: {{group: argoproj.io, version: v1alpha1, groupPriorityMinimum: 1000, versionPriority: 15, insecureSkipTLSVerify: true, service: {{name: applications, namespace: default, port: {port}}}}}}}\n"
    )
}

/// All Applications, by namespace and name.
#[derive(Clone, Default)]
pub(super) struct Applications(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    version: u64,
    objects: BTreeMap<(String, String), Value>,
}

impl Applications {
    /// Starts to serve them and returns the port.
    pub(super) fn serve(&self) -> u16 {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let applications = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (applications, config) = (applications.clone(), Arc::clone(&config));
                std::thread::spawn(move || {
                    let tls = ServerConnection::new(config).unwrap();
                    // A client that hangs up in the middle is no concern of ours.
                    let _ = applications.converse(StreamOwned::new(tls, connection));
                });
            }
        });
        port
    }

    /// Returns the Application.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Value> {
        let key = (namespace.to_owned(), name.to_owned());
        self.0.lock().unwrap().objects.get(&key).cloned()
    }

    /// Writes the Application, whole.
    pub(super) fn put(&self, mut object: Value) -> Value {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let key = (text("/metadata/namespace"), text("/metadata/name"));
        let uid = format!("00000000-0000-0000-0000-{:012}", store.version);
        let before = store.objects.get(&key);
        let uid = before.map_or(json!(uid), |before| before["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(store.version.to_string());
        object["metadata"]["generation"] = json!(store.version);
        object["metadata"]["managedFields"] = json!([{"manager": "test", "operation": "Update"}]);
        store.objects.insert(key, object.clone());
        object
    }

    fn converse(&self, stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut length = 0;
            loop {
                let mut header = String::new();
                stream.read_line(&mut header)?;
                let header = header.trim().to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if header.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            let mut words = line.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
            let path = target.split('?').next().unwrap_or_default();
            let (status, answer) = self.answer(method, path, &body);
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            let out = stream.get_mut();
            out.write_all(head.as_bytes())?;
            out.write_all(answer.as_bytes())?;
            out.flush()?;
        }
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        if path == ROOT {
            return (200, discovery());
        }
        let rest = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix("/namespaces/"));
        let parts: Vec<_> = rest.unwrap_or_default().split('/').collect();
        let sent = || serde_json::from_slice::<Value>(body).unwrap();
        let (namespace, name) = match *parts.as_slice() {
            [_, "applications"] if method == "POST" => return (201, self.put(sent())),
            [namespace, "applications", name] => (namespace, name),
            _ => return not_found(path),
        };
        let Some(mut object) = self.get(namespace, name) else { return not_found(name) };
        match method {
            "GET" => (200, object),
            "PUT" => (200, self.put(sent())),
            "PATCH" => {
                merge(&mut object, sent());
                (200, self.put(object))
            }
            _ => not_found(path),
        }
    }
}

fn discovery() -> Value {
    let verbs = ["get", "create", "update", "patch"];
    let application =
        json!({"name": "applications", "kind": "Application", "namespaced": true, "verbs": verbs});
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "argoproj.io/v1alpha1",
        "resources": [application]})
}

fn not_found(what: &str) -> (u16, Value) {
    let message = format!("applications.argoproj.io \"{what}\" not found");
    (
        404,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
        "code": 404, "message": message}),
    )
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}
