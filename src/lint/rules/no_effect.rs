//! An entry that is about no image of the overlay.

use super::Rule;
use crate::kustomize::swallowed;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule = Rule {
    id: "no-effect",
    summary: "An entry is about no container: misspelt, or renamed before",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let (Some(incoming), Some(traces)) = (&overlay.incoming, overlay.traces()) else {
            continue;
        };
        for (index, entry) in overlay.kustomization.images().iter().enumerate() {
            if traces.iter().any(|trace| trace.steps.iter().any(|(step, _)| *step == index)) {
                continue;
            }
            let (file, kustomization) = (&overlay.file, &overlay.kustomization);
            let found = swallowed(file, kustomization, index, incoming, &overlay.below);
            let Some(found) = found else { continue };
            findings.push(overlay.at(RULE.id, Severity::Error, entry).saying(
                format!("the entry `{}` changes nothing: {}", found.name, found.rule),
                &found.instead().unwrap_or_default(),
            ));
        }
    }
    findings
}
