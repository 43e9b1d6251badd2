//! What is stated where, and who changed it.

use serde::Serialize;
use serde_json::{Value, json};

use super::document;
use super::hold::Held;
use crate::ops;
use crate::promotion::{Override, Record};

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
    /// Why it was rolled back.
    reason: Option<String>,
    /// RFC 3339; when `verify` last found the image healthy there since.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_by: Option<String>,
}

/// Returns how an image came there.
fn kind(record: &Record) -> &'static str {
    match record {
        Record { rollback_of, .. } if !rollback_of.is_empty() => "rollback",
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
            rollback_of: record.and_then(|record| record.rollback_of.last().cloned()),
            reason: record.and_then(|record| record.reason.clone()),
            verified_at: change.verified.as_ref().map(|verified| verified.time.to_string()),
            verified_by: change.verified.as_ref().map(|verified| verified.by.clone()),
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
