//! Durations as monitoring tells them.

use crate::config::duration::show;
use std::time::Duration;

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
}
