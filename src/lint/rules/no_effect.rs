//! An entry that is about no image of the overlay.

use super::Rule;
use crate::lint::{Facts, Finding};

pub(super) const RULE: Rule = Rule {
    id: "no-effect",
    summary: "An entry is about no container: misspelt, or renamed before",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let Some(traces) = overlay.traces() else { continue };
        let is_about_any =
            |index: &usize| traces.iter().any(|trace| trace.steps.iter().any(|(i, _)| i == index));
        let entries = 0..overlay.kustomization.images().len();
        let without = entries.filter(|index| !is_about_any(index));
        findings.extend(without.filter_map(|index| overlay.swallowed(RULE.id, index)));
    }
    findings
}
