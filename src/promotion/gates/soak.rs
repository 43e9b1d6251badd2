//! `soak`: the environment that the image comes from has had it for a while.
//!
//! The time counts from `verify`'s record, where there is one of this image since it was last stated;
//! else from the time of the commit that put it on the branch. That commit proves less: the image
//! began to run later, if at all, and whoever may push to the branch may write any time into it. So
//! the verdict says on what it rests. That the image is healthy now is what `healthy` asks; the two
//! together stand for "healthy now, and there for so long".

use jiff::SignedDuration;

use super::{Said, said};
use crate::promotion::facts::{Evidence, Facts, ServiceFacts};
use crate::promotion::minute;

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
        let began = minute(since.at);
        let (what, began) = match &since.evidence {
            Evidence::Verified => ("verified", format!("since {began}")),
            Evidence::Commit(id) => {
                let rests_on =
                    format!("time of commit {id}, not recorded as healthy by `verify` since");
                ("stated", format!("since {began} ({rests_on})"))
            }
        };
        // Clocks differ: what began in the future has only just begun.
        let begin = since.at.min(facts.now);
        let passed = facts.now.duration_since(begin);
        if passed >= self.time {
            return Said::open(format!("{what} in {from} for {}, {began}", said(passed)));
        }
        let why = format!("{} of {} {what} in {from}, {began}", said(passed), said(self.time));
        Said { opens_at: begin.checked_add(self.time).ok(), ..Said::closed(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::facts::Since;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{line, service};

    fn said(since: Result<&str, &str>, evidence: Evidence) -> String {
        let since = since.map(|at| Since { at: at.parse().unwrap(), evidence });
        let service = ServiceFacts { since: since.map_err(str::to_owned), ..service() };
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), vec![service]);
        line(&Gate::Soak(Soak { time: SignedDuration::from_mins(30) }), &facts)
    }

    #[test]
    fn it_opens_when_the_time_has_passed_to_the_second_and_says_what_it_rests_on() {
        for (since, expected, opens_at) in [
            ("2026-11-22T11:00:00Z", "open: stated in dev for 1h", ""),
            ("2026-11-22T11:30:00Z", "open: stated in dev for 30m", ""),
            ("2026-11-22T11:30:01Z", "closed: 29m of 30m stated in dev", " [2026-11-22T12:00:01Z]"),
            ("2026-11-22T11:48:00Z", "closed: 12m of 30m stated in dev", " [2026-11-22T12:18:00Z]"),
            ("2026-11-22T12:00:00Z", "closed: 0s of 30m stated in dev", " [2026-11-22T12:30:00Z]"),
            ("2026-11-22T19:00:00Z", "closed: 0s of 30m stated in dev", " [2026-11-22T12:30:00Z]"),
        ] {
            let began = format!("since 2026-11-22 {} UTC", &since[11..16]);
            let commit = "(time of commit 3f2a91c0d4e5, not recorded as healthy by `verify` since)";
            assert_eq!(
                said(Ok(since), Evidence::Commit("3f2a91c0d4e5".to_owned())),
                format!("{expected}, {began} {commit}{opens_at}")
            );
            assert_eq!(
                said(Ok(since), Evidence::Verified),
                format!("{}, {began}{opens_at}", expected.replace("stated", "verified"))
            );
        }
        let unknown = said(Err("the history is cut off"), Evidence::Verified);
        assert_eq!(unknown, "unknown: the history is cut off");
    }
}
