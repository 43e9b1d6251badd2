//! A node of a document: a scalar, a sequence, a mapping or an alias, and where it stands.

use std::ops::Range;

pub use granit_parser::{ScalarStyle, StructureStyle};

/// A range of bytes in the text of a document.
pub type Span = Range<usize>;

/// A node and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Its bytes without anchor and tag: a quoted scalar with its quotes, a block scalar with its
    /// header, a flow collection with its brackets, a block collection from its first key or the
    /// content of its first item to the end of its last. Empty and behind the colon where a value is
    /// left out.
    pub span: Span,
    /// `&name`, if it has one.
    pub anchor: Option<Anchor>,
    /// `!tag`, if it has one.
    pub tag: Option<Tag>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A scalar: its text without quotes and escapes, and how it is written.
    Scalar(String, ScalarStyle),
    /// A sequence.
    Sequence(Vec<Node>, StructureStyle),
    /// A mapping in source order; a key may be there twice.
    Mapping(Vec<Entry>, StructureStyle),
    /// `*name`, as the number of the anchor it stands for.
    Alias(usize),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// An anchor definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its number; a name that is defined twice has two.
    pub id: usize,
    /// The bytes of `&name`.
    pub span: Span,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The resolved tag, such as `tag:yaml.org,2002:str`.
    pub name: String,
    /// The bytes of the tag as it is written.
    pub span: Span,
}

impl Node {
    /// Returns the scalar's text, or `None` if it is not a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the items of a sequence, empty if it is not one.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items, _) => items,
            _ => &[],
        }
    }

    /// Returns the entries of a mapping, empty if it is not one.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries, _) => entries,
            _ => &[],
        }
    }

    /// Returns the first entry whose key is `key`, or `None`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.as_str() == Some(key))
    }

    /// Returns whether it is a null: nothing at all, `~` or `null`, not quoted.
    pub fn is_null(&self) -> bool {
        let Value::Scalar(text, ScalarStyle::Plain) = &self.value else {
            return false;
        };
        let untagged = self.tag.as_ref().is_none_or(|tag| tag.name == "tag:yaml.org,2002:null");
        untagged && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Returns where it begins, its anchor and tag included.
    pub fn start(&self) -> usize {
        let anchor = self.anchor.as_ref().map(|anchor| anchor.span.start);
        let tag = self.tag.as_ref().map(|tag| tag.span.start);
        anchor.into_iter().chain(tag).fold(self.span.start, usize::min)
    }

    /// Returns the child at `index`, where keys and values of a mapping count alike.
    pub(super) fn child(&self, index: usize) -> Option<&Node> {
        match &self.value {
            Value::Sequence(items, _) => items.get(index),
            Value::Mapping(entries, _) => entries
                .get(index / 2)
                .map(|entry| if index.is_multiple_of(2) { &entry.key } else { &entry.value }),
            _ => None,
        }
    }

    /// Returns it and every node below it, parents first.
    pub fn walk(&self) -> impl Iterator<Item = &Node> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.items().iter().rev());
            open.extend(node.entries().iter().rev().flat_map(|entry| [&entry.value, &entry.key]));
            Some(node)
        })
    }
}
