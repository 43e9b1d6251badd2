//! What happened when, as far as it is worth keeping.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::VerifyEvent;

/// A container that is restarted for hours must not fill the report.
const MOST_MOMENTS: usize = 500;

/// Something that a verification did or saw, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When, by the cluster's clock.
    pub at: Timestamp,
    /// What.
    pub event: VerifyEvent,
}

/// Keeps moments as they come.
#[derive(Debug, Default)]
pub(super) struct Timeline(Mutex<Vec<Moment>>);

impl Timeline {
    /// Returns `event` as a moment, which is kept if it says something in words.
    pub(super) fn add(&self, at: Timestamp, event: VerifyEvent) -> Moment {
        let moment = Moment { at, event };
        if !matches!(moment.event, VerifyEvent::Seen(_)) {
            let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // How it began and how it ended say most.
            if moments.len() == MOST_MOMENTS {
                moments.remove(MOST_MOMENTS / 2);
            }
            moments.push(moment.clone());
        }
        moment
    }

    /// Returns what was kept, oldest first.
    pub(super) fn into_moments(self) -> Vec<Moment> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let timeline = Timeline::default();
        for second in 0..2000 {
            let at = Timestamp::from_second(second).unwrap();
            timeline.add(at, VerifyEvent::Note(second.to_string()));
        }
        let kept = timeline.into_moments();
        assert_eq!(kept.len(), MOST_MOMENTS);
        assert_eq!(kept[0].at.as_second(), 0);
        assert_eq!(kept[MOST_MOMENTS - 1].at.as_second(), 1999);
    }
}
