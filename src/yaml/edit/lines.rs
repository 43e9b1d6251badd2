//! Lines of a text by byte offset: where they begin and end, and how they break.

/// Returns where the line that `at` is on begins, behind a byte order mark.
pub(crate) fn start(text: &str, at: usize) -> usize {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    text[..at].rfind(['\n', '\r']).map_or(0, |found| found + 1).max(bom.min(at))
}

/// Returns where the line that `at` is on ends, before its line break.
pub(crate) fn end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length)
}

/// Returns where the line after the one that `at` is on begins, or the end of the text.
pub(crate) fn next(text: &str, at: usize) -> usize {
    let end = end(text, at);
    end + if text[end..].starts_with("\r\n") { 2 } else { usize::from(end < text.len()) }
}

/// Returns the line break that the text uses first; a lone carriage return only if it has no other.
pub(crate) fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        None if text.contains('\r') => "\r",
        _ => "\n",
    }
}

/// Returns what stands before `at` on its line.
pub(crate) fn before(text: &str, at: usize) -> &str {
    &text[start(text, at)..at]
}

/// Whether `at` is where a line begins.
pub(crate) fn is_start(text: &str, at: usize) -> bool {
    start(text, at) == at
}

/// Whether `text` has nothing but spaces and tabs.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b == b'\t')
}

/// Whether the rest of the line from `at` says nothing: spaces, and a comment at most.
pub(crate) fn is_spent(text: &str, at: usize) -> bool {
    let rest = &text[at..end(text, at)];
    let comment = rest.trim_start_matches([' ', '\t']);
    comment.is_empty() || (comment.starts_with('#') && comment.len() < rest.len())
}

/// Returns the beginning of the line below a value that ends at `end`; a block text ends there.
pub(crate) fn below(text: &str, end: usize) -> usize {
    if is_start(text, end) { end } else { next(text, end) }
}

/// Whether a line between the value that ends at `from` and the line of `to` is empty.
pub(crate) fn has_empty_line(text: &str, from: usize, to: usize) -> bool {
    let mut at = below(text, from);
    while at < start(text, to) {
        if is_blank(&text[at..end(text, at)]) {
            return true;
        }
        at = next(text, at);
    }
    false
}

/// Returns as many spaces as `text` has characters.
pub(crate) fn spaces(text: &str) -> String {
    " ".repeat(text.chars().count())
}
