//! An Application whose folder or branch is not there.

use super::Rule;
use crate::argocd::{Application, Source};
use crate::lint::{Facts, Finding, FoundApplication, Severity};

pub(super) const RULE: Rule = Rule {
    id: "application-nowhere",
    summary: "An Application's folder or branch is not there",
    find,
};

fn find(facts: &Facts) -> Vec<Finding> {
    facts.applications.iter().flat_map(in_application).collect()
}

fn in_application(found: &FoundApplication) -> Vec<Finding> {
    let Some(application) = Application::new(&found.object) else { return Vec::new() };
    let sources = application.sources();
    let mut findings = Vec::new();
    if sources.is_empty() && application.hydrator().is_none() {
        findings.push(finding(found, "has no source", "write `spec.source`"));
    }
    for (index, source) in sources.iter().enumerate() {
        let known = |list: &[Option<bool>]| list.get(index).copied().flatten();
        findings.extend(
            wrong(*source, known(&found.has_folder), known(&found.has_revision))
                .map(|(message, hint)| finding(found, &message, hint)),
        );
    }
    findings
}

fn wrong(
    source: Source<'_>,
    has_folder: Option<bool>,
    has_revision: Option<bool>,
) -> Option<(String, &'static str)> {
    if source.repo_url().is_empty() {
        return Some((
            "has a source without `repoURL`".to_owned(),
            "write where the manifests are",
        ));
    }
    if has_revision == Some(false) {
        let message =
            format!("follows `{}`, which the repository does not have", source.target_revision());
        return Some((message, "correct `targetRevision`"));
    }
    if has_folder == Some(false) {
        let message =
            format!("points at the folder `{}`, which is not in the repository", source.path());
        return Some((message, "correct `path`, or remove the Application"));
    }
    None
}

fn finding(found: &FoundApplication, message: &str, hint: &str) -> Finding {
    let message = format!("Application `{}` {message}", found.object.name());
    found.at(RULE.id, Severity::Error).saying(message, hint)
}
