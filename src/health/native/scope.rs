//! What the words of a rule are about while an object is judged: the object, the items found so
//! far, the named values.

use serde_json::Value;

/// A named value, absent where it has none.
pub(super) type Named<'a> = (&'a str, Option<Value>);

/// How many items out a path can lead.
pub(super) const DEPTH: usize = 4;

/// What paths are resolved in. It is made anew for every element of a list, so it owns nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) object: &'a Value,
    named: &'a [Named<'a>],
    /// The items found so far, the innermost first; those further out are forgotten.
    items: [Option<Item<'a>>; DEPTH],
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
        Self { object, named, items: [None; DEPTH] }
    }

    /// Returns the scope inside `items`.
    pub(super) fn inside(&self, items: &[Item<'a>]) -> Self {
        let mut inner = *self;
        for item in items {
            inner.items.rotate_right(1);
            inner.items[0] = Some(*item);
        }
        inner
    }

    /// Returns the item so many items out from the innermost.
    pub(super) fn item(&self, out: usize) -> Option<Item<'a>> {
        self.items.get(out).copied().flatten()
    }

    /// Returns the named value.
    pub(super) fn named(&self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.named.iter().find(|(other, _)| *other == name)?;
        value.as_ref()
    }
}
