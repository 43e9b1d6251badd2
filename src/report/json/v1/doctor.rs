//! `deployctl.dev/registry-doctor/v1`.

use serde::Serialize;
use serde_json::Value;

use super::document;
use crate::ops;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Doctor {
    /// Whether every repository can be pushed to.
    healthy: bool,
    repositories: Vec<Repository>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    name: String,
    healthy: bool,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    /// `reach`, `login`, `repository` or `push`.
    check: &'static str,
    /// `null` if it could not be told.
    passed: Option<bool>,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Returns `deployctl.dev/registry-doctor/v1`.
pub fn doctor(report: &ops::DoctorReport) -> Value {
    let repositories = report.repositories.iter().map(|diagnosis| Repository {
        name: diagnosis.name.to_string(),
        healthy: diagnosis.is_healthy(),
        findings: diagnosis.findings.iter().map(finding).collect(),
    });
    let repositories = repositories.collect();
    document("registry-doctor", &Doctor { healthy: report.is_healthy(), repositories })
}

fn finding(finding: &ops::Finding) -> Finding {
    Finding {
        check: finding.check.as_str(),
        passed: finding.passed,
        says: finding.says.clone(),
        advice: finding.advice.clone(),
    }
}
