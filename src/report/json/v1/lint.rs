//! What `lint` found.

use serde::Serialize;
use serde_json::Value;

use super::document;
use crate::lint::Severity;
use crate::ops;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lint<'a> {
    overlays: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<LintFinding<'a>>,
    /// What could not be looked at, and why.
    unchecked: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LintFinding<'a> {
    rule: &'a str,
    /// `error` or `warning`.
    severity: String,
    file: &'a str,
    line: usize,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// Returns `deployctl.dev/lint/v1`.
pub fn lint(report: &ops::LintReport) -> Value {
    let findings = report.findings.iter().map(|finding| LintFinding {
        rule: finding.rule,
        severity: finding.severity.to_string(),
        file: finding.file.as_str(),
        line: finding.line,
        message: &finding.message,
        hint: finding.hint.as_deref(),
    });
    let lint = Lint {
        overlays: report.overlays,
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        findings: findings.collect(),
        unchecked: &report.unchecked,
    };
    document("lint", &lint)
}
