//! The images that the entries of a kustomization are looked up among.

use std::collections::BTreeMap;

use super::effect::{image_fields, images};
use super::kustomization::ImageEntry;
use super::transform::trace;
use crate::k8s::{Object, ObjectId};

/// What the entries of `images` find, as an overlay's rendering without them shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The images, each once, in order.
    pub images: Vec<String>,
    /// The images in fields that `images` passes over.
    pub unreached: Vec<Unreached>,
    /// Whether there are no objects at all.
    pub is_empty: bool,
}

/// An image in a field that `images` passes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The image.
    pub image: String,
    /// The kind of its object.
    pub kind: String,
    /// The field, as `configurations` would name it.
    pub field: String,
}

impl Incoming {
    /// Returns what `entries` find, from the renderings `without` and `with` them.
    ///
    /// Every list of containers is reached. Which other fields are depends on the version of kustomize
    /// and on files of `configurations`, so it is the renderer's answer that counts: a field that an
    /// entry is about and that is the same with and without it is not reached.
    pub fn of(entries: &[ImageEntry], without: &[Object], with: &[Object]) -> Self {
        let by_id: BTreeMap<ObjectId, &Object> =
            with.iter().map(|object| (object.id(), object)).collect();
        let (mut reached, mut unreached) = (Vec::new(), Vec::new());
        for (object, pointer, image) in image_fields(without) {
            let after = by_id.get(&object.id()).and_then(|after| after.value().pointer(&pointer));
            let stays = after.and_then(|after| after.as_str()) == Some(image);
            if stays && !is_of_container(&pointer) && trace(entries, image).result() != image {
                let (image, kind) = (image.to_owned(), object.kind().to_owned());
                unreached.push(Unreached { image, kind, field: path(&pointer) });
            } else if !reached.iter().any(|other| other == image) {
                reached.push(image.to_owned());
            }
        }
        Self { images: reached, unreached, is_empty: without.is_empty() }
    }

    /// Returns what an overlay's rendering shows where there is none without its entries.
    pub fn seen_in(objects: &[Object]) -> Self {
        Self { images: images(objects), unreached: Vec::new(), is_empty: objects.is_empty() }
    }
}

/// Whether `pointer` leads to `containers/0/image` or `initContainers/0/image`.
fn is_of_container(pointer: &str) -> bool {
    let mut keys = pointer.rsplit('/').skip(2);
    matches!(keys.next(), Some("containers" | "initContainers")) && pointer.ends_with("/image")
}

/// Returns the JSON pointer as kustomize writes a path: `spec/stalls[]/image`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for key in pointer.split('/').skip(1) {
        if key.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str("[]");
            continue;
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&key.replace("~1", "\\/").replace("~0", "~"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::Kustomization;
    use super::*;

    fn shop(image: &str, in_container: &str) -> Vec<Object> {
        let spec = format!(
            "{{stalls: [{{a/b: {{image: '{image}'}}}}], pod: {{containers: [{{image: '{in_container}'}}]}}}}"
        );
        let object =
            format!("{{apiVersion: a/v1, kind: Shop, metadata: {{name: a}}, spec: {spec}}}");
        Object::read_all(&object).unwrap()
    }

    #[test]
    fn a_field_that_stays_the_same_is_not_reached() {
        let file = Kustomization::parse(b"images: [{name: web, newTag: '2'}]").unwrap();
        let check = |without, with: Vec<Object>, images: &[&str], unreached: &[&str]| {
            let incoming = Incoming::of(file.images(), without, &with);
            assert_eq!(incoming.images, images);
            let fields = incoming.unreached.iter().map(|it| format!("{} {}", it.kind, it.field));
            assert_eq!(fields.collect::<Vec<_>>(), unreached);
        };
        let without = shop("web:1", "other");
        check(&without, shop("web:1", "other"), &["other"], &["Shop spec/stalls[]/a\\/b/image"]);
        check(&without, shop("web:2", "other"), &["web:1", "other"], &[]);
        // A container is always reached; whatever sets it back comes afterwards.
        check(&shop("x", "web:1"), shop("x", "web:1"), &["x", "web:1"], &[]);
        assert!(Incoming::of(file.images(), &[], &[]).is_empty);
    }
}
