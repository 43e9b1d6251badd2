//! What a manifest or an index mentions, and the media types that they come in.

use serde::Deserialize;

use super::RegistryError;
use crate::image::{Digest, Manifest};

/// The media types of manifests and indexes, OCI's and Docker's. All of them are named in every
/// request: a registry answers 404 for a manifest in a form that the request does not name.
pub(super) const MANIFEST_TYPES: [&str; 4] =
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// The longest manifest that is read or written, as the distribution specification advises.
pub(super) const MANIFEST_MAX: usize = 4 << 20;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A part of an image: its digest and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// What a document mentions and the registry must have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Config and layers.
    pub(super) blobs: Vec<Part>,
    /// Manifests of an index.
    pub(super) manifests: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
}

/// Returns what `manifest` mentions.
///
/// # Errors
///
/// Fails if it is no manifest, or not of the media type that it comes with.
pub(super) fn mentions(manifest: &Manifest) -> Result<Mentions, RegistryError> {
    if manifest.bytes.len() > MANIFEST_MAX {
        return Err(invalid(manifest, format!("it is longer than {MANIFEST_MAX} bytes")));
    }
    let document = parse(manifest)?;
    if document.schema_version != 2 {
        return Err(invalid(manifest, "its schema version is not 2".to_owned()));
    }
    if document.media_type.as_ref().is_some_and(|says| *says != manifest.media_type) {
        let says = document.media_type.unwrap_or_default();
        let reason = format!("it says `{says}` and comes as `{}`", manifest.media_type);
        return Err(invalid(manifest, reason));
    }
    let part = |descriptor: Descriptor| {
        let digest = descriptor.digest.parse::<Digest>();
        let digest = digest.map_err(|error| invalid(manifest, error.to_string()))?;
        Ok(Part { digest, size: descriptor.size })
    };
    match manifest.media_type.as_str() {
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let no_config = || invalid(manifest, "it has no config".to_owned());
            let config = document.config.ok_or_else(no_config)?;
            // A layer with URLs is fetched from there and need not be in the registry.
            let layers = document.layers.into_iter().filter(|layer| layer.urls.is_empty());
            let blobs =
                std::iter::once(config).chain(layers).map(part).collect::<Result<_, _>>()?;
            Ok(Mentions { blobs, manifests: Vec::new() })
        }
        OCI_INDEX | DOCKER_INDEX => {
            let manifests = document.manifests.into_iter().map(part).collect::<Result<_, _>>()?;
            Ok(Mentions { blobs: Vec::new(), manifests })
        }
        other => Err(invalid(manifest, format!("media type `{other}` is unknown"))),
    }
}

/// Returns the media type that `bytes` say they have, or that their fields speak for.
pub(super) fn media_type_of(bytes: &[u8]) -> String {
    let document = serde_json::from_slice::<Document>(bytes).ok();
    let says = document.as_ref().and_then(|document| document.media_type.clone());
    let is_index = document.is_some_and(|document| document.config.is_none());
    says.unwrap_or_else(|| if is_index { OCI_INDEX } else { OCI_MANIFEST }.to_owned())
}

fn parse(manifest: &Manifest) -> Result<Document, RegistryError> {
    serde_json::from_slice(&manifest.bytes).map_err(|error| invalid(manifest, error.to_string()))
}

fn invalid(manifest: &Manifest, reason: String) -> RegistryError {
    let document = manifest.digest().to_string();
    RegistryError::Invalid { document, expected: "manifest", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(media_type: &str, text: &str) -> Result<Mentions, String> {
        let manifest =
            Manifest { media_type: media_type.to_owned(), bytes: text.to_owned().into() };
        mentions(&manifest).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_mentions_its_config_and_the_layers_without_urls() {
        let digest = Digest::of(b"");
        let part = format!(r#"{{"digest":"{digest}","size":0}}"#);
        let text = format!(
            r#"{{"schemaVersion":2,"config":{part},"layers":[{part},{{"digest":"{digest}","size":0,"urls":["https://example.com"]}}]}}"#
        );
        assert_eq!(check(OCI_MANIFEST, &text).unwrap().blobs.len(), 2);
        assert_eq!(media_type_of(text.as_bytes()), OCI_MANIFEST);
    }

    #[test]
    fn refuses_what_is_no_manifest() {
        for (media_type, text, reason) in [
            (OCI_MANIFEST, "{}", "missing field `schemaVersion`"),
            (OCI_MANIFEST, r#"{"schemaVersion":2}"#, "it has no config"),
            (OCI_MANIFEST, r#"{"schemaVersion":1}"#, "its schema version is not 2"),
            ("text/plain", r#"{"schemaVersion":2}"#, "media type `text/plain` is unknown"),
            (OCI_INDEX, r#"{"schemaVersion":2,"mediaType":"x"}"#, "it says `x` and comes as"),
            (
                OCI_INDEX,
                r#"{"schemaVersion":2,"manifests":[{"digest":"x","size":1}]}"#,
                "`x` is not a digest",
            ),
        ] {
            let error = check(media_type, text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
