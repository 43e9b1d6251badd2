//! When to stop waiting: a function of what was seen and when.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::VerifyOptions;
use super::report::RolloutVerdict;
use super::settle::{Look, Settled, Settling};
use super::standing::Standing;
use crate::k8s::ObjectId;
use crate::rollout::{CauseKind, Gravity, RootCause};

/// How long something that may recover may last. Pod disruptions and rolling nodes show as Degraded
/// for a moment, see Argo CD issues 20171 and 26173.
const RECOVERY: Duration = Duration::from_secs(30);

/// How long the metrics of an autoscaler and the pods of a disruption budget may take; Argo CD calls
/// both Degraded meanwhile, at each rollout.
const SLOW_RECOVERY: Duration = Duration::from_secs(180);

/// How patient to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long to wait in all.
    pub(super) timeout: Duration,
    /// How long health must last before it counts.
    pub(super) settle: Duration,
    /// Whether what nothing but a change mends ends the wait.
    pub(super) fail_fast: bool,
}

impl Limits {
    pub(super) fn of(options: &VerifyOptions<'_>) -> Self {
        let VerifyOptions { timeout, settle, fail_fast, .. } = *options;
        Self { timeout, settle, fail_fast }
    }
}

/// What one look showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) standing: &'a Standing,
    pub(super) cause: Option<&'a RootCause>,
    /// How often containers were restarted so far.
    pub(super) restarts: i64,
    /// The last restart, in words.
    pub(super) last_restart: Option<&'a str>,
}

/// How patient a verification still is.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Limits,
    end: Timestamp,
    settling: Option<Settling>,
    bad_since: Option<Timestamp>,
    cause_since: Option<(CauseKind, ObjectId, Timestamp)>,
    grace_end: Option<Timestamp>,
}

impl Patience {
    pub(super) fn new(start: Timestamp, limits: Limits) -> Self {
        let end = start.saturating_add(signed(limits.timeout)).unwrap_or(Timestamp::MAX);
        Self { limits, end, settling: None, bad_since: None, cause_since: None, grace_end: None }
    }

    /// Returns whether the time is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end
    }

    /// Returns whether all was well the last time.
    pub(super) fn is_settling(&self) -> bool {
        self.settling.as_ref().is_some_and(Settling::is_well)
    }

    /// Returns how long to rest before the next look at the latest: no longer than until something is
    /// decided though nothing changes, so that what has lasted is not seen a whole `interval` late.
    pub(super) fn rest(&self, interval: Duration, now: Timestamp) -> Duration {
        let settled = self.settling.as_ref().and_then(Settling::end);
        let ends = [Some(self.end), settled, self.grace_end].into_iter().flatten();
        let until = |end: Timestamp| Duration::try_from(end.duration_since(now)).ok();
        // What is over already was decided at the last look.
        let next = ends.filter_map(until).filter(|rest| !rest.is_zero()).min();
        next.map_or(interval, |rest| interval.min(rest))
    }

    /// Forgets what lasted: nobody knows what happened while nothing was seen.
    pub(super) fn interrupt(&mut self) {
        if let Some(settling) = &mut self.settling {
            settling.interrupt();
        }
        (self.bad_since, self.cause_since, self.grace_end) = (None, None, None);
    }

    /// Returns the verdict and its reason, or `None` if it is worth waiting on.
    pub(super) fn decide(
        &mut self,
        seen: Seen<'_>,
        now: Timestamp,
    ) -> Option<(RolloutVerdict, String)> {
        let settled = self.settled(seen, now);
        if let Some(end) = settled {
            return Some(end);
        }
        let (reason, is_final) = match seen.standing {
            Standing::Good => {
                (self.bad_since, self.cause_since, self.grace_end) = (None, None, None);
                return None;
            }
            Standing::Waiting { reason } => {
                self.bad_since = None;
                (reason, false)
            }
            Standing::Bad { reason, is_final } => {
                let recovery = recovery(seen.cause);
                (reason, self.lasts(*is_final, recovery, now))
            }
        };
        let is_fatal = self.is_fatal(seen.cause, now);
        let told = seen.cause.map_or(reason, |cause| &cause.summary);
        let is_lost = is_fatal || is_final;
        if is_lost && self.limits.fail_fast {
            return Some((RolloutVerdict::Degraded, told.clone()));
        }
        let verdict = if is_lost { RolloutVerdict::Degraded } else { RolloutVerdict::TimedOut };
        let late = || format!("not done after {}: {told}", spelled(self.limits.timeout));
        self.is_over(now).then(|| (verdict, late()))
    }

    fn settled(&mut self, seen: Seen<'_>, now: Timestamp) -> Option<(RolloutVerdict, String)> {
        let trouble = match seen.standing {
            Standing::Good => None,
            Standing::Waiting { reason } | Standing::Bad { reason, .. } => Some(reason.as_str()),
        };
        if self.settling.is_none() && trouble.is_none() {
            self.settling = Some(Settling::new(self.limits.settle, seen.restarts, now));
        }
        let settling = self.settling.as_mut()?;
        let (restarts, last_restart) = (seen.restarts, seen.last_restart);
        match settling.observe(Look { trouble, restarts, last_restart }, now)? {
            Settled::Well => Some((RolloutVerdict::Healthy, "live and healthy".to_owned())),
            Settled::Not(why) if self.limits.fail_fast => {
                let because = seen.cause.map(|cause| format!(": {}", cause.summary));
                Some((RolloutVerdict::Degraded, why + &because.unwrap_or_default()))
            }
            Settled::Not(_) => {
                settling.begin_anew(restarts, now);
                None
            }
        }
    }

    fn lasts(&mut self, is_final: bool, recovery: Duration, now: Timestamp) -> bool {
        let since = *self.bad_since.get_or_insert(now);
        is_final || now.duration_since(since) >= signed(recovery)
    }

    fn is_fatal(&mut self, cause: Option<&RootCause>, now: Timestamp) -> bool {
        let known = self.cause_since.take();
        self.grace_end = None;
        let Some(cause) = cause else { return false };
        let Gravity::Fatal { grace } = cause.gravity else { return false };
        let same = |(kind, workload, _): &(CauseKind, ObjectId, Timestamp)| {
            *kind == cause.kind && *workload == cause.workload
        };
        let since = known.filter(same).map_or(now, |(.., since)| since);
        self.cause_since = Some((cause.kind, cause.workload.clone(), since));
        self.grace_end = since.checked_add(signed(grace)).ok();
        now.duration_since(since) >= signed(grace)
    }
}

fn recovery(cause: Option<&RootCause>) -> Duration {
    match cause.map(|cause| cause.kind) {
        Some(CauseKind::Autoscaler | CauseKind::DisruptionBudget) => SLOW_RECOVERY,
        _ => RECOVERY,
    }
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Returns `10m`, `45s`, `1m30s`.
pub(super) fn spelled(duration: Duration) -> String {
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
        let (timeout, settle) = (Duration::from_secs(600), Duration::from_secs(10));
        Patience::new(at(0), Limits { timeout, settle, fail_fast: true })
    }

    fn patient() -> Patience {
        let mut patience = patience();
        patience.limits.fail_fast = false;
        patience
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

    fn bad(is_final: bool) -> Standing {
        Standing::Bad { reason: "Degraded".into(), is_final }
    }

    fn decide(
        patience: &mut Patience,
        standing: &Standing,
        cause: Option<&RootCause>,
        restarts: i64,
        second: i64,
    ) -> Option<(RolloutVerdict, String)> {
        let last_restart = Some("container `web` was restarted");
        patience.decide(Seen { standing, cause, restarts, last_restart }, at(second))
    }

    #[test]
    fn health_counts_after_a_while() {
        let mut patience = patience();
        assert_eq!(decide(&mut patience, &Standing::Good, None, 1, 0), None);
        assert_eq!(decide(&mut patience, &Standing::Good, None, 1, 9), None);
        let (verdict, _) = decide(&mut patience, &Standing::Good, None, 1, 10).unwrap();
        assert_eq!(verdict, RolloutVerdict::Healthy);
    }

    #[test]
    fn nobody_rests_longer_than_until_something_is_decided() {
        let (second, at_millis) =
            (Duration::from_secs(1), |millis| Timestamp::from_millisecond(millis).unwrap());
        let mut patience = patience();
        assert_eq!(patience.rest(second, at(0)), second);
        assert_eq!(patience.rest(second, at_millis(599_700)), Duration::from_millis(300));
        assert_eq!(decide(&mut patience, &Standing::Good, None, 0, 0), None);
        assert_eq!(patience.rest(second, at_millis(8_500)), second);
        assert_eq!(patience.rest(second, at_millis(9_600)), Duration::from_millis(400));
        patience.interrupt();
        assert_eq!(patience.rest(second, at_millis(9_600)), second);
        let (mut patience, cause) = (self::patience(), cause(Some(5)));
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 1), None);
        assert_eq!(patience.rest(second, at_millis(5_900)), Duration::from_millis(100));
        assert_eq!(decide(&mut patience, &waiting(), None, 0, 5), None);
        assert_eq!(patience.rest(second, at_millis(5_900)), second);
    }

    #[test]
    fn a_restart_soon_after_health_is_a_failure_and_its_cause_is_told() {
        let mut patience = patience();
        assert_eq!(decide(&mut patience, &Standing::Good, None, 0, 0), None);
        let end = decide(&mut patience, &waiting(), Some(&cause(None)), 1, 5);
        let reason =
            "it was healthy at 00:00:00 UTC, and then container `web` was restarted: it crashes";
        assert_eq!(end, Some((RolloutVerdict::Degraded, reason.to_owned())));
        // Whoever wants to wait gets a new window.
        let mut patience = patient();
        assert_eq!(decide(&mut patience, &Standing::Good, None, 0, 0), None);
        assert_eq!(decide(&mut patience, &Standing::Good, None, 1, 9), None);
        assert_eq!(decide(&mut patience, &Standing::Good, None, 1, 15), None);
        let (verdict, _) = decide(&mut patience, &Standing::Good, None, 1, 19).unwrap();
        assert_eq!(verdict, RolloutVerdict::Healthy);
    }

    #[test]
    fn a_fatal_cause_ends_the_wait_after_its_grace() {
        let (mut patience, cause) = (patience(), cause(Some(5)));
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 0), None);
        // It vanished in between, so its time starts anew.
        assert_eq!(decide(&mut patience, &waiting(), None, 0, 4), None);
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 6), None);
        let end = decide(&mut patience, &waiting(), Some(&cause), 0, 11);
        assert_eq!(end, Some((RolloutVerdict::Degraded, "it crashes".to_owned())));
    }

    #[test]
    fn without_fail_fast_a_fatal_cause_is_told_at_the_end() {
        let (mut patience, cause) = (patient(), cause(Some(5)));
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 0), None);
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 599), None);
        let end = decide(&mut patience, &waiting(), Some(&cause), 0, 600);
        let reason = "not done after 10m: it crashes".to_owned();
        assert_eq!(end, Some((RolloutVerdict::Degraded, reason)));
        assert_eq!(decide(&mut self::patient(), &bad(true), None, 0, 0), None);
    }

    #[test]
    fn a_transient_cause_waits_for_the_end_and_is_told_then() {
        let (mut patience, cause) = (patience(), cause(None));
        assert_eq!(decide(&mut patience, &waiting(), Some(&cause), 0, 599), None);
        let end = decide(&mut patience, &waiting(), Some(&cause), 0, 600);
        let reason = "not done after 10m: it crashes".to_owned();
        assert_eq!(end, Some((RolloutVerdict::TimedOut, reason)));
    }

    #[test]
    fn what_may_recover_has_half_a_minute() {
        let mut patience = patience();
        assert_eq!(decide(&mut patience, &bad(false), None, 0, 0), None);
        assert_eq!(decide(&mut patience, &waiting(), None, 0, 20), None);
        assert_eq!(decide(&mut patience, &bad(false), None, 0, 29), None);
        let end = decide(&mut patience, &bad(false), None, 0, 59).unwrap();
        assert_eq!(end.0, RolloutVerdict::Degraded);
        assert!(decide(&mut self::patience(), &bad(true), None, 0, 0).is_some());
    }

    #[test]
    fn an_autoscaler_has_the_time_that_metrics_take() {
        let mut patience = patience();
        let cause = RootCause { kind: CauseKind::Autoscaler, ..cause(Some(180)) };
        assert_eq!(decide(&mut patience, &bad(false), Some(&cause), 0, 0), None);
        assert_eq!(decide(&mut patience, &bad(false), Some(&cause), 0, 120), None);
        assert!(decide(&mut patience, &bad(false), Some(&cause), 0, 180).is_some());
    }
}
