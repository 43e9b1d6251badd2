//! yaml-edit, another editor that keeps formatting, asked to make the same change.

use std::str::FromStr as _;

use serde_yaml::Value;

use super::edits::Wanted;

/// Returns whether yaml-edit makes the change, and then agrees about what it means.
///
/// # Panics
///
/// Panics if it makes something else of it: one of the two is wrong then.
pub(super) fn agrees(text: &str, name: &str, wanted: &Wanted, intended: &Value) -> bool {
    let Some(other) = by_yaml_edit(text, name, wanted) else { return false };
    let value = serde_yaml::from_str::<Value>(other.trim_start_matches('\u{feff}')).ok();
    let kind = wanted.kind;
    assert_eq!(
        value.as_ref(),
        Some(intended),
        "{kind} of {name}:\n{text}\n--- yaml-edit:\n{other}"
    );
    true
}

/// Returns the text as yaml-edit changes it, or `None` where it does not find the entry.
fn by_yaml_edit(text: &str, name: &str, wanted: &Wanted) -> Option<String> {
    let document = yaml_edit::Document::from_str(text).ok()?;
    let images = document.as_mapping()?.get_sequence("images")?;
    let values: Vec<_> = images.values().collect();
    let entry = values.iter().find_map(|value| {
        let entry = value.as_mapping()?;
        let is_named = entry.get("name")?.as_scalar()?.as_string() == name;
        is_named.then(|| entry.clone())
    })?;
    for (field, value) in wanted.fields() {
        match value {
            None => {}
            Some("") => drop(entry.remove(field)),
            Some(text) => entry.set(field, text),
        }
    }
    Some(document.to_string())
}
