//! What a script returned, as a health.
//!
//! Argo CD writes the table as JSON with one Go library and reads it with another, so the rules of
//! both show: a list is no health at all, the case of keys does not matter, and a field of the wrong
//! type fails with Go's own words.

use std::collections::{BTreeMap, HashSet};
use std::ffi::c_void;

use mlua::{Table, Value};

use crate::health::{Health, HealthStatus};

/// How deep a table may be.
const DEPTH: usize = 200;

/// How many values a table may hold, in all its parts.
const VALUES: usize = 100_000;

/// How long a text may be.
const TEXT: usize = 1 << 20;

/// A table as JSON; of everything but the two fields that count, only the type matters.
enum Json {
    Text(String),
    Number,
    Flag,
    List,
    Map(BTreeMap<String, Json>),
}

/// Returns the health that a script's last result states; `None` is an empty health.
///
/// # Errors
///
/// Fails with Argo CD's text where that fails.
pub(super) fn health(result: &Value) -> Result<Option<Health>, String> {
    let table = match result {
        Value::Nil => return Ok(None),
        Value::Table(table) => table,
        other => {
            let kind = type_name(other);
            return Err(format!("expect table output from Lua script, not {kind}"));
        }
    };
    match Encoder::default().table(table).map_err(Failure::text)? {
        Json::Map(fields) => from_fields(fields),
        _ => Ok(None),
    }
}

fn from_fields(fields: BTreeMap<String, Json>) -> Result<Option<Health>, String> {
    let (mut status, mut message) = (String::new(), String::new());
    let mut error = None;
    for (key, value) in fields {
        let (field, kind) = match key.to_ascii_lowercase().as_str() {
            "status" => (&mut status, "status of type health.HealthStatusCode"),
            "message" => (&mut message, "message of type string"),
            _ => continue,
        };
        match value {
            Json::Text(text) => *field = text,
            other if error.is_none() => error = Some((other.name(), kind)),
            _ => {}
        }
    }
    match error {
        // Argo CD takes any list for the empty table, also that of a field.
        Some(("array", _)) => Ok(None),
        Some((found, field)) => {
            Err(format!("json: cannot unmarshal {found} into Go struct field HealthStatus.{field}"))
        }
        None => Ok(Some(match HealthStatus::parse(&status) {
            Some(status) => status.because(message),
            None => HealthStatus::Unknown.because("Lua returned an invalid health status"),
        })),
    }
}

impl Json {
    fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Number => "number",
            Self::Flag => "bool",
            Self::List => "array",
            Self::Map(_) => "object",
        }
    }
}

#[derive(Default)]
struct Encoder {
    visited: HashSet<*const c_void>,
    values: usize,
    depth: usize,
}

impl Encoder {
    /// Returns the table as JSON. Metatables have no say.
    fn table(&mut self, table: &Table) -> Result<Json, Failure> {
        if !self.visited.insert(table.to_pointer()) {
            return Err(Failure::go("cannot encode recursively nested tables to JSON"));
        }
        if self.depth == DEPTH {
            return Err(Failure::Limit("the script's result is nested too deeply"));
        }
        self.depth += 1;
        let mut entries = Entries::Empty;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|error| Failure::go(&error.to_string()))?;
            self.values += 1;
            if self.values > VALUES {
                return Err(Failure::Limit("the script's result is too large"));
            }
            entries.push(&key, value)?;
        }
        let json = match entries {
            Entries::Empty => Json::List,
            Entries::List(values) => {
                values
                    .iter()
                    .try_for_each(|value| self.value(value).map(drop).map_err(Failure::nested))?;
                Json::List
            }
            Entries::Map(values) => {
                let fields = values.into_iter().map(|(key, value)| {
                    self.value(&value).map(|value| (key, value)).map_err(Failure::nested)
                });
                Json::Map(fields.collect::<Result<_, _>>()?)
            }
        };
        self.depth -= 1;
        Ok(json)
    }

    fn value(&mut self, value: &Value) -> Result<Json, Failure> {
        match value {
            Value::Boolean(_) => Ok(Json::Flag),
            Value::Number(number) if !number.is_finite() => {
                let number = if number.is_nan() { "NaN" } else { sign(*number) };
                Err(Failure::go(&format!("json: unsupported value: {number}")))
            }
            Value::Number(_) | Value::Integer(_) => Ok(Json::Number),
            Value::String(text) => text_of(&text.as_bytes()).map(Json::Text),
            Value::Table(table) => self.table(table),
            other => Err(Failure::go(&format!("cannot encode {} to JSON", type_name(other)))),
        }
    }
}

fn sign(number: f64) -> &'static str {
    if number > 0.0 { "+Inf" } else { "-Inf" }
}

/// Why a table can't be written as JSON.
enum Failure {
    /// In the words of Argo CD's libraries.
    Go(String),
    Limit(&'static str),
}

impl Failure {
    fn go(error: &str) -> Self {
        Self::Go(error.to_owned()).nested()
    }

    /// Go wraps an error once for every table that it comes out of.
    fn nested(self) -> Self {
        match self {
            Self::Go(error) => Self::Go(format!(
                "json: error calling MarshalJSON for type json.jsonValue: {error}"
            )),
            limit @ Self::Limit(_) => limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Go(error) => error,
            Self::Limit(limit) => limit.to_owned(),
        }
    }
}

fn text_of(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.len() > TEXT {
        return Err(Failure::Limit("the script's result is too large"));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The entries of a table. The first key decides what it is.
enum Entries {
    Empty,
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Entries {
    fn push(&mut self, key: &Value, value: Value) -> Result<(), Failure> {
        if let Self::Empty = self {
            *self = match key {
                Value::Number(_) | Value::Integer(_) => Self::List(Vec::new()),
                Value::String(_) => Self::Map(BTreeMap::new()),
                _ => return Err(Failure::go("cannot encode mixed or invalid key types")),
            };
        }
        match (self, key) {
            (Self::List(values), Value::Number(_) | Value::Integer(_)) => {
                #[expect(clippy::cast_precision_loss, reason = "there are far fewer")]
                let next = (values.len() + 1) as f64;
                if number(key) != Some(next) {
                    return Err(Failure::go("cannot encode sparse array"));
                }
                values.push(value);
            }
            (Self::Map(values), Value::String(key)) => {
                values.insert(text_of(&key.as_bytes())?, value);
            }
            _ => return Err(Failure::go("cannot encode mixed or invalid key types")),
        }
        Ok(())
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "Lua has no other numbers")]
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// Returns the type as Lua calls it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Number(_) | Value::Integer(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
