//! Whether polling without sleep pays. To wake a sleeping thread takes the system longer than a message takes
//! a broker. With one processor it never pays.

use std::time::Duration;

/// Of this weight is the latest wait in the judgement over all waits so far, as a part of it.
const WEIGHT: u32 = 8;

/// The judgement is a share of this.
const WHOLE: u32 = 1 << 16;

/// Waits that a trial has to last to have paid.
const TRIAL_WAITS: u32 = 64;

/// Waits without spinning after a trial that did not pay; each further one doubles them, up to the
/// maximum.
const REST_WAITS_MIN: u32 = 16;
const REST_WAITS_MAX: u32 = 1 << 14;

/// How long to poll before sleeping, and whether it has paid lately.
///
/// Two kinds of traffic look alike to a loop that sleeps through them. The one is an answer that comes
/// as soon as the peer has been woken: spinning makes that quicker, and the wait shorter. The other
/// comes when it comes, and spinning only burns the time until then. So spinning is tried: it begins
/// when at least half of the waits that slept were no longer than the time, and it ends when fewer
/// than half of those that spun were over within three quarters of it. After a trial that soon ended
/// so, the next one has to wait, twice as long each time: traffic for which it does not pay costs
/// next to nothing, and a change is still noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    time: Duration,
    adapts: bool,
    spins: bool,
    /// The share of waits that were short, out of [`WHOLE`].
    short: u32,
    /// Waits since spinning began; before that, waits until it may begin.
    waits: u32,
    /// How many waits to rest after the next trial that does not pay.
    rest: u32,
}

impl Spin {
    pub(crate) fn new(time: Duration, adapts: bool) -> Spin {
        Spin {
            time,
            adapts,
            spins: !adapts,
            short: 0,
            waits: 0,
            rest: REST_WAITS_MIN,
        }
    }

    /// How long to poll before the next sleep.
    pub(crate) fn time(&self) -> Duration {
        if self.spins {
            self.time
        } else {
            Duration::ZERO
        }
    }

    /// Whether it wants to be told how long waits take.
    pub(crate) fn listens(&self) -> bool {
        self.adapts && !self.time.is_zero()
    }

    /// A wait has ended after `waited`.
    pub(crate) fn waited(&mut self, waited: Duration) {
        if !self.adapts {
            return;
        }
        // Who slept has also waited to be woken.
        let limit = if self.spins {
            self.time * 3 / 4
        } else {
            self.time
        };
        let latest = if waited <= limit { WHOLE } else { 0 };
        self.short = (self.short * (WEIGHT - 1) + latest) / WEIGHT;
        let pays = self.short >= WHOLE / 2;
        if self.spins {
            self.waits = self.waits.saturating_add(1);
            if !pays {
                self.stop();
            }
        } else {
            self.waits = self.waits.saturating_sub(1);
            if pays && self.waits == 0 {
                self.spins = true;
                self.short = WHOLE;
            }
        }
    }

    fn stop(&mut self) {
        if self.waits >= TRIAL_WAITS {
            self.rest = REST_WAITS_MIN;
        }
        self.spins = false;
        self.short = 0;
        self.waits = self.rest;
        self.rest = (self.rest * 2).min(REST_WAITS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_micros(50);

    /// Feeds one wait after the other, each as long as `slept` or, while it spins, as `spun`;
    /// how many of them spun.
    fn spun(spin: &mut Spin, waits: usize, slept: Duration, spun: Duration) -> usize {
        (0..waits)
            .filter(|_| {
                let spins = !spin.time().is_zero();
                spin.waited(if spins { spun } else { slept });
                spins
            })
            .count()
    }

    #[test]
    fn it_begins_when_most_waits_are_short_and_ends_when_they_are_long() {
        let mut spin = Spin::new(TIME, true);
        assert_eq!(spin.time(), Duration::ZERO, "nothing is known yet");
        assert!(spun(&mut spin, 20, TIME, TIME / 2) > 10);
        assert_eq!(spin.time(), TIME);
        spin.waited(100 * TIME);
        assert_eq!(spin.time(), TIME, "one long wait is no judgement");
        spun(&mut spin, 20, 100 * TIME, 100 * TIME);
        assert_eq!(spin.time(), Duration::ZERO);
    }

    #[test]
    fn waits_that_spinning_does_not_shorten_are_tried_more_and_more_seldom() {
        let mut spin = Spin::new(TIME, true);
        let early = spun(&mut spin, 10_000, TIME, TIME);
        let late = spun(&mut spin, 100_000, TIME, TIME);
        assert!(early > 0, "it has been tried");
        assert!(late < 100, "{late} of 100,000 waits spun");
        assert!(late > 0, "it is tried again");
    }

    #[test]
    fn what_has_paid_for_long_begins_again_soon() {
        let mut spin = Spin::new(TIME, true);
        spun(&mut spin, 100_000, TIME, TIME);
        assert!(spun(&mut spin, 40_000, TIME, TIME / 4) > 20_000);
        spun(&mut spin, 20, 100 * TIME, 100 * TIME);
        assert_eq!(spin.time(), Duration::ZERO);
        assert!(spun(&mut spin, 100, TIME, TIME / 4) > 50);
    }

    #[test]
    fn a_mixed_lot_is_judged_by_its_larger_part() {
        for (every, spins) in [(8, true), (2, false)] {
            let mut spin = Spin::new(TIME, true);
            let mut count = 0;
            for wait in 0..1_000 {
                let long = wait % every == 0;
                count += spun(&mut spin, 1, TIME, if long { 2 * TIME } else { TIME / 4 });
            }
            assert_eq!(count > 900, spins, "each {every}th is long: {count} spun");
        }
    }

    #[test]
    fn what_does_not_adapt_always_spins() {
        let mut spin = Spin::new(TIME, false);
        assert!(!spin.listens());
        spin.waited(100 * TIME);
        assert_eq!(spin.time(), TIME);
    }
}
