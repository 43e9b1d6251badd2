//! Requests of any kind of object: where the API server keeps it, one object, a bounded list, a
//! watch.
//!
//! A request is given up after [`SILENCE`], sent again when the API server is busy, and once more
//! with new credentials when it does not take the old ones.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::AsyncReadExt as _;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::api::{GetParams, ListParams, LogParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::connection::Connection;
use super::error::explain;
use crate::cluster::ClusterError;
use crate::k8s::Object;
use crate::rollout::{LogRequest, MOST_BYTES, MOST_LINES};

/// How many objects of one kind are read at most; a rollout that is larger is judged by its part.
const MOST: usize = 5000;
const PAGE: u32 = 250;

/// How many requests are under way at once; the API server's fairness limits allow a client few.
const PARALLEL: usize = 6;

/// How long the API server may take to begin to answer.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a watch lasts; the API server ends it then, and its successor goes on from there. So a
/// connection that nobody is at the other end of shows soon, and so does a right that is lost.
const WATCH: Duration = Duration::from_secs(25);

/// How long a kind stays unknown before it is asked for again.
const UNKNOWN: Duration = Duration::from_millis(900);

/// How often a request is sent to a busy API server.
const TRIES: u32 = 4;

/// The API server, as it is asked.
pub(super) struct Api {
    connection: Connection,
    kinds: Mutex<HashMap<(String, String), Place>>,
    unknown: Mutex<HashMap<(String, String), Instant>>,
    permits: Semaphore,
}

/// Where the API server keeps a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    plural: String,
    is_namespaced: bool,
}

/// A kind and the namespace that it is looked for in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
}

/// Which objects of a kind the API server is to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
}

/// Objects, and the version of the store that they are of.
pub(super) struct Listed {
    pub(super) objects: Vec<Object>,
    pub(super) version: String,
}

/// What a watch tells.
pub(super) enum Change {
    /// An object is there, or is different.
    Is(Object),
    /// An object is there no more.
    Gone(Object),
    /// All that happened up to a version has been told.
    UpTo(String),
    /// The version to go on from is too old (410 Gone): all must be listed anew.
    TooOld,
}

impl Api {
    pub(super) fn new(connection: Connection) -> Self {
        let permits = Semaphore::new(PARALLEL);
        Self { connection, kinds: Mutex::default(), unknown: Mutex::default(), permits }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns whether objects of the kind are each in a namespace.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub(super) async fn is_namespaced(&self, kind: Kind<'_>) -> Result<bool, ClusterError> {
        Ok(self.place(kind).await?.is_namespaced)
    }

    /// Returns the object `name`, or `None` if it is not there.
    ///
    /// # Errors
    ///
    /// Fails with [`ClusterError::UnknownKind`] if the cluster does not know the kind.
    pub(super) async fn get(
        &self,
        kind: Kind<'_>,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("get {}", described(kind, &place, Some(name)));
        let request = kube::core::Request::new(path(kind, &place));
        match self.ask(request.get(name, &GetParams::default())).await {
            Ok(value) => Ok(read(value, kind)),
            Err(error) if has_code(&error, 404) => Ok(None),
            Err(error) => Err(self.explain(&verb, error)),
        }
    }

    /// Returns the objects that `selector` matches, in the API server's order.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub(super) async fn list(
        &self,
        kind: Kind<'_>,
        selector: &Selector,
        is_wanted: impl Fn(&Object) -> bool,
    ) -> Result<Listed, ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("list {}", described(kind, &place, None));
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector.clone_from(&selector.labels);
        params.field_selector.clone_from(&selector.fields);
        let mut objects = Vec::new();
        loop {
            let request = kube::core::Request::new(path(kind, &place));
            let page = self.ask(request.list(&params)).await;
            if matches!(&page, Err(error) if has_code(error, 404)) {
                return Err(self.forget(kind));
            }
            let mut page = page.map_err(|error| self.explain(&verb, error))?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                let items = items.into_iter().filter_map(|item| read(item, kind));
                objects.extend(items.filter(&is_wanted));
            }
            let text = |pointer| page.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match text("/metadata/continue") {
                token if !token.is_empty() && objects.len() < MOST => {
                    params.continue_token = Some(token.to_owned());
                }
                _ => {
                    let version = text("/metadata/resourceVersion").to_owned();
                    return Ok(Listed { objects, version });
                }
            }
        }
    }

    /// Returns what happens to the objects that `selector` matches, from `version` on. The stream ends
    /// in good order when the watch's time is over, and with an error when nothing more is heard.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub(super) async fn watch(
        &self,
        kind: Kind<'_>,
        selector: &Selector,
        version: &str,
    ) -> Result<BoxStream<'static, Result<Change, ClusterError>>, ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("watch {}", described(kind, &place, None));
        let params = WatchParams {
            label_selector: selector.labels.clone(),
            field_selector: selector.fields.clone(),
            timeout: u32::try_from(WATCH.as_secs()).ok(),
            bookmarks: true,
            send_initial_events: false,
        };
        let request = kube::core::Request::new(path(kind, &place)).watch(&params, version);
        let request = request.map_err(|error| self.explain(&verb, kube_error(error)))?;
        let begin = |client: Client, request| async move {
            Ok(client.request_events::<Value>(request).await?.boxed())
        };
        let stream = match self.send(request, begin).await {
            Ok(stream) => stream,
            Err(error) if has_code(&error, 410) => {
                return Ok(futures_util::stream::iter([Ok(Change::TooOld)]).boxed());
            }
            Err(error) => return Err(self.explain(&verb, error)),
        };
        let server = self.connection.server().to_owned();
        let (api_version, name) = (kind.api_version.to_owned(), kind.kind.to_owned());
        let change = move |event| match event {
            Ok(event) => {
                let kind = Kind { api_version: &api_version, kind: &name, namespace: "" };
                told(event, kind).map_err(|error| explain(&server, &verb, error)).transpose()
            }
            Err(error) => Some(Err(explain(&server, &verb, error))),
        };
        Ok(stream.into_stream().filter_map(move |event| std::future::ready(change(event))).boxed())
    }

    /// Changes an object by a merge patch, and returns it.
    ///
    /// # Errors
    ///
    /// As [`Api::get`]; and if there is no such object.
    pub(super) async fn patch(
        &self,
        kind: Kind<'_>,
        name: &str,
        patch: &Value,
    ) -> Result<Option<Object>, ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("patch {}", described(kind, &place, Some(name)));
        let patch = Patch::Merge(patch);
        let request = kube::core::Request::new(path(kind, &place));
        let answer = self.ask(request.patch(name, &PatchParams::default(), &patch)).await;
        answer.map(|value| read(value, kind)).map_err(|error| self.explain(&verb, error))
    }

    /// Returns the end of a container's log, or `None` if there is none (any more).
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub(super) async fn log(&self, request: &LogRequest) -> Result<Option<String>, ClusterError> {
        let LogRequest { namespace, pod, container, previous, .. } = request;
        let verb = format!("read the log of pods `{pod}` in namespace `{namespace}`");
        let params = LogParams {
            container: Some(container.clone()),
            previous: *previous,
            tail_lines: i64::try_from(MOST_LINES).ok(),
            limit_bytes: i64::try_from(MOST_BYTES).ok(),
            ..LogParams::default()
        };
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let request = kube::core::Request::new(path).logs(pod, &params);
        let request = request.map_err(|error| self.explain(&verb, kube_error(error)))?;
        let _permit = self.permits.acquire().await;
        match self.send(request, bytes).await {
            // A program may write anything, and one byte that is no text hides nothing else.
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // There was no instance before, or the kubelet has removed what it left.
            Err(error) if has_code(&error, 404) || has_code(&error, 400) => Ok(None),
            Err(error) => Err(self.explain(&verb, error)),
        }
    }

    async fn ask(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, kube::Error> {
        let _permit = self.permits.acquire().await;
        let whole = |client: Client, request| async move { client.request::<Value>(request).await };
        self.send(request.map_err(kube_error)?, whole).await
    }

    async fn send<T, F: Future<Output = Result<T, kube::Error>>>(
        &self,
        request: Request<Vec<u8>>,
        send: impl Fn(Client, Request<Vec<u8>>) -> F,
    ) -> Result<T, kube::Error> {
        let mut tries = 0;
        let mut is_renewed = false;
        loop {
            let (client, generation) = self.connection.client();
            let answer = timeout(SILENCE, send(client, request.clone())).await;
            let error = match answer.unwrap_or_else(|_| Err(silent())) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tries += 1;
            if has_code(&error, 401) && !is_renewed {
                is_renewed = self.connection.renew(generation).await.is_ok();
                if is_renewed {
                    continue;
                }
            }
            match wait(&error) {
                Some(wait) if tries < TRIES => sleep(wait * tries).await,
                _ => return Err(error),
            }
        }
    }

    // A kind that is not known is asked for again: a CRD may be installed while deployctl waits.
    async fn place(&self, kind: Kind<'_>) -> Result<Place, ClusterError> {
        let key = (kind.api_version.to_owned(), kind.kind.to_owned());
        let known = self.kinds.lock().expect("no thread panics with the lock").get(&key).cloned();
        if let Some(place) = known {
            return Ok(place);
        }
        if self.was_unknown(&key) {
            return Err(unknown(kind));
        }
        let place = self.find(kind).await;
        match &place {
            Ok(place) => {
                let mut kinds = self.kinds.lock().expect("no thread panics with the lock");
                kinds.insert(key, place.clone());
            }
            Err(ClusterError::UnknownKind { .. }) => {
                let mut unknown = self.unknown.lock().expect("no thread panics with the lock");
                unknown.insert(key, Instant::now());
            }
            Err(_) => {}
        }
        place
    }

    fn was_unknown(&self, key: &(String, String)) -> bool {
        let unknown = self.unknown.lock().expect("no thread panics with the lock");
        unknown.get(key).is_some_and(|since| since.elapsed() < UNKNOWN)
    }

    async fn find(&self, kind: Kind<'_>) -> Result<Place, ClusterError> {
        let root = root(kind.api_version);
        let request = Request::get(format!("/{root}/{}", kind.api_version)).body(Vec::new());
        let answer = self.ask(request.map_err(kube::core::request::Error::BuildRequest)).await;
        let verb = format!("list the kinds of `{}`", kind.api_version);
        let resources = match answer {
            Ok(list) => {
                serde_json::from_value::<APIResourceList>(list)
                    .map_err(|error| self.explain(&verb, kube::Error::SerdeError(error)))?
                    .resources
            }
            Err(error) if has_code(&error, 404) => return Err(unknown(kind)),
            Err(error) => return Err(self.explain(&verb, error)),
        };
        let is_it = |found: &&APIResource| found.kind == kind.kind && !found.name.contains('/');
        let found = resources.iter().find(is_it).ok_or_else(|| unknown(kind))?;
        Ok(Place { plural: found.name.clone(), is_namespaced: found.namespaced })
    }

    // A list is not found only if its kind is not: the CRD was taken away.
    fn forget(&self, kind: Kind<'_>) -> ClusterError {
        let key = (kind.api_version.to_owned(), kind.kind.to_owned());
        self.kinds.lock().expect("no thread panics with the lock").remove(&key);
        unknown(kind)
    }

    fn explain(&self, verb: &str, error: kube::Error) -> ClusterError {
        explain(self.connection.server(), verb, error)
    }
}

/// Returns the answer as it is, as far as it was asked for.
async fn bytes(client: Client, request: Request<Vec<u8>>) -> Result<Vec<u8>, kube::Error> {
    let answer = std::pin::pin!(client.request_stream(request).await?);
    let mut bytes = Vec::new();
    let read = answer.take(MOST_BYTES as u64).read_to_end(&mut bytes).await;
    read.map_err(kube::Error::ReadEvents)?;
    Ok(bytes)
}

/// Returns how long to leave a busy API server alone, or `None` if asking again is of no use.
fn wait(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    let busy = matches!(status.code, 429 | 500 | 502..=504);
    busy.then(|| Duration::from_secs(asked.min(2).into()).max(Duration::from_millis(250)))
}

fn silent() -> kube::Error {
    let text = format!("no answer within {} s", SILENCE.as_secs());
    kube::Error::Service(std::io::Error::new(std::io::ErrorKind::TimedOut, text).into())
}

fn kube_error(error: kube::core::request::Error) -> kube::Error {
    kube::Error::BuildRequest(error)
}

fn told(event: WatchEvent<Value>, kind: Kind<'_>) -> Result<Option<Change>, kube::Error> {
    Ok(match event {
        WatchEvent::Added(value) | WatchEvent::Modified(value) => read(value, kind).map(Change::Is),
        WatchEvent::Deleted(value) => read(value, kind).map(Change::Gone),
        WatchEvent::Bookmark(mark) => Some(Change::UpTo(mark.metadata.resource_version)),
        WatchEvent::Error(status) if status.code == 410 => Some(Change::TooOld),
        WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
    })
}

fn unknown(kind: Kind<'_>) -> ClusterError {
    let (api_version, kind) = (kind.api_version.to_owned(), kind.kind.to_owned());
    ClusterError::UnknownKind { api_version, kind }
}

fn root(api_version: &str) -> &'static str {
    if api_version.contains('/') { "apis" } else { "api" }
}

fn path(kind: Kind<'_>, place: &Place) -> String {
    let (root, version, plural) = (root(kind.api_version), kind.api_version, &place.plural);
    match place.is_namespaced && !kind.namespace.is_empty() {
        true => format!("/{root}/{version}/namespaces/{}/{plural}", kind.namespace),
        false => format!("/{root}/{version}/{plural}"),
    }
}

fn described(kind: Kind<'_>, place: &Place, name: Option<&str>) -> String {
    let group = kind.api_version.rsplit_once('/').map(|(group, _)| format!(".{group}"));
    let what = format!("{}{}", place.plural, group.unwrap_or_default());
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    match place.is_namespaced && !kind.namespace.is_empty() {
        true => format!("{what}{name} in namespace `{}`", kind.namespace),
        false => format!("{what}{name}"),
    }
}

// The items of a list lack the kind; managed fields are of no use here and often the larger half, and
// the last applied configuration says everything a second time.
fn read(mut value: Value, kind: Kind<'_>) -> Option<Object> {
    let map = value.as_object_mut()?;
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    map.entry("apiVersion").or_insert_with(|| kind.api_version.into());
    map.entry("kind").or_insert_with(|| kind.kind.into());
    Object::new(value)
}

fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
