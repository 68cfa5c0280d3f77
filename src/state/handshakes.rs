//! `Handshakes`: how many TLS handshakes were begun in this second, where that is bounded.

use midge_reactor::Time;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The handshakes begun in a second.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// When the second began.
    since: Time,
    begun: u32,
    refused: u64,
}

impl Handshakes {
    /// Counts one that is to begin `now`; answers whether it may, where `max` may in a second.
    pub(crate) fn may_begin(&mut self, now: Time, max: Option<u32>) -> bool {
        let Some(max) = max else { return true };
        if now - self.since >= SECOND {
            if self.refused > 0 {
                log::warn!(
                    target: "midge",
                    "Rejected {} connections due to TLS rate limiting: more than {max} in a second",
                    self.refused
                );
            }
            *self = Handshakes {
                since: now,
                ..Handshakes::default()
            };
        }
        let may = self.begun < max;
        self.begun += u32::from(may);
        self.refused += u64::from(!may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_its_number_of_handshakes() {
        let mut handshakes = Handshakes::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        let mut may = |millis| handshakes.may_begin(at(millis), Some(2));
        assert_eq!([may(5000), may(5100), may(5200)], [true, true, false]);
        assert_eq!([may(6000), may(6999), may(6999)], [true, true, false]);
        assert!((0..9).all(|_| handshakes.may_begin(at(7000), None)));
    }
}
