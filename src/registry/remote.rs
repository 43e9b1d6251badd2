//! Registries over HTTP, as the OCI distribution specification has them.
//!
//! The requests are written by hand on `reqwest`, not with `oci-client` 0.18, whose way of authorizing
//! stands before every request: it asks `/v2/` ahead of each one that needs no login, takes a refused
//! token for no token and so loses the reason, has no identity tokens, no scope for mounting and no
//! second try after a 401, and reads answers of any length. Neither the media types of manifests nor
//! the status of a mount come out of it, and so not the upload that stands in for one. It has no
//! retries, no time limits, no `OCI-Tag`, no tag schema of referrers, no going on in the middle of a
//! blob, no count of its requests. What it does have (streams, mounts, chunks, the referrers API) is
//! not to be had without the rest.
//!
//! - **Scheme.** HTTPS, with HTTP/2 where it is offered; loopback (`localhost`, `127.0.0.0/8`, `[::1]`)
//!   and the registries that `DEPLOYCTL_INSECURE_REGISTRIES` lists are asked over plain HTTP first, and
//!   over TLS from then on if that is what they speak. No credential is sent before the registry has
//!   asked for one.
//! - **Connections.** The first question to a registry is asked alone; those after it go over its
//!   connection: all at once with HTTP/2, and one after the other to a registry without TLS.
//! - **Certificates.** The machine's, those in `SSL_CERT_FILE`, and in folders that docker and podman
//!   have for single registries (`certs.d`), with client certificates.
//! - **Uploads.** `POST` and one `PUT` that is streamed from the file, so that memory does not grow
//!   with it; a small blob tries to do with the `POST`. Large ones go in chunks and, when they are cut,
//!   on from where the registry is. What was sent, mounted or seen in a repository once is neither sent
//!   nor asked for again.
//! - **Downloads.** A blob that is cut goes on from where it was, where the registry has `Range`, and
//!   else begins anew; its reader notices neither.
//! - **Tags.** One `PUT` each; all with one where the registry echoes them (`OCI-Tag`).
//! - **Referrers.** By the registry's list where it says `OCI-Subject`, else by one under a tag.
//! - **Trust.** What is read by digest is compared with it; nothing follows an answer out of TLS or
//!   into the local network, as far as its addresses tell; `Authorization` goes to the registry itself
//!   only.
//! - **Again.** Up to [`Tuning::tries`] tries after 408, 425, 429, 499, most of 5xx and broken
//!   connections, with pauses left to chance or, within limits, to `Retry-After`.

mod answer;
mod auth;
mod blobs;
mod call;
mod certs;
mod chunks;
mod credentials;
mod downloads;
mod endpoint;
mod examine;
mod failure;
mod http;
mod known;
mod manifests;
mod tags;
mod transport;
mod tuning;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio_util::io::StreamReader;

use self::answer::{Refusal, read_body};
use self::call::{Call, Target};
use self::downloads::Download;
use self::failure::Failure;
use self::known::Known;
use self::transport::Transport;
pub use self::tuning::Tuning;
use super::descriptor::{MANIFEST_MAX, media_type_of};
use super::verified::{Verified, expect};
use super::{BlobReader, Descriptor, Registry, RegistryError, RequestCount, RequestKind, Resolver};
use crate::image::{Blob, BlobContent, Digest, Hashing, ImageName, ImageReference, Manifest, Tag};
use crate::system::Environment;

const CONTENT_DIGEST: &str = "docker-content-digest";

/// All registries that can be reached over HTTP; an image's name says which one is meant.
pub struct Remote {
    transport: Arc<Transport>,
    known: Known,
}

impl Remote {
    /// Returns a client that takes credentials, certificates, proxies and exceptions from
    /// `environment`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails if a proxy's URL can't be used.
    pub fn new(environment: &Environment) -> Result<Self, RegistryError> {
        Self::with_tuning(environment, Tuning::default())
    }

    /// As [`Self::new`], with other limits than the usual ones.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with_tuning(environment: &Environment, tuning: Tuning) -> Result<Self, RegistryError> {
        let transport = Arc::new(Transport::new(environment, tuning)?);
        Ok(Self { transport, known: Known::default() })
    }

    async fn ask(
        &self,
        method: Method,
        kind: RequestKind,
        name: &ImageName,
        path: &str,
    ) -> Result<Response, Failure> {
        let target = Target::Path(format!("v2/{}/{path}", name.path()));
        let call = Call::nothing(method, kind, name, target, pull(name));
        Ok(self.transport.send(&call).await?.0)
    }

    /// Returns the answer about a manifest, or `None` if there is none.
    async fn ask_manifest(
        &self,
        method: Method,
        reference: &ImageReference,
    ) -> Result<Option<Response>, Failure> {
        let name = &reference.name;
        let head = method == Method::HEAD;
        let kind = if head { RequestKind::HeadManifest } else { RequestKind::GetManifest };
        let path = manifest_path(reference);
        let response = match self.ask(method, kind, name, &path).await {
            // Some say to HEAD that they refuse what they do not have (JFrog RTFACT-13797); and what
            // others say to it has no words.
            Err(Failure { status: Some(StatusCode::FORBIDDEN), .. }) if head => {
                self.ask(Method::GET, RequestKind::GetManifest, name, &path).await?
            }
            asked => asked?,
        };
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
            let manifest = self.read_manifest(reference).await?;
            return Ok(manifest.map(|(manifest, _)| manifest.digest()));
        };
        if let Some(expected) = &reference.digest {
            expect(expected, found.clone()).map_err(Failure::last)?;
        }
        Ok(Some(found))
    }

    /// Returns the manifest and what the registry calls this version of it, or `None`.
    async fn read_manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<(Manifest, Option<HeaderValue>)>, Failure> {
        let name = &reference.name;
        let Some(response) = self.ask_manifest(Method::GET, reference).await? else {
            return Ok(None);
        };
        let announced = content_digest(name, &response)?;
        let version = response.headers().get(ETAG).cloned();
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
        Ok(Some((Manifest { media_type, bytes }, version)))
    }

    // For a manifest that is not there registries answer alike, whether or not the repository is.
    async fn try_has_repository(&self, name: &ImageName) -> Result<bool, Failure> {
        let kind = RequestKind::GetTags;
        let response = self.ask(Method::GET, kind, name, "tags/list?n=1").await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, Failure> {
        let (kind, path) = (RequestKind::HeadBlob, format!("blobs/{digest}"));
        let response = match self.ask(Method::HEAD, kind, name, &path).await {
            // As for manifests; the bytes are not waited for.
            Err(Failure { status: Some(StatusCode::FORBIDDEN), .. }) => {
                self.ask(Method::GET, RequestKind::GetBlob, name, &path).await?
            }
            asked => asked?,
        };
        match response.status() {
            StatusCode::OK => {
                self.known.saw_blob(name, digest);
                Ok(true)
            }
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, Failure> {
        let download = Download::open(self.transport.clone(), name, digest).await?;
        let bytes = StreamReader::new(Box::pin(download.pieces()));
        Ok(Box::pin(Verified::new(bytes, digest.clone())))
    }
}

#[async_trait]
impl Resolver for Remote {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        let reference = reference.clone().looked_up();
        self.transport.persist(&reference.name, || self.try_resolve(&reference)).await
    }

    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        let reference = reference.clone().looked_up();
        let read =
            self.transport.persist(&reference.name, || self.read_manifest(&reference)).await?;
        Ok(read.map(|(manifest, _)| manifest))
    }

    async fn has_repository(&self, name: &ImageName) -> Result<bool, RegistryError> {
        self.transport.persist(name, || self.try_has_repository(name)).await
    }
}

#[async_trait]
impl Registry for Remote {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        if self.known.has_blob(name, digest) {
            return Ok(true);
        }
        self.transport.persist(name, || self.try_has_blob(name, digest)).await
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        self.transport.persist(name, || self.try_blob(name, digest)).await
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        if self.known.has_blob(name, &blob.digest) {
            return Ok(());
        }
        if let BlobContent::File(path) = &blob.content {
            let file = |source| RegistryError::File { path: path.clone(), source };
            if tokio::fs::metadata(path).await.map_err(file)?.len() != blob.size {
                check_source(blob).await?;
            }
        }
        let pushed = self.send_blob(name, blob).await;
        match pushed {
            // The registry's words for a wrong digest differ; the bytes themselves tell.
            Err(error @ (RegistryError::Answer { .. } | RegistryError::Unreachable { .. })) => {
                check_source(blob).await?;
                Err(error)
            }
            other => other,
        }
    }

    fn sent(&self, digest: &Digest) -> u64 {
        self.known.sent(digest).load(Ordering::Relaxed)
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
        if self.known.has_blob(name, digest) {
            return Ok(true);
        }
        self.transport.persist(name, || self.try_mount(name, digest, from)).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        self.push_with_tags(name, manifest, tags).await
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.find_referrers(name, digest, artifact_type).await
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.transport.persist(name, || self.try_tags(name)).await
    }

    fn requests(&self) -> Vec<RequestCount> {
        self.transport.requests.counts()
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
