//! What holds of every edit of every text, YAML or not: it does not panic, does not come out wrong,
//! and a second time changes nothing. The fuzz target in `tests/fuzz` includes this file.
//!
//! What comes out is judged by libyaml, which must read the old document with the change and nothing
//! else, and by a comparison of bytes.

use deployctl::kustomize::{
    ImageChange, ImageEntry, Kustomization, Rules, Setting, set_image, set_images,
};
use deployctl::yaml::{self, Change};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// Edits a text in three ways; the last byte says what is changed, those before it are the text.
///
/// # Panics
///
/// Panics if an edit breaks a law.
pub(crate) fn hold(data: &[u8]) {
    let Some((&choice, text)) = data.split_last() else { return };
    images_are_set(choice, text);
    arguments_are_followed(text);
    paths_are_set(choice, text);
}

fn images_are_set(choice: u8, text: &[u8]) {
    let (name, change) = image_change(choice);
    let Ok(edit) = set_images(text, std::slice::from_ref(&change)) else { return };
    let again = set_images(&edit.bytes, &[change]).expect("a result can be edited");
    assert!(!again.changed && again.bytes == edit.bytes, "the second time changes nothing");
    compare(text, &edit.bytes, |before, after| {
        same_but_images(before, after);
        assert!(edit.images.iter().any(|entry| entry.name == name), "the entry is there");
    });
    keeps_comments(text, &edit.bytes);
    let before = Kustomization::parse(text).expect("what was edited can be read");
    let entry = before.images().iter().find(|entry| entry.name == name);
    let [before, after] = [text, &edit.bytes].map(|text| std::str::from_utf8(text).unwrap());
    only_there(before, after, entry);
}

fn arguments_are_followed(text: &[u8]) {
    let arguments = ["a=*:v1", "b@sha256:00", "c=d:*"];
    let Ok(edit) = set_image(text, &arguments, Rules::Kustomize) else { return };
    let again = set_image(&edit.bytes, &arguments, Rules::Kustomize);
    assert!(!again.expect("a result can be edited").changed);
    compare(text, &edit.bytes, same_but_images);
}

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

fn paths_are_set(choice: u8, text: &[u8]) {
    let path = ["a", "a.b", "images[0].name", "a[0]", "image.tag"][usize::from(choice % 5)];
    let path: yaml::Path = path.parse().expect("these are paths");
    let value = "no".to_owned();
    let change = match choice & 128 {
        0 => Change::Set { path: path.clone(), text: value, after: None },
        _ => Change::Append { path: path.clone(), text: value },
    };
    let Ok(after) = yaml::edit(text, std::slice::from_ref(&change)) else { return };
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
    keeps_comments(text, &after);
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

/// Fails if bytes outside of the entry's lines are others; a new entry only adds bytes, but for an
/// empty list that it fills.
pub(crate) fn only_there(before: &str, after: &str, entry: Option<&ImageEntry>) {
    let (a, b) = (before.as_bytes(), after.as_bytes());
    if let Some(entry) = entry {
        let from = before[..entry.span.start].rfind(['\n', '\r']).unwrap_or_default();
        let line = before[entry.span.end..].find(['\n', '\r']).map(|at| entry.span.end + at);
        let to = line.unwrap_or(a.len());
        let (head, tail) = (&a[..from], &a[to..]);
        let kept = b.starts_with(head) && b.ends_with(tail) && from + a.len() - to <= b.len();
        assert!(kept, "more than {from}..{to} of {before}\n--- changed:\n{after}");
        return;
    }
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let most = a.len().min(b.len()) - start;
    let same = a.iter().rev().zip(b.iter().rev()).take(most).take_while(|(a, b)| a == b);
    let gone = &a[start..a.len() - same.count()];
    let is_empty = |byte: &u8| b"[]{}~nulNUL \t\r\n".contains(byte);
    assert!(gone.iter().all(is_empty), "`{}` went:\n{after}", String::from_utf8_lossy(gone));
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
