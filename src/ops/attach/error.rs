//! Why nothing was attached to an image.

use crate::attestation::KeyError;
use crate::build::BuildError;
use crate::registry::RegistryError;
use crate::system::CommandError;

/// Why an image lacks what was to be attached to it, or nothing can be.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The key can't be read.
    #[error("can't read the key `{key}`: {reason}")]
    NoKey {
        /// The file or variable.
        key: String,
        /// Why.
        reason: String,
    },
    /// The key can't be used.
    #[error("can't use the key `{key}`")]
    Key {
        /// The file or variable.
        key: String,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// No signature could be made.
    #[error("can't sign")]
    Sign(#[source] KeyError),
    /// The pipeline offers no identity to sign with.
    #[error("can't sign without a key: nothing here offers an identity (OIDC)")]
    NoIdentity,
    /// The program that signs by an identity is not there.
    #[error("can't sign or verify without a key: the program `cosign` is not on PATH")]
    NoCosign,
    /// `cosign` could not be run.
    #[error("`{image}` is pushed, but nothing could be attached to it")]
    Run {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: CommandError,
    },
    /// `cosign` failed.
    #[error("`{image}` is pushed, but `cosign {what}` failed: {reason}")]
    Cosign {
        /// The image.
        image: String,
        /// What it was to do.
        what: &'static str,
        /// The end of what it said.
        reason: String,
    },
    /// The build context can't be read.
    #[error("`{image}` is pushed, but its packages can't be listed")]
    Context {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: BuildError,
    },
    /// There is no room for a document.
    #[error("`{image}` is pushed, but there is no temporary folder for what is attached: {source}")]
    Scratch {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The registry did not take it.
    #[error("`{image}` is pushed, but not what is attached to it")]
    Registry {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: RegistryError,
    },
}
