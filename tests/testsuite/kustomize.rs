//! Edits of real kustomizations, checked by other YAML readers.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use deployctl::kustomize::{FILE_NAMES, ImageChange, Kustomization, Setting, set_images};
use serde_yaml::Value;

use crate::conformance::cases_file;

const TAG: &str = "1e3";

#[test]
fn real_kustomizations_change_only_in_the_image() {
    let Some(archive) = cases_file("kustomize-real.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut tar = std::process::Command::new("tar");
    assert!(tar.arg("-xJf").arg(archive).arg("-C").arg(folder.path()).status().unwrap().success());
    let mut edits = 0;
    for path in kustomizations(folder.path()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let kustomization = Kustomization::parse(text.as_bytes()).unwrap();
        for entry in kustomization.images() {
            edits += 1;
            check(&path, &text, &entry.name);
        }
        edits += 1;
        check(&path, &text, "registry.example.com/not/there");
    }
    eprintln!("kustomize-real: {edits} edits");
    assert!(edits > 300, "{edits} edits");
}

fn kustomizations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(kustomizations(&path));
        } else if FILE_NAMES.iter().any(|name| path.ends_with(name)) {
            found.push(path);
        }
    }
    found
}

/// Sets the tag of the image `name` and compares with what libyaml reads and what yaml-edit writes.
fn check(path: &Path, text: &str, name: &str) {
    let path = path.display();
    let change = ImageChange::Fields {
        name: name.to_owned(),
        new_name: Setting::Keep,
        new_tag: Setting::Set(TAG.to_owned()),
        digest: Setting::Clear,
    };
    let edit = set_images(text.as_bytes(), std::slice::from_ref(&change))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let after = String::from_utf8(edit.bytes).unwrap();
    let read = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    assert_eq!(read(&after), intended(read(text), name), "{path}: {name}\n{after}");
    assert!(!set_images(after.as_bytes(), &[change]).unwrap().changed, "{path}: {name} again");
    let differences = similar::TextDiff::from_lines(text, &after);
    let changed = differences.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal);
    assert!(changed.count() <= 6, "{path}: {name}\n{after}");
    if let Some(other) = by_yaml_edit(text, name) {
        assert_eq!(read(&other), read(&after), "{path}: {name}: yaml-edit differs");
    }
}

/// Returns the document as it should be afterwards.
fn intended(mut document: Value, name: &str) -> Value {
    let root = document.as_mapping_mut().unwrap();
    let images = root.entry("images".into()).or_insert(Value::Sequence(Vec::new()));
    let images = images.as_sequence_mut().unwrap();
    let position = images.iter().position(|entry| entry["name"] == name).unwrap_or_else(|| {
        images.push(serde_yaml::from_str(&format!("name: {name}")).unwrap());
        images.len() - 1
    });
    let entry = images[position].as_mapping_mut().unwrap();
    entry.remove("digest");
    entry.insert("newTag".into(), TAG.into());
    document
}

/// Returns the text with the tag set by yaml-edit, or `None` where the entry has no tag and no
/// digest to replace, which yaml-edit would write in another place.
fn by_yaml_edit(text: &str, name: &str) -> Option<String> {
    let document = yaml_edit::Document::from_str(text).ok()?;
    let images = document.as_mapping()?.get_sequence("images")?;
    let values: Vec<_> = images.values().collect();
    let entry = values.iter().find_map(|value| {
        let entry = value.as_mapping()?;
        let is_named = entry.get("name")?.as_scalar()?.as_string() == name;
        is_named.then(|| entry.clone())
    })?;
    entry.get("newTag")?;
    entry.set("newTag", TAG);
    entry.remove("digest");
    Some(document.to_string())
}
