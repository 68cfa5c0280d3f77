//! The clock of one host: ahead of the simulation's, and fast or slow.

/// A host's clock: how it runs beside the simulation's.
#[derive(Debug)]
pub(super) struct Clock {
    since: u64,
    told_then: u64,
    drift_ppm: i32,
}

impl Clock {
    pub(super) fn new(offset: u64, drift_ppm: i32) -> Clock {
        Clock {
            since: 0,
            told_then: offset,
            drift_ppm,
        }
    }

    fn rate(&self) -> u128 {
        u128::from(
            self.drift_ppm
                .saturating_add(1_000_000)
                .max(1)
                .unsigned_abs(),
        )
    }

    /// What the clock tells at the instant `at`.
    pub(super) fn tells(&self, at: u64) -> u64 {
        let gone = u128::from(at.saturating_sub(self.since)) * self.rate() / 1_000_000;
        self.told_then
            .saturating_add(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// The first instant at which the clock tells `told` or later.
    pub(super) fn instant(&self, told: u64) -> u64 {
        let gone = u128::from(told.saturating_sub(self.told_then)) * 1_000_000;
        self.since
            .saturating_add(u64::try_from(gone.div_ceil(self.rate())).unwrap_or(u64::MAX))
    }

    /// From the instant `at` on, the clock is `jump` ahead of what it told and runs at a new rate.
    pub(super) fn change(&mut self, at: u64, jump: u64, drift_ppm: i32) {
        self.told_then = self.tells(at).saturating_add(jump);
        self.since = at;
        self.drift_ppm = drift_ppm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_first_at_which_the_clock_tells_as_much() {
        for drift_ppm in [-700, 0, 3, 999_999] {
            let mut clock = Clock::new(1_000, drift_ppm);
            clock.change(5_000, 70, drift_ppm);
            for told in [6_070, 6_071, 1_000_003, 7_777_777_777] {
                let at = clock.instant(told);
                assert!(clock.tells(at) >= told);
                assert!(at == 5_000 || clock.tells(at - 1) < told);
            }
        }
    }

    #[test]
    fn a_change_never_turns_a_clock_back() {
        let mut clock = Clock::new(0, 500);
        let before = clock.tells(1_000_000);
        clock.change(1_000_000, 0, -500);
        assert_eq!(clock.tells(1_000_000), before);
        assert!(clock.tells(1_000_010) > before);
    }
}
