//! A Kubernetes object of any kind, and the fields that every kind has.

use std::fmt;
use std::sync::Arc;

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

impl Object {
    /// Returns the object, or `None` if `value` is not a map with `apiVersion` and `kind`.
    pub fn new(value: Value) -> Option<Self> {
        let named = value.get("apiVersion")?.is_string() && value.get("kind")?.is_string();
        named.then(|| Self::of(value))
    }

    /// Returns the object that `value` was found to be.
    pub(super) fn of(value: Value) -> Self {
        Self(Arc::new(value))
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
