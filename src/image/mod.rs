//! Image references and documents: what an image is called, and what it consists of.
//!
//! Talking to a registry is left to [`crate::registry`].

mod digest;
mod grammar;
mod hashing;
pub mod ignore;
mod manifest;
mod pinned;
mod platform;
mod policy;
mod reading;
mod recipe;
mod reference;
mod tag;

pub use digest::{Digest, DigestError};
pub use grammar::WrittenReference;
pub use hashing::Hashing;
pub use manifest::{BaseImage, Blob, BlobContent, BuiltImage, Manifest};
pub use pinned::{DigestPolicy, PinnedImage, PinnedImageError};
pub use platform::{Platform, PlatformError};
pub(crate) use policy::slug;
pub use policy::{Fallback, SourceFacts, TagPolicy, TagPolicyError, TagTemplate};
pub use reading::{Reading, ReadingParts};
pub use recipe::{
    Cache, Compression, Dockerfile, Engine, Layer, Method, Native, Recipe, RunConfig, SecretSource,
};
pub use reference::{AnyReference, ImageName, ImageReference, ReferenceError};
pub use tag::{Tag, TagError};
