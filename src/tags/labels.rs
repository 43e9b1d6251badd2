//! Labels and annotations: those of the image specification, and those that are asked for.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::error::{Problem, TagsError};
use super::line::Line;
use super::metadata::Given;

/// Returns the labels with `lines`, which replace those of the same key, in the action's order.
pub(super) fn labels(
    given: &Given<'_>,
    version: &str,
    lines: &[Line],
) -> Result<Vec<(String, String)>, TagsError> {
    let mut labels: HashMap<String, String> = standard(given, version).into_iter().collect();
    for line in lines {
        let text = given.render(&line.text).map_err(|error| Problem::from(error).at(line))?;
        // What is no `key=value` is dropped, as the action does.
        if let Some((key, value)) = text.split_once('=') {
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_by(|(a, _), (b, _)| by_locale(a, b));
    Ok(labels)
}

fn standard(given: &Given<'_>, version: &str) -> Vec<(String, String)> {
    let repository = given.repository;
    let values = [
        ("title", repository.name.clone()),
        ("description", repository.description.clone()),
        ("url", repository.html_url.clone()),
        ("source", repository.html_url.clone()),
        ("version", version.to_owned()),
        ("created", given.now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
        ("revision", given.event.sha.clone()),
        ("licenses", repository.license.clone()),
    ];
    let named = |(name, value)| (format!("org.opencontainers.image.{name}"), value);
    values.into_iter().map(named).collect()
}

/// Returns the order of JavaScript's `localeCompare`, as far as keys have ASCII in them: punctuation,
/// digits, letters whatever their case, and of two that differ in case alone the lowercase one.
fn by_locale(a: &str, b: &str) -> Ordering {
    const PUNCTUATION: &str = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";
    let weight = |c: char| match PUNCTUATION.find(c) {
        _ if c.is_whitespace() => (0, 0),
        Some(at) => (1, u32::try_from(at).unwrap_or(0)),
        None if c.is_ascii_digit() => (2, u32::from(c)),
        None => (3, u32::from(c.to_lowercase().next().unwrap_or(c))),
    };
    let case = |text: &str| text.chars().map(char::is_uppercase).collect::<Vec<_>>();
    a.chars().map(weight).cmp(b.chars().map(weight)).then_with(|| case(a).cmp(&case(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_javascript_orders_them() {
        let expected = ["_a", "a-b", "a.b", "a1", "aa", "Aa", "ab", "B", "org.x", "z"];
        let mut sorted = expected;
        sorted.reverse();
        sorted.sort_by(|a, b| by_locale(a, b));
        assert_eq!(sorted, expected);
    }
}
