//! The keys of an image that deployctl makes by itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FileBuild, refuse};
use crate::config::read::{Flaw, relative};
use crate::image::{Compression, ImageReference, Layer, Native, RunConfig};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FileCompression {
    /// gzip, which every registry and runtime takes.
    Gzip,
    /// zstd: faster to pull, but only for a base in OCI's format, and for runtimes from about 2020.
    Zstd,
}

/// One layer: files of the context, and where they go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config) struct FileLayer {
    /// A file or folder of the context.
    pub(super) from: String,
    /// The absolute path in the image that it becomes.
    pub(super) to: String,
    /// Permission bits of the files in octal, for example `"0755"`; by default 0644, or 0755 for
    /// executables.
    pub(super) mode: Option<String>,
    /// `uid:gid`, `0:0` by default.
    pub(super) owner: Option<String>,
}

/// Returns the native build that `file` describes.
pub(super) fn native(service: &str, file: FileBuild) -> Result<Native, Flaw> {
    let dockerfile_only = [
        ("dockerfile", file.dockerfile.is_some()),
        ("target", file.target.is_some()),
        ("args", !file.args.is_empty()),
        ("secrets", !file.secrets.is_empty()),
        ("cache", file.cache.is_some()),
        ("engine", file.engine.is_some()),
    ];
    refuse(service, &dockerfile_only, "is for a Dockerfile; an image with `layers` has none")?;
    let layers = file.layers.unwrap_or_default();
    let layers =
        layers.into_iter().enumerate().map(|(index, layer)| self::layer(service, index, layer));
    Ok(Native {
        base: file
            .base
            .filter(|base| base != "scratch")
            .map(|base| self::base(service, &base))
            .transpose()?,
        layers: layers.collect::<Result<_, _>>()?,
        config: RunConfig {
            env: file.env,
            entrypoint: file.entrypoint,
            cmd: file.cmd,
            user: file.user,
            workdir: file.workdir.map(Into::into),
            ports: file.ports,
            labels: file.labels,
        },
        compression: match file.compression {
            None | Some(FileCompression::Gzip) => Compression::Gzip,
            Some(FileCompression::Zstd) => Compression::Zstd,
        },
    })
}

fn base(service: &str, text: &str) -> Result<ImageReference, Flaw> {
    let path = ["services", service, "build", "base"];
    text.parse().map_err(|error| Flaw::new(&path, format!("`{text}`: {error}")))
}

fn layer(service: &str, index: usize, file: FileLayer) -> Result<Layer, Flaw> {
    let index = index.to_string();
    let path = |key| ["services", service, "build", "layers", &index, key];
    if !file.to.starts_with('/') || file.to.split('/').any(|part| part == "..") {
        let message = format!("`{}` is not an absolute path without `..`", file.to);
        return Err(Flaw::new(&path("to"), message));
    }
    Ok(Layer {
        from: relative(&file.from, &path("from"))?,
        to: file.to.into(),
        mode: file.mode.map(|text| mode(&text, &path("mode"))).transpose()?,
        owner: file.owner.map_or(Ok((0, 0)), |text| owner(&text, &path("owner")))?,
    })
}

fn mode(text: &str, path: &[&str]) -> Result<u32, Flaw> {
    let expected =
        || Flaw::new(path, format!("`{text}` is not a mode; expected octal, like `0755`"));
    u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777).ok_or_else(expected)
}

fn owner(text: &str, path: &[&str]) -> Result<(u32, u32), Flaw> {
    let expected = || Flaw::new(path, format!("`{text}` is not an owner; expected `uid:gid`"));
    let (uid, gid) = text.split_once(':').ok_or_else(expected)?;
    Ok((uid.parse().map_err(|_| expected())?, gid.parse().map_err(|_| expected())?))
}
