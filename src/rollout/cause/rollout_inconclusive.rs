//! An analysis of an Argo Rollout is inconclusive: neither good nor bad, so that somebody has to decide.

use serde_json::Value;

use super::rollout_analysis::of_run;
use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::rollout::analysis_run::DecidingMetric;
use crate::rollout::{ArgoRollout, Workload};

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let rollout = ArgoRollout::new(workload.object()).filter(|rollout| rollout.is_observed())?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let reasons = rollout.object().list("/status/pauseConditions").iter();
    let (reason, since) = reasons
        .filter_map(|pause| Some((text(pause, "reason")?, text(pause, "startTime"))))
        .find(|(reason, _)| reason.starts_with("Inconclusive"))?;
    let analysis = rollout.analyses().find(|analysis| analysis.phase == "Inconclusive");
    let run = analysis.and_then(|analysis| {
        let mut owned = workload.snapshot().owned.iter();
        owned.find(|run| run.kind() == "AnalysisRun" && run.name() == analysis.name)
    });
    let metric = run.and_then(DecidingMetric::of).map(DecidingMetric::told);
    let said = metric.or_else(|| analysis.map(|analysis| analysis.message.to_owned()));
    let said = said.filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
    let what = match analysis {
        Some(analysis) => format!("analysis `{}`", analysis.name),
        None if reason.ends_with("Experiment") => "its experiment".to_owned(),
        None => "its analysis".to_owned(),
    };
    let name = rollout.object().name();
    let summary = format!(
        "Rollout `{name}` is paused{}: {what} is inconclusive{}",
        rollout.step_told(),
        said.unwrap_or_default()
    );
    let (promote, abort) = (rollout.command("promote"), rollout.command("abort"));
    let weight = Weight::new(
        Gravity::Transient,
        "it goes on or back as soon as somebody decides",
        format!(
            "Look at the measurements, then let it go on with `{promote}`, or back with `{abort}`"
        ),
    );
    let paused = Evidence::of_object(rollout.object(), &reason, rollout.message());
    let mut evidence: Vec<Evidence> =
        run.map(|run| of_run(run, "Inconclusive")).into_iter().collect();
    evidence.push(paused.at(&since.unwrap_or_default()));
    Some(RootCause::new(CauseKind::RolloutInconclusive, workload.id(), &summary, weight, evidence))
}
