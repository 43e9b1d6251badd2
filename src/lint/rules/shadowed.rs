//! An entry whose every image a later entry sets again.

use super::Rule;
use crate::kustomize::{ImageEntry, trace};
use crate::lint::{Facts, Finding, Overlay};

pub(super) const RULE: Rule = Rule {
    id: "shadowed",
    summary: "A later entry sets everything again that this one sets",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    facts.overlays.iter().flat_map(in_overlay).collect()
}

fn in_overlay(overlay: &Overlay) -> Vec<Finding> {
    let Some(traces) = overlay.traces() else { return Vec::new() };
    let entries = overlay.kustomization.images();
    let mut findings = Vec::new();
    for index in 0..entries.len() {
        // The rule about duplicates tells it already.
        if entries[index + 1..].iter().any(|later| later.name == entries[index].name) {
            continue;
        }
        let is_step = |(step, _): &(usize, String)| *step == index;
        let mut about = traces.iter().filter(|trace| trace.steps.iter().any(is_step)).peekable();
        let is_about_any = about.peek().is_some();
        let others = without(entries, index);
        let is_set_again = about.all(|trace_with| {
            let last = trace_with.steps.last().is_some_and(|(step, _)| *step > index);
            last && trace(&others, &trace_with.image).result() == trace_with.result()
        });
        if is_about_any && is_set_again {
            findings.extend(overlay.swallowed(RULE.id, index));
        }
    }
    findings
}

fn without(entries: &[ImageEntry], index: usize) -> Vec<ImageEntry> {
    let others = entries.iter().enumerate().filter(|(other, _)| *other != index);
    others.map(|(_, entry)| entry.clone()).collect()
}
