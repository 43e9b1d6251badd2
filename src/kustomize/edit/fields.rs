//! One field of an image entry: set, added, taken away.

use super::super::kustomization::{Field, Kustomization, find, is_key};
use super::{EditError, Step, lines, list, refuse_shared, refused};
use crate::yaml::{self, Document, Node, Patch, ScalarStyle, StructureStyle, Value, write_scalar};

/// Returns how to make `field` of the entry at `index` say `wanted`, or go.
pub(super) fn change(
    file: &Kustomization,
    index: usize,
    field: Field,
    wanted: Option<&str>,
) -> Result<Step, EditError> {
    let document = file.document();
    let images = list::images(file);
    let Some(item) = images.and_then(|images| images.value.items().get(index)) else {
        return Err(refused(document, 0, "the image entry is not there"));
    };
    refuse_shared(document, item)?;
    let patch = match (find(item, field.key()), wanted) {
        (Some(entry), Some(value)) => replace(document, entry, value, is_flow(item))?,
        (None, Some(value)) => add(document, item, field, value)?,
        (Some(_), None) => remove(document, item, field.key())?,
        (None, None) => return Ok(Step::new()),
    };
    Ok(vec![vec![patch]])
}

pub(super) fn is_flow(node: &Node) -> bool {
    matches!(
        node.value,
        Value::Mapping(_, StructureStyle::Flow) | Value::Sequence(_, StructureStyle::Flow)
    )
}

/// Returns how the scalar is quoted; a block scalar counts as plain.
pub(super) fn quotes(node: &Node) -> ScalarStyle {
    match node.value {
        Value::Scalar(_, style @ (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)) => style,
        _ => ScalarStyle::Plain,
    }
}

fn replace(
    document: &Document,
    entry: &yaml::Entry,
    value: &str,
    flow: bool,
) -> Result<Patch, EditError> {
    let (text, node) = (document.text(), &entry.value);
    let Value::Scalar(_, style) = node.value else {
        return Err(refused(document, node.start(), "expected one text here"));
    };
    if node.tag.as_ref().is_some_and(|tag| tag.name != "tag:yaml.org,2002:str") {
        return Err(refused(document, node.start(), "a tag is in the way"));
    }
    let written = write_scalar(value, quotes(node), flow);
    if node.span.is_empty() {
        return match text[..node.span.start].ends_with(':') {
            true => Ok(Patch::insert(node.span.start, format!(" {written}"))),
            false => Err(refused(document, node.start(), "expected `: ` after this key")),
        };
    }
    let mut span = node.span.clone();
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let header = &text[span.start..lines::end(text, span.start)];
        if header.contains('#') {
            return Err(refused(document, span.start, "a block text with a comment is in the way"));
        }
        span.end = span.start + text[span.clone()].trim_end().len();
    }
    Ok(Patch::replace(span, written))
}

fn add(document: &Document, item: &Node, field: Field, value: &str) -> Result<Patch, EditError> {
    let text = document.text();
    let earlier = Field::ALL.into_iter().take_while(|other| *other != field);
    let present: Vec<_> = earlier.filter_map(|other| find(item, other.key())).collect();
    let Some(neighbour) = present.last().copied().or(item.entries().last()) else {
        let written = write_scalar(value, ScalarStyle::Plain, true);
        return Ok(Patch::replace(item.span.clone(), format!("{{{}: {written}}}", field.key())));
    };
    let style = quotes(&present.first().copied().unwrap_or(neighbour).value);
    let flow = is_flow(item);
    let key = write_scalar(field.key(), quotes(&neighbour.key), flow);
    let line = format!("{key}: {}", write_scalar(value, style, flow));
    let end = neighbour.value.span.end;
    if flow {
        let separator = separator(text, item, neighbour.key.start(), end);
        return Ok(Patch::insert(end, format!("{separator}{line}")));
    }
    let indent = lines::spaces(lines::before(text, item.entries()[0].key.start()));
    insert_line(document, end, &format!("{indent}{line}"))
}

/// Returns what to write between the part of the flow collection `whole` that begins at `start` and
/// ends at `end`, and a new one after it: a comma, and a line break if parts stand on lines of
/// their own.
pub(super) fn separator(text: &str, whole: &Node, start: usize, end: usize) -> String {
    let indent = lines::before(text, start);
    let own_line = lines::is_blank(indent) && whole.span.start < lines::start(text, start);
    let comment = text[end..lines::end(text, end)].contains('#');
    match own_line && !comment {
        true => format!(",{}{indent}", lines::line_break(text)),
        false => ", ".to_owned(),
    }
}

/// Returns the patch that writes `new` as lines of their own behind the value that ends at `end`.
pub(super) fn insert_line(document: &Document, end: usize, new: &str) -> Result<Patch, EditError> {
    let text = document.text();
    let line_break = lines::line_break(text);
    if lines::is_start(text, end) {
        return Ok(Patch::insert(end, format!("{new}{line_break}")));
    }
    if !lines::is_spent(text, end) {
        return Err(refused(document, end, "more than one thing is on this line"));
    }
    Ok(Patch::insert(lines::end(text, end), format!("{line_break}{new}")))
}

fn remove(document: &Document, item: &Node, key: &str) -> Result<Patch, EditError> {
    let (text, entries) = (document.text(), item.entries());
    let index = entries.iter().position(|entry| is_key(entry, key)).unwrap_or_default();
    let (start, end) = (entries[index].key.start(), entries[index].value.span.end);
    let next = entries.get(index + 1).map(|entry| entry.key.start());
    if is_flow(item) {
        let previous = index.checked_sub(1).map(|index| entries[index].value.span.end);
        return remove_from_flow(document, previous, start..end, next);
    }
    if lines::is_blank(lines::before(text, start)) {
        return remove_lines(document, start, end);
    }
    // A block text ends on the next line already.
    let last_line = lines::end(text, start + text[start..end].trim_end().len());
    match next {
        // The next key moves up to the dash, unless comments stand between.
        Some(next) if text[last_line..next].trim().is_empty() => Ok(Patch::remove(start..next)),
        _ => Ok(Patch::remove(text[..start].trim_end_matches(' ').len()..last_line)),
    }
}

/// Returns the patch that takes `part` and one comma out of a flow collection.
pub(super) fn remove_from_flow(
    document: &Document,
    previous_end: Option<usize>,
    part: yaml::Span,
    next_start: Option<usize>,
) -> Result<Patch, EditError> {
    let span = match (previous_end, next_start) {
        (Some(previous), _) => previous..part.end,
        (None, Some(next)) => part.start..next,
        (None, None) => part.clone(),
    };
    let text = document.text();
    let around = [&text[span.start..part.start.max(span.start)], &text[part.end..span.end]];
    match around.iter().any(|gap| gap.contains('#')) {
        true => Err(refused(document, part.start, "a comment is in the way")),
        false => Ok(Patch::remove(span)),
    }
}

/// Returns the patch that removes the whole lines from the one of `start` to the one of `end`.
pub(super) fn remove_lines(
    document: &Document,
    start: usize,
    end: usize,
) -> Result<Patch, EditError> {
    let text = document.text();
    let first = lines::start(text, start);
    if lines::is_start(text, end) {
        return Ok(Patch::remove(first..end));
    }
    if !lines::is_spent(text, end) {
        return Err(refused(document, end, "more than one thing is on this line"));
    }
    let last = lines::end(text, end);
    if last < text.len() {
        return Ok(Patch::remove(first..lines::next(text, end)));
    }
    // The last line has no line break of its own, so the one before it goes.
    let before = &text[..first];
    let kept = before.strip_suffix('\n').unwrap_or(before);
    Ok(Patch::remove(kept.strip_suffix('\r').unwrap_or(kept).len()..last))
}
