//! When a request is made again, and after how long: decided from what came of it, without a clock.

use std::time::Duration;

/// GitHub asks who is told of a secondary limit without a time to wait at least a minute.
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const UNTOLD: Duration = Duration::from_secs(60);
/// How often a request is made that fails for no reason of its own.
const ATTEMPTS: u32 = 4;

/// Why a request is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Again {
    /// A rate limit is used up. It was not carried out, whatever it was.
    Limited(Duration),
    /// GitHub, or the way to it, failed.
    Failed(Duration),
}

/// What is known of a request that came to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refusal<'a> {
    /// The HTTP status; `None` if there was no answer.
    pub(super) status: Option<u16>,
    /// `Retry-After`, in seconds.
    pub(super) retry_after: Option<u64>,
    /// `x-ratelimit-remaining`.
    pub(super) remaining: Option<u64>,
    /// `x-ratelimit-reset`, in seconds from now.
    pub(super) reset: Option<u64>,
    /// What GitHub said.
    pub(super) message: &'a str,
    /// Whether the connection was never made, so that nothing can have been carried out.
    pub(super) unsent: bool,
}

impl Refusal<'_> {
    /// Returns whether a rate limit is the reason.
    pub(super) fn is_limit(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        let says_so = message.contains("rate limit") || message.contains("abuse");
        match self.status {
            Some(429) => true,
            Some(403) => self.retry_after.is_some() || self.remaining == Some(0) || says_so,
            // GraphQL says it in an answer that is fine otherwise.
            Some(200) => says_so,
            _ => false,
        }
    }

    /// Returns whether the request of this attempt (from 1) is made again. `repeatable`: making it
    /// twice comes to the same as making it once.
    pub(super) fn again(&self, attempt: u32, repeatable: bool) -> Option<Again> {
        if self.is_limit() {
            return Some(Again::Limited(self.limited_for(attempt)));
        }
        let failed = self.status.is_none_or(|status| matches!(status, 500 | 502 | 503 | 504));
        let harmless = repeatable || self.unsent;
        (failed && harmless && attempt < ATTEMPTS).then(|| {
            let told = Duration::from_secs(self.retry_after.unwrap_or(0));
            Again::Failed(told.max(Duration::from_millis(250) * 2_u32.pow(attempt)))
        })
    }

    fn limited_for(&self, attempt: u32) -> Duration {
        let reset = self.reset.filter(|_| self.remaining == Some(0));
        match self.retry_after.or(reset) {
            // A second more, for clocks that differ.
            Some(seconds) => Duration::from_secs(seconds.saturating_add(1)),
            None => UNTOLD.saturating_mul(2_u32.saturating_pow(attempt - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(refusal: Refusal<'_>, repeatable: bool) -> Option<(bool, u64)> {
        refusal.again(1, repeatable).map(|again| match again {
            Again::Limited(time) => (true, time.as_secs()),
            Again::Failed(time) => (false, time.as_secs()),
        })
    }

    #[test]
    fn a_limit_is_waited_for_as_long_as_github_says() {
        let none = Refusal::default();
        let primary = Refusal {
            status: Some(403),
            remaining: Some(0),
            reset: Some(30),
            message: "API rate limit exceeded",
            ..none
        };
        assert_eq!(again(primary, false), Some((true, 31)));
        let secondary = Refusal { status: Some(429), retry_after: Some(7), ..primary };
        assert_eq!(again(secondary, false), Some((true, 8)));
        let untold = Refusal {
            status: Some(403),
            message: "You have exceeded a secondary rate limit.",
            ..none
        };
        assert_eq!(again(untold, false), Some((true, 60)));
        assert_eq!(
            again(Refusal { remaining: Some(12), reset: Some(9), ..untold }, false),
            again(untold, false)
        );
        let forbidden = Refusal { message: "Resource not accessible by integration", ..untold };
        assert_eq!(again(forbidden, true), None);
    }

    #[test]
    fn what_may_have_been_carried_out_is_not_repeated() {
        let failed = Refusal { status: Some(502), ..Refusal::default() };
        assert_eq!(again(failed, false), None);
        assert_eq!(again(failed, true), Some((false, 0)));
        assert_eq!(failed.again(ATTEMPTS, true), None);
        let silent = Refusal::default();
        assert_eq!(again(silent, false), None);
        assert_eq!(again(silent, true), Some((false, 0)));
        assert_eq!(again(Refusal { unsent: true, ..silent }, false), Some((false, 0)));
        let told = Refusal { retry_after: Some(5), status: Some(503), ..silent };
        assert_eq!(again(told, true), Some((false, 5)));
        assert_eq!(again(Refusal { status: Some(501), ..silent }, true), None);
    }
}
