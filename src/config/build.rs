//! A service's `build` section: what the file may say, and the recipe that it stands for.

mod capabilities;
mod dockerfile;
mod native;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Deserialize;

use self::dockerfile::{FileCache, FileEngine, FileSecret};
use self::native::{FileCompression, FileLayer};
use super::read::Flaw;
use crate::image::{Method, Platform, PlatformError, Recipe};
use crate::yaml;

/// How an image is made: by deployctl itself where there are `layers`, else from a Dockerfile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config) struct FileBuild {
    /// Folder with the service's files, relative to this file.
    pub(super) context: String,
    /// What the image is for, each `os/architecture[/variant]`; several make an index. Left out: the
    /// base's platform, or `linux/amd64`.
    #[serde(default)]
    pub(super) platforms: Vec<String>,
    /// Whether the image is pushed; `true` by default. With `false` it is built every time, its registry
    /// is not asked for it, and no environment gets it; `build --load` takes it into docker. `--push` and
    /// `--push=false` of `build` go before it.
    pub(super) push: Option<bool>,

    /// Dockerfile, relative to the context; `Dockerfile` by default.
    pub(super) dockerfile: Option<String>,
    /// Stage of the Dockerfile to build; the last one by default.
    pub(super) target: Option<String>,
    /// Build arguments of the Dockerfile.
    #[serde(default)]
    pub(super) args: BTreeMap<String, String>,
    /// What the Dockerfile's `RUN --mount=type=secret` steps can read, by id; never part of the image.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, FileSecret>,
    /// Where the Dockerfile's steps are cached in a registry.
    pub(super) cache: Option<FileCache>,
    /// The program that builds the Dockerfile; the first that is installed by default.
    pub(super) engine: Option<FileEngine>,

    /// Image that the layers are laid onto: a reference, `oci:FOLDER[:TAG]` for one in an OCI layout
    /// directory, or `scratch`, the default, for an empty one.
    pub(super) base: Option<String>,
    /// Layers, lowest first.
    pub(super) layers: Option<Vec<FileLayer>>,
    /// Environment variables of a container.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Entrypoint.
    pub(super) entrypoint: Option<Vec<String>>,
    /// Default command.
    pub(super) cmd: Option<Vec<String>>,
    /// User, by number or name.
    pub(super) user: Option<String>,
    /// Working directory.
    pub(super) workdir: Option<String>,
    /// Ports that a container listens on, for example `8080` or `53/udp`.
    #[serde(default)]
    pub(super) ports: Vec<String>,
    /// Folders whose content is kept outside the container, by absolute path.
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    /// The signal that asks a container to stop, for example `SIGQUIT`.
    pub(super) stop_signal: Option<String>,
    /// Labels.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Annotations of the manifest, and of the index of several platforms; only for a base in OCI's
    /// format.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// How the layers are compressed; gzip by default.
    pub(super) compression: Option<FileCompression>,
}

/// Returns how the image of `service` is made.
pub(super) fn recipe(service: &str, file: FileBuild) -> Result<Recipe, Flaw> {
    let context = Utf8PathBuf::from(&file.context);
    let platforms = platforms(service, &file.platforms)?;
    let method = if file.layers.is_some() {
        Method::Native(Box::new(native::native(service, file)?))
    } else {
        Method::Dockerfile(dockerfile::dockerfile(service, file)?)
    };
    Ok(Recipe { context, platforms, method })
}

fn platforms(service: &str, texts: &[String]) -> Result<Vec<Platform>, Flaw> {
    let mut platforms = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let index = index.to_string();
        let flaw =
            |message| Flaw::new(&["services", service, "build", "platforms", &index], message);
        let platform: Platform =
            text.parse().map_err(|error: PlatformError| flaw(error.to_string()))?;
        if let Some((part, known)) = platform.unknown() {
            let meant = yaml::nearest(part, known).map(|near| format!("; did you mean `{near}`?"));
            let meant = meant.unwrap_or_default();
            return Err(flaw(format!("platform `{platform}`: `{part}` is not known{meant}")));
        }
        if platforms.contains(&platform) {
            return Err(flaw(format!("platform `{platform}` is listed twice")));
        }
        platforms.push(platform);
    }
    Ok(platforms)
}

/// Fails at the first key that is there.
fn refuse(service: &str, keys: &[(&str, bool)], why: &str) -> Result<(), Flaw> {
    match keys.iter().find(|(_, present)| *present) {
        Some((key, _)) => {
            Err(Flaw::new(&["services", service, "build", key], format!("`{key}` {why}")))
        }
        None => Ok(()),
    }
}
