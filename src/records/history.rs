//! `History`: the traffic of the last two minutes, a moment each second, for plots that begin before
//! somebody looks.

use super::Stats;
use midge_reactor::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Time between two moments.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Most moments that are kept.
const MOMENTS_MAX: usize = 120;

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) time: Time,
    pub(crate) stats: Stats,
}

/// The last moments, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Moment>);

impl History {
    /// Keeps a moment; the oldest makes room.
    pub(crate) fn note(&mut self, time: Time, stats: Stats) {
        if self.0.len() == MOMENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Moment { time, stats });
    }

    pub(crate) fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.0.iter()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Moment>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::fixtures::at;

    #[test]
    fn the_last_two_minutes_are_kept() {
        let mut history = History::default();
        for seconds in 0..300 {
            let stats = Stats {
                connections: seconds,
                ..Stats::default()
            };
            history.note(at(seconds), stats);
        }
        let kept: Vec<u64> = history.moments().map(|one| one.stats.connections).collect();
        assert_eq!(kept, (180..300).collect::<Vec<u64>>());
        assert!(history.bytes() < 64 * 1024);
    }
}
