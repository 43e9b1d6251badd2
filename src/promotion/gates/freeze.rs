//! `freeze`: windows of time in which an environment may, or may not, be changed.
//!
//! They work as the sync windows of Argo CD do: a window begins when its schedule says and lasts for
//! its duration; where one denies, nothing passes; where some allow, one of them must be on.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use crate::argocd::{Schedule, ScheduleError, UnknownTimeZone, Window, time_zone};

use super::{Said, said};

/// The gate `freeze`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The time zone of the schedules.
    pub time_zone: TimeZone,
    /// When changes may pass; always, if there are none.
    pub allow: Vec<Window>,
    /// When they may not.
    pub deny: Vec<Window>,
}

/// A search for the moment at which it opens takes no more steps than this.
const MOST_STEPS: usize = 1000;

impl Freeze {
    pub(super) fn judge(&self, now: Timestamp) -> Said {
        match self.state(now) {
            Ok(why) => Said::open(why),
            Err(why) => Said { opens_at: self.opens_after(now), ..Said::closed(why) },
        }
    }

    /// Returns why changes pass at `at`, or why they do not.
    fn state(&self, at: Timestamp) -> Result<String, String> {
        let on = |windows: &'_ [Window]| -> Option<String> {
            let on = windows.iter().find(|window| window.end(at, &self.time_zone).is_some());
            on.map(|window| told(window, &self.time_zone))
        };
        if let Some(window) = on(&self.deny) {
            return Err(format!("denied from {window}"));
        }
        match on(&self.allow) {
            Some(window) => Ok(format!("allowed from {window}")),
            None if self.allow.is_empty() => Ok("no window denies it".to_owned()),
            None => Err("no window allows it".to_owned()),
        }
    }

    /// Returns when changes pass after `at`, at which they do not.
    fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        let changes = std::iter::successors(Some(at), |at| self.next_change(*at));
        changes.take(MOST_STEPS).find(|at| self.state(*at).is_ok())
    }

    /// Returns the next time at which a window begins or ends.
    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let windows = self.allow.iter().chain(&self.deny);
        windows.filter_map(|window| window.next_change(at, &self.time_zone)).min()
    }
}

fn told(window: &Window, zone: &TimeZone) -> String {
    let zone = zone.iana_name().unwrap_or("UTC");
    format!("`{}` for {} ({zone})", window.schedule.as_str(), said(window.duration))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::promotion::facts::Facts;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::line;

    fn windows(texts: &[(&str, i64)]) -> Vec<Window> {
        let window = |&(schedule, hours): &(&str, i64)| Window {
            schedule: schedule.parse().unwrap(),
            duration: SignedDuration::from_hours(hours),
        };
        texts.iter().map(window).collect()
    }

    fn said(zone: &str, allow: &[(&str, i64)], deny: &[(&str, i64)], at: &str) -> String {
        let time_zone = time_zone(zone).unwrap();
        let (allow, deny) = (windows(allow), windows(deny));
        let facts = Facts::new(at.parse().unwrap(), None, Vec::new());
        line(&Gate::Freeze(Freeze { time_zone, allow, deny }), &facts)
    }

    /// The weekend: Friday 18:00 to Monday 08:00.
    const WEEKEND: &[(&str, i64)] = &[("0 18 * * FRI", 62)];

    #[test]
    fn a_window_goes_over_midnight_and_the_weekend() {
        let closed =
            "closed: denied from `0 18 * * FRI` for 62h (Europe/Berlin) [2026-11-23T07:00:00Z]";
        for (at, expected) in [
            ("2026-11-20T16:59:59Z", "open: no window denies it"),
            ("2026-11-20T17:00:00Z", closed),
            ("2026-11-21T00:00:00Z", closed),
            ("2026-11-22T12:00:00Z", closed),
            ("2026-11-23T06:59:59.9Z", closed),
            ("2026-11-23T07:00:00Z", "open: no window denies it"),
        ] {
            assert_eq!(said("Europe/Berlin", &[], WEEKEND, at), expected, "{at}");
        }
    }

    #[test]
    fn hours_pass_while_clocks_are_set() {
        // Clocks go back on 2026-10-25 and forward on 2026-03-29, both a Sunday.
        for (at, opens_at) in [
            ("2026-10-24T12:00:00Z", "2026-10-26T06:00:00Z"),
            ("2026-03-28T12:00:00Z", "2026-03-30T07:00:00Z"),
            ("2026-11-21T12:00:00Z", "2026-11-23T07:00:00Z"),
        ] {
            let said = said("Europe/Berlin", &[], WEEKEND, at);
            assert!(said.ends_with(&format!("[{opens_at}]")), "{at}: {said}");
        }
    }

    #[test]
    fn a_schedule_is_read_in_its_zone() {
        let nine = &[("0 9 * * 1-5", 8)];
        let at = "2026-11-23T01:00:00Z";
        assert_eq!(
            said("Asia/Tokyo", nine, &[], at),
            "open: allowed from `0 9 * * 1-5` for 8h (Asia/Tokyo)"
        );
        assert_eq!(
            said("America/New_York", nine, &[], at),
            "closed: no window allows it [2026-11-23T14:00:00Z]"
        );
        // In summer the same hour of the day is another one of UTC.
        assert_eq!(
            said("America/New_York", nine, &[], "2026-07-19T12:00:00Z"),
            "closed: no window allows it [2026-07-20T13:00:00Z]"
        );
    }

    #[test]
    fn what_denies_goes_before_what_allows() {
        let (days, noon) = (&[("0 8 * * *", 10)], &[("0 12 * * *", 1), ("30 12 * * *", 2)]);
        for (at, expected) in [
            ("2026-11-22T07:00:00Z", "closed: no window allows it [2026-11-22T08:00:00Z]"),
            ("2026-11-22T08:00:00Z", "open: allowed from `0 8 * * *` for 10h (UTC)"),
            (
                "2026-11-22T12:10:00Z",
                "closed: denied from `0 12 * * *` for 1h (UTC) [2026-11-22T14:30:00Z]",
            ),
            ("2026-11-22T14:30:00Z", "open: allowed from `0 8 * * *` for 10h (UTC)"),
            ("2026-11-22T18:00:00Z", "closed: no window allows it [2026-11-23T08:00:00Z]"),
        ] {
            assert_eq!(said("UTC", days, noon, at), expected, "{at}");
        }
    }

    #[test]
    fn windows_that_follow_one_another_are_one() {
        let hours = &[("0 * * * *", 1)];
        let forever = "closed: denied from `0 * * * *` for 1h (UTC)";
        assert_eq!(said("UTC", &[], hours, "2026-11-22T12:10:00Z"), forever);
        let year = &[("0 0 1 1 *", 24 * 30)];
        assert_eq!(
            said("UTC", year, &[], "2026-11-22T12:10:00Z"),
            "closed: no window allows it [2027-01-01T00:00:00Z]"
        );
    }
}
