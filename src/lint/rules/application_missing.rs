//! An Application that `verify` would wait for, and that does not sync the overlay.

use super::Rule;
use crate::argocd::Application;
use crate::kustomize::inside;
use crate::lint::{ExpectedApplication, Facts, Finding, FoundApplication, Overlay, Severity};

pub(super) const RULE: Rule = Rule {
    id: "application-missing",
    summary: "The Application of deployctl.yaml is missing or syncs another folder",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    // They may all be elsewhere.
    if facts.applications.is_empty() {
        return Vec::new();
    }
    let findings = facts.expected.iter().filter_map(|expected| {
        let overlay = facts.overlays.iter().find(|overlay| overlay.dir == expected.overlay)?;
        let named = |found: &&FoundApplication| found.object.name() == expected.name.name;
        match facts.applications.iter().find(named) {
            Some(found) => other_overlay(facts, found, expected),
            None if facts.makes_applications => None,
            None => Some(missing(overlay, expected)),
        }
    });
    findings.collect()
}

fn missing(overlay: &Overlay, expected: &ExpectedApplication) -> Finding {
    let ExpectedApplication { name, environment, service, .. } = expected;
    overlay.on(RULE.id, Severity::Warning, overlay.line_of("")).saying(
        format!("no Application `{}` is in the repository; `{service}` in `{environment}` is to be synced by it", name.name),
        "add it, or correct the environment's `application` in deployctl.yaml",
    )
}

/// Returns what is wrong where the Application does not sync the overlay.
fn other_overlay(
    facts: &Facts,
    found: &FoundApplication,
    expected: &ExpectedApplication,
) -> Option<Finding> {
    let application = Application::new(&found.object)?;
    let sources = application.sources();
    let is_overlay = |path: &str| inside(path.into()).is_some_and(|path| path == expected.overlay);
    let is_synced = sources.iter().any(|source| is_overlay(source.path()));
    let other_remote = facts.branch.as_ref().filter(|branch| {
        let is_local = !branch.remote.contains("://") && !branch.remote.contains('@');
        !is_local && !sources.iter().any(|source| source.is_in(&branch.remote))
    });
    let message = if application.hydrator().is_some() || sources.is_empty() {
        return None;
    } else if !is_synced {
        format!("does not sync `{}`, which deployctl writes to", expected.overlay)
    } else if other_remote.is_some() {
        "syncs from another repository than deployctl writes to".to_owned()
    } else {
        return None;
    };
    Some(found.at(RULE.id, Severity::Error).saying(
        format!("Application `{}` {message}", found.object.name()),
        "correct its source, or the environment's `overlay` or `application` in deployctl.yaml",
    ))
}
