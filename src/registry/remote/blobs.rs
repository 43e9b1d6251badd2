//! Blobs on their way into a repository: mounted, or sent.

use reqwest::{Method, Response, StatusCode};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::transport::{Call, Failure, Payload, Target, next_url};
use super::{Remote, content_digest, pull, push, unexpected};
use crate::image::{Blob, BlobContent, Digest, ImageName};
use crate::registry::verified::expect;
use crate::registry::{RegistryError, RequestKind};

/// A blob in memory up to this size goes out with the `POST` that asks for an upload: where the
/// registry does not take it so, no more than this was sent for nothing.
const AT_ONCE_MAX: u64 = 64 << 10;

const OCTETS: &str = "application/octet-stream";

impl Remote {
    pub(super) async fn try_push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), Failure> {
        let begun = match self.known.take_upload(name, &blob.digest) {
            Some(location) => Some(location),
            None => self.begin_upload(name, blob).await?,
        };
        if let Some(location) = begun {
            self.finish_upload(name, blob, location).await?;
        }
        self.known.saw_blob(name, &blob.digest);
        Ok(())
    }

    /// Begins an upload and returns where it goes on, or `None` if the registry has the blob now.
    async fn begin_upload(&self, name: &ImageName, blob: &Blob) -> Result<Option<Url>, Failure> {
        let registry = name.domain();
        if let BlobContent::Bytes(bytes) = &blob.content
            && blob.size <= AT_ONCE_MAX
            && self.known.may_post_at_once(registry)
        {
            let query = format!("?digest={}", blob.digest);
            let payload = Payload::Bytes(bytes, OCTETS);
            let answer = self.post_upload(name, &query, push(name), payload).await?;
            let status = answer.0.status();
            self.known.posts_at_once(registry, status == StatusCode::CREATED);
            match status {
                StatusCode::CREATED => return stored(name, &blob.digest, &answer.0).map(|()| None),
                StatusCode::ACCEPTED => {
                    return next_url(name, &answer.1, &answer.0).map(Some);
                }
                // It may be the form of the request that is refused: ask in the plain one.
                _ => {}
            }
        }
        let answer = self.post_upload(name, "", push(name), Payload::Nothing).await?;
        match answer.0.status() {
            StatusCode::ACCEPTED => next_url(name, &answer.1, &answer.0).map(Some),
            _ => Err(unexpected(name, answer.0).await),
        }
    }

    async fn finish_upload(
        &self,
        name: &ImageName,
        blob: &Blob,
        mut location: Url,
    ) -> Result<(), Failure> {
        location.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let payload = match &blob.content {
            BlobContent::Bytes(bytes) => Payload::Bytes(bytes, OCTETS),
            BlobContent::File(path) => Payload::File(path, blob.size),
        };
        let (kind, target) = (RequestKind::FinishUpload, Target::Url(location));
        let (method, scope) = (Method::PUT, push(name));
        let call = Call { method, kind, name, target, scope, payload, header: None };
        let (response, _) = self.transport.send(&call).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => stored(name, &blob.digest, &response),
            // The registry no longer knows the upload: begin a new one.
            StatusCode::NOT_FOUND => {
                Err(Failure { transient: true, ..unexpected(name, response).await })
            }
            _ => Err(unexpected(name, response).await),
        }
    }

    pub(super) async fn post_upload(
        &self,
        name: &ImageName,
        query: &str,
        scope: String,
        payload: Payload<'_>,
    ) -> Result<(Response, Url), Failure> {
        let mounts = query.starts_with("?mount=");
        let kind = if mounts { RequestKind::Mount } else { RequestKind::StartUpload };
        let target = Target::Path(format!("v2/{}/blobs/uploads/{query}", name.path()));
        let method = Method::POST;
        let call = Call { method, kind, name, target, scope, payload, header: None };
        self.transport.send(&call).await
    }

    pub(super) async fn try_mount(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, Failure> {
        let source: String = byte_serialize(from.path().as_bytes()).collect();
        let query = format!("?mount={digest}&from={source}");
        // The scope of the push comes first, or some registries grant the other one alone.
        let scope = format!("{} {}", push(name), pull(from));
        let posted = self.post_upload(name, &query, scope, Payload::Nothing).await;
        let (response, url) = match posted {
            Ok(answer) => answer,
            // Whoever may not read the source can still push the blob itself.
            Err(Failure { error: RegistryError::Denied { .. }, .. }) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        match response.status() {
            StatusCode::CREATED => {
                stored(name, digest, &response)?;
                self.known.saw_blob(name, digest);
                Ok(true)
            }
            StatusCode::ACCEPTED => {
                if let Ok(location) = next_url(name, &url, &response) {
                    self.known.keep_upload(name, digest, location);
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

/// Fails if the registry says that it stored something else.
fn stored(name: &ImageName, digest: &Digest, response: &Response) -> Result<(), Failure> {
    let stored = content_digest(name, response)?.unwrap_or_else(|| digest.clone());
    expect(digest, stored).map_err(Failure::last)
}
