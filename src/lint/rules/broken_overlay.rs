//! An overlay that does not render.

use super::Rule;
use crate::lint::{Facts, Finding, Rendering, Severity};

pub(super) const RULE: Rule = Rule {
    id: "broken-overlay",
    summary: "An overlay does not render, so Argo CD can't sync it",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let broken = facts.overlays.iter().filter_map(|overlay| {
        let Rendering::Broken(reason) = &overlay.rendering else { return None };
        let reason = reason.lines().next().unwrap_or_default();
        let found = overlay.on(RULE.id, Severity::Error, 1);
        Some(found.saying(format!("does not render: {reason}"), ""))
    });
    broken.collect()
}
