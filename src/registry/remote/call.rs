//! One request, as it is to be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use camino::Utf8Path;
use futures_util::TryStreamExt as _;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue,
};
use reqwest::{Body, Method, Request};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use url::Url;

use super::auth::header;
use super::endpoint::Endpoint;
use super::failure::{Failure, OwnFile};
use crate::image::ImageName;
use crate::registry::descriptor::MANIFEST_TYPES;
use crate::registry::{RegistryError, RequestKind};

/// How much of a file is read at a time.
const READ: usize = 256 << 10;
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

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
    /// A blob.
    Blob(Source<'a>),
    /// A part of a blob, and what comes before it.
    Part {
        /// The blob.
        source: Source<'a>,
        /// Where the part begins.
        from: u64,
        /// How long it is.
        size: u64,
    },
}

/// Where the bytes of a blob are.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// In memory.
    Bytes(&'a Bytes),
    /// The first bytes of a file, as many as said, and who is told how far it was read.
    File(&'a Utf8Path, u64, &'a Arc<AtomicU64>),
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

    /// Returns whether it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Returns the request to `url`.
    pub(super) async fn request(
        &self,
        url: &Url,
        authorization: Option<&SecretString>,
    ) -> Result<Request, Failure> {
        let mut request = Request::new(self.method.clone(), url.clone());
        let headers = request.headers_mut();
        if self.is_read() {
            let accept = MANIFEST_TYPES.join(", ");
            headers.insert(ACCEPT, accept.parse().expect("media types fit into a header"));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, header(authorization));
        }
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
        self.add_payload(&mut request).await?;
        Ok(request)
    }

    async fn add_payload(&self, request: &mut Request) -> Result<(), Failure> {
        let is_read = self.is_read();
        let headers = request.headers_mut();
        let (source, from, size) = match self.payload {
            Payload::Nothing if is_read => return Ok(()),
            Payload::Nothing => {
                // Some registries want the length even of nothing.
                headers.insert(CONTENT_LENGTH, 0.into());
                return Ok(());
            }
            Payload::Bytes(bytes, media_type) => {
                let reason = "a media type does not fit into a header".to_owned();
                let media_type = media_type.parse();
                let media_type = media_type.map_err(|_| Failure::answer(self.name, reason))?;
                headers.insert(CONTENT_TYPE, media_type);
                (Source::Bytes(bytes), 0, bytes.len() as u64)
            }
            Payload::Blob(source) => {
                headers.insert(CONTENT_TYPE, OCTETS);
                (source, 0, source.size())
            }
            Payload::Part { source, from, size } => {
                headers.insert(CONTENT_TYPE, OCTETS);
                let range = format!("{from}-{}", (from + size).saturating_sub(1));
                headers.insert(CONTENT_RANGE, range.parse().expect("digits fit into a header"));
                (source, from, size)
            }
        };
        headers.insert(CONTENT_LENGTH, size.into());
        *request.body_mut() = Some(source.body(from, size).await?);
        Ok(())
    }

    /// Returns how many bytes it carries.
    pub(super) fn size(&self) -> u64 {
        match self.payload {
            Payload::Nothing => 0,
            Payload::Bytes(bytes, _) => bytes.len() as u64,
            Payload::Blob(source) => source.size(),
            Payload::Part { size, .. } => size,
        }
    }
}

impl Source<'_> {
    fn size(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size, _) => size,
        }
    }

    async fn body(self, from: u64, size: u64) -> Result<Body, Failure> {
        let (path, sent) = match self {
            Self::Bytes(bytes) => {
                let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                return Ok(bytes.slice(place(from)..place(from + size)).into());
            }
            Self::File(path, _, sent) => (path, sent.clone()),
        };
        let failed = |source| Failure::last(RegistryError::File { path: path.to_owned(), source });
        let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
        file.set_max_buf_size(READ);
        file.seek(std::io::SeekFrom::Start(from)).await.map_err(failed)?;
        sent.store(from, Ordering::Relaxed);
        let stream = ReaderStream::with_capacity(file.take(size), READ);
        let stream = stream.inspect_ok(move |read| {
            sent.fetch_add(read.len() as u64, Ordering::Relaxed);
        });
        Ok(Body::wrap_stream(stream.map_err(OwnFile)))
    }
}

impl Target {
    /// Returns the URL at `endpoint`.
    pub(super) fn resolve(&self, endpoint: &Endpoint, name: &ImageName) -> Result<Url, Failure> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::Path(path) => {
                let joined = endpoint.base().join(path);
                joined.map_err(|error| Failure::answer(name, error.to_string()))
            }
        }
    }
}
