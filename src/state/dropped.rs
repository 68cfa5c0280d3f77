//! `Dropped`: how many of something were dropped since the log was told, which is told of that once in a while.

use midge_reactor::Time;
use std::time::Duration;

/// Time between two lines.
const QUIET: Duration = Duration::from_secs(60);

/// How many of something were dropped.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    count: u64,
    told: Option<Time>,
}

impl Dropped {
    /// So many more were.
    pub(crate) fn add(&mut self, count: u64) {
        self.count += count;
    }

    /// How many the log is to be told of, if it is to be told.
    pub(crate) fn tell(&mut self, now: Time) -> Option<u64> {
        let is_time = self.told.is_none_or(|told| now - told >= QUIET);
        if self.count == 0 || !is_time {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }

    /// How many there are of which the log was not told.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_at_once_and_then_once_in_a_while() {
        let mut dropped = Dropped::default();
        let now = Time::ZERO;
        assert_eq!(dropped.tell(now), None);
        dropped.add(3);
        assert_eq!(dropped.tell(now), Some(3));
        assert_eq!(dropped.tell(now + QUIET), None);
        dropped.add(1);
        assert_eq!(dropped.tell(now + QUIET / 2), None);
        dropped.add(1);
        assert_eq!(dropped.tell(now + QUIET), Some(2));
    }
}
