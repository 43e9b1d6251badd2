//! Parser events to nodes.

use granit_parser::{Event, ScanError, Span as Marks};

use super::document::position;
use super::node::{Anchor, Entry, Node, ScalarStyle, Span, Tag, Value};

/// How deep block and flow collections may be nested, each.
const NESTING: usize = 100;

/// Why a text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Returns where each document of `text` begins and its root, at least one.
pub(super) fn documents(text: &str) -> Result<Vec<(usize, Node)>, ParseError> {
    let mut reader = Reader::new(text);
    let mut documents = Vec::new();
    while let Some((event, marks)) = reader.next()? {
        if matches!(event, Event::DocumentStart(..)) {
            documents.push((marks_to_span(marks).start, reader.node()?));
        }
    }
    if documents.is_empty() {
        let value = Value::Scalar(String::new(), ScalarStyle::Plain);
        let end = text.len();
        documents.push((end, Node { value, span: end..end, anchor: None, tag: None }));
    }
    Ok(documents)
}

/// So many brackets may be open before it is counted how many of them are collections.
const OPEN: usize = 1000;

/// Fails if collections are nested so deeply that libyaml, which typed reading is done with, would be
/// busy for a time that grows with the square of the text.
///
/// # Errors
///
/// Fails where it is too deep, or no YAML.
pub fn check_nesting(text: &str) -> Result<(), ParseError> {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    // Brackets in texts are counted as well, so that it is only now known.
    if most > OPEN { documents(text).map(|_| ()) } else { Ok(()) }
}

struct Reader<'a> {
    text: &'a str,
    parser: granit_parser::Parser<'a, granit_parser::StrInput<'a>>,
    pending: Option<(Event<'a>, Marks)>,
    /// Where the last event that has bytes of its own ended.
    read: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let options = granit_parser::options! {
            // Comments are bytes between nodes here; as events they are limited in number.
            emit_comments: false,
            emit_anchor_events: true,
            // As libyaml, and so kustomize, reads it: what is appended must not change the scalar.
            block_scalar_eof_without_line_feed: true,
            flow_nesting_limit: NESTING,
            block_nesting_limit: NESTING,
        };
        let parser = granit_parser::Parser::new_from_str_with_options(text, options);
        Self { text, parser, pending: None, read: 0 }
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Marks)>, ParseError> {
        match self.pending.take() {
            Some(event) => Ok(Some(event)),
            None => self.parser.next_event().transpose().map_err(|error| self.error(&error)),
        }
    }

    fn error(&self, error: &ScanError) -> ParseError {
        let offset = error.marker().byte_offset().unwrap_or(self.text.len());
        let at = position(self.text, offset);
        ParseError { line: at.line, column: at.column, message: error.info().to_owned() }
    }

    fn expect(&mut self) -> Result<(Event<'a>, Marks), ParseError> {
        self.next()?.ok_or_else(|| {
            let at = position(self.text, self.text.len());
            let message = "the document ends too early".to_owned();
            ParseError { line: at.line, column: at.column, message }
        })
    }

    /// Returns the next node. Recursion is bounded by the parser's nesting limits.
    fn node(&mut self) -> Result<Node, ParseError> {
        let (event, marks) = self.expect()?;
        let mut span = marks_to_span(marks);
        let tag = event.tag().map(|tag| Tag {
            name: format!("{}{}", tag.handle(), tag.suffix()),
            span: marks.tag_span().map_or(span.start..span.start, marks_to_span),
        });
        let anchor = match event.anchor_id() {
            Some(_) => self.anchor()?,
            None => None,
        };
        let properties = tag.iter().map(|t| t.span.end).chain(anchor.iter().map(|a| a.span.end));
        self.read = properties.fold(self.read, usize::max);
        let value = match event {
            Event::Alias(id) => Value::Alias(id),
            Event::Scalar(_, ScalarStyle::Plain, ..) if span.is_empty() => {
                Value::Scalar(String::new(), ScalarStyle::Plain)
            }
            Event::Scalar(text, style, ..) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    span = block_scalar(self.text, self.read, span);
                }
                Value::Scalar(text.into_owned(), style)
            }
            Event::SequenceStart(style, ..) => {
                self.read = self.read.max(span.end);
                let items = self.items(&mut span)?;
                Value::Sequence(items, style)
            }
            Event::MappingStart(style, ..) => {
                self.read = self.read.max(span.end);
                let entries = self.entries(&mut span)?;
                Value::Mapping(entries, style)
            }
            _ => Value::Scalar(String::new(), ScalarStyle::Plain),
        };
        self.read = self.read.max(span.end);
        Ok(Node { value, span, anchor, tag })
    }

    fn anchor(&mut self) -> Result<Option<Anchor>, ParseError> {
        match self.next()? {
            Some((Event::Anchor(id, _), marks)) => {
                Ok(Some(Anchor { id, span: marks_to_span(marks) }))
            }
            other => {
                self.pending = other;
                Ok(None)
            }
        }
    }

    fn items(&mut self, span: &mut Span) -> Result<Vec<Node>, ParseError> {
        let mut items = Vec::new();
        while !self.ended(&Event::SequenceEnd, span)? {
            items.push(self.node()?);
        }
        Ok(items)
    }

    fn entries(&mut self, span: &mut Span) -> Result<Vec<Entry>, ParseError> {
        let mut entries = Vec::new();
        while !self.ended(&Event::MappingEnd, span)? {
            let key = self.node()?;
            let mut value = self.node()?;
            if value.span.is_empty() && value.anchor.is_none() && value.tag.is_none() {
                let place = behind_colon(self.text, key.span.end);
                value.span = place..place;
                self.read = self.read.max(place);
            }
            entries.push(Entry { key, value });
        }
        Ok(entries)
    }

    /// Returns whether the collection ends here, and if so sets where.
    fn ended(&mut self, end: &Event<'_>, span: &mut Span) -> Result<bool, ParseError> {
        let (event, marks) = self.expect()?;
        if event != *end {
            self.pending = Some((event, marks));
            return Ok(false);
        }
        // The end of a block collection is noticed only at the next token, past blank lines and
        // comments that are not part of it.
        let marks = marks_to_span(marks);
        span.end = if marks.is_empty() { self.read.max(span.start) } else { marks.end };
        Ok(true)
    }
}

fn marks_to_span(marks: Marks) -> Span {
    let start = marks.start.byte_offset().unwrap_or(0);
    start..marks.end.byte_offset().unwrap_or(start).max(start)
}

/// Returns where a left-out value would stand: behind the colon of its key, which ends at `key_end`,
/// or there if it has no colon.
fn behind_colon(text: &str, key_end: usize) -> usize {
    let rest = &text[key_end..];
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if rest[spaces..].starts_with(':') { key_end + spaces + 1 } else { key_end }
}

/// Returns the bytes of a block scalar from its header to the line break of its last line that is
/// not blank. The parser's own span begins behind the header and may reach into the next line.
fn block_scalar(text: &str, from: usize, content: Span) -> Span {
    let end = content.end.min(text.len());
    let last = text[content.start.min(end)..end].trim_end().len() + content.start.min(end);
    let start = header(text, from, content.start).unwrap_or(content.start);
    let last = if last > content.start { last } else { line_end(text, start) };
    let rest = &text[last.min(end)..end];
    let line_break = rest.find(['\n', '\r']).map_or(0, |at| at + break_length(&rest[at..]));
    start..last + line_break
}

fn header(text: &str, from: usize, to: usize) -> Option<usize> {
    let (mut comment, mut space) = (false, true);
    for (at, c) in text.get(from..to)?.char_indices() {
        match c {
            '|' | '>' if !comment => return Some(from + at),
            '#' if space => comment = true,
            '\n' | '\r' => comment = false,
            _ => {}
        }
        space = c.is_whitespace();
    }
    None
}

/// Returns where the line that `at` is on ends, before its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length)
}

/// Returns how many bytes the line break at the beginning of `text` has.
pub(super) fn break_length(text: &str) -> usize {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Document, Value};
    use super::check_nesting;

    fn spans(text: &str) -> Vec<String> {
        let document = Document::parse(text).unwrap();
        document.root().walk().map(|node| text[node.span.clone()].to_owned()).collect()
    }

    #[test]
    fn a_block_collection_ends_with_its_last_value() {
        let text = "# a\nb:\n- x: 1 # one\n\n# two\nc: [1, ]\n";
        let expected = [
            "b:\n- x: 1 # one\n\n# two\nc: [1, ]",
            "b",
            "x: 1",
            "x: 1",
            "x",
            "1",
            "c",
            "[1, ]",
            "1",
        ];
        assert_eq!(spans(text), expected);
    }

    #[test]
    fn a_block_scalar_begins_at_its_header_and_ends_with_its_last_line() {
        assert_eq!(spans("a: |- # c\n  x\n\n  y\n\n\n")[2], "|- # c\n  x\n\n  y\n");
        assert_eq!(spans("a: &p |\r\n  x\r\n  \r\nb: 1")[2], "|\r\n  x\r\n");
        assert_eq!(spans("- >\n  x\n- b")[1], ">\n  x\n");
        assert_eq!(spans("a: |\n  x")[2], "|\n  x");
        assert_eq!(spans("a: |\nb: 1")[2], "|\n");
    }

    #[test]
    fn a_left_out_value_is_empty() {
        let document = Document::parse("a:\nb: ~\nc: ''\n").unwrap();
        let nulls: Vec<_> =
            document.root().entries().iter().map(|entry| entry.value.is_null()).collect();
        assert_eq!(nulls, [true, true, false]);
        assert_eq!(spans("- a:\n- b")[1], "a:");
        assert_eq!(spans("- {a, b : }\n-\n")[1], "{a, b : }");
        let document = Document::parse("a : # c\n").unwrap();
        assert_eq!(document.locate(&["a"]).unwrap().value, 3..3);
    }

    #[test]
    fn anchor_and_tag_are_beside_the_value() {
        let text = "a: &x !!str 1\nb: &y\n  c: *x\n";
        let document = Document::parse(text).unwrap();
        let a = &document.root().get("a").unwrap().value;
        assert_eq!(&text[a.anchor.as_ref().unwrap().span.clone()], "&x");
        assert_eq!(&text[a.tag.as_ref().unwrap().span.clone()], "!!str");
        assert_eq!(&text[a.start()..a.span.end], "&x !!str 1");
        let b = &document.root().get("b").unwrap().value;
        assert!(b.anchor.is_some());
        assert_eq!(b.get("c").unwrap().value.value, Value::Alias(a.anchor.as_ref().unwrap().id));
    }

    #[test]
    fn too_deep_is_an_error() {
        for deep in ["[".repeat(5000), "- ".repeat(5000), "{a: ".repeat(5000)] {
            assert!(Document::parse(&deep).is_err());
        }
        assert!(Document::parse(&format!("{}{}", "[".repeat(90), "]".repeat(90))).is_ok());
    }

    #[test]
    fn brackets_in_texts_are_no_nesting() {
        assert!(check_nesting(&format!("a: '{}'", "[".repeat(100_000))).is_ok());
        let error = check_nesting(&format!("a:\n  {}", "{b: ".repeat(100_000))).unwrap_err();
        assert_eq!((error.line, error.message.contains("limit")), (2, true));
    }

    #[test]
    fn an_error_has_a_place() {
        let error = Document::parse("a: 1\nb: [\n").unwrap_err();
        assert_eq!(error.line, 2);
        let error = Document::parse("a: b: c\n").unwrap_err();
        assert_eq!(error.line, 1);
        assert!(!error.message.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_has_sound_spans(text in "[-a-c:#&*!|>'\"%@`{}\\[\\], \n\r\t?é~0-9]{0,60}|\\PC{0,40}") {
            if let Ok(document) = Document::parse_first(&text) {
                for node in document.root().walk() {
                    prop_assert!(text.get(node.span.clone()).is_some(), "{:?}", node.span);
                }
            }
        }
    }
}
