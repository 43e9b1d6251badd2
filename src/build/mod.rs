//! Builders: a service's recipe and its files to an image.
//!
//! A builder stores nothing and knows no registry: it leaves blobs in a scratch folder and says
//! what they are. Reading the base image and pushing the result is up to the op.

mod buildah;
pub mod context;
mod docker;
mod docker_archive;
mod engine;
mod format;
pub mod inputs;
mod layer_blob;
mod layout;
mod load;
mod native;

use std::fmt::Display;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

use crate::image::{BaseImage, BuiltImage, Recipe};
pub use engine::engine;
pub use load::DockerDaemon;
pub use native::{NATIVE_FORMAT, Native};

/// Something that makes an image.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Returns the image that the request describes; its blobs lie in the scratch folder.
    ///
    /// # Errors
    ///
    /// Fails if the context can't be read, or the build fails.
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError>;
}

/// What to build.
pub struct BuildRequest<'a> {
    /// The folder that the sources of secrets are relative to: the configuration file's; absolute.
    pub folder: &'a Utf8Path,
    /// The folder that the service's files are in; absolute.
    pub context: &'a Utf8Path,
    /// How the image is made.
    pub recipe: &'a Recipe,
    /// The images to build on, for a native build that names one: one a platform of the recipe, in
    /// its order; one if the recipe names no platform.
    pub bases: &'a [BaseImage],
    /// Seconds since 1970 that every time stamp in the image is set to (`SOURCE_DATE_EPOCH`).
    pub epoch: i64,
    /// An empty folder for the blobs; the caller removes it.
    pub scratch: &'a Utf8Path,
    /// Hears every line that an engine says, without its line end.
    pub log: &'a (dyn Fn(&str) + Send + Sync),
}

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file or folder of the context, or the scratch folder, can't be used.
    #[error("can't use `{path}`: {reason}")]
    File {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A file of the context did not stay as it was.
    #[error("`{0}` changed while it was read")]
    Changed(Utf8PathBuf),
    /// The recipe asks for something that no image can be.
    #[error("can't build: {0}")]
    Recipe(String),
    /// No program that builds Dockerfiles works here.
    #[error("no engine here builds Dockerfiles: {}", .tried.join("; "))]
    NoEngine {
        /// Each engine that was asked for, and what is wrong with it.
        tried: Vec<String>,
    },
    /// An engine failed.
    #[error("`{engine}`: {reason}")]
    Engine {
        /// The engine's program.
        engine: String,
        /// The end of what it said.
        reason: String,
    },
    /// A secret is not there.
    #[error("can't use the secret `{id}`: {reason}")]
    Secret {
        /// The secret's id.
        id: String,
        /// What is wrong; never its value.
        reason: String,
    },
    /// The base image does not fit.
    #[error("can't build on `{image}`: {reason}")]
    Base {
        /// The base image.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl BuildError {
    fn file(path: impl Into<Utf8PathBuf>, reason: impl Display) -> Self {
        Self::File { path: path.into(), reason: reason.to_string() }
    }
}
