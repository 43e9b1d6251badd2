//! How rollouts went.

use std::io;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Report, json};
use crate::ops::{RolloutReport, RolloutVerdict, VerifyEvent};
use crate::rollout::{Change, Evidence, Proof};

/// How the rollouts of an environment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The environment.
    pub environment: String,
    /// One a service, in order.
    pub rollouts: Vec<RolloutReport>,
}

impl VerifyReport {
    /// Returns the verdict on all: degraded if one is, else timed out if one is.
    pub fn verdict(&self) -> RolloutVerdict {
        let has = |verdict| self.rollouts.iter().any(|rollout| rollout.verdict == verdict);
        match (has(RolloutVerdict::Degraded), has(RolloutVerdict::TimedOut)) {
            (true, _) => RolloutVerdict::Degraded,
            (false, true) => RolloutVerdict::TimedOut,
            (false, false) => RolloutVerdict::Healthy,
        }
    }

    /// Returns why it is not healthy, in one line, or `None` if it is.
    pub fn failure(&self) -> Option<String> {
        let failed =
            self.rollouts.iter().filter(|rollout| rollout.verdict != RolloutVerdict::Healthy);
        let lines: Vec<_> = failed
            .map(|rollout| {
                format!("{} is {}: {}", rollout.service, rollout.verdict.as_str(), rollout.reason)
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

impl Report for VerifyReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.rollouts.iter().try_for_each(|rollout| write_rollout(rollout, out))
    }

    fn json(&self) -> Value {
        json::v1::rollout(self)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("verdict", self.verdict().as_str().to_owned())]
    }

    fn summary(&self) -> String {
        let rows = self.rollouts.iter().map(|rollout| {
            format!("| {} | {} | {} |\n", rollout.service, rollout.verdict.as_str(), rollout.reason)
        });
        let rows: String = rows.collect();
        format!("### {}\n\n| service | verdict | why |\n|---|---|---|\n{rows}\n", self.environment)
    }
}

/// Writes the verdict, and what shows it.
pub(super) fn write_rollout(rollout: &RolloutReport, out: &mut dyn io::Write) -> io::Result<()> {
    let style = style(rollout.verdict);
    let (service, environment) = (&rollout.service, &rollout.environment);
    let verdict = rollout.verdict.as_str();
    writeln!(out, "{service} in {environment}: {style}{verdict}{style:#}: {}", rollout.reason)?;
    for pod in &rollout.pods {
        let ready = if pod.ready { "ready" } else { "not ready" };
        let proof = pod.proof.as_ref().and_then(proof_words).unwrap_or_default();
        let (name, container) = (&pod.pod.name, &pod.container);
        writeln!(out, "  {name} {container}: {ready}, runs {}{proof}", pod.image)?;
    }
    if let Some(cause) = &rollout.cause {
        writeln!(out, "  what to do: {}", cause.advice)?;
    }
    for evidence in &rollout.evidence {
        writeln!(out, "  {}", evidence_line(evidence))?;
        evidence.log.iter().try_for_each(|line| writeln!(out, "    | {line}"))?;
    }
    rollout.notes.iter().try_for_each(|note| writeln!(out, "  note: {note}"))?;
    rollout.unread.iter().try_for_each(|note| writeln!(out, "  not seen: {note}"))
}

/// Returns how it is known that a container runs the promoted image.
fn proof_words(proof: &Proof) -> Option<String> {
    Some(match proof {
        Proof::Digest => " (proven by its digest)".to_owned(),
        Proof::Platform { platform, .. } => format!(" (proven by its {platform} manifest)"),
        Proof::Config { .. } => " (proven by its config)".to_owned(),
        Proof::Other { digest } => format!(" (in truth {digest})"),
        Proof::Spec { .. } => " (by the pod's spec)".to_owned(),
        Proof::NotRunning => return None,
    })
}

fn style(verdict: RolloutVerdict) -> Style {
    match verdict {
        RolloutVerdict::Healthy => AnsiColor::Green.on_default().bold(),
        RolloutVerdict::Degraded => AnsiColor::Red.on_default().bold(),
        RolloutVerdict::TimedOut => AnsiColor::Yellow.on_default().bold(),
    }
}

fn evidence_line(evidence: &Evidence) -> String {
    let container = evidence.container.as_ref().map(|name| format!(" ({name})"));
    let container = container.unwrap_or_default();
    let often = if evidence.count > 1 { format!(" ({}x)", evidence.count) } else { String::new() };
    let message = evidence.message.trim();
    match message {
        "" => format!("{}{container}: {}{often}", evidence.object, evidence.reason),
        message => format!("{}{container}: {}{often}: {message}", evidence.object, evidence.reason),
    }
}

/// Returns the line for something that happened to a rollout, or `None` if it is not worth one at
/// this verbosity.
pub(super) fn event_line(service: &str, event: &VerifyEvent, verbose: u8) -> Option<String> {
    Some(match event {
        VerifyEvent::Refreshed(name) if verbose > 0 => {
            format!("{service}: asked Argo CD to compare {name} with git")
        }
        VerifyEvent::Refreshed(_) | VerifyEvent::Seen(_) | VerifyEvent::Ended { .. } => {
            return None;
        }
        VerifyEvent::Rollout(event) => format!("{service}: {}", change_line(&event.change)),
        VerifyEvent::Waiting { reason } => format!("{service}: waiting: {reason}"),
        VerifyEvent::Cause(cause) => format!("{service}: {}", cause.summary),
        VerifyEvent::CausePassed { kind, workload } => {
            format!("{service}: {workload} is over its {}", kind.as_str())
        }
        VerifyEvent::Settling { time } if time.is_zero() => return None,
        VerifyEvent::Settling { time } => {
            format!("{service}: healthy; watching for {} s whether it stays so", time.as_secs())
        }
        VerifyEvent::Note(note) => format!("{service}: {note}"),
    })
}

fn change_line(change: &Change) -> String {
    match change {
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
    }
}
