//! An overlay that does not render, or whose kustomization can't even be read.

use super::Rule;
use crate::lint::{BrokenOverlay, Facts, Finding, Rendering, Severity};

pub(super) const RULE: Rule = Rule {
    id: "broken-overlay",
    summary: "An overlay does not render, so Argo CD can't sync it",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let broken = facts.overlays.iter().filter_map(|overlay| {
        let Rendering::Broken(reason) = &overlay.rendering else { return None };
        let found = overlay.on(RULE.id, Severity::Error, overlay.line_about(reason));
        let reason = reason.lines().next().unwrap_or_default();
        Some(found.saying(format!("does not render: {reason}"), ""))
    });
    let unread = facts.broken.iter().map(|BrokenOverlay { file, line, reason }| {
        let found = Finding::at(RULE.id, Severity::Error, file, *line);
        found.saying(format!("can't be read: {reason}"), "")
    });
    broken.chain(unread).collect()
}
