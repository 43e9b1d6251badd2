//! Blobs on their way into a repository: mounted, or sent whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::call::{Call, Payload, Source, Target};
use super::chunks::Upload;
use super::failure::Failure;
use super::transport::next_url;
use super::{Remote, content_digest, pull, push, unexpected};
use crate::image::{Blob, BlobContent, Digest, ImageName};
use crate::registry::verified::expect;
use crate::registry::{RegistryError, RequestKind};

/// A blob in memory up to this size goes out with the `POST` that asks for an upload: where the
/// registry does not take it so, no more than this was sent for nothing.
const AT_ONCE_MAX: u64 = 64 << 10;
const CHUNK_MIN_LENGTH: &str = "oci-chunk-min-length";

impl Remote {
    /// Makes the repository have the blob, by as many uploads as it takes.
    pub(super) async fn send_blob(
        &self,
        name: &ImageName,
        blob: &Blob,
    ) -> Result<(), RegistryError> {
        let again = AtomicBool::new(false);
        let work = async || {
            // The upload may have gone well, and only the answer been lost.
            let is_again = again.swap(true, Ordering::Relaxed);
            if is_again && matches!(self.try_has_blob(name, &blob.digest).await, Ok(true)) {
                return Ok(());
            }
            self.try_push_blob(name, blob).await
        };
        self.transport.persist_with(name, blob.size, work).await
    }

    async fn try_push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), Failure> {
        let sent = self.known.sent(&blob.digest);
        let source = source(blob, &sent);
        let begun = match self.known.take_upload(name, &blob.digest) {
            Some(upload) => Some(upload),
            None => self.begin_upload(name, blob, source).await?,
        };
        if let Some(mut upload) = begun {
            let pieces = blob.size > self.transport.tuning.whole_up_to;
            let payload = if pieces && self.known.may_send_chunks(name.domain()) {
                self.send_chunks(name, source, blob.size, &mut upload).await?;
                Payload::Nothing
            } else {
                Payload::Blob(source)
            };
            self.finish_upload(name, blob, upload.location, payload).await?;
        }
        self.known.saw_blob(name, &blob.digest);
        Ok(())
    }

    /// Begins an upload, or returns `None` if the registry has the blob now.
    async fn begin_upload(
        &self,
        name: &ImageName,
        blob: &Blob,
        source: Source<'_>,
    ) -> Result<Option<Upload>, Failure> {
        let registry = name.domain();
        let in_memory = matches!(blob.content, BlobContent::Bytes(_));
        if in_memory && blob.size <= AT_ONCE_MAX && self.known.may_post_at_once(registry) {
            let query = format!("?digest={}", blob.digest);
            let payload = Payload::Blob(source);
            let answer = self.post_upload(name, &query, push(name), payload).await?;
            let status = answer.0.status();
            self.known.posts_at_once(registry, status == StatusCode::CREATED);
            match status {
                StatusCode::CREATED => return stored(name, &blob.digest, &answer.0).map(|()| None),
                StatusCode::ACCEPTED => return self.upload(name, &answer).map(Some),
                // It may be the form of the request that is refused: ask in the plain one.
                _ => {}
            }
        }
        let answer = self.post_upload(name, "", push(name), Payload::Nothing).await?;
        match answer.0.status() {
            StatusCode::ACCEPTED => self.upload(name, &answer).map(Some),
            _ => Err(unexpected(name, answer.0).await),
        }
    }

    /// Returns the upload that an answer has begun.
    fn upload(&self, name: &ImageName, answer: &(Response, Url)) -> Result<Upload, Failure> {
        let (response, url) = answer;
        let least = response.headers().get(CHUNK_MIN_LENGTH).map(HeaderValue::to_str);
        let least = least.and_then(|text| text.ok()?.trim().parse().ok()).unwrap_or(0);
        let chunk = self.transport.tuning.chunk.max(least).max(1);
        Ok(Upload { location: next_url(name, url, response)?, done: 0, chunk })
    }

    async fn finish_upload(
        &self,
        name: &ImageName,
        blob: &Blob,
        mut location: Url,
        payload: Payload<'_>,
    ) -> Result<(), Failure> {
        location.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let (kind, target) = (RequestKind::FinishUpload, Target::Url(location));
        let (method, scope) = (Method::PUT, push(name));
        let call = Call { method, kind, name, target, scope, payload, header: None };
        let (response, _) = self.transport.send(&call).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => stored(name, &blob.digest, &response),
            // The registry no longer knows the upload, or how far it is: begin a new one.
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => {
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
        let answer = match posted {
            Ok(answer) => answer,
            // Whoever may not read the source can still push the blob itself.
            Err(Failure { error: RegistryError::Denied { .. }, .. }) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        match answer.0.status() {
            StatusCode::CREATED => {
                stored(name, digest, &answer.0)?;
                self.known.saw_blob(name, digest);
                Ok(true)
            }
            StatusCode::ACCEPTED => {
                if let Ok(upload) = self.upload(name, &answer) {
                    self.known.keep_upload(name, digest, upload);
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

fn source<'a>(blob: &'a Blob, sent: &'a Arc<AtomicU64>) -> Source<'a> {
    match &blob.content {
        BlobContent::Bytes(bytes) => Source::Bytes(bytes),
        BlobContent::File(path) => Source::File(path, blob.size, sent),
    }
}

/// Fails if the registry says that it stored something else.
fn stored(name: &ImageName, digest: &Digest, response: &Response) -> Result<(), Failure> {
    let stored = content_digest(name, response)?.unwrap_or_else(|| digest.clone());
    expect(digest, stored).map_err(Failure::last)
}
