//! How a change is written: a scalar, an entry with the keys that lead to it, an item of a list.

use super::place::Place;
use super::splice::{
    Refusal, Ways, append_to_root, dash, dash_indent, fill, fill_in_flow, insert_line, is_flow,
    quotes, replace_scalar, separator,
};
use super::{Change, lines};
use crate::yaml::path::Step;
use crate::yaml::{Document, Entry, Node, Patch, ScalarStyle, StructureStyle, Value, write_scalar};

/// How many columns a mapping is to the right of its key, where the document shows no other way.
const INDENT: usize = 2;

impl Place<'_> {
    /// Returns ways to write the change.
    ///
    /// # Errors
    ///
    /// Fails if there is none that is certain to be right.
    pub(super) fn ways(&self, document: &Document, change: &Change) -> Result<Ways, Refusal> {
        let keys = self.keys(document)?;
        match (self.missing, change) {
            ([], Change::Set { text, .. }) => {
                Ok(vec![vec![replace_scalar(document, self.node, text, self.in_flow)?]])
            }
            ([], Change::Append { text, .. }) if !self.node.items().is_empty() => {
                Ok(vec![vec![self.append(document, text)?]])
            }
            _ if !self.node.entries().is_empty() => self.add(document, &keys, change),
            _ => self.fill(document, &keys, change),
        }
    }

    /// Returns the keys that are missing.
    fn keys(&self, document: &Document) -> Result<Vec<&str>, Refusal> {
        let keys = self.missing.iter().map(|step| match step {
            Step::Key(key) => Ok(key.as_str()),
            Step::Index(_) => {
                let reason = "a list that the path leads into is not there";
                Err(Refusal::new(document, self.node.start(), reason))
            }
        });
        keys.collect()
    }

    /// Returns how to append to a list that has items.
    fn append(&self, document: &Document, text: &str) -> Result<Patch, Refusal> {
        let (source, items) = (document.text(), self.node.items());
        let last = items.len() - 1;
        let flow = self.in_flow || is_flow(self.node);
        let written = write_scalar(text, quotes(&items[last]), flow);
        let end = items[last].span.end;
        if is_flow(self.node) {
            let separator = separator(source, self.node, items[last].start(), end);
            return Ok(Patch::insert(end, format!("{separator}{written}")));
        }
        let dash = self.entry.and_then(|entry| dash(source, entry, last)).ok_or_else(|| {
            let reason = "the last item does not begin with a dash on a line of its own";
            Refusal::new(document, items[last].start(), reason)
        })?;
        let gap = &source[dash + 1..items[last].start().max(dash + 1)];
        let gap = if !gap.is_empty() && lines::is_blank(gap) { gap } else { " " };
        insert_line(document, end, &format!("{}-{gap}{written}", lines::before(source, dash)))
    }

    /// Returns how to add an entry to a mapping that has others.
    fn add(&self, document: &Document, keys: &[&str], change: &Change) -> Result<Ways, Refusal> {
        let (text, entries) = (document.text(), self.node.entries());
        let beside = match (change, keys) {
            (Change::Set { after: Some(after), .. }, [_]) => {
                entries.iter().find(|entry| entry.key.as_str() == Some(after))
            }
            _ => None,
        };
        let is_root = self.reached.is_empty();
        let neighbour = beside.unwrap_or(&entries[entries.len() - 1]);
        let end = neighbour.value.span.end;
        if self.in_flow || is_flow(self.node) {
            let separator = separator(text, self.node, neighbour.key.start(), end);
            let written =
                flow_entry(keys, change, quotes(&neighbour.key), quotes(&neighbour.value));
            return Ok(vec![vec![Patch::insert(end, format!("{separator}{written}"))]]);
        }
        let style = beside.map_or(ScalarStyle::Plain, |entry| quotes(&entry.value));
        let block = |indent: &str| block(document, indent, keys, change, style);
        if is_root && beside.is_none() {
            return append_to_root(document, block);
        }
        let written = block(&lines::spaces(lines::before(text, entries[0].key.start())));
        let mut ways = vec![vec![insert_line(document, end, &written)?]];
        let before = lines::start(text, neighbour.key.start());
        if lines::is_blank(&text[before..neighbour.key.start()]) {
            let line_break = lines::line_break(text);
            ways.push(vec![Patch::insert(before, format!("{written}{line_break}"))]);
        }
        Ok(ways)
    }

    /// Returns how to write something where nothing is, or an empty collection.
    fn fill(&self, document: &Document, keys: &[&str], change: &Change) -> Result<Ways, Refusal> {
        let text = document.text();
        let in_flow = self.in_flow;
        match self.entry {
            Some(entry) if in_flow => {
                let (key, value) = (quotes(&entry.key), ScalarStyle::Plain);
                Ok(vec![vec![fill_in_flow(entry, &flow_value(keys, change, key, value))]])
            }
            Some(entry) => {
                let indent = lines::spaces(lines::before(text, entry.key.start()));
                let indent = match keys {
                    [] => indent,
                    _ => format!("{indent}{}", " ".repeat(step_of(document))),
                };
                fill(document, entry, &block(document, &indent, keys, change, ScalarStyle::Plain))
            }
            None if self.reached.is_empty() && is_flow(self.node) => {
                let plain = ScalarStyle::Plain;
                let written = flow_value(keys, change, plain, plain);
                Ok(vec![vec![Patch::replace(self.node.span.clone(), written)]])
            }
            None if self.reached.is_empty() && self.node.span.is_empty() && !keys.is_empty() => {
                append_to_root(document, |indent| {
                    block(document, indent, keys, change, ScalarStyle::Plain)
                })
            }
            None => {
                let reason = "this is empty; write a first key here";
                Err(Refusal::new(document, self.node.start(), reason))
            }
        }
    }
}

/// Returns the lines of `keys`, each below the one before, and what the change wants below the
/// last, without the last line break.
fn block(
    document: &Document,
    indent: &str,
    keys: &[&str],
    change: &Change,
    style: ScalarStyle,
) -> String {
    let line_break = lines::line_break(document.text());
    let Some((key, rest)) = keys.split_first() else {
        let written = write_scalar(change.text(), style, false);
        return format!("{}- {written}", dashes_at(document, indent));
    };
    let key = write_scalar(key, ScalarStyle::Plain, false);
    match (rest, change) {
        ([], Change::Set { text, .. }) => {
            format!("{indent}{key}: {}", write_scalar(text, style, false))
        }
        ([], Change::Append { .. }) => {
            format!("{indent}{key}:{line_break}{}", block(document, indent, rest, change, style))
        }
        _ => {
            let deeper = format!("{indent}{}", " ".repeat(step_of(document)));
            format!("{indent}{key}:{line_break}{}", block(document, &deeper, rest, change, style))
        }
    }
}

/// Returns the indentation of a list's dashes below a key that is indented by `indent`.
fn dashes_at(document: &Document, indent: &str) -> String {
    let root = document
        .root()
        .entries()
        .first()
        .map_or(0, |entry| lines::before(document.text(), entry.key.start()).chars().count());
    let offset = dash_indent(document).map_or(0, |dashes| dashes.len().saturating_sub(root));
    format!("{indent}{}", " ".repeat(offset))
}

fn flow_entry(keys: &[&str], change: &Change, key: ScalarStyle, value: ScalarStyle) -> String {
    let name = keys.first().map_or(String::new(), |name| write_scalar(name, key, true));
    let style = if value == ScalarStyle::Plain { key } else { value };
    format!("{name}: {}", flow_value(keys.get(1..).unwrap_or_default(), change, key, style))
}

fn flow_value(keys: &[&str], change: &Change, key: ScalarStyle, value: ScalarStyle) -> String {
    match change {
        _ if !keys.is_empty() => format!("{{{}}}", flow_entry(keys, change, key, value)),
        Change::Set { text, .. } => write_scalar(text, value, true),
        Change::Append { text, .. } => format!("[{}]", write_scalar(text, value, true)),
    }
}

/// Returns how many columns mappings are to the right of their keys in this document.
fn step_of(document: &Document) -> usize {
    let text = document.text();
    let column = |entry: &Entry| lines::before(text, entry.key.start()).chars().count();
    let step = |parent: &Entry| match &parent.value.value {
        Value::Mapping(entries, StructureStyle::Block) => {
            Some(column(entries.first()?).saturating_sub(column(parent))).filter(|step| *step > 0)
        }
        _ => None,
    };
    let mut parents = document.root().walk().flat_map(Node::entries);
    parents.find_map(step).unwrap_or(INDENT)
}
