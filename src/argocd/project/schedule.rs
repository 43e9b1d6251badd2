//! When a window begins: the five fields of crontab(5), read in a time zone.

use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Points in time that come again and again: minute, hour, day of the month, month, day of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<i8>,
    months: Vec<i8>,
    /// 0 is Sunday.
    weekdays: Vec<i8>,
    /// Whether a day must fit in both ways, as one of them is `*`.
    fits_both: bool,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There are not five fields.
    #[error("`{0}` is not a schedule; expected five fields: minute hour day month weekday")]
    Fields(String),
    /// A field says nothing that it can mean.
    #[error("`{text}` is not a {field}; expected for example {example}")]
    Field {
        /// What it says.
        text: String,
        /// Which field.
        field: &'static str,
        /// What it could say.
        example: &'static str,
    },
    /// No day fits, such as 31 February.
    #[error("`{0}` never comes")]
    Never(String),
}

/// A field of a schedule.
struct Field {
    name: &'static str,
    example: &'static str,
    range: (i8, i8),
    names: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", example: "`0` or `*/15`", range: (0, 59), names: &[] },
    Field { name: "hour", example: "`18` or `8-17`", range: (0, 23), names: &[] },
    Field { name: "day of the month", example: "`1` or `*`", range: (1, 31), names: &[] },
    Field { name: "month", example: "`12` or `JAN-MAR`", range: (1, 12), names: MONTHS },
    // 7 is Sunday too.
    Field { name: "day of the week", example: "`5` or `MON-FRI`", range: (0, 7), names: WEEKDAYS },
];

/// A schedule comes at least once within so many days: 29 February may be eight years away.
const MOST_DAYS: usize = 8 * 366;

/// Clocks are set forward or back by less.
const MOST_SHIFT: i8 = 3;

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let parts: [&str; 5] =
            parts.try_into().map_err(|_| ScheduleError::Fields(text.to_owned()))?;
        let read = |index: usize| FIELDS[index].values(parts[index]);
        let mut weekdays: Vec<i8> = read(4)?.into_iter().map(|day| day % 7).collect();
        weekdays.sort_unstable();
        weekdays.dedup();
        let schedule = Self {
            text: parts.join(" "),
            minutes: read(0)?,
            hours: read(1)?,
            days: read(2)?,
            months: read(3)?,
            weekdays,
            // crontab(5): if both are restricted, a day that fits in either way fits.
            fits_both: parts[2].starts_with('*') || parts[4].starts_with('*'),
        };
        // 2096 to 2103 has no 29 February for eight years, so years around 2000 are looked at.
        let day = |date: &Date| schedule.fits(*date);
        let comes = dates(Date::constant(2000, 1, 1), 1).take(MOST_DAYS).any(|date| day(&date));
        if comes { Ok(schedule) } else { Err(ScheduleError::Never(schedule.text)) }
    }
}

impl Field {
    /// Returns the values that `text` stands for, in order.
    fn values(&self, text: &str) -> Result<Vec<i8>, ScheduleError> {
        let mut values = Vec::new();
        for part in text.split(',') {
            let part = self.part(part).ok_or_else(|| ScheduleError::Field {
                text: text.to_owned(),
                field: self.name,
                example: self.example,
            })?;
            values.extend(part);
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    /// Returns the values of `*`, `a`, `a-b`, each of them with `/step`.
    fn part(&self, text: &str) -> Option<Vec<i8>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => self.range,
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            // `5/15` goes on to the end, as cron has it.
            None if step.is_some() => (self.value(range)?, self.range.1),
            None => (self.value(range)?, self.value(range)?),
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (first <= last).then(|| (first..=last).step_by(step).collect())
    }

    fn value(&self, text: &str) -> Option<i8> {
        let name = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match name {
            Some(index) => i8::try_from(index).ok()? + self.range.0,
            None => number(text)?,
        };
        (self.range.0..=self.range.1).contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<i8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Schedule {
    /// Returns the schedule as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the last of its points that is not after `at` and not before `oldest`.
    pub fn last(&self, at: Timestamp, oldest: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let first_date = zone.to_datetime(oldest).date().yesterday().ok()?;
        let now = zone.to_datetime(at);
        let latest = now.checked_add(MOST_SHIFT.hours()).ok()?;
        let dates = dates(latest.date(), -1).take_while(|date| *date >= first_date);
        for date in dates.filter(|date| self.fits(*date)) {
            let times = self.times().rev();
            let times = times.filter(|time| date.to_datetime(*time) <= latest);
            let mut points = times.filter_map(|time| point(date, time, zone));
            if let Some(found) = points.find(|point| *point <= at) {
                return (found >= oldest).then_some(found);
            }
        }
        None
    }

    /// Returns the first of its points after `at`.
    pub fn next(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let earliest = zone.to_datetime(at).checked_sub(MOST_SHIFT.hours()).ok()?;
        let dates = dates(earliest.date(), 1).take(2 * MOST_DAYS);
        let points = dates.filter(|date| self.fits(*date)).flat_map(|date| {
            let times = self.times().filter(move |time| date.to_datetime(*time) >= earliest);
            times.filter_map(move |time| point(date, time, zone))
        });
        let mut points = points;
        points.find(|point| *point > at)
    }

    fn fits(&self, date: Date) -> bool {
        let day = self.days.contains(&date.day());
        let weekday = self.weekdays.contains(&date.weekday().to_sunday_zero_offset());
        let fits = if self.fits_both { day && weekday } else { day || weekday };
        fits && self.months.contains(&date.month())
    }

    /// Returns the times of a day, in order.
    fn times(&self) -> impl DoubleEndedIterator<Item = Time> + '_ {
        let of = |&hour: &i8| {
            self.minutes.iter().filter_map(move |&minute| Time::new(hour, minute, 0, 0).ok())
        };
        self.hours.iter().flat_map(of)
    }
}

/// Returns `first` and the days after it, or before it where `step` is -1.
fn dates(first: Date, step: i32) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), move |date| date.checked_add(step.days()).ok())
}

/// Returns when clocks in `zone` first show `time` on `date`. Of a time that they skip it is the
/// moment at which they do: what begins then must not be left out for a day.
fn point(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let point = ambiguous.compatible().ok()?;
    if !is_gap {
        return Some(point);
    }
    let after = point.checked_add(SignedDuration::from_secs(1)).ok()?;
    zone.preceding(after).next().map(|transition| transition.timestamp())
}

#[cfg(test)]
mod tests {
    use super::super::window::time_zone;
    use super::*;

    fn next(schedule: &str, zone: &str, at: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let zone = time_zone(zone).unwrap();
        let mut at: Timestamp = at.parse().unwrap();
        let step = |_| {
            at = schedule.next(at, &zone).unwrap();
            assert_eq!(schedule.last(at, at, &zone), Some(at));
            at.to_zoned(zone.clone()).strftime("%a %F %R %Z").to_string()
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn fields_mean_what_crontab_says() {
        let at = "2026-11-22T12:00:00Z";
        for (schedule, expected) in [
            ("0 18 * * 5", "Fri 2026-11-27 18:00 UTC"),
            ("*/15 * * * *", "Sun 2026-11-22 12:15 UTC"),
            ("5/20 12 * * *", "Sun 2026-11-22 12:05 UTC"),
            ("0 9-17/4 * * MON-FRI", "Mon 2026-11-23 09:00 UTC"),
            ("0 0 * * 7", "Sun 2026-11-29 00:00 UTC"),
            ("0 0 24,31 dec *", "Thu 2026-12-24 00:00 UTC"),
            ("0 0 29 2 *", "Tue 2028-02-29 00:00 UTC"),
            ("0 0 13 * FRI", "Fri 2026-11-27 00:00 UTC"),
            ("0 0 */2 * FRI", "Fri 2026-11-27 00:00 UTC"),
            ("0 0 31 * *", "Thu 2026-12-31 00:00 UTC"),
        ] {
            assert_eq!(next(schedule, "UTC", at, 1), [expected], "{schedule}");
        }
    }

    #[test]
    fn clocks_that_are_set_forward_or_back_leave_nothing_out_and_double_nothing() {
        // In Berlin clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
            ["Sat 2026-03-28 02:30 CET", "Sun 2026-03-29 03:00 CEST", "Mon 2026-03-30 02:30 CEST"]
        );
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["Sun 2026-10-25 02:30 CEST", "Mon 2026-10-26 02:30 CET"]
        );
        assert_eq!(
            next("0 0-4 * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3),
            ["Sun 2026-10-25 02:00 CEST", "Sun 2026-10-25 03:00 CET", "Sun 2026-10-25 04:00 CET"]
        );
        assert_eq!(
            next("0 1-3 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2),
            ["Sun 2026-03-29 03:00 CEST", "Mon 2026-03-30 01:00 CEST"]
        );
    }

    #[test]
    fn a_day_that_a_zone_skips_begins_with_the_next() {
        // Samoa went over the date line: there was no 2011-12-30.
        assert_eq!(
            next("0 0 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", 1),
            ["Sat 2011-12-31 00:00 +14"]
        );
    }

    #[test]
    fn what_is_no_schedule_says_what_would_be() {
        for (text, expected) in [
            ("0 18 * *", "`0 18 * *` is not a schedule; expected five fields"),
            ("0 0 18 * * 5", "`0 0 18 * * 5` is not a schedule"),
            ("60 * * * *", "`60` is not a minute; expected for example `0` or `*/15`"),
            ("0 24 * * *", "`24` is not a hour"),
            ("0 0 0 * *", "`0` is not a day of the month"),
            ("0 0 * 13 *", "`13` is not a month"),
            ("0 0 * * 8", "`8` is not a day of the week"),
            ("0 0 * * FRI-MON", "`FRI-MON` is not a day of the week"),
            ("*/0 * * * *", "`*/0` is not a minute"),
            ("+5 * * * *", "`+5` is not a minute"),
            ("1,,2 * * * *", "`1,,2` is not a minute"),
            ("@daily", "`@daily` is not a schedule"),
            ("0 0 31 2 *", "`0 0 31 2 *` never comes"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            failure_persistence: None,
            ..Default::default()
        })]
        #[test]
        fn any_text_is_a_schedule_or_an_error(text in "[-*/,0-9a-z ]{0,20}") {
            let _ = text.parse::<Schedule>();
        }

        #[test]
        fn between_two_points_there_is_none(
            minute in 0..60, hour in 0..24, weekday in 0..7, at in 1_700_000_000_i64..1_900_000_000,
        ) {
            let schedule: Schedule = format!("{minute} {hour} * * {weekday}").parse().unwrap();
            let zone = time_zone("America/New_York").unwrap();
            let at = Timestamp::from_second(at).unwrap();
            let last = schedule.last(at, at - SignedDuration::from_hours(24 * 8), &zone).unwrap();
            let next = schedule.next(at, &zone).unwrap();
            proptest::prop_assert!(last <= at && at < next);
            proptest::prop_assert_eq!(schedule.next(last, &zone), Some(next));
            let hours = next.duration_since(last).as_secs() / 3600;
            proptest::prop_assert!((167..=169).contains(&hours));
        }
    }
}
