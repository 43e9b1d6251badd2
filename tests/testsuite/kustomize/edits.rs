//! Edits checked by readers that are not deployctl's: libyaml says what the result means, a byte
//! comparison says where it changed, and yaml-edit is asked to make the same change. Where
//! it makes one, it must mean the same; no difference is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deployctl::image::PinnedImage;
use deployctl::kustomize::{FILE_NAMES, ImageChange, Kustomization, Setting, set_images};
use serde_yaml::Value;

use super::{laws, oracle};
use crate::conformance::cases_file;
use crate::support::data::files_below;
use crate::support::peer;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is done to an entry: each field kept (`None`), cleared (empty) or set.
pub(super) struct Wanted {
    pub(super) kind: &'static str,
    pub(super) new_name: Option<&'static str>,
    pub(super) new_tag: Option<&'static str>,
    pub(super) digest: Option<&'static str>,
}

/// Every kind of change. The tag is a number to some readers of YAML, and must not become one.
pub(super) const CHANGES: [Wanted; 5] = [
    Wanted { kind: "tag", new_name: None, new_tag: Some("1e3"), digest: Some("") },
    Wanted { kind: "digest", new_name: None, new_tag: Some(""), digest: Some(DIGEST) },
    Wanted { kind: "newName", new_name: Some("r.example.com:5000/x"), new_tag: None, digest: None },
    Wanted { kind: "tag and digest", new_name: None, new_tag: Some("v1.2"), digest: Some(DIGEST) },
    Wanted { kind: "nothing", new_name: Some(""), new_tag: Some(""), digest: Some("") },
];

impl Wanted {
    pub(super) fn fields(&self) -> [(&'static str, Option<&'static str>); 3] {
        [("newName", self.new_name), ("newTag", self.new_tag), ("digest", self.digest)]
    }

    pub(super) fn change(&self, name: &str) -> ImageChange {
        let setting = |value: Option<&str>| match value {
            None => Setting::Keep,
            Some("") => Setting::Clear,
            Some(text) => Setting::Set(text.to_owned()),
        };
        ImageChange::Fields {
            name: name.to_owned(),
            new_name: setting(self.new_name),
            new_tag: setting(self.new_tag),
            digest: setting(self.digest),
        }
    }

    /// Returns the document as it should be afterwards.
    fn intended(&self, mut document: Value, name: &str) -> Value {
        if document.is_null() {
            document = Value::Mapping(serde_yaml::Mapping::new());
        }
        let root = document.as_mapping_mut().unwrap();
        let images = root.entry("images".into()).or_insert(Value::Null);
        if images.is_null() {
            *images = Value::Sequence(Vec::new());
        }
        let images = images.as_sequence_mut().unwrap();
        let position = images.iter().position(|entry| entry["name"] == name);
        let position = position.unwrap_or_else(|| {
            images.push(Value::Mapping([("name".into(), name.into())].into_iter().collect()));
            images.len() - 1
        });
        let entry = images[position].as_mapping_mut().unwrap();
        for (field, value) in self.fields() {
            match value {
                None => {}
                Some("") => drop(entry.remove(field)),
                Some(text) => drop(entry.insert(field.into(), text.into())),
            }
        }
        document
    }
}

pub(super) fn read(text: &str) -> Value {
    serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// Makes the change and fails if the result is wrong in any way; returns whether yaml-edit made
/// it too, or why it was refused.
pub(super) fn check(text: &str, name: &str, wanted: &Wanted) -> Result<bool, String> {
    let change = wanted.change(name);
    let kind = wanted.kind;
    let edit = match set_images(text.as_bytes(), std::slice::from_ref(&change)) {
        Ok(edit) => edit,
        Err(error) => return Err(error.to_string()),
    };
    let after = String::from_utf8(edit.bytes).unwrap();
    let intended = wanted.intended(read(text), name);
    assert_eq!(read(&after), intended, "{kind} of {name}:\n{text}\n--- became\n{after}");
    let kustomization = Kustomization::parse(text.as_bytes()).unwrap();
    let entry = kustomization.images().iter().find(|entry| entry.name == name);
    laws::only_there(text, &after, entry);
    let again = set_images(after.as_bytes(), &[change]).unwrap();
    assert!(!again.changed, "{kind} of {name} a second time:\n{after}");
    assert_eq!(again.bytes, after.as_bytes(), "{kind} of {name} a second time");
    Ok(oracle::agrees(text, name, wanted, &intended))
}

#[test]
fn every_real_kustomization_changes_only_in_the_image() {
    let Some(archive) = cases_file("kustomize-real.tar.xz") else { return };
    if peer("xz").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut tar = std::process::Command::new("tar");
    assert!(tar.arg("-xJf").arg(archive).arg("-C").arg(folder.path()).status().unwrap().success());
    let (mut edited, mut refused, mut created) = (0, BTreeMap::<String, usize>::new(), 0);
    let mut agreed = 0;
    let files = kustomizations(folder.path());
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let kustomization = Kustomization::parse(text.as_bytes()).unwrap();
        created += usize::from(kustomization.images().is_empty());
        let names = kustomization.images().iter().map(|entry| entry.name.as_str());
        for name in names.chain(["registry.example.com/not/there"]) {
            for wanted in &CHANGES {
                match check(&text, name, wanted) {
                    Ok(agrees) => {
                        edited += 1;
                        agreed += usize::from(agrees);
                    }
                    Err(reason) => *refused.entry(reason).or_default() += 1,
                }
            }
        }
    }
    eprintln!(
        "kustomize-real: {} files, {edited} edits right, 0 wrong, {} refused {refused:?}; \
         `images:` created in {created}; yaml-edit agrees in all {agreed} that it makes",
        files.len(),
        refused.values().sum::<usize>(),
    );
    assert!(refused.is_empty(), "{refused:?}");
    assert!(files.len() > 200 && edited > 1500 && created > 100 && agreed > 300, "{edited} edits");
}

fn kustomizations(folder: &Path) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    files.retain(|path| FILE_NAMES.iter().any(|name| path.ends_with(name)));
    files
}

#[test]
fn a_pinned_image_is_stated_as_the_policy_says() {
    let image: PinnedImage = format!("r.example.com/a:v1@{DIGEST}").parse().unwrap();
    for policy in
        [deployctl::image::DigestPolicy::TagAndDigest, deployctl::image::DigestPolicy::Digest]
    {
        let pin = ImageChange::pin("a", policy.written(&image));
        let edit = set_images(b"images:\n- name: a\n  newTag: old\n", &[pin]).unwrap();
        let entry = &edit.images[0];
        let tag = (policy == deployctl::image::DigestPolicy::TagAndDigest).then_some("v1");
        assert_eq!((entry.new_tag.as_deref(), entry.digest.as_deref()), (tag, Some(DIGEST)));
    }
}
