//! `tagSuffix`, which kustomize adds twice or not at all.

use super::Rule;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule =
    Rule { id: "tag-suffix", summary: "`tagSuffix` is added twice, or ignored", find };

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let entries = overlay.kustomization.images().iter();
        for entry in entries.filter(|entry| entry.tag_suffix().is_some()) {
            let message = match entry.tag().is_some() || entry.digest().is_some() {
                true => "kustomize ignores `tagSuffix` beside `newTag` or `digest`",
                false => "kustomize adds `tagSuffix` twice where it does not rename the image",
            };
            let found = overlay.at(RULE.id, Severity::Warning, entry);
            findings.push(found.saying(message, "write the whole tag as `newTag`"));
        }
    }
    findings
}
