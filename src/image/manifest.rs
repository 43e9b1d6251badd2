//! The documents and blobs that an image consists of, as bytes with digests.

use bytes::Bytes;
use camino::Utf8PathBuf;

use super::Digest;

/// A manifest or an index: its media type and its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The media type, as the registry said it or as it is to be pushed.
    pub media_type: String,
    /// The document, byte for byte.
    pub bytes: Bytes,
}

impl Manifest {
    /// Returns the digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// A blob: its digest, its size in bytes, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// Where they are.
    pub content: BlobContent,
}

/// Where the bytes of a [`Blob`] are; a layer is a file, so that its size does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobContent {
    /// In memory: a config, for example.
    Bytes(Bytes),
    /// In a file, which is streamed.
    File(Utf8PathBuf),
}

/// An image that was built and is not stored anywhere yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The manifest of an image for one platform, or the index of one for several.
    pub manifest: Manifest,
    /// The manifests that the index lists.
    pub children: Vec<Manifest>,
    /// The blobs that the build made, each once: layers, then configs.
    pub blobs: Vec<Blob>,
    /// The base image's layers, which the build neither read nor changed.
    pub inherited: Vec<Digest>,
}

/// The image that another one is built on: what its registry said it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// Its reference as the recipe states it, with the digest it had when it was read.
    pub reference: super::PinnedImage,
    /// Its manifest (not an index), of the platform that is built.
    pub manifest: Manifest,
    /// Its config document, byte for byte.
    pub config: Bytes,
}
