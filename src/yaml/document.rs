//! A document: its root node, and where in the text things are.

use std::collections::HashMap;

use super::node::{Entry, Node, Span, Value};
use super::path::{Path, Step};
use super::read::{self, ParseError};

/// How many merge keys are followed one behind the other.
const MERGES: usize = 4;

/// One YAML document and the text it was read from.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    root: Node,
    /// Where the anchors are: which child of which child, from the root.
    anchors: HashMap<usize, Vec<usize>>,
}

/// A place in a text, for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Where something that a path leads to stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bytes of its key; `None` for a sequence item and for the root.
    pub key: Option<Span>,
    /// The bytes of its value, empty where the value is left out.
    pub value: Span,
}

impl Document {
    /// Returns the one document of `text`; a text without any has an empty plain scalar as root.
    ///
    /// # Errors
    ///
    /// Fails if it is not YAML, is nested too deeply, or holds several documents. Empty documents
    /// after the first do not count.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut roots = read::documents(text)?;
        if let Some((start, _)) = roots.iter().skip(1).find(|(_, root)| !root.is_null()) {
            let Position { line, column } = position(text, *start);
            let message = "a second document begins here; expected one".to_owned();
            return Err(ParseError { line, column, message });
        }
        Ok(Self::new(text, roots.swap_remove(0).1))
    }

    /// Returns the first document of `text`, whatever follows it in others.
    ///
    /// # Errors
    ///
    /// Fails if any of it is not YAML or nested too deeply.
    pub fn parse_first(text: &str) -> Result<Self, ParseError> {
        Ok(Self::new(text, read::documents(text)?.swap_remove(0).1))
    }

    fn new(text: &str, root: Node) -> Self {
        let mut anchors = HashMap::new();
        find_anchors(&root, &mut Vec::new(), &mut anchors);
        Self { text: text.to_owned(), root, anchors }
    }

    /// Returns the text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the root node.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Returns the node that `node` stands for: itself, or what an alias refers to.
    pub fn resolve<'a>(&'a self, node: &'a Node) -> &'a Node {
        let Value::Alias(id) = node.value else {
            return node;
        };
        let path = self.anchors.get(&id).map_or(&[][..], Vec::as_slice);
        path.iter().try_fold(&self.root, |node, &index| node.child(index)).unwrap_or(node)
    }

    /// Returns where the value at `path` stands, or `None` if there is none. A step is a key, or
    /// the index of a sequence's item; where a key is there twice, the last one counts.
    pub fn locate<S: AsRef<str>>(&self, path: &[S]) -> Option<Location> {
        let (mut key, mut node) = (None, &self.root);
        for step in path {
            let step = step.as_ref();
            let named = |entry: &&Entry| entry.key.as_str() == Some(step);
            let parent = self.resolve(node);
            (key, node) = match parent.entries().iter().rev().find(named) {
                Some(entry) => (Some(entry.key.span.clone()), &entry.value),
                None => (None, parent.items().get(step.parse::<usize>().ok()?)?),
            };
        }
        Some(Location { key, value: node.span.clone() })
    }

    /// Returns the value at `path`, or `None` if there is none: aliases and merge keys are followed,
    /// and where a key is there twice, the last one counts.
    pub fn get(&self, path: &Path) -> Option<&Node> {
        let mut node = self.resolve(&self.root);
        for step in path.steps() {
            let next = match step {
                _ if !node.items().is_empty() => node.items().get(step.index()?)?,
                Step::Key(key) => self.lookup(node, key, 0)?,
                Step::Index(_) => return None,
            };
            node = self.resolve(next);
        }
        Some(node)
    }

    /// Returns the value of `key`, also if a merge key (`<<`) brings it.
    fn lookup<'a>(&'a self, mapping: &'a Node, key: &str, depth: usize) -> Option<&'a Node> {
        let named = |name: &str| {
            let is_named = |entry: &&Entry| entry.key.as_str() == Some(name);
            mapping.entries().iter().rev().find(is_named).map(|entry| &entry.value)
        };
        if let Some(value) = named(key) {
            return Some(value);
        }
        let merged = self.resolve(named("<<").filter(|_| depth < MERGES)?);
        let sources =
            if merged.items().is_empty() { std::slice::from_ref(merged) } else { merged.items() };
        sources.iter().find_map(|source| self.lookup(self.resolve(source), key, depth + 1))
    }

    /// Returns the line and column of the byte at `offset`.
    pub fn position(&self, offset: usize) -> Position {
        position(&self.text, offset)
    }
}

/// Recursion is bounded by the nesting that a document may have.
fn find_anchors(node: &Node, path: &mut Vec<usize>, anchors: &mut HashMap<usize, Vec<usize>>) {
    if let Some(anchor) = &node.anchor {
        anchors.insert(anchor.id, path.clone());
    }
    for index in 0.. {
        let Some(child) = node.child(index) else { break };
        path.push(index);
        find_anchors(child, path, anchors);
        path.pop();
    }
}

/// Returns the line and column of the byte at `offset` of `text`.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let breaks = |i: usize| {
        before[i] == b'\n' || (before[i] == b'\r' && text.as_bytes().get(i + 1) != Some(&b'\n'))
    };
    let line = (0..before.len()).filter(|&i| breaks(i)).count() + 1;
    let start = (0..before.len()).rev().find(|&i| breaks(i)).map_or(0, |i| i + 1);
    let is_character = |byte: &&u8| **byte & 0xC0 != 0x80;
    let bom = usize::from(line == 1 && before.starts_with("\u{feff}".as_bytes()));
    let column = before[start..].iter().filter(is_character).count() + 1 - bom;
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_key_and_value() {
        let text = "# c\nenvironments:\n  dev:\n    overlay: 'ä/b' # here\nlist: [a, {k: v}]\n";
        let document = Document::parse(text).unwrap();
        let at = document.locate(&["environments", "dev", "overlay"]).unwrap();
        assert_eq!(&text[at.key.unwrap()], "overlay");
        assert_eq!(&text[at.value.clone()], "'ä/b'");
        assert_eq!(document.position(at.value.start), Position { line: 4, column: 14 });
        assert_eq!(document.position(at.value.end), Position { line: 4, column: 19 });
        let at = document.locate(&["list", "1", "k"]).unwrap();
        assert_eq!(&text[at.value], "v");
        assert_eq!(document.locate(&["list", "2"]), None);
        assert_eq!(document.locate(&["nothing"]), None);
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        let document = Document::parse("\u{feff}a: b\r\nc: d\r\n").unwrap();
        let at = document.locate(&["a"]).unwrap();
        assert_eq!(document.position(at.value.start), Position { line: 1, column: 4 });
        let at = document.locate(&["c"]).unwrap();
        assert_eq!(document.position(at.value.start), Position { line: 2, column: 4 });
    }

    #[test]
    fn only_one_document_that_says_something() {
        assert!(Document::parse("a: 1\n---\n").is_ok());
        assert!(Document::parse("---\na: 1\n...\n").is_ok());
        let error = Document::parse("a: 1\n---\nb: 2\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 1));
        assert!(Document::parse("").unwrap().root().is_null());
        assert!(Document::parse("# only a comment").unwrap().root().is_null());
    }

    #[test]
    fn a_path_leads_through_aliases_and_merge_keys() {
        let text = "x: &x {a: 1, b: {c: [2, &y 3]}}\nz: {<<: [{d: 4}, *x], a: 5}\ny: *y\n";
        let document = Document::parse(text).unwrap();
        let get = |path: &str| document.get(&path.parse().unwrap()).and_then(Node::as_str);
        assert_eq!(get("z.a"), Some("5"));
        assert_eq!(get("z.b.c[1]"), Some("3"));
        assert_eq!(get("z.b.c.0"), Some("2"));
        assert_eq!(
            (get("z.d"), get("y"), get("z.e"), get("x[0]")),
            (Some("4"), Some("3"), None, None)
        );
    }

    #[test]
    fn an_alias_is_followed() {
        let text = "a: &x {k: v}\nb: *x\n";
        let at = Document::parse(text).unwrap().locate(&["b", "k"]).unwrap();
        assert_eq!(&text[at.value], "v");
        let text = "a: [0, {b: &x [c]}]\nd: &x e\n? *x\n: *x\n";
        let document = Document::parse(text).unwrap();
        let last = document.root().entries().last().unwrap();
        assert_eq!(document.resolve(&last.value).as_str(), Some("e"));
    }
}
