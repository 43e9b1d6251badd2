//! Rollbacks, and what they hold.

use serde::Serialize;
use serde_json::{Value, json};

use super::document;
use super::set::{Set, set_fields};
use crate::ops::{self, Basis};
use crate::promotion::Hold;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
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
