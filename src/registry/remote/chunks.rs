//! A blob on its way in chunks, each after the one before it (distribution-spec, "Pushing a blob in
//! chunks"). When one is cut, the registry is asked how far it is, and the upload goes on from there.
//!
//! What the registry says it has is believed only where it can be true: not less than what it has
//! confirmed, nor more than what was sent. Otherwise, and where it no longer knows the upload, the blob
//! begins anew. Registries are not relied on to notice a chunk that is out of order: distribution 2.8
//! takes it.

use reqwest::header::RANGE;
use reqwest::{Method, Response, StatusCode};
use tokio::time::sleep;
use url::Url;

use super::call::{Call, Payload, Source, Target};
use super::failure::Failure;
use super::transport::next_url;
use super::{Remote, push, unexpected};
use crate::image::ImageName;
use crate::registry::RequestKind;

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// Where it goes on: what the last answer said.
    pub(super) location: Url,
    /// How many bytes the registry has confirmed.
    pub(super) done: u64,
    /// How large its chunks are.
    pub(super) chunk: u64,
}

impl Remote {
    /// Sends the blob's bytes in chunks, all but the request that ends the upload.
    pub(super) async fn send_chunks(
        &self,
        name: &ImageName,
        source: Source<'_>,
        size: u64,
        upload: &mut Upload,
    ) -> Result<(), Failure> {
        let (mut tries, mut sent, mut is_sure) = (0, 0, true);
        while upload.done < size || !is_sure {
            let before = upload.done;
            let stepped = if is_sure {
                sent = (upload.done + upload.chunk).min(size);
                self.send_chunk(name, source, upload, sent).await
            } else {
                self.catch_up(name, upload, sent).await
            };
            let Err(failure) = stepped else {
                is_sure = true;
                tries = if upload.done > before { 0 } else { tries };
                continue;
            };
            if is_lost(&failure) {
                return Err(Failure { transient: true, ..failure });
            }
            let is_out_of_step = failure.status == Some(StatusCode::RANGE_NOT_SATISFIABLE);
            if !failure.transient && !is_out_of_step {
                return Err(self.without_chunks(name, upload, failure));
            }
            tries += 1;
            let pause = self.transport.tuning.pause(tries, failure.retry_after);
            let Some(pause) = pause else { return Err(Failure { transient: false, ..failure }) };
            tracing::debug!(registry = name.domain(), done = upload.done, "{}", failure.error);
            sleep(pause).await;
            is_sure = false;
        }
        Ok(())
    }

    /// Sends the chunk up to `end`.
    async fn send_chunk(
        &self,
        name: &ImageName,
        source: Source<'_>,
        upload: &mut Upload,
        end: u64,
    ) -> Result<(), Failure> {
        let payload = Payload::Part { source, from: upload.done, size: end - upload.done };
        let (kind, target) = (RequestKind::SendChunk, Target::Url(upload.location.clone()));
        let (method, scope) = (Method::PATCH, push(name));
        let call = Call { method, kind, name, target, scope, payload, header: None };
        let (response, url) = self.transport.send(&call).await?;
        if !response.status().is_success() {
            let status = Some(response.status());
            return Err(Failure { status, ..unexpected(name, response).await });
        }
        let next = next_url(name, &url, &response)?;
        upload.done = match received(&response) {
            Some(has) if has == end || (has > upload.done && has < end) => has,
            Some(has) => return Err(lost(name, has, upload.done, end)),
            None => end,
        };
        upload.location = next;
        Ok(())
    }

    /// Asks how far the upload is, of which bytes up to `sent` may have arrived.
    async fn catch_up(
        &self,
        name: &ImageName,
        upload: &mut Upload,
        sent: u64,
    ) -> Result<(), Failure> {
        let (kind, target) = (RequestKind::AskUpload, Target::Url(upload.location.clone()));
        let call = Call::nothing(Method::GET, kind, name, target, push(name));
        let (response, url) = self.transport.send(&call).await?;
        if !response.status().is_success() {
            let status = Some(StatusCode::NOT_FOUND);
            return Err(Failure { status, ..unexpected(name, response).await });
        }
        let has = received(&response).unwrap_or(0);
        // "0-0" is said for one byte and, by distribution, for none.
        let has = if upload.done == 0 && has == 1 { 0 } else { has };
        if has < upload.done || has > sent {
            return Err(lost(name, has, upload.done, sent));
        }
        if let Ok(next) = next_url(name, &url, &response) {
            upload.location = next;
        }
        upload.done = has;
        Ok(())
    }

    /// Returns the failure of an upload. Where not even a first chunk was taken, it may be chunks that
    /// the registry does not know: the next try is without them.
    fn without_chunks(&self, name: &ImageName, upload: &Upload, failure: Failure) -> Failure {
        let is_form = matches!(
            failure.status.map(|status| status.as_u16()),
            Some(400 | 405 | 411 | 415 | 501)
        );
        if upload.done > 0 || !is_form {
            return failure;
        }
        self.known.takes_no_chunks(name.domain());
        Failure { transient: true, ..failure }
    }
}

/// Returns whether the registry no longer knows the upload.
fn is_lost(failure: &Failure) -> bool {
    failure.status == Some(StatusCode::NOT_FOUND)
}

/// Returns the failure of a registry that says it has what can't be.
fn lost(name: &ImageName, has: u64, done: u64, sent: u64) -> Failure {
    let reason = format!("it says that it has {has} bytes of an upload, after {done} to {sent}");
    Failure { status: Some(StatusCode::NOT_FOUND), ..Failure::answer(name, reason) }
}

/// Returns how many bytes the registry says it has: `Range: 0-N`, the last one counted.
fn received(response: &Response) -> Option<u64> {
    let text = response.headers().get(RANGE)?.to_str().ok()?;
    read_range(text)
}

fn read_range(text: &str) -> Option<u64> {
    let text = text.trim();
    let (first, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    (first.trim() == "0").then(|| last.trim().parse::<u64>().ok()?.checked_add(1)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_its_last_byte() {
        assert_eq!(read_range("0-9"), Some(10));
        assert_eq!(read_range("bytes=0-9"), Some(10));
        for broken in ["", "9", "1-9", "0-x", "0--1", "0-18446744073709551615"] {
            assert_eq!(read_range(broken), None, "{broken}");
        }
    }
}
