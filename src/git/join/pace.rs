//! How long to go on with pushes that lose races, and how long to wait between them.

use std::time::{Duration, Instant};

use crate::git::{CommitId, GitError};
use crate::system;

/// The shortest and the longest bound of the time between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// So often in a row a push is refused as late though the branch has not moved: about 15 seconds,
/// with the pauses between them.
const STUCK_AFTER: u32 = 8;

/// Why a change did not land.
#[derive(Debug, thiserror::Error)]
pub enum LandError {
    /// Time is up.
    #[error("the branch moved {attempts} times while pushing to it, for {} seconds", .time.as_secs())]
    Raced {
        /// How many pushes came too late.
        attempts: u32,
        /// For how long.
        time: Duration,
    },
    /// The remote says again and again that the branch has moved, and it has not.
    #[error("the remote refuses each push as too late, but nobody else pushes")]
    Stuck,
    /// The repository can't be read or written.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// How the attempts to land one change have gone so far.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    patience: Duration,
    attempts: u32,
    tip: Option<CommitId>,
    unmoved: u32,
}

impl Pace {
    /// Returns the pace of a change that has `patience` from now on.
    pub fn new(patience: Duration) -> Self {
        Self { start: Instant::now(), patience, attempts: 0, tip: None, unmoved: 0 }
    }

    /// Notes that a push onto `tip` came too late, and returns how long to wait before the next: a
    /// random part (full jitter) of a bound that doubles, so that writers who met once do not meet
    /// again.
    ///
    /// # Errors
    ///
    /// Fails if time is up, or if the branch has been at `tip` for too many attempts: then nobody is
    /// faster, but something is in the way, such as the lock of a push that died.
    pub fn lost(&mut self, tip: &CommitId) -> Result<Duration, LandError> {
        self.attempts += 1;
        self.unmoved = if self.tip.as_ref() == Some(tip) { self.unmoved + 1 } else { 0 };
        self.tip = Some(tip.clone());
        if self.unmoved >= STUCK_AFTER {
            return Err(LandError::Stuck);
        }
        if self.is_over() {
            return Err(self.raced());
        }
        Ok(self.pause())
    }

    /// Notes that nobody can say whether a push has landed, and returns how long to wait before
    /// the remote is asked.
    pub(super) fn unclear(&mut self) -> Duration {
        self.attempts += 1;
        self.pause()
    }

    fn pause(&self) -> Duration {
        let (shortest, longest) = PAUSES;
        let bound = shortest.saturating_mul(1 << self.attempts.min(10)).min(longest);
        let left = self.patience.saturating_sub(self.start.elapsed());
        bound.mul_f64(system::random_fraction()).min(left)
    }

    /// Returns how many pushes came too late.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns whether time is up.
    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.patience
    }

    /// Returns the error for time that is up.
    pub(super) fn raced(&self) -> LandError {
        LandError::Raced { attempts: self.attempts, time: self.start.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn a_branch_that_never_moves_is_stuck_and_one_that_moves_is_not() {
        let mut pace = Pace::new(Duration::from_secs(600));
        for digit in ['a', 'b'].repeat(20) {
            assert!(pace.lost(&tip(digit)).unwrap() <= PAUSES.1);
        }
        let lost: Vec<bool> = (0..9).map(|_| pace.lost(&tip('c')).is_ok()).collect();
        assert_eq!(lost, [[true; 8].as_slice(), &[false]].concat());
        assert!(matches!(pace.lost(&tip('c')), Err(LandError::Stuck)));
    }

    #[test]
    fn a_race_is_lost_for_good_when_time_is_up() {
        let mut pace = Pace::new(Duration::ZERO);
        let lost = pace.lost(&tip('a')).unwrap_err().to_string();
        assert_eq!(lost, "the branch moved 1 times while pushing to it, for 0 seconds");
    }
}
