//! What GitHub answers, read within bounds.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use serde::Deserialize;
use serde_json::Value;

use super::wait::Refusal;

/// No answer that deployctl asks for is larger.
const MAX_BYTES: usize = 64 << 20;
/// A message is for people, who read no more of it.
const MAX_MESSAGE: usize = 1000;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Returns the whole answer, or why it broke off.
    pub(super) async fn read(
        response: Response<BoxBody<Bytes, octocrab::Error>>,
    ) -> Result<Self, String> {
        let (parts, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = stream.frame().await {
            let frame = frame.map_err(|error| cause(&error))?;
            let Ok(chunk) = frame.into_data() else { continue };
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("GitHub's answer is larger than {} MiB", MAX_BYTES >> 20));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status: parts.status.as_u16(), headers: parts.headers, body: body.into() })
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the number that the header `name` says.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    /// Returns what is known of it as a refusal; `now` is in seconds since 1970.
    pub(super) fn refusal<'a>(&self, message: &'a str, now: u64) -> Refusal<'a> {
        Refusal {
            status: Some(self.status),
            retry_after: self.number("retry-after"),
            remaining: self.number("x-ratelimit-remaining"),
            reset: self.number("x-ratelimit-reset").map(|reset| reset.saturating_sub(now)),
            message,
            unsent: false,
        }
    }

    /// Returns GitHub's message with the messages of its single errors, in one line, bounded.
    pub(super) fn message(&self) -> String {
        let said: Said = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut texts: Vec<String> = said.message.into_iter().collect();
        for detail in said.errors.as_array().into_iter().flatten() {
            let detail = match (detail.get("message"), detail.get("field")) {
                (Some(message), _) => message.as_str().map(ToOwned::to_owned),
                (None, Some(field)) => {
                    let code = detail.get("code").and_then(Value::as_str).unwrap_or("invalid");
                    field.as_str().map(|field| format!("`{field}` is {code}"))
                }
                _ => detail.as_str().map(ToOwned::to_owned),
            };
            texts.extend(detail);
        }
        match texts.is_empty() {
            true => "it gave no reason".to_owned(),
            false => one_line(&texts.join(": ")),
        }
    }
}

/// What an error says.
#[derive(Default, Deserialize)]
struct Said {
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

/// Returns `text` in one line, cut to what people read.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect()
}

/// Returns whether the connection was never made, so that nothing can have been carried out.
pub(super) fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    transport(error).is_some_and(reqwest::Error::is_connect)
}

/// Returns the innermost cause, which alone says what happened and has no URL in it.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    if transport(error).is_some_and(reqwest::Error::is_timeout) {
        return "GitHub gave no answer in time".to_owned();
    }
    let innermost = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let text = one_line(innermost.split(" for url").next().unwrap_or_default());
    match is_unsent(error) {
        true => format!("can't connect: {text}"),
        false => text,
    }
}

/// Returns the error of the connection that is behind `error`, if one is.
fn transport<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a reqwest::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Returns `error` and what is behind it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
