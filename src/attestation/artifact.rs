//! Artifacts that refer to an image: a manifest with one layer, an empty config and a `subject`. See
//! the OCI image specification, "Guidelines for Artifact Usage".

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Bundle, PredicateType};
use crate::image::{Blob, BlobContent, Digest, Manifest};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// A document about an image, as it is stored beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is: the artifact's type, and that of its document.
    pub media_type: &'static str,
    /// The document.
    pub document: Vec<u8>,
    /// What tells artifacts of one type apart.
    pub annotations: Vec<(&'static str, String)>,
}

impl Artifact {
    /// The annotation that names what a document was made from: its digest. It tells whether an image
    /// has it already, even though no two signatures are alike.
    pub const SOURCE_ANNOTATION: &'static str = "dev.deployctl.attestation.source";

    /// Returns a CycloneDX document, as it is.
    pub fn sbom(document: Vec<u8>) -> Self {
        let media_type = "application/vnd.cyclonedx+json";
        Self { media_type, document, annotations: Vec::new() }
    }

    /// Returns a statement that nobody signed.
    pub fn statement(predicate_type: PredicateType, document: Vec<u8>) -> Self {
        let annotations = vec![("in-toto.io/predicate-type", predicate_type.uri().to_owned())];
        Self { media_type: super::PAYLOAD_TYPE, document, annotations }
    }

    /// Returns a statement that somebody signed, annotated as cosign does it; `source` is the digest of
    /// what was signed and by whom.
    pub fn bundle(predicate_type: PredicateType, bundle: &Bundle, source: &Digest) -> Self {
        let annotations = vec![
            ("dev.sigstore.bundle.content", "dsse-envelope".to_owned()),
            ("dev.sigstore.bundle.predicateType", predicate_type.uri().to_owned()),
            (Self::SOURCE_ANNOTATION, source.to_string()),
        ];
        Self { media_type: Bundle::MEDIA_TYPE, document: bundle.to_json(), annotations }
    }

    /// Returns the blobs that [`Artifact::manifest`] mentions.
    pub fn blobs(&self) -> [Blob; 2] {
        [self.document.clone(), EMPTY.to_vec()].map(|bytes| Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            content: BlobContent::Bytes(Bytes::from(bytes)),
        })
    }

    /// Returns the manifest that makes it an artifact about the manifest or index `subject`.
    pub fn manifest(&self, subject: &Manifest) -> Manifest {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            json!({
                "mediaType": media_type,
                "digest": Digest::of(bytes).to_string(),
                "size": bytes.len(),
            })
        };
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": self.media_type,
            "config": descriptor(EMPTY_TYPE, EMPTY),
            "layers": [descriptor(self.media_type, &self.document)],
            "subject": descriptor(&subject.media_type, &subject.bytes),
        });
        if !self.annotations.is_empty() {
            let annotations = self.annotations.iter();
            let annotations: Map<_, _> = annotations
                .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
                .collect();
            document["annotations"] = annotations.into();
        }
        let bytes = document.to_string().into();
        Manifest { media_type: MANIFEST_TYPE.to_owned(), bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_refers_to_its_image_and_says_what_it_is() {
        let subject = Manifest { media_type: MANIFEST_TYPE.to_owned(), bytes: "{ }".into() };
        let artifact = Artifact::statement(PredicateType::Provenance, b"{}".to_vec());
        let manifest = artifact.manifest(&subject);
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(document["artifactType"], "application/vnd.in-toto+json");
        assert_eq!(document["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        assert_eq!(document["subject"]["digest"], subject.digest().as_str());
        assert_eq!(document["subject"]["size"], 3);
        let annotation = &document["annotations"]["in-toto.io/predicate-type"];
        assert_eq!(annotation, "https://slsa.dev/provenance/v1");
        assert!(artifact.blobs().iter().all(|blob| blob.size == 2));
        assert_eq!(Artifact::sbom(Vec::new()).manifest(&subject).digest(), {
            let again = Artifact::sbom(Vec::new());
            again.manifest(&subject).digest()
        });
    }
}
