//! How rollouts went, as a JUnit report: a suite for the environment, a case for each service and for
//! each of its objects.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{NoVerdict, VerifyReport, words};
use crate::health::{Health, HealthStatus};
use crate::ops::{ObjectReport, RolloutReport, RolloutVerdict};
use crate::report::text::{lines, one_line};

/// Returns the report as XML.
pub(super) fn render(report: &VerifyReport) -> String {
    let mut suite = TestSuite::new(text(&report.environment));
    if let Some(started) = report.rollouts.iter().map(|rollout| rollout.started).min() {
        suite.extra.insert("timestamp".into(), started.to_string().into());
    }
    let longest = report.rollouts.iter().map(|rollout| rollout.duration).max();
    suite.set_time(longest.unwrap_or_default());
    for rollout in &report.rollouts {
        suite.add_test_case(service(rollout));
        suite.add_test_cases(rollout.objects.iter().map(|one| object(rollout, one)));
    }
    let mut document = Report::new("deployctl verify");
    document.set_time(longest.unwrap_or_default());
    document.add_test_suite(suite);
    document.to_string().expect("a report in memory can be written")
}

/// Returns the report of a verification without a verdict as XML: one case, which is an error and not a
/// failure.
pub(super) fn render_none(none: &NoVerdict) -> String {
    let mut error = TestCaseStatus::non_success(NonSuccessKind::Error);
    error.set_message(text(&none.in_one_line())).set_type("no-verdict");
    error.set_description(lines(&none.description()));
    let mut case = TestCase::new("verify", error);
    case.set_classname(text(&none.subject));
    let mut suite = TestSuite::new(text(&none.subject));
    suite.extra.insert("timestamp".into(), none.started.to_string().into());
    suite.add_test_case(case);
    let mut document = Report::new("deployctl verify");
    document.add_test_suite(suite);
    document.to_string().expect("a report in memory can be written")
}

fn service(rollout: &RolloutReport) -> TestCase {
    let status = match rollout.verdict {
        RolloutVerdict::Healthy => TestCaseStatus::success(),
        verdict => {
            let kind = rollout.cause.as_ref().map_or(verdict.as_str(), |cause| cause.kind.as_str());
            failure(&rollout.reason, kind, &description(rollout))
        }
    };
    let mut case = TestCase::new(text(&rollout.service), status);
    case.set_classname(text(&rollout.environment));
    case.set_time(rollout.duration);
    case
}

/// Returns what to do and what shows it.
fn description(rollout: &RolloutReport) -> String {
    let mut parts = vec![one_line(&rollout.reason)];
    if let Some(cause) = &rollout.cause {
        parts.push(format!("What to do: {}", one_line(&cause.advice)));
    }
    for evidence in &rollout.evidence {
        let body = words::body(evidence).into_iter().map(|line| format!("\n  {line}"));
        parts.push(format!("{}{}", words::title(evidence), body.collect::<String>()));
    }
    parts.extend(rollout.notes.iter().map(|note| format!("Note: {}", one_line(note))));
    parts.extend(rollout.unread.iter().map(|note| format!("Not seen: {}", one_line(note))));
    parts.join("\n\n")
}

fn object(rollout: &RolloutReport, object: &ObjectReport) -> TestCase {
    let status = match (&object.health, rollout.verdict) {
        (None, _) | (Some(_), RolloutVerdict::Healthy) => TestCaseStatus::success(),
        (Some(health), verdict) => of_health(health, verdict),
    };
    let mut case = TestCase::new(text(&object.id.to_string()), status);
    case.set_classname(text(&format!("{}.{}", rollout.environment, rollout.service)));
    case
}

fn of_health(health: &Health, verdict: RolloutVerdict) -> TestCaseStatus {
    let status = health.status.to_string();
    match health.status {
        HealthStatus::Healthy | HealthStatus::Suspended => TestCaseStatus::success(),
        // It was not waited for.
        HealthStatus::Progressing if verdict == RolloutVerdict::Degraded => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(text(&format!("{status}: {}", health.message)));
            skipped
        }
        _ => failure(&format!("{status}: {}", health.message), &status, ""),
    }
}

fn failure(message: &str, kind: &str, description: &str) -> TestCaseStatus {
    let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
    failure.set_message(text(message)).set_type(kind);
    if !description.is_empty() {
        failure.set_description(lines(description));
    }
    failure
}

// An attribute of XML has no line breaks.
fn text(text: &str) -> XmlString {
    one_line(text).trim_end_matches(": ").trim_end_matches(':').into()
}
