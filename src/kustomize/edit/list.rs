//! Entries of `images`: added, removed, moved; and `images` itself, where it is not there yet.

use super::super::kustomization::{Field, ImageEntry, Kustomization, find};
use super::refuse::{refuse_shared, refused};
use super::{EditError, Step};
use crate::yaml::splice::{
    append_to_root, dash, dash_indent, fill, fill_in_flow, insert_line, is_flow, lines, quotes,
    remove_from_flow, remove_lines, separator,
};
use crate::yaml::{self, Document, Node, Patch, ScalarStyle, write_scalar};

/// How many columns the first key of an entry is from its dash, where there is no other to follow.
const OFFSET: usize = 2;

/// Returns the key `images` and its value, if it is there.
pub(super) fn images(file: &Kustomization) -> Option<&yaml::Entry> {
    find(file.document().root(), "images")
}

/// Returns how to write `entry` as the entry at `index`.
pub(super) fn insert(
    file: &Kustomization,
    index: usize,
    entry: &ImageEntry,
) -> Result<Step, EditError> {
    let document = file.document();
    let Some(images) = images(file) else {
        return create(document, entry);
    };
    let node = &images.value;
    if node.anchor.is_some() || node.tag.is_some() {
        return Err(refused(
            document,
            node.start(),
            "an anchor or a tag on `images` is in the way",
        ));
    }
    if node.items().is_empty() {
        return fill_list(document, images, entry);
    }
    match is_flow(node) {
        true => Ok(vec![vec![insert_into_flow(document, node, index, entry)]]),
        false => insert_into_block(document, images, index, entry),
    }
}

/// Returns how to remove the entry at `index`.
pub(super) fn remove(file: &Kustomization, index: usize) -> Result<Step, EditError> {
    let document = file.document();
    let (images, items) = shareless_items(file)?;
    let (text, item) = (document.text(), &items[index]);
    if is_flow(&images.value) {
        let previous = index.checked_sub(1).map(|index| items[index].span.end);
        let next = items.get(index + 1).map(Node::start);
        let part = item.start()..item.span.end;
        return Ok(vec![vec![remove_from_flow(document, previous, part, next)?]]);
    }
    let dash = dash(text, images, index)
        .ok_or_else(|| refused(document, item.start(), "this entry does not begin with a dash"))?;
    Ok(vec![vec![remove_lines(document, dash, item.span.end)?]])
}

/// Returns how to bring the entries into another order: `order` names the old places. A comment
/// above an entry moves with it.
pub(super) fn rearrange(file: &Kustomization, order: &[usize]) -> Result<Step, EditError> {
    let document = file.document();
    let (images, items) = shareless_items(file)?;
    let text = document.text();
    if is_flow(&images.value) {
        let slots = items.iter().zip(order).map(|(slot, &from)| {
            Patch::replace(slot.span.clone(), &text[items[from].span.clone()])
        });
        return Ok(vec![slots.collect()]);
    }
    let mut bounds = vec![lines::below(text, images.key.span.end)];
    bounds.extend(items.iter().map(|item| lines::below(text, item.span.end)));
    // Blank lines between entries stay where they are.
    let word = |index: usize| first_word(text, bounds[index]);
    let line_break = lines::line_break(text);
    let mut moved = String::new();
    for (slot, &index) in order.iter().enumerate() {
        moved.push_str(&text[bounds[slot]..word(slot)]);
        moved.push_str(&text[word(index)..bounds[index + 1]]);
        if !moved.ends_with(['\n', '\r']) {
            moved.push_str(line_break);
        }
    }
    let whole = bounds[0]..bounds[items.len()];
    if !text[whole.clone()].ends_with(['\n', '\r']) {
        moved.truncate(moved.trim_end_matches(['\n', '\r']).len());
    }
    Ok(vec![vec![Patch::replace(whole, moved)]])
}

/// Returns the beginning of the first line from `at` that is not blank.
fn first_word(text: &str, mut at: usize) -> usize {
    while at < text.len() && lines::is_blank(&text[at..lines::end(text, at)]) {
        at = lines::next(text, at);
    }
    at
}

fn shareless_items(file: &Kustomization) -> Result<(&yaml::Entry, &[Node]), EditError> {
    let document = file.document();
    let images = images(file).ok_or_else(|| refused(document, 0, "`images` is not there"))?;
    refuse_shared(document, &images.value)?;
    Ok((images, images.value.items()))
}

fn insert_into_block(
    document: &Document,
    images: &yaml::Entry,
    index: usize,
    entry: &ImageEntry,
) -> Result<Step, EditError> {
    let (text, items) = (document.text(), images.value.items());
    let model = &items[index.saturating_sub(1)];
    let no_dash = || refused(document, model.start(), "this entry does not begin with a dash");
    let dash = dash(text, images, index.saturating_sub(1)).ok_or_else(no_dash)?;
    let indent = lines::before(text, dash);
    let gap = &text[dash + 1..model.start().max(dash + 1)];
    let offset = if !gap.is_empty() && lines::is_blank(gap) { gap.len() + 1 } else { OFFSET };
    let written = match is_flow(model) {
        true => format!("{indent}-{}{}", " ".repeat(offset - 1), flow_entry(entry, Some(model))),
        false => block_entry(text, entry, indent, offset, name_quotes(model)),
    };
    let patch = match index {
        0 => {
            Patch::insert(lines::start(text, dash), format!("{written}{}", lines::line_break(text)))
        }
        _ => {
            let spaced = index > 1 && lines::has_empty_line(text, items[index - 2].span.end, dash);
            let empty = if spaced { lines::line_break(text) } else { "" };
            insert_line(document, model.span.end, &format!("{empty}{written}"))?
        }
    };
    Ok(vec![vec![patch]])
}

fn insert_into_flow(document: &Document, list: &Node, index: usize, entry: &ImageEntry) -> Patch {
    let (text, items) = (document.text(), list.items());
    let model = &items[index.saturating_sub(1)];
    let written = flow_entry(entry, Some(model));
    match index {
        0 => Patch::insert(model.start(), format!("{written}, ")),
        _ => {
            let separator = separator(text, list, model.start(), model.span.end);
            Patch::insert(model.span.end, format!("{separator}{written}"))
        }
    }
}

/// Returns how to write the first entry below an `images` that says `[]`, `null` or nothing.
fn fill_list(
    document: &Document,
    images: &yaml::Entry,
    entry: &ImageEntry,
) -> Result<Step, EditError> {
    let model = document.root().entries().first().map(|entry| &entry.key);
    if is_flow(document.root()) {
        let list = format!("[{}]", flow_entry(entry, model));
        return Ok(vec![vec![fill_in_flow(images, &list)]]);
    }
    let indent = lines::before(document.text(), images.key.start());
    Ok(fill(document, images, &block_list(document, entry, indent))?)
}

/// Returns how to write `images` with its first entry, at the end of the document if possible.
fn create(document: &Document, entry: &ImageEntry) -> Result<Step, EditError> {
    let (text, root) = (document.text(), document.root());
    if is_flow(root) {
        return Ok(vec![vec![create_in_flow(text, root, entry)]]);
    }
    let line_break = lines::line_break(text);
    Ok(append_to_root(document, |indent| {
        format!("{indent}images:{line_break}{}", block_list(document, entry, indent))
    })?)
}

fn create_in_flow(text: &str, root: &Node, entry: &ImageEntry) -> Patch {
    let Some(last) = root.entries().last() else {
        let list = flow_entry(entry, None);
        return Patch::replace(root.span.clone(), format!("{{images: [{list}]}}"));
    };
    let end = last.value.span.end;
    let separator = separator(text, root, last.key.start(), end);
    let key = write_scalar("images", quotes(&last.key), true);
    let list = flow_entry(entry, Some(&last.key));
    Patch::insert(end, format!("{separator}{key}: [{list}]"))
}

/// Returns a list with one entry below a key that is indented by `indent`, its dash as far to the
/// right as in the document's other lists.
fn block_list(document: &Document, entry: &ImageEntry, indent: &str) -> String {
    let dash_indent = dash_indent(document).unwrap_or(indent);
    block_entry(document.text(), entry, dash_indent, OFFSET, ScalarStyle::Plain)
}

/// Returns the lines of an entry, without the last line break.
fn block_entry(
    text: &str,
    entry: &ImageEntry,
    indent: &str,
    offset: usize,
    style: ScalarStyle,
) -> String {
    let pair = |field: Field| {
        Some(format!("{}: {}", field.key(), write_scalar(entry.get(field)?, style, false)))
    };
    let pairs: Vec<_> = Field::ALL.into_iter().filter_map(pair).collect();
    let separator = format!("{}{indent}{}", lines::line_break(text), " ".repeat(offset));
    let body = if pairs.is_empty() { "{}".to_owned() } else { pairs.join(&separator) };
    format!("{indent}-{}{body}", " ".repeat(offset - 1))
}

/// Returns an entry in braces, quoted as `model` is: another entry, or a key beside it.
fn flow_entry(entry: &ImageEntry, model: Option<&Node>) -> String {
    let key_style = model.map_or(ScalarStyle::Plain, |model| {
        quotes(model.entries().first().map_or(model, |entry| &entry.key))
    });
    let value_style = match model.map(name_quotes) {
        None | Some(ScalarStyle::Plain) => key_style,
        Some(style) => style,
    };
    let pair = |field: Field| {
        let value = write_scalar(entry.get(field)?, value_style, true);
        Some(format!("{}: {value}", write_scalar(field.key(), key_style, true)))
    };
    let pairs: Vec<_> = Field::ALL.into_iter().filter_map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn name_quotes(model: &Node) -> ScalarStyle {
    find(model, "name").map_or(ScalarStyle::Plain, |entry| quotes(&entry.value))
}
