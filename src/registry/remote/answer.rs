//! What a registry says when it does not do what it was asked, made fit for a message: short, on
//! one line, and without anything secret.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;

use super::transport::Failure;
use crate::image::ImageName;

/// The longest error body that is read, and the longest message that is made of it.
const BODY_MAX: usize = 16 << 10;
const MESSAGE_MAX: usize = 300;
/// A registry that wants to be left alone for longer is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

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
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = after.and_then(|value| value.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs).map(|wait| wait.min(RETRY_AFTER_MAX));
        let body = read_body(response, BODY_MAX).await.unwrap_or_else(|_| Bytes::new());
        let body = String::from_utf8_lossy(&body).into_owned();
        let reason = status.canonical_reason().unwrap_or("unknown status");
        let mut words = format!("{} {reason}", status.as_u16());
        let said = said(&body);
        if !said.is_empty() {
            words = format!("{words}: {said}");
        }
        Self { words, body, retry_after }
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

    #[test]
    fn the_registrys_words_fit_on_a_line() {
        let body = r#"{"errors":[{"code":"DENIED","message":"requested access\nis denied"}]}"#;
        assert_eq!(said(body), "DENIED requested access is denied");
        assert_eq!(said("no\u{1b}[31m json"), "no [31m json");
        assert_eq!(said("<html>"), "");
        assert_eq!(said(&"x".repeat(9999)).len(), MESSAGE_MAX);
    }
}
