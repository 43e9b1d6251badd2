//! What happened to a rollout, in words.

use crate::ops::VerifyEvent;
use crate::report::text::{lines, one_line};
use crate::rollout::{Change, Evidence, Proof};

/// Returns what `event` says, or `None` if it says nothing in words.
pub(in crate::report) fn sentence(event: &VerifyEvent) -> Option<String> {
    Some(match event {
        VerifyEvent::Seen(_) => return None,
        VerifyEvent::Refreshed(name) => format!("asked Argo CD to compare {name} with git"),
        VerifyEvent::Rollout(event) => change(&event.change),
        VerifyEvent::Waiting { reason } => format!("waiting: {}", one_line(reason)),
        VerifyEvent::Cause(cause) => one_line(&cause.summary),
        VerifyEvent::CausePassed { kind, workload } => {
            one_line(&format!("{workload} is over its {}", kind.as_str()))
        }
        VerifyEvent::Settling { time } if time.is_zero() => "healthy".to_owned(),
        VerifyEvent::Settling { time } => {
            format!("healthy; watching for {} s whether it stays so", time.as_secs())
        }
        VerifyEvent::Note(note) => one_line(note),
        VerifyEvent::Ended { verdict, reason } => {
            format!("{}: {}", verdict.as_str(), one_line(reason))
        }
    })
}

/// Returns the line for something that happened to a service's rollout, or `None` if it is not worth one
/// at this verbosity.
pub(in crate::report) fn line(service: &str, event: &VerifyEvent, verbose: u8) -> Option<String> {
    let is_told = match event {
        VerifyEvent::Refreshed(_) => verbose > 0,
        VerifyEvent::Settling { time } => !time.is_zero(),
        // The answer says it.
        VerifyEvent::Ended { .. } => false,
        _ => true,
    };
    let sentence = sentence(event).filter(|_| is_told)?;
    Some(format!("{service}: {sentence}"))
}

fn change(change: &Change) -> String {
    let text = match change {
        Change::Application { sync, revision, health } => {
            let revision = revision.get(..12).unwrap_or(revision);
            format!("Argo CD: {sync} at {revision}, {health}")
        }
        Change::Workload { workload, counts } => format!(
            "{workload}: {} of {} updated, {} available",
            counts.updated, counts.desired, counts.available
        ),
        Change::Waiting { pod, container, reason, .. } => {
            format!("{pod} ({container}) waits: {reason}")
        }
        Change::Restarted { pod, container, restarts, exit_code } => {
            let exit = exit_code.map(|code| format!(" after exit code {code}")).unwrap_or_default();
            format!("{pod} ({container}) was restarted{exit} (restart {restarts})")
        }
    };
    one_line(&text)
}

/// Returns who says it and what, for example `Pod:shop/web-1 (web): Error (3x): exit code 3`; a message
/// of more lines is left to [`body`].
pub(super) fn title(evidence: &Evidence) -> String {
    let container = evidence.container.as_ref().map(|name| format!(" ({name})"));
    let times = match evidence.count {
        ..2 => String::new(),
        count => format!(" ({count}x)"),
    };
    let message = match evidence.message.trim() {
        message if message.is_empty() || message.contains('\n') => String::new(),
        message => format!(": {message}"),
    };
    let container = container.unwrap_or_default();
    one_line(&format!("{}{container}: {}{times}{message}", evidence.object, evidence.reason))
}

/// Returns a message of more than one line, and the last lines of the log; empty if there are none.
pub(super) fn body(evidence: &Evidence) -> Vec<String> {
    let message = lines(evidence.message.trim());
    let message = if message.contains('\n') { message } else { String::new() };
    let message = message.lines().filter(|line| !line.is_empty()).map(str::to_owned);
    message.chain(evidence.log.iter().map(|line| one_line(line))).collect()
}

/// Returns how it is known which image a container runs; `None` if it does not run.
pub(super) fn of_proof(proof: &Proof) -> Option<String> {
    Some(match proof {
        Proof::Digest => "proven by its digest".to_owned(),
        Proof::Platform { platform, .. } => one_line(&format!("proven by its {platform} manifest")),
        Proof::Config { .. } => "proven by its config".to_owned(),
        Proof::Other { digest } => format!("in truth {digest}"),
        Proof::Spec { .. } => "by the pod's spec".to_owned(),
        Proof::NotRunning => return None,
    })
}
