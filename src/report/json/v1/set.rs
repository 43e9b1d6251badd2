//! What `set` and `promote` come to.

use serde::Serialize;
use serde_json::Value;

use super::document;
use super::hold::Held;
use crate::ops::{self, Merging, Outcome};
use crate::promotion::Verdict;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Set {
    environment: String,
    /// `unchanged`, `superseded`, `dry-run`, `held`, `pushed` or `pull-request`.
    outcome: &'static str,
    /// What keeps a pipeline from changing it; the first of them, where several services are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// The commit of the branch that states the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<PullRequest>,
    services: Vec<SetService>,
    /// Whether a service was left alone, as the branch has a newer image of it.
    superseded: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    superseded_by: Vec<SupersededBy>,
    /// What changes in the rendered manifests; one an overlay, where that is known.
    rendered: Vec<SetRendered>,
}

/// The newer image of a service that was left alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SupersededBy {
    service: String,
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_commit: Option<String>,
    commit: String,
    author: String,
    /// RFC 3339.
    time: String,
}

impl From<&ops::Superseded> for SupersededBy {
    fn from(left: &ops::Superseded) -> Self {
        let by = &left.by;
        Self {
            service: left.service.clone(),
            image: by.record.image.clone(),
            source_commit: by.record.source.as_ref().map(|source| source.commit.clone()),
            commit: by.commit.clone(),
            author: by.author.clone(),
            time: by.time.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetRendered {
    overlay: String,
    diff: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    number: u64,
    url: String,
    head: String,
    /// `merged`, `queued`, `enabled` or `overtaken`, where it was to be merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    merging: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetService {
    service: String,
    file: String,
    before: Option<String>,
    image: String,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
}

/// Returns `deployctl.dev/set/v1`.
pub fn set(report: &ops::SetReport) -> Value {
    document("set", &set_fields(report))
}

pub(super) fn set_fields(report: &ops::SetReport) -> Set {
    let (outcome, branch, pull_request) = match &report.outcome {
        Outcome::Unchanged { .. } => ("unchanged", None, None),
        Outcome::Superseded => ("superseded", None, None),
        Outcome::DryRun => ("dry-run", None, None),
        Outcome::Held { .. } => ("held", None, None),
        Outcome::Pushed { branch, .. } => ("pushed", Some(branch.clone()), None),
        Outcome::PullRequest { number, url, head, merging, .. } => {
            let (number, url, head) = (*number, url.clone(), head.clone());
            let merging = merging.as_ref().map(|merging| match merging {
                Merging::Merged => "merged",
                Merging::Queued => "queued",
                Merging::Enabled => "enabled",
                Merging::Overtaken => "overtaken",
            });
            ("pull-request", None, Some(PullRequest { number, url, head, merging }))
        }
    };
    let services = report.edits.iter().map(|edit| SetService {
        service: edit.service.clone(),
        file: edit.file.to_string(),
        before: edit.before.as_ref().map(ToString::to_string),
        image: edit.image.to_string(),
        changed: !edit.diff.is_empty() && report.holds().is_empty(),
        held: report.holds().iter().find(|hold| hold.service == edit.service).map(Held::from),
    });
    let rendered = report.rendered().map(|change| SetRendered {
        overlay: change.overlay.to_string(),
        diff: change.diff.clone(),
    });
    Set {
        environment: report.environment.clone(),
        outcome,
        held: report.holds().first().map(Held::from),
        commit: report.revision().map(ToString::to_string),
        branch,
        pull_request,
        services: services.collect(),
        superseded: !report.superseded.is_empty(),
        superseded_by: report.superseded.iter().map(SupersededBy::from).collect(),
        rendered: rendered.collect(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gated {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    set: Option<Set>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
    gates: Vec<Gate>,
}

/// What a closed gate has kept from being changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    environment: String,
    /// `gate-closed`.
    outcome: &'static str,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gate {
    gate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// `open`, `closed` or `unknown`.
    verdict: &'static str,
    why: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_at: Option<String>,
    /// The reason for which it was overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    overridden: Option<String>,
}

impl From<&Verdict> for Gate {
    fn from(verdict: &Verdict) -> Self {
        Self {
            gate: verdict.gate,
            service: verdict.service.clone(),
            verdict: verdict.standing.as_str(),
            why: verdict.why.clone(),
            opens_at: verdict.opens_at.map(|at| at.to_string()),
            overridden: verdict.overridden.clone(),
        }
    }
}

/// Returns `deployctl.dev/promote/v1`, or `deployctl.dev/set/v1` where the images come from no
/// environment.
pub fn gated(report: &ops::GatedReport) -> Value {
    let kept = || Kept {
        environment: report.environment.clone(),
        outcome: "gate-closed",
        reason: report.closed_sentence().unwrap_or_default(),
    };
    let schema = if report.from.is_some() { "promote" } else { "set" };
    let gated = Gated {
        from: report.from.clone(),
        set: report.set.as_ref().map(set_fields),
        kept: report.set.is_none().then(kept),
        gates: report.verdicts.iter().map(Gate::from).collect(),
    };
    document(schema, &gated)
}
