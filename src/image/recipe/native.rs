//! Images that deployctl makes by itself.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::image::ImageReference;

/// Files onto a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Native {
    /// The base image's reference; nothing (`scratch`) by default.
    pub base: Option<ImageReference>,
    /// The layers, lowest first, one copy instruction each.
    pub layers: Vec<Layer>,
    /// What the image's config says beyond the base's.
    pub config: RunConfig,
}

/// One layer: files of the context, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// A file or folder of the context.
    pub from: Utf8PathBuf,
    /// The absolute path in the image that it becomes.
    pub to: Utf8PathBuf,
    /// Permission bits of the files, for example `0o755`; by default 0644, and 0755 for executables.
    pub mode: Option<u32>,
    /// Numeric owner and group, 0 and 0 by default.
    pub owner: (u32, u32),
}

/// What a container of the image runs, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunConfig {
    /// Environment variables, replacing those of the base that have the same name.
    pub env: BTreeMap<String, String>,
    /// Entrypoint; setting it clears the base's command.
    pub entrypoint: Option<Vec<String>>,
    /// Default command.
    pub cmd: Option<Vec<String>>,
    /// User, by name or number.
    pub user: Option<String>,
    /// Working directory.
    pub workdir: Option<Utf8PathBuf>,
    /// Exposed ports, for example `8080` or `53/udp`.
    pub ports: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}
