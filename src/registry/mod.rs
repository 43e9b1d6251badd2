//! Registries: push and pull of manifests and blobs, as the OCI distribution specification has it.
//!
//! What an image means is left to [`crate::image`]; how it comes about to [`crate::build`].

mod descriptor;
mod examination;
mod layout;
mod memory;
mod referrers;
mod remote;
mod requests;
mod verified;

use std::pin::Pin;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use tokio::io::AsyncRead;

use crate::image::{Blob, Digest, ImageName, ImageReference, Manifest, Tag};

pub use examination::{Examination, Login};
pub use layout::Layout;
pub use memory::Memory;
pub use referrers::Descriptor;
pub use remote::{Remote, Tuning};
pub use requests::{RequestCount, RequestKind};

/// What tells which content a reference stands for: all that is asked of a registry by who only looks.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Returns the digest `reference` points at now, or `None` if there is no such manifest.
    ///
    /// # Errors
    ///
    /// Fails if the registry is out of reach or refuses the credentials.
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError>;

    /// Returns the manifest or index that `reference` points at, byte for byte, or `None`.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`]; also if the bytes do not have the digest they were asked by.
    async fn manifest(&self, reference: &ImageReference)
    -> Result<Option<Manifest>, RegistryError>;

    /// Returns whether there is a repository `name`, whatever it holds. Where images are not kept by
    /// repositories, each is there.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    async fn has_repository(&self, _name: &ImageName) -> Result<bool, RegistryError> {
        Ok(true)
    }
}

/// A place that keeps images: a remote registry, an OCI layout directory, or memory.
#[async_trait]
pub trait Registry: Resolver {
    /// Returns whether the repository `name` has the blob.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError>;

    /// Returns the blob's bytes as a stream, which ends with an error if they do not have the digest.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`]; also if there is no such blob.
    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError>;

    /// Makes the repository `name` have the blob. It is sent without a question, unless this value
    /// has sent, mounted or seen it there before: who expects it to be there asks
    /// [`Registry::has_blob`] first.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`]; also if the bytes do not have the digest of `blob`.
    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError>;

    /// Returns how far into the blob a push of it is, in bytes, as far as that is known: for whoever
    /// watches. It goes back when a part is sent again.
    fn sent(&self, _digest: &Digest) -> u64 {
        0
    }

    /// Makes the repository `name` have a blob that the repository `from` of the same registry has,
    /// without moving its bytes. Returns whether it has it now; `false` means: push it, and an upload
    /// that the registry has begun in place of the mount is used for that.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError>;

    /// Stores a manifest or index whose blobs are all there, and points `tags` at it; without tags it
    /// is found by its digest only. One that names a subject is listed among its referrers.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`]; also if the document is broken or the registry misses a blob of it.
    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError>;

    /// Returns what in the repository `name` refers to the manifest `digest`, which need not be there;
    /// of one artifact type, if one is given.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError>;

    /// Returns the tags of the repository `name`, each once, in order; none if there is no such
    /// repository. They are asked for each time.
    ///
    /// # Errors
    ///
    /// As [`Resolver::resolve`].
    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError>;

    /// Returns how many requests this value has sent so far, tries that failed and requests for
    /// tokens included; none where there is no network.
    fn requests(&self) -> Vec<RequestCount> {
        Vec::new()
    }
}

/// The bytes of a blob that is being read.
pub type BlobReader = Pin<Box<dyn AsyncRead + Send>>;

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer: name resolution, connection, TLS, time-out.
    #[error("can't reach registry `{registry}`: {reason}")]
    Unreachable {
        /// The registry's domain.
        registry: String,
        /// What the network said.
        reason: String,
    },
    /// 401 or 403.
    #[error("registry `{registry}` refuses access to `{repository}`: {reason}")]
    Denied {
        /// The registry's domain.
        registry: String,
        /// The repository path.
        repository: String,
        /// The registry's own words.
        reason: String,
    },
    /// There is no such blob or repository.
    #[error("`{0}` is not there")]
    NotFound(String),
    /// The registry answered something else than the specification allows, or an error of its own.
    #[error("registry `{registry}` answered: {reason}")]
    Answer {
        /// The registry's domain.
        registry: String,
        /// Status and body, shortened.
        reason: String,
    },
    /// Bytes do not have the digest that was asked for or announced.
    #[error("expected `{expected}`, got bytes with digest `{found}`")]
    Corrupt {
        /// The digest asked for or announced.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A manifest mentions a blob or a manifest that is not there.
    #[error("manifest `{manifest}` needs `{missing}`, which is not there")]
    Incomplete {
        /// The manifest.
        manifest: Digest,
        /// What it mentions.
        missing: Digest,
    },
    /// A manifest, or another document, can't be understood.
    #[error("`{document}` is not a valid {expected}: {reason}")]
    Invalid {
        /// The document: a digest or a file.
        document: String,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of an OCI layout, or a blob to push, can't be read or written.
    #[error("can't access `{path}`: {source}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
