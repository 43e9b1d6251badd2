//! Referrers: manifests that name another one as their subject, and the index that lists them where
//! a registry does not (distribution-spec, "Referrers Tag Schema").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::RegistryError;
use super::descriptor::OCI_INDEX;
use crate::image::{Digest, Manifest, Tag};

/// What refers to an image: a signature, a bill of materials, or a record of its own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type of the manifest that refers.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it holds: its artifact type or, where it names none, the media type of its config.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest with a subject.
pub(super) struct Referrer {
    /// What it refers to.
    pub(super) subject: Digest,
    /// How it is listed.
    pub(super) descriptor: Descriptor,
}

impl Referrer {
    /// Returns what `manifest` refers to and how it is listed, or `None` if it has no subject.
    pub(super) fn of(manifest: &Manifest) -> Result<Option<Self>, RegistryError> {
        let invalid = |reason: String| {
            let document = manifest.digest().to_string();
            RegistryError::Invalid { document, expected: "manifest", reason }
        };
        let document: Value =
            serde_json::from_slice(&manifest.bytes).map_err(|error| invalid(error.to_string()))?;
        let subject = &document["subject"];
        if subject.is_null() {
            return Ok(None);
        }
        let subject = subject["digest"].as_str().unwrap_or_default().parse();
        let subject = subject.map_err(|error| invalid(format!("its subject: {error}")))?;
        let own = text(&document["artifactType"]);
        Ok(Some(Self {
            subject,
            descriptor: Descriptor {
                media_type: manifest.media_type.clone(),
                digest: manifest.digest(),
                size: manifest.bytes.len() as u64,
                artifact_type: own.or_else(|| text(&document["config"]["mediaType"])),
                annotations: annotations(&document["annotations"]),
            },
        }))
    }
}

impl Descriptor {
    /// Returns whether it is of the type that is asked for, if one is.
    pub(super) fn is_of(&self, artifact_type: Option<&str>) -> bool {
        artifact_type.is_none_or(|wanted| self.artifact_type.as_deref() == Some(wanted))
    }

    fn read(entry: &Value) -> Option<Self> {
        Some(Self {
            media_type: text(&entry["mediaType"])?,
            digest: entry["digest"].as_str()?.parse().ok()?,
            size: entry["size"].as_u64()?,
            artifact_type: text(&entry["artifactType"]),
            annotations: annotations(&entry["annotations"]),
        })
    }

    fn write(&self) -> Value {
        let (media_type, digest) = (&self.media_type, self.digest.as_str());
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": self.size});
        if let Some(artifact_type) = &self.artifact_type {
            entry["artifactType"] = artifact_type.as_str().into();
        }
        if !self.annotations.is_empty() {
            entry["annotations"] = json!(self.annotations);
        }
        entry
    }
}

/// Returns the tag of the index that lists what refers to `subject`.
pub(super) fn tag_of(subject: &Digest) -> Tag {
    let tag = subject.as_str().replacen(':', "-", 1).parse();
    tag.expect("a digest with a dash has only letters, digits and 71 characters")
}

/// Returns what `index` lists. An entry that can't be addressed, with another kind of digest, is not
/// among it.
pub(super) fn listed(index: &Manifest) -> Result<Vec<Descriptor>, RegistryError> {
    let (_, entries) = parse(index)?;
    Ok(entries.iter().filter_map(Descriptor::read).collect())
}

/// Returns `index`, or a new one, with `new` in it too; `None` if it is in it already.
pub(super) fn with(
    index: Option<&Manifest>,
    new: &Descriptor,
) -> Result<Option<Manifest>, RegistryError> {
    let empty = || (json!({"schemaVersion": 2, "mediaType": OCI_INDEX}), Vec::new());
    let (mut document, mut entries) = index.map(parse).transpose()?.unwrap_or_else(empty);
    if entries.iter().any(|entry| entry["digest"] == new.digest.as_str()) {
        return Ok(None);
    }
    entries.push(new.write());
    document["manifests"] = Value::Array(entries);
    Ok(Some(Manifest {
        media_type: OCI_INDEX.to_owned(),
        bytes: document.to_string().into_bytes().into(),
    }))
}

fn parse(index: &Manifest) -> Result<(Value, Vec<Value>), RegistryError> {
    let invalid = |reason: &str| RegistryError::Invalid {
        document: index.digest().to_string(),
        expected: "index of referrers",
        reason: reason.to_owned(),
    };
    if index.media_type != OCI_INDEX {
        return Err(invalid(&format!("it comes as `{}`", index.media_type)));
    }
    let mut document: Value =
        serde_json::from_slice(&index.bytes).map_err(|error| invalid(&error.to_string()))?;
    match document.get_mut("manifests").map(Value::take) {
        Some(Value::Array(entries)) => Ok((document, entries)),
        _ => Err(invalid("it has no list `manifests`")),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn annotations(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::descriptor::OCI_MANIFEST;

    fn referrer(document: &Value) -> Result<Option<Referrer>, String> {
        let bytes = document.to_string().into_bytes().into();
        let manifest = Manifest { media_type: OCI_MANIFEST.to_owned(), bytes };
        Referrer::of(&manifest).map_err(|error| error.to_string())
    }

    fn signature() -> Value {
        json!({"schemaVersion": 2, "artifactType": "a/sig", "config": {"mediaType": "c/sig"},
            "subject": {"digest": Digest::of(b"image").as_str()}, "annotations": {"k": "v"}})
    }

    #[test]
    fn an_artifact_type_is_the_manifests_own_or_its_configs() {
        let mut document = signature();
        let own = referrer(&document).unwrap().unwrap();
        assert_eq!(own.subject, Digest::of(b"image"));
        assert_eq!(own.descriptor.artifact_type.as_deref(), Some("a/sig"));
        assert_eq!(own.descriptor.annotations["k"], "v");
        for nothing in [Value::Null, json!("")] {
            document["artifactType"] = nothing;
            let of_config = referrer(&document).unwrap().unwrap();
            assert_eq!(of_config.descriptor.artifact_type.as_deref(), Some("c/sig"));
        }
        document["subject"] = json!({"digest": "x"});
        assert!(referrer(&document).err().unwrap().contains("its subject: `x` is not a digest"));
        document["subject"] = Value::Null;
        assert!(referrer(&document).unwrap().is_none());
    }

    #[test]
    fn a_referrer_is_listed_once_beside_what_others_wrote() {
        let new = referrer(&signature()).unwrap().unwrap().descriptor;
        let first = with(None, &new).unwrap().unwrap();
        assert!(with(Some(&first), &new).unwrap().is_none());
        assert_eq!(listed(&first).unwrap(), std::slice::from_ref(&new));
        let foreign = json!({"schemaVersion": 2, "x": 1,
            "manifests": [{"digest": "sha512:1", "y": 2}]});
        let bytes = foreign.to_string().into_bytes().into();
        let foreign = Manifest { media_type: OCI_INDEX.to_owned(), bytes };
        let both = with(Some(&foreign), &new).unwrap().unwrap();
        assert_eq!(listed(&both).unwrap(), [new]);
        let text = String::from_utf8(both.bytes.to_vec()).unwrap();
        assert!(text.contains("\"x\":1") && text.contains("\"y\":2"), "{text}");
    }

    #[test]
    fn what_is_no_index_is_not_written_over() {
        let new = referrer(&signature()).unwrap().unwrap().descriptor;
        for (media_type, text) in [(OCI_MANIFEST, "{\"manifests\":[]}"), (OCI_INDEX, "{}")] {
            let (media_type, bytes) = (media_type.to_owned(), text.as_bytes().to_vec().into());
            assert!(with(Some(&Manifest { media_type, bytes }), &new).is_err());
        }
    }

    #[test]
    fn the_tag_is_the_digest_with_a_dash() {
        let digest = Digest::of(b"image");
        assert_eq!(tag_of(&digest).as_str(), format!("sha256-{}", digest.hex()));
    }
}
