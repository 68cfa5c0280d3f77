//! Whether polling without sleep pays.

use std::time::Duration;

/// Of this weight is the latest wait in the judgement over all waits so far, as a part of it.
const WEIGHT: u32 = 8;

/// The judgement is a share of this.
const WHOLE: u32 = 1 << 16;

/// How long to poll before sleeping, and whether it has paid lately.
///
/// A wait is *short* if what it waited for came within the time that would have been spun. While at
/// least half of the waits are short it pays to spin: a sleep would cost more, for the system has to
/// wake the thread again. Waits that slept are judged by the same measure, which is a little hard on
/// them for the time it took to wake up, so that spinning begins again by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    time: Duration,
    adapts: bool,
    /// The share of waits that were short, out of [`WHOLE`].
    short: u32,
}

impl Spin {
    pub(crate) fn new(time: Duration, adapts: bool) -> Spin {
        Spin {
            time,
            adapts,
            short: 0,
        }
    }

    /// How long to poll before the next sleep.
    pub(crate) fn time(&self) -> Duration {
        if self.adapts && self.short < WHOLE / 2 {
            Duration::ZERO
        } else {
            self.time
        }
    }

    /// Whether it wants to be told how long waits take.
    pub(crate) fn listens(&self) -> bool {
        self.adapts && !self.time.is_zero()
    }

    /// A wait has ended after `waited`.
    pub(crate) fn waited(&mut self, waited: Duration) {
        let is_short = waited <= self.time;
        let latest = if is_short { WHOLE } else { 0 };
        self.short = (self.short * (WEIGHT - 1) + latest) / WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_micros(50);

    #[test]
    fn it_begins_when_most_waits_are_short_and_ends_when_they_are_long() {
        let mut spin = Spin::new(TIME, true);
        assert_eq!(spin.time(), Duration::ZERO, "nothing is known yet");
        for _ in 0..20 {
            spin.waited(TIME);
        }
        assert_eq!(spin.time(), TIME);
        spin.waited(100 * TIME);
        assert_eq!(spin.time(), TIME, "one long wait is no judgement");
        for _ in 0..20 {
            spin.waited(100 * TIME);
        }
        assert_eq!(spin.time(), Duration::ZERO);
    }

    #[test]
    fn what_does_not_adapt_always_spins() {
        let mut spin = Spin::new(TIME, false);
        assert!(!spin.listens());
        spin.waited(100 * TIME);
        assert_eq!(spin.time(), TIME);
    }
}
