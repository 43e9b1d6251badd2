//! Values that a rule computes from an object: in `let`, and to compare with.
//!
//! | form | value |
//! |---|---|
//! | `3`, `text`, `true` | itself |
//! | `{field: PATH, default: VALUE}` | what is there, or the default |
//! | `{first: PATH, if: PREDICATE}` | the first element for which it holds, as in `{$name.phase}` |
//! | `{count: PATH, if: PREDICATE}` | how many elements there are for which it holds |
//! | `{sum: PATH}` | the numbers there added up, as in `spec.nodeSets[*].count` |
//! | `{plus: [A, B]}`, `{minus: [A, B]}` | the numbers added, the first less the others |
//! | `{text: TEMPLATE}` | the text; nothing if it is empty |
//! | `{list: PATH, if: PREDICATE, as: TEMPLATE, join: ", "}` | the elements for which it holds, each as the template says, in one text; nothing if it is empty |

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde_json::{Number, Value};

use super::path::{Path, Visit};
use super::predicate::{self, Predicate};
use super::scope::{Item, Scope};
use super::template::{Template, write_value};

/// A value that is computed from an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Literal(Value),
    Field { path: Path, default: Option<Value> },
    First { of: Path, holds: Option<Predicate> },
    Count { of: Path, holds: Option<Predicate> },
    Sum(Path),
    Plus(Vec<Expression>),
    Minus(Vec<Expression>),
    Text(Template),
    List { of: Path, holds: Option<Predicate>, item: Template, join: String },
}

impl Expression {
    /// Returns the value, or `None` if there is none.
    pub(super) fn value<'a>(&'a self, scope: &Scope<'a>) -> Option<Cow<'a, Value>> {
        let computed = match self {
            Self::Literal(value) => return Some(Cow::Borrowed(value)),
            Self::Field { path, default } => {
                return path.get(scope).or(default.as_ref()).map(Cow::Borrowed);
            }
            Self::First { of, holds } => {
                let first = items(of, holds.as_ref(), scope).next()?;
                return Some(Cow::Borrowed(first.value));
            }
            Self::Count { of, holds } => {
                let number = items(of, holds.as_ref(), scope).count();
                Value::from(number)
            }
            Self::Sum(path) => {
                number_value(path.all(scope).into_iter().filter_map(number).sum::<f64>())
            }
            Self::Plus(terms) => number_value(numbers(terms, scope)?.into_iter().sum()),
            Self::Minus(terms) => {
                number_value(numbers(terms, scope)?.into_iter().reduce(|a, b| a - b)?)
            }
            Self::Text(template) => text_value(template.fill(scope))?,
            Self::List { of, holds, item, join } => {
                let texts = items(of, holds.as_ref(), scope);
                let texts = texts.map(|found| item.fill(&scope.inside(&[found])));
                text_value(texts.collect::<Vec<_>>().join(join))?
            }
        };
        Some(Cow::Owned(computed))
    }

    /// Calls `visit` with every path in the expression and how many items are around it, if there are
    /// `around` around the expression.
    pub(super) fn paths(&self, around: usize, visit: &mut Visit<'_>) {
        match self {
            Self::Literal(_) => {}
            Self::Field { path, .. } | Self::Sum(path) => visit(path, around),
            Self::First { of, holds } | Self::Count { of, holds } => {
                visit(of, around);
                holds.iter().for_each(|holds| holds.paths(around + 1, visit));
            }
            Self::Plus(terms) | Self::Minus(terms) => {
                terms.iter().for_each(|term| term.paths(around, visit));
            }
            Self::Text(template) => template.paths(around, visit),
            Self::List { of, holds, item, .. } => {
                visit(of, around);
                holds.iter().for_each(|holds| holds.paths(around + 1, visit));
                item.paths(around + 1, visit);
            }
        }
    }
}

/// Returns the elements at `of` for which `holds` does.
fn items<'a>(
    of: &Path,
    holds: Option<&'a Predicate>,
    scope: &Scope<'a>,
) -> impl Iterator<Item = Item<'a>> {
    let found = of.elements(scope).into_iter().enumerate();
    let found = found.map(|(index, value)| Item { value, number: index + 1 });
    found.filter(move |item| holds.is_none_or(|holds| holds.is_true(&scope.inside(&[*item]))))
}

/// Returns the number that `value` is or, as some kinds write numbers, whose text it is.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // A hash such as `7e5` is no number, though Rust would read it as one.
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse().ok())?
        }
        _ => None,
    }
}

fn numbers<'a>(terms: &'a [Expression], scope: &Scope<'a>) -> Option<Vec<f64>> {
    terms.iter().map(|term| number(term.value(scope).as_deref()?)).collect()
}

fn number_value(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers in range are checked")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn text_value(text: String) -> Option<Value> {
    (!text.is_empty()).then_some(Value::String(text))
}

/// Returns whether both are the same; a number and its text are.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The keys of an expression that is a mapping.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    field: Option<Path>,
    #[serde(default, deserialize_with = "some_literal")]
    default: Option<Value>,
    first: Option<Path>,
    count: Option<Path>,
    sum: Option<Path>,
    plus: Option<Vec<Expression>>,
    minus: Option<Vec<Expression>>,
    text: Option<Template>,
    list: Option<Path>,
    #[serde(default, deserialize_with = "predicate::asked")]
    r#if: Option<Predicate>,
    r#as: Option<Template>,
    join: Option<String>,
}

impl Form {
    fn expression(self) -> Result<Expression, &'static str> {
        const ONE: &str = "a value has exactly one of `field`, `first`, `count`, `sum`, `plus`, `minus`, `text` and `list`";
        let singular = |path: &Path| match path.is_plural() {
            true => Err("`field` takes no path with `[*]`"),
            false => Ok(()),
        };
        let default = self.default;
        let mut found = Vec::new();
        if let Some(path) = self.field {
            singular(&path)?;
            found.push(Expression::Field { path, default: default.clone() });
        }
        found.extend(self.sum.map(Expression::Sum));
        found.extend(self.plus.map(Expression::Plus));
        found.extend(self.minus.map(Expression::Minus));
        found.extend(self.text.map(Expression::Text));
        let takes_if = self.first.is_some() || self.count.is_some() || self.list.is_some();
        if self.r#if.is_some() && !takes_if {
            return Err("`if` is for `first`, `count` and `list`");
        }
        if let Some(of) = self.first {
            found.push(Expression::First { of, holds: self.r#if.clone() });
        }
        if let Some(of) = self.count {
            found.push(Expression::Count { of, holds: self.r#if.clone() });
        }
        let is_list = self.list.is_some();
        if let Some(of) = self.list {
            let item = self.r#as.clone().ok_or("`list` needs `as`")?;
            let join = self.join.clone().unwrap_or_default();
            found.push(Expression::List { of, holds: self.r#if, item, join });
        }
        if !is_list && (self.r#as.is_some() || self.join.is_some()) {
            return Err("`as` and `join` are for `list`");
        }
        match found.len() {
            1 => {}
            _ => return Err(ONE),
        }
        let found = found.remove(0);
        match found {
            Expression::Field { .. } => Ok(found),
            _ if default.is_some() => Err("`default` is for `field`"),
            _ => Ok(found),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Expression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, `true`, `false` or a mapping such as `{field: PATH}`")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Expression, E> {
        Ok(Expression::Literal(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Expression, E> {
        Ok(Expression::Literal(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Expression, E> {
        Ok(Expression::Literal(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Expression, E> {
        Ok(Expression::Literal(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Expression, E> {
        Ok(Expression::Literal(value.into()))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Expression, M::Error> {
        let form = Form::deserialize(MapAccessDeserializer::new(map))?;
        form.expression().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a text, a number, `true` or `false`.
pub(super) fn literal<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Value, D::Error> {
    match Expression::deserialize(deserializer)? {
        Expression::Literal(value) => Ok(value),
        _ => Err(de::Error::custom("expected a text, a number, `true` or `false`")),
    }
}

fn some_literal<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    literal(deserializer).map(Some)
}

impl fmt::Display for Expression {
    /// Writes a literal; other values have no short form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => {
                let mut text = String::new();
                write_value(value, &mut text);
                f.write_str(&text)
            }
            _ => f.write_str("{…}"),
        }
    }
}
