//! Registries over HTTP, as the OCI distribution specification has them.
//!
//! The requests are written by hand on `reqwest`, not with `oci-client` 0.18, because its way of
//! authorizing stands before every request: it asks `/v2/` ahead of each one that needs no login,
//! takes a refused token for no token and so loses the reason, has no identity tokens, no scope
//! for mounting and no second try after a 401, and reads answers of any length. Media types of
//! manifests and the status of a mount do not come out of it at all.
//!
//! - **Scheme.** HTTPS; loopback (`localhost`, `127.0.0.0/8`, `[::1]`) and the registries that
//!   `DEPLOYCTL_INSECURE_REGISTRIES` lists are asked over plain HTTP first, and over TLS from then
//!   on if that is what they speak. No credential is sent before the registry has asked for one.
//! - **Certificates.** The machine's, and those in `SSL_CERT_FILE`.
//! - **Uploads.** `HEAD`, and where the blob is not there `POST` and one `PUT` that is streamed from
//!   the file, so that memory does not grow with it. A cut upload begins anew.
//! - **Trust.** What is read by digest is compared with it; nothing follows an answer out of TLS or
//!   into the local network; `Authorization` goes to the registry itself only.
//! - **Again.** Three more tries on 408, 429, 5xx and broken connections; `Retry-After` is heeded up
//!   to 30 seconds.
//!
//! Left for later: upload in chunks with resumption, referrers, client certificates.

mod answer;
mod auth;
mod credentials;
mod endpoint;
mod http;
mod transport;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use tokio_util::io::StreamReader;
use url::Url;
use url::form_urlencoded::byte_serialize;

use self::answer::{Refusal, read_body};
use self::transport::{Call, Failure, Payload, Target, Transport, next_url};
use super::descriptor::{MANIFEST_MAX, Mentions, media_type_of, mentions};
use super::verified::{Verified, expect};
use super::{BlobReader, Registry, RegistryError, Resolver};
use crate::image::{Blob, BlobContent, Digest, Hashing, ImageName, ImageReference, Manifest, Tag};
use crate::system::Environment;

const CONTENT_DIGEST: &str = "docker-content-digest";

/// All registries that can be reached over HTTP; an image's name says which one is meant.
pub struct Remote {
    transport: Transport,
}

impl Remote {
    /// Returns a client that takes credentials, certificates, proxies and exceptions from
    /// `environment`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails if `SSL_CERT_FILE` or a proxy's URL can't be used.
    pub fn new(environment: &Environment) -> Result<Self, RegistryError> {
        Ok(Self { transport: Transport::new(environment)? })
    }

    async fn ask(
        &self,
        method: Method,
        name: &ImageName,
        path: &str,
    ) -> Result<(Response, Url), Failure> {
        let target = Target::Path(format!("v2/{}/{path}", name.path()));
        let call = Call { method, name, target, scope: pull(name), payload: Payload::Nothing };
        self.transport.send(&call).await
    }

    /// Returns the answer about a manifest, or `None` if there is none.
    async fn ask_manifest(
        &self,
        method: Method,
        reference: &ImageReference,
    ) -> Result<Option<Response>, Failure> {
        let name = &reference.name;
        let (response, _) = self.ask(method, name, &manifest_path(reference)).await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, Failure> {
        let name = &reference.name;
        let Some(response) = self.ask_manifest(Method::HEAD, reference).await? else {
            return Ok(None);
        };
        let Some(found) = content_digest(name, &response)? else {
            let manifest = self.try_manifest(reference).await?;
            return Ok(manifest.map(|manifest| manifest.digest()));
        };
        if let Some(expected) = &reference.digest {
            expect(expected, found.clone()).map_err(Failure::last)?;
        }
        Ok(Some(found))
    }

    async fn try_manifest(&self, reference: &ImageReference) -> Result<Option<Manifest>, Failure> {
        let name = &reference.name;
        let Some(response) = self.ask_manifest(Method::GET, reference).await? else {
            return Ok(None);
        };
        let announced = content_digest(name, &response)?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|text| text.split(';').next()).map(str::to_owned);
        let body = read_body(response, MANIFEST_MAX).await;
        let bytes = body.map_err(|error| error.into_failure(name))?;
        if let Some(expected) = reference.digest.as_ref().or(announced.as_ref()) {
            expect(expected, Digest::of(&bytes)).map_err(Failure::last)?;
        }
        let is_generic = |text: &String| text.starts_with("text/") || text == "application/json";
        let media_type = media_type.filter(|text| !is_generic(text));
        let media_type = media_type.unwrap_or_else(|| media_type_of(&bytes));
        Ok(Some(Manifest { media_type, bytes }))
    }

    // For a manifest that is not there registries answer alike, whether or not the repository is.
    async fn try_has_repository(&self, name: &ImageName) -> Result<bool, Failure> {
        let (response, _) = self.ask(Method::GET, name, "tags/list?n=1").await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_has_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        scope: String,
    ) -> Result<bool, Failure> {
        let target = Target::Path(format!("v2/{}/blobs/{digest}", name.path()));
        let call = Call { method: Method::HEAD, name, target, scope, payload: Payload::Nothing };
        let (response, _) = self.transport.send(&call).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, Failure> {
        let (response, _) = self.ask(Method::GET, name, &format!("blobs/{digest}")).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Failure::last(RegistryError::NotFound(digest.to_string())));
            }
            _ => return Err(unexpected(name, response).await),
        }
        let bytes =
            response.bytes_stream().map_err(|error| std::io::Error::other(http::deepest(&error)));
        Ok(Box::pin(Verified::new(StreamReader::new(Box::pin(bytes)), digest.clone())))
    }

    async fn try_push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), Failure> {
        if self.try_has_blob(name, &blob.digest, push(name)).await? {
            return Ok(());
        }
        let start = self.start_upload(name, "", push(name)).await?;
        if start.0.status() != StatusCode::ACCEPTED {
            return Err(unexpected(name, start.0).await);
        }
        let mut location = next_url(name, &start.1, &start.0)?;
        location.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let payload = match &blob.content {
            BlobContent::Bytes(bytes) => Payload::Bytes(bytes, "application/octet-stream"),
            BlobContent::File(path) => Payload::File(path, blob.size),
        };
        let target = Target::Url(location);
        let call = Call { method: Method::PUT, name, target, scope: push(name), payload };
        let (response, _) = self.transport.send(&call).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            // The registry no longer knows the upload: begin a new one.
            StatusCode::NOT_FOUND => {
                Err(Failure { transient: true, ..unexpected(name, response).await })
            }
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn start_upload(
        &self,
        name: &ImageName,
        query: &str,
        scope: String,
    ) -> Result<(Response, Url), Failure> {
        let target = Target::Path(format!("v2/{}/blobs/uploads/{query}", name.path()));
        let call = Call { method: Method::POST, name, target, scope, payload: Payload::Nothing };
        self.transport.send(&call).await
    }

    async fn try_mount(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, Failure> {
        let source: String = byte_serialize(from.path().as_bytes()).collect();
        let query = format!("?mount={digest}&from={source}");
        // The scope of the push comes first, or some registries grant the other one alone.
        let scope = format!("{} {}", push(name), pull(from));
        let (response, url) = match self.start_upload(name, &query, scope).await {
            Ok(answer) => answer,
            // Whoever may not read the source can still push the blob itself.
            Err(Failure { error: RegistryError::Denied { .. }, .. }) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        if response.status() == StatusCode::CREATED {
            return Ok(true);
        }
        if response.status() == StatusCode::ACCEPTED
            && let Ok(location) = next_url(name, &url, &response)
        {
            self.cancel_upload(name, location).await;
        }
        Ok(false)
    }

    /// Takes back an upload that the registry began in place of a mount. Registries remove those by
    /// themselves after a while, so it does not matter if this one can't.
    async fn cancel_upload(&self, name: &ImageName, location: Url) {
        let (target, payload) = (Target::Url(location), Payload::Nothing);
        let call = Call { method: Method::DELETE, name, target, scope: push(name), payload };
        let _ = self.transport.send(&call).await;
    }

    async fn try_push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        mentions: &Mentions,
        tag: Option<&Tag>,
    ) -> Result<(), Failure> {
        let digest = manifest.digest();
        let at = tag.map_or(digest.as_str(), Tag::as_str);
        let target = Target::Path(format!("v2/{}/manifests/{at}", name.path()));
        let payload = Payload::Bytes(&manifest.bytes, &manifest.media_type);
        let call = Call { method: Method::PUT, name, target, scope: push(name), payload };
        let (response, _) = self.transport.send(&call).await?;
        if response.status().is_success() {
            let stored = content_digest(name, &response)?.unwrap_or_else(|| digest.clone());
            return expect(&digest, stored).map_err(Failure::last);
        }
        let refusal = Refusal::read(response).await;
        // "MANIFEST_BLOB_UNKNOWN": registries put the digest into different places.
        let mut parts = mentions.blobs.iter().chain(&mentions.manifests);
        Err(match parts.find(|part| refusal.body.contains(part.digest.as_str())) {
            Some(part) => {
                let missing = part.digest.clone();
                Failure::last(RegistryError::Incomplete { manifest: digest, missing })
            }
            None => Failure::answer(name, refusal.words),
        })
    }
}

#[async_trait]
impl Resolver for Remote {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        let reference = reference.clone().looked_up();
        self.transport.persist(|| self.try_resolve(&reference)).await
    }

    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        let reference = reference.clone().looked_up();
        self.transport.persist(|| self.try_manifest(&reference)).await
    }

    async fn has_repository(&self, name: &ImageName) -> Result<bool, RegistryError> {
        self.transport.persist(|| self.try_has_repository(name)).await
    }
}

#[async_trait]
impl Registry for Remote {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        self.transport.persist(|| self.try_has_blob(name, digest, pull(name))).await
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        self.transport.persist(|| self.try_blob(name, digest)).await
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        if let BlobContent::File(path) = &blob.content {
            let file = |source| RegistryError::File { path: path.clone(), source };
            if tokio::fs::metadata(path).await.map_err(file)?.len() != blob.size {
                check_source(blob).await?;
            }
        }
        let pushed = self.transport.persist(|| self.try_push_blob(name, blob)).await;
        match pushed {
            // The registry's words for a wrong digest differ; the bytes themselves tell.
            Err(error @ (RegistryError::Answer { .. } | RegistryError::Unreachable { .. })) => {
                check_source(blob).await?;
                Err(error)
            }
            other => other,
        }
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError> {
        if from.domain() != name.domain() {
            return Ok(false);
        }
        self.transport.persist(|| self.try_mount(name, digest, from)).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        let mentions = mentions(manifest)?;
        let push = || self.try_push_manifest(name, manifest, &mentions, tag);
        self.transport.persist(push).await
    }
}

fn pull(name: &ImageName) -> String {
    format!("repository:{}:pull", name.path())
}

fn push(name: &ImageName) -> String {
    format!("repository:{}:pull,push", name.path())
}

fn manifest_path(reference: &ImageReference) -> String {
    let at = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.as_str(),
        (None, tag) => tag.as_ref().map_or("latest", Tag::as_str),
    };
    format!("manifests/{at}")
}

/// Returns the digest that the registry says the manifest has, if it says one.
fn content_digest(name: &ImageName, response: &Response) -> Result<Option<Digest>, Failure> {
    let Some(value) = response.headers().get(CONTENT_DIGEST) else { return Ok(None) };
    let digest = value.to_str().unwrap_or_default().parse::<Digest>();
    digest.map(Some).map_err(|error| Failure::answer(name, format!("{CONTENT_DIGEST}: {error}")))
}

async fn unexpected(name: &ImageName, response: Response) -> Failure {
    Failure::answer(name, Refusal::read(response).await.words)
}

/// Fails if the blob's bytes are not what it says they are.
async fn check_source(blob: &Blob) -> Result<(), RegistryError> {
    let found = match &blob.content {
        BlobContent::Bytes(bytes) => Digest::of(bytes),
        BlobContent::File(path) => {
            let path = path.clone();
            let hash = move || {
                let mut out = Hashing::new(std::io::sink());
                let mut from = std::fs::File::open(&path);
                let copied = from.as_mut().map_or_else(
                    |error| Err(std::io::Error::from(error.kind())),
                    |from| std::io::copy(from, &mut out),
                );
                copied.map_err(|source| RegistryError::File { path, source })?;
                Ok(out.finish().1)
            };
            let done = tokio::task::spawn_blocking(hash).await;
            done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?
        }
    };
    expect(&blob.digest, found)
}
