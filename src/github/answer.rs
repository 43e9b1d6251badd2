//! What GitHub answers, read within bounds.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderMap;
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
    pub(super) async fn read(mut response: Response) -> Result<Self, String> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("GitHub's answer is larger than {} MiB", MAX_BYTES >> 20));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, body: body.into() })
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

/// Returns the innermost cause, which alone says what happened and has no URL in it.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "GitHub gave no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let text = text.split(" for url").next().unwrap_or_default();
    match error.is_connect() {
        true => format!("can't connect: {}", one_line(text)),
        false => one_line(text),
    }
}
