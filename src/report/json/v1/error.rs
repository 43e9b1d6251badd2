//! Why there is no answer.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{document, schema_of};
use crate::report::NoVerdict;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Why deployctl verify came to no verdict")]
struct ErrorOf<'a> {
    /// What was to be verified: an environment, an Application, files or a recording.
    subject: &'a str,
    /// In a sentence.
    error: &'a str,
    /// What it comes from, outermost first.
    caused_by: &'a [String],
    /// What to do.
    hint: Option<&'a str>,
    exit_code: u8,
    /// RFC 3339.
    started: String,
}

/// Returns `deployctl.dev/error/v1`.
pub fn error(none: &NoVerdict) -> Value {
    let (error, caused_by) = match none.texts.split_first() {
        Some((error, causes)) => (error.as_str(), causes),
        None => ("", [].as_slice()),
    };
    let NoVerdict { subject, hint, exit_code, started, .. } = none;
    let (hint, started) = (hint.as_deref(), started.to_string());
    document("error", &ErrorOf { subject, error, caused_by, hint, exit_code: *exit_code, started })
}

/// Returns the JSON schema of [`error`].
pub fn error_schema() -> Value {
    schema_of::<ErrorOf<'_>>("error")
}
