//! GitHub's published GraphQL schema: a request is parsed, validated and carried out by its types,
//! its variables and the answer included.

use std::sync::OnceLock;

use apollo_compiler::resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use super::openapi::published;

/// Answers a field: of a root type by its name, of another type that is asked as `TYPE.FIELD`; what it
/// is a field of, and its arguments.
pub(super) type Resolve<'a> = dyn Fn(&str, &Value, &Value) -> Result<Value, Refused> + 'a;

/// An error of GraphQL's, by its type and message.
pub(super) struct Refused {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// Returns the schema, read once in a process.
pub(super) fn schema() -> Option<&'static Valid<Schema>> {
    static READ: OnceLock<Option<Valid<Schema>>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string(published("schema.graphql")?).unwrap();
        // GitHub states itself that it is valid; to check it takes seconds.
        let schema = Schema::parse(text, "schema.graphql").unwrap_or_else(|e| e.partial);
        Some(Valid::assume_valid(schema))
    };
    READ.get_or_init(read).as_ref()
}

/// Returns what `request` comes to, or why it is no request that the schema allows.
pub(super) fn answer(request: &Value, resolve: &Resolve<'_>) -> Result<Value, String> {
    let schema = schema().expect("a server starts only where it is there");
    let keys: Vec<&str> = request.as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
    if keys.iter().any(|key| !["query", "variables", "operationName"].contains(key)) {
        return Err(format!("a GraphQL request has no such keys: {keys:?}"));
    }
    let text = request["query"].as_str().ok_or("it has no query")?;
    let document = ExecutableDocument::parse_and_validate(schema, text, "request.graphql")
        .map_err(|error| error.to_string())?;
    let variables: JsonMap =
        serde_json::from_value(request["variables"].clone()).map_err(|error| error.to_string())?;
    let operation = document.operations.get(None).map_err(|error| format!("{error:?}"))?;
    for name in variables.keys() {
        let stated = operation.variables.iter().any(|it| it.name.as_str() == name.as_str());
        if !stated {
            return Err(format!("the operation has no variable `{}`", name.as_str()));
        }
    }
    let mutates = operation.is_mutation();
    let refused = std::cell::RefCell::new(Vec::new());
    let root =
        Root { name: if mutates { "Mutation" } else { "Query" }, resolve, refused: &refused };
    let executed = Execution::new(schema, &document)
        .raw_variable_values(&variables)
        .execute_sync(&root)
        .map_err(|error| format!("its variables do not fit: {error:?}"))?;
    let answer = serde_json::to_value(&executed).unwrap();
    let refused = refused.into_inner();
    // GitHub says an error's type beside its message.
    match (refused.is_empty(), answer["errors"].as_array().is_none_or(Vec::is_empty)) {
        (true, true) => Ok(answer),
        (true, false) => Err(format!("this server's own answer is wrong: {}", answer["errors"])),
        (false, _) => Ok(json!({"data": null, "errors": refused})),
    }
}

/// The root of an operation.
struct Root<'a> {
    name: &'static str,
    resolve: &'a Resolve<'a>,
    refused: &'a std::cell::RefCell<Vec<Value>>,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        self.name
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = serde_json::to_value(info.arguments()).unwrap();
        match (self.resolve)(info.field_name(), &Value::Null, &arguments) {
            Ok(value) => resolved(value, self.resolve),
            Err(Refused { kind, message }) => {
                let error = json!({"type": kind, "message": message, "path": [info.field_name()]});
                self.refused.borrow_mut().push(error);
                Ok(ResolvedValue::Leaf(Value::Null.into()))
            }
        }
    }
}

/// An object in JSON that says its `__typename`. A field that depends on its arguments is an object
/// of values by the arguments' JSON, below the key `name()`, or is asked for if there is `null`.
struct Object<'r>(Value, &'r Resolve<'r>);

impl ObjectValue for Object<'_> {
    fn type_name(&self) -> &str {
        self.0["__typename"].as_str().unwrap_or("(an object without `__typename`)")
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let name = info.field_name();
        if let Some(by_arguments) = self.0.get(format!("{name}()")) {
            let arguments = serde_json::to_value(info.arguments()).unwrap();
            if by_arguments.is_null() {
                let asked = format!("{}.{name}", self.type_name());
                let answer = (self.1)(&asked, &self.0, &arguments);
                let answer = answer.unwrap_or_else(|_| panic!("`{asked}` is refused"));
                return resolved(answer, self.1);
            }
            let only = arguments.as_object().and_then(|all| all.values().next()).cloned();
            let key = only.map_or(String::new(), |value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            });
            return resolved(by_arguments.get(key).cloned().unwrap_or(Value::Null), self.1);
        }
        match self.0.get(name) {
            Some(value) => resolved(value.clone(), self.1),
            None => Err(self.unknown_field_error(info)),
        }
    }
}

fn resolved<'a>(value: Value, resolve: &'a Resolve<'a>) -> Result<ResolvedValue<'a>, FieldError> {
    Ok(match value {
        Value::Object(_) => ResolvedValue::Object(Box::new(Object(value, resolve))),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| resolved(item, resolve));
            ResolvedValue::List(Box::new(items))
        }
        leaf => ResolvedValue::Leaf(serde_json::from_value(leaf).unwrap()),
    })
}
