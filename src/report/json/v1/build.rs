//! What was built, as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use super::document;
use crate::ops::{
    self, Affected, Attached, Built, Explanation, InputChange, MoveOutcome, MovedTag, StoredLayer,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    images: Vec<BuiltImage>,
    /// What a dry run would build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    planned: Vec<PlannedImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_since: Option<ChangedSince>,
    /// Which inputs differ from those of the last image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explained: Vec<Explained>,
    /// What registries were asked, tries that failed included.
    requests: Requests,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangedSince {
    environment: String,
    /// The services that have changed, for a matrix.
    services: Vec<String>,
    /// Why each of them is one.
    reasons: Map<String, Value>,
    unchanged: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    service: String,
    /// The image that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// How that was found: `environment`, `last-build`, `tag` or `local-overlay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    found_by: Option<&'static str>,
    /// The environment or the tag that it was found by.
    #[serde(skip_serializing_if = "Option::is_none")]
    found_at: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// `file`, `argument`, `base` and so on.
    kind: String,
    name: String,
    /// `new`, `gone` or `changed`.
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The same in words.
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    total: u64,
    /// For example `HEAD manifest`.
    by_kind: Map<String, Value>,
}

#[derive(Serialize)]
struct Layer {
    digest: String,
    size: u64,
    /// `present`, `mounted`, `copied` from another registry, or `pushed`.
    transfer: &'static str,
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
    /// Whether the registry had it, so that nothing was built.
    reused: bool,
    /// The tag that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reused_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_digest: Option<String>,
    /// What became of its layers, where it was pushed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    /// What refers to it now: `sbom`, `provenance`, `signature`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attached: Vec<&'static str>,
    /// What became of the service's moving tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moving_tags: Vec<Moved>,
}

#[derive(Serialize)]
struct Moved {
    tag: String,
    /// `moved`, `unchanged`, `not-followed`, or `overtaken` by what is ahead.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedImage {
    service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_digest: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    service: String,
    reason: String,
}

/// Returns `deployctl.dev/build/v1`.
pub fn build(report: &ops::BuildReport) -> Value {
    let planned = report.planned.iter().map(|planned| PlannedImage {
        service: planned.service.clone(),
        input_digest: planned.inputs.as_ref().map(ToString::to_string),
    });
    let failed = report
        .failed
        .iter()
        .map(|failed| Failed { service: failed.service.clone(), reason: failed.reason.clone() });
    let (images, planned, failed) =
        (report.images.iter().map(image).collect(), planned.collect(), failed.collect());
    let kinds = report.requests_by_kind();
    let requests = Requests {
        total: kinds.iter().map(|(_, count)| count).sum(),
        by_kind: kinds.into_iter().map(|(kind, count)| (kind.to_owned(), count.into())).collect(),
    };
    let changed_since = report.since.as_ref().map(changed_since);
    let explained = report.explained.iter().map(explained).collect();
    document("build", &Build { images, planned, failed, changed_since, explained, requests })
}

fn changed_since(since: &Affected) -> ChangedSince {
    let reasons = since.changed.iter();
    ChangedSince {
        environment: since.environment.clone(),
        services: since.changed.iter().map(|(service, _)| service.clone()).collect(),
        reasons: reasons.map(|(service, why)| (service.clone(), why.as_str().into())).collect(),
        unchanged: since.unchanged.clone(),
    }
}

fn explained(explanation: &Explanation) -> Explained {
    let change = |change: &InputChange| {
        let values = change.values();
        Change {
            kind: change.kind.clone(),
            name: change.name.clone(),
            change: change.difference.as_str(),
            from: values.map(|(from, _)| from.to_owned()),
            to: values.map(|(_, to)| to.to_owned()),
            text: change.to_string(),
        }
    };
    let last = explanation.last.as_ref().ok();
    Explained {
        service: explanation.service.clone(),
        image: last.map(|last| last.image.clone()),
        found_by: last.map(|last| last.by.as_str()),
        found_at: last.and_then(|last| last.by.name()).map(str::to_owned),
        reason: explanation.last.as_ref().err().cloned(),
        changes: explanation.changes.iter().map(change).collect(),
    }
}

fn image(built: &Built) -> BuiltImage {
    BuiltImage {
        service: built.service.clone(),
        image: built.image.to_string(),
        name: built.image.name.to_string(),
        tag: built.image.tag.as_ref().map(ToString::to_string),
        digest: built.image.digest.to_string(),
        size: built.size,
        pushed: built.pushed,
        reused: built.reused.is_some(),
        reused_by: built.reused.as_ref().map(ToString::to_string),
        input_digest: built.inputs.as_ref().map(ToString::to_string),
        layers: built.layers.iter().map(layer).collect(),
        attached: built.attached.iter().map(|what| attached(*what)).collect(),
        moving_tags: built.moved.iter().map(moved).collect(),
    }
}

fn attached(what: Attached) -> &'static str {
    match what {
        Attached::Sbom => "sbom",
        Attached::Provenance => "provenance",
        Attached::Signature => "signature",
    }
}

fn moved(MovedTag { tag, outcome }: &MovedTag) -> Moved {
    let (outcome, reason) = match outcome {
        MoveOutcome::Moved => ("moved", None),
        MoveOutcome::Unchanged => ("unchanged", None),
        MoveOutcome::NotFollowed(reason) => ("not-followed", Some(reason.clone())),
        MoveOutcome::Overtaken(reason) => ("overtaken", Some(reason.clone())),
    };
    Moved { tag: tag.clone(), outcome, reason }
}

fn layer(stored: &StoredLayer) -> Layer {
    let StoredLayer { digest, size, transfer } = stored;
    Layer { digest: digest.to_string(), size: *size, transfer: transfer.as_str() }
}
