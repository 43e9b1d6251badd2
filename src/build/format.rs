//! Manifest formats: OCI image manifests, and Docker's schema 2.
//!
//! An image has the media types of one of them and never of both, since some registries refuse a
//! mix. It keeps the format of the base image.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::image::{Blob, Compression, Manifest};

/// The media types of an image's documents and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OCI image specification, "Media Types".
    Oci,
    /// Docker's "Image Manifest V 2, Schema 2".
    Docker,
}

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCI_ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Layer types that both formats have (OCI image specification, "Compatibility Matrix").
const LAYERS: [(&str, &str); 3] = [
    (OCI_LAYER, DOCKER_LAYER),
    ("application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"),
    (
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ),
];

impl Format {
    /// Returns the format of a manifest with this media type, or `None` if it is not the manifest
    /// of one image.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            OCI_MANIFEST => Some(Self::Oci),
            DOCKER_MANIFEST => Some(Self::Docker),
            _ => None,
        }
    }

    /// Returns the type in this format of a layer whose type may be of the other, or `None` if this
    /// format has no such layers.
    pub(super) fn layer_type(self, media_type: &str) -> Option<String> {
        let known = LAYERS.iter().find(|(oci, docker)| media_type == *oci || media_type == *docker);
        match (self, known) {
            (Self::Oci, Some((oci, _))) => Some((*oci).to_owned()),
            (Self::Docker, Some((_, docker))) => Some((*docker).to_owned()),
            (Self::Oci, None) if media_type.starts_with("application/vnd.oci.image.layer.") => {
                Some(media_type.to_owned())
            }
            _ => None,
        }
    }

    /// Returns the descriptor of a gzip layer.
    pub(super) fn layer(self, blob: &Blob) -> Value {
        let media_type = match self {
            Self::Oci => OCI_LAYER,
            Self::Docker => DOCKER_LAYER,
        };
        descriptor(media_type, blob)
    }

    /// Returns the type of a layer that is compressed in this way, or `None` if this format has no
    /// such layers.
    pub(super) fn compressed(self, compression: Compression) -> Option<&'static str> {
        match (self, compression) {
            (Self::Oci, Compression::Gzip) => Some(OCI_LAYER),
            (Self::Oci, Compression::Zstd) => Some(OCI_ZSTD_LAYER),
            (Self::Docker, Compression::Gzip) => Some(DOCKER_LAYER),
            (Self::Docker, Compression::Zstd) => None,
        }
    }

    /// Returns the manifest of an image with these layers, given as descriptors.
    ///
    /// Its bytes depend on nothing else: the order of the keys is fixed.
    pub(super) fn manifest(self, config: &Blob, layers: &[Value]) -> Manifest {
        self.annotated_manifest(config, layers, &BTreeMap::new())
    }

    /// Returns a manifest with annotations, which only OCI's format has.
    pub(super) fn annotated_manifest(
        self,
        config: &Blob,
        layers: &[Value],
        annotations: &BTreeMap<String, String>,
    ) -> Manifest {
        let (media_type, config_type) = match self {
            Self::Oci => (OCI_MANIFEST, OCI_CONFIG),
            Self::Docker => (DOCKER_MANIFEST, DOCKER_CONFIG),
        };
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(config_type, config),
            "layers": layers,
        });
        document_of(media_type, document, annotations)
    }

    /// Returns the index of these manifests, each beside the platform that it is for.
    pub(super) fn index<'a>(
        self,
        manifests: impl Iterator<Item = (&'a Manifest, &'a Value)>,
        annotations: &BTreeMap<String, String>,
    ) -> Manifest {
        let media_type = match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_LIST,
        };
        let listed = manifests.map(|(manifest, platform)| {
            json!({
                "mediaType": manifest.media_type,
                "digest": manifest.digest().as_str(),
                "size": manifest.bytes.len(),
                "platform": platform,
            })
        });
        let listed: Vec<Value> = listed.collect();
        let document = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": listed });
        document_of(media_type, document, annotations)
    }
}

fn document_of(
    media_type: &str,
    mut document: Value,
    annotations: &BTreeMap<String, String>,
) -> Manifest {
    if !annotations.is_empty() {
        document["annotations"] = json!(annotations);
    }
    Manifest { media_type: media_type.to_owned(), bytes: document.to_string().into() }
}

/// Returns what a manifest says about a blob.
pub(super) fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest.as_str(), "size": blob.size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_type_is_turned_into_the_format_s_own() {
        assert_eq!(Format::Docker.layer_type(OCI_LAYER).as_deref(), Some(DOCKER_LAYER));
        assert_eq!(Format::Oci.layer_type(DOCKER_LAYER).as_deref(), Some(OCI_LAYER));
        assert_eq!(Format::Oci.layer_type(OCI_ZSTD_LAYER).as_deref(), Some(OCI_ZSTD_LAYER));
        assert_eq!(Format::Docker.layer_type(OCI_ZSTD_LAYER), None);
    }
}
