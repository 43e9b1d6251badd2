//! Error conditions; warnings do not keep a rollout back.

use super::{Case, Verdict, failed, failed_since, short, waiting};
use crate::argocd::{ApplicationCondition, Relation};

/// What a message says when something was out of reach, and not wrong.
const TRANSIENT: [&str; 8] = [
    "code = Unavailable",
    "code = DeadlineExceeded",
    "context deadline exceeded",
    "connection refused",
    "connection reset",
    "i/o timeout",
    "TLS handshake timeout",
    "unexpected EOF",
];

/// Returns whether an error says that something was out of reach, so that the next try may do better.
pub(in crate::argocd) fn is_out_of_reach(message: &str) -> bool {
    TRANSIENT.iter().any(|text| message.contains(text))
}

/// Argo CD 3.6 stops to write a status that grew too large, and says so in the last one.
pub(super) fn has_a_stale_status(case: &Case<'_>) -> Option<Verdict> {
    let is_too_large = |condition: &ApplicationCondition<'_>| {
        condition.kind == "UnknownError" && condition.message.contains("exceeds size limit")
    };
    case.application.conditions().find(is_too_large)?;
    failed(format!(
        "the status of application {} no longer fits into its resource, so it is out of date; split the application",
        case.application.name()
    ))
}

pub(super) fn reports_an_error(case: &Case<'_>) -> Option<Verdict> {
    case.application.conditions().find_map(|condition| match condition.kind {
        "ComparisonError" => comparison_error(case, &condition),
        "InvalidSpecError" => invalid_spec(case, &condition),
        "SyncError" => sync_error(case, &condition),
        "UnknownError" | "DeletionError" => failed_since(
            condition.since,
            format!("Argo CD reports about {}: {}", case.application.name(), condition.message),
        ),
        _ => None,
    })
}

fn comparison_error(case: &Case<'_>, condition: &ApplicationCondition<'_>) -> Option<Verdict> {
    let reason = format!(
        "Argo CD can't compare {} with git: {}",
        case.application.name(),
        condition.message
    );
    if is_out_of_reach(condition.message) {
        return failed_since(condition.since, reason);
    }
    definite(case, reason)
}

fn invalid_spec(case: &Case<'_>, condition: &ApplicationCondition<'_>) -> Option<Verdict> {
    let name = case.application.name();
    definite(case, format!("the spec of application {name} is invalid: {}", condition.message))
}

/// An error from before the expected revision was there may be gone with it.
fn definite(case: &Case<'_>, reason: String) -> Option<Verdict> {
    if case.is_status_outdated() { waiting(reason) } else { failed(reason) }
}

/// Auto-sync tries each revision once, and names those that it tried in vain in the message.
fn sync_error(case: &Case<'_>, condition: &ApplicationCondition<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let attempted = attempted_revisions(condition.message);
    let relations: Vec<_> = attempted.iter().map(|revision| case.relation(revision)).collect();
    if let Some(index) =
        relations.iter().position(|r| matches!(r, Relation::Same | Relation::Newer))
    {
        return failed(format!(
            "Argo CD has tried to sync {name} to {} and won't try again: {}; fix it with a new commit",
            short(attempted[index]),
            after_revisions(condition.message)
        ));
    }
    // An attempt at what came before has no bearing on the expected revision.
    if !relations.is_empty() && relations.iter().all(|relation| *relation == Relation::Older) {
        return None;
    }
    failed_since(condition.since, format!("Argo CD can't sync {name}: {}", condition.message))
}

/// `… attempt to [A B]: why`, and of older versions `… attempt to A: why`.
fn attempted_revisions(message: &str) -> Vec<&str> {
    let list = message.split_once("attempt to ").and_then(|(_, rest)| rest.split_once(": "));
    let list = list.map_or("", |(revisions, _)| revisions.trim_matches(['[', ']']));
    list.split([' ', ',']).filter(|revision| !revision.is_empty()).collect()
}

fn after_revisions(message: &str) -> &str {
    let rest = message.split_once("attempt to ").and_then(|(_, rest)| rest.split_once(": "));
    rest.map_or(message, |(_, cause)| cause)
}
