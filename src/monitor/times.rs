//! Instants and durations as monitoring tells them.

use crate::config::duration::show;
use jiff::Timestamp;
use midge_reactor::Time;
use std::time::Duration;

/// How far the clock on the wall may be off before it is looked at anew.
const DRIFT_MAX: Duration = Duration::from_secs(1);

/// The clock on the wall, read once: what else is told is counted from there by the reactor's clock,
/// so that the beginning of a connection is the same instant whenever it is asked for.
///
/// This is the one place of the broker that asks for the date, and nothing is decided by it.
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

/// `1y2d3h4m5s`: whole seconds, from the first unit that is not zero.
pub(super) fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let (d, h, m, s) = (days % 365, hours % 24, minutes % 60, seconds % 60);
    match (years, days, hours, minutes) {
        (1.., ..) => format!("{years}y{d}d{h}h{m}m{s}s"),
        (_, 1.., ..) => format!("{d}d{h}h{m}m{s}s"),
        (_, _, 1.., _) => format!("{h}h{m}m{s}s"),
        (_, _, _, 1..) => format!("{m}m{s}s"),
        _ => format!("{s}s"),
    }
}

/// A round trip, which below a millisecond is told in whole microseconds.
pub(super) fn round_trip(duration: Duration) -> String {
    let exact = duration < Duration::from_micros(10) || duration >= Duration::from_millis(1);
    let nanos = duration.subsec_nanos() % 1000;
    show(if exact {
        duration
    } else {
        duration - Duration::from_nanos(nanos.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_begin_with_the_first_unit_that_is_not_zero() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_661, "1h1m1s"),
            (86_400, "1d0h0m0s"),
            (366 * 86_400 + 5, "1y1d0h0m5s"),
        ] {
            assert_eq!(uptime(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn round_trips_below_a_millisecond_are_whole_microseconds() {
        for (nanos, expected) in [
            (999, "999ns"),
            (798_500, "798µs"),
            (1_405_645, "1.405645ms"),
        ] {
            assert_eq!(round_trip(Duration::from_nanos(nanos)), expected);
        }
    }

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
