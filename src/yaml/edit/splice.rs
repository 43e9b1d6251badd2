//! Byte patches for parts of collections: a scalar replaced, an entry or an item added or removed,
//! in the style of what is there.

pub(crate) use super::lines;
pub(crate) use super::same::{is_text, same_entry};
pub(crate) use super::second;
use crate::yaml::{
    Document, Entry, Node, Patch, ScalarStyle, Span, StructureStyle, Value, write_scalar,
};

/// Why something can't be edited with certainty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Refusal {
    /// The line, counted from 1.
    pub line: usize,
    /// What is in the way.
    pub reason: String,
}

impl Refusal {
    /// Returns the refusal to edit what stands at the byte `at` of `document`.
    pub(crate) fn new(document: &Document, at: usize, reason: impl Into<String>) -> Self {
        Self { line: document.position(at).line, reason: reason.into() }
    }
}

/// Ways to write one change, best first, each a list of patches.
pub(crate) type Ways = Vec<Vec<Patch>>;

/// Whether the node is a collection in brackets or braces.
pub(crate) fn is_flow(node: &Node) -> bool {
    matches!(
        node.value,
        Value::Mapping(_, StructureStyle::Flow) | Value::Sequence(_, StructureStyle::Flow)
    )
}

/// Returns how the scalar is quoted; a block scalar counts as plain.
pub(crate) fn quotes(node: &Node) -> ScalarStyle {
    match node.value {
        Value::Scalar(_, style @ (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)) => style,
        _ => ScalarStyle::Plain,
    }
}

/// Returns the patch that makes the scalar `node` say `value`, quoted as it is where that is safe.
/// `flow` says whether it stands inside of `[]` or `{}`.
///
/// # Errors
///
/// Fails if it is no scalar, has a tag that may mean something, or stands where nothing can.
pub(crate) fn replace_scalar(
    document: &Document,
    node: &Node,
    value: &str,
    flow: bool,
) -> Result<Patch, Refusal> {
    let text = document.text();
    let Value::Scalar(_, style) = node.value else {
        return Err(Refusal::new(document, node.start(), "expected one text here"));
    };
    if node.tag.as_ref().is_some_and(|tag| tag.name != "tag:yaml.org,2002:str") {
        return Err(Refusal::new(document, node.start(), "a tag is in the way"));
    }
    let written = write_scalar(value, quotes(node), flow);
    if node.span.is_empty() {
        return match text[..node.span.start].ends_with([':', '-']) {
            true => Ok(Patch::insert(node.span.start, format!(" {written}"))),
            false => Err(Refusal::new(document, node.start(), "expected `: ` after this key")),
        };
    }
    let mut span = node.span.clone();
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let header = &text[span.start..lines::end(text, span.start)];
        if header.contains('#') {
            let reason = "a block text with a comment is in the way";
            return Err(Refusal::new(document, span.start, reason));
        }
        span.end = span.start + text[span.clone()].trim_end().len();
    }
    Ok(Patch::replace(span, written))
}

/// Returns what to write between the part of the flow collection `whole` that begins at `start` and
/// ends at `end`, and a new one after it: a comma, and a line break if parts stand on lines of
/// their own.
pub(crate) fn separator(text: &str, whole: &Node, start: usize, end: usize) -> String {
    let indent = lines::before(text, start);
    let own_line = lines::is_blank(indent) && whole.span.start < lines::start(text, start);
    let comment = text[end..lines::end(text, end)].contains('#');
    // libyaml reads `a:,` as one scalar.
    let space = if text[..end].ends_with(':') { " " } else { "" };
    match own_line && !comment {
        true => format!("{space},{}{indent}", lines::line_break(text)),
        false => format!("{space}, "),
    }
}

/// Returns the patch that writes `new` as lines of their own behind the value that ends at `end`.
///
/// # Errors
///
/// Fails if something else stands behind the value on its line.
pub(crate) fn insert_line(document: &Document, end: usize, new: &str) -> Result<Patch, Refusal> {
    let text = document.text();
    let line_break = lines::line_break(text);
    if lines::is_start(text, end) {
        return Ok(Patch::insert(end, format!("{new}{line_break}")));
    }
    if !lines::is_spent(text, end) {
        return Err(Refusal::new(document, end, "more than one thing is on this line"));
    }
    Ok(Patch::insert(lines::end(text, end), format!("{line_break}{new}")))
}

/// Returns the patch that takes the entry at `index` out of the mapping `node`.
///
/// # Errors
///
/// Fails if a comment or something else would go with it.
pub(crate) fn remove_entry(
    document: &Document,
    node: &Node,
    index: usize,
) -> Result<Patch, Refusal> {
    let (text, entries) = (document.text(), node.entries());
    let (start, end) = (entries[index].key.start(), entries[index].value.span.end);
    let next = entries.get(index + 1).map(|entry| entry.key.start());
    if is_flow(node) {
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
///
/// # Errors
///
/// Fails if a comment would go with it.
pub(crate) fn remove_from_flow(
    document: &Document,
    previous_end: Option<usize>,
    part: Span,
    next_start: Option<usize>,
) -> Result<Patch, Refusal> {
    let span = match (previous_end, next_start) {
        (Some(previous), _) => previous..part.end,
        (None, Some(next)) => part.start..next,
        (None, None) => part.clone(),
    };
    let text = document.text();
    let around = [&text[span.start..part.start.max(span.start)], &text[part.end..span.end]];
    match around.iter().any(|gap| gap.contains('#')) {
        true => Err(Refusal::new(document, part.start, "a comment is in the way")),
        false => Ok(Patch::remove(span)),
    }
}

/// Returns the patch that removes the whole lines from the one of `start` to the one of `end`.
///
/// # Errors
///
/// Fails if something else stands behind `end` on its line.
pub(crate) fn remove_lines(
    document: &Document,
    start: usize,
    end: usize,
) -> Result<Patch, Refusal> {
    let text = document.text();
    let first = lines::start(text, start);
    if lines::is_start(text, end) {
        return Ok(Patch::remove(first..end));
    }
    if !lines::is_spent(text, end) {
        return Err(Refusal::new(document, end, "more than one thing is on this line"));
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

/// Returns where the dash of the item at `index` of the block sequence under `parent` is.
pub(crate) fn dash(text: &str, parent: &Entry, index: usize) -> Option<usize> {
    let items = parent.value.items();
    let from = match index.checked_sub(1) {
        Some(previous) => items[previous].span.end,
        None => parent.key.span.end,
    };
    let mut at = lines::below(text, from);
    while at < items[index].span.end {
        let line = &text[at..lines::end(text, at)];
        let content = line.trim_start_matches([' ', '\t']);
        if content.starts_with('-') {
            return Some(at + line.len() - content.len());
        }
        if !(content.is_empty() || content.starts_with('#')) {
            return None;
        }
        at = lines::next(text, at);
    }
    None
}

/// Returns how far to the right of the document's keys the dashes of its lists are, as text to
/// write before a dash; `None` if it has no such list.
pub(crate) fn dash_indent(document: &Document) -> Option<&str> {
    let text = document.text();
    let is_block = |parent: &&Entry| matches!(&parent.value.value, Value::Sequence(items, StructureStyle::Block) if !items.is_empty());
    let mut lists = document.root().entries().iter().filter(is_block);
    lists.find_map(|parent| Some(lines::before(text, dash(text, parent, 0)?)))
}

/// Returns how to put a block below the key of `parent`, whose value is left out, `null` or an
/// empty collection: the value goes, and `block` is written on the lines after it.
///
/// # Errors
///
/// Fails if something else stands on its line.
pub(crate) fn fill(document: &Document, parent: &Entry, block: &str) -> Result<Ways, Refusal> {
    let (text, node) = (document.text(), &parent.value);
    let mut patches = Vec::new();
    if !node.span.is_empty() {
        let kept = text[..node.span.start].trim_end_matches([' ', '\t']).len();
        patches.push(Patch::remove(kept..node.span.end));
    }
    patches.push(insert_line(document, node.span.end, block)?);
    Ok(vec![patches])
}

/// Returns the patch that makes the value of `parent`, which is left out, `null` or an empty
/// collection, the flow collection `flow`.
pub(crate) fn fill_in_flow(parent: &Entry, flow: &str) -> Patch {
    let span = parent.value.span.clone();
    match span.is_empty() {
        true => Patch::insert(span.end, format!(" {flow}")),
        false => Patch::replace(span, flow),
    }
}

/// Returns how to write an entry at the end of the document's top mapping, if possible. `entry` gets
/// the indentation of its keys and returns the entry's lines without the last line break.
///
/// # Errors
///
/// Fails if the first key shares its line with something.
pub(crate) fn append_to_root(
    document: &Document,
    entry: impl Fn(&str) -> String,
) -> Result<Ways, Refusal> {
    let (text, root) = (document.text(), document.root());
    let first = root.entries().first().map(|entry| entry.key.start());
    let indent = first.map_or("", |at| lines::before(text, at));
    if !lines::is_blank(indent) {
        let reason = "expected the first key on a line of its own";
        return Err(Refusal::new(document, root.start(), reason));
    }
    let line_break = lines::line_break(text);
    let empty = if separates_by_empty_lines(text, root) { line_break } else { "" };
    let written = entry(indent);
    let limit = document_end(document);
    let last_word = text[..limit].trim_end().len();
    let mut ways = Vec::new();
    if text[..last_word].trim_start_matches('\u{feff}').is_empty() {
        ways.push(vec![Patch::insert(last_word, format!("{written}{line_break}"))]);
    } else {
        let at = lines::end(text, last_word);
        ways.push(vec![Patch::insert(at, format!("{line_break}{empty}{written}"))]);
    }
    // Blank lines at the end may be part of a block scalar, so the next best is behind them.
    ways.push(vec![match lines::is_start(text, limit) {
        true => Patch::insert(limit, format!("{written}{line_break}")),
        false => Patch::insert(limit, format!("{line_break}{written}")),
    }]);
    // A block scalar that ends without a line break would get one, so the last is before it.
    ways.extend(root.entries().last().map(|last| {
        let at = lines::start(text, last.key.start());
        vec![Patch::insert(at, format!("{written}{line_break}"))]
    }));
    Ok(ways)
}

/// Returns where the document ends: before `...` or another document, or with the text.
fn document_end(document: &Document) -> usize {
    let text = document.text();
    let mut at = lines::below(text, document.root().span.end);
    while at < text.len() {
        let line = &text[at..];
        if line.starts_with("...") || line.starts_with("---") {
            return at;
        }
        at = lines::next(text, at);
    }
    text.len()
}

fn separates_by_empty_lines(text: &str, root: &Node) -> bool {
    let pairs = root.entries().windows(2);
    let is_spaced =
        |pair: &&[Entry]| lines::has_empty_line(text, pair[0].value.span.end, pair[1].key.start());
    let spaced = pairs.clone().filter(is_spaced);
    pairs.len() > 0 && spaced.count() * 2 > pairs.len()
}
