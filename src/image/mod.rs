//! Image references and documents: what an image is called, and what it consists of.
//!
//! Talking to a registry is left to [`crate::registry`].

mod digest;
mod manifest;
mod pinned;
mod recipe;
mod reference;
mod tag;

pub use digest::{Digest, DigestError};
pub use manifest::{BaseImage, Blob, BlobContent, BuiltImage, Manifest};
pub use pinned::{PinnedImage, PinnedImageError};
pub use recipe::{Dockerfile, Engine, Layer, Method, Native, Recipe, RunConfig};
pub use reference::{ImageName, ImageReference, ReferenceError};
pub use tag::{Tag, TagError};
