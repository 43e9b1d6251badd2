//! The keys of a build from a Dockerfile.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FileBuild, refuse};
use crate::config::read::{Flaw, relative};
use crate::image::{Cache, Dockerfile, Engine, ImageReference, SecretSource};

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FileEngine {
    /// `docker`, with or without buildx.
    Docker,
    /// `buildah`.
    Buildah,
    /// `podman`.
    Podman,
}

/// Where a secret comes from: exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config) struct FileSecret {
    /// A file, absolute or relative to this file.
    file: Option<String>,
    /// An environment variable.
    env: Option<String>,
}

/// A build cache in a registry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config) struct FileCache {
    /// References at which steps that were run before are looked for. buildah and podman use the
    /// repository alone.
    #[serde(default)]
    from: Vec<String>,
    /// Reference at which the steps are left for other builds.
    to: Option<String>,
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
        // Not every engine can set annotations; labels are what a Dockerfile has `LABEL` for.
        ("labels", !file.labels.is_empty()),
        ("volumes", !file.volumes.is_empty()),
        ("stopSignal", file.stop_signal.is_some()),
        ("annotations", !file.annotations.is_empty()),
        ("compression", file.compression.is_some()),
    ];
    refuse(service, &native_only, "is for an image with `layers`; a Dockerfile says it itself")?;
    let path = ["services", service, "build", "dockerfile"];
    Ok(Dockerfile {
        file: file.dockerfile.map(|text| relative(&text, &path)).transpose()?,
        target: file.target,
        args: file.args,
        secrets: secrets(service, file.secrets)?,
        engine: file.engine.map(engine),
        cache: file.cache.map(|file| cache(service, &file)).transpose()?.unwrap_or_default(),
    })
}

fn engine(file: FileEngine) -> Engine {
    match file {
        FileEngine::Docker => Engine::Docker,
        FileEngine::Buildah => Engine::Buildah,
        FileEngine::Podman => Engine::Podman,
    }
}

fn secrets(
    service: &str,
    file: BTreeMap<String, FileSecret>,
) -> Result<BTreeMap<String, SecretSource>, Flaw> {
    let secret = |(id, file): (String, FileSecret)| {
        let flaw = |message| Flaw::new(&["services", service, "build", "secrets", &id], message);
        if !is_word(&id) {
            let expected = "expected letters, digits, `.`, `_` and `-`";
            return Err(flaw(format!("`{id}` is no secret's id; {expected}")));
        }
        let source = source(file).map_err(flaw)?;
        Ok((id, source))
    };
    file.into_iter().map(secret).collect()
}

/// Engines take a secret as a list of fields, which a comma or a quote in one of them would break.
fn source(file: FileSecret) -> Result<SecretSource, String> {
    match (file.file, file.env) {
        (Some(path), None) if path.is_empty() || path.contains([',', '"', '\n']) => Err(format!(
            "`{path}` is no file that engines take: it is empty or has a comma or a quote"
        )),
        (Some(path), None) => Ok(SecretSource::File(path.into())),
        (None, Some(name)) if is_word(&name) => Ok(SecretSource::Variable(name)),
        (None, Some(name)) => Err(format!("`{name}` is no environment variable's name")),
        _ => Err("expected either `file` or `env`".to_owned()),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn cache(service: &str, file: &FileCache) -> Result<Cache, Flaw> {
    let reference = |key: &str, text: &String| -> Result<ImageReference, Flaw> {
        let path = ["services", service, "build", "cache", key];
        let reference: ImageReference =
            text.parse().map_err(|error| Flaw::new(&path, format!("`{text}`: {error}")))?;
        match &reference.digest {
            Some(_) => Err(Flaw::new(&path, format!("`{text}` has a digest; a cache has none"))),
            None => Ok(reference),
        }
    };
    Ok(Cache {
        from: file.from.iter().map(|text| reference("from", text)).collect::<Result<_, _>>()?,
        to: file.to.as_ref().map(|text| reference("to", text)).transpose()?,
    })
}
