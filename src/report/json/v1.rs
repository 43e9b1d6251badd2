//! Version 1 of the JSON documents: the larger ones in files of their own.

mod build;
mod context;
mod doctor;
mod error;
mod health;
mod hold;
mod lint;
mod moment;
mod rollout;
mod set;
mod status;
mod tags;

use serde::Serialize;
use serde_json::{Value, json};

use crate::image;
use crate::ops::{self, StepOutcome};
use crate::pipeline::Pipeline;

pub use build::build;
pub use context::{ContextEntry, ContextVerdict, context_entry, context_verdict};
pub use doctor::doctor;
pub use error::{error, error_schema};
pub use health::{health, health_schema, health_test};
pub use hold::{release_hold, rollback};
pub use lint::lint;
pub use moment::{event, event_schema};
pub use rollout::{rollout, rollout_schema};
pub use set::{gated, set};
pub use status::{history, status};
pub use tags::{tags, tags_schema};

/// Returns `document` as JSON with the name of its schema first.
fn document<T: Serialize>(schema: &str, document: &T) -> Value {
    let mut value = json!({ "schema": format!("deployctl.dev/{schema}/v1") });
    let fields = serde_json::to_value(document).expect("documents are plain structs");
    let map = value.as_object_mut().expect("it was made as a map");
    map.extend(fields.as_object().cloned().unwrap_or_default());
    value
}

/// Returns the JSON schema of the document that [`document`] makes of a `T`.
fn schema_of<T: schemars::JsonSchema>(schema: &str) -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    let name = json!({ "const": format!("deployctl.dev/{schema}/v1") });
    let map = value.as_object_mut().expect("a struct's schema is a map");
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("schema".to_owned(), name);
    }
    if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
        required.insert(0, json!("schema"));
    }
    value
}

/// Returns `deployctl.dev/diff/v1`.
pub fn diff(report: &ops::DiffReport) -> Value {
    let differences = report.differences.iter().map(|difference| {
        json!({
            "title": difference.title,
            "service": difference.service,
            "environment": difference.environment,
            "from": difference.from,
            "to": difference.to,
            "changed": !difference.diff.is_empty(),
            "diff": difference.diff,
        })
    });
    document("diff", &json!({ "differences": differences.collect::<Vec<_>>() }))
}

/// Returns `deployctl.dev/plan/v1`.
pub fn plan(pipeline: &Pipeline) -> Value {
    let steps: Vec<_> = pipeline.steps.iter().map(|step| &step.name).collect();
    document("plan", &json!({ "pipeline": pipeline.name, "steps": steps }))
}

/// Returns `deployctl.dev/run/v1`.
pub fn run(report: &ops::RunReport) -> Value {
    let steps = report.steps.iter().map(|(name, outcome)| match outcome {
        StepOutcome::Done => json!({ "name": name, "outcome": "done" }),
        StepOutcome::Failed { reason } => {
            json!({ "name": name, "outcome": "failed", "reason": reason })
        }
    });
    let steps: Vec<_> = steps.collect();
    document("run", &json!({ "pipeline": report.pipeline, "steps": steps }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading<'a> {
    input: &'a str,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    familiar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Returns one line of `deployctl image parse`.
pub fn reading(reading: &image::Reading) -> Value {
    let parts = reading.outcome.as_ref().ok();
    let line = Reading {
        input: &reading.input,
        valid: parts.is_some(),
        canonical: parts.map(|parts| parts.canonical.as_str()),
        familiar: parts.map(|parts| parts.familiar.as_str()),
        domain: parts.and_then(|parts| parts.domain.as_deref()),
        path: parts.map(|parts| parts.path.as_str()),
        tag: parts.and_then(|parts| parts.tag.as_deref()),
        digest: parts.and_then(|parts| parts.digest.as_deref()),
        error: reading.outcome.as_ref().err().map(ToString::to_string),
    };
    serde_json::to_value(line).expect("a reading is a plain struct")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edit<'a> {
    file: &'a str,
    changed: bool,
    images: Vec<EditImage<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditImage<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_suffix: Option<&'a str>,
}

/// Returns `deployctl.dev/edit/v1`.
pub fn edit(report: &ops::EditReport) -> Value {
    let images = report.images.iter().map(|entry| EditImage {
        name: &entry.name,
        new_name: entry.new_name.as_deref(),
        new_tag: entry.new_tag.as_deref(),
        digest: entry.digest.as_deref(),
        tag_suffix: entry.tag_suffix.as_deref(),
    });
    let (file, changed) = (report.file.as_str(), report.changed);
    document("edit", &Edit { file, changed, images: images.collect() })
}

/// Returns `deployctl.dev/demo/v1`.
pub fn demo(report: &ops::DemoReport) -> Value {
    let commits: Vec<_> = report.commits.iter().map(ToString::to_string).collect();
    let fields = json!({
        "home": report.is_kept.then_some(report.home.as_str()),
        "image": report.image.to_string(),
        "verdict": report.verdict.as_str(),
        "reason": report.reason,
        "commits": commits,
    });
    document("demo", &fields)
}
