//! Bytes that are hashed while they are read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use super::RegistryError;
use crate::image::Digest;

/// A reader that ends with an error if the bytes it gave did not have the expected digest.
pub(super) struct Verified<R> {
    inner: R,
    hasher: Option<Sha256>,
    expected: Digest,
}

impl<R> Verified<R> {
    /// Returns a reader of the bytes of `inner`, which must have the digest `expected`.
    pub(super) fn new(inner: R, expected: Digest) -> Self {
        Self { inner, hasher: Some(Sha256::new()), expected }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Verified<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        std::task::ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        if !new.is_empty() {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(new);
            }
            return Poll::Ready(Ok(()));
        }
        let Some(hasher) = self.hasher.take() else { return Poll::Ready(Ok(())) };
        let found = Digest::from_sha256(hasher.finalize().into());
        Poll::Ready(match expect(&self.expected, found) {
            Ok(()) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        })
    }
}

/// Returns an error unless `found` is the digest that was `expected`.
pub(super) fn expect(expected: &Digest, found: Digest) -> Result<(), RegistryError> {
    if *expected == found {
        return Ok(());
    }
    Err(RegistryError::Corrupt { expected: expected.clone(), found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_reader_ends_with_an_error_if_the_digest_is_wrong() {
        let mut text = String::new();
        let mut good = Verified::new(&b"hello"[..], Digest::of(b"hello"));
        good.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        let mut bad = Verified::new(&b"hellO"[..], Digest::of(b"hello"));
        let error = bad.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(Digest::of(b"hello").as_str()), "{error}");
    }
}
