//! The source hydrator: what people commit is rendered to a branch, and synced from there.

use super::{Case, Verdict, failed, has_compared, short, waiting};

pub(super) fn has_failed(case: &Case<'_>) -> Option<Verdict> {
    case.application.hydrator()?;
    let failure = case.application.hydration().filter(|operation| operation.phase == "Failed")?;
    let reason = format!(
        "Argo CD can't hydrate {} from {}: {}",
        case.application.name(),
        short(failure.dry_sha),
        failure.message
    );
    if case.covers_expected(failure.dry_sha) { failed(reason) } else { waiting(reason) }
}

/// While the expected commit is rendered, or its rendering waits to be moved, what was compared is
/// the one before.
pub(super) fn is_under_way(case: &Case<'_>) -> Option<Verdict> {
    let hydrator = case.application.hydrator()?;
    let hydration = case.application.hydration()?;
    let expected = case.expected.revision?;
    let name = case.application.name();
    if hydration.phase == "Hydrating" && !has_compared(case.application, case.expected) {
        return waiting(format!("Argo CD is hydrating {name} from {}", short(hydration.dry_sha)));
    }
    let is_staged = hydration.phase == "Hydrated" && case.covers_expected(hydration.dry_sha);
    if is_staged
        && !hydrator.staging_branch.is_empty()
        && !has_compared(case.application, case.expected)
    {
        return waiting(format!(
            "{} is hydrated to `{}` and waits to be moved to `{}`, from which Argo CD syncs {name}",
            short(expected),
            hydrator.staging_branch,
            hydrator.sync_branch
        ));
    }
    None
}
