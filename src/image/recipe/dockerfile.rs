//! Images from Dockerfiles.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

/// A Dockerfile build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// The Dockerfile, relative to the context; `Dockerfile` by default.
    pub file: Option<Utf8PathBuf>,
    /// The stage to build, the last one by default.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The engine to use; the first that is installed by default.
    pub engine: Option<Engine>,
}

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `docker`, with or without buildx.
    Docker,
    /// `buildah`.
    Buildah,
}
