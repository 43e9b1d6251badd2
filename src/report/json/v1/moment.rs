//! What happens to a rollout, as it happens.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::rollout::Cause;
use super::{document, schema_of};
use crate::ops::{Moment, VerifyEvent};
use crate::report::rollout::sentence;
use crate::rollout::Change;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Something that happened while deployctl verify waited")]
struct EventOf {
    service: String,
    #[serde(flatten)]
    moment: MomentOf,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MomentOf {
    /// RFC 3339.
    time: String,
    /// In words.
    message: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum What {
    /// Argo CD was asked to compare the Application with git again.
    Refreshed { application: String },
    /// The Application's sync status, revision or health has changed.
    Application { sync: String, revision: String, health: String },
    /// A workload has got further, or has fallen back.
    Workload { workload: String, desired: i64, updated: i64, available: i64 },
    /// A container waits for something that is no part of a normal start.
    ContainerWaiting { pod: String, container: String, reason: String, detail: String },
    /// A container was restarted.
    ContainerRestarted { pod: String, container: String, restarts: i64, exit_code: Option<i64> },
    /// What is waited for has changed.
    Waiting { reason: String },
    /// A cause was found.
    Cause { cause: Cause },
    /// The cause that was told last is there no more.
    CausePassed { kind: &'static str, workload: String },
    /// All is well, and must stay so for a while.
    Settling { seconds: u64 },
    /// Something that could not be seen or done, and that stops nothing.
    Note {},
    /// The verdict is there.
    Ended { verdict: &'static str, reason: String },
}

impl MomentOf {
    /// Returns `moment`, or `None` if it says nothing in words.
    pub(super) fn of(moment: &Moment) -> Option<Self> {
        let (time, message) = (moment.at.to_string(), sentence(&moment.event)?);
        Some(Self { time, message, what: what(&moment.event)? })
    }
}

fn what(event: &VerifyEvent) -> Option<What> {
    Some(match event {
        VerifyEvent::Seen(_) => return None,
        VerifyEvent::Refreshed(name) => What::Refreshed { application: name.to_string() },
        VerifyEvent::Rollout(event) => of_change(&event.change),
        VerifyEvent::Waiting { reason } => What::Waiting { reason: reason.clone() },
        VerifyEvent::Cause(cause) => What::Cause { cause: Cause::from(cause) },
        VerifyEvent::CausePassed { kind, workload } => {
            What::CausePassed { kind: kind.as_str(), workload: workload.to_string() }
        }
        VerifyEvent::Settling { time } => What::Settling { seconds: time.as_secs() },
        VerifyEvent::Note(_) => What::Note {},
        VerifyEvent::Ended { verdict, reason } => {
            What::Ended { verdict: verdict.as_str(), reason: reason.clone() }
        }
    })
}

fn of_change(change: &Change) -> What {
    match change {
        Change::Application { sync, revision, health } => What::Application {
            sync: sync.clone(),
            revision: revision.clone(),
            health: health.clone(),
        },
        Change::Workload { workload, counts } => What::Workload {
            workload: workload.to_string(),
            desired: counts.desired,
            updated: counts.updated,
            available: counts.available,
        },
        Change::Waiting { pod, container, reason, message } => What::ContainerWaiting {
            pod: pod.to_string(),
            container: container.clone(),
            reason: reason.clone(),
            detail: message.clone(),
        },
        Change::Restarted { pod, container, restarts, exit_code } => What::ContainerRestarted {
            pod: pod.to_string(),
            container: container.clone(),
            restarts: *restarts,
            exit_code: *exit_code,
        },
    }
}

/// Returns `deployctl.dev/event/v1`, or `None` if the moment says nothing in words.
pub fn event(service: &str, moment: &Moment) -> Option<Value> {
    let (service, moment) = (service.to_owned(), MomentOf::of(moment)?);
    Some(document("event", &EventOf { service, moment }))
}

/// Returns the JSON schema of `deployctl.dev/event/v1`.
pub fn event_schema() -> Value {
    schema_of::<EventOf>("event")
}
