//! The health of objects, and of the rules for it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{document, schema_of};
use crate::health::{Assessment, Health};
use crate::ops;
use crate::report::HealthReport;

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HealthOf {
    status: String,
    message: String,
}

impl From<&Health> for HealthOf {
    fn from(health: &Health) -> Self {
        Self { status: health.status.to_string(), message: health.message.clone() }
    }
}

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HealthResource {
    api_version: String,
    kind: String,
    /// Empty for a cluster-scoped object.
    namespace: String,
    name: String,
    /// `null` if no rule knows the kind; its status is empty if a script returned none.
    health: Option<HealthOf>,
    /// The rule that decided: `deletion`, `lua:argocd-cm:KEY`, `lua:customizations:DIRECTORY`, or `config:`,
    /// `native:` or `builtin:` and `group/Kind`; `null` if no rule knows the kind.
    decided_by: Option<String>,
}

/// What `deployctl health --output json` answers.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HealthDocument {
    /// The objects, in order.
    resources: Vec<HealthResource>,
    /// The health of the application that manages them all, with `--app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<HealthOf>,
}

/// Returns the health; an empty one has no status, as in Argo CD.
fn health_of(assessment: &Assessment) -> Option<HealthOf> {
    let empty = || HealthOf { status: String::new(), message: String::new() };
    let health = assessment.health.as_ref().map(HealthOf::from);
    health.or_else(|| assessment.is_empty_health().then(empty))
}

/// Returns `deployctl.dev/health/v1`.
pub fn health(report: &HealthReport) -> Value {
    let resources = report.resources.iter().map(|object| HealthResource {
        api_version: object.api_version.clone(),
        kind: object.id.kind.clone(),
        namespace: object.id.namespace.clone(),
        name: object.id.name.clone(),
        health: health_of(&object.assessment),
        decided_by: object.assessment.decided_by.as_ref().map(ToString::to_string),
    });
    let app = report.app.as_ref().map(HealthOf::from);
    document("health", &HealthDocument { resources: resources.collect(), app })
}

/// Returns the JSON schema of [`health`]'s document.
pub fn health_schema() -> Value {
    schema_of::<HealthDocument>("health")
}

/// Returns `deployctl.dev/health-test/v1`.
pub fn health_test(report: &ops::HealthTestReport) -> Value {
    let failed = report.failed.iter().map(|case| {
        json!({ "input": case.input.as_str(), "expected": case.expected(), "actual": case.actual })
    });
    let failed: Vec<_> = failed.collect();
    document("health-test", &json!({ "passed": report.passed, "failed": failed }))
}
