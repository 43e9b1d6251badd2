//! What a registry says when it does not do what it was asked, made fit for a message: short, on
//! one line, and without anything secret.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::failure::Failure;
use crate::image::ImageName;
use crate::system;

/// The longest error body that is read, and the longest message that is made of it.
const BODY_MAX: usize = 16 << 10;
const MESSAGE_MAX: usize = 300;

/// The error body of the distribution specification ("Error Codes").
#[derive(Deserialize)]
struct Body {
    errors: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    code: String,
    #[serde(default)]
    message: String,
}

/// An answer that is not the one hoped for.
pub(super) struct Refusal {
    /// The status.
    pub(super) status: StatusCode,
    /// Status and the registry's words.
    pub(super) words: String,
    /// The body, as it came.
    pub(super) body: String,
    /// How long to wait before asking again, if the registry said so.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads what `response` says.
    pub(super) async fn read(response: Response) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let limit = (status == StatusCode::TOO_MANY_REQUESTS).then(|| limit(response.headers()));
        let body = read_body(response, BODY_MAX).await.unwrap_or_else(|_| Bytes::new());
        let body = String::from_utf8_lossy(&body).into_owned();
        let reason = status.canonical_reason().unwrap_or("unknown status");
        let mut words = format!("{} {reason}", status.as_u16());
        let said = said(&body);
        if !said.is_empty() {
            words = format!("{words}: {said}");
        }
        if let Some(limit) = limit.flatten() {
            words = format!("{words}; {limit}");
        }
        if let Some(advice) = advice(status) {
            words = format!("{words}; {advice}");
        }
        Self { status, words, body, retry_after }
    }
}

/// Returns how long the registry wants to be left alone: seconds, or until a date (RFC 9110,
/// section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date - system::now()).unwrap_or_default())
}

/// Returns what Docker Hub says about its limit on pulls: so many in so many seconds.
fn limit(headers: &HeaderMap) -> Option<String> {
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        let (count, window) = text.split_once(';').unwrap_or((text, ""));
        let seconds = window.trim().strip_prefix("w=").and_then(|text| text.parse().ok());
        Some((count.trim().parse::<u64>().ok()?, seconds))
    };
    let (all, window) = number("ratelimit-limit")?;
    let window =
        window.map_or_else(String::new, |seconds: u64| format!(" in {} hours", seconds / 3600));
    let left = number("ratelimit-remaining").map_or(0, |(left, _)| left);
    Some(format!("{left} of {all} pulls{window} are left; a login raises the limit"))
}

/// Returns what to do about a status whose name does not say it.
fn advice(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Some(
            "the registry, or a proxy in front of it, takes no requests of that size: raise its limit (nginx: `client_max_body_size`)",
        ),
        StatusCode::INSUFFICIENT_STORAGE => Some("the registry is full"),
        _ => None,
    }
}

/// Why a body was not read.
pub(super) enum BodyError {
    /// It broke off.
    Cut(reqwest::Error),
    /// It is longer than this many bytes.
    TooLong(usize),
}

impl BodyError {
    /// Returns the failure of a request to the registry of `name`.
    pub(super) fn into_failure(self, name: &ImageName) -> Failure {
        match self {
            Self::Cut(error) => Failure::transport(name, &error),
            Self::TooLong(max) => {
                Failure::answer(name, format!("the answer is longer than {max} bytes"))
            }
        }
    }
}

/// Returns the body, or why it can't be read; a longer one than `max` is an error.
pub(super) async fn read_body(mut response: Response, max: usize) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Cut)? {
        if body.len() + chunk.len() > max {
            return Err(BodyError::TooLong(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn said(body: &str) -> String {
    let text = match serde_json::from_str::<Body>(body) {
        Ok(body) => {
            let items = body.errors.iter().map(|item| format!("{} {}", item.code, item.message));
            items.collect::<Vec<_>>().join("; ")
        }
        // A page of a proxy in between says nothing that a status does not.
        Err(_) if body.trim_start().starts_with('<') => return String::new(),
        Err(_) => body.to_owned(),
    };
    let one_line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_MAX).collect();
    one_line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn a_pause_comes_in_seconds_or_as_a_date() {
        let after = |text: &str| retry_after(&headers(&[("retry-after", text)]));
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(90);
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        let wait = after(&printer.timestamp_to_rfc9110_string(&soon).unwrap()).unwrap();
        assert!((60..=90).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn docker_hubs_limit_is_told() {
        let headers =
            headers(&[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")]);
        let expected = "0 of 100 pulls in 6 hours are left; a login raises the limit";
        assert_eq!(limit(&headers).as_deref(), Some(expected));
        assert_eq!(limit(&HeaderMap::new()), None);
    }

    #[test]
    fn the_registrys_words_fit_on_a_line() {
        let body = r#"{"errors":[{"code":"DENIED","message":"requested access\nis denied"}]}"#;
        assert_eq!(said(body), "DENIED requested access is denied");
        assert_eq!(said("no\u{1b}[31m json"), "no [31m json");
        assert_eq!(said("<html>"), "");
        assert_eq!(said(&"x".repeat(9999)).len(), MESSAGE_MAX);
    }
}
