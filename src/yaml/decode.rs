//! YAML text to a typed value, with errors that say where and what was expected.

use std::collections::HashMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;

/// A file that says something it can't mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {message}")]
pub struct Invalid {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its text, to show the line.
    pub text: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Returns the value that `text` is; `path` is for errors.
///
/// # Errors
///
/// Fails where the text is not YAML, has a key twice, or is not a `T`: the message names the key, what
/// was expected, and for an unknown key the nearest known one.
pub fn decode<T: DeserializeOwned>(path: &Utf8Path, text: &str) -> Result<T, Invalid> {
    super::check_nesting(text).map_err(|error| {
        let (path, text) = (path.to_owned(), text.to_owned());
        Invalid { path, text, line: error.line, column: error.column, message: error.message }
    })?;
    each_key_once(path, text)?;
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let message = expectation(&error.to_string());
        Invalid { path: path.to_owned(), text: text.to_owned(), line, column, message }
    })
}

/// Fails at a key that its mapping has already, where serde would let the last one win. What is wrong
/// with a text that is not YAML is left to serde.
fn each_key_once(path: &Utf8Path, text: &str) -> Result<(), Invalid> {
    let Ok(document) = super::Document::parse(text) else { return Ok(()) };
    for node in document.root().walk() {
        let mut keys = HashMap::new();
        for key in node.entries().iter().map(|entry| &entry.key) {
            let Some(name) = key.as_str() else { continue };
            let Some(first) = keys.insert(name, key.span.start) else { continue };
            let (first, at) = (document.position(first), document.position(key.span.start));
            let message = format!(
                "key `{name}` is there already, in line {}, column {}; keep one of the two",
                first.line, first.column
            );
            let (path, text) = (path.to_owned(), text.to_owned());
            return Err(Invalid { path, text, line: at.line, column: at.column, message });
        }
    }
    Ok(())
}

/// Returns the error for the value at `keys` of `text`, or its nearest parent that is there.
pub fn flaw(path: &Utf8Path, text: &str, keys: &[String], message: String) -> Invalid {
    let (line, column) = position(text, keys);
    Invalid { path: path.to_owned(), text: text.to_owned(), line, column, message }
}

fn position(text: &str, keys: &[String]) -> (usize, usize) {
    let Ok(document) = super::Document::parse(text) else { return (1, 1) };
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let located = (0..=keys.len()).rev().find_map(|length| document.locate(&keys[..length]));
    located.map_or((1, 1), |located| {
        let at = document.position(located.value.start);
        (at.line, at.column)
    })
}

/// Returns serde's message without its position, and with the nearest name for an unknown key.
fn expectation(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let message = &in_words(message);
    let text =
        message.replace("unknown field", "unknown key").replace("missing field", "missing key");
    match names.split_first() {
        Some((name, known)) if message.contains("unknown ") => match nearest(name, known) {
            Some(nearest) => format!("{text}; did you mean `{nearest}`?"),
            None => text,
        },
        _ => text,
    }
}

/// Returns `message` in words of YAML: names of our types, and serde's own words, say nothing to
/// whoever wrote the file.
fn in_words(message: &str) -> String {
    let (found, expected) = match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.contains("invalid ") => (found, expected),
        _ => return message.to_owned(),
    };
    let expected = match expected {
        _ if expected.starts_with("struct ") => "a mapping",
        _ if expected.starts_with("unit variant") => "the word alone, without a value",
        _ if expected.contains("variant") => "a value behind the word",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "a string" => "a text",
        "u32" | "u64" | "usize" => "a number",
        "a boolean" => "`true` or `false`",
        other => other,
    };
    let found = [("type: map", "type: mapping"), ("type: sequence", "type: list")]
        .iter()
        .fold(found.to_owned(), |found, (serde, word)| found.replace(serde, word));
    let found = found.replace("type: unit value", "type: nothing");
    format!("{found}, expected {expected}")
}

/// Returns the one of `known` that `name` was probably meant to be, or `None` if none is close.
pub fn nearest<'a, S: AsRef<str>>(name: &str, known: &'a [S]) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    let closest = known.iter().map(AsRef::as_ref).min_by_key(distance)?;
    (distance(&closest) <= 1 + name.chars().count() / 3).then_some(closest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_said_in_words_of_yaml() {
        assert_eq!(
            expectation(
                "a.b: invalid type: string \"x\", expected struct FileB at line 5 column 5"
            ),
            "a.b: invalid type: string \"x\", expected a mapping"
        );
        for (serde, words) in [
            (
                "invalid type: map, expected unit variant",
                "invalid type: mapping, expected the word alone, without a value",
            ),
            (
                "invalid type: string \"ci/test\", expected a sequence",
                "invalid type: string \"ci/test\", expected a list",
            ),
            (
                "unknown variant `a, expected b`, expected `c`",
                "unknown variant `a, expected b`, expected `c`",
            ),
        ] {
            assert_eq!(in_words(serde), words);
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_with_both_places() {
        let check = |text: &str| {
            decode::<serde_yaml::Value>("f.yaml".into(), text).map_err(|error| error.to_string())
        };
        assert_eq!(
            check("a: 1\nb:\n  c: {d: 1}\n  'c': 2\n").unwrap_err(),
            "f.yaml:4:3: key `c` is there already, in line 3, column 3; keep one of the two"
        );
        assert_eq!(
            check("- x: {y: 1, z: 2, y: 3}\n").unwrap_err(),
            "f.yaml:1:19: key `y` is there already, in line 1, column 7; keep one of the two"
        );
        assert!(check("a: {c: 1}\nb: {c: 1}\n").is_ok());
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_name() {
        let text = expectation(
            "environments.dev: unknown field `applicatio`, expected `overlay` or `application` at line 5 column 5",
        );
        assert_eq!(
            text,
            "environments.dev: unknown key `applicatio`, expected `overlay` or `application`; did you mean `application`?"
        );
    }

    #[test]
    fn a_name_far_from_all_has_no_nearest() {
        assert_eq!(nearest("prdo", &["dev", "prod"]), Some("prod"));
        assert_eq!(nearest("production", &["dev", "staging"]), None);
    }
}
