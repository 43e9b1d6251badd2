//! How predicates and tests are read, and which are refused because they could never hold.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Comparison, Entry, Of, Predicate, Test, TextTest, word};
use crate::health::native::expression::Expression;
use crate::health::native::path::Path;

/// Returns the value of an `if` that is there. One that is blank was forgotten, and is not to mean
/// "always".
pub(in crate::health::native) fn asked<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Predicate>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(predicate) => Ok(Some(predicate)),
        None => Err(de::Error::custom("`if` is blank; for \"always\", leave `if` out")),
    }
}

/// The tests of `condition`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionForm {
    r#type: Option<Test>,
    status: Option<Test>,
    reason: Option<Test>,
    message: Option<Test>,
    #[serde(default, deserialize_with = "asked")]
    r#if: Option<Predicate>,
}

impl ConditionForm {
    fn entry(self) -> Result<Entry, &'static str> {
        let status = self.status.map(Test::of_status).transpose()?;
        let parts = [
            ("type", self.r#type),
            ("status", status),
            ("reason", self.reason),
            ("message", self.message),
        ];
        let mut entries = Vec::new();
        for (key, test) in parts {
            if let Some(test) = test {
                let path =
                    Path::parse(&format!(".{key}")).map_err(|_| "`condition` has no such key")?;
                entries.push(Entry::At(path, test));
            }
        }
        entries.extend(self.r#if.map(|asked| Entry::All(vec![asked])));
        let of = Path::parse("status.conditions").map_err(|_| "no conditions")?;
        Ok(Entry::Some(Of { of, r#if: Predicate(entries) }))
    }
}

impl Test {
    /// Returns the test as one of a condition's status, where `True` may be written `true`.
    fn of_status(self) -> Result<Self, &'static str> {
        match self {
            Self::OneOf(values) => {
                let texts = values.into_iter().map(|value| match value {
                    // Other words are of somebody's own, but these in other letters are a mistake.
                    Value::String(text) if !STATUSES.iter().any(|it| is_misspelt(&text, it)) => {
                        Ok(text)
                    }
                    Value::Bool(status) => Ok(word(status).to_owned()),
                    _ => Err("the status of a condition is `True`, `False` or `Unknown`"),
                });
                texts.collect::<Result<_, _>>().map(Self::Status)
            }
            Self::Not(test) => Ok(Self::Not(Box::new(test.of_status()?))),
            test => Ok(test),
        }
    }
}

const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

fn is_misspelt(text: &str, word: &str) -> bool {
    text != word && text.eq_ignore_ascii_case(word)
}

const ENTRIES: &str = "`condition`, `some`, `every`, `all`, `any`, `not` or a path";
const TESTS: &[&str] = &[
    "exists", "empty", "not", "default", "eq", "ne", "lt", "le", "gt", "ge", "starts", "ends",
    "contains",
];

struct PredicateReader;

impl<'de> Visitor<'de> for PredicateReader {
    type Value = Predicate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping of {ENTRIES}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Predicate, M::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push(match key.as_str() {
                "condition" => {
                    let form: ConditionForm = map.next_value()?;
                    form.entry().map_err(de::Error::custom)?
                }
                "some" => Entry::Some(map.next_value()?),
                "every" => Entry::Every(map.next_value()?),
                "all" => Entry::All(some_of("`all`", map.next_value()?)?),
                "any" => Entry::Any(some_of("`any`", map.next_value()?)?),
                "not" => Entry::Not(map.next_value()?),
                path => {
                    let path = Path::parse(path).map_err(|error| {
                        de::Error::custom(format!("{error}; expected {ENTRIES}"))
                    })?;
                    if path.is_plural() {
                        let error = format!("`{path}` is for `of`; a test is of one value");
                        return Err(de::Error::custom(error));
                    }
                    Entry::At(path, map.next_value()?)
                }
            });
        }
        match entries.is_empty() {
            true => Err(de::Error::custom(format!("expected {ENTRIES}"))),
            false => Ok(Predicate(entries)),
        }
    }
}

/// Returns `list`, or an error if it is empty: then what it is of holds never, or always.
fn some_of<T, E: de::Error>(what: &str, list: Vec<T>) -> Result<Vec<T>, E> {
    match list.is_empty() {
        true => Err(E::custom(format!("{what} has at least one entry"))),
        false => Ok(list),
    }
}

impl<'de> Deserialize<'de> for Predicate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PredicateReader)
    }
}

/// A text or a list of texts.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = |values: Vec<Value>| {
            let texts = values.into_iter().map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(de::Error::custom(format!("`{other}` is no text"))),
            });
            texts.collect::<Result<_, _>>().map(Self)
        };
        match Test::deserialize(deserializer)? {
            Test::OneOf(values) => texts(values),
            _ => Err(de::Error::custom("expected a text or a list of texts")),
        }
    }
}

struct TestReader;

impl<'de> Visitor<'de> for TestReader {
    type Value = Test;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, `true`, `false`, a list of these, or a mapping of tests")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Test, E> {
        Ok(Test::OneOf(vec![value.into()]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Test, E> {
        Ok(Test::OneOf(vec![value.into()]))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Test, E> {
        Ok(Test::OneOf(vec![value.into()]))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Test, E> {
        Ok(Test::OneOf(vec![value.into()]))
    }

    fn visit_str<E>(self, value: &str) -> Result<Test, E> {
        Ok(Test::OneOf(vec![value.into()]))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Test, S::Error> {
        let mut values = Vec::new();
        while let Some(expression) = list.next_element::<Expression>()? {
            match expression {
                Expression::Literal(value) => values.push(value),
                _ => return Err(de::Error::custom("expected texts, numbers, `true` or `false`")),
            }
        }
        Ok(Test::OneOf(some_of("a list of values", values)?))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Test, M::Error> {
        let mut tests = Vec::new();
        let mut default = None;
        while let Some(key) = map.next_key::<String>()? {
            let compare = |comparison, map: &mut M| -> Result<Test, M::Error> {
                Ok(Test::Compare(comparison, map.next_value()?))
            };
            let text = |test, map: &mut M| -> Result<Test, M::Error> {
                let Texts(texts) = map.next_value()?;
                Ok(Test::Text(test, texts))
            };
            tests.push(match key.as_str() {
                "exists" => Test::Exists(map.next_value()?),
                "empty" => Test::Empty(map.next_value()?),
                "not" => Test::Not(map.next_value()?),
                "eq" => compare(Comparison::Equal, &mut map)?,
                "ne" => compare(Comparison::NotEqual, &mut map)?,
                "lt" => compare(Comparison::Less, &mut map)?,
                "le" => compare(Comparison::LessOrEqual, &mut map)?,
                "gt" => compare(Comparison::Greater, &mut map)?,
                "ge" => compare(Comparison::GreaterOrEqual, &mut map)?,
                "starts" => text(TextTest::Starts, &mut map)?,
                "ends" => text(TextTest::Ends, &mut map)?,
                "contains" => text(TextTest::Contains, &mut map)?,
                "default" => {
                    match map.next_value()? {
                        Expression::Literal(value) => default = Some(value),
                        _ => {
                            return Err(de::Error::custom(
                                "`default` is a text, number or boolean",
                            ));
                        }
                    }
                    continue;
                }
                other => return Err(de::Error::unknown_field(other, TESTS)),
            });
        }
        let test = match (tests.len(), tests.pop()) {
            (1, Some(test)) => test,
            (_, None) => return Err(de::Error::custom("expected a test")),
            (_, Some(last)) => {
                tests.push(last);
                Test::All(tests)
            }
        };
        Ok(match default {
            Some(value) => Test::Default(value, Box::new(test)),
            None => test,
        })
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestReader)
    }
}
