//! The analysis of an Argo Rollout failed, and the controller has put the stable revision back.
//!
//! At the next look after that the controller takes a canary's analysis out of the Rollout's status
//! (argo-rollouts `rollout/analysis.go`, `reconcileAnalysisRuns`), so that the AnalysisRun is found by
//! the revision that it measured.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::analysis_run::DecidingMetric;
use crate::rollout::{ArgoRollout, Workload};

/// An analysis that came to a bad end.
struct Ended<'a> {
    name: &'a str,
    phase: &'a str,
    message: &'a str,
    run: Option<&'a Object>,
}

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let rollout = ArgoRollout::new(workload.object()).filter(|rollout| rollout.is_observed())?;
    let ended = named(rollout, workload).or_else(|| of_abort(rollout, workload))?;
    let metric = ended.run.and_then(DecidingMetric::of);
    let why = metric.map_or_else(|| ended.message.to_owned(), DecidingMetric::told);
    let why = if why.is_empty() { "no message".to_owned() } else { why };
    let name = rollout.object().name();
    let analysis = match ended.name {
        "" => "the analysis".to_owned(),
        analysis => format!("analysis `{analysis}`"),
    };
    let summary = format!("{analysis} of Rollout `{name}` failed: {why}");
    let phase = metric.map_or(ended.phase, DecidingMetric::phase);
    let weight = weigh(rollout, phase == "Error");
    let mut evidence: Vec<Evidence> =
        ended.run.map(|run| of_run(run, ended.phase)).into_iter().collect();
    evidence.push(of_rollout(rollout, ended.phase, ended.message));
    Some(RootCause::new(CauseKind::RolloutAnalysis, workload.id(), &summary, weight, evidence))
}

fn weigh(rollout: ArgoRollout<'_>, is_unmeasured: bool) -> Weight {
    let retry = rollout.command("retry rollout");
    let advice = match is_unmeasured {
        true => format!(
            "Look at the metric's provider, and at the address and the query in the AnalysisTemplate; then try again with `{retry}`"
        ),
        false => format!(
            "Roll back in git: the stable revision serves meanwhile. If the metric was wrong, try again with `{retry}`"
        ),
    };
    // The controller aborts in the same breath; a status that says only the one may be of a try before.
    match rollout.is_aborted() {
        true => Weight::new(Gravity::NOW, "its controller has aborted the update", advice),
        false => Weight::new(Gravity::after(10), "its controller aborts the update", advice),
    }
}

/// Returns the analysis that the status names; one that is left there after the update is over is none.
fn named<'a>(rollout: ArgoRollout<'a>, workload: &Workload<'a>) -> Option<Ended<'a>> {
    let mut analyses = rollout.analyses().filter(|_| !rollout.is_complete());
    let failed = analyses.find(|analysis| is_bad(analysis.phase))?;
    let mut runs = runs(rollout, workload);
    let run = runs.find(|run| run.name() == failed.name);
    let stated = [failed.message, rollout.why_aborted().unwrap_or_default()];
    let message = stated.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    Some(Ended { name: failed.name, phase: failed.phase, message, run })
}

fn of_abort<'a>(rollout: ArgoRollout<'a>, workload: &Workload<'a>) -> Option<Ended<'a>> {
    let message = rollout.blames_analysis()?;
    let of_revision = |run: &&Object| {
        run.controller_uid() == Some(rollout.object().uid())
            && run.label("rollouts-pod-template-hash") == Some(rollout.current_hash())
            && run.text("/status/phase").is_some_and(is_bad)
    };
    let made = |run: &&Object| run.text("/metadata/creationTimestamp").map(str::to_owned);
    let run = runs(rollout, workload).filter(of_revision).max_by_key(made);
    let phase = run.and_then(|run| run.text("/status/phase")).unwrap_or("Failed");
    Some(Ended { name: run.map(Object::name).unwrap_or_default(), phase, message, run })
}

fn runs<'a>(rollout: ArgoRollout<'a>, workload: &Workload<'a>) -> impl Iterator<Item = &'a Object> {
    let namespace = rollout.object().namespace();
    let owned = workload.snapshot().owned.iter();
    owned.filter(move |run| run.kind() == "AnalysisRun" && run.namespace() == namespace)
}

fn is_bad(phase: &str) -> bool {
    matches!(phase, "Failed" | "Error")
}

/// Returns what the AnalysisRun shows: its metric, what was measured, when and how often.
pub(super) fn of_run(run: &Object, phase: &str) -> Evidence {
    match DecidingMetric::of(run) {
        Some(metric) => Evidence {
            count: metric.count(),
            ..Evidence::of_object(run, metric.phase(), &metric.told()).at(metric.measured_at())
        },
        None => Evidence::of_object(run, phase, run.text("/status/message").unwrap_or_default()),
    }
}

fn of_rollout(rollout: ArgoRollout<'_>, phase: &str, message: &str) -> Evidence {
    match rollout.is_aborted() {
        true => Evidence::of_object(rollout.object(), "RolloutAborted", message)
            .at(rollout.aborted_at()),
        false => Evidence::of_object(rollout.object(), phase, message),
    }
}
