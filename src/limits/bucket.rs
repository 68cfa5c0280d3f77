//! `Bucket`: what may still be sent in this second, of messages, bytes or new connections.
//!
//! ```text
//!            now                                      full
//! ────────────┼──────────────┬────────────────────────┼──────▶ time
//!             │◀─ what is left ─▶│◀──── what was taken ────▶│
//!             now + one second ───────────────────────┘
//!
//! left = rate * (one second - (full - now))        below zero it is a debt
//! ```
//!
//! It is one instant: when it is full again. It holds what the rate brings in a second, so the longest burst is that
//! of one second. Each unit that is taken puts the instant off by a second divided by the rate.

use midge_reactor::Time;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// What is left of a rate. It starts full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Bucket {
    full: Time,
}

impl Bucket {
    /// Units that may be taken at once; zero if it is in debt.
    pub(super) fn left(self, rate: u64, now: Time) -> u64 {
        let missing = nanos(self.full - now);
        let there = u128::from(SECOND.saturating_sub(missing)) * u128::from(rate);
        u64::try_from(there / u128::from(SECOND)).unwrap_or(u64::MAX)
    }

    /// Takes units, whether they are there or not.
    pub(super) fn take(&mut self, units: u64, rate: u64, now: Time) {
        self.full = self.full.max(now) + cost(units, rate);
    }

    /// Takes one if it is there; answers whether it was.
    pub(super) fn take_one(&mut self, rate: u64, now: Time) -> bool {
        let is_there = self.left(rate, now) > 0;
        if is_there {
            self.take(1, rate, now);
        }
        is_there
    }

    /// Gives back units that were taken and not used.
    pub(super) fn give_back(&mut self, units: u64, rate: u64) {
        let full = self.full.as_nanos();
        self.full = Time::from_nanos(full.saturating_sub(nanos(cost(units, rate))));
    }

    /// The time until it has no debt any more.
    pub(super) fn debt(self, now: Time) -> Duration {
        Duration::from_nanos(nanos(self.full - now).saturating_sub(SECOND))
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(self, now: Time) -> bool {
        self.full <= now
    }
}

/// The time in which the rate brings this number of units.
fn cost(units: u64, rate: u64) -> Duration {
    let nanos = u128::from(units) * u128::from(SECOND) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_nanos(1_000 * SECOND);

    fn after(millis: u64) -> Time {
        START + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_of_one_second_may_be_taken_and_then_what_the_rate_brings() {
        for rate in [1, 3, 7, 1000, 15_625] {
            let mut bucket = Bucket::default();
            let mut taken = 0;
            while bucket.take_one(rate, START) {
                taken += 1;
            }
            assert_eq!(taken, rate);
            assert_eq!(bucket.left(rate, after(999)), rate * 999 / 1000);
            assert_eq!(bucket.left(rate, after(1001)), rate);
            // Silence for an hour brings no more.
            assert_eq!(bucket.left(rate, after(3_600_000)), rate);
            assert!(bucket.is_full(after(1001)) && !bucket.is_full(after(998)));
        }
    }

    #[test]
    fn who_takes_more_than_there_is_owes_it() {
        let mut bucket = Bucket::default();
        bucket.take(5000, 1000, START);
        assert_eq!(bucket.left(1000, START), 0);
        assert_eq!(bucket.debt(START), Duration::from_secs(4));
        assert_eq!(bucket.left(1000, after(4000)), 0);
        assert_eq!(bucket.left(1000, after(4010)), 10);
        assert_eq!(bucket.debt(after(4010)), Duration::ZERO);
        bucket.give_back(4500, 1000);
        assert_eq!(bucket.left(1000, START), 500);
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept_whatever_is_taken_at_once() {
        for (rate, at_once) in [(10, 1), (1000, 37), (1_000_000, 4096), (1 << 29, 131_072)] {
            let (mut bucket, mut now, mut taken) = (Bucket::default(), START, 0);
            while now < after(60_000) {
                if bucket.left(rate, now) > 0 {
                    bucket.take(at_once, rate, now);
                    taken += at_once;
                }
                now = now + bucket.debt(now).max(Duration::from_micros(100));
            }
            let expected = 61 * rate;
            assert!(
                taken.abs_diff(expected) <= expected / 50 + at_once,
                "{rate}: {taken}"
            );
        }
    }

    #[test]
    fn numbers_without_end_do_no_harm() {
        let mut bucket = Bucket::default();
        bucket.take(u64::MAX, 1, START);
        assert_eq!(bucket.left(u64::MAX, START), 0);
        bucket.give_back(u64::MAX, 1);
        assert_eq!(bucket.left(u64::MAX, START), u64::MAX);
        assert!(!Bucket { full: after(1) }.take_one(0, START));
    }
}
