//! When to stop waiting: a function of what was seen and when.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::report::RolloutVerdict;
use super::standing::Standing;
use crate::k8s::ObjectId;
use crate::rollout::{CauseKind, Gravity, RootCause};

/// How long something that may recover may last. Pod disruptions and rolling nodes show as Degraded
/// for a moment, see Argo CD issues 20171 and 26173.
const RECOVERY: Duration = Duration::from_secs(30);

/// How patient a verification still is.
#[derive(Debug)]
pub(super) struct Patience {
    end: Timestamp,
    timeout: Duration,
    settle: Duration,
    good_since: Option<(Timestamp, i64)>,
    bad_since: Option<Timestamp>,
    cause_since: Option<(CauseKind, ObjectId, Timestamp)>,
}

impl Patience {
    pub(super) fn new(start: Timestamp, timeout: Duration, settle: Duration) -> Self {
        let end = start.saturating_add(signed(timeout)).unwrap_or(Timestamp::MAX);
        Self { end, timeout, settle, good_since: None, bad_since: None, cause_since: None }
    }

    /// Returns whether the time is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end
    }

    /// Returns whether all was well the last time.
    pub(super) fn is_settling(&self) -> bool {
        self.good_since.is_some()
    }

    /// Forgets what lasted: nobody knows what happened while nothing was seen.
    pub(super) fn interrupt(&mut self) {
        (self.good_since, self.bad_since, self.cause_since) = (None, None, None);
    }

    /// Returns the verdict and its reason, or `None` if it is worth waiting on.
    pub(super) fn decide(
        &mut self,
        standing: &Standing,
        cause: Option<&RootCause>,
        restarts: i64,
        now: Timestamp,
    ) -> Option<(RolloutVerdict, String)> {
        let (reason, is_final) = match standing {
            Standing::Good => return self.settled(restarts, now),
            Standing::Waiting { reason } => (reason, false),
            Standing::Bad { reason, is_final } => (reason, self.lasts(*is_final, now)),
        };
        self.good_since = None;
        if matches!(standing, Standing::Waiting { .. }) {
            self.bad_since = None;
        }
        if let Some(cause) = cause.filter(|cause| self.is_fatal(cause, now)) {
            return Some((RolloutVerdict::Degraded, cause.summary.clone()));
        }
        if is_final {
            let reason = cause.map_or(reason, |cause| &cause.summary);
            return Some((RolloutVerdict::Degraded, reason.clone()));
        }
        if cause.is_none() {
            self.cause_since = None;
        }
        let told = cause.map_or(reason, |cause| &cause.summary);
        let late = || format!("not done after {}: {told}", spelled(self.timeout));
        self.is_over(now).then(|| (RolloutVerdict::TimedOut, late()))
    }

    fn settled(&mut self, restarts: i64, now: Timestamp) -> Option<(RolloutVerdict, String)> {
        (self.bad_since, self.cause_since) = (None, None);
        let (since, before) = *self.good_since.get_or_insert((now, restarts));
        if restarts != before {
            self.good_since = Some((now, restarts));
            return None;
        }
        let healthy = || (RolloutVerdict::Healthy, "live and healthy".to_owned());
        (now.duration_since(since) >= signed(self.settle)).then(healthy)
    }

    fn lasts(&mut self, is_final: bool, now: Timestamp) -> bool {
        let since = *self.bad_since.get_or_insert(now);
        is_final || now.duration_since(since) >= signed(RECOVERY)
    }

    fn is_fatal(&mut self, cause: &RootCause, now: Timestamp) -> bool {
        let Gravity::Fatal { grace } = cause.gravity else {
            self.cause_since = None;
            return false;
        };
        let same = |(kind, workload, _): &(CauseKind, ObjectId, Timestamp)| {
            *kind == cause.kind && *workload == cause.workload
        };
        let known = self.cause_since.take().filter(same);
        let since = known.map_or(now, |(.., since)| since);
        self.cause_since = Some((cause.kind, cause.workload.clone(), since));
        now.duration_since(since) >= signed(grace)
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn spelled(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn patience() -> Patience {
        Patience::new(at(0), Duration::from_secs(600), Duration::from_secs(10))
    }

    fn cause(grace: Option<u64>) -> RootCause {
        let gravity = grace.map_or(Gravity::Transient, |grace| Gravity::Fatal {
            grace: Duration::from_secs(grace),
        });
        let workload = ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "ranking".into(),
        };
        let summary = "it crashes".to_owned();
        let (advice, because, evidence) = (String::new(), String::new(), Vec::new());
        let kind = CauseKind::CrashLoop;
        RootCause { kind, workload, summary, advice, gravity, because, evidence }
    }

    fn waiting() -> Standing {
        Standing::Waiting { reason: "1 of 2 are updated".into() }
    }

    #[test]
    fn health_counts_after_a_while_without_a_restart() {
        let mut patience = patience();
        assert_eq!(patience.decide(&Standing::Good, None, 0, at(0)), None);
        assert_eq!(patience.decide(&Standing::Good, None, 1, at(9)), None);
        assert_eq!(patience.decide(&Standing::Good, None, 1, at(15)), None);
        let (verdict, _) = patience.decide(&Standing::Good, None, 1, at(19)).unwrap();
        assert_eq!(verdict, RolloutVerdict::Healthy);
    }

    #[test]
    fn a_fatal_cause_ends_the_wait_after_its_grace() {
        let mut patience = patience();
        assert_eq!(patience.decide(&waiting(), Some(&cause(Some(5))), 0, at(0)), None);
        // It vanished in between, so its time starts anew.
        assert_eq!(patience.decide(&waiting(), None, 0, at(4)), None);
        assert_eq!(patience.decide(&waiting(), Some(&cause(Some(5))), 0, at(6)), None);
        let end = patience.decide(&waiting(), Some(&cause(Some(5))), 0, at(11));
        assert_eq!(end, Some((RolloutVerdict::Degraded, "it crashes".to_owned())));
    }

    #[test]
    fn a_transient_cause_waits_for_the_end_and_is_told_then() {
        let mut patience = patience();
        assert_eq!(patience.decide(&waiting(), Some(&cause(None)), 0, at(599)), None);
        let end = patience.decide(&waiting(), Some(&cause(None)), 0, at(600));
        assert_eq!(
            end,
            Some((RolloutVerdict::TimedOut, "not done after 10m: it crashes".to_owned()))
        );
    }

    #[test]
    fn what_may_recover_has_half_a_minute() {
        let bad = |is_final| Standing::Bad { reason: "Degraded".into(), is_final };
        let mut patience = patience();
        assert_eq!(patience.decide(&bad(false), None, 0, at(0)), None);
        assert_eq!(patience.decide(&waiting(), None, 0, at(20)), None);
        assert_eq!(patience.decide(&bad(false), None, 0, at(29)), None);
        let end = patience.decide(&bad(false), None, 0, at(59)).unwrap();
        assert_eq!(end.0, RolloutVerdict::Degraded);
        assert!(self::patience().decide(&bad(true), None, 0, at(0)).is_some());
    }
}
