//! Which objects of a kind: a name, or the labels that a workload selects by.

use std::fmt;

use serde_json::{Map, Value};

use crate::k8s::Object;

/// A selector of the workload API: `matchLabels` and `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Requirement {
    Is(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Some of the objects of a kind; those that are named come first in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// The one of this name.
    Named(String),
    /// Those with these labels.
    Labelled(LabelSelector),
    /// Every one.
    All,
}

impl LabelSelector {
    /// Returns the selector that `value` is, or `None` if it selects nothing in particular.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let mut requirements = Vec::new();
        for (key, value) in
            value.get("matchLabels").and_then(Value::as_object).into_iter().flatten()
        {
            requirements.push(Requirement::Is(key.clone(), value.as_str()?.to_owned()));
        }
        let expressions = value.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            requirements.push(Requirement::read(expression)?);
        }
        (!requirements.is_empty()).then_some(Self(requirements))
    }

    /// Returns the selector that a text such as `app=web,tier=front` is, or `None` if it says more.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let requirement = |part: &str| {
            let (key, value) = part.split_once('=')?;
            let is_plain = !key.ends_with('!') && !value.starts_with('=');
            is_plain.then(|| Requirement::Is(key.trim().to_owned(), value.trim().to_owned()))
        };
        text.split(',').map(requirement).collect::<Option<Vec<_>>>().map(Self)
    }

    fn matches(&self, object: &Object) -> bool {
        let none = Map::new();
        let labels = object.at("/metadata/labels").and_then(Value::as_object).unwrap_or(&none);
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn read(expression: &Value) -> Option<Self> {
        let key = expression.get("key")?.as_str()?.to_owned();
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
        Some(match expression.get("operator")?.as_str()? {
            "In" => Self::In(key, values),
            "NotIn" => Self::NotIn(key, values),
            "Exists" => Self::Exists(key),
            "DoesNotExist" => Self::Absent(key),
            _ => return None,
        })
    }

    fn holds(&self, labels: &Map<String, Value>) -> bool {
        let of = |key: &str| labels.get(key).and_then(Value::as_str);
        let among = |key: &str, values: &[String]| {
            of(key).is_some_and(|value| values.iter().any(|known| known == value))
        };
        match self {
            Self::Is(key, value) => of(key) == Some(value),
            Self::In(key, values) => among(key, values),
            Self::NotIn(key, values) => !among(key, values),
            Self::Exists(key) => of(key).is_some(),
            Self::Absent(key) => of(key).is_none(),
        }
    }
}

/// As the list API wants it.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::Is(key, value) => write!(f, "{key}={value}")?,
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl Want {
    pub(super) fn takes(&self, object: &Object) -> bool {
        match self {
            Self::Named(name) => object.name() == name,
            Self::Labelled(selector) => selector.matches(object),
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_of_both_forms_is_one_text_and_matches_as_the_api_server_does() {
        let selector = LabelSelector::read(&serde_json::json!({
            "matchLabels": {"app": "ranking"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "zone", "operator": "NotIn", "values": ["z"]},
            ],
        }));
        let selector = selector.unwrap();
        let text = "app=ranking,tier in (a,b),!old,zone notin (z)";
        assert_eq!(selector.to_string(), text);
        let labelled = |labels: &str| {
            let pod = format!("{{apiVersion: v1, kind: Pod, metadata: {{labels: {labels}}}}}");
            selector.matches(&Object::read_all(&pod).unwrap()[0])
        };
        assert!(labelled("{app: ranking, tier: b}"));
        assert!(labelled("{app: ranking, tier: a, zone: y}"));
        for other in [
            "{}",
            "{app: ranking}",
            "{app: ranking, tier: c}",
            "{app: ranking, tier: a, old: x}",
            "{app: ranking, tier: a, zone: z}",
        ] {
            assert!(!labelled(other), "{other}");
        }
        assert_eq!(LabelSelector::read(&serde_json::json!({})), None);
        let odd = serde_json::json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
        assert_eq!(LabelSelector::read(&odd), None);
    }
}
