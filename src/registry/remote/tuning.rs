//! How patiently a registry is asked, and in what sizes blobs are sent.

use std::time::Duration;

use crate::system;

/// How patiently a registry is asked, and in what sizes blobs are sent to it.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// How often something is tried that may go well the next time.
    pub tries: u32,
    /// The longest pause before the second try. Each further one may be twice as long as the one
    /// before; which part of it is waited is left to chance.
    pub first_pause: Duration,
    /// The longest pause before any try.
    pub longest_pause: Duration,
    /// The longest pause that a registry may ask for by `Retry-After`.
    pub longest_retry_after: Duration,
    /// How long an answer may take, apart from the time that its bytes need.
    pub answer: Duration,
    /// How long one operation may take with all its tries, apart from the time that its bytes need.
    pub deadline: Duration,
    /// The bytes a second that a transfer must come to.
    pub slowest: u64,
    /// The largest blob that is sent in one piece.
    pub whole_up_to: u64,
    /// The size of the pieces of a larger one, unless the registry wants them larger.
    pub chunk: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            tries: 5,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            deadline: Duration::from_secs(300),
            slowest: 16 << 10,
            // One request for most layers, and little lost when it is cut; well below the 100 MB that
            // some content networks let through.
            whole_up_to: 32 << 20,
            chunk: 16 << 20,
        }
    }
}

impl Tuning {
    /// Returns how long to wait after so many tries that failed: what chance makes of a limit that
    /// doubles ("full jitter"), but not less than the registry asked for; `None` if there is no other
    /// try.
    pub(super) fn pause(&self, tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
        // Whoever has to wait longer than all may take is told so at once.
        if tries >= self.tries || retry_after.is_some_and(|wait| wait > self.deadline) {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << (tries - 1).min(16));
        let pause = doubled.min(self.longest_pause).mul_f64(system::random_fraction());
        let wanted = retry_after.unwrap_or_default().min(self.longest_retry_after);
        Some(pause.max(wanted))
    }

    /// Returns how long one answer may take where so many bytes are moved.
    pub(super) fn answer_within(&self, bytes: u64) -> Duration {
        self.answer + self.time_for(bytes)
    }

    /// Returns how long everything may take where so many bytes are moved.
    pub(super) fn done_within(&self, bytes: u64) -> Duration {
        self.deadline + self.time_for(bytes)
    }

    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_secs(bytes / self.slowest.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_limits_and_end() {
        let tuning = Tuning::default();
        for (tries, most) in [(1, 400), (2, 800), (3, 1600), (4, 3200)] {
            let pause = tuning.pause(tries, None).unwrap();
            assert!(pause <= Duration::from_millis(most), "{pause:?}");
        }
        assert_eq!(tuning.pause(5, None), None);
        let many = Tuning { tries: 99, ..tuning };
        assert!(many.pause(98, None).unwrap() <= many.longest_pause);
    }

    #[test]
    fn a_registry_may_ask_for_a_longer_pause_up_to_a_limit() {
        let tuning = Tuning::default();
        let wait = |seconds| tuning.pause(1, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(7), Some(Duration::from_secs(7)));
        assert_eq!(wait(100), Some(Duration::from_secs(60)));
        assert_eq!(wait(3600), None);
    }

    #[test]
    fn many_bytes_may_take_longer() {
        let tuning = Tuning::default();
        assert_eq!(tuning.answer_within(0), Duration::from_secs(60));
        assert_eq!(tuning.done_within(16 << 20), Duration::from_secs(300 + 1024));
    }
}
