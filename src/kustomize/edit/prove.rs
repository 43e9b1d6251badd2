//! Proof that an edit did what was asked for and nothing else.

use serde_yaml::Mapping;

use super::super::kustomization::{Field, ImageEntry, Kustomization, is_key};
use super::refuse::refused;
use super::{EditError, Plan};
use crate::yaml::splice::{is_text, same_entry, second};
use crate::yaml::{self, Document, Node, resolves_to_string};

/// Fails unless `after` is `before` with the entries of `plan`, and everything else the same.
pub(super) fn only_images_differ(
    before: &Kustomization,
    after: &Kustomization,
    plan: &Plan,
) -> Result<(), EditError> {
    let wrong = |what: &str| Err(refused(before.document(), 0, what));
    let images = after.images();
    if images.len() != plan.entries.len()
        || !images.iter().zip(&plan.entries).all(|(a, b)| a.agrees(b))
    {
        return wrong("the images would read back differently");
    }
    if !same_outside_images(before.document(), after.document()) {
        return wrong("more than the images would change");
    }
    for (index, entry) in images.iter().enumerate() {
        let node = item(after, index);
        let old = match plan.arrange {
            true => before.images().iter().position(|old| old.name == entry.name),
            false => (index < before.images().len()).then_some(index),
        };
        let is_sound = match old {
            Some(old) => same_but_changes(item(before, old), &before.images()[old], node, entry),
            None => node.is_some_and(|node| node.entries().iter().all(|e| is_text(&e.value))),
        };
        if !is_sound {
            return wrong("more of an image than was asked for would change");
        }
    }
    match second_opinion(before.document().text(), after.document().text(), plan) {
        true => Ok(()),
        false => wrong("kustomize would read the result in another way"),
    }
}

/// Whether libyaml, which kustomize's parser is a port of, reads the same images, and the rest as
/// before. A file that it could not read before tells nothing.
fn second_opinion(before: &str, after: &str, plan: &Plan) -> bool {
    let Some(before) = second::read(before) else { return true };
    let Some(after) = second::read(after) else { return false };
    let (empty, is_images) = (Mapping::new(), |key: &serde_yaml::Value| {
        key.as_str().is_some_and(|text| text.eq_ignore_ascii_case("images"))
    });
    let [before, after] = [&before, &after].map(|root| root.as_mapping().unwrap_or(&empty));
    let others = |root| Mapping::iter(root).filter(|(key, _)| !is_images(key));
    let images = after.iter().find(|(key, _)| is_images(key)).and_then(|(_, v)| v.as_sequence());
    let images = images.map_or(&[][..], Vec::as_slice);
    others(before).eq(others(after))
        && images.len() == plan.entries.len()
        && images.iter().zip(&plan.entries).all(|(item, entry)| agrees(item, entry))
}

/// Whether the item says what the entry does; what is no text for libyaml was there before.
fn agrees(item: &serde_yaml::Value, entry: &ImageEntry) -> bool {
    let Some(item) = item.as_mapping() else { return false };
    Field::ALL.into_iter().all(|field| {
        let is_field = |key: &serde_yaml::Value| {
            key.as_str().is_some_and(|text| text.eq_ignore_ascii_case(field.key()))
        };
        let value = item.iter().find(|(key, _)| is_field(key)).map(|(_, value)| value);
        match value.filter(|value| !value.is_null()) {
            Some(serde_yaml::Value::String(text)) => entry.get(field).unwrap_or_default() == text,
            Some(_) => entry.get(field).is_some_and(|text| !resolves_to_string(text)),
            None => entry.get(field).is_none(),
        }
    })
}

/// Whether both documents say the same except below `images`.
pub(super) fn same_outside_images(before: &Document, after: &Document) -> bool {
    let (a, b) = (others(before), others(after));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_entry(a, b))
}

fn others(document: &Document) -> Vec<&yaml::Entry> {
    document.root().entries().iter().filter(|entry| !is_key(entry, "images")).collect()
}

fn item(file: &Kustomization, index: usize) -> Option<&Node> {
    super::list::images(file).and_then(|images| images.value.items().get(index))
}

/// Whether fields that did not change are written with the same meaning, and fields that did are
/// texts for every reader.
fn same_but_changes(
    old: Option<&Node>,
    old_entry: &ImageEntry,
    new: Option<&Node>,
    new_entry: &ImageEntry,
) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return false;
    };
    let changed = |entry: &yaml::Entry| {
        let field = Field::ALL.into_iter().find(|field| is_key(entry, field.key()));
        field.is_some_and(|field| old_entry.get(field) != new_entry.get(field))
    };
    let a: Vec<_> = old.entries().iter().filter(|entry| !changed(entry)).collect();
    let b: Vec<_> = new.entries().iter().filter(|entry| !changed(entry)).collect();
    let texts = new.entries().iter().filter(|entry| changed(entry)).all(|e| is_text(&e.value));
    texts && a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_entry(a, b))
}
