//! Edits of arbitrary bytes: they never panic, never come out wrong, and hold still.
//!
//! The first byte says which change is made, the rest is the file. What comes out is judged by
//! libyaml: the old document with the change and nothing else.

#![no_main]

use deployctl::kustomize::{ImageChange, Rules, Setting, set_image, set_images};
use deployctl::yaml::{self, Change};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, file)) = data.split_first() else { return };
    let (name, change) = image_change(choice);
    if let Ok(edit) = set_images(file, std::slice::from_ref(&change)) {
        let again = set_images(&edit.bytes, &[change]).expect("a result can be edited");
        assert!(!again.changed && again.bytes == edit.bytes, "the second time changes nothing");
        compare(file, &edit.bytes, |before, after| {
            same_but_images(before, after);
            assert!(edit.images.iter().any(|entry| entry.name == name), "the entry is there");
        });
        keeps_comments(file, &edit.bytes);
    }
    let arguments = ["a=*:v1", "b@sha256:00", "c=d:*"];
    if let Ok(edit) = set_image(file, &arguments, Rules::Kustomize) {
        let again = set_image(&edit.bytes, &arguments, Rules::Kustomize);
        assert!(!again.expect("a result can be edited").changed);
        compare(file, &edit.bytes, same_but_images);
    }
    set_path(choice, file);
});

fn image_change(choice: u8) -> (&'static str, ImageChange) {
    let name = ["a", "b", "registry.example.com/app"][usize::from(choice % 3)];
    let set = |text: &str| Setting::Set(text.to_owned());
    let (new_name, new_tag, digest) = match choice / 3 % 5 {
        0 => (Setting::Keep, set("1e3"), Setting::Keep),
        1 => (Setting::Keep, Setting::Clear, set("sha256:00")),
        2 => (set("r.example.com:5000/x"), set("v1 #"), set("it's")),
        3 => (Setting::Clear, Setting::Clear, Setting::Clear),
        _ => (set("x"), Setting::Keep, Setting::Keep),
    };
    (name, ImageChange::Fields { name: name.to_owned(), new_name, new_tag, digest })
}

fn set_path(choice: u8, file: &[u8]) {
    let path = ["a", "a.b", "images[0].name", "a[0]", "image.tag"][usize::from(choice % 5)];
    let path: yaml::Path = path.parse().expect("these are paths");
    let text = "no".to_owned();
    let change = match choice & 128 {
        0 => Change::Set { path: path.clone(), text, after: None },
        _ => Change::Append { path: path.clone(), text },
    };
    let Ok(after) = yaml::edit(file, std::slice::from_ref(&change)) else { return };
    let document = yaml::read_bytes(&after).expect("a result can be read");
    let node = document.get(&path).expect("the path leads somewhere");
    match change {
        Change::Set { .. } => {
            assert_eq!(node.as_str(), Some("no"));
            assert_eq!(yaml::edit(&after, &[change]).expect("a result can be edited"), after);
        }
        Change::Append { .. } => {
            assert_eq!(node.items().last().and_then(yaml::Node::as_str), Some("no"));
        }
    }
    keeps_comments(file, &after);
}

/// Hands both documents as libyaml reads them to `judge`, if it could read the old one.
fn compare(before: &[u8], after: &[u8], judge: impl Fn(Value, Value)) {
    if let Some(before) = by_libyaml(before) {
        judge(before, by_libyaml(after).expect("libyaml reads the result"));
    }
}

fn by_libyaml(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}');
    match serde_yaml::Deserializer::from_str(text).next() {
        Some(document) => Value::deserialize(document).ok(),
        None => Some(Value::Null),
    }
}

fn same_but_images(before: Value, after: Value) {
    let others = |root: Value| match root {
        Value::Mapping(root) => root
            .into_iter()
            .filter(|(key, _)| !key.as_str().is_some_and(|key| key.eq_ignore_ascii_case("images")))
            .collect(),
        _ => Mapping::new(),
    };
    assert_eq!(others(before), others(after), "only the images change");
}

/// Every line that is a comment for certain is there afterwards, in the same order.
fn keeps_comments(before: &[u8], after: &[u8]) {
    let is_break = |b: &u8| *b == b'\n' || *b == b'\r';
    let mut lines = after.split(is_break);
    let is_comment = |line: &&[u8]| line.starts_with(b"#");
    // In a block text or in quotes such a line is part of a value, which may go.
    if before.iter().any(|b| b"|>'\"{[".contains(b)) {
        return;
    }
    for line in before.split(is_break).filter(is_comment) {
        assert!(lines.any(|other| other == line), "{:?} is lost", String::from_utf8_lossy(line));
    }
}
