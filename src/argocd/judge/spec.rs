//! What the Application's own settings rule out.

use super::{Case, Verdict, failed, is_commit_id, plain_path, short};
use crate::argocd::{Relation, Source, normalise_repo_url};

pub(super) fn is_being_deleted(case: &Case<'_>) -> Option<Verdict> {
    if !case.application.is_being_deleted() {
        return None;
    }
    failed(format!("application {} is being deleted", case.application.name()))
}

pub(super) fn is_left_alone(case: &Case<'_>) -> Option<Verdict> {
    if !case.application.skips_reconcile() {
        return None;
    }
    failed(format!(
        "Argo CD leaves application {} alone; remove its annotation `argocd.argoproj.io/skip-reconcile`",
        case.application.name()
    ))
}

pub(super) fn tracks_another_repository(case: &Case<'_>) -> Option<Verdict> {
    if !case.sources_of_the_repository().is_empty() {
        return None;
    }
    let repository = case.expected.repo_url.map(normalise_repo_url);
    let repository = repository.unwrap_or_else(|| "a git repository".to_owned());
    let name = case.application.name();
    let sources = case.application.sources();
    let hydrated = case.application.hydrator().map(|hydrator| hydrator.dry_source);
    let tracked: Vec<_> = sources.into_iter().chain(hydrated).map(place).collect();
    match tracked.as_slice() {
        [] => failed(format!("application {name} has no source, so it can't follow {repository}")),
        _ => failed(format!(
            "application {name} does not follow {repository} but {}",
            tracked.join(", ")
        )),
    }
}

fn place(source: Source<'_>) -> String {
    let repository = normalise_repo_url(source.repo_url());
    match source.chart() {
        "" => repository,
        chart => format!("the chart `{chart}` of {repository}"),
    }
}

pub(super) fn tracks_another_path(case: &Case<'_>) -> Option<Verdict> {
    let path = case.expected.path?;
    if !case.tracked().is_empty() {
        return None;
    }
    let sources = case.sources_of_the_repository();
    let tracked: Vec<_> =
        sources.iter().map(|(_, source)| format!("`{}`", plain_path(source.path()))).collect();
    failed(format!(
        "application {} does not follow the folder `{}` but {}",
        case.application.name(),
        plain_path(path),
        tracked.join(", ")
    ))
}

/// Another branch or a tag may contain the change all the same; Argo CD shows whether it does.
pub(super) fn follows_another_branch(case: &Case<'_>) -> Option<Verdict> {
    let branch = case.expected.branch?;
    let tracked = case.tracked();
    let (_, other) = tracked.iter().find(|(_, source)| !source.may_follow(branch))?;
    let target = other.target_revision();
    let compared = case.tracked_among(&case.application.sync().revisions);
    let contains = |commit: &&str| case.covers_expected(commit);
    if case.expected.revision.is_some() && !compared.is_empty() && compared.iter().all(contains) {
        return None;
    }
    failed(format!(
        "application {} follows `{target}`, and the change is on `{branch}`; set its `targetRevision`",
        case.application.name()
    ))
}

pub(super) fn is_pinned_elsewhere(case: &Case<'_>) -> Option<Verdict> {
    let expected = case.expected.revision?;
    let is_elsewhere = |target: &&str| {
        is_commit_id(target)
            && matches!(case.relation(target), Relation::Older | Relation::Diverged)
    };
    let mut targets = case.tracked().into_iter().map(|(_, source)| source.target_revision());
    let target = targets.find(is_elsewhere)?;
    failed(format!(
        "application {} is pinned to commit {}, which does not contain {}; set its `targetRevision` to a branch",
        case.application.name(),
        short(target),
        short(expected)
    ))
}
