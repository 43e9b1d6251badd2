//! Messages: text with values in braces.
//!
//! `{status.phase}` stands for what is at the [path](super::path), and for nothing where nothing
//! is; `{#}` for the place of the item that was found, counted from 1. Behind the path may stand
//! `|else TEXT` for where nothing is, `|lower`, `|upper`, `|trim`, `|first 7` (characters). `{{` and
//! `}}` are braces. A list of texts is one text; an element `{if: PREDICATE, text: TEMPLATE}` is
//! left out where the predicate does not hold.

use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::path::{Path, Visit};
use super::predicate::Predicate;
use super::scope::Scope;

/// A text with values of an object in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number,
    Value(Path, Vec<Filter>),
    Only(Predicate, Template),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Else(String),
    Lower,
    Upper,
    Trim,
    First(usize),
}

impl Template {
    /// Returns the template that `text` is.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = behind;
                continue;
            }
            let (inside, behind) = match rest.split_once('}') {
                Some(parts) if brace == "{" => parts,
                _ => return Err(format!("`{text}` has a lone `{brace}`; write it twice")),
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(placeholder(inside)?);
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Returns the text with the values of `scope`.
    pub(super) fn fill(&self, scope: &Scope<'_>) -> String {
        let mut text = String::new();
        self.write(scope, &mut text);
        text
    }

    /// Calls `visit` with every path in the template and how many items are around it, if there are
    /// `around` around the template.
    pub(super) fn paths(&self, around: usize, visit: &mut Visit<'_>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(_) | Piece::Number => {}
                Piece::Value(path, _) => visit(path, around),
                Piece::Only(holds, template) => {
                    holds.paths(around, visit);
                    template.paths(around + holds.finds(), visit);
                }
            }
        }
    }

    fn write(&self, scope: &Scope<'_>, text: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Number => {
                    if let Some(item) = scope.item(0) {
                        let _ = write!(text, "{}", item.number);
                    }
                }
                Piece::Value(path, filters) => {
                    let mut value = String::new();
                    if let Some(found) = path.get(scope) {
                        write_value(found, &mut value);
                    }
                    let value = filters.iter().fold(value, |value, filter| filter.apply(value));
                    text.push_str(&value);
                }
                Piece::Only(holds, template) => {
                    if let Some(found) = holds.find(scope) {
                        template.write(&scope.inside(&found), text);
                    }
                }
            }
        }
    }
}

impl Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match (word, rest.parse()) {
            ("else", _) => Ok(Self::Else(rest.to_owned())),
            ("lower", _) if rest.is_empty() => Ok(Self::Lower),
            ("upper", _) if rest.is_empty() => Ok(Self::Upper),
            ("trim", _) if rest.is_empty() => Ok(Self::Trim),
            ("first", Ok(number)) => Ok(Self::First(number)),
            _ => Err(format!(
                "`|{text}` is none of `|else TEXT`, `|lower`, `|upper`, `|trim` and `|first NUMBER`"
            )),
        }
    }

    fn apply(&self, value: String) -> String {
        match self {
            Self::Else(text) if value.is_empty() => text.clone(),
            Self::Else(_) => value,
            Self::Lower => value.to_lowercase(),
            Self::Upper => value.to_uppercase(),
            Self::Trim => value.trim().to_owned(),
            Self::First(number) => value.chars().take(*number).collect(),
        }
    }
}

fn placeholder(inside: &str) -> Result<Piece, String> {
    if inside == "#" {
        return Ok(Piece::Number);
    }
    let mut parts = inside.split('|');
    let path = Path::parse(parts.next().unwrap_or_default())?;
    if path.is_plural() {
        return Err(format!("`{path}` is for `list`; a message has one value in braces"));
    }
    Ok(Piece::Value(path, parts.map(Filter::parse).collect::<Result<_, _>>()?))
}

/// Writes a value as text: a list as its elements with commas, a mapping as JSON.
pub(super) fn write_value(value: &Value, text: &mut String) {
    let _ = match value {
        Value::Null => Ok(()),
        Value::String(value) => text.write_str(value),
        Value::Number(number) => match number.as_f64() {
            // Lua, whose messages these are, has no `3.0`.
            Some(float) if number.is_f64() && float.fract() == 0.0 => write!(text, "{float:.0}"),
            _ => write!(text, "{number}"),
        },
        Value::Bool(value) => write!(text, "{value}"),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_value(value, text);
            }
            Ok(())
        }
        Value::Object(_) => write!(text, "{value}"),
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    r#if: Predicate,
    text: Template,
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Template;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts and `{if: …, text: …}`")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Template, E> {
        Template::parse(value).map_err(E::custom)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Template, S::Error> {
        let mut pieces = Vec::new();
        while let Some(Template(more)) = list.next_element()? {
            pieces.extend(more);
        }
        Ok(Template(pieces))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Template, M::Error> {
        let only = Only::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Template(vec![Piece::Only(only.r#if, only.text)]))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}
