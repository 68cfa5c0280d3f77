//! Instants as the reactor tells them: whole nanoseconds since the driver's own beginning.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant: nanoseconds since some fixed moment chosen by the [`Driver`](crate::Driver).
///
/// A plain number rather than [`std::time::Instant`], so that a simulated clock can make one, a log
/// can print one, and two runs of one seed can be compared. Arithmetic saturates; it never panics.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(u64);

impl Time {
    /// The beginning of the driver's clock.
    pub const ZERO: Time = Time(0);

    /// The instant `nanos` nanoseconds after the beginning.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, or zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// As [`since`](Time::since), in nanoseconds.
    pub(crate) const fn nanos_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `nanos` nanoseconds later.
    pub(crate) const fn after(self, nanos: u64) -> Time {
        Time(self.0.saturating_add(nanos))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, delay: Duration) -> Time {
        self.after(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_centuries_saturates() {
        let end_of_time = Time::from_nanos(1) + Duration::MAX;
        assert_eq!(end_of_time, Time::from_nanos(u64::MAX));
        assert_eq!(Time::ZERO - end_of_time, Duration::ZERO);
    }

    #[test]
    fn prints_seconds_with_nine_digits() {
        assert_eq!(Time::from_nanos(1_000_000_007).to_string(), "1.000000007s");
    }
}
