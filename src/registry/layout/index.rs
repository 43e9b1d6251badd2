//! The `index.json` of a layout. What other tools wrote into it stays as it is.

use camino::Utf8Path;
use serde_json::{Value, json};

use super::super::RegistryError;
use super::super::descriptor::Part;
use crate::image::{Digest, ImageName, Manifest, Tag};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";

/// The document, and in it a list of manifests.
pub(super) struct Index {
    document: serde_json::Map<String, Value>,
    manifests: Vec<Value>,
}

impl Default for Index {
    fn default() -> Self {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let document = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": []});
        let Value::Object(document) = document else { unreachable!("it is written as an object") };
        Self { document, manifests: Vec::new() }
    }
}

impl Index {
    /// Returns the index in the file `path`, whose content is `bytes`.
    pub(super) fn parse(path: &Utf8Path, bytes: &[u8]) -> Result<Self, RegistryError> {
        let invalid = |reason: String| invalid(path, reason);
        let value = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        let Value::Object(mut document) = value else {
            return Err(invalid("it is not an object".to_owned()));
        };
        match document.get_mut("manifests").map(Value::take) {
            Some(Value::Array(manifests)) => Ok(Self { document, manifests }),
            _ => Err(invalid("it has no list `manifests`".to_owned())),
        }
    }

    /// Returns the document's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        document.insert("manifests".to_owned(), Value::Array(self.manifests.clone()));
        let mut bytes = serde_json::to_vec_pretty(&document).expect("a JSON value can be written");
        bytes.push(b'\n');
        bytes
    }

    /// Returns the digest that `tag` of the repository `name` points at, or `None`.
    pub(super) fn find(
        &self,
        path: &Utf8Path,
        name: &ImageName,
        tag: &Tag,
    ) -> Result<Option<Digest>, RegistryError> {
        let tagged = || self.manifests.iter().filter(|entry| has(entry, REF_NAME, tag.as_str()));
        let whole = format!("{name}:{tag}");
        let of_name = tagged().find(|entry| has(entry, IMAGE_NAME, &whole));
        let nameless = || tagged().find(|entry| annotation(entry, IMAGE_NAME).is_none());
        let Some(entry) = of_name.or_else(nameless) else { return Ok(None) };
        let digest = entry["digest"].as_str().unwrap_or_default().parse();
        digest.map(Some).map_err(|error| invalid(path, format!("entry `{tag}`: {error}")))
    }

    /// Returns the tags of the repository `name`, and those that name none.
    pub(super) fn tags(&self, name: &ImageName) -> Vec<Tag> {
        let tag = |entry: &Value| -> Option<Tag> {
            let tag = annotation(entry, REF_NAME)?;
            let whole = annotation(entry, IMAGE_NAME);
            let is_of = whole.is_none_or(|whole| whole == format!("{name}:{tag}"));
            tag.parse().ok().filter(|_| is_of)
        };
        let tags: std::collections::BTreeSet<_> = self.manifests.iter().filter_map(tag).collect();
        tags.into_iter().collect()
    }

    /// Returns the digests of all entries, each once.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let entries = self.manifests.iter();
        let digests = entries.filter_map(|entry| entry["digest"].as_str()?.parse().ok());
        let digests: std::collections::BTreeSet<_> = digests.collect();
        digests.into_iter().collect()
    }

    /// Adds an entry for `manifest`; one with the same name and tag goes, and so do nameless ones
    /// of the manifests that it mentions.
    pub(super) fn put(
        &mut self,
        name: &ImageName,
        tag: Option<&Tag>,
        manifest: &Manifest,
        mentioned: &[Part],
    ) {
        let digest = manifest.digest();
        let listed = |entry: &Value| entry["digest"] == digest.as_str();
        if tag.is_none() && self.manifests.iter().any(listed) {
            return;
        }
        let whole = tag.map(|tag| format!("{name}:{tag}"));
        self.manifests.retain(|entry| {
            let nameless = annotation(entry, REF_NAME).is_none();
            let mentioned = mentioned.iter().any(|part| entry["digest"] == part.digest.as_str());
            let replaced = whole
                .as_ref()
                .is_some_and(|whole| has(entry, IMAGE_NAME, whole) || (nameless && listed(entry)));
            !(replaced || nameless && mentioned)
        });
        let mut entry = json!({
            "mediaType": manifest.media_type,
            "digest": digest.as_str(),
            "size": manifest.bytes.len(),
        });
        if let (Some(tag), Some(whole)) = (tag, whole) {
            entry["annotations"] = json!({IMAGE_NAME: whole, REF_NAME: tag.as_str()});
        }
        self.manifests.push(entry);
    }
}

fn annotation<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry["annotations"][key].as_str()
}

fn has(entry: &Value, key: &str, value: &str) -> bool {
    annotation(entry, key) == Some(value)
}

fn invalid(path: &Utf8Path, reason: String) -> RegistryError {
    RegistryError::Invalid { document: path.to_string(), expected: "image layout index", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest { media_type: "m".to_owned(), bytes: text.to_owned().into() }
    }

    fn find(index: &Index, reference: &str) -> Option<Digest> {
        let reference: crate::image::ImageReference = reference.parse().unwrap();
        index.find("index.json".into(), &reference.name, &reference.tag.unwrap()).unwrap()
    }

    #[test]
    fn repositories_do_not_take_one_anothers_tags() {
        let mut index = Index::default();
        let tag: Tag = "1".parse().unwrap();
        for name in ["shop/a", "shop/b", "shop/a"] {
            index.put(&name.parse().unwrap(), Some(&tag), &manifest(name), &[]);
        }
        let index = Index::parse("index.json".into(), &index.to_bytes()).unwrap();
        assert_eq!(index.manifests.len(), 2);
        assert_eq!(find(&index, "shop/b:1"), Some(Digest::of(b"shop/b")));
        assert_eq!(find(&index, "shop/c:1"), None);
    }

    #[test]
    fn entries_of_other_tools_are_found_by_tag_and_kept() {
        let digest = Digest::of(b"x");
        let text = json!({"schemaVersion": 2, "x": 1, "manifests":
            [{"digest": digest.as_str(), "annotations": {REF_NAME: "1"}}]});
        let mut index = Index::parse("index.json".into(), text.to_string().as_bytes()).unwrap();
        assert_eq!(find(&index, "shop/a:1"), Some(digest));
        index.put(&"shop/a".parse().unwrap(), None, &manifest("y"), &[]);
        let bytes = String::from_utf8(index.to_bytes()).unwrap();
        assert!(bytes.contains("\"x\": 1") && index.manifests.len() == 2, "{bytes}");
    }

    #[test]
    fn an_index_that_is_broken_is_named() {
        let error = Index::parse("d/index.json".into(), b"[]").err().unwrap().to_string();
        assert_eq!(error, "`d/index.json` is not a valid image layout index: it is not an object");
    }
}
