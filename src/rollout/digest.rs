//! What proves that a container runs an image: its runtime's words, compared with what the registry
//! says the image consists of.
//!
//! Runtimes name the index, the platform's manifest, or, bare, the config: it depends on the runtime
//! and on how the image came to the node. Asking the registry is left to [`crate::ops::verify()`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Container;
use crate::image::{Digest, ImageReference, Manifest, PinnedImage};

/// The digests that stand for an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageContent {
    /// The manifests of an index, and their platforms.
    pub platforms: BTreeMap<Digest, String>,
    /// The configs of its manifests.
    pub configs: BTreeSet<Digest>,
    /// Digests in other words for the same configs: another index of the same platforms, for example.
    pub equivalents: BTreeSet<Digest>,
}

/// What is known about the image that a container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The runtime names the promoted digest.
    Digest,
    /// The runtime names the promoted image's manifest of a platform.
    Platform {
        /// For example `linux/arm64`.
        platform: String,
        /// The digest of its manifest.
        digest: Digest,
    },
    /// The runtime names the config of one of the promoted image's manifests, or another manifest with
    /// the same config: the same program, by its content.
    Config {
        /// What the runtime names.
        digest: Digest,
    },
    /// The pod's spec alone says so.
    Spec {
        /// Why nothing more is known.
        because: String,
    },
    /// It runs something else.
    Other {
        /// What the runtime names.
        digest: Digest,
    },
    /// It does not run (yet).
    NotRunning,
}

impl ImageContent {
    /// Returns the platforms' manifests that `manifest` lists, or its own config; whatever else it is
    /// comes to nothing.
    pub fn of(manifest: &Manifest) -> Self {
        let mut content = Self::default();
        let Ok(document) = serde_json::from_slice::<Value>(&manifest.bytes) else { return content };
        content.configs.extend(digest_at(&document, "/config/digest"));
        for entry in document.get("manifests").and_then(Value::as_array).into_iter().flatten() {
            // A build's attestations stand beside its images.
            let platform = platform(entry);
            if let Some(digest) =
                digest_at(entry, "/digest").filter(|_| !platform.starts_with("unknown"))
            {
                content.platforms.insert(digest, platform);
            }
        }
        content
    }

    /// Adds that one of the platforms' manifests is `manifest`.
    pub fn add_manifest(&mut self, manifest: &Manifest) {
        self.configs.extend(Self::of(manifest).configs);
    }
}

impl Proof {
    /// Returns what `container` proves about `promoted`, or `None` if it is not to run that image at
    /// all. `content` is what the registry says about it, or why it could not be asked.
    pub fn of(
        container: &Container<'_>,
        promoted: &PinnedImage,
        content: Result<&ImageContent, &str>,
    ) -> Option<Self> {
        let stated: ImageReference = container.image().parse().ok()?;
        if stated.name != promoted.name {
            return None;
        }
        if !container.is_running() && !container.is_ready() {
            return Some(Self::NotRunning);
        }
        let Some(found) = running_digest(container.image_id()) else {
            let because = "the container runtime names no digest".to_owned();
            return Some(Self::Spec { because });
        };
        Some(Self::compare(found, promoted, content))
    }

    fn compare(
        found: Digest,
        promoted: &PinnedImage,
        content: Result<&ImageContent, &str>,
    ) -> Self {
        if found == promoted.digest {
            return Self::Digest;
        }
        match content {
            Err(because) => Self::Spec { because: because.to_owned() },
            Ok(content) => match content.platforms.get(&found) {
                Some(platform) => Self::Platform { platform: platform.clone(), digest: found },
                None if content.configs.contains(&found)
                    || content.equivalents.contains(&found) =>
                {
                    Self::Config { digest: found }
                }
                None => Self::Other { digest: found },
            },
        }
    }

    /// Returns whether the runtime's own words prove it.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Digest | Self::Platform { .. } | Self::Config { .. })
    }

    /// Returns the name that reports call the kind of proof by.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Platform { .. } => "platform-manifest",
            Self::Config { .. } => "config",
            Self::Spec { .. } => "spec-only",
            Self::Other { .. } => "other-image",
            Self::NotRunning => "not-running",
        }
    }
}

/// Returns the digest that a runtime's `imageID` names, or `None` if it names none.
///
/// Docker writes `docker-pullable://name@sha256:…` and, for what it never pulled, `docker://sha256:…`;
/// containerd `name@sha256:…` or `sha256:…`; CRI-O also the bare 64 characters.
pub fn running_digest(image_id: &str) -> Option<Digest> {
    let id = image_id.split_once("://").map_or(image_id, |(_, rest)| rest);
    let digest = id.rsplit_once('@').map_or(id, |(_, digest)| digest);
    digest.parse().or_else(|_| format!("sha256:{digest}").parse()).ok()
}

fn digest_at(document: &Value, pointer: &str) -> Option<Digest> {
    document.pointer(pointer)?.as_str()?.parse().ok()
}

fn platform(entry: &Value) -> String {
    let text = |key: &str| {
        entry.pointer(&format!("/platform/{key}")).and_then(Value::as_str).unwrap_or_default()
    };
    let parts = [text("os"), text("architecture"), text("variant")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::Object;

    fn digest(digit: &str) -> Digest {
        format!("sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    fn promoted() -> PinnedImage {
        format!("registry.example.com/shop/ranking:1@{}", digest("1")).parse().unwrap()
    }

    fn content() -> ImageContent {
        let text = |digit: &str| digest(digit).to_string();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [
            {"digest": text("2"), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": text("3"), "size": 1, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": text("4"), "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}},
        ]});
        let of = |document: Value| Manifest {
            media_type: String::new(),
            bytes: document.to_string().into(),
        };
        let mut content = ImageContent::of(&of(index));
        content.add_manifest(&of(serde_json::json!({"config": {"digest": text("5")}})));
        content.equivalents.insert(digest("6"));
        content
    }

    fn prove(image: &str, id: &str, content: Result<&ImageContent, &str>) -> Option<Proof> {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [{{name: web, image: '{image}'}}]}}, \
             status: {{containerStatuses: [{{name: web, ready: true, imageID: '{id}', state: {{running: {{}}}}}}]}}}}"
        );
        let pod = Object::read_first(&pod).unwrap();
        Proof::of(&Container::of_pod(&pod)[0], &promoted(), content)
    }

    #[test]
    fn each_runtime_s_way_to_name_an_image_is_read() {
        let hex = "1".repeat(64);
        for id in [
            format!("docker-pullable://registry.example.com/shop/ranking@sha256:{hex}"),
            format!("docker://sha256:{hex}"),
            format!("registry.example.com:5000/shop/ranking@sha256:{hex}"),
            format!("sha256:{hex}"),
            hex.clone(),
        ] {
            assert_eq!(running_digest(&id), Some(digest("1")), "{id}");
        }
        assert_eq!(running_digest(""), None);
        assert_eq!(running_digest("registry.example.com/shop/ranking:1"), None);
    }

    #[test]
    fn an_index_is_proven_by_any_of_its_platforms() {
        let image = promoted().to_string();
        let content = content();
        let by = |digit: &str| {
            prove(&image, &format!("x@{}", digest(digit)), Ok(&content)).unwrap().as_str()
        };
        let found = ["1", "2", "3", "4", "5", "6", "7"].map(by);
        let platform = "platform-manifest";
        assert_eq!(
            found,
            ["digest", platform, platform, "other-image", "config", "config", "other-image"]
        );
        let id = format!("x@{}", digest("3"));
        let Some(Proof::Platform { platform, .. }) = prove(&image, &id, Ok(&content)) else {
            panic!("a platform's manifest is a proof")
        };
        assert_eq!(platform, "linux/arm64/v8");
    }

    #[test]
    fn without_a_registry_only_the_promoted_digest_itself_is_a_proof() {
        let image = promoted().to_string();
        let unknown = Err("the registry could not be asked");
        let id = format!("x@{}", digest("1"));
        assert_eq!(prove(&image, &id, unknown), Some(Proof::Digest));
        let id = format!("x@{}", digest("2"));
        assert_eq!(prove(&image, &id, unknown).unwrap().as_str(), "spec-only");
        assert_eq!(prove(&image, "", Ok(&content())).unwrap().as_str(), "spec-only");
        assert_eq!(prove("registry.example.com/shop/proxy:1", &id, unknown), None);
    }
}
