//! Images that deployctl makes by itself.
//!
//! What these types serialise to is part of what an image is known by before it is built, so maps are
//! ordered, and every field that decides the image is in it.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::image::{ImageReference, Platform};

/// Files onto a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Native {
    /// The base image's reference; nothing (`scratch`) by default.
    pub base: Option<ImageReference>,
    /// The OCI layout directory that has the base image, relative to the configuration file; else the
    /// registry in the base's reference has it.
    pub base_layout: Option<Utf8PathBuf>,
    /// The layers, lowest first, one copy instruction each.
    pub layers: Vec<Layer>,
    /// What the image's config says beyond the base's.
    pub config: RunConfig,
    /// Annotations of the manifest, and of the index where there is one.
    pub annotations: BTreeMap<String, String>,
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

/// One layer: files of the context and where they go, and what the layer has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Files and folders of the context, or patterns of them as in an ignore file. `{os}`, `{arch}` and
    /// `{variant}` stand for the parts of the platform.
    pub from: Vec<String>,
    /// The absolute path in the image that they become; a folder, if there are several or a pattern.
    pub to: Utf8PathBuf,
    /// Patterns, as in an ignore file, of what is left out of them.
    pub exclude: Vec<String>,
    /// Permission bits of the files, for example `0o755`; by default 0644, and 0755 for executables.
    pub mode: Option<u32>,
    /// Permission bits of the folders, 0755 by default.
    pub folder_mode: Option<u32>,
    /// Numeric owner and group, 0 and 0 by default.
    pub owner: (u32, u32),
    /// Linux capabilities of the files, bits by number.
    pub capabilities: u64,
    /// Empty folders, by absolute path.
    pub folders: Vec<Utf8PathBuf>,
    /// Symbolic links, by absolute path, and their targets.
    pub links: BTreeMap<Utf8PathBuf, String>,
}

impl Layer {
    /// Returns whether a source is a pattern, and not the path of one file or folder.
    pub fn is_pattern(source: &str) -> bool {
        source.contains(['*', '?', '[', '\\'])
    }

    /// Returns the sources of an image for `platform`.
    pub fn sources(&self, platform: &Platform) -> Vec<String> {
        let variant = platform.variant.as_deref().unwrap_or_default();
        let parts =
            [("{os}", &*platform.os), ("{arch}", &platform.architecture), ("{variant}", variant)];
        let filled = |from: &String| {
            parts.iter().fold(from.clone(), |text, (name, part)| text.replace(name, part))
        };
        self.from.iter().map(filled).collect()
    }
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
    /// Folders whose content is kept outside the container.
    pub volumes: Vec<Utf8PathBuf>,
    /// The signal that asks the container to stop, by name or number.
    pub stop_signal: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl RunConfig {
    /// Returns a port as an image's config writes it: `8080` is `8080/tcp`. `None`: it is no port.
    pub fn exposed_port(text: &str) -> Option<String> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let is_port = number.parse::<u16>().is_ok_and(|number| number > 0);
        let fits = is_port && matches!(protocol, "tcp" | "udp" | "sctp");
        fits.then(|| format!("{number}/{protocol}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_the_same_text_every_time() {
        let layer = Layer {
            from: vec!["bin".into()],
            to: "/bin".into(),
            mode: Some(0o755),
            owner: (0, 1),
            ..Layer::default()
        };
        let env = [("B", "2"), ("A", "1")].map(|(key, value)| (key.into(), value.into()));
        let recipe = Native {
            base: Some("registry.example.com/base:1".parse().unwrap()),
            layers: vec![layer],
            config: RunConfig { env: env.into(), ..RunConfig::default() },
            ..Native::default()
        };
        assert_eq!(
            serde_json::to_string(&recipe).unwrap(),
            "{\"base\":\"registry.example.com/base:1\",\"base_layout\":null,\
             \"layers\":[{\"from\":[\"bin\"],\"to\":\"/bin\",\"exclude\":[],\"mode\":493,\
             \"folder_mode\":null,\"owner\":[0,1],\"capabilities\":0,\"folders\":[],\"links\":{}}],\
             \"config\":{\"env\":{\"A\":\"1\",\"B\":\"2\"},\"entrypoint\":null,\"cmd\":null,\
             \"user\":null,\"workdir\":null,\"ports\":[],\"volumes\":[],\"stop_signal\":null,\
             \"labels\":{}},\"annotations\":{},\"compression\":\"gzip\"}"
        );
    }

    #[test]
    fn a_source_names_the_platform_s_parts() {
        let layer = Layer { from: vec!["{os}/{arch}{variant}/app".into()], ..Layer::default() };
        let sources = |platform: &str| layer.sources(&platform.parse().unwrap());
        assert_eq!(sources("linux/arm/v7"), ["linux/armv7/app"]);
        assert_eq!(sources("linux/amd64"), ["linux/amd64/app"]);
    }

    #[test]
    fn ports_have_a_protocol() {
        assert_eq!(RunConfig::exposed_port("8080").unwrap(), "8080/tcp");
        assert_eq!(RunConfig::exposed_port("53/udp").unwrap(), "53/udp");
        for bad in ["", "0", "65536", "x", "80/", "80/http", "80-90"] {
            assert_eq!(RunConfig::exposed_port(bad), None, "{bad}");
        }
    }
}
