//! A name that kustomize reads as a regular expression, and that says more as one.

use super::Rule;
use crate::kustomize::is_like_a_pattern;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule =
    Rule { id: "pattern-name", summary: "The name of an entry is a regular expression", find };

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let entries = overlay.kustomization.images().iter();
        for entry in entries.filter(|entry| is_like_a_pattern(&entry.name)) {
            findings.push(overlay.at(RULE.id, Severity::Warning, entry).saying(
                format!("kustomize reads the name `{}` as a regular expression", entry.name),
                "write one entry for each image, with its whole name and without a tag",
            ));
        }
    }
    findings
}
