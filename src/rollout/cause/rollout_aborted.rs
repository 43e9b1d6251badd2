//! An Argo Rollout was aborted, by somebody or by its own deadline; the stable revision serves again.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::rollout::{ArgoRollout, Workload};

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let rollout = ArgoRollout::new(workload.object()).filter(|rollout| rollout.is_observed())?;
    // That an analysis failed says more.
    if !rollout.is_aborted() || rollout.blames_analysis().is_some() {
        return None;
    }
    let why = rollout.why_aborted();
    let name = rollout.object().name();
    let summary = format!("Rollout `{name}` was aborted: {}", why.unwrap_or("somebody aborted it"));
    let retry = rollout.command("retry rollout");
    let advice = match why {
        Some(_) => format!(
            "Roll back in git: the stable revision serves meanwhile. Once the reason is gone, try again with `{retry}`"
        ),
        None => format!(
            "Ask who aborted it why, and roll back in git: the stable revision serves meanwhile. To try again: `{retry}`"
        ),
    };
    let because = "an aborted Rollout stays so until it is told to try again";
    let weight = Weight::new(Gravity::NOW, because, advice);
    let evidence = Evidence::of_object(rollout.object(), "RolloutAborted", why.unwrap_or_default());
    let evidence = vec![evidence.at(rollout.aborted_at())];
    Some(RootCause::new(CauseKind::RolloutAborted, workload.id(), &summary, weight, evidence))
}
