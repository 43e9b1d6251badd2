//! How a rollout went, on a terminal.

use std::io;

use anstyle::{AnsiColor, Style};

use super::words;
use crate::ops::{RolloutReport, RolloutVerdict};
use crate::report::text::one_line;
use crate::rollout::Evidence;

/// Writes the verdict, and what shows it.
pub(in crate::report) fn write(rollout: &RolloutReport, out: &mut dyn io::Write) -> io::Result<()> {
    let style = style(rollout.verdict);
    let (service, environment) = (&rollout.service, &rollout.environment);
    let (verdict, reason) = (rollout.verdict.as_str(), one_line(&rollout.reason));
    writeln!(out, "{service} in {environment}: {style}{verdict}{style:#}: {reason}")?;
    for pod in &rollout.pods {
        let ready = if pod.ready { "ready" } else { "not ready" };
        let proof = pod.proof.as_ref().and_then(words::of_proof);
        let proof = proof.map(|proof| format!(" ({proof})")).unwrap_or_default();
        let image = one_line(&pod.image);
        writeln!(out, "  {} {}: {ready}, runs {image}{proof}", pod.pod.name, pod.container)?;
    }
    if let Some(cause) = &rollout.cause {
        writeln!(out, "  what to do: {}", one_line(&cause.advice))?;
    }
    rollout.evidence.iter().try_for_each(|evidence| write_evidence(evidence, out))?;
    rollout.notes.iter().try_for_each(|note| writeln!(out, "  note: {}", one_line(note)))?;
    rollout.unread.iter().try_for_each(|note| writeln!(out, "  not seen: {}", one_line(note)))
}

fn style(verdict: RolloutVerdict) -> Style {
    match verdict {
        RolloutVerdict::Healthy => AnsiColor::Green.on_default().bold(),
        RolloutVerdict::Degraded => AnsiColor::Red.on_default().bold(),
        RolloutVerdict::TimedOut => AnsiColor::Yellow.on_default().bold(),
    }
}

fn write_evidence(evidence: &Evidence, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "  {}", words::title(evidence))?;
    words::body(evidence).iter().try_for_each(|line| writeln!(out, "    | {line}"))
}
