//! What a row asks of an object.
//!
//! A predicate is a mapping, all of whose entries must hold:
//!
//! | entry | holds if |
//! |---|---|
//! | `PATH: TEST` | the test holds for what is there |
//! | `condition: {type: T, status: S, reason: R, message: M}` | `status.conditions` has an entry that passes these tests, and is found; `if` may ask more of it |
//! | `some: {of: PATH, if: PREDICATE}` | the predicate holds for an element of the list, or value of the mapping, which is found |
//! | `every: {of: PATH, if: PREDICATE}` | it holds for all of them, or there are none |
//! | `all: [PREDICATE, …]`, `any: […]` | all of them hold, one of them does |
//! | `not: PREDICATE` | it does not hold |
//!
//! The first entry that is found is what `.field` in the row's message is about.
//!
//! | test | holds if |
//! |---|---|
//! | `text`, `3`, `true` | it is just that; a number is not its text |
//! | `[A, B]` | it is one of them |
//! | `{exists: true}`, `{empty: true}` | there is something, there is nothing or an empty text, list or mapping |
//! | `{eq: VALUE}`, `ne`, `lt`, `le`, `gt`, `ge` | both are there and compare so: as numbers if both are numbers or whole numbers as text, else as text; `VALUE` is an [expression](super::expression) |
//! | `{starts: TEXT}`, `ends`, `contains` | it is a text, or its list of texts has one, that does with one of these |
//! | `{default: VALUE, …}` | the other tests hold for what is there, or else for the value |
//! | `{not: TEST}` | it does not hold |
//!
//! Where nothing is, no test holds but `{exists: false}`, `{empty: true}` and `{not: …}`. In
//! `condition`, `status: true` is also the text `True`.

mod reader;

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;

pub(super) use self::reader::asked;

use super::expression::{Expression, number, same};
use super::path::{Path, Visit};
use super::scope::{Item, Scope};

/// A question about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Predicate(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    At(Path, Test),
    Some(Of),
    Every(Of),
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Predicate),
}

/// Elements, and what is asked of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    of: Path,
    r#if: Predicate,
}

/// A question about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    OneOf(Vec<Value>),
    /// Of a condition's status, where `true` is also `True`.
    Status(Vec<String>),
    Exists(bool),
    Empty(bool),
    Compare(Comparison, Expression),
    Text(TextTest, Vec<String>),
    Default(Value, Box<Test>),
    Not(Box<Test>),
    All(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    Starts,
    Ends,
    Contains,
}

impl Predicate {
    /// Returns whether it holds.
    pub(super) fn is_true(&self, scope: &Scope<'_>) -> bool {
        self.find(scope).is_some()
    }

    /// Returns the items that were found, the innermost last, or `None` if it does not hold.
    pub(super) fn find<'a>(&self, scope: &Scope<'a>) -> Option<Vec<Item<'a>>> {
        let mut found = Vec::new();
        for entry in &self.0 {
            let items = entry.find(scope)?;
            if found.is_empty() {
                found = items;
            }
        }
        Some(found)
    }

    /// Returns how many items it finds at most.
    pub(super) fn finds(&self) -> usize {
        self.0.iter().map(Entry::finds).max().unwrap_or_default()
    }

    /// Calls `visit` with every path in the predicate and how many items are around it, if there are
    /// `around` around the predicate.
    pub(super) fn paths(&self, around: usize, visit: &mut Visit<'_>) {
        for entry in &self.0 {
            match entry {
                Entry::At(path, test) => {
                    visit(path, around);
                    test.paths(around, visit);
                }
                Entry::Some(of) | Entry::Every(of) => {
                    visit(&of.of, around);
                    of.r#if.paths(around + 1, visit);
                }
                Entry::All(parts) | Entry::Any(parts) => {
                    parts.iter().for_each(|part| part.paths(around, visit));
                }
                Entry::Not(part) => part.paths(around, visit),
            }
        }
    }
}

impl Entry {
    fn finds(&self) -> usize {
        match self {
            Self::Some(of) => 1 + of.r#if.finds(),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().map(Predicate::finds).max().unwrap_or_default()
            }
            Self::At(..) | Self::Every(_) | Self::Not(_) => 0,
        }
    }

    fn find<'a>(&self, scope: &Scope<'a>) -> Option<Vec<Item<'a>>> {
        match self {
            Self::At(path, test) => test.holds(path.get(scope), scope).then(Vec::new),
            Self::Some(of) => of.first(scope),
            Self::Every(of) => {
                let holds = |item: Item<'a>| of.r#if.is_true(&scope.inside(&[item]));
                of.items(scope).all(holds).then(Vec::new)
            }
            Self::All(parts) => {
                let found: Option<Vec<_>> = parts.iter().map(|part| part.find(scope)).collect();
                Some(found?.into_iter().find(|items| !items.is_empty()).unwrap_or_default())
            }
            Self::Any(parts) => parts.iter().find_map(|part| part.find(scope)),
            Self::Not(part) => (!part.is_true(scope)).then(Vec::new),
        }
    }
}

impl Of {
    fn items<'a>(&self, scope: &Scope<'a>) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let elements = self.of.elements(scope).into_iter().enumerate();
        elements.map(|(index, value)| Item { value, number: index + 1 })
    }

    fn first<'a>(&self, scope: &Scope<'a>) -> Option<Vec<Item<'a>>> {
        self.items(scope).find_map(|item| {
            let inner = self.r#if.find(&scope.inside(&[item]))?;
            Some([vec![item], inner].concat())
        })
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>, scope: &Scope<'_>) -> bool {
        match self {
            Self::OneOf(values) => value.is_some_and(|value| values.iter().any(|v| is(v, value))),
            Self::Status(texts) => match value {
                Some(Value::String(status)) => texts.contains(status),
                Some(Value::Bool(status)) => texts.iter().any(|text| text == word(*status)),
                _ => false,
            },
            Self::Exists(exists) => value.is_some() == *exists,
            Self::Empty(empty) => is_empty(value) == *empty,
            Self::Compare(comparison, with) => match (value, with.value(scope)) {
                (Some(value), Some(with)) => comparison.holds(value, &with),
                _ => false,
            },
            Self::Text(test, texts) => match value {
                Some(Value::String(text)) => test.holds(text, texts),
                Some(Value::Array(list)) => {
                    list.iter().filter_map(Value::as_str).any(|text| test.holds(text, texts))
                }
                _ => false,
            },
            Self::Default(default, test) => test.holds(value.or(Some(default)), scope),
            Self::Not(test) => !test.holds(value, scope),
            Self::All(tests) => tests.iter().all(|test| test.holds(value, scope)),
        }
    }

    fn paths(&self, around: usize, visit: &mut Visit<'_>) {
        match self {
            Self::Compare(_, with) => with.paths(around, visit),
            Self::Default(_, test) | Self::Not(test) => test.paths(around, visit),
            Self::All(tests) => tests.iter().for_each(|test| test.paths(around, visit)),
            _ => {}
        }
    }
}

/// Returns whether `value` is just `literal`; `3` is also `3.0`.
fn is(literal: &Value, value: &Value) -> bool {
    match (literal, value) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => literal == value,
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

/// Returns how Kubernetes writes the status of a condition.
fn word(status: bool) -> &'static str {
    if status { "True" } else { "False" }
}

impl Comparison {
    fn holds(self, a: &Value, b: &Value) -> bool {
        match self {
            Self::Equal => return same(a, b),
            Self::NotEqual => return !same(a, b),
            _ => {}
        }
        let order = match (number(a), number(b), a, b) {
            (Some(a), Some(b), ..) => a.partial_cmp(&b),
            (_, _, Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        let Some(order) = order else { return false };
        match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Equal | Self::NotEqual => false,
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, parts: &[String]) -> bool {
        parts.iter().any(|part| match self {
            Self::Starts => text.starts_with(part.as_str()),
            Self::Ends => text.ends_with(part.as_str()),
            Self::Contains => text.contains(part.as_str()),
        })
    }
}
