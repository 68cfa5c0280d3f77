//! `Clock`: the date of an instant.

use jiff::Timestamp;
use midge_reactor::Time;
use std::time::Duration;

/// How far the clock on the wall may be off before it is looked at anew.
const DRIFT_MAX: Duration = Duration::from_secs(1);

/// The clock on the wall, read once: what else is told is counted from there by the reactor's clock,
/// so that the beginning of a connection is the same instant whenever it is asked for.
///
/// Beside the log, the look at certificates and that at tokens, this is the one place of the broker that asks for the date,
/// and nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Timestamp,
    at: Time,
}

impl Clock {
    /// As of now.
    pub(crate) fn new(now: Time) -> Clock {
        Clock {
            wall: Timestamp::now(),
            at: now,
        }
    }

    /// Follows a clock that was set.
    pub(crate) fn follow(&mut self, now: Time) {
        let fresh = Clock::new(now);
        let drift = fresh.wall.duration_since(self.wall_of(now));
        if drift.unsigned_abs() > DRIFT_MAX {
            *self = fresh;
        }
    }

    /// The date of an instant.
    pub(crate) fn wall_of(&self, time: Time) -> Timestamp {
        let moved = if time >= self.at {
            self.wall.checked_add(time - self.at)
        } else {
            self.wall.checked_sub(self.at - time)
        };
        moved.unwrap_or(self.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_followed_and_one_that_is_not_stands() {
        let now = Time::from_nanos(5_000_000_000);
        let mut clock = Clock::new(now);
        let begun = clock.wall_of(Time::from_nanos(1));
        clock.follow(now + Duration::from_millis(1));
        assert_eq!(clock.wall_of(Time::from_nanos(1)), begun);
        // The same moment, and the reactor's clock says that an hour has passed.
        clock.follow(now + Duration::from_secs(3600));
        assert!(clock.wall_of(Time::from_nanos(1)) < begun);
    }
}
