//! Proof that an edit did what was asked for and nothing else.

use super::super::kustomization::{Field, ImageEntry, Kustomization, is_key};
use super::{EditError, Plan, refused};
use crate::yaml::{self, Document, Node, ScalarStyle, Value, resolves_to_string};

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
    Ok(())
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

/// Whether every reader takes the node for a text.
fn is_text(node: &Node) -> bool {
    let is_tagged = node.tag.as_ref().is_some_and(|tag| tag.name == "tag:yaml.org,2002:str");
    match &node.value {
        Value::Scalar(text, ScalarStyle::Plain) => is_tagged || resolves_to_string(text),
        Value::Scalar(..) => true,
        _ => false,
    }
}

fn same_entry(a: &yaml::Entry, b: &yaml::Entry) -> bool {
    same(&a.key, &b.key) && same(&a.value, &b.value)
}

/// Whether both nodes mean the same and are written in the same style. Recursion is bounded by the
/// nesting that a document may have.
fn same(a: &Node, b: &Node) -> bool {
    let same_tag = a.tag.as_ref().map(|tag| &tag.name) == b.tag.as_ref().map(|tag| &tag.name);
    let anchor = |node: &Node| node.anchor.as_ref().map(|anchor| anchor.id);
    let value = match (&a.value, &b.value) {
        (Value::Sequence(a, x), Value::Sequence(b, y)) => {
            x == y && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a, x), Value::Mapping(b, y)) => {
            x == y && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_entry(a, b))
        }
        (a, b) => a == b,
    };
    value && same_tag && anchor(a) == anchor(b)
}
