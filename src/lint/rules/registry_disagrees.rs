//! A tag and a digest that are not of one image, or an image that the registry does not have.

use super::Rule;
use crate::kustomize::ImageEntry;
use crate::lint::{Facts, Finding, Known, Overlay, Severity};

pub(super) const RULE: Rule = Rule {
    id: "registry-disagrees",
    summary: "The registry has another digest for the tag, or no such image",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let entries = overlay.kustomization.images().iter();
        findings.extend(entries.filter_map(|entry| at_entry(overlay, entry)));
    }
    findings
}

fn at_entry(overlay: &Overlay, entry: &ImageEntry) -> Option<Finding> {
    let (digest, pinned) = (entry.digest()?, entry.pinned()?);
    if overlay.registry.get(&pinned) == Some(&Known::Nothing) {
        let found = overlay.at(RULE.id, Severity::Error, entry);
        let hint = "build and push it, or set one that is there";
        return Some(found.saying(format!("the registry does not have `{pinned}`"), hint));
    }
    let tagged = entry.tagged()?;
    let found = overlay.at(RULE.id, Severity::Warning, entry);
    match overlay.registry.get(&tagged)? {
        Known::Digest(other) if other.as_str() != digest => Some(found.saying(
            format!("`{tagged}` is `{other}` in the registry, and not `{digest}`, which runs"),
            "the digest decides; set the image again so that both are of one",
        )),
        Known::Digest(_) => None,
        Known::Nothing => Some(found.saying(
            format!("the registry has no tag `{tagged}`; the digest beside it decides"),
            "set the image again with a tag that is there",
        )),
    }
}
