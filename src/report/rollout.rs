//! How rollouts went.

mod html;
mod human;
mod junit;
mod markdown;
mod no_verdict;
mod words;

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::{RolloutReport, RolloutVerdict, VerifyEvent};
use crate::rollout::Change;

pub(super) use self::human::write as write_rollout;
pub use self::no_verdict::NoVerdict;
pub(super) use self::words::{line as event_line, sentence};

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
        markdown::render(self)
    }
}

/// What a verification comes to, in every format that a report can have.
pub trait Documents: Report {
    /// Returns it as a JUnit document.
    fn junit(&self) -> String;

    /// Returns it as a page that needs nothing else to be read.
    fn html(&self) -> String;
}

impl Documents for VerifyReport {
    fn junit(&self) -> String {
        junit::render(self)
    }

    fn html(&self) -> String {
        html::render(self)
    }
}

/// What a moment means for a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Late,
}

/// Returns what happened to a rollout: after how many seconds, in words, and what it means.
fn told(rollout: &RolloutReport) -> impl Iterator<Item = (u64, String, Tone)> {
    rollout.timeline.iter().filter_map(|moment| {
        let after = moment.at.duration_since(rollout.started).as_secs();
        let sentence = sentence(&moment.event)?;
        Some((u64::try_from(after).unwrap_or(0), sentence, tone(&moment.event)))
    })
}

fn tone(event: &VerifyEvent) -> Tone {
    match event {
        VerifyEvent::Cause(_) => Tone::Bad,
        VerifyEvent::Rollout(event) => match event.change {
            Change::Waiting { .. } | Change::Restarted { .. } => Tone::Bad,
            Change::Application { .. } | Change::Workload { .. } => Tone::Plain,
        },
        VerifyEvent::CausePassed { .. } | VerifyEvent::Settling { .. } => Tone::Good,
        VerifyEvent::Note(_) => Tone::Late,
        VerifyEvent::Ended { verdict, .. } => match verdict {
            RolloutVerdict::Healthy => Tone::Good,
            RolloutVerdict::Degraded => Tone::Bad,
            RolloutVerdict::TimedOut => Tone::Late,
        },
        VerifyEvent::Seen(_) | VerifyEvent::Refreshed(_) | VerifyEvent::Waiting { .. } => {
            Tone::Plain
        }
    }
}

#[cfg(test)]
mod tests;
