//! The last comparison of the live state with the sources.

use jiff::{SignedDuration, Timestamp};

use super::{Case, Verdict, failed_since, short, waiting};
use crate::argocd::{Application, OperationState, Relation, ResourceStatus};
use crate::health::{Health, HealthStatus};

/// How many objects a reason names.
const NAMED_OBJECTS: usize = 3;

/// A refresh is served within seconds where the controller runs and is not overloaded.
const SERVED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Argo CD removes the request after it has stored what the refresh brought.
pub(super) fn waits_for_a_refresh(case: &Case<'_>) -> Option<Verdict> {
    case.application.requested_refresh()?;
    let name = case.application.name();
    // It stays, too, while the repository is out of reach, and then the reason is a condition.
    match case.application.conditions().find(|condition| condition.kind.ends_with("Error")) {
        Some(error) => waiting(format!(
            "Argo CD has not served the refresh of {name}; it reports: {}",
            error.message
        )),
        None if is_overdue(case) => waiting(format!(
            "Argo CD has not served the refresh of {name}; does its application controller run?"
        )),
        None => waiting(format!("Argo CD has not served the refresh of {name}")),
    }
}

fn is_overdue(case: &Case<'_>) -> bool {
    let asked = case.expected.asked_at;
    asked.is_some_and(|asked| case.expected.now.duration_since(asked) >= SERVED_WITHIN)
}

pub(super) fn compared_other_sources(case: &Case<'_>) -> Option<Verdict> {
    if case.application.is_compared_to_its_sources() {
        return None;
    }
    let name = case.application.name();
    waiting(format!("Argo CD has not compared {name} with the sources that it states now"))
}

pub(super) fn compared_another_revision(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let compared = case.tracked_among(&case.application.sync().revisions);
    if compared.len() < case.tracked().len() {
        return waiting(format!("Argo CD has not compared {name} with git yet"));
    }
    let expected = case.expected.revision?;
    compared.into_iter().find_map(|revision| {
        let (seen, expected) = (short(revision), short(expected));
        match case.relation(revision) {
            Relation::Same | Relation::Newer => None,
            Relation::Older => {
                waiting(format!(
                    "Argo CD has seen {seen} for {name}, which is before {expected}{}",
                    where_it_looked(case)
                ))
            }
            Relation::Unknown => waiting(format!(
                "Argo CD has seen {seen} for {name}, and whether it contains {expected} is not known"
            )),
            Relation::Diverged => failed_since(
                case.application.reconciled_at(),
                format!("Argo CD has seen {seen} for {name}, which does not contain {expected}; was the branch rewritten?"),
            ),
        }
    })
}

/// After a refresh Argo CD knows the branch's tip, so a commit that it does not see is not there.
fn where_it_looked(case: &Case<'_>) -> String {
    let asked = case.expected.asked_at;
    let is_fresh =
        matches!((case.application.reconciled_at(), asked), (Some(at), Some(asked)) if at > asked);
    let target = case.tracked().first().map_or("", |(_, source)| source.target_revision());
    match (is_fresh, target) {
        (false, _) => String::new(),
        (true, "") => ", on the default branch: is the change there?".to_owned(),
        (true, target) => format!(", on `{target}`: is the change there?"),
    }
}

/// A health from before the sync ended says nothing about what it brought.
pub(super) fn is_older_than_the_sync(case: &Case<'_>) -> Option<Verdict> {
    if !is_older_than_its_sync(case.application) {
        return None;
    }
    let name = case.application.name();
    waiting(format!("Argo CD has not looked at {name} since its sync ended"))
}

pub(super) fn is_older_than_its_sync(application: Application<'_>) -> bool {
    let finished = application.operation_state().filter(|state| !state.operation().is_dry_run());
    let Some(finished) = finished.and_then(OperationState::finished_at) else { return false };
    let since = application.health().and_then(|health| health.since);
    // Seconds are whole: what began in the one in which the sync ended may have begun before that.
    let is_later = |time: Option<Timestamp>| time.is_some_and(|time| time > finished);
    !is_later(application.reconciled_at()) && !is_later(since)
}

pub(super) fn is_not_healthy(case: &Case<'_>) -> Option<Verdict> {
    let name = case.application.name();
    let Some(found) = case.application.health() else {
        return waiting(format!("Argo CD has not assessed the health of {name}"));
    };
    let Health { status, message } = &found.health;
    let why = if message.is_empty() { of_objects(case, *status) } else { format!(": {message}") };
    match status {
        HealthStatus::Healthy => None,
        HealthStatus::Suspended if case.expected.accepts.suspended => None,
        HealthStatus::Suspended => {
            waiting(format!("{name} is Suspended and waits for somebody to resume it{why}"))
        }
        HealthStatus::Degraded => failed_since(found.since, format!("{name} is Degraded{why}")),
        _ => waiting(format!("{name} is {status}{why}")),
    }
}

/// Names the objects that Argo CD says have this health, where it keeps that in the Application.
fn of_objects(case: &Case<'_>, status: HealthStatus) -> String {
    let resources = case.application.resources();
    let resources: Vec<_> =
        resources.filter(|r| r.health.as_ref().is_some_and(|h| h.status == status)).collect();
    let message = resources.first().and_then(|r| r.health.as_ref()).map(|h| h.message.as_str());
    match (resources.as_slice(), message) {
        ([one], Some(message)) if !message.is_empty() => format!(": {} {message}", one.id),
        _ => named(&resources),
    }
}

pub(super) fn named(resources: &[ResourceStatus<'_>]) -> String {
    let named: Vec<_> = resources.iter().take(NAMED_OBJECTS).map(|r| r.id.to_string()).collect();
    match resources.len() {
        0 => String::new(),
        count if count > NAMED_OBJECTS => {
            format!(" ({} and {} more)", named.join(", "), count - NAMED_OBJECTS)
        }
        _ => format!(" ({})", named.join(", ")),
    }
}
