//! Findings in the Static Analysis Results Interchange Format, which code scanning reads.
//!
//! The properties are those of SARIF 2.1.0, section 3, and those that GitHub asks for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::lint::{RULES, Severity};
use crate::ops::LintReport;

/// Returns the report as a SARIF log of one run.
pub fn sarif(report: &LintReport) -> Value {
    let rules =
        RULES.iter().map(|rule| json!({"id": rule.id, "shortDescription": {"text": rule.summary}}));
    let notifications =
        report.unchecked.iter().map(|text| json!({"level": "note", "message": {"text": text}}));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "deployctl",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://deployctl.dev",
                "rules": rules.collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "columnKind": "unicodeCodePoints",
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &crate::lint::Finding) -> Value {
    let text = match &finding.hint {
        Some(hint) => format!("{}; {hint}", finding.message),
        None => finding.message.clone(),
    };
    json!({
        "ruleId": finding.rule,
        "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule),
        "level": match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(finding.file.as_str()), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": finding.line},
        }}],
    })
}

/// Returns the path as a relative URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_relative_reference() {
        assert_eq!(uri("apps/web/k.yaml"), "apps/web/k.yaml");
        assert_eq!(uri("a b/ä#?.yaml"), "a%20b/%C3%A4%23%3F.yaml");
    }
}
