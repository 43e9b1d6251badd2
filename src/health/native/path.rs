//! Paths to the values of an object.
//!
//! `status.phase` begins at the object, `.message` at the item that was found (a condition, an
//! element of a list), `..name` at the item that this one was found in, and `$name` is a named
//! value. A step may be followed by brackets: `[crossplane.io/paused]` is the key of a mapping,
//! `[0]` an element of a list counted from the start, `[-1]` from the end, `[type=Ready]` the first
//! element with this text there, and `[*]` every element, which only `sum`, `list`, `count` and
//! `of` take.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::scope::{DEPTH, Scope};

/// Where a path may begin, besides items and named values.
const ROOTS: [&str; 6] = ["status", "spec", "metadata", "data", "kind", "apiVersion"];

/// What is told every path of a rule, and how many items are around it.
pub(super) type Visit<'v> = dyn FnMut(&Path, usize) + 'v;

/// A path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    start: Start,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    Object,
    /// An item, so many items out from the innermost.
    Item(usize),
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    FromEnd(usize),
    Where(String, String),
    Every,
}

impl Path {
    /// Returns the path that `text` is.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let dots = text.len() - text.trim_start_matches('.').len();
        if dots > DEPTH {
            return Err(format!("`{text}` is no path: it begins with {DEPTH} dots at most"));
        }
        let rest = &text[dots..];
        let (start, steps) = match rest.strip_prefix('$') {
            Some(named) => {
                let end = named.find(['.', '[']).unwrap_or(named.len());
                (
                    Start::Named(named[..end].to_owned()),
                    steps(text, named[end..].trim_start_matches('.'))?,
                )
            }
            None if dots > 0 => (Start::Item(dots - 1), steps(text, rest)?),
            None => (Start::Object, steps(text, rest)?),
        };
        let known = match steps.first() {
            _ if start != Start::Object => true,
            Some(Step::Key(root)) => ROOTS.contains(&root.as_str()),
            _ => false,
        };
        if !known {
            return Err(format!(
                "`{text}` is no path; it begins with `status`, `spec`, `metadata`, `data`, `kind`, `apiVersion`, `.` or `$`"
            ));
        }
        Ok(Self { text: text.to_owned(), start, steps })
    }

    /// Returns the name of the named value that the path begins at.
    pub(super) fn named(&self) -> Option<&str> {
        match &self.start {
            Start::Named(name) => Some(name),
            Start::Object | Start::Item(_) => None,
        }
    }

    /// Returns why the path leads nowhere where so many items are around it, or `None` if it may lead
    /// somewhere.
    pub(super) fn flaw(&self, around: usize) -> Option<String> {
        let Start::Item(out) = self.start else { return None };
        if out < around {
            return None;
        }
        let (text, plain) = (&self.text, self.text.trim_start_matches('.'));
        let instead = match self.steps.first() {
            Some(Step::Key(root)) if ROOTS.contains(&root.as_str()) => {
                format!("; a path from the object is written `{plain}`")
            }
            _ if out > 0 && around > 0 => format!("; write `{}{plain}`", ".".repeat(around)),
            _ => String::new(),
        };
        Some(match around {
            0 => format!("`{text}` is about an item of a list, and here none is found{instead}"),
            _ => format!("`{text}` begins with more dots than items are found here{instead}"),
        })
    }

    /// Returns whether the path can lead to several values.
    pub(super) fn is_plural(&self) -> bool {
        self.steps.contains(&Step::Every)
    }

    /// Returns the value that the path leads to, or `None`; `null` is no value.
    pub(super) fn get<'a>(&self, scope: &Scope<'a>) -> Option<&'a Value> {
        self.steps.iter().try_fold(self.begin(scope)?, take).filter(|value| !value.is_null())
    }

    /// Returns the elements of the list, or the values of the mapping, that the path leads to.
    pub(super) fn elements<'a>(&self, scope: &Scope<'a>) -> Vec<&'a Value> {
        self.all(scope).into_iter().flat_map(elements).collect()
    }

    /// Returns every value that the path leads to.
    pub(super) fn all<'a>(&self, scope: &Scope<'a>) -> Vec<&'a Value> {
        let mut found: Vec<&Value> = self.begin(scope).into_iter().collect();
        for step in &self.steps {
            found = match step {
                Step::Every => found.into_iter().flat_map(elements).collect(),
                step => found.into_iter().filter_map(|value| take(value, step)).collect(),
            };
        }
        found.retain(|value| !value.is_null());
        found
    }

    fn begin<'a>(&self, scope: &Scope<'a>) -> Option<&'a Value> {
        match &self.start {
            Start::Object => Some(scope.object),
            Start::Item(out) => scope.item(*out).map(|item| item.value),
            Start::Named(name) => scope.named(name),
        }
    }
}

fn take<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
        Step::FromEnd(back) => {
            let list = value.as_array()?;
            list.get(list.len().checked_sub(*back)?)
        }
        Step::Where(key, text) => value
            .as_array()?
            .iter()
            .find(|item| item.get(key).and_then(Value::as_str) == Some(text.as_str())),
        Step::Every => None,
    }
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().filter(|value| !value.is_null()).collect(),
        Value::Object(map) => map.values().filter(|value| !value.is_null()).collect(),
        _ => Vec::new(),
    }
}

/// Returns the steps of `rest`, the part of the path `text` behind its beginning.
fn steps(text: &str, rest: &str) -> Result<Vec<Step>, String> {
    let wrong = |what: &str| Err(format!("`{text}` is no path: {what}"));
    let mut steps = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let Some((inside, behind)) = inside.split_once(']') else {
                return wrong("a `[` is not closed");
            };
            steps.push(bracket(inside));
            rest = behind;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return wrong("a name is missing");
            }
            let name = &rest[..end];
            if name.chars().any(|c| c.is_whitespace() || "{}|".contains(c)) {
                return wrong("a name has no spaces and braces; write such a key in brackets");
            }
            steps.push(Step::Key(name.to_owned()));
            rest = &rest[end..];
        }
        rest = match rest.strip_prefix('.') {
            Some("") => return wrong("it ends with a dot"),
            Some(behind) => behind,
            None if rest.is_empty() || rest.starts_with('[') => rest,
            None => return wrong("a `]` is followed by a dot"),
        };
    }
    Ok(steps)
}

fn bracket(inside: &str) -> Step {
    if inside == "*" {
        return Step::Every;
    }
    if let Some((key, text)) = inside.split_once('=') {
        return Step::Where(key.to_owned(), text.to_owned());
    }
    match inside.strip_prefix('-').unwrap_or(inside).parse::<usize>() {
        Ok(back) if inside.starts_with('-') => Step::FromEnd(back),
        Ok(index) => Step::Index(index),
        Err(_) => Step::Key(inside.to_owned()),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
