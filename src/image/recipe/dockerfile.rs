//! Images from Dockerfiles.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Serialize, Serializer};

use crate::image::ImageReference;

/// A Dockerfile build.
///
/// What it serialises to is what decides the image: of a secret the name and not where it comes
/// from, and nothing of the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dockerfile {
    /// The Dockerfile, relative to the context; `Dockerfile` by default.
    pub file: Option<Utf8PathBuf>,
    /// The stage to build, the last one by default.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// What `RUN --mount=type=secret` can read, by id.
    #[serde(serialize_with = "ids")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The engine to use; the first that is installed by default.
    pub engine: Option<Engine>,
    /// Where steps that were run elsewhere are found, and left for others.
    #[serde(skip)]
    pub cache: Cache,
}

/// Where a secret comes from; its value is read when the image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, absolute or relative to the configuration file.
    File(Utf8PathBuf),
    /// An environment variable.
    Variable(String),
}

/// A build cache that lies in registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// Where to look for steps that were run before.
    pub from: Vec<ImageReference>,
    /// Where to leave those that were run now.
    pub to: Option<ImageReference>,
}

/// A program that builds Dockerfiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// `docker`, with or without buildx.
    Docker,
    /// `buildah`.
    Buildah,
    /// `podman`.
    Podman,
}

fn ids<S: Serializer>(
    secrets: &BTreeMap<String, SecretSource>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(secrets.keys())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_decides_the_image_is_serialised() {
        let file = SecretSource::File("/run/secrets/npm".into());
        let dockerfile = Dockerfile {
            args: [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())].into(),
            secrets: [("npm".to_owned(), file)].into(),
            engine: Some(Engine::Podman),
            cache: Cache { to: "registry.example.com/shop/cache".parse().ok(), ..Cache::default() },
            ..Dockerfile::default()
        };
        assert_eq!(
            serde_json::to_string(&dockerfile).unwrap(),
            r#"{"file":null,"target":null,"args":{"A":"1","B":"2"},"secrets":["npm"],"engine":"podman"}"#
        );
    }
}
