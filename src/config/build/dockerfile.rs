//! The keys of a build from a Dockerfile.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FileBuild, refuse};
use crate::config::read::{Flaw, relative};
use crate::image::{Dockerfile, Engine};

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FileEngine {
    /// `docker`, with or without buildx.
    Docker,
    /// `buildah`.
    Buildah,
}

/// Returns the Dockerfile build that `file` describes.
pub(super) fn dockerfile(service: &str, file: FileBuild) -> Result<Dockerfile, Flaw> {
    let native_only = [
        ("base", file.base.is_some()),
        ("env", !file.env.is_empty()),
        ("entrypoint", file.entrypoint.is_some()),
        ("cmd", file.cmd.is_some()),
        ("user", file.user.is_some()),
        ("workdir", file.workdir.is_some()),
        ("ports", !file.ports.is_empty()),
        ("labels", !file.labels.is_empty()),
    ];
    refuse(service, &native_only, "is for an image with `layers`; a Dockerfile says it itself")?;
    let path = ["services", service, "build", "dockerfile"];
    Ok(Dockerfile {
        file: file.dockerfile.map(|text| relative(&text, &path)).transpose()?,
        target: file.target,
        args: file.args,
        engine: file.engine.map(|engine| match engine {
            FileEngine::Docker => Engine::Docker,
            FileEngine::Buildah => Engine::Buildah,
        }),
    })
}
