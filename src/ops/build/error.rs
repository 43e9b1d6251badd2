//! Why a service has no image.

use crate::build;
use crate::git::GitError;
use crate::image::TagPolicyError;
use crate::ops::{AttachError, VerifyBaseError};
use crate::registry::RegistryError;

/// Why a service has no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The service has no `build` section.
    #[error("`{service}` has no `build` section, so there is nothing to build it from")]
    NoRecipe {
        /// The service.
        service: String,
    },
    /// The build failed.
    #[error("can't build `{service}`")]
    Build {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: build::BuildError,
    },
    /// The repository that the service's files are in can't be read.
    #[error("can't tag the image of `{service}`")]
    Source {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: Box<GitError>,
    },
    /// The base image is not there.
    #[error("can't build `{service}`: there is no base image `{base}`")]
    NoBase {
        /// The service.
        service: String,
        /// The base image.
        base: String,
    },
    /// The base image is not what it should be.
    #[error("can't build `{service}` on `{base}`: {reason}")]
    Base {
        /// The service.
        service: String,
        /// The base image.
        base: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not known what the image is built on, so nobody can have signed that.
    #[error("can't build `{service}`: what it is built on can't be verified: {reason}")]
    UnknownBases {
        /// The service.
        service: String,
        /// Why it is not known.
        reason: String,
    },
    /// Something that the image is built on is not signed by whom it has to be.
    #[error("can't build `{service}`")]
    VerifyBase {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: Box<VerifyBaseError>,
    },
    /// The image lacks what was to be attached to it.
    #[error("the image of `{service}` has no tags yet")]
    Attach {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: Box<AttachError>,
    },
    /// The local docker daemon did not take the image.
    #[error("can't load `{image}` into docker")]
    Load {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: build::BuildError,
    },
    /// A registry did not do what it was asked.
    #[error("can't {what} `{image}`")]
    Registry {
        /// `push` or `read`.
        what: &'static str,
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: RegistryError,
    },
    /// The image can't be tagged.
    #[error("can't tag the image of `{service}`")]
    Tag {
        /// The service.
        service: String,
        /// The cause.
        #[source]
        source: TagPolicyError,
    },
    /// There is no room for blobs.
    #[error("can't make a temporary folder: {0}")]
    Scratch(std::io::Error),
}
