//! Whether health lasts: a restart in the first moments after it, or health that comes and goes, is a
//! failure of what was rolled out.

use std::time::Duration;

use jiff::Timestamp;

use super::patience::{signed, spelled};

/// What one look showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// What is not as it should be, or `None` if all is well.
    pub(super) trouble: Option<&'a str>,
    /// How often containers were restarted so far.
    pub(super) restarts: i64,
    /// The last restart, in words.
    pub(super) last_restart: Option<&'a str>,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// Health has lasted.
    Well,
    /// It has not, in a sentence.
    Not(String),
}

/// The time since all was well for the first time.
#[derive(Debug, Clone)]
pub(super) struct Settling {
    settle: Duration,
    first: Timestamp,
    since: Timestamp,
    is_well: bool,
    restarts: i64,
    lost: Vec<String>,
}

impl Settling {
    /// Returns what begins with the first look at which all was well.
    pub(super) fn new(settle: Duration, restarts: i64, now: Timestamp) -> Self {
        let (first, since) = (now, now);
        Self { settle, first, since, is_well: true, restarts, lost: Vec::new() }
    }

    /// Returns whether all was well the last time.
    pub(super) fn is_well(&self) -> bool {
        self.is_well
    }

    /// Returns when health will have lasted, or `None` if there is none now.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.is_well.then(|| self.since.checked_add(signed(self.settle)).ok()).flatten()
    }

    /// Forgets how long health lasts: nobody knows what happened while nothing was seen.
    pub(super) fn interrupt(&mut self) {
        self.is_well = false;
    }

    /// Lets the time begin anew.
    pub(super) fn begin_anew(&mut self, restarts: i64, now: Timestamp) {
        (self.since, self.restarts) = (now, restarts);
        self.lost.clear();
    }

    /// Returns how it ends, or `None` while that is open.
    pub(super) fn observe(&mut self, look: Look<'_>, now: Timestamp) -> Option<Settled> {
        if look.restarts > self.restarts && !self.settle.is_zero() {
            return Some(Settled::Not(self.restarted(look)));
        }
        match look.trouble {
            None => {
                if !self.is_well {
                    (self.is_well, self.since) = (true, now);
                }
                let lasts = now.duration_since(self.since) >= signed(self.settle);
                lasts.then_some(Settled::Well)
            }
            Some(trouble) => {
                if self.is_well {
                    self.is_well = false;
                    self.lost.push(trouble.to_owned());
                }
                (self.lost.len() > 1).then(|| Settled::Not(self.flapped()))
            }
        }
    }

    fn restarted(&self, look: Look<'_>) -> String {
        let what = look.last_restart.unwrap_or("a container was restarted");
        format!("it was healthy at {}, and then {what}", clock(self.first))
    }

    fn flapped(&self) -> String {
        let [.., before, last] = self.lost.as_slice() else { return String::new() };
        format!(
            "its health comes and goes: healthy at {}, then not ({before}), healthy again, and not again before it had lasted {} ({last})",
            clock(self.first),
            spelled(self.settle),
        )
    }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn settling() -> Settling {
        Settling::new(Duration::from_secs(10), 2, at(0))
    }

    fn look(trouble: Option<&'static str>, restarts: i64) -> Look<'static> {
        Look { trouble, restarts, last_restart: Some("container `web` was restarted") }
    }

    #[test]
    fn health_counts_once_it_has_lasted() {
        let mut settling = settling();
        assert_eq!(settling.observe(look(None, 2), at(9)), None);
        assert_eq!(settling.observe(look(None, 2), at(10)), Some(Settled::Well));
    }

    #[test]
    fn a_restart_is_a_failure_whether_it_is_seen_in_health_or_not() {
        let expected = "it was healthy at 00:00:00 UTC, and then container `web` was restarted";
        for trouble in [None, Some("1 of 2 are available")] {
            let end = settling().observe(look(trouble, 3), at(5));
            assert_eq!(end, Some(Settled::Not(expected.to_owned())));
        }
    }

    #[test]
    fn one_blip_begins_the_time_anew_and_a_second_is_a_failure() {
        let mut settling = settling();
        assert_eq!(settling.observe(look(Some("a"), 2), at(5)), None);
        assert_eq!(settling.observe(look(Some("a"), 2), at(6)), None);
        assert_eq!(settling.observe(look(None, 2), at(7)), None);
        assert_eq!(settling.observe(look(None, 2), at(16)), None);
        assert_eq!(settling.clone().observe(look(None, 2), at(17)), Some(Settled::Well));
        let end = settling.observe(look(Some("b"), 2), at(16));
        let expected = "its health comes and goes: healthy at 00:00:00 UTC, then not (a), healthy again, and not again before it had lasted 10s (b)";
        assert_eq!(end, Some(Settled::Not(expected.to_owned())));
    }

    #[test]
    fn what_was_not_seen_is_no_loss() {
        let mut settling = settling();
        settling.interrupt();
        assert_eq!(settling.observe(look(None, 2), at(9)), None);
        settling.interrupt();
        assert_eq!(settling.observe(look(None, 2), at(12)), None);
        assert_eq!(settling.observe(look(None, 2), at(22)), Some(Settled::Well));
    }
}
