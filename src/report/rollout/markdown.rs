//! How rollouts went, as Markdown: the summary of a step, or a comment.

use super::{NoVerdict, VerifyReport, words};
use crate::health::HealthStatus;
use crate::ops::{ObjectReport, RolloutReport, RolloutVerdict};
use crate::report::markdown::{code, fenced, inline};
use crate::report::text::spelled;

/// A summary may have 1 MiB, and other steps write to it too.
const MOST_BYTES: usize = 256 << 10;
/// More objects of one rollout, or moments, are listed elsewhere.
const MOST_ROWS: usize = 30;

/// Returns the verdict on each service, and for those that are not healthy why, and what shows it.
pub(super) fn render(report: &VerifyReport) -> String {
    let environment = code(&report.environment);
    let mut text = format!("### {environment} is {}\n\n", report.verdict().as_str());
    text.push_str("| | service | verdict | why |\n|---|---|---|---|\n");
    text.extend(report.rollouts.iter().map(row));
    text.push('\n');
    let mut left_out = 0;
    for rollout in &report.rollouts {
        let section = section(rollout);
        match text.len() + section.len() <= MOST_BYTES {
            true => text.push_str(&section),
            false => left_out += 1,
        }
    }
    if left_out > 0 {
        text.push_str(&format!("… and {left_out} more, in the other reports.\n\n"));
    }
    text
}

/// Returns why there is no verdict.
pub(super) fn render_none(none: &NoVerdict) -> String {
    let mut text = format!("### {}: no verdict\n\n", code(&none.subject));
    let mut texts = none.texts.iter();
    text.extend(texts.next().map(|error| format!("**Why:** {}\n\n", inline(error))));
    text.extend(texts.map(|cause| format!("Caused by: {}\n\n", inline(cause))));
    text.extend(none.hint.iter().map(|hint| format!("**What to do:** {}\n\n", inline(hint))));
    text.push_str("Nothing is known about the rollout.\n\n");
    text
}

fn row(rollout: &RolloutReport) -> String {
    let sign = match rollout.verdict {
        RolloutVerdict::Healthy => "✅",
        RolloutVerdict::Degraded => "❌",
        RolloutVerdict::TimedOut => "⌛",
    };
    let (service, why) = (inline(&rollout.service), inline(&rollout.reason));
    format!("| {sign} | {service} | {} | {why} |\n", rollout.verdict.as_str())
}

fn section(rollout: &RolloutReport) -> String {
    let mut text = format!("#### {}\n\n", inline(&rollout.service));
    if rollout.verdict != RolloutVerdict::Healthy {
        text.push_str(&format!("**Why:** {}\n\n", inline(&rollout.reason)));
        if let Some(cause) = &rollout.cause {
            text.push_str(&format!("**What to do:** {}\n\n", inline(&cause.advice)));
        }
    }
    text.push_str(&expected(rollout));
    text.push_str(&evidence(rollout));
    text.push_str(&objects(&rollout.objects));
    text.push_str(&timeline(rollout));
    text.extend(rollout.notes.iter().map(|note| format!("Note: {}\n\n", inline(note))));
    text.extend(rollout.unread.iter().map(|note| format!("Not seen: {}\n\n", inline(note))));
    text
}

fn expected(rollout: &RolloutReport) -> String {
    let image = rollout.image.as_ref().map(|image| format!("image {}", code(&image.to_string())));
    let revision = rollout.revision.as_ref().map(|revision| format!("commit {}", code(revision)));
    let took = format!("took {}", spelled(rollout.duration.as_secs()));
    let parts: Vec<_> = image.into_iter().chain(revision).chain([took]).collect();
    format!("{}\n\n", parts.join(", "))
}

fn evidence(rollout: &RolloutReport) -> String {
    let one = |evidence| match words::body(evidence) {
        lines if lines.is_empty() => format!("{}\n\n", inline(&words::title(evidence))),
        lines => format!("{}\n\n{}\n", inline(&words::title(evidence)), fenced(&lines.join("\n"))),
    };
    rollout.evidence.iter().map(one).collect()
}

/// Returns the table of objects, those first that are not healthy.
fn objects(objects: &[ObjectReport]) -> String {
    if objects.is_empty() {
        return String::new();
    }
    let is_well = |object: &&ObjectReport| {
        object.health.as_ref().is_none_or(|health| health.status == HealthStatus::Healthy)
    };
    let mut sorted: Vec<_> = objects.iter().filter(|object| !is_well(object)).collect();
    sorted.extend(objects.iter().filter(is_well));
    let row = |object: &&ObjectReport| match &object.health {
        Some(health) => format!(
            "| {} | {} | {} |\n",
            inline(&object.id.to_string()),
            health.status,
            inline(&health.message)
        ),
        None => format!("| {} | | |\n", inline(&object.id.to_string())),
    };
    let rows: String = sorted.iter().take(MOST_ROWS).map(row).collect();
    let more = match objects.len().saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("| … and {more} more | | |\n"),
    };
    format!("| object | health | message |\n|---|---|---|\n{rows}{more}\n")
}

fn timeline(rollout: &RolloutReport) -> String {
    let told: Vec<_> = super::told(rollout).collect();
    if told.is_empty() {
        return String::new();
    }
    let earlier = told.len().saturating_sub(MOST_ROWS);
    let row = |(after, sentence, _): &(u64, String, _)| {
        format!("| {} | {} |\n", spelled(*after), inline(sentence))
    };
    let rows: String = told[earlier..].iter().map(row).collect();
    let earlier = match earlier {
        0 => String::new(),
        earlier => format!("| | … {earlier} before |\n"),
    };
    format!(
        "<details><summary>What happened when</summary>\n\n| after | |\n|---|---|\n{earlier}{rows}\n</details>\n\n"
    )
}
