//! What an edit of `images` did to the rendering: the image that was asked for, and nothing else.
//!
//! Two renderings are compared field by field. A change is asked for where a field about images goes
//! from an image that the edited entry is about to exactly the one it states. Rendering is left to
//! [`crate::render`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::kustomization::{ImageEntry, Kustomization};
use super::transform::name_of;
use crate::k8s::{Object, ObjectId};

/// A field that two renderings differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The object.
    pub object: ObjectId,
    /// The field, as a JSON pointer; empty for the whole object.
    pub pointer: String,
    /// What it was; `None` if it was not there.
    pub before: Option<Value>,
    /// What it is; `None` if it is gone.
    pub after: Option<Value>,
}

/// An entry that an edit has written or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which entry of the file it is.
    pub index: usize,
    /// Its `name`.
    pub name: String,
    /// The line that it begins on.
    pub line: usize,
    /// The image that it states, as it is rendered.
    pub reference: String,
    /// The names that its containers had before it.
    from: BTreeSet<String>,
}

/// What an edit did to a rendering.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    /// What was asked for.
    pub asked: Vec<FieldChange>,
    /// Everything else.
    pub others: Vec<FieldChange>,
}

/// Returns the entries of `after` that `before` does not have, wherever they stand.
pub fn asked(before: &Kustomization, after: &Kustomization) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (index, entry) in after.images().iter().enumerate() {
        if before.images().iter().any(|old| old.agrees(entry)) {
            continue;
        }
        let old = before.images().iter().rfind(|old| old.name == entry.name);
        let names = old.into_iter().map(ImageEntry::effective_name);
        let names = names.chain([entry.name.as_str(), entry.effective_name()]);
        asked.push(Asked {
            index,
            name: entry.name.clone(),
            line: after.line(entry),
            reference: entry.reference(),
            from: names.map(|name| name_of(name).to_owned()).collect(),
        });
    }
    asked
}

impl Asked {
    /// Returns whether `change` is what the entry is for: a field about images goes to its image.
    pub fn covers(&self, change: &FieldChange) -> bool {
        is_about_images(&change.pointer) && self.made(change)
    }

    /// Returns whether `change` goes to the entry's image, in whatever field.
    pub fn made(&self, change: &FieldChange) -> bool {
        let text = |value: &'_ Option<Value>| value.as_ref()?.as_str().map(str::to_owned);
        let Some((before, after)) = text(&change.before).zip(text(&change.after)) else {
            return false;
        };
        after == self.reference && self.from.contains(name_of(&before))
    }

    /// Returns whether a field of `objects` about images says what the entry states.
    pub fn is_in(&self, objects: &[Object]) -> bool {
        images(objects).contains(&self.reference)
    }
}

/// Returns what differs between two renderings, sorted into what `asked` is about and the rest.
pub fn effect(asked: &[Asked], before: &[Object], after: &[Object]) -> Effect {
    let is_asked = |change: &FieldChange| asked.iter().any(|entry| entry.covers(change));
    let (asked, others) = differences(before, after).into_iter().partition(is_asked);
    Effect { asked, others }
}

/// Returns `objects` with the changes taken back.
pub fn without(objects: &[Object], changes: &[FieldChange]) -> Vec<Object> {
    let mut of: BTreeMap<&ObjectId, Vec<&FieldChange>> = BTreeMap::new();
    for change in changes {
        of.entry(&change.object).or_default().push(change);
    }
    let taken_back = objects.iter().map(|object| {
        let mut value = object.value().clone();
        for change in of.get(&object.id()).into_iter().flatten() {
            if let (Some(field), Some(before)) =
                (value.pointer_mut(&change.pointer), &change.before)
            {
                *field = before.clone();
            }
        }
        Object::new(value).unwrap_or_else(|| object.clone())
    });
    taken_back.collect()
}

/// Returns the images that kustomize's `images` are looked up among: of every list `containers` or
/// `initContainers` at any depth of any kind but `CustomResourceDefinition`, and what other fields
/// say about images. Each once, in order.
pub fn images(objects: &[Object]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, _, image) in image_fields(objects) {
        if !found.iter().any(|other| other == image) {
            found.push(image.to_owned());
        }
    }
    found
}

/// Returns the fields of [`images`], in order: the object, the field as a JSON pointer, the image.
pub(super) fn image_fields(objects: &[Object]) -> Vec<(&Object, String, &str)> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|object| object.kind() != "CustomResourceDefinition") {
        texts(object.value(), &mut String::new(), &mut |pointer, text| {
            if is_about_images(pointer) {
                found.push((object, pointer.to_owned(), text));
            }
        });
    }
    found
}

/// Whether the field at `pointer` is about an image: `containers/0/image` anywhere, an image volume's
/// `image/reference`, or one that a `configurations` file may name, such as `spec/runnerImage`.
fn is_about_images(pointer: &str) -> bool {
    let mut keys = pointer.rsplit('/');
    let (last, parent) = (keys.next().unwrap_or_default(), keys.next().unwrap_or_default());
    let last = last.to_ascii_lowercase();
    last.ends_with("image") || (last == "reference" && parent == "image")
}

/// Recursion is bounded by the nesting that a document may have.
fn texts<'a>(value: &'a Value, pointer: &mut String, visit: &mut dyn FnMut(&str, &'a str)) {
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                within(pointer, &index.to_string(), |pointer| texts(item, pointer, visit));
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                within(pointer, key, |pointer| texts(field, pointer, visit));
            }
        }
        _ => {}
    }
}

/// Calls `work` with the pointer one step deeper.
fn within(pointer: &mut String, step: &str, work: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    work(pointer);
    pointer.truncate(length);
}

/// Returns the fields that differ, in the order of `before`, then the objects that are new.
pub fn differences(before: &[Object], after: &[Object]) -> Vec<FieldChange> {
    let mut left: BTreeMap<ObjectId, Vec<&Object>> = BTreeMap::new();
    for object in after.iter().rev() {
        left.entry(object.id()).or_default().push(object);
    }
    let mut changes = Vec::new();
    for old in before {
        let object = old.id();
        let new = left.get_mut(&object).and_then(Vec::pop).map(Object::value);
        compare(&object, Some(old.value()), new, &mut String::new(), &mut changes);
    }
    for (object, objects) in left {
        for new in objects.into_iter().rev() {
            compare(&object, None, Some(new.value()), &mut String::new(), &mut changes);
        }
    }
    changes
}

fn compare(
    object: &ObjectId,
    before: Option<&Value>,
    after: Option<&Value>,
    pointer: &mut String,
    changes: &mut Vec<FieldChange>,
) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                within(pointer, key, |pointer| {
                    compare(object, old.get(key), new.get(key), pointer, changes);
                });
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                within(pointer, &index.to_string(), |pointer| {
                    compare(object, Some(old), Some(new), pointer, changes);
                });
            }
        }
        (before, after) => changes.push(FieldChange {
            object: object.clone(),
            pointer: pointer.clone(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(yaml: &str) -> Vec<Object> {
        Object::read_all(yaml).unwrap()
    }

    fn file(images: &str) -> Kustomization {
        Kustomization::parse(format!("images: [{images}]").as_bytes()).unwrap()
    }

    /// What changes from `before` to `after` where the entry of `app` becomes `app:2`: which fields
    /// are asked for, and which are not.
    fn check(before: &str, after: &str, asked_for: &[&str], others: &[&str]) {
        let asked = asked(&file("{name: app, newTag: '1'}"), &file("{name: app, newTag: '2'}"));
        let effect = effect(&asked, &objects(before), &objects(after));
        let pointers = |changes: &[FieldChange]| {
            changes.iter().map(|change| change.pointer.clone()).collect::<Vec<_>>()
        };
        assert_eq!(pointers(&effect.asked), asked_for);
        assert_eq!(pointers(&effect.others), others);
    }

    const HEAD: &str = "apiVersion: v1\nkind: K\nmetadata: {name: a}\n";

    fn check_spec(before: &str, after: &str, asked_for: &[&str], others: &[&str]) {
        check(&format!("{HEAD}spec: {before}"), &format!("{HEAD}spec: {after}"), asked_for, others);
    }

    #[test]
    fn an_image_is_asked_for_wherever_containers_are() {
        let image = |tag| format!("{{containers: [{{image: 'app:{tag}'}}]}}");
        let at = "/containers/0/image";
        for (open, close, prefix) in [
            ("{template: {spec: ", "}}", "/spec/template/spec"),
            (
                "{jobTemplate: {spec: {template: {spec: ",
                "}}}}",
                "/spec/jobTemplate/spec/template/spec",
            ),
            ("{deep: [{in: {a: {crd: ", "}}}]}", "/spec/deep/0/in/a/crd"),
        ] {
            let spec = |tag| format!("{open}{}{close}", image(tag));
            check_spec(&spec(1), &spec(2), &[&format!("{prefix}{at}")], &[]);
        }
        check_spec(
            "{initContainers: [{image: app}], volumes: [{image: {reference: 'app:1'}}], runnerImage: 'app:1'}",
            "{initContainers: [{image: 'app:2'}], volumes: [{image: {reference: 'app:2'}}], runnerImage: 'app:2'}",
            &[
                "/spec/initContainers/0/image",
                "/spec/volumes/0/image/reference",
                "/spec/runnerImage",
            ],
            &[],
        );
    }

    #[test]
    fn everything_else_is_something_else() {
        let one = |image: &str| format!("{{containers: [{{image: '{image}'}}]}}");
        let at = "/spec/containers/0/image";
        check_spec(&one("app:1"), &one("app:3"), &[], &[at]);
        check_spec(&one("other:1"), &one("app:2"), &[], &[at]);
        check_spec(&one("app:1"), &one("other:2"), &[], &[at]);
        check_spec(
            "{env: [{value: 'app:1'}]}",
            "{env: [{value: 'app:2'}]}",
            &[],
            &["/spec/env/0/value"],
        );
        check_spec("{a: [1, 2], b: 1}", "{a: [1], c: 1}", &[], &["/spec/a", "/spec/b", "/spec/c"]);
        check(HEAD, "", &[], &[""]);
        check("", HEAD, &[], &[""]);
        check(HEAD, HEAD, &[], &[]);
    }

    #[test]
    fn an_entry_that_is_new_or_renames_is_about_the_name_it_found() {
        let before = file("{name: other, newTag: x}");
        let after = file("{name: other, newTag: x}, {name: app, newName: r/app, newTag: v2}");
        let [entry] = &asked(&before, &after)[..] else { panic!("one entry") };
        assert_eq!((entry.index, entry.line, entry.reference.as_str()), (1, 1, "r/app:v2"));
        let pod =
            |image: &str| objects(&format!("{HEAD}spec: {{containers: [{{image: '{image}'}}]}}"));
        assert!(entry.covers(&differences(&pod("app"), &pod("r/app:v2"))[0]));
        assert!(entry.covers(&differences(&pod("r/app:v1"), &pod("r/app:v2"))[0]));
        assert!(entry.is_in(&pod("r/app:v2")) && !entry.is_in(&pod("r/app:v1")));
        let sorted = file("{name: app, newTag: v}, {name: other, newTag: x}");
        let moved = file("{name: other, newTag: x}, {name: app, newTag: v}");
        assert!(asked(&sorted, &moved).is_empty());
    }

    #[test]
    fn what_was_asked_for_can_be_taken_back() {
        let before = objects(&format!("{HEAD}spec: {{image: 'app:1', a: x}}"));
        let after = objects(&format!("{HEAD}spec: {{image: 'app:2', a: y}}"));
        let asked = asked(&file("{name: app}"), &file("{name: app, newTag: '2'}"));
        let effect = effect(&asked, &before, &after);
        let without = without(&after, &effect.asked);
        assert_eq!(differences(&before, &without), effect.others);
        assert_eq!(effect.others.len(), 1);
    }

    #[test]
    fn a_custom_resource_definition_has_no_images() {
        let crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: c}, spec: {containers: [{image: a}]}}";
        assert!(images(&objects(crd)).is_empty());
    }
}
