//! How rollouts went, as one page: no network and no script is needed to read it, and what others
//! wrote in it is text.

mod timeline;

use jiff::Timestamp;

use super::{NoVerdict, Tone, VerifyReport, words};
use crate::health::HealthStatus;
use crate::ops::{ObjectReport, PodReport, RolloutReport, RolloutVerdict};
use crate::report::text::{lines, spelled};
use crate::rollout::{Evidence, Proof};

const STYLE: &str = include_str!("html/style.css");

/// More rows of one table make the page slow; the JSON report has them all.
const MOST_ROWS: usize = 2000;

/// Returns the page.
pub(super) fn render(report: &VerifyReport) -> String {
    let environment = text(&report.environment);
    let verdict = report.verdict();
    let sections: String = report.rollouts.iter().enumerate().map(section).collect();
    let began = report.rollouts.iter().map(|rollout| rollout.started).min();
    let began = began.map(began_at).unwrap_or_default();
    let (title, badge) = (format!("{environment}: {}", verdict.as_str()), badge(verdict));
    let head = format!("<h1>{environment} {badge}</h1>\n<p class=\"soft\">{began}</p>\n");
    page(&title, &head, &format!("{}<main>\n{sections}</main>\n", contents(report)))
}

/// Returns the page that says why there is no verdict.
pub(super) fn render_none(none: &NoVerdict) -> String {
    let subject = text(&none.subject);
    let badge = format!("<span class=\"badge {}\">no verdict</span>", class(Tone::Bad));
    let head =
        format!("<h1>{subject} {badge}</h1>\n<p class=\"soft\">{}</p>\n", began_at(none.started));
    let mut texts = none.texts.iter();
    let first = texts.next().map(|error| format!("<p><strong>{}</strong></p>\n", prose(error)));
    let causes = texts.map(|cause| format!("<p>caused by: {}</p>\n", prose(cause)));
    let hint = none.hint.as_deref();
    let hint = hint.map(|hint| format!("<p><strong>What to do:</strong> {}</p>\n", prose(hint)));
    let body = format!(
        "<main>\n<section class=\"service\">\n<div class=\"cause bad\">\n{}{}{}</div>\n\
         <p class=\"soft\">Nothing is known about the rollout. Exit code {}.</p>\n</section>\n</main>\n",
        first.unwrap_or_default(),
        causes.collect::<String>(),
        hint.unwrap_or_default(),
        none.exit_code
    );
    page(&format!("{subject}: no verdict"), &head, &body)
}

fn began_at(time: Timestamp) -> String {
    format!("began {}", time.strftime("%F %T UTC"))
}

/// Returns the page with `head` and `body`.
fn page(title: &str, head: &str, body: &str) -> String {
    // Should something get past the escaping, then no browser runs or loads it.
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n{head}</header>\n{body}\
         <footer>deployctl {}</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
    )
}

fn badge(verdict: RolloutVerdict) -> String {
    format!("<span class=\"badge {}\">{}</span>", class(of_verdict(verdict)), verdict.as_str())
}

fn of_verdict(verdict: RolloutVerdict) -> Tone {
    match verdict {
        RolloutVerdict::Healthy => Tone::Good,
        RolloutVerdict::Degraded => Tone::Bad,
        RolloutVerdict::TimedOut => Tone::Late,
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Late => "late",
    }
}

/// Returns the list of services, where there are more than one.
fn contents(report: &VerifyReport) -> String {
    if report.rollouts.len() < 2 {
        return String::new();
    }
    let items = report.rollouts.iter().enumerate().map(|(number, rollout)| {
        format!(
            "<li>{} <a href=\"#service-{number}\">{}</a> <span class=\"soft\">{}</span></li>\n",
            badge(rollout.verdict),
            text(&rollout.service),
            prose(&rollout.reason)
        )
    });
    format!("<nav>\n<ul>\n{}</ul>\n</nav>\n", items.collect::<String>())
}

fn section((number, rollout): (usize, &RolloutReport)) -> String {
    let parts = [
        why(rollout),
        expected(rollout),
        timeline::render(rollout),
        objects(&rollout.objects),
        pods(rollout),
        list("Notes", &rollout.notes),
        list("Not seen", &rollout.unread),
    ];
    format!(
        "<section class=\"service\" id=\"service-{number}\">\n<h2>{} {}</h2>\n{}</section>\n",
        text(&rollout.service),
        badge(rollout.verdict),
        parts.concat()
    )
}

/// Returns why, what to do, and what shows it.
fn why(rollout: &RolloutReport) -> String {
    let reason = prose(&rollout.reason);
    if rollout.verdict == RolloutVerdict::Healthy {
        return format!("<p>{reason}</p>\n");
    }
    let cause = rollout.cause.as_ref().map(|cause| {
        let gravity = match cause.gravity.is_fatal() {
            true => "waiting does not help",
            false => "it may pass by itself",
        };
        format!(
            "<p><strong>What to do:</strong> {}</p>\n<p class=\"soft\">{}: {gravity}, since {}</p>\n",
            prose(&cause.advice),
            cause.kind.as_str(),
            prose(&cause.because)
        )
    });
    let evidence: String = rollout.evidence.iter().map(evidence).collect();
    let evidence = match evidence.is_empty() {
        true => evidence,
        false => format!("<ul class=\"evidence\">\n{evidence}</ul>\n"),
    };
    format!(
        "<div class=\"cause {}\">\n<p><strong>{reason}</strong></p>\n{}{evidence}</div>\n",
        class(of_verdict(rollout.verdict)),
        cause.unwrap_or_default()
    )
}

fn evidence(evidence: &Evidence) -> String {
    let time =
        evidence.time.map(|time| format!(" <span class=\"soft\">{}</span>", time.strftime("%T")));
    let body = words::body(evidence).join("\n");
    let body = if body.is_empty() { body } else { format!("<pre>{}</pre>", text(&body)) };
    let title = text(&words::title(evidence));
    format!("<li>{title}{}{body}</li>\n", time.unwrap_or_default())
}

fn expected(rollout: &RolloutReport) -> String {
    let image = rollout.image.as_ref().map(ToString::to_string);
    let rows = [("image", image), ("commit", rollout.revision.clone())];
    let rows = rows.into_iter().filter_map(|(name, value)| {
        Some(format!("<dt>{name}</dt><dd><code>{}</code></dd>\n", text(&value?)))
    });
    let took = format!("<dt>took</dt><dd>{}</dd>\n", spelled(rollout.duration.as_secs()));
    format!("<dl>\n{}{took}</dl>\n", rows.collect::<String>())
}

fn objects(objects: &[ObjectReport]) -> String {
    let row = |object: &ObjectReport| match &object.health {
        Some(health) => format!(
            "<tr><td>{}</td><td class=\"{}\">{}</td><td>{}</td></tr>\n",
            text(&object.id.to_string()),
            class(of_health(health.status)),
            health.status,
            prose(&health.message)
        ),
        None => format!("<tr><td>{}</td><td></td><td></td></tr>\n", text(&object.id.to_string())),
    };
    table("Objects", ["object", "health", "message"], objects.iter().map(row))
}

fn of_health(status: HealthStatus) -> Tone {
    match status {
        HealthStatus::Healthy => Tone::Good,
        HealthStatus::Progressing | HealthStatus::Suspended => Tone::Late,
        HealthStatus::Degraded | HealthStatus::Missing | HealthStatus::Unknown => Tone::Bad,
    }
}

fn pods(rollout: &RolloutReport) -> String {
    let row = |pod: &PodReport| {
        let (tone, ready) =
            if pod.ready { (Tone::Good, "ready") } else { (Tone::Bad, "not ready") };
        let restarts = match pod.restarts {
            0 => String::new(),
            1 => "<br>1 restart".to_owned(),
            restarts => format!("<br>{restarts} restarts"),
        };
        format!(
            "<tr><td>{} ({})</td><td class=\"{}\">{ready}{restarts}</td><td>{}</td></tr>\n",
            text(&pod.pod.name),
            text(&pod.container),
            class(tone),
            running(pod)
        )
    };
    table("Pods of the new revision", ["pod", "state", "runs"], rollout.pods.iter().map(row))
}

/// Returns the image that runs, and how it is known that it is the one that was promoted.
fn running(pod: &PodReport) -> String {
    let runs = if pod.image_id.is_empty() { &pod.image } else { &pod.image_id };
    let runs = format!("<code>{}</code>", text(runs));
    let Some(proof) = &pod.proof else { return runs };
    let Some(words) = words::of_proof(proof) else { return runs };
    let tone = match proof {
        Proof::Other { .. } => Tone::Bad,
        proof if proof.is_proven() => Tone::Good,
        _ => Tone::Late,
    };
    format!("{runs}<br><span class=\"{}\">{}</span>", class(tone), text(&words))
}

fn list(title: &str, sentences: &[String]) -> String {
    let items: String =
        sentences.iter().map(|sentence| format!("<li>{}</li>\n", prose(sentence))).collect();
    match items.is_empty() {
        true => items,
        false => format!("<h3>{title}</h3>\n<ul>\n{items}</ul>\n"),
    }
}

/// Returns a table, or nothing if there are no rows.
fn table(title: &str, head: [&str; 3], rows: impl ExactSizeIterator<Item = String>) -> String {
    let count = rows.len();
    if count == 0 {
        return String::new();
    }
    let head: String = head.iter().map(|name| format!("<th>{name}</th>")).collect();
    let more = match count.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("<tr><td>… and {more} more</td><td></td><td></td></tr>\n"),
    };
    let rows: String = rows.take(MOST_ROWS).collect();
    format!(
        "<h3>{title}</h3>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}{more}</tbody>\n</table>\n"
    )
}

/// Returns what others wrote as text in which what stands in backticks is code.
fn prose(said: &str) -> String {
    let parts: Vec<&str> = said.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text(said);
    }
    let parts = parts.iter().enumerate().map(|(at, part)| match at % 2 {
        0 => text(part),
        _ => format!("<code>{}</code>", text(part)),
    });
    parts.collect()
}

/// Returns what others wrote as text of the page, or of an attribute in double quotes.
fn text(text: &str) -> String {
    let mut escaped = String::new();
    for c in lines(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
