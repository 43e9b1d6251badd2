//! YAML and JSON text to objects, and why a text is none.
//!
//! What would be passed over or read in two ways is refused: a health that nobody computed must not
//! look like one that is good.

use std::fmt;

use serde::Deserialize as _;
use serde_json::Value;

use super::Object;
use crate::yaml::{ParseError, Unique, check_nesting};

/// Why a text is not a list of objects.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not YAML, or has a key twice. `kubectl` and the API server refuse that too.
    #[error(transparent)]
    Yaml(serde_yaml::Error),
    /// Several objects follow one another, and nothing is between them.
    #[error("{0}; several objects are separated by a line `---`, or are the items of a `List`")]
    NotSeparated(#[source] serde_yaml::Error),
    /// It is nested too deeply.
    #[error(transparent)]
    Nesting(#[from] ParseError),
    /// Something is no object with `apiVersion` and `kind`.
    #[error("{place} is not a Kubernetes object: {reason}")]
    NotAnObject {
        /// What.
        place: Place,
        /// Why not.
        reason: String,
    },
    /// Something is what the API server answers instead of objects.
    #[error("{place} is no object but an answer of the API server: {answer}")]
    Status {
        /// What.
        place: Place,
        /// Its reason and message.
        answer: String,
    },
    /// A list has no items.
    #[error("{place} is a `{kind}` whose `items` is no list")]
    NotAList {
        /// What.
        place: Place,
        /// Its kind.
        kind: String,
    },
}

/// A document, or an item of a list in it; all count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    document: usize,
    items: Vec<usize>,
}

impl Object {
    /// Returns the objects of a YAML text in order; the items of a `List` stand for it.
    ///
    /// # Errors
    ///
    /// Fails if a document is not YAML or not an object; empty documents are passed over.
    pub fn read_all(yaml: &str) -> Result<Vec<Self>, ReadError> {
        check_nesting(yaml)?;
        let mut objects = Vec::new();
        for (index, document) in serde_yaml::Deserializer::from_str(yaml).enumerate() {
            let Unique(value) = Unique::deserialize(document)?;
            if !value.is_null() {
                Place { document: index + 1, items: Vec::new() }.read(value, &mut objects)?;
            }
        }
        Ok(objects)
    }

    /// Returns the object of a YAML text's first document, whatever follows it. So Argo CD's own tests
    /// read their inputs, and as they do, the last of two equal keys counts.
    ///
    /// # Errors
    ///
    /// Fails if there is no document, or if it is not YAML or not an object.
    pub fn read_first(yaml: &str) -> Result<Self, ReadError> {
        check_nesting(yaml)?;
        let first = serde_yaml::Deserializer::from_str(yaml).next();
        let value = first.map(Value::deserialize).transpose()?;
        Place { document: 1, items: Vec::new() }.object(value.unwrap_or_default())
    }
}

impl From<serde_yaml::Error> for ReadError {
    fn from(error: serde_yaml::Error) -> Self {
        let text = error.to_string();
        // What the second object begins with, in YAML's block style and as JSON.
        let begins = ["a second key `apiVersion`", "did not find expected <document start>"];
        match begins.iter().any(|begin| text.starts_with(begin)) {
            true => Self::NotSeparated(error),
            false => Self::Yaml(error),
        }
    }
}

impl Place {
    fn read(&mut self, mut value: Value, objects: &mut Vec<Object>) -> Result<(), ReadError> {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
        let is_list = kind == "List";
        // A kind of its own may end like this and be no list. One that is has items, or, as Go writes a
        // list that was never made, `null`.
        if is_list || (kind.ends_with("List") && value.get("items").is_some()) {
            let items = match value.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                Some(Value::Null) if !is_list => Vec::new(),
                _ => {
                    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
                    return Err(ReadError::NotAList { place: self.clone(), kind });
                }
            };
            self.object(value)?;
            for (index, item) in items.into_iter().enumerate() {
                self.items.push(index + 1);
                self.read(item, objects)?;
                self.items.pop();
            }
            return Ok(());
        }
        objects.push(self.object(value)?);
        Ok(())
    }

    fn object(&self, value: Value) -> Result<Object, ReadError> {
        if let Some(reason) = flaw(&value) {
            return Err(ReadError::NotAnObject { place: self.clone(), reason });
        }
        let object = Object::of(value);
        if object.kind() == "Status" && ["", "meta.k8s.io"].contains(&object.group()) {
            let text = |pointer| object.text(pointer).filter(|text| !text.is_empty());
            let parts = [text("/reason").or(text("/status")), text("/message")];
            let answer = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
            return Err(ReadError::Status { place: self.clone(), answer });
        }
        Ok(object)
    }
}

/// Returns why `value` is no object, or `None` if it is one.
fn flaw(value: &Value) -> Option<String> {
    let what = match value {
        Value::Object(_) => None,
        Value::Array(_) => Some("a list"),
        Value::Null => Some("empty"),
        Value::String(_) => Some("a text"),
        Value::Number(_) | Value::Bool(_) => Some("a single value"),
    };
    if let Some(what) = what {
        return Some(format!("it is {what}"));
    }
    for field in ["apiVersion", "kind"] {
        match value.get(field) {
            None | Some(Value::Null) => return Some(format!("it has no `{field}`")),
            Some(Value::String(text)) if text.is_empty() => {
                return Some(format!("its `{field}` is empty"));
            }
            Some(Value::String(_)) => {}
            Some(_) => return Some(format!("its `{field}` is no text")),
        }
    }
    // Argo CD takes such a one for no group and no kind at all.
    let version = value["apiVersion"].as_str().unwrap_or_default();
    (version.matches('/').count() > 1)
        .then(|| format!("its `apiVersion` is {version:?}, not GROUP/VERSION"))
}

impl fmt::Display for Place {
    /// Writes `document 1, item 2`, and one more for a list in a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.document)?;
        self.items.iter().try_for_each(|item| write!(f, ", item {item}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(yaml: &str) -> String {
        Object::read_all(yaml).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_text_has_no_objects() {
        for text in ["", "\n", "# nothing\n", "---\n"] {
            assert_eq!(Object::read_all(text).unwrap(), [], "{text:?}");
        }
    }

    #[test]
    fn reads_documents_and_lists_in_order() {
        let yaml = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n- {apiVersion: g/v2, kind: B}\n---\napiVersion: v1\nkind: C\n---\n{apiVersion: v1, kind: PodList, items: null}\n---\n{apiVersion: g/v1, kind: AllowList}\n";
        let objects = Object::read_all(yaml).unwrap();
        let kinds: Vec<_> = objects.iter().map(|o| (o.group(), o.version(), o.kind())).collect();
        let expected =
            [("", "v1", "A"), ("g", "v2", "B"), ("", "v1", "C"), ("g", "v1", "AllowList")];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn reads_the_first_document_whatever_follows() {
        let object = Object::read_first("apiVersion: v1\nkind: A\n---\nno object\n").unwrap();
        assert_eq!(object.kind(), "A");
        assert!(Object::read_first("").is_err());
    }

    #[test]
    fn says_why_a_document_is_no_object() {
        for (yaml, reason) in [
            ("apiVersion: v1", "it has no `kind`"),
            ("{kind: Pod, apiVersion: null}", "it has no `apiVersion`"),
            ("{apiVersion: v1, kind: ''}", "its `kind` is empty"),
            ("{apiVersion: v1, kind: 3}", "its `kind` is no text"),
            ("{apiVersion: a/b/v1, kind: C}", "its `apiVersion` is \"a/b/v1\", not GROUP/VERSION"),
            ("[{apiVersion: v1, kind: Pod}]", "it is a list"),
            ("No resources found", "it is a text"),
        ] {
            let expected = format!("document 1 is not a Kubernetes object: {reason}");
            assert_eq!(error(yaml), expected, "{yaml}");
            assert_eq!(Object::read_first(yaml).unwrap_err().to_string(), expected, "{yaml}");
        }
        assert_eq!(
            error(
                "---\n---\n{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: A}, {kind: B}]}"
            ),
            "document 2, item 2 is not a Kubernetes object: it has no `apiVersion`"
        );
    }

    #[test]
    fn a_list_without_items_and_an_answer_of_the_server_are_no_objects() {
        for items in ["", ", items: null", ", items: {}", ", items: none"] {
            let says = "document 1 is a `List` whose `items` is no list";
            assert_eq!(error(&format!("{{apiVersion: v1, kind: List{items}}}")), says);
        }
        assert_eq!(
            error("{apiVersion: v1, kind: PodList, items: {a: 1}}"),
            "document 1 is a `PodList` whose `items` is no list"
        );
        assert_eq!(
            error(
                "{apiVersion: v1, kind: Status, status: Failure, reason: NotFound, message: no pod}"
            ),
            "document 1 is no object but an answer of the API server: NotFound: no pod"
        );
        let own = "{apiVersion: example.com/v1, kind: Status}";
        assert_eq!(Object::read_all(own).unwrap()[0].kind(), "Status");
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_with_its_place() {
        let yaml = "apiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    app: a\n    app: b\n";
        assert_eq!(
            error(yaml),
            "metadata.labels: a second key `app`, and only one can count, at line 9 column 5"
        );
        assert_eq!(Object::read_first("{apiVersion: v1, kind: A, kind: B}").unwrap().kind(), "B");
        let json = "{\"apiVersion\": \"v1\",\n \"kind\": \"Pod\", \"kind\": \"Job\"}";
        assert_eq!(error(json), "a second key `kind`, and only one can count, at line 2 column 17");
    }

    #[test]
    fn objects_with_nothing_between_them_are_told_how_to_be_separated() {
        let json = "{\"apiVersion\": \"v1\", \"kind\": \"A\"}";
        for text in [
            "apiVersion: v1\nkind: A\napiVersion: v1\nkind: B\n".to_owned(),
            format!("{json}\n{json}\n"),
            format!("{json}{json}"),
        ] {
            let says =
                "; several objects are separated by a line `---`, or are the items of a `List`";
            assert!(error(&text).ends_with(says), "{text}: {}", error(&text));
        }
        assert!(!error("{apiVersion: v1").contains("several objects"));
    }

    #[test]
    fn what_is_meant_to_exhaust_a_reader_ends_with_an_error() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (last, next) in "abcdefghi".chars().zip("bcdefghij".chars()) {
            bomb += &format!(
                "{next}: &{next} [*{last}, *{last}, *{last}, *{last}, *{last}, *{last}]\n"
            );
        }
        assert_eq!(error(&bomb), "repetition limit exceeded");
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            assert!(error(&deep).contains("recursion limit exceeded"), "{}", error(&deep));
        }
    }

    #[test]
    fn what_is_only_large_is_read() {
        let fields: String = (0..50_000).map(|n| format!("      f:key{n}: {{}}\n")).collect();
        let conditions: String =
            (0..5000).map(|n| format!("  - {{type: T{n}, status: 'True'}}\n")).collect();
        let yaml = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  managedFields:\n  - fieldsV1:\n{fields}status:\n  conditions:\n{conditions}"
        );
        let object = Object::read_first(&yaml).unwrap();
        assert_eq!(object.conditions().count(), 5000);
    }
}
