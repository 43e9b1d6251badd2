//! Images that deployctl makes by itself.
//!
//! What these types serialise to is part of what an image is known by before it is built, so maps are
//! ordered, and every field that decides the image is in it.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::image::ImageReference;

/// Files onto a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Native {
    /// The base image's reference; nothing (`scratch`) by default.
    pub base: Option<ImageReference>,
    /// The layers, lowest first, one copy instruction each.
    pub layers: Vec<Layer>,
    /// What the image's config says beyond the base's.
    pub config: RunConfig,
    /// How the layers are compressed.
    pub compression: Compression,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// gzip, which every registry and runtime takes.
    #[default]
    Gzip,
    /// zstd, which only images in OCI's own format can have.
    Zstd,
}

/// One layer: files of the context, and where they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_the_same_text_every_time() {
        let layer =
            Layer { from: "bin".into(), to: "/bin".into(), mode: Some(0o755), owner: (0, 1) };
        let env = [("B", "2"), ("A", "1")].map(|(key, value)| (key.into(), value.into()));
        let recipe = Native {
            base: Some("registry.example.com/base:1".parse().unwrap()),
            layers: vec![layer],
            config: RunConfig { env: env.into(), ..RunConfig::default() },
            compression: Compression::Gzip,
        };
        assert_eq!(
            serde_json::to_string(&recipe).unwrap(),
            "{\"base\":\"registry.example.com/base:1\",\"layers\":[{\"from\":\"bin\",\
             \"to\":\"/bin\",\"mode\":493,\"owner\":[0,1]}],\"config\":{\"env\":{\"A\":\"1\",\
             \"B\":\"2\"},\"entrypoint\":null,\"cmd\":null,\"user\":null,\"workdir\":null,\
             \"ports\":[],\"labels\":{}},\"compression\":\"gzip\"}"
        );
    }
}
