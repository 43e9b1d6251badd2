//! A Kubernetes object of any kind, and the fields that every kind has.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value;

/// A Kubernetes object: a JSON map with `apiVersion` and `kind`. A clone is the same one, not a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(Arc<Value>);

/// Which object it is: group, kind, namespace, name. The version does not tell objects apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// An entry of `status.conditions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `type`.
    pub kind: &'a str,
    /// `status`: `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// `reason`, or empty.
    pub reason: &'a str,
    /// `message`, or empty.
    pub message: &'a str,
}

/// Why a text is not a list of objects.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not YAML.
    #[error(transparent)]
    Yaml(#[from] serde_yaml::Error),
    /// A document is something else than an object with `apiVersion` and `kind`.
    #[error("document {index} is not a Kubernetes object: it has no `{missing}`")]
    NotAnObject {
        /// Which document, counted from 1.
        index: usize,
        /// The field that is not there.
        missing: &'static str,
    },
}

impl Object {
    /// Returns the object, or `None` if `value` is not a map with `apiVersion` and `kind`.
    pub fn new(value: Value) -> Option<Self> {
        let named = value.get("apiVersion")?.is_string() && value.get("kind")?.is_string();
        named.then(|| Self(Arc::new(value)))
    }

    /// Returns the objects of a YAML text in order; the items of a `List` stand for it.
    ///
    /// # Errors
    ///
    /// Fails if a document is not YAML or not an object; empty documents are passed over.
    pub fn read_all(yaml: &str) -> Result<Vec<Self>, ReadError> {
        let mut objects = Vec::new();
        for (index, document) in serde_yaml::Deserializer::from_str(yaml).enumerate() {
            let value = Value::deserialize(document)?;
            if !value.is_null() {
                Self::push(value, index + 1, &mut objects)?;
            }
        }
        Ok(objects)
    }

    /// Returns the object of a YAML text's first document, whatever follows it.
    ///
    /// # Errors
    ///
    /// Fails if there is no document, or if it is not YAML or not an object.
    pub fn read_first(yaml: &str) -> Result<Self, ReadError> {
        let first = serde_yaml::Deserializer::from_str(yaml).next();
        let value = first.map(Value::deserialize).transpose()?.unwrap_or_default();
        match ["apiVersion", "kind"].into_iter().find(|field| !value[field].is_string()) {
            Some(missing) => Err(ReadError::NotAnObject { index: 1, missing }),
            None => Ok(Self(Arc::new(value))),
        }
    }

    fn push(mut value: Value, index: usize, objects: &mut Vec<Self>) -> Result<(), ReadError> {
        for missing in ["apiVersion", "kind"] {
            if !value.get(missing).is_some_and(Value::is_string) {
                return Err(ReadError::NotAnObject { index, missing });
            }
        }
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => {
                items.into_iter().try_for_each(|item| Self::push(item, index, objects))
            }
            items => {
                if let (Some(items), Some(map)) = (items, value.as_object_mut()) {
                    map.insert("items".to_owned(), items);
                }
                objects.push(Self(Arc::new(value)));
                Ok(())
            }
        }
    }

    /// Returns the whole object as JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Returns the value at a JSON pointer such as `/spec/replicas`, or `None`.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Returns the text at a JSON pointer, or `None` if there is no text.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    /// Returns the whole number at a JSON pointer, or `None` if there is none.
    pub fn integer(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).and_then(Value::as_i64)
    }

    /// Returns the list at a JSON pointer, empty if there is none.
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    /// Returns the API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// Returns the API version without the group.
    pub fn version(&self) -> &str {
        self.api_version().rsplit_once('/').map_or(self.api_version(), |(_, version)| version)
    }

    /// Returns `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Returns `metadata.name`, or an empty text.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// Returns `metadata.namespace`, or an empty text.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace").unwrap_or_default()
    }

    /// Returns which object this is.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            group: self.group().to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// Returns the annotation `key`, or `None`.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.at("/metadata/annotations")?.get(key)?.as_str()
    }

    /// Returns the label `key`, or `None`.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at("/metadata/labels")?.get(key)?.as_str()
    }

    /// Returns `metadata.uid`, or an empty text.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid").unwrap_or_default()
    }

    /// Returns the uid of the controller that owns this object, or `None`.
    pub fn controller_uid(&self) -> Option<&str> {
        let mut owners = self.list("/metadata/ownerReferences").iter();
        let controls =
            |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
        owners.find(controls)?.get("uid")?.as_str()
    }

    /// Returns the entries of `status.conditions` in order.
    pub fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
            entry.get(key).and_then(Value::as_str).unwrap_or_default()
        }
        self.list("/status/conditions").iter().map(|entry| Condition {
            kind: text(entry, "type"),
            status: text(entry, "status"),
            reason: text(entry, "reason"),
            message: text(entry, "message"),
        })
    }
}

impl fmt::Display for ObjectId {
    /// Writes `group/Kind:namespace/name`, without the parts that are empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}:", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_documents_and_lists_in_order() {
        let yaml = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n- {apiVersion: g/v2, kind: B}\n---\napiVersion: v1\nkind: C\n";
        let objects = Object::read_all(yaml).unwrap();
        let kinds: Vec<_> = objects.iter().map(|o| (o.group(), o.version(), o.kind())).collect();
        assert_eq!(kinds, [("", "v1", "A"), ("g", "v2", "B"), ("", "v1", "C")]);
    }

    #[test]
    fn reads_the_first_document_whatever_follows() {
        let object = Object::read_first("apiVersion: v1\nkind: A\n---\nno object\n").unwrap();
        assert_eq!(object.kind(), "A");
        assert!(Object::read_first("").is_err());
    }

    #[test]
    fn says_what_a_document_lacks() {
        let error = Object::read_all("apiVersion: v1\n").unwrap_err();
        assert_eq!(error.to_string(), "document 1 is not a Kubernetes object: it has no `kind`");
    }
}
