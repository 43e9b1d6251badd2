//! How a service's image is made: the `build` section of `deployctl.yaml`.

mod dockerfile;
mod native;

use camino::Utf8PathBuf;

use super::Platform;

pub use dockerfile::{Cache, Dockerfile, Engine, SecretSource};
pub use native::{Compression, Layer, Native, RunConfig};

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The folder with the service's files, relative to the configuration file.
    pub context: Utf8PathBuf,
    /// What the image is for: the base's platform, or `linux/amd64`, if none is named. Several make
    /// an index.
    pub platforms: Vec<Platform>,
    /// How it is made out of them.
    pub method: Method,
}

/// The two ways to make an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one a service")]
pub enum Method {
    /// A Dockerfile, through docker, buildah or podman.
    Dockerfile(Dockerfile),
    /// Files laid onto a base image, by deployctl itself.
    Native(Box<Native>),
}
