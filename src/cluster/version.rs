//! One observed version of a rollout as a YAML file: what [`super::Recorder`] writes and
//! [`super::Recording`] reads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redaction::Redaction;
use crate::k8s::Object;
use crate::rollout::{LogTail, Snapshot};

/// A file that is larger is not read.
pub(super) const MOST_BYTES: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "deployctl.dev/snapshot/v1")]
    V1,
}

/// On what occasion a version was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Occasion {
    /// It was there at a look.
    #[default]
    Observed,
    /// It was found when the look before was confirmed.
    Confirmed,
}

impl Occasion {
    fn is_observed(&self) -> bool {
        *self == Self::Observed
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    schema: Schema,
    time: Timestamp,
    #[serde(default, skip_serializing_if = "Occasion::is_observed")]
    occasion: Occasion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Value>,
    #[serde(default, rename = "applicationSet", skip_serializing_if = "Option::is_none")]
    application_set: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    objects: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owned: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pods: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Log {
    pod_uid: String,
    container: String,
    restarts: i64,
    lines: Vec<String>,
}

/// Returns the file that says what was seen at `time`.
pub(super) fn write(
    snapshot: &Snapshot,
    occasion: Occasion,
    time: Timestamp,
    redaction: &Redaction,
) -> Result<String, serde_yaml::Error> {
    let bare = |object: &Object| redaction.of(object.value().clone());
    let all = |objects: &[Object]| objects.iter().map(bare).collect();
    serde_yaml::to_string(&Version {
        schema: Schema::V1,
        time,
        occasion,
        application: snapshot.application.as_ref().map(bare),
        project: snapshot.project.as_ref().map(bare),
        application_set: snapshot.application_set.as_ref().map(bare),
        objects: all(&snapshot.objects),
        owned: all(&snapshot.owned),
        pods: all(&snapshot.pods),
        events: all(&snapshot.events),
        logs: snapshot.logs.iter().map(|tail| Log::of(tail, redaction)).collect(),
        unread: snapshot.unread.clone(),
    })
}

/// Returns what a file says was seen, when, and on what occasion.
pub(super) fn read(text: &str) -> Result<(Timestamp, Occasion, Snapshot), String> {
    let version: Version = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let one = |value| Object::new(value).ok_or("an entry has no `apiVersion` or no `kind`");
    let all = |values: Vec<Value>| values.into_iter().map(one).collect::<Result<Vec<_>, _>>();
    let snapshot = Snapshot {
        application: version.application.map(one).transpose()?,
        project: version.project.map(one).transpose()?,
        application_set: version.application_set.map(one).transpose()?,
        objects: all(version.objects)?,
        owned: all(version.owned)?,
        pods: all(version.pods)?,
        events: all(version.events)?,
        logs: version.logs.into_iter().map(LogTail::from).collect(),
        unread: version.unread,
        time: None,
    };
    Ok((version.time, version.occasion, snapshot))
}

impl Log {
    /// Returns `tail` as it may be written.
    fn of(tail: &LogTail, redaction: &Redaction) -> Self {
        let LogTail { pod_uid, container, restarts, lines } = tail.clone();
        let lines = lines.iter().map(|line| redaction.text(line)).collect();
        Self { pod_uid, container, restarts, lines }
    }
}

impl From<Log> for LogTail {
    fn from(log: Log) -> Self {
        let Log { pod_uid, container, restarts, lines } = log;
        Self { pod_uid, container, restarts, lines }
    }
}
