//! A blob on its way out of a repository. When it is cut, it goes on from where it was, by a request
//! for the rest (`Range`, RFC 9110, section 14); where the registry, or the store that it leads to,
//! does not know how, or answers with another part, the blob begins anew and what was given out
//! already is passed over.
//!
//! Whether the parts fit together is left to the digest of the whole, which [`super::Verified`]
//! compares at the end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::call::{Call, Target};
use super::failure::Failure;
use super::transport::Transport;
use super::{pull, unexpected};
use crate::image::{Digest, ImageName};
use crate::registry::{RegistryError, RequestKind};

/// A blob that is being read, and how far it is.
pub(super) struct Download {
    transport: Arc<Transport>,
    name: ImageName,
    digest: Digest,
    /// Where the bytes come from now; `None` after a cut.
    answer: Option<Answer>,
    /// How many bytes were given out.
    done: u64,
    /// How many there are, if the registry said so.
    size: Option<u64>,
    /// Whether the rest alone is asked for.
    takes_ranges: bool,
    /// How often it was cut since `mark` bytes were there.
    tries: u32,
    mark: u64,
}

/// An answer with the blob, or with the rest of it.
struct Answer {
    response: Response,
    /// How many of its bytes were given out before.
    skip: u64,
    /// How many of its bytes have come, and how long they were waited for.
    received: u64,
    waited: Duration,
}

impl Download {
    /// Asks for the blob.
    pub(super) async fn open(
        transport: Arc<Transport>,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<Self, Failure> {
        let mut download = Self {
            transport,
            name: name.clone(),
            digest: digest.clone(),
            answer: None,
            done: 0,
            size: None,
            takes_ranges: true,
            tries: 0,
            mark: 0,
        };
        download.answer = Some(download.ask().await?);
        Ok(download)
    }

    /// Returns the blob's bytes in pieces, which end with an error if they do not come in spite of all
    /// tries.
    pub(super) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> {
        futures_util::stream::try_unfold(self, |mut download| async move {
            loop {
                match download.piece().await {
                    Ok(None) => return Ok(None),
                    Ok(Some(piece)) if piece.is_empty() => {}
                    Ok(Some(piece)) => return Ok(Some((piece, download))),
                    Err(failure) => download.rest_after(failure).await.map_err(io::Error::other)?,
                }
            }
        })
    }

    /// Returns the next piece, which is empty where it was given out before; `None` after the last.
    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.answer.is_none() {
            self.answer = Some(self.ask().await?);
        }
        let answer = self.answer.as_mut().expect("it was asked for above");
        let Some(mut piece) = answer.next(&self.transport, &self.name).await? else {
            return match self.size.is_none_or(|size| self.done >= size) {
                true => Ok(None),
                false => Err(cut(&self.name, "it ended too early")),
            };
        };
        let skipped = piece.len().min(usize::try_from(answer.skip).unwrap_or(usize::MAX));
        let new = piece.split_off(skipped);
        answer.skip -= skipped as u64;
        self.done += new.len() as u64;
        // Who gets on may go on: a large blob can be cut more often than there are tries.
        if self.done - self.mark >= self.transport.tuning.chunk {
            (self.mark, self.tries) = (self.done, 0);
        }
        Ok(Some(new))
    }

    /// Asks for what is missing.
    async fn ask(&mut self) -> Result<Answer, Failure> {
        let name = &self.name;
        let (kind, path) =
            (RequestKind::GetBlob, format!("v2/{}/blobs/{}", name.path(), self.digest));
        let mut call = Call::nothing(Method::GET, kind, name, Target::Path(path), pull(name));
        let asks_for_rest = self.done > 0 && self.takes_ranges;
        if asks_for_rest {
            let range = HeaderValue::try_from(format!("bytes={}-", self.done));
            call.header = Some((RANGE, range.expect("digits fit into a header")));
        }
        let (response, _) = self.transport.send(&call).await?;
        let skip = match response.status() {
            StatusCode::OK => {
                self.size = response.content_length();
                self.done
            }
            StatusCode::PARTIAL_CONTENT if asks_for_rest && self.goes_on(&response) => 0,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if asks_for_rest => {
                self.takes_ranges = false;
                return Err(Failure { transient: true, ..unexpected(name, response).await });
            }
            StatusCode::NOT_FOUND => {
                return Err(Failure::last(RegistryError::NotFound(self.digest.to_string())));
            }
            _ => return Err(unexpected(name, response).await),
        };
        Ok(Answer { response, skip, received: 0, waited: Duration::ZERO })
    }

    /// Returns whether an answer's bytes are those after what is there, of the same whole.
    fn goes_on(&self, response: &Response) -> bool {
        let text = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let Some((first, total)) = text.and_then(read_content_range) else { return false };
        let is_same = total.is_none() || self.size.is_none() || total == self.size;
        first == self.done && is_same
    }

    /// Waits until the next try after a failure, if there is one.
    async fn rest_after(&mut self, failure: Failure) -> Result<(), RegistryError> {
        self.answer = None;
        self.tries += 1;
        let pause = self.transport.tuning.pause(self.tries, failure.retry_after);
        let Some(pause) = pause.filter(|_| failure.transient) else {
            return Err(self.transport.without_secrets(failure.told(&self.name, self.tries)));
        };
        let (registry, done) = (self.name.domain(), self.done);
        tracing::debug!(registry, done, ?pause, "a blob was cut: {}", failure.error);
        sleep(pause).await;
        Ok(())
    }
}

impl Answer {
    /// Returns its next bytes, or `None` after the last; fails if they are too slow in coming.
    async fn next(
        &mut self,
        transport: &Transport,
        name: &ImageName,
    ) -> Result<Option<Bytes>, Failure> {
        let (tuning, asked) = (&transport.tuning, Instant::now());
        let late = || cut(name, "its bytes come too slowly");
        let piece = timeout(tuning.answer, self.response.chunk()).await.map_err(|_| late())?;
        let Some(piece) = piece.map_err(|error| Failure::transport(name, &error))? else {
            return Ok(None);
        };
        self.waited += asked.elapsed();
        self.received += piece.len() as u64;
        if self.waited > tuning.answer_within(self.received) {
            return Err(late());
        }
        Ok(Some(piece))
    }
}

/// Returns the failure of a blob that may go on.
fn cut(name: &ImageName, reason: &str) -> Failure {
    Failure { transient: true, ..Failure::unreachable(name, reason.to_owned()) }
}

/// Returns the first place, and how many bytes there are in all, of `bytes FIRST-LAST/TOTAL`.
fn read_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_says_where_it_begins_and_of_how_many() {
        assert_eq!(read_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read_content_range("bytes 5-9/*"), Some((5, None)));
        for broken in ["", "5-9/10", "bytes */10", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10"] {
            assert_eq!(read_content_range(broken), None, "{broken}");
        }
    }
}
