//! A second opinion on an edit, from libyaml: the parsers of kustomize, Helm and Argo CD are ports of
//! it, and it reads some texts in other ways than the parser here, such as `{a:, b: c}`.

use serde::Deserialize as _;
use serde_yaml::{Deserializer, Mapping, Value};

use super::Change;
use crate::yaml::path::Step;

/// Returns the first document as libyaml reads it, or `None` if it does not.
pub(crate) fn read(text: &str) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match Deserializer::from_str(text).next() {
        Some(document) => Value::deserialize(document).ok(),
        None => Some(Value::Null),
    }
}

/// Whether `after` reads as `before` with the change and nothing else. A text that was not readable
/// before tells nothing.
pub(super) fn agrees(before: &str, after: &str, change: &Change) -> bool {
    let Some(before) = read(before) else { return true };
    read(after).is_some_and(|after| is_changed(&before, &after, change.path().steps(), change))
}

fn is_changed(before: &Value, after: &Value, steps: &[Step], change: &Change) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return match (change, after) {
            (Change::Set { text, .. }, after) => after.as_str() == Some(text),
            (Change::Append { text, .. }, Value::Sequence(items)) => {
                let old = before.as_sequence().map_or(&[][..], Vec::as_slice);
                let new = items.split_last();
                new.is_some_and(|(last, others)| others == old && last.as_str() == Some(text))
            }
            _ => false,
        };
    };
    match (before, after) {
        (Value::Sequence(before), Value::Sequence(after)) => {
            let mut pairs = before.iter().zip(after).enumerate();
            before.len() == after.len()
                && pairs.all(|(index, (before, after))| match step.index() == Some(index) {
                    true => is_changed(before, after, rest, change),
                    false => before == after,
                })
        }
        (Value::Mapping(before), Value::Mapping(after)) => {
            entries(before, after, step, rest, change)
        }
        (Value::Null, Value::Mapping(after)) => entries(&Mapping::new(), after, step, rest, change),
        _ => false,
    }
}

fn entries(before: &Mapping, after: &Mapping, step: &Step, rest: &[Step], change: &Change) -> bool {
    let is_step = |key: &Value| matches!(step, Step::Key(name) if is_named(key, name));
    let mut others = after.iter().filter(|(key, _)| !is_step(key));
    let Some((key, value)) = after.iter().find(|(key, _)| is_step(key)) else { return false };
    let old = before.get(key);
    after.len() == before.len() + usize::from(old.is_none())
        && others.all(|(key, value)| before.get(key) == Some(value))
        && is_changed(old.unwrap_or(&Value::Null), value, rest, change)
}

fn is_named(key: &Value, name: &str) -> bool {
    match key {
        Value::String(key) => key == name,
        Value::Number(key) => key.to_string() == name,
        Value::Bool(key) => key.to_string() == name,
        _ => false,
    }
}
