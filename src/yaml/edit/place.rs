//! How far a path leads in a document, and the proof that only that place was changed.

use super::Change;
use super::same::{is_text, same};
use super::splice::{Refusal, is_flow};
use crate::yaml::path::Step;
use crate::yaml::{Document, Entry, Node, Path, Value};

/// Where a path leads, or how far.
pub(super) struct Place<'a> {
    /// The last node that is there.
    pub(super) node: &'a Node,
    /// The entry whose value it is, unless it is the root or an item.
    pub(super) entry: Option<&'a Entry>,
    /// Whether it stands inside of `[]` or `{}`.
    pub(super) in_flow: bool,
    /// The steps that led to it.
    pub(super) reached: &'a [Step],
    /// The steps that lead nowhere yet.
    pub(super) missing: &'a [Step],
}

impl Change {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. } | Self::Append { path, .. } => path,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Set { text, .. } | Self::Append { text, .. } => text,
        }
    }
}

impl<'a> Place<'a> {
    /// Returns how far the change's path leads in `document`.
    ///
    /// # Errors
    ///
    /// Fails if something on the way has another meaning elsewhere too, or is not what the path
    /// expects there.
    pub(super) fn of(document: &'a Document, change: &'a Change) -> Result<Self, Refusal> {
        let steps = change.path().steps();
        let mut place = Self {
            node: document.root(),
            entry: None,
            in_flow: false,
            reached: &[],
            missing: steps,
        };
        loop {
            refuse_shared(document, place.node)?;
            let Some((step, rest)) = place.missing.split_first() else { return Ok(place) };
            let Some((node, entry)) = child(document, place.node, step)? else {
                return Ok(place);
            };
            place = Self {
                node,
                entry,
                in_flow: place.in_flow || is_flow(place.node),
                reached: &steps[..steps.len() - rest.len()],
                missing: rest,
            };
        }
    }

    /// Whether the document says already what the change wants.
    pub(super) fn says_it(&self, change: &Change) -> bool {
        match change {
            Change::Set { text, .. } => self.missing.is_empty() && is_said(self.node, text),
            Change::Append { .. } => false,
        }
    }

    /// Whether `after` is `before` with the change at this place, and nothing else.
    pub(super) fn is_proven(&self, before: &Document, after: &Document, change: &Change) -> bool {
        let mut undone = after.root().clone();
        let replaced = match self.missing.first() {
            // An entry was added to a mapping that has others.
            Some(step) if !self.node.entries().is_empty() => {
                let Some(node) = reach(&mut undone, self.reached) else { return false };
                let Some(entry) = take_entry(node, step) else { return false };
                says(&entry.value, &self.missing[1..], change)
            }
            None if matches!(change, Change::Append { .. }) && !self.node.items().is_empty() => {
                match reach(&mut undone, self.reached).map(|node| &mut node.value) {
                    Some(Value::Sequence(items, _)) => {
                        items.pop().is_some_and(|item| is_said(&item, change.text()))
                    }
                    _ => false,
                }
            }
            _ => {
                let Some(node) = reach(&mut undone, self.reached) else { return false };
                let same_tag = self.node.tag.as_ref().map(|tag| &tag.name)
                    == node.tag.as_ref().map(|tag| &tag.name);
                same_tag && says(&std::mem::replace(node, self.node.clone()), self.missing, change)
            }
        };
        replaced && same(before.root(), &undone)
    }
}

/// Fails if another part of the document could change along with `node`.
fn refuse_shared(document: &Document, node: &Node) -> Result<(), Refusal> {
    let reason = match &node.value {
        Value::Alias(_) => "an alias is in the way",
        _ if node.anchor.is_some() => "an anchor is in the way",
        Value::Scalar(..) => return Ok(()),
        _ if node.tag.is_some() => "a tag is in the way",
        _ => return Ok(()),
    };
    Err(Refusal::new(document, node.start(), reason))
}

/// Returns the child of `node` that `step` leads to, or `None` where it could be written.
fn child<'a>(
    document: &Document,
    node: &'a Node,
    step: &Step,
) -> Result<Option<(&'a Node, Option<&'a Entry>)>, Refusal> {
    let refuse = |at: usize, reason: String| Err(Refusal::new(document, at, reason));
    match (&node.value, step) {
        (Value::Sequence(items, _), _) => {
            let item = step.index().and_then(|index| items.get(index));
            let Some(item) = item else {
                let (step, count) = (Path::new([step.clone()]), items.len());
                return refuse(node.start(), format!("no item `{step}` in this list of {count}"));
            };
            Ok(Some((item, None)))
        }
        (Value::Mapping(entries, _), Step::Key(key)) => {
            let mut named = entries.iter().filter(|entry| entry.key.as_str() == Some(key));
            let first = named.next();
            if let Some(second) = named.next() {
                return refuse(second.key.span.start, "this key is there twice".to_owned());
            }
            let merge = entries.iter().find(|entry| entry.key.as_str() == Some("<<"));
            match (first, merge) {
                (None, Some(merge)) => refuse(
                    merge.key.span.start,
                    format!("a merge key (`<<`) is in the way of `{key}`"),
                ),
                (first, _) => Ok(first.map(|entry| (&entry.value, Some(entry)))),
            }
        }
        (_, Step::Key(_)) if node.is_null() => Ok(None),
        (_, Step::Key(key)) => refuse(node.start(), format!("expected keys here, to find `{key}`")),
        (_, Step::Index(_)) => refuse(node.start(), "expected a list here".to_owned()),
    }
}

/// Whether the node is a text for every reader, and this one.
fn is_said(node: &Node, text: &str) -> bool {
    node.as_str() == Some(text) && is_text(node) && node.anchor.is_none()
}

/// Whether the node is nothing but `steps` that lead to what the change wants.
fn says(node: &Node, steps: &[Step], change: &Change) -> bool {
    match (steps.split_first(), change) {
        (Some((Step::Key(key), rest)), _) => match node.entries() {
            [entry] => entry.key.as_str() == Some(key) && says(&entry.value, rest, change),
            _ => false,
        },
        (Some((Step::Index(_), _)), _) => false,
        (None, Change::Set { text, .. }) => is_said(node, text),
        (None, Change::Append { text, .. }) => {
            matches!(node.items(), [item] if is_said(item, text))
        }
    }
}

fn reach<'a>(node: &'a mut Node, steps: &[Step]) -> Option<&'a mut Node> {
    let Some((step, rest)) = steps.split_first() else { return Some(node) };
    let child = match &mut node.value {
        Value::Sequence(items, _) => items.get_mut(step.index()?)?,
        Value::Mapping(entries, _) => {
            let Step::Key(key) = step else { return None };
            &mut entries.iter_mut().find(|entry| entry.key.as_str() == Some(key))?.value
        }
        _ => return None,
    };
    reach(child, rest)
}

fn take_entry(node: &mut Node, step: &Step) -> Option<Entry> {
    let (Value::Mapping(entries, _), Step::Key(key)) = (&mut node.value, step) else {
        return None;
    };
    let index = entries.iter().position(|entry| entry.key.as_str() == Some(key))?;
    Some(entries.remove(index))
}
