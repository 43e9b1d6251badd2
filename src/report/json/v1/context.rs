//! The lines of `deployctl context`.

use serde::Serialize;
use serde_json::Value;

/// Whether a build context leaves a path out.
#[derive(Debug, Serialize)]
pub struct ContextVerdict<'a> {
    /// The path, as it was asked for.
    pub path: &'a str,
    /// Whether it is left out.
    pub ignored: bool,
    /// The line of the ignore file that decided, or that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong with the ignore file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something that a build context holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextEntry<'a> {
    /// Its path from the context's root.
    pub path: &'a str,
    /// `folder`, `file`, `link` or `special`.
    pub kind: &'static str,
    /// Whether its owner may execute it, of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// What it points at, of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'a str>,
    /// The ignore file leaves it out; only the builder gets it, and no `COPY`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub for_builder_only: bool,
}

/// Returns one line of `deployctl context check`.
pub fn context_verdict(line: &ContextVerdict<'_>) -> Value {
    serde_json::to_value(line).expect("a verdict is a plain struct")
}

/// Returns one line of `deployctl context list`.
pub fn context_entry(line: &ContextEntry<'_>) -> Value {
    serde_json::to_value(line).expect("an entry is a plain struct")
}
