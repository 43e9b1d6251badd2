//! An overlay that the configuration has and the repository does not: often a misspelt path.

use super::Rule;
use crate::lint::{AbsentOverlay, Facts, Finding, Severity};

pub(super) const RULE: Rule = Rule {
    id: "missing-overlay",
    summary: "The overlay that deployctl.yaml names is not in the repository",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    let absent = facts.absent.iter().map(|absent| {
        let AbsentOverlay { dir, environment, service, is_only_here } = absent;
        // A service need not be in every environment, so that alone is no error.
        let severity = if *is_only_here { Severity::Warning } else { Severity::Error };
        let found = Finding::at(RULE.id, severity, &dir.join("kustomization.yaml"), 1);
        found.saying(
            format!("`{service}` has no overlay in `{environment}`: no kustomization in `{dir}`"),
            "add it, or correct the environment's `overlay` in deployctl.yaml",
        )
    });
    absent.collect()
}
