//! What went wrong with a request, and whether it may go well the next time.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;

use super::answer::Refusal;
use super::http::deepest;
use crate::image::ImageName;
use crate::registry::RegistryError;

/// An error, and whether it may go away by itself.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: RegistryError,
    pub(super) transient: bool,
    pub(super) retry_after: Option<Duration>,
    /// The status that the registry answered with, where that matters to whoever asked.
    pub(super) status: Option<StatusCode>,
}

impl Failure {
    /// Returns a failure that another try does not mend.
    pub(super) fn last(error: RegistryError) -> Self {
        Self { error, transient: false, retry_after: None, status: None }
    }

    /// Returns the failure of a registry that did not let in.
    pub(super) fn denied(name: &ImageName, reason: String) -> Self {
        let (registry, repository) = (name.domain().to_owned(), name.path().to_owned());
        Self::last(RegistryError::Denied { registry, repository, reason })
    }

    /// Returns the failure of a registry that answered what it must not.
    pub(super) fn answer(name: &ImageName, reason: String) -> Self {
        Self::last(RegistryError::Answer { registry: name.domain().to_owned(), reason })
    }

    /// Returns the failure of a registry that may do better later.
    pub(super) fn later(name: &ImageName, refusal: &Refusal) -> Self {
        Self {
            transient: true,
            retry_after: refusal.retry_after,
            status: Some(refusal.status),
            ..Self::answer(name, refusal.words.clone())
        }
    }

    /// Returns the failure of a registry that can't be asked at all.
    pub(super) fn unreachable(name: &ImageName, reason: String) -> Self {
        Self::last(RegistryError::Unreachable { registry: name.domain().to_owned(), reason })
    }

    /// Returns the failure of a connection.
    pub(super) fn transport(name: &ImageName, error: &reqwest::Error) -> Self {
        let reason = deepest(error);
        let hopeless = is_tls(error) || error.is_builder() || is_own_file(error);
        let transient = !hopeless && !is_unknown_host(&reason);
        Self { transient, ..Self::unreachable(name, reason) }
    }

    /// Returns the failure of a registry that does not answer in time.
    pub(super) fn silent(name: &ImageName) -> Self {
        Self { transient: true, ..Self::unreachable(name, "no answer in time".to_owned()) }
    }

    /// Returns the failure of something that took too long; `before` is what went wrong before.
    pub(super) fn late(name: &ImageName, within: Duration, before: Option<Self>) -> Self {
        let seconds = within.as_secs_f64();
        let mut reason = format!("it was not done within {seconds:.0} seconds");
        if let Some(
            RegistryError::Unreachable { reason: why, .. }
            | RegistryError::Answer { reason: why, .. },
        ) = before.map(|failure| failure.error)
        {
            reason = format!("{reason}; before that: {why}");
        }
        Self::unreachable(name, reason)
    }

    /// Returns the failure with what may be done about it.
    pub(super) fn with_advice(mut self, advice: &str) -> Self {
        if let RegistryError::Unreachable { reason, .. } = &mut self.error {
            *reason = format!("{reason}; {advice}");
        }
        self
    }

    /// Returns the failure with what it was about, and how often it was tried.
    pub(super) fn told(mut self, name: &ImageName, tries: u32) -> RegistryError {
        let times = if tries > 1 { format!(", tried {tries} times") } else { String::new() };
        if let RegistryError::Unreachable { reason, .. } | RegistryError::Answer { reason, .. } =
            &mut self.error
        {
            *reason = format!("{reason} (`{}`{times})", name.path());
        }
        self.error
    }
}

/// Returns whether a registry, or a proxy in front of it, may do better after this status: it is
/// busy, or something behind it is (499 is nginx's, 520 to 524 are Cloudflare's). What it does not
/// implement, or has no room for, it will not have the next time.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524)
}

/// Returns whether the other side's TLS is at fault, which does not pass.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // What an I/O error carries is not its source, but the thing itself.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(carried) => is_tls(carried),
        None => error.source().is_some_and(is_tls),
    }
}

/// Returns whether the resolver is sure that there is no such host, which only its text says.
fn is_unknown_host(reason: &str) -> bool {
    ["Name or service not known", "Name does not resolve", "nodename nor servname"]
        .iter()
        .any(|text| reason.contains(text))
}

/// Returns whether the bytes to send could not be read from their file.
fn is_own_file(error: &(dyn Error + 'static)) -> bool {
    error.is::<OwnFile>() || error.source().is_some_and(is_own_file)
}

/// That a file which is being sent can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read what is to be sent: {0}")]
pub(super) struct OwnFile(#[source] pub(super) std::io::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 429, 499, 500, 502, 503, 504, 522] {
            assert!(may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 413, 416, 501, 505, 507] {
            assert!(!may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn a_failure_says_what_it_was_about_and_how_often() {
        let name = "r.example.com/shop/web".parse().unwrap();
        let failure = Failure::answer(&name, "500 Internal Server Error".to_owned());
        let late = Failure::late(&name, Duration::from_secs(9), Some(failure));
        assert_eq!(
            late.told(&name, 3).to_string(),
            "can't reach registry `r.example.com`: it was not done within 9 seconds; before that: 500 Internal Server Error (`shop/web`, tried 3 times)"
        );
    }
}
