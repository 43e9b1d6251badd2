//! One request to a registry: over TLS or not, authorized when the registry asks for it, sent on
//! where the registry says, and again where it may go well the next time.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use camino::Utf8Path;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Body, Method, Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use url::Url;

use super::answer::Refusal;
use super::auth::{header, refused};
use super::credentials::Credentials;
use super::endpoint::{Endpoint, PlainRules, may_lead};
use super::http::{Http, deepest};
use crate::image::ImageName;
use crate::registry::descriptor::MANIFEST_TYPES;
use crate::registry::requests::Requests;
use crate::registry::{RegistryError, RequestKind};
use crate::system::Environment;

/// How many answers (challenge, redirects, the turn to TLS) may lead to the one that counts.
const STEPS_MAX: usize = 8;
/// How much of a file is read at a time.
const CHUNK: usize = 64 << 10;

/// The way to all registries.
pub(super) struct Transport {
    pub(super) http: Http,
    pub(super) credentials: Credentials,
    rules: PlainRules,
    endpoints: Mutex<BTreeMap<String, Arc<Endpoint>>>,
    secrets: Mutex<Vec<SecretString>>,
    pub(super) requests: Requests,
}

/// A request.
pub(super) struct Call<'a> {
    /// The method.
    pub(super) method: Method,
    /// What it is counted as.
    pub(super) kind: RequestKind,
    /// The repository that it is about.
    pub(super) name: &'a ImageName,
    /// Where to: a path below the registry's root, or the whole URL that the registry gave.
    pub(super) target: Target,
    /// What the token must allow.
    pub(super) scope: String,
    /// What is sent.
    pub(super) payload: Payload<'a>,
    /// A header that this request has and others do not.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

/// Where a request goes.
#[derive(Clone)]
pub(super) enum Target {
    /// A path and a query.
    Path(String),
    /// A URL out of the registry's own answer.
    Url(Url),
}

/// What a request carries.
pub(super) enum Payload<'a> {
    /// Nothing.
    Nothing,
    /// Bytes and their media type.
    Bytes(&'a Bytes, &'a str),
    /// The first bytes of a file, as many as said.
    File(&'a Utf8Path, u64),
}

/// An error, and whether it may go away by itself.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: RegistryError,
    pub(super) transient: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Transport {
    /// Returns the way that `environment` describes.
    pub(super) fn new(environment: &Environment) -> Result<Self, RegistryError> {
        Ok(Self {
            http: Http::new(environment)?,
            credentials: Credentials::new(environment),
            rules: PlainRules::of(environment),
            endpoints: Mutex::default(),
            secrets: Mutex::default(),
            requests: Requests::default(),
        })
    }

    /// Runs `work` until it succeeds, or fails for good, or has failed four times.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        work: impl FnMut() -> F,
    ) -> Result<T, RegistryError> {
        let pace = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_factor(2.0)
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .with_max_times(3);
        let done = work
            .retry(pace)
            .when(|failure: &Failure| failure.transient)
            .adjust(|failure, delay| {
                delay.map(|delay| delay.max(failure.retry_after.unwrap_or_default()))
            })
            .await;
        done.map_err(|failure| self.without_secrets(failure.error))
    }

    /// Notes that `secret` must not appear in an error.
    pub(super) fn keep_secret(&self, secret: &SecretString) {
        let mut secrets = self.secrets.lock().expect("nothing panics while it holds the lock");
        secrets.push(secret.clone());
    }

    /// Returns `error` with every secret in it replaced: a registry may send back what it was sent.
    fn without_secrets(&self, mut error: RegistryError) -> RegistryError {
        if let RegistryError::Unreachable { reason, .. }
        | RegistryError::Denied { reason, .. }
        | RegistryError::Answer { reason, .. } = &mut error
        {
            let secrets = self.secrets.lock().expect("nothing panics while it holds the lock");
            let texts = secrets.iter().map(ExposeSecret::expose_secret);
            for secret in texts.filter(|secret| !secret.is_empty()) {
                *reason = reason.replace(secret, "***");
            }
        }
        error
    }

    /// Sends `call` and returns the answer, and the URL that it came from. Any status below 500
    /// counts as one, but for those that a registry refuses access with.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<(Response, Url), Failure> {
        let endpoint = self.endpoint(call.name)?;
        let mut url = call.target.resolve(&endpoint, call.name)?;
        let mut authorized = false;
        for _ in 0..STEPS_MAX {
            let response = match self.send_once(call, &endpoint, &url).await {
                Ok(response) => response,
                Err(Attempt::WantsTls) => {
                    url = call.target.resolve(&endpoint, call.name)?;
                    continue;
                }
                Err(Attempt::Failed(failure)) => return Err(failure),
            };
            let status = response.status();
            match status {
                StatusCode::UNAUTHORIZED if !authorized && endpoint.is_at(&url) => {
                    authorized = true;
                    let headers = response.headers();
                    self.authorize(&endpoint, call.name, &call.scope, headers).await?;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let words = Refusal::read(response).await.words;
                    let unauthorized = status == StatusCode::UNAUTHORIZED;
                    let error = refused(self, call.name, unauthorized, &words).await;
                    return Err(Failure::last(error));
                }
                _ if status.is_redirection() && call.is_read() => {
                    url = next_url(call.name, &url, &response)?;
                }
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                    return Err(Failure::later(call.name, &Refusal::read(response).await));
                }
                _ if status.is_server_error() => {
                    return Err(Failure::later(call.name, &Refusal::read(response).await));
                }
                _ => return Ok((response, url)),
            }
        }
        Err(Failure::answer(
            call.name,
            "it leads from one place to the next without end".to_owned(),
        ))
    }

    async fn send_once(
        &self,
        call: &Call<'_>,
        endpoint: &Endpoint,
        url: &Url,
    ) -> Result<Response, Attempt> {
        let at_home = endpoint.is_at(url);
        let request =
            call.request(url, endpoint.authorization(&call.scope).filter(|_| at_home)).await;
        let request = request.map_err(Attempt::Failed)?;
        let client = self.http.client_for(url);
        let client = client.map_err(|why| Attempt::Failed(Failure::unreachable(call.name, why)))?;
        self.requests.count(call.name, call.kind);
        let sent = client.execute(request).await;
        let guessing = at_home && endpoint.may_want_tls();
        match sent {
            // Servers that speak TLS answer a plain request with 400, or hang up.
            Ok(answer) if guessing && may_be_tls(&answer) => {}
            Err(error) if guessing && !error.is_connect() && !error.is_timeout() => {}
            Ok(answer) => {
                endpoint.answered();
                return Ok(answer);
            }
            Err(error) => return Err(Attempt::Failed(Failure::transport(call.name, &error))),
        }
        endpoint.wants_tls();
        Err(Attempt::WantsTls)
    }

    /// Returns how the registry of `name` is asked: `https` or `http`.
    pub(super) fn scheme(&self, name: &ImageName) -> String {
        let endpoint = self.endpoint(name);
        endpoint.map_or_else(|_| "https".to_owned(), |known| known.base().scheme().to_owned())
    }

    /// Returns the `Authorization` header that the registry of `name` gets for `scope`, if it was
    /// asked for one.
    pub(super) fn authorization(&self, name: &ImageName, scope: &str) -> Option<SecretString> {
        self.endpoint(name).ok()?.authorization(scope)
    }

    fn endpoint(&self, name: &ImageName) -> Result<Arc<Endpoint>, Failure> {
        let mut endpoints = self.endpoints.lock().expect("nothing panics while it holds the lock");
        if let Some(endpoint) = endpoints.get(name.domain()) {
            return Ok(endpoint.clone());
        }
        let endpoint = Arc::new(Endpoint::new(name.domain(), &self.rules).map_err(Failure::last)?);
        endpoints.insert(name.domain().to_owned(), endpoint.clone());
        Ok(endpoint)
    }
}

enum Attempt {
    WantsTls,
    Failed(Failure),
}

impl<'a> Call<'a> {
    /// Returns a request that carries nothing.
    pub(super) fn nothing(
        method: Method,
        kind: RequestKind,
        name: &'a ImageName,
        target: Target,
        scope: String,
    ) -> Self {
        Self { method, kind, name, target, scope, payload: Payload::Nothing, header: None }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    async fn request(
        &self,
        url: &Url,
        authorization: Option<SecretString>,
    ) -> Result<Request, Failure> {
        let mut request = Request::new(self.method.clone(), url.clone());
        let headers = request.headers_mut();
        if self.is_read() {
            let accept = MANIFEST_TYPES.join(", ");
            headers.insert(ACCEPT, accept.parse().expect("media types fit into a header"));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, header(&authorization));
        }
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
        let invalid =
            || Failure::answer(self.name, "a media type does not fit into a header".into());
        match self.payload {
            Payload::Nothing if self.is_read() => {}
            // Some registries want the length even of nothing.
            Payload::Nothing => drop(headers.insert(CONTENT_LENGTH, 0.into())),
            Payload::Bytes(bytes, media_type) => {
                headers.insert(CONTENT_TYPE, media_type.parse().map_err(|_| invalid())?);
                headers.insert(CONTENT_LENGTH, bytes.len().into());
                *request.body_mut() = Some(bytes.clone().into());
            }
            Payload::File(path, size) => {
                let octets = "application/octet-stream".parse().map_err(|_| invalid())?;
                headers.insert(CONTENT_TYPE, octets);
                headers.insert(CONTENT_LENGTH, size.into());
                let file = tokio::fs::File::open(path).await.map_err(|source| {
                    Failure::last(RegistryError::File { path: path.to_owned(), source })
                })?;
                let stream = ReaderStream::with_capacity(file.take(size), CHUNK);
                *request.body_mut() = Some(Body::wrap_stream(stream));
            }
        }
        Ok(request)
    }
}

impl Target {
    fn resolve(&self, endpoint: &Endpoint, name: &ImageName) -> Result<Url, Failure> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::Path(path) => {
                let joined = endpoint.base().join(path);
                joined.map_err(|error| Failure::answer(name, error.to_string()))
            }
        }
    }
}

impl Failure {
    /// Returns a failure that another try does not mend.
    pub(super) fn last(error: RegistryError) -> Self {
        Self { error, transient: false, retry_after: None }
    }

    /// Returns the failure of a registry that did not let in.
    pub(super) fn denied(name: &ImageName, reason: String) -> Self {
        let (registry, repository) = (name.domain().to_owned(), name.path().to_owned());
        Self::last(RegistryError::Denied { registry, repository, reason })
    }

    /// Returns the failure of a registry that answered what it must not.
    pub(super) fn answer(name: &ImageName, reason: String) -> Self {
        Self::last(RegistryError::Answer { registry: name.domain().to_owned(), reason })
    }

    /// Returns the failure of a registry that may do better later.
    pub(super) fn later(name: &ImageName, refusal: &Refusal) -> Self {
        let transient = Self::answer(name, refusal.words.clone());
        Self { transient: true, retry_after: refusal.retry_after, ..transient }
    }

    /// Returns the failure of a registry that can't be asked at all.
    pub(super) fn unreachable(name: &ImageName, reason: String) -> Self {
        Self::last(RegistryError::Unreachable { registry: name.domain().to_owned(), reason })
    }

    /// Returns the failure of a connection.
    pub(super) fn transport(name: &ImageName, error: &reqwest::Error) -> Self {
        let transient = !is_tls(error) && !error.is_builder();
        Self { transient, ..Self::unreachable(name, deepest(error)) }
    }
}

/// Returns whether the answer to a plain request may come from a server that speaks TLS: it has the
/// status for it, and not the form of a registry's own errors.
fn may_be_tls(answer: &Response) -> bool {
    let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|text| text.starts_with("application/json"));
    answer.status() == StatusCode::BAD_REQUEST && !is_json
}

/// Returns whether the other side's TLS is at fault, which does not pass.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // What an I/O error carries is not its source, but the thing itself.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(carried) => is_tls(carried),
        None => error.source().is_some_and(is_tls),
    }
}

/// Returns where `response`, which came from `url`, leads.
pub(super) fn next_url(name: &ImageName, url: &Url, response: &Response) -> Result<Url, Failure> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location =
        location.ok_or_else(|| Failure::answer(name, "it gives no location".to_owned()))?;
    lead(name, url, location)
}

/// Returns the address `location` that an answer from `url` names, if it may lead there.
pub(super) fn lead(name: &ImageName, url: &Url, location: &str) -> Result<Url, Failure> {
    let next = url.join(location);
    let mut next = next.map_err(|error| Failure::answer(name, format!("its location: {error}")))?;
    // A registry behind a proxy that ends TLS may not know that it is asked over TLS.
    if url.scheme() == "https" && next.scheme() == "http" && next.host() == url.host() {
        let port = url.port();
        next.set_scheme("https").and_then(|()| next.set_port(port)).expect("http can become https");
    }
    if !may_lead(url, &next) {
        let host = next.host_str().unwrap_or_default();
        return Err(Failure::answer(name, format!("it leads to `{host}`, where it must not")));
    }
    Ok(next)
}
