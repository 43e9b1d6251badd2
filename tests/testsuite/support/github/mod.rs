//! A GitHub of a test's own, over real bare repositories: it holds every request, and its own
//! answers, against GitHub's published schemas, keeps what it is told, and fails the test on a
//! request that GitHub would not understand.

mod graphql;
mod hub;
mod mutation;
mod objects;
mod openapi;
mod rest;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) use hub::{Fault, Hub, Pull};
use openapi::{OpenApi, Operation};

use crate::support::peer;

/// The token that is let in.
pub(crate) const TOKEN: &str = "canary-ghs-91c2";

/// A running GitHub. It serves as an Enterprise server does: `/api/v3` and `/api/graphql`.
pub(crate) struct GithubServer {
    server: MockServer,
    hub: Arc<Mutex<Hub>>,
}

struct Responder(Arc<Mutex<Hub>>);

/// What a request is answered with.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
}

/// Returns a private key in PEM, and the public one as the server needs it.
pub(crate) fn app_key() -> Option<(String, Vec<u8>)> {
    let openssl = peer("openssl")?;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("key.pem");
    let made = std::process::Command::new(openssl)
        .args(["genrsa", "-traditional", "-out"])
        .arg(&file)
        .output();
    assert!(made.unwrap().status.success());
    let pem = std::fs::read_to_string(&file).unwrap();
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::PrivatePkcs1KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let pair = ring::signature::RsaKeyPair::from_der(der.secret_pkcs1_der()).unwrap();
    Some((pem, pair.public().as_ref().to_vec()))
}

impl GithubServer {
    /// Starts one with the repository `shop/manifests` over the bare repository at `git`, or returns
    /// `None` where the published schemas are not there.
    pub(crate) async fn start(git: &Path) -> Option<Self> {
        let (_, _) = (OpenApi::get()?, graphql::schema()?);
        let server = MockServer::start().await;
        let hub = Arc::new(Mutex::new(Hub::new(git)));
        Mock::given(any()).respond_with(Responder(hub.clone())).mount(&server).await;
        Some(Self { server, hub })
    }

    /// Returns the address of its REST API.
    pub(crate) fn api(&self) -> String {
        format!("{}/api/v3", self.server.uri())
    }

    /// Returns the address of its pages, which repositories' addresses begin with.
    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }

    /// Returns what it knows.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requests since the last time: `GET /repos/{owner}/{repo}/pulls`, `mutation NAME`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.hub().asked)
    }
}

impl Drop for GithubServer {
    fn drop(&mut self) {
        let wrong = std::mem::take(&mut self.hub().wrong);
        if !std::thread::panicking() {
            assert!(wrong.is_empty(), "GitHub was asked wrongly:\n{}", wrong.join("\n"));
        }
    }
}

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut hub = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = answer(&mut hub, request);
        let answer = ResponseTemplate::new(reply.status);
        let answer = reply.headers.iter().fold(answer, |answer, (name, value)| {
            answer.insert_header(name.as_str(), value.as_str())
        });
        match reply.body {
            Value::Null => answer,
            body => answer.set_body_json(body),
        }
    }
}

fn answer(hub: &mut Hub, request: &Request) -> Reply {
    let path = request.url.path().to_owned();
    match path.strip_prefix("/api/v3") {
        Some(path) => rest_answer(hub, request, path),
        None if path == "/api/graphql" && request.method.as_str() == "POST" => {
            graphql_answer(hub, request)
        }
        // Where git asks, there is nothing to be had.
        None if path.ends_with("/info/refs") => {
            hub.asked.push("git".to_owned());
            Reply::not_found()
        }
        None => hub.unexpected(format!("{} {path}: nothing is there", request.method)),
    }
}

fn rest_answer(hub: &mut Hub, request: &Request, path: &str) -> Reply {
    let api = OpenApi::get().expect("a server starts only where it is there");
    let method = request.method.as_str();
    let operation = match api.operation(method, path) {
        Ok(operation) => operation,
        Err(reason) => return hub.unexpected(format!("{method} {path}: {reason}")),
    };
    let wrong = api.check_request(&operation, request);
    if !wrong.is_empty() {
        let wrong = wrong.join("; ");
        return hub.unexpected(format!("{} ({path}): {wrong}", operation.name));
    }
    hub.asked.push(operation.name.clone());
    if let Some(refused) = hub.refuse_stranger(request, &operation.name) {
        return refused;
    }
    let fault = hub.take_fault(&operation.name);
    if let Some(reply) = fault.as_ref().and_then(Fault::before) {
        return reply;
    }
    let reply = rest::answer(hub, api, &operation, request);
    let wrong = api.check_answer(&operation, reply.status, &reply.body);
    if !wrong.is_empty() {
        let name = format!("{} answer {}", operation.name, reply.status);
        return hub.unexpected(format!("{name} of this server's own: {}", wrong.join("; ")));
    }
    fault.map_or(reply, Fault::reply)
}

fn graphql_answer(hub: &mut Hub, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(refused) = hub.refuse_stranger(request, "graphql") {
        return refused;
    }
    let name = mutation::name(body["query"].as_str().unwrap_or_default());
    hub.asked.push(name.clone());
    let fault = hub.take_fault(&name);
    if let Some(reply) = fault.as_ref().and_then(Fault::before) {
        return reply;
    }
    let cell = std::cell::RefCell::new(&mut *hub);
    let answered = graphql::answer(&body, &|field, of, arguments| {
        mutation::resolve(&mut cell.borrow_mut(), field, of, arguments)
    });
    match answered {
        Ok(body) => fault.map_or(Reply::new(200, body), Fault::reply),
        Err(reason) => hub.unexpected(format!("GraphQL {name}: {reason}")),
    }
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// Returns an error as GitHub words it.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        Self::new(
            status,
            json!({"message": message, "documentation_url": "https://docs.github.com"}),
        )
    }

    /// Returns a 422 for the one reason `message`.
    pub(super) fn invalid(message: &str) -> Self {
        Self::new(
            422,
            json!({
                "message": "Validation Failed",
                "documentation_url": "https://docs.github.com",
                "errors": [{"resource": "PullRequest", "code": "custom", "message": message}],
            }),
        )
    }

    pub(super) fn not_found() -> Self {
        Self::refusal(404, "Not Found")
    }
}

impl Operation {
    /// Returns the value of the path's variable `name`.
    fn value(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }
}
