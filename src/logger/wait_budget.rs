//! `WaitBudget`: how long lines may wait for their reader.

use std::time::{Duration, Instant};

/// The longest wait there can be, after a time without any. A reader that is merely slow to wake is
/// back sooner.
const LONGEST: Duration = Duration::from_millis(100);

/// One part in this number of the time may be spent waiting. It is a matter of all lines together: a
/// reader that always comes back just in time for one line would else hold the broker up at each.
const SHARE: u32 = 10;

/// How long lines may still wait. It grows again with time.
#[derive(Debug)]
pub(super) struct WaitBudget {
    left: Duration,
    /// When that was so.
    at: Instant,
}

impl WaitBudget {
    pub(super) fn new(now: Instant) -> WaitBudget {
        WaitBudget {
            left: LONGEST,
            at: now,
        }
    }

    /// How long may be waited from `now` on.
    pub(super) fn left(&mut self, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at) / SHARE;
        self.left = LONGEST.min(self.left + earned);
        self.at = self.at.max(now);
        self.left
    }

    /// It was waited so long, until `now`.
    pub(super) fn spend(&mut self, waited: Duration, now: Instant) {
        self.left = self.left.saturating_sub(waited);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_always_comes_back_just_in_time_costs_a_tenth_of_the_time() {
        let begun = Instant::now();
        let mut budget = WaitBudget::new(begun);
        let (mut now, mut waited) = (begun, Duration::ZERO);
        // There is room for one line at the end of each period, and always a line that waits.
        let (lasts, period) = (Duration::from_secs(8), Duration::from_millis(90));
        let mut room = begun + period;
        while now < begun + lasts {
            let wait = budget.left(now).min(room - now);
            now += wait;
            waited += wait;
            budget.spend(wait, now);
            // Other work, until the next line.
            now += Duration::from_millis(1);
            while room <= now {
                room += period;
            }
        }
        assert!(waited > LONGEST, "{waited:?}");
        assert!(waited <= LONGEST + lasts / SHARE, "{waited:?}");
    }

    #[test]
    fn a_wait_budget_comes_back_and_is_never_more_than_it_was() {
        let begun = Instant::now();
        let mut budget = WaitBudget::new(begun);
        budget.spend(LONGEST * 2, begun);
        assert_eq!(budget.left(begun), Duration::ZERO);
        let later = begun + LONGEST;
        assert_eq!(budget.left(later), LONGEST / SHARE);
        assert_eq!(budget.left(later), LONGEST / SHARE);
        assert_eq!(budget.left(later + LONGEST * SHARE * 9), LONGEST);
    }
}
