//! Files that are not edited, since nobody knows for certain what they mean.

use std::collections::{HashMap, HashSet};

use super::EditError;
use crate::kustomize::kustomization::{ImageEntry, Kustomization, is_key};
use crate::yaml::{self, Document, Node, Value};

/// A file that is written so that only one step goes at a time is read again for each of them, so
/// there is a limit to how long that may go on.
const MOST_IMAGES: usize = 2000;

/// The build takes the last of two entries and `kustomize edit` the first, so neither is meant for
/// certain.
pub(in crate::kustomize) fn refuse_duplicates(file: &Kustomization) -> Result<(), EditError> {
    let mut seen: HashMap<&str, &ImageEntry> = HashMap::new();
    for entry in file.images().iter().filter(|entry| !entry.name.is_empty()) {
        if let Some(first) = seen.insert(&entry.name, entry) {
            return Err(EditError::Duplicate {
                name: entry.name.clone(),
                first: file.line(first),
                second: file.line(entry),
            });
        }
    }
    Ok(())
}

pub(super) fn refuse_unknown_shapes(file: &Kustomization) -> Result<(), EditError> {
    let document = file.document();
    if let Some(entry) = file.images().get(MOST_IMAGES) {
        let reason = format!("more than {MOST_IMAGES} images");
        return Err(refused(document, entry.span.start, &reason));
    }
    let entries = document.root().entries();
    let is_images = |entry: &&yaml::Entry| is_key(entry, "images");
    if let Some(second) = entries.iter().filter(is_images).nth(1) {
        return Err(refused(document, second.key.span.start, "`images` is there twice"));
    }
    if let Some(old) = entries.iter().find(|entry| is_key(entry, "imageTags")) {
        let reason = "`imageTags` is the old name of `images`; rename it first";
        return Err(refused(document, old.key.span.start, reason));
    }
    if let Some(merge) = entries.iter().find(|entry| entry.key.as_str() == Some("<<")) {
        let reason = "a merge key (`<<`) may bring images of its own";
        return Err(refused(document, merge.key.span.start, reason));
    }
    match entries.iter().find(is_images) {
        Some(images) if matches!(images.value.value, Value::Alias(_)) => {
            Err(refused(document, images.value.span.start, "`images` is an alias"))
        }
        _ => Ok(()),
    }
}

/// Fails if another part of the document could change along with `node`, or the other way round.
pub(super) fn refuse_shared(document: &Document, node: &Node) -> Result<(), EditError> {
    for part in node.walk() {
        let reason = match &part.value {
            Value::Alias(_) => "an alias is in the way",
            Value::Mapping(entries, _) => match repeated_key(entries) {
                Some(key) => {
                    return Err(refused(document, key.span.start, "this key is there twice"));
                }
                None if entries.iter().any(|entry| entry.key.as_str() == Some("<<")) => {
                    "a merge key (`<<`) is in the way"
                }
                None => "",
            },
            _ => "",
        };
        if part.anchor.is_some() {
            return Err(refused(document, part.start(), "an anchor is in the way"));
        }
        if !reason.is_empty() {
            return Err(refused(document, part.start(), reason));
        }
    }
    Ok(())
}

fn repeated_key(entries: &[yaml::Entry]) -> Option<&Node> {
    let mut seen = HashSet::new();
    let is_repeated =
        |key: &&Node| key.as_str().is_some_and(|text| !seen.insert(text.to_ascii_lowercase()));
    entries.iter().map(|entry| &entry.key).find(is_repeated)
}

pub(super) fn refused(document: &Document, at: usize, reason: &str) -> EditError {
    EditError::Refused { line: document.position(at).line, reason: reason.to_owned() }
}
