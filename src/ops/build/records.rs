//! Records of inputs: kept beside images, and read to say what differs from the last one.

use serde_json::json;

use super::documents::Documents;
use super::last::{self, LastImage};
use super::{BuildOptions, pinned};
use crate::build::inputs::{Change, Inputs, RECORD_TYPE, Record};
use crate::config::Service;
use crate::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest, PinnedImage};
use crate::registry::{Registry, RegistryError};

/// The annotation that a record is in; it is short enough to be copied into a list of referrers.
const ANNOTATION: &str = "dev.deployctl.inputs";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What stands for a config and a layer where there is none (OCI image specification, "Guidance for an
/// Empty Descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// What differs between a service's inputs and those of an image that was built before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The service.
    pub service: String,
    /// The image that it is compared with, or why there is none.
    pub last: Result<LastImage, String>,
    /// The inputs that differ.
    pub changes: Vec<Change>,
}

/// Keeps the record of what the image was made of, here alone.
pub(super) fn remember(documents: &Documents, image: &PinnedImage, inputs: &Inputs) {
    documents.remember_record(image, &Record::of(inputs).to_json());
}

/// Keeps the record of what the image was made of: here, and as a referrer of the image.
pub(super) async fn keep(
    options: &BuildOptions<'_>,
    documents: &Documents,
    image: &PinnedImage,
    manifest: &Manifest,
    inputs: &Inputs,
) -> Result<(), RegistryError> {
    let record = Record::of(inputs).to_json();
    documents.remember_record(image, &record);
    if !options.record {
        return Ok(());
    }
    let name = &image.name;
    let referrer = referrer(manifest, &record);
    let empty = Digest::of(EMPTY);
    let is_there = documents.blobs_in(name).contains(&empty);
    if is_there && options.registry.push_manifest(name, &referrer, &[]).await.is_ok() {
        return Ok(());
    }
    let content = BlobContent::Bytes(EMPTY.into());
    let blob = Blob { digest: empty.clone(), size: EMPTY.len() as u64, content };
    options.registry.push_blob(name, &blob).await?;
    options.registry.push_manifest(name, &referrer, &[]).await?;
    documents.saw_blobs(name, &[empty]);
    Ok(())
}

fn referrer(subject: &Manifest, record: &str) -> Manifest {
    let empty = json!({
        "mediaType": EMPTY_TYPE,
        "digest": Digest::of(EMPTY).as_str(),
        "size": EMPTY.len(),
    });
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": RECORD_TYPE,
        "config": empty,
        "layers": [empty],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest().as_str(),
            "size": subject.bytes.len(),
        },
        "annotations": { ANNOTATION: record },
    });
    Manifest { media_type: OCI_MANIFEST.to_owned(), bytes: document.to_string().into() }
}

/// Returns what differs from the last image: see [`last::find`].
pub(super) async fn explain(
    service: &Service,
    inputs: Result<&Inputs, &str>,
    documents: &Documents,
    options: &BuildOptions<'_>,
) -> Explanation {
    let (last, changes) = match inputs {
        Err(reason) => (Err(reason.to_owned()), Vec::new()),
        Ok(inputs) => match last::find(service, documents, options).await {
            Ok((last, record)) => (Ok(last), record.changes_to(inputs)),
            Err(reason) => (Err(reason), Vec::new()),
        },
    };
    Explanation { service: service.name.clone(), last, changes }
}

/// Returns the record that is kept beside the image.
pub(super) async fn read(
    registry: &dyn Registry,
    name: &ImageName,
    digest: &Digest,
) -> Result<Option<Record>, RegistryError> {
    for descriptor in registry.referrers(name, digest, Some(RECORD_TYPE)).await? {
        if let Some(text) = descriptor.annotations.get(ANNOTATION) {
            if let Some(record) = Record::parse(text) {
                return Ok(Some(record));
            }
            continue;
        }
        // Some registries leave annotations out of the list.
        let reference = ImageReference { name: name.clone(), tag: None, digest: None };
        let manifest = registry.manifest(&pinned(&reference, &descriptor.digest)).await?;
        let document: Option<serde_json::Value> =
            manifest.and_then(|manifest| serde_json::from_slice(&manifest.bytes).ok());
        let text =
            document.as_ref().and_then(|document| document["annotations"][ANNOTATION].as_str());
        if let Some(record) = text.and_then(Record::parse) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}
