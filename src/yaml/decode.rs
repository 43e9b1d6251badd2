//! YAML text to a typed value, with errors that say where and what was expected.

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
/// Fails where the text is not YAML or not a `T`: the message names the key, what was expected,
/// and for an unknown key the nearest known one.
pub fn decode<T: DeserializeOwned>(path: &Utf8Path, text: &str) -> Result<T, Invalid> {
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let message = expectation(&error.to_string());
        Invalid { path: path.to_owned(), text: text.to_owned(), line, column, message }
    })
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
    let message = &without_type_name(message);
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

/// Returns `message` with `expected a mapping` for the name of one of our types, which says nothing
/// to whoever wrote the file.
fn without_type_name(message: &str) -> String {
    match message.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected a mapping"),
        None => message.to_owned(),
    }
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
