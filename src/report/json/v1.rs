//! Version 1 of the JSON documents.

use serde::Serialize;
use serde_json::{Value, json};

use crate::health::Health;
use crate::image;
use crate::lint::Severity;
use crate::ops::{self, Basis, Merging, Outcome, StepOutcome};
use crate::pipeline::Pipeline;
use crate::promotion::{Hold, Override, Record, Verdict};
use crate::report::{HealthReport, VerifyReport};
use crate::rollout::{Evidence, RootCause};

/// Returns `document` as JSON with the name of its schema first.
fn document<T: Serialize>(schema: &str, document: &T) -> Value {
    let mut value = json!({ "schema": format!("deployctl.dev/{schema}/v1") });
    let fields = serde_json::to_value(document).expect("documents are plain structs");
    let map = value.as_object_mut().expect("it was made as a map");
    map.extend(fields.as_object().cloned().unwrap_or_default());
    value
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    images: Vec<BuiltImage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuiltImage {
    service: String,
    /// `name:tag@digest`.
    image: String,
    name: String,
    tag: Option<String>,
    digest: String,
    /// Bytes of the blobs that the build made.
    size: u64,
    pushed: bool,
}

/// Returns `deployctl.dev/build/v1`.
pub fn build(report: &ops::BuildReport) -> Value {
    let images = report.images.iter().map(|built| BuiltImage {
        service: built.service.clone(),
        image: built.image.to_string(),
        name: built.image.name.to_string(),
        tag: built.image.tag.as_ref().map(ToString::to_string),
        digest: built.image.digest.to_string(),
        size: built.size,
        pushed: built.pushed,
    });
    document("build", &Build { images: images.collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Set {
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    service: String,
    environment: String,
    /// RFC 3339.
    since: String,
    by: String,
    reason: Option<String>,
    /// The image that stays.
    image: String,
    /// The image that was taken back.
    taken_back: Option<String>,
    run: Option<String>,
}

impl From<&Hold> for Held {
    fn from(hold: &Hold) -> Self {
        Self {
            service: hold.service.clone(),
            environment: hold.environment.clone(),
            since: hold.since.to_string(),
            by: hold.by.clone(),
            reason: hold.reason.clone(),
            image: hold.image.clone(),
            taken_back: hold.taken_back.clone(),
            run: hold.run.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rollback {
    #[serde(flatten)]
    set: Set,
    returns: Vec<Return>,
    /// The holds that are set.
    holds: Vec<Held>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Return {
    service: String,
    from: String,
    image: String,
    /// `verified`, `history` or `revision`.
    basis: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_by: Option<String>,
    /// The commit of the manifests repository that stated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
}

/// Returns `deployctl.dev/rollback/v1`.
pub fn rollback(report: &ops::RollbackReport) -> Value {
    let returns = report.returns.iter().map(|found| {
        let (basis, verified_at, verified_by, revision) = match &found.basis {
            Basis::Verified { time, by } => {
                ("verified", Some(time.to_string()), Some(by.clone()), None)
            }
            Basis::History { commit } => ("history", None, None, Some(commit.clone())),
            Basis::Revision { commit } => ("revision", None, None, Some(commit.clone())),
        };
        let (service, from) = (found.service.clone(), found.from.clone());
        let image = found.image.to_string();
        Return { service, from, image, basis, verified_at, verified_by, revision }
    });
    let (returns, set) = (returns.collect(), set_fields(&report.set));
    document("rollback", &Rollback { set, returns, holds: held_all(&report.holds) })
}

/// Returns `deployctl.dev/release-hold/v1`.
pub fn release_hold(report: &ops::ReleaseReport) -> Value {
    let fields = json!({
        "environment": report.environment,
        "dryRun": report.dry_run,
        "released": held_all(&report.released),
    });
    document("release-hold", &fields)
}

fn held_all(holds: &[Hold]) -> Vec<Held> {
    holds.iter().map(Held::from).collect()
}

/// Returns `deployctl.dev/set/v1`.
pub fn set(report: &ops::SetReport) -> Value {
    document("set", &set_fields(report))
}

fn set_fields(report: &ops::SetReport) -> Set {
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lint<'a> {
    overlays: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<LintFinding<'a>>,
    /// What could not be looked at, and why.
    unchecked: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LintFinding<'a> {
    rule: &'a str,
    /// `error` or `warning`.
    severity: String,
    file: &'a str,
    line: usize,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// Returns `deployctl.dev/lint/v1`.
pub fn lint(report: &ops::LintReport) -> Value {
    let findings = report.findings.iter().map(|finding| LintFinding {
        rule: finding.rule,
        severity: finding.severity.to_string(),
        file: finding.file.as_str(),
        line: finding.line,
        message: &finding.message,
        hint: finding.hint.as_deref(),
    });
    let lint = Lint {
        overlays: report.overlays,
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        findings: findings.collect(),
        unchecked: &report.unchecked,
    };
    document("lint", &lint)
}

/// Returns `deployctl.dev/diff/v1`.
pub fn diff(report: &ops::DiffReport) -> Value {
    let differences = report.differences.iter().map(|difference| {
        json!({ "title": difference.title, "changed": !difference.diff.is_empty(), "diff": difference.diff })
    });
    document("diff", &json!({ "differences": differences.collect::<Vec<_>>() }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusRow {
    service: String,
    environment: String,
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    change: Option<Change>,
    verified: Option<VerifiedOf>,
    held: Option<Held>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedOf {
    image: String,
    /// Whether it is the image that is stated.
    stated: bool,
    /// The commit of the manifests repository.
    revision: String,
    time: String,
    by: String,
    run: Option<String>,
}

fn verified(row: &ops::StatusRow) -> Option<VerifiedOf> {
    let verified = row.verified.as_ref()?;
    let stated = row.image.as_ref().ok().map(ToString::to_string);
    Some(VerifiedOf {
        image: verified.image.clone(),
        stated: stated.as_ref() == Some(&verified.image),
        revision: verified.commit.clone(),
        time: verified.time.to_string(),
        by: verified.by.clone(),
        run: verified.run.clone(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    commit: String,
    /// RFC 3339.
    time: String,
    author: String,
    subject: String,
    image: Option<String>,
    source_commit: Option<String>,
    /// `set`, `promote` or `rollback`; `null` if deployctl has nothing on record.
    kind: Option<&'static str>,
    from: Option<String>,
    run: Option<String>,
    unproven: bool,
    overrides: Vec<Value>,
    rollback_of: Option<String>,
}

/// Returns how an image came there.
fn kind(record: &Record) -> &'static str {
    match record {
        Record { rollback_of: Some(_), .. } => "rollback",
        Record { from: Some(_), .. } => "promote",
        _ => "set",
    }
}

impl From<&ops::Change> for Change {
    fn from(change: &ops::Change) -> Self {
        let record = change.record.as_ref();
        let overrides = |record: &Record| {
            let one = |o: &Override| json!({ "gate": o.gate, "reason": o.reason });
            record.overrides.iter().map(one).collect::<Vec<_>>()
        };
        Self {
            commit: change.commit.clone(),
            time: change.time.to_string(),
            author: change.author.clone(),
            subject: change.subject.clone(),
            image: change.image.clone(),
            source_commit: change.source_commit.clone(),
            kind: record.map(kind),
            from: record.and_then(|record| record.from.clone()),
            run: record.and_then(|record| record.run.clone()),
            unproven: record.is_some_and(|record| record.unproven),
            overrides: record.map(overrides).unwrap_or_default(),
            rollback_of: record.and_then(|record| record.rollback_of.clone()),
        }
    }
}

/// Returns `deployctl.dev/status/v1`.
pub fn status(report: &ops::StatusReport) -> Value {
    let rows = report.rows.iter().map(|row| StatusRow {
        service: row.service.clone(),
        environment: row.environment.clone(),
        image: row.image.as_ref().ok().map(ToString::to_string),
        error: row.image.as_ref().err().map(ToString::to_string),
        change: row.change.as_ref().map(Change::from),
        verified: verified(row),
        held: row.hold.as_ref().map(Held::from),
    });
    document("status", &json!({ "rows": rows.collect::<Vec<_>>() }))
}

/// Returns `deployctl.dev/history/v1`.
pub fn history(changes: &[ops::Change]) -> Value {
    let changes: Vec<_> = changes.iter().map(Change::from).collect();
    document("history", &json!({ "changes": changes }))
}

/// Returns `deployctl.dev/plan/v1`.
pub fn plan(pipeline: &Pipeline) -> Value {
    let steps: Vec<_> = pipeline.steps.iter().map(|step| &step.name).collect();
    document("plan", &json!({ "pipeline": pipeline.name, "steps": steps }))
}

/// Returns `deployctl.dev/run/v1`.
pub fn run(report: &ops::RunReport) -> Value {
    let steps = report.steps.iter().map(|(name, outcome)| match outcome {
        StepOutcome::Done => json!({ "name": name, "outcome": "done" }),
        StepOutcome::Failed { reason } => {
            json!({ "name": name, "outcome": "failed", "reason": reason })
        }
    });
    let steps: Vec<_> = steps.collect();
    document("run", &json!({ "pipeline": report.pipeline, "steps": steps }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthOf {
    status: String,
    message: String,
}

impl From<&Health> for HealthOf {
    fn from(health: &Health) -> Self {
        Self { status: health.status.to_string(), message: health.message.clone() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthResource {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    health: Option<HealthOf>,
    decided_by: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthDocument {
    resources: Vec<HealthResource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<HealthOf>,
}

/// Returns `deployctl.dev/health/v1`.
pub fn health(report: &HealthReport) -> Value {
    let resources = report.resources.iter().map(|object| HealthResource {
        api_version: object.api_version.clone(),
        kind: object.id.kind.clone(),
        namespace: object.id.namespace.clone(),
        name: object.id.name.clone(),
        health: object.assessment.health.as_ref().map(HealthOf::from),
        decided_by: object.assessment.decided_by.as_ref().map(ToString::to_string),
    });
    let app = report.app.as_ref().map(HealthOf::from);
    document("health", &HealthDocument { resources: resources.collect(), app })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading<'a> {
    input: &'a str,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    familiar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Returns one line of `deployctl image parse`.
pub fn reading(reading: &image::Reading) -> Value {
    let parts = reading.outcome.as_ref().ok();
    let line = Reading {
        input: &reading.input,
        valid: parts.is_some(),
        canonical: parts.map(|parts| parts.canonical.as_str()),
        familiar: parts.map(|parts| parts.familiar.as_str()),
        domain: parts.and_then(|parts| parts.domain.as_deref()),
        path: parts.map(|parts| parts.path.as_str()),
        tag: parts.and_then(|parts| parts.tag.as_deref()),
        digest: parts.and_then(|parts| parts.digest.as_deref()),
        error: reading.outcome.as_ref().err().map(ToString::to_string),
    };
    serde_json::to_value(line).expect("a reading is a plain struct")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edit<'a> {
    file: &'a str,
    changed: bool,
    images: Vec<EditImage<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditImage<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_suffix: Option<&'a str>,
}

/// Returns `deployctl.dev/edit/v1`.
pub fn edit(report: &ops::EditReport) -> Value {
    let images = report.images.iter().map(|entry| EditImage {
        name: &entry.name,
        new_name: entry.new_name.as_deref(),
        new_tag: entry.new_tag.as_deref(),
        digest: entry.digest.as_deref(),
        tag_suffix: entry.tag_suffix.as_deref(),
    });
    let (file, changed) = (report.file.as_str(), report.changed);
    document("edit", &Edit { file, changed, images: images.collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rollouts {
    environment: String,
    /// `healthy`, `degraded` or `timed-out`.
    verdict: &'static str,
    services: Vec<Rollout>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rollout {
    service: String,
    image: Option<String>,
    revision: Option<String>,
    verdict: &'static str,
    reason: String,
    cause: Option<Cause>,
    evidence: Vec<EvidenceOf>,
    objects: Vec<ObjectOf>,
    pods: Vec<PodOf>,
    unread: Vec<String>,
    seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    kind: &'static str,
    workload: String,
    summary: String,
    fatal: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceOf {
    object: String,
    container: Option<String>,
    reason: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectOf {
    object: String,
    health: Option<HealthOf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodOf {
    pod: String,
    container: String,
    image: String,
    #[serde(rename = "imageID")]
    image_id: String,
    ready: bool,
    restarts: i64,
}

/// Returns `deployctl.dev/rollout/v1`.
pub fn rollout(report: &VerifyReport) -> Value {
    let services = report.rollouts.iter().map(|rollout| Rollout {
        service: rollout.service.clone(),
        image: rollout.image.as_ref().map(ToString::to_string),
        revision: rollout.revision.clone(),
        verdict: rollout.verdict.as_str(),
        reason: rollout.reason.clone(),
        cause: rollout.cause.as_ref().map(Cause::from),
        evidence: rollout.evidence.iter().map(EvidenceOf::from).collect(),
        objects: rollout.objects.iter().map(ObjectOf::from).collect(),
        pods: rollout.pods.iter().map(PodOf::from).collect(),
        unread: rollout.unread.clone(),
        seconds: rollout.duration.as_secs_f64(),
    });
    let (environment, verdict) = (report.environment.clone(), report.verdict().as_str());
    document("rollout", &Rollouts { environment, verdict, services: services.collect() })
}

impl From<&RootCause> for Cause {
    fn from(cause: &RootCause) -> Self {
        Self {
            kind: cause.kind.as_str(),
            workload: cause.workload.to_string(),
            summary: cause.summary.clone(),
            fatal: cause.gravity.is_fatal(),
        }
    }
}

impl From<&Evidence> for EvidenceOf {
    fn from(evidence: &Evidence) -> Self {
        Self {
            object: evidence.object.to_string(),
            container: evidence.container.clone(),
            reason: evidence.reason.clone(),
            message: evidence.message.clone(),
        }
    }
}

impl From<&ops::ObjectReport> for ObjectOf {
    fn from(object: &ops::ObjectReport) -> Self {
        Self { object: object.id.to_string(), health: object.health.as_ref().map(HealthOf::from) }
    }
}

impl From<&ops::PodReport> for PodOf {
    fn from(pod: &ops::PodReport) -> Self {
        Self {
            pod: pod.pod.to_string(),
            container: pod.container.clone(),
            image: pod.image.clone(),
            image_id: pod.image_id.clone(),
            ready: pod.ready,
            restarts: pod.restarts,
        }
    }
}

/// Returns `deployctl.dev/demo/v1`.
pub fn demo(report: &ops::DemoReport) -> Value {
    let commits: Vec<_> = report.commits.iter().map(ToString::to_string).collect();
    let fields = json!({
        "home": report.is_kept.then_some(report.home.as_str()),
        "image": report.image.to_string(),
        "verdict": report.verdict.as_str(),
        "reason": report.reason,
        "commits": commits,
    });
    document("demo", &fields)
}

/// Returns `deployctl.dev/health-test/v1`.
pub fn health_test(report: &ops::HealthTestReport) -> Value {
    let failed = report.failed.iter().map(|case| {
        json!({ "input": case.input.as_str(), "expected": case.expected(), "actual": case.actual })
    });
    let failed: Vec<_> = failed.collect();
    document("health-test", &json!({ "passed": report.passed, "failed": failed }))
}
