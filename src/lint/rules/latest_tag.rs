//! `latest`, or no tag at all, without a digest.

use super::Rule;
use crate::kustomize::name_of;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule =
    Rule { id: "latest-tag", summary: "An image is `latest`, or has neither tag nor digest", find };

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in &facts.overlays {
        let severity = if overlay.is_guarded() { Severity::Error } else { Severity::Warning };
        for (image, line) in overlay.images() {
            let name = name_of(&image);
            let message = match image.strip_prefix(name) {
                Some(":latest") => format!("`{image}` may be another image at each start"),
                Some("") => format!("`{image}` has no tag, which stands for `latest`"),
                _ => continue,
            };
            let found = overlay.on(RULE.id, severity, line);
            findings.push(found.saying(message, "state a version, with its digest"));
        }
    }
    findings
}
