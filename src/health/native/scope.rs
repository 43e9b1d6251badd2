//! What the words of a rule are about while an object is judged: the object, the items found so
//! far, the named values.

use serde_json::Value;

/// A named value, absent where it has none.
pub(super) type Named<'a> = (&'a str, Option<Value>);

/// What paths are resolved in.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    pub(super) object: &'a Value,
    named: &'a [Named<'a>],
    /// The items found so far, the innermost last.
    items: Vec<Item<'a>>,
}

/// An element of a list or mapping, and where it stands there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) value: &'a Value,
    /// Counted from 1.
    pub(super) number: usize,
}

impl<'a> Scope<'a> {
    pub(super) fn new(object: &'a Value, named: &'a [Named<'a>]) -> Self {
        Self { object, named, items: Vec::new() }
    }

    /// Returns the scope inside `items`.
    pub(super) fn inside(&self, items: &[Item<'a>]) -> Self {
        let mut inner = self.clone();
        inner.items.extend_from_slice(items);
        inner
    }

    /// Returns the item so many items out from the innermost.
    pub(super) fn item(&self, out: usize) -> Option<Item<'a>> {
        self.items.iter().rev().nth(out).copied()
    }

    /// Returns the named value.
    pub(super) fn named(&self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.named.iter().find(|(other, _)| *other == name)?;
        value.as_ref()
    }
}
