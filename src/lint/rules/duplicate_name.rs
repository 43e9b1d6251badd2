//! Two entries of one name: the build takes the last, `kustomize edit` keeps the first.

use super::Rule;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule =
    Rule { id: "duplicate-name", summary: "Two entries of `images` have the same name", find };

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let entries = overlay.kustomization.images();
        for (index, entry) in entries.iter().enumerate() {
            let Some(first) = entries[..index].iter().find(|first| first.name == entry.name) else {
                continue;
            };
            let first = overlay.kustomization.line(first);
            findings.push(overlay.at(RULE.id, Severity::Error, entry).saying(
                format!("image `{}` has an entry on line {first} already", entry.name),
                "keep one of the two: the build takes the last, `kustomize edit` keeps the first",
            ));
        }
    }
    findings
}
