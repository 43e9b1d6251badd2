//! What the AppProject rules out, before Argo CD has said so itself.
//!
//! Argo CD knows more than the resources say, so that what it has found out goes before this.

use super::{Case, Verdict, failed};
use crate::argocd::{Project, normalise_repo_url};

pub(super) fn forbids_a_source(case: &Case<'_>) -> Option<Verdict> {
    let project = unchecked(case)?;
    let hydrated = case.application.hydrator().map(|hydrator| hydrator.dry_source);
    let mut sources = case.application.sources().into_iter().chain(hydrated);
    let source = sources.find(|source| project.forbids_source(*source))?;
    failed(format!(
        "project `{}` does not allow {} as a source of application {}",
        project.name(),
        normalise_repo_url(source.repo_url()),
        case.application.name()
    ))
}

pub(super) fn forbids_the_destination(case: &Case<'_>) -> Option<Verdict> {
    let project = unchecked(case)?;
    let destination = case.application.destination();
    if !project.forbids_destination(destination) {
        return None;
    }
    let cluster = if destination.server.is_empty() { destination.name } else { destination.server };
    failed(format!(
        "project `{}` does not allow application {} to deploy to namespace `{}` of `{cluster}`",
        project.name(),
        case.application.name(),
        destination.namespace
    ))
}

/// The project, unless Argo CD has compared the Application since it was asked to: then it has
/// reported what it found.
fn unchecked<'a>(case: &Case<'a>) -> Option<Project<'a>> {
    let is_reported = case.application.reconciled_at().is_some() && !case.is_status_outdated();
    case.expected.project.filter(|_| !is_reported)
}
