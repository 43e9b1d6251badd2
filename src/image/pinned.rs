//! The value that travels the whole road: an image reference with a digest.

use std::fmt;
use std::str::FromStr;

use super::{Digest, ImageName, ImageReference, ReferenceError, Tag};

/// An image pinned by digest, `name[:tag]@sha256:…`. The digest decides, the tag is for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinnedImage {
    /// Where the image lives: registry and repository.
    pub name: ImageName,
    /// The tag that it was pushed under, if any.
    pub tag: Option<Tag>,
    /// The digest of its manifest or index.
    pub digest: Digest,
}

/// Whether a pinned image is written with its tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DigestPolicy {
    /// Tag and digest, so that people can read it. kustomize renders `name:tag@digest` from that.
    #[default]
    TagAndDigest,
    /// The digest alone; a tag that is there goes.
    Digest,
}

impl DigestPolicy {
    /// Returns `image` as it is written: without its tag, where that is the policy.
    pub fn written(self, image: &PinnedImage) -> PinnedImage {
        let tag = match self {
            Self::TagAndDigest => image.tag.clone(),
            Self::Digest => None,
        };
        PinnedImage { tag, ..image.clone() }
    }
}

/// Why a text is not a [`PinnedImage`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinnedImageError {
    /// It is not an image reference at all.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// It is a reference without a digest.
    #[error("`{0}` has no digest; expected `name:tag@sha256:…`")]
    NoDigest(String),
}

impl FromStr for PinnedImage {
    type Err = PinnedImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ImageReference { name, tag, digest } = text.parse()?;
        let digest = digest.ok_or_else(|| PinnedImageError::NoDigest(text.to_owned()))?;
        Ok(Self { name, tag, digest })
    }
}

impl From<PinnedImage> for ImageReference {
    fn from(image: PinnedImage) -> Self {
        Self { name: image.name, tag: image.tag, digest: Some(image.digest) }
    }
}

impl fmt::Display for PinnedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        write!(f, "@{}", self.digest)
    }
}
