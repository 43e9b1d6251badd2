//! The way to a registry: over TLS or not, authorized when the registry asks for it, sent on where
//! the registry says, and again where it may go well the next time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::answer::Refusal;
use super::auth::refused;
use super::call::Call;
use super::credentials::Credentials;
use super::endpoint::{Endpoint, PlainRules, may_lead};
use super::failure::{Failure, may_pass};
use super::http::Http;
use super::tuning::Tuning;
use crate::image::ImageName;
use crate::registry::requests::Requests;
use crate::registry::{RegistryError, RequestKind};
use crate::system::Environment;

/// How many answers (challenge, redirects, the turn to TLS) may lead to the one that counts.
const STEPS_MAX: usize = 8;

/// The way to all registries.
pub(super) struct Transport {
    pub(super) http: Http,
    pub(super) credentials: Credentials,
    pub(super) requests: Requests,
    pub(super) tuning: Tuning,
    rules: PlainRules,
    endpoints: Mutex<BTreeMap<String, Arc<Endpoint>>>,
    secrets: Mutex<Vec<SecretString>>,
}

impl Transport {
    /// Returns the way that `environment` describes.
    pub(super) fn new(environment: &Environment, tuning: Tuning) -> Result<Self, RegistryError> {
        Ok(Self {
            http: Http::new(environment)?,
            credentials: Credentials::new(environment),
            requests: Requests::default(),
            tuning,
            rules: PlainRules::of(environment),
            endpoints: Mutex::default(),
            secrets: Mutex::default(),
        })
    }

    /// Runs `work`, which is about `name`, until it succeeds, or fails for good, too often, or too
    /// late for what moves no bytes to speak of.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        name: &ImageName,
        work: impl FnMut() -> F,
    ) -> Result<T, RegistryError> {
        self.persist_with(name, 0, work).await
    }

    /// As [`Self::persist`], for work that moves so many bytes.
    pub(super) async fn persist_with<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        name: &ImageName,
        bytes: u64,
        mut work: impl FnMut() -> F,
    ) -> Result<T, RegistryError> {
        let within = self.tuning.done_within(bytes);
        let until = Instant::now() + within;
        let (mut tries, mut before) = (0, None);
        loop {
            tries += 1;
            let failure = match timeout_at(until, work()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::late(name, within, before.take()),
            };
            let pause = self.tuning.pause(tries, failure.retry_after);
            let pause = pause.filter(|pause| failure.transient && Instant::now() + *pause < until);
            let Some(pause) = pause else {
                return Err(self.without_secrets(failure.told(name, tries)));
            };
            tracing::debug!(registry = name.domain(), ?pause, "trying again: {}", failure.error);
            before = Some(failure);
            sleep(pause).await;
        }
    }

    /// Notes that `secret` must not appear in an error.
    pub(super) fn keep_secret(&self, secret: &SecretString) {
        let mut secrets = self.secrets.lock().expect("nothing panics while it holds the lock");
        let is_known = |known: &SecretString| known.expose_secret() == secret.expose_secret();
        if !secrets.iter().any(is_known) {
            secrets.push(secret.clone());
        }
    }

    /// Returns `error` with every secret in it replaced: a registry may send back what it was sent.
    pub(super) fn without_secrets(&self, mut error: RegistryError) -> RegistryError {
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

    /// Sends `call` and returns the answer, and the URL that it came from. Any status counts as one,
    /// but for those that a registry refuses access with and those that may pass.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<(Response, Url), Failure> {
        let endpoint = self.endpoint(call.name)?;
        let _opening = endpoint.opening().await;
        let _lane = endpoint.lane(call.kind).await;
        self.authorize_ahead(&endpoint, call.name, &call.scope).await?;
        let mut url = call.target.resolve(&endpoint, call.name)?;
        let mut authorized = false;
        for _ in 0..STEPS_MAX {
            let header = endpoint.authorization(&call.scope).filter(|_| endpoint.is_at(&url));
            let response = match self.send_once(call, &endpoint, &url, header.as_ref()).await {
                Ok(response) => response,
                Err(Attempt::WantsTls) => {
                    url = call.target.resolve(&endpoint, call.name)?;
                    continue;
                }
                Err(Attempt::Failed(failure)) => {
                    endpoint.was_tried();
                    return Err(failure);
                }
            };
            let status = response.status();
            match status {
                StatusCode::UNAUTHORIZED if !authorized && endpoint.is_at(&url) => {
                    authorized = true;
                    let headers = response.headers();
                    let (name, scope) = (call.name, &call.scope);
                    self.authorize(&endpoint, name, scope, headers, header.as_ref()).await?;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let words = Refusal::read(response).await.words;
                    let error = refused(self, call.name, status, &words).await;
                    return Err(Failure { status: Some(status), ..Failure::last(error) });
                }
                _ if status.is_redirection() && call.is_read() => {
                    url = next_url(call.name, &url, &response)?;
                }
                _ if may_pass(status) => {
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
        authorization: Option<&SecretString>,
    ) -> Result<Response, Attempt> {
        let request = call.request(url, authorization).await;
        let mut request = request.map_err(Attempt::Failed)?;
        // The body of a blob is as long in coming as whoever reads it wants; its reader keeps the time.
        if call.kind != RequestKind::GetBlob {
            *request.timeout_mut() = Some(self.tuning.answer_within(call.size()));
        }
        let client = self.http.client_for(url);
        let client = client.map_err(|why| Attempt::Failed(Failure::unreachable(call.name, why)))?;
        self.requests.count(call.name, call.kind);
        let start = Instant::now();
        let sent = client.execute(request);
        let until = start + self.tuning.answer_within(call.size());
        let Ok(sent) = timeout_at(until, sent).await else {
            return Err(Attempt::Failed(Failure::silent(call.name)));
        };
        let at_home = endpoint.is_at(url);
        let guessing = at_home && endpoint.may_want_tls();
        match sent {
            // Servers that speak TLS answer a plain request with 400, or hang up.
            Ok(answer) if guessing && may_be_tls(&answer) => {}
            Err(error) if guessing && !error.is_connect() && !error.is_timeout() => {}
            Ok(answer) => {
                let (kind, status) = (call.kind.as_str(), answer.status().as_u16());
                tracing::debug!(registry = call.name.domain(), kind, status, path = url.path());
                if at_home {
                    endpoint.answered(answer.version());
                }
                return Ok(answer);
            }
            Err(error) => {
                // It may have hung up on a token that has run out, before all was sent.
                if call.size() > 0 {
                    endpoint.forget(&call.scope);
                }
                let mut failure = Failure::transport(call.name, &error);
                if at_home && !endpoint.has_answered() && hung_up(&error, url) {
                    failure = failure.with_advice(&format!(
                        "a registry that wants a client certificate hangs up like this: see `certs.d/{}/client.cert` in docker's documentation",
                        url.authority()
                    ));
                }
                return Err(Attempt::Failed(failure));
            }
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

/// Returns whether the other side ended a connection over TLS once it was made.
fn hung_up(error: &reqwest::Error, url: &Url) -> bool {
    url.scheme() == "https" && !error.is_connect() && !error.is_timeout() && !error.is_body()
}

/// Returns whether the answer to a plain request may come from a server that speaks TLS: it has the
/// status for it, and not the form of a registry's own errors.
fn may_be_tls(answer: &Response) -> bool {
    let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|text| text.starts_with("application/json"));
    answer.status() == StatusCode::BAD_REQUEST && !is_json
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
