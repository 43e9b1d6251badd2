//! An image without a digest where images are promoted to: what runs there may change by itself.

use super::Rule;
use crate::kustomize::name_of;
use crate::lint::{Facts, Finding, Severity};

pub(super) const RULE: Rule =
    Rule { id: "unpinned-image", summary: "An image that is promoted to here has no digest", find };

fn find(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for overlay in facts.overlays.iter().filter(|overlay| overlay.is_guarded()) {
        let is_required = overlay.stages.iter().any(|stage| stage.is_pinned);
        for (image, line) in overlay.images() {
            if image.contains('@') {
                continue;
            }
            let is_ours = overlay.managed.contains(name_of(&image));
            let severity = if is_ours || is_required { Severity::Error } else { Severity::Warning };
            let hint = if is_ours {
                "write it with `deployctl set` or `deployctl promote`, which pin it"
            } else {
                "add an entry to `images` with its `digest`"
            };
            let message = format!("`{image}` has no digest in {}", overlay.stage_names());
            findings.push(overlay.on(RULE.id, severity, line).saying(message, hint));
        }
    }
    findings
}
