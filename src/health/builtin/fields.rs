//! Fields of an object, read as strictly as Kubernetes' own Go types read them.
//!
//! An absent or null field is the zero value, a field of another type is an error that names it.

use serde_json::Value;

use crate::k8s::Object;

/// A part of an object: a map of fields, or nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(Option<&'a Value>);

/// Why a check has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CheckError {
    /// The check does not know this version of its kind.
    #[error("unsupported {what} GVK: {group}/{version}, Kind={kind}")]
    Version { what: &'static str, group: String, version: String, kind: String },
    /// A field has another type than the kind's schema gives it.
    #[error("failed to convert unstructured {what} to typed: {source}")]
    Conversion { what: &'static str, source: FieldError },
    /// An annotation holds something else than the JSON that belongs there.
    #[error("failed to convert conditions annotation to typed: {reason}")]
    Annotation { reason: String },
}

/// A field that has the wrong type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}, found {found}")]
pub(super) struct FieldError {
    path: String,
    expected: &'static str,
    found: String,
}

/// The type of a field that a check does not decide by, but that must be right for the object to be
/// read at all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Count,
    Integer,
    Flag,
    Text,
    Time,
    Map,
    MapOfTexts,
    ListOfMaps,
    ListOfTexts,
}

/// What every check reads of `metadata`.
pub(super) struct Metadata<'a> {
    pub(super) name: &'a str,
    pub(super) generation: i64,
}

/// An entry of `status.conditions`.
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

const METADATA: &[(&str, Shape)] = &[
    ("metadata.namespace", Shape::Text),
    ("metadata.uid", Shape::Text),
    ("metadata.resourceVersion", Shape::Text),
    ("metadata.creationTimestamp", Shape::Time),
    ("metadata.deletionTimestamp", Shape::Time),
    ("metadata.deletionGracePeriodSeconds", Shape::Integer),
    ("metadata.labels", Shape::MapOfTexts),
    ("metadata.annotations", Shape::MapOfTexts),
    ("metadata.finalizers", Shape::ListOfTexts),
    ("metadata.ownerReferences", Shape::ListOfMaps),
    ("metadata.managedFields", Shape::ListOfMaps),
];

/// The selector and the pod template that every workload has.
pub(super) const POD_TEMPLATE: &[(&str, Shape)] = &[
    ("spec.selector", Shape::Map),
    ("spec.selector.matchLabels", Shape::MapOfTexts),
    ("spec.template", Shape::Map),
    ("spec.template.metadata.labels", Shape::MapOfTexts),
    ("spec.template.metadata.annotations", Shape::MapOfTexts),
    ("spec.template.spec", Shape::Map),
    ("spec.template.spec.containers", Shape::ListOfMaps),
    ("spec.template.spec.initContainers", Shape::ListOfMaps),
    ("spec.template.spec.volumes", Shape::ListOfMaps),
];

/// Returns what `read` takes from an object whose version is one of `versions`. Errors call the
/// kind `what`.
pub(super) fn typed<'a, T>(
    object: &'a Object,
    what: &'static str,
    versions: &[&str],
    read: impl FnOnce(Fields<'a>) -> Result<T, FieldError>,
) -> Result<T, CheckError> {
    if !versions.contains(&object.version()) {
        return Err(CheckError::Version {
            what,
            group: object.group().to_owned(),
            version: object.version().to_owned(),
            kind: object.kind().to_owned(),
        });
    }
    read(Fields(Some(object.value()))).map_err(|source| CheckError::Conversion { what, source })
}

impl<'a> Fields<'a> {
    /// Returns the text at `path`, empty if there is none.
    pub(super) fn text(self, path: &str) -> Result<&'a str, FieldError> {
        match self.value(path)? {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(FieldError::new(path, "a text", other)),
        }
    }

    /// Returns the flag at `path`, `false` if there is none.
    pub(super) fn flag(self, path: &str) -> Result<bool, FieldError> {
        match self.value(path)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(FieldError::new(path, "true or false", other)),
        }
    }

    /// Returns the count at `path`, 0 if there is none.
    pub(super) fn count(self, path: &str) -> Result<i32, FieldError> {
        self.optional_count(path).map(Option::unwrap_or_default)
    }

    /// Returns the count at `path`, or `None` if there is none.
    pub(super) fn optional_count(self, path: &str) -> Result<Option<i32>, FieldError> {
        let Some(number) = self.integer(path)? else { return Ok(None) };
        let expected = "a whole number of 32 bits";
        let wrong = |_| FieldError::new(path, expected, &Value::from(number));
        i32::try_from(number).map(Some).map_err(wrong)
    }

    /// Returns the generation at `path`, 0 if there is none.
    pub(super) fn generation(self, path: &str) -> Result<i64, FieldError> {
        self.integer(path).map(Option::unwrap_or_default)
    }

    /// Returns what `read` takes from the map at `path`, or `None` if there is none.
    pub(super) fn section<T>(
        self,
        path: &str,
        read: impl FnOnce(Fields<'a>) -> Result<T, FieldError>,
    ) -> Result<Option<T>, FieldError> {
        match self.value(path)? {
            None => Ok(None),
            Some(map @ Value::Object(_)) => {
                read(Self(Some(map))).map(Some).map_err(|error| error.below(path))
            }
            Some(other) => Err(FieldError::new(path, "a map", other)),
        }
    }

    /// Returns what `read` takes from each entry of the list at `path`.
    pub(super) fn each<T>(
        self,
        path: &str,
        read: impl Fn(Fields<'a>) -> Result<T, FieldError>,
    ) -> Result<Vec<T>, FieldError> {
        let entries = match self.value(path)? {
            None => return Ok(Vec::new()),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(FieldError::new(path, "a list", other)),
        };
        let entry = |(index, entry): (usize, &'a Value)| {
            let fields = match entry {
                Value::Null => Fields(None),
                Value::Object(_) => Fields(Some(entry)),
                other => return Err(FieldError::new(&format!("{path}[{index}]"), "a map", other)),
            };
            read(fields).map_err(|error| error.below(&format!("{path}[{index}]")))
        };
        entries.iter().enumerate().map(entry).collect()
    }

    /// Returns how many entries the list at `path` has; each must be a map.
    pub(super) fn length(self, path: &str) -> Result<usize, FieldError> {
        self.each(path, |_| Ok(())).map(|entries| entries.len())
    }

    /// Fails unless every field that is there has the type that `shapes` says.
    pub(super) fn agree(self, shapes: &[(&str, Shape)]) -> Result<(), FieldError> {
        shapes.iter().try_for_each(|(path, shape)| match shape {
            Shape::Count => self.count(path).map(drop),
            Shape::Integer => self.integer(path).map(drop),
            Shape::Flag => self.flag(path).map(drop),
            Shape::Text => self.text(path).map(drop),
            Shape::Time => self.time(path),
            Shape::Map => self.section(path, |_| Ok(())).map(drop),
            Shape::MapOfTexts => self.texts(path),
            Shape::ListOfMaps => self.length(path).map(drop),
            Shape::ListOfTexts => self.list_of_texts(path),
        })
    }

    /// Returns the object's `metadata`.
    pub(super) fn metadata(self) -> Result<Metadata<'a>, FieldError> {
        self.agree(METADATA)?;
        Ok(Metadata {
            name: self.text("metadata.name")?,
            generation: self.generation("metadata.generation")?,
        })
    }

    /// Returns the entries of `status.conditions` in order.
    pub(super) fn conditions(self) -> Result<Vec<Condition<'a>>, FieldError> {
        self.each("status.conditions", |entry| {
            for time in ["lastProbeTime", "lastTransitionTime", "lastUpdateTime"] {
                entry.time(time)?;
            }
            Ok(Condition {
                kind: entry.text("type")?,
                status: entry.text("status")?,
                reason: entry.text("reason")?,
                message: entry.text("message")?,
            })
        })
    }

    /// Returns the value below the dotted `path`, or `None` where it or a part of the way is absent.
    fn value(self, path: &str) -> Result<Option<&'a Value>, FieldError> {
        let mut current = self.0;
        let mut passed = 0;
        for key in path.split('.') {
            current = match current {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Object(map)) => map.get(key),
                Some(other) => return Err(FieldError::new(&path[..passed], "a map", other)),
            };
            passed += key.len() + usize::from(passed > 0);
        }
        Ok(current.filter(|value| !value.is_null()))
    }

    fn integer(self, path: &str) -> Result<Option<i64>, FieldError> {
        let Some(value) = self.value(path)? else { return Ok(None) };
        // A whole number may be written as 3.0, in JSON as in YAML.
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 1e15).then_some(number);
        let integer = value.as_i64().or_else(|| value.as_f64().and_then(whole).map(|n| n as i64));
        integer.map(Some).ok_or_else(|| FieldError::new(path, "a whole number", value))
    }

    fn time(self, path: &str) -> Result<(), FieldError> {
        match self.value(path)? {
            None => Ok(()),
            Some(Value::String(text)) if text.parse::<jiff::Timestamp>().is_ok() => Ok(()),
            Some(other) => Err(FieldError::new(path, "a time", other)),
        }
    }

    fn list_of_texts(self, path: &str) -> Result<(), FieldError> {
        let entries = match self.value(path)? {
            None => return Ok(()),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(FieldError::new(path, "a list", other)),
        };
        let wrong = entries.iter().find(|entry| !entry.is_string() && !entry.is_null());
        wrong.map_or(Ok(()), |entry| Err(FieldError::new(path, "a list of texts", entry)))
    }

    fn texts(self, path: &str) -> Result<(), FieldError> {
        let is_text = |(key, value): (&String, &Value)| match value {
            Value::String(_) | Value::Null => Ok(()),
            other => Err(FieldError::new(key, "a text", other)),
        };
        let texts = |fields: Fields<'a>| {
            fields.0.and_then(Value::as_object).into_iter().flatten().try_for_each(is_text)
        };
        self.section(path, texts).map(Option::unwrap_or_default)
    }
}

impl FieldError {
    fn new(path: &str, expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "nothing".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => format!("the number {number}"),
            Value::String(text) => {
                format!("the text {:?}", text.chars().take(40).collect::<String>())
            }
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a map".to_owned(),
        };
        Self { path: path.to_owned(), expected, found }
    }

    fn below(self, path: &str) -> Self {
        Self { path: format!("{path}.{}", self.path), ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_field_that_has_the_wrong_type() {
        let value =
            json!({"spec": {"replicas": "3"}, "status": {"conditions": [null, {"type": 1}]}});
        let fields = Fields(Some(&value));
        let error = fields.count("spec.replicas").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"spec.replicas: expected a whole number, found the text "3""#
        );
        let error = fields.conditions().err().unwrap();
        assert_eq!(
            error.to_string(),
            "status.conditions[1].type: expected a text, found the number 1"
        );
        let error = fields.count("spec.replicas.all").unwrap_err();
        assert_eq!(error.to_string(), r#"spec.replicas: expected a map, found the text "3""#);
    }

    #[test]
    fn refuses_a_field_that_it_does_not_decide_by() {
        let check = |metadata: Value, expected: &str| {
            let value = json!({"metadata": metadata});
            let error = Fields(Some(&value)).metadata().map(drop).unwrap_err();
            assert_eq!(error.to_string(), format!("metadata.{expected}"));
        };
        check(
            json!({"finalizers": [1]}),
            "finalizers: expected a list of texts, found the number 1",
        );
        check(json!({"labels": {"app": true}}), "labels.app: expected a text, found true");
        check(json!({"ownerReferences": {}}), "ownerReferences: expected a list, found a map");
        check(
            json!({"creationTimestamp": 1}),
            "creationTimestamp: expected a time, found the number 1",
        );
    }

    #[test]
    fn takes_absent_and_null_for_the_zero_value() {
        let value = json!({"spec": null, "status": {"replicas": null, "ready": 2.0}});
        let fields = Fields(Some(&value));
        assert_eq!(fields.count("spec.replicas"), Ok(0));
        assert_eq!(fields.optional_count("status.replicas"), Ok(None));
        assert_eq!(fields.count("status.ready"), Ok(2));
        assert_eq!(fields.text("metadata.name"), Ok(""));
    }

    #[test]
    fn refuses_a_count_beyond_32_bits() {
        let value = json!({"n": 3_000_000_000_i64});
        assert!(Fields(Some(&value)).count("n").is_err());
        assert_eq!(Fields(Some(&value)).generation("n"), Ok(3_000_000_000));
    }
}
