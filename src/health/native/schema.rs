//! The JSON schema of rules, for editors: what a rule's words are, by hand where they are read by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::expression::Expression;
use super::path::Path;
use super::predicate::{Predicate, Test};
use super::rule::{Form, RuleSet};
use super::template::Template;
use crate::health::HealthStatus;

/// What a key of a predicate begins with if it is a path.
const PATH: &str = r"^(status|spec|metadata|data|kind|apiVersion)\b|^[.$]";

/// Returns the schema of a health.
pub(super) fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"enum": HealthStatus::ALL.map(HealthStatus::as_str)})
}

fn scalar() -> Schema {
    json_schema!({"type": ["string", "number", "boolean"]})
}

impl JsonSchema for RuleSet {
    fn schema_name() -> Cow<'static, str> {
        "HealthRuleSet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Form::json_schema(generator)
    }
}

impl JsonSchema for Path {
    fn schema_name() -> Cow<'static, str> {
        "HealthPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Path to a value: `status.phase` from the object, `.message` from the item that was found, `..name` from the one around it, `$name` a named value. In brackets: a key, the place in a list, `type=Ready` for the first element with this text, `*` for every element.",
            "type": "string",
            "pattern": PATH
        })
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "HealthText".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let predicate = generator.subschema_for::<Predicate>();
        let text = generator.subschema_for::<Self>();
        json_schema!({
            "description": "Text with values in braces: `{status.phase}`, `{.message|else none}`, `{#}` for the place of the item that was found. Filters: `|else TEXT`, `|lower`, `|upper`, `|trim`, `|first NUMBER`. A list is one text.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": text},
                {
                    "type": "object",
                    "properties": {"if": predicate, "text": text},
                    "required": ["if", "text"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "HealthValue".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let path = generator.subschema_for::<Path>();
        let predicate = generator.subschema_for::<Predicate>();
        let text = generator.subschema_for::<Template>();
        let value = generator.subschema_for::<Self>();
        json_schema!({
            "description": "A value: itself, or what is computed from the object.",
            "anyOf": [
                scalar(),
                {
                    "type": "object",
                    "properties": {
                        "field": path,
                        "default": scalar(),
                        "first": path,
                        "count": path,
                        "sum": path,
                        "plus": {"type": "array", "items": value},
                        "minus": {"type": "array", "items": value},
                        "text": text,
                        "list": path,
                        "if": predicate,
                        "as": text,
                        "join": {"type": "string"}
                    },
                    "minProperties": 1,
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for Predicate {
    fn schema_name() -> Cow<'static, str> {
        "HealthPredicate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let path = generator.subschema_for::<Path>();
        let test = generator.subschema_for::<Test>();
        let predicate = generator.subschema_for::<Self>();
        let of = json_schema!({
            "type": "object",
            "properties": {"of": path, "if": predicate},
            "required": ["of", "if"],
            "additionalProperties": false
        });
        json_schema!({
            "description": "What is asked of an object; every entry must hold. A key is a path, or one of the words.",
            "type": "object",
            "minProperties": 1,
            "properties": {
                "condition": {
                    "description": "An entry of `status.conditions` passes these tests, and is found.",
                    "type": "object",
                    "properties": {
                        "type": test,
                        "status": test,
                        "reason": test,
                        "message": test,
                        "if": predicate
                    },
                    "additionalProperties": false
                },
                "some": of,
                "every": of,
                "all": {"type": "array", "items": predicate},
                "any": {"type": "array", "items": predicate},
                "not": predicate
            },
            "patternProperties": {PATH: test},
            "additionalProperties": false
        })
    }
}

impl JsonSchema for Test {
    fn schema_name() -> Cow<'static, str> {
        "HealthTest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Expression>();
        let test = generator.subschema_for::<Self>();
        let texts = json_schema!({
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
        });
        json_schema!({
            "description": "What a value must be: this one, one of these, or as the tests say. Where nothing is, no test holds but `exists: false`, `empty: true` and `not`.",
            "anyOf": [
                scalar(),
                {"type": "array", "items": scalar()},
                {
                    "type": "object",
                    "properties": {
                        "exists": {"type": "boolean"},
                        "empty": {"type": "boolean"},
                        "not": test,
                        "default": scalar(),
                        "eq": value, "ne": value, "lt": value, "le": value, "gt": value, "ge": value,
                        "starts": texts, "ends": texts, "contains": texts
                    },
                    "minProperties": 1,
                    "additionalProperties": false
                }
            ]
        })
    }
}
