//! GitHub's published OpenAPI description: which requests there are, what they may say, and what is
//! answered.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use wiremock::Request;

use crate::support::missing;

/// The description, and the validators that were made of it so far.
pub(super) struct OpenApi {
    document: Value,
    validators: Mutex<HashMap<String, &'static Validator>>,
}

/// One operation of it, as a request means it.
pub(super) struct Operation {
    /// `GET /repos/{owner}/{repo}/pulls`.
    pub(super) name: String,
    /// Values of what stands in braces, by name.
    pub(super) path: HashMap<String, String>,
    spec: &'static Value,
}

/// Returns the file of GitHub's published schemas, or `None` after one printed line where they are
/// not there.
///
/// # Panics
///
/// Panics instead of returning `None` if `DEPLOYCTL_REQUIRE_PEERS` is 1.
pub(super) fn published(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DEPLOYCTL_GITHUB_SCHEMAS").map(PathBuf::from);
    let found = folder.map(|folder| folder.join(file)).filter(|path| path.is_file());
    if found.is_none() {
        missing(&format!("GitHub's published {file} is not in DEPLOYCTL_GITHUB_SCHEMAS"));
    }
    found
}

impl OpenApi {
    /// Returns the description, read once in a process.
    pub(super) fn get() -> Option<&'static Self> {
        static READ: OnceLock<Option<OpenApi>> = OnceLock::new();
        let read = || {
            let document = std::fs::read(published("api.github.com.json")?).unwrap();
            let document = serde_json::from_slice(&document).unwrap();
            Some(OpenApi { document, validators: Mutex::default() })
        };
        READ.get_or_init(read).as_ref()
    }

    /// Returns the operation that a request is, or why it is none.
    pub(super) fn operation(&'static self, method: &str, path: &str) -> Result<Operation, String> {
        let paths = self.document["paths"].as_object().unwrap();
        let fitting = paths.iter().filter_map(|(template, item)| {
            let values = matched(template, path)?;
            // Of `/pulls/comments` and `/pulls/{pull_number}` the plainer one is meant, and a last
            // variable takes more than one step only where nothing else fits.
            let steps = path.split('/').count() - template.split('/').count();
            Some(((steps, template.matches('{').count()), template, item, values))
        });
        let (_, template, item, values) = fitting
            .min_by_key(|(rank, ..)| *rank)
            .ok_or_else(|| format!("there is no path `{path}`"))?;
        let spec = item.get(method.to_lowercase());
        let spec = spec.ok_or_else(|| format!("`{template}` has no method {method}"))?;
        Ok(Operation { name: format!("{method} {template}"), path: values, spec })
    }

    /// Returns what is wrong with a request.
    pub(super) fn check_request(
        &'static self,
        operation: &Operation,
        request: &Request,
    ) -> Vec<String> {
        let mut wrong = self.check_parameters(operation, request);
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        if header("x-github-api-version") != Some("2022-11-28") {
            wrong.push("it does not say which version of the API it means".to_owned());
        }
        if header("user-agent").is_none() {
            wrong.push("it has no user agent".to_owned());
        }
        let stated = self.resolved(&operation.spec["requestBody"]);
        let schema = &stated["content"]["application/json"]["schema"];
        match (request.body.is_empty(), schema.is_null()) {
            (true, _) if stated["required"] == json!(true) => {
                wrong.push("it has no body".to_owned());
            }
            (true, _) => {}
            (false, true) => wrong.push("it has a body, and should have none".to_owned()),
            (false, false) => match serde_json::from_slice::<Value>(&request.body) {
                Ok(body) => {
                    wrong.extend(self.check(&format!("{} body", operation.name), schema, &body));
                    wrong.extend(self.unknown_keys(schema, &body));
                }
                Err(error) => wrong.push(format!("its body is no JSON: {error}")),
            },
        }
        wrong
    }

    fn check_parameters(&'static self, operation: &Operation, request: &Request) -> Vec<String> {
        let mut wrong = Vec::new();
        let stated: Vec<&'static Value> = operation.spec["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| self.resolved(parameter))
            .collect();
        let query: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
        for name in query.keys() {
            if !stated.iter().any(|p| p["in"] == "query" && p["name"] == name.as_str()) {
                wrong.push(format!("it has no parameter `{name}`"));
            }
        }
        for parameter in stated {
            let name = parameter["name"].as_str().unwrap();
            let value = match parameter["in"].as_str().unwrap() {
                "query" => query.get(name),
                "path" => operation.path.get(name),
                _ => continue,
            };
            let schema = &parameter["schema"];
            match value {
                Some(text) => {
                    let number = self.resolved(schema)["type"] == "integer";
                    let value = match text.parse::<i64>() {
                        Ok(value) if number => json!(value),
                        _ => json!(text),
                    };
                    let key = format!("{} parameter {name}", operation.name);
                    wrong.extend(self.check(&key, schema, &value));
                }
                None if parameter["required"] == json!(true) => {
                    wrong.push(format!("it lacks the parameter `{name}`"));
                }
                None => {}
            }
        }
        wrong
    }

    /// Returns what is wrong with an answer of this server's own.
    pub(super) fn check_answer(
        &'static self,
        operation: &Operation,
        status: u16,
        body: &Value,
    ) -> Vec<String> {
        let stated = self.resolved(&operation.spec["responses"][status.to_string()]);
        if stated.is_null() {
            // Refusals are not all told.
            return (status < 400)
                .then(|| format!("{} does not answer {status}", operation.name))
                .into_iter()
                .collect();
        }
        let schema = &stated["content"]["application/json"]["schema"];
        if schema.is_null() {
            return Vec::new();
        }
        self.check(&format!("{} answer {status}", operation.name), schema, body)
    }

    /// Returns the published example of an answer: of a list, that of an element.
    pub(super) fn example(&'static self, operation: &Operation, status: u16) -> Value {
        let stated = self.resolved(&operation.spec["responses"][status.to_string()]);
        let examples = &stated["content"]["application/json"]["examples"];
        let Some(first) = examples.as_object().and_then(|all| all.values().next()) else {
            return json!({});
        };
        let value = self.resolved(first)["value"].clone();
        match value {
            Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
            value => value,
        }
    }

    fn resolved(&'static self, value: &'static Value) -> &'static Value {
        let mut value = value;
        while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            value = self.document.pointer(&reference[1..]).unwrap();
        }
        value
    }

    /// GitHub passes over keys that it does not know; a request that has one is mistaken.
    fn unknown_keys(&'static self, schema: &'static Value, body: &Value) -> Vec<String> {
        let schema = self.resolved(schema);
        let (Some(known), Some(body)) = (schema["properties"].as_object(), body.as_object()) else {
            return Vec::new();
        };
        let unknown = body.keys().filter(|key| !known.contains_key(*key));
        unknown.map(|key| format!("its body has no key `{key}`")).collect()
    }

    /// Returns what is wrong with `value`; `name` stands for the schema.
    fn check(&'static self, name: &str, schema: &'static Value, value: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(name.to_owned()).or_insert_with(|| {
            let validator = jsonschema::draft4::options().build(&self.standing_alone(schema));
            Box::leak(Box::new(validator.unwrap_or_else(|error| panic!("{name}: {error}"))))
        });
        let told = |error: jsonschema::ValidationError<'_>| {
            format!("{}: {error}", error.instance_path()).chars().take(400).collect()
        };
        validator.iter_errors(value).map(told).collect()
    }

    /// Returns `schema` as a JSON schema of its own, with all that it refers to.
    fn standing_alone(&'static self, schema: &'static Value) -> Value {
        let mut components = Map::new();
        let mut open = Vec::new();
        let mut root = json_schema(schema, &mut open);
        while let Some(reference) = open.pop() {
            let name = reference.rsplit('/').next().unwrap().to_owned();
            if !components.contains_key(&name) {
                let found = self.document.pointer(&reference[1..]).unwrap();
                // Before it is gone into, as it may refer to itself.
                components.insert(name.clone(), Value::Null);
                let found = json_schema(found, &mut open);
                components.insert(name, found);
            }
        }
        if let Value::Object(root) = &mut root {
            root.insert("components".to_owned(), json!({"schemas": components}));
        }
        // What stands beside a reference is passed over in draft 4.
        match root.get("$ref").cloned() {
            Some(reference) => json!({
                "allOf": [{"$ref": reference}], "components": root["components"],
            }),
            None => root,
        }
    }
}

/// Returns a schema of OpenAPI 3.0 as a JSON schema: `nullable` becomes a type. References go to
/// `open`.
fn json_schema(schema: &Value, open: &mut Vec<String>) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| json_schema(item, open)).collect(),
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| {
                let is_text = value.is_string() || value.is_array();
                !(matches!(key.as_str(), "example" | "examples" | "default" | "externalDocs")
                    || (key.as_str() == "discriminator" && !is_text))
            });
            let mut out: Map<String, Value> =
                kept.map(|(key, value)| (key.clone(), json_schema(value, open))).collect();
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                open.push(reference.to_owned());
            }
            if out.remove("nullable") == Some(json!(true)) {
                if let Some(Value::Array(values)) = out.get_mut("enum") {
                    values.push(Value::Null);
                }
                return json!({"anyOf": [out, {"type": "null"}]});
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// Returns what stands for the template's variables in `path`; the last may hold `/`.
fn matched(template: &str, path: &str) -> Option<HashMap<String, String>> {
    let (wanted, given): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    let variable = |step: &str| Some(step.strip_prefix('{')?.strip_suffix('}')?.to_owned());
    let tail = matches!(wanted.last(), Some(&"{ref}" | &"{path}"));
    if given.len() < wanted.len() || (given.len() > wanted.len() && !tail) {
        return None;
    }
    let mut values = HashMap::new();
    for (index, step) in wanted.iter().enumerate() {
        let rest = index + 1 == wanted.len();
        let value = if rest { given[index..].join("/") } else { given[index].to_owned() };
        match variable(step) {
            Some(_) if value.is_empty() => return None,
            Some(name) => drop(values.insert(name, value)),
            None if *step == value => {}
            None => return None,
        }
    }
    Some(values)
}
