//! `soak`: the environment that the image comes from has had it for a while.

use jiff::SignedDuration;

use super::{Said, said};
use crate::promotion::policy::{Facts, ServiceFacts};

/// The gate `soak`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soak {
    /// For how long.
    pub time: SignedDuration,
}

impl Soak {
    pub(super) fn judge(self, service: &ServiceFacts, facts: &Facts) -> Said {
        let since = match &service.since {
            Ok(since) => since,
            Err(reason) => return Said::unknown(reason),
        };
        let from = facts.from.as_deref().unwrap_or("nowhere");
        let what = if since.is_verified { "verified" } else { "stated" };
        // Clocks differ: what began in the future has only just begun.
        let begin = since.at.min(facts.now);
        let passed = facts.now.duration_since(begin);
        if passed >= self.time {
            return Said::open(format!("{what} in {from} for {}", said(passed)));
        }
        let why = format!("{} of {} {what} in {from}", said(passed), said(self.time));
        Said { opens_at: begin.checked_add(self.time).ok(), ..Said::closed(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{line, service};
    use crate::promotion::policy::Since;

    fn said(since: Result<&str, &str>) -> String {
        let since = since.map(|at| Since { at: at.parse().unwrap(), is_verified: false });
        let service = ServiceFacts { since: since.map_err(str::to_owned), ..service() };
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), vec![service]);
        line(&Gate::Soak(Soak { time: SignedDuration::from_mins(30) }), &facts)
    }

    #[test]
    fn it_opens_when_the_time_has_passed_to_the_second() {
        for (since, expected) in [
            ("2026-11-22T11:00:00Z", "open: stated in dev for 1h"),
            ("2026-11-22T11:30:00Z", "open: stated in dev for 30m"),
            ("2026-11-22T11:30:01Z", "closed: 29m of 30m stated in dev [2026-11-22T12:00:01Z]"),
            ("2026-11-22T11:48:00Z", "closed: 12m of 30m stated in dev [2026-11-22T12:18:00Z]"),
            ("2026-11-22T12:00:00Z", "closed: 0s of 30m stated in dev [2026-11-22T12:30:00Z]"),
            ("2026-11-22T19:00:00Z", "closed: 0s of 30m stated in dev [2026-11-22T12:30:00Z]"),
        ] {
            assert_eq!(said(Ok(since)), expected, "{since}");
        }
        assert_eq!(said(Err("the history is cut off")), "unknown: the history is cut off");
    }
}
