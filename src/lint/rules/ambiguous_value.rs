//! A tag such as `1.10` or `on` without quotes, which is a number or a truth value to kustomize.

use super::Rule;
use crate::lint::{Facts, Finding, Rendering, Severity};

pub(super) const RULE: Rule = Rule {
    id: "ambiguous-value",
    summary: "A tag that reads as a number, truth value or date has no quotes",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        // Some of them pass as they are written, `NaN` and dates for example.
        let severity = match overlay.rendering {
            Rendering::Objects(_) => Severity::Warning,
            Rendering::Broken(_) | Rendering::Unknown => Severity::Error,
        };
        for value in overlay.kustomization.ambiguous() {
            findings.push(overlay.on(RULE.id, severity, value.line).saying(
                format!("`{}: {}` is not a text to every reader of YAML", value.field, value.text),
                &format!("write `{}: \"{}\"`", value.field, value.text),
            ));
        }
    }
    findings
}
