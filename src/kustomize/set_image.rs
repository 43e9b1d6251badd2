//! The arguments of `kustomize edit set image`, under kustomize's rules or our own.
//!
//! Grammar and rules are read from kustomize's `kustomize/commands/edit/set/setimage.go` and
//! `api/internal/image/image.go`.

use super::edit::{Edit, EditError, ImageChange, Plan, Setting, edit, set_images};
use super::kustomization::{ImageEntry, Kustomization};

/// What an argument does to what it does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Our own: the order stays; `newName` and `tagSuffix` stay unless named; a tag or a digest
    /// replaces tag and digest; a new name alone keeps both. Two entries of one name are refused.
    #[default]
    Careful,
    /// The list that kustomize writes: sorted by name, only the first of two entries of one name,
    /// and in an entry that an argument names only what the argument says. The rest of the file
    /// keeps its bytes, which in kustomize it does not.
    Kustomize,
}

/// Returns the kustomization file `text` with the images that `arguments` name set.
///
/// An argument is `[NAME=]IMAGE[:TAG][@DIGEST]`; `*` as new name, tag or digest stands for what the
/// file says.
///
/// # Errors
///
/// Fails if there is no argument, an argument is not in the grammar, or as [`set_images`].
pub fn set_image<S: AsRef<str>>(
    text: &[u8],
    arguments: &[S],
    rules: Rules,
) -> Result<Edit, EditError> {
    if arguments.is_empty() {
        return Err(EditError::NoArguments);
    }
    let arguments = arguments.iter().map(|argument| ImageArgument::parse(argument.as_ref()));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    match rules {
        Rules::Careful => {
            let changes: Vec<_> = arguments.iter().map(ImageArgument::careful).collect();
            set_images(text, &changes)
        }
        Rules::Kustomize => edit(text, |file| Ok(as_kustomize(file, &arguments))),
    }
}

/// An argument, taken apart. `*` stands for what the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageArgument {
    /// The entry's name.
    pub name: String,
    /// `None` without `=`.
    pub new_name: Option<String>,
    /// `None` without `:`.
    pub tag: Option<String>,
    /// `None` without `@`.
    pub digest: Option<String>,
}

/// Stands for what the file says.
const KEEP: &str = "*";

impl ImageArgument {
    /// Returns what `argument` says.
    ///
    /// # Errors
    ///
    /// Fails if it is a bare name, which changes nothing.
    pub fn parse(argument: &str) -> Result<Self, EditError> {
        let (key, value) = argument.split_once('=').unwrap_or(("", argument));
        let (name, tag, digest) = split(value);
        if name == argument {
            return Err(EditError::Argument { argument: argument.to_owned() });
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (entry, new_name) = if key.is_empty() { (name, None) } else { (key, Some(name)) };
        Ok(Self {
            name: entry.to_owned(),
            new_name: owned(new_name),
            tag: owned(tag),
            digest: owned(digest),
        })
    }

    fn careful(&self) -> ImageChange {
        let setting = |value: &Option<String>, absent: Setting| match value.as_deref() {
            None => absent,
            Some(KEEP) => Setting::Keep,
            Some("") => Setting::Clear,
            Some(text) => Setting::Set(text.to_owned()),
        };
        // A tag beside the digest of another image would be ignored, and the other way round it
        // would mislead, so one that is named takes the other away.
        let names_version = self.tag.is_some() || self.digest.is_some();
        let absent = if names_version { Setting::Clear } else { Setting::Keep };
        ImageChange::Fields {
            name: self.name.clone(),
            new_name: setting(&self.new_name, Setting::Keep),
            new_tag: setting(&self.tag, absent.clone()),
            digest: setting(&self.digest, absent),
        }
    }

    /// Returns the entry that kustomize writes over `old`.
    pub fn over(&self, old: Option<&ImageEntry>) -> ImageEntry {
        let value = |new: &Option<String>, old: Option<&String>| match new.as_deref() {
            Some(KEEP) => old.cloned(),
            Some("") | None => None,
            Some(text) => Some(text.to_owned()),
        };
        ImageEntry {
            name: self.name.clone(),
            new_name: value(&self.new_name, old.and_then(|old| old.new_name.as_ref())),
            new_tag: value(&self.tag, old.and_then(|old| old.new_tag.as_ref())),
            digest: value(&self.digest, old.and_then(|old| old.digest.as_ref())),
            tag_suffix: None,
            span: 0..0,
        }
    }
}

/// Returns name, tag and digest of an image as kustomize splits it: the first `:` or `@` behind the
/// first `/` decides, so a registry's port is passed over only where a path follows.
pub(crate) fn split(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let offset = image.find('/').unwrap_or(0);
    let rest = &image[offset..];
    let (colon, at) = (rest.find(':'), rest.find('@'));
    match (colon, at) {
        (None, None) => (image, None, None),
        (Some(colon), None) => (&image[..offset + colon], Some(&rest[colon + 1..]), None),
        (Some(colon), Some(at)) if colon < at => {
            (&image[..offset + colon], Some(&rest[colon + 1..at]), Some(&rest[at + 1..]))
        }
        (_, Some(at)) => (&image[..offset + at], None, Some(&rest[at + 1..])),
    }
}

fn as_kustomize(file: &Kustomization, arguments: &[ImageArgument]) -> Plan {
    let mut entries: Vec<ImageEntry> = Vec::new();
    for argument in arguments.iter().rev() {
        if entries.iter().all(|entry| entry.name != argument.name) {
            let old = file.images().iter().find(|old| old.name == argument.name);
            entries.push(argument.over(old));
        }
    }
    for old in file.images() {
        if entries.iter().all(|entry| entry.name != old.name) {
            entries.push(old.clone());
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Plan { entries, arrange: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: Rules, before: &str, arguments: &str, after: &str) {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let edit = set_image(before.as_bytes(), &arguments, rules).unwrap();
        assert_eq!(String::from_utf8(edit.bytes).unwrap(), after);
        assert_eq!(edit.changed, before != after);
        assert!(!set_image(after.as_bytes(), &arguments, rules).unwrap().changed);
    }

    const ENTRY: &str = "images: [{name: a, newName: r/a, newTag: v1, digest: d, tagSuffix: -x}]";

    #[test]
    fn our_rules_keep_what_is_not_named() {
        let check = |argument, entry: &str| {
            check(Rules::Careful, ENTRY, argument, &format!("images: [{{name: a, {entry}}}]"));
        };
        check("a:v2", "newName: r/a, newTag: v2, tagSuffix: -x");
        check("a@e", "newName: r/a, digest: e, tagSuffix: -x");
        check("a:v2@e", "newName: r/a, newTag: v2, digest: e, tagSuffix: -x");
        check("a=r/b", "newName: r/b, newTag: v1, digest: d, tagSuffix: -x");
        check("a=r/b:v2", "newName: r/b, newTag: v2, tagSuffix: -x");
        check("a=*:*@e", "newName: r/a, newTag: v1, digest: e, tagSuffix: -x");
        check("a=*", "newName: r/a, newTag: v1, digest: d, tagSuffix: -x");
        check("a=", "newTag: v1, digest: d, tagSuffix: -x");
        check("a:", "newName: r/a, tagSuffix: -x");
    }

    #[test]
    fn kustomizes_rules_write_only_what_is_named() {
        let check = |argument, entry: &str| {
            check(Rules::Kustomize, ENTRY, argument, &format!("images: [{{name: a{entry}}}]"));
        };
        check("a:v2", ", newTag: v2");
        check("a@e", ", digest: e");
        check("a=r/b", ", newName: r/b");
        check("a=*:v2", ", newName: r/a, newTag: v2");
        check("a=*", ", newName: r/a");
        check("a:*", ", newTag: v1");
        check("a=*:*@*", ", newName: r/a, newTag: v1, digest: d");
        check("=a:v2", ", newTag: v2");
    }

    #[test]
    fn our_rules_keep_the_order_and_kustomizes_sort() {
        let before = "images:\n# about c\n- name: c # c\n  newTag: x\n\n# about a\n- name: a\n  newTag: y\n# end\nz: 1\n";
        check(
            Rules::Careful,
            before,
            "b:v1",
            "images:\n# about c\n- name: c # c\n  newTag: x\n\n# about a\n- name: a\n  newTag: y\n\n- name: b\n  newTag: v1\n# end\nz: 1\n",
        );
        check(
            Rules::Kustomize,
            before,
            "b:v1",
            "images:\n# about a\n- name: a\n  newTag: y\n- name: b\n  newTag: v1\n\n# about c\n- name: c # c\n  newTag: x\n# end\nz: 1\n",
        );
        check(
            Rules::Kustomize,
            "images: [{name: b}, {name: a, newTag: x}]",
            "a:z",
            "images: [{name: a, newTag: z}, {name: b}]",
        );
        check(
            Rules::Kustomize,
            "images:\n- name: b\n- name: a",
            "b:x",
            "images:\n- name: a\n- name: b\n  newTag: x",
        );
        check(
            Rules::Kustomize,
            "images:\n- name: b\n",
            "a:x",
            "images:\n- name: a\n  newTag: x\n- name: b\n",
        );
    }

    #[test]
    fn of_two_entries_kustomizes_rules_keep_the_first_and_ours_refuse() {
        let before = "images:\n- name: app\n  newTag: a\n# second\n- name: app\n  newTag: b\n";
        check(
            Rules::Kustomize,
            before,
            "other:v1",
            "images:\n- name: app\n  newTag: a\n- name: other\n  newTag: v1\n# second\n",
        );
        let error = set_image(before.as_bytes(), &["other:v1"], Rules::Careful).unwrap_err();
        assert_eq!(error.line(), Some(5));
        check(
            Rules::Kustomize,
            "images: [{name: a}, {name: a, digest: d}]",
            "a:x",
            "images: [{name: a, newTag: x}]",
        );
    }

    #[test]
    fn arguments_that_say_nothing_are_refused() {
        let none: [&str; 0] = [];
        assert_eq!(set_image(b"", &none, Rules::Careful), Err(EditError::NoArguments));
        for argument in ["bad", "", "localhost:5000/app", "app:feat/x"] {
            for rules in [Rules::Careful, Rules::Kustomize] {
                let error = set_image(b"", &["a:b", argument], rules).unwrap_err();
                assert_eq!(error, EditError::Argument { argument: argument.to_owned() });
            }
        }
    }

    #[test]
    fn a_registry_port_is_no_tag() {
        let split = |image| split(image);
        assert_eq!(split("localhost:5000/app:v1"), ("localhost:5000/app", Some("v1"), None));
        assert_eq!(split("localhost:5000"), ("localhost", Some("5000"), None));
        assert_eq!(split("a@d:x"), ("a", None, Some("d:x")));
        assert_eq!(split("a:b@c@d"), ("a", Some("b"), Some("c@d")));
        assert_eq!(split("/a:b"), ("/a", Some("b"), None));
    }
}
