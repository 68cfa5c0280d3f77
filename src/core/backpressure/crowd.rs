//! A bound on all queues together, `max_pending_total`.
//!
//! ```text
//! 0 ............ 1/2 ............ 3/4 ............ max_pending_total
//!                 |                |                |
//!                 again as ever    a crowd          the longest queues go
//! ```
//!
//! In a crowd every receiver with more than [`SHORT_BYTES`] queued counts as congested for those who feed
//! it, also one that reads nothing, and a client with so much queued is a publisher that feeds itself. Each
//! goes on with its share of what all queues together have lost. If they do not become shorter by a
//! [`SHRINKS`]th of the bound in [`STALLED_AFTER`], or reach it, some are closed as slow consumers until half is
//! left: those that have taken nothing for [`STALLED_AFTER`], then the longest. So a crowd ends, whatever else
//! is sent and taken beside it.

use super::{Progress, STALLED_AFTER, is_moving_alone};
use crate::core::Core;
use midge_reactor::{Io, Key, Time};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A queue that counts as short in a crowd, in bytes: a few messages, or the answers to many `PING`s. For
/// those who feed it what is queued counts, and where some are closed the memory that it holds.
pub(super) const SHORT_BYTES: usize = 64 * 1024;

/// Where it was of no use to close some, as what is queued is others' than clients', it is not done more
/// often than this: to find the worst takes a look at each client.
const CLOSED_EVERY: Duration = Duration::from_millis(50);

/// Most bytes of queues that are given up in one turn, but for the last one: to free a gigabyte takes a
/// tenth of a second.
const CLOSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a crowd ends and begins, below a bound of `total_bytes_max`.
pub(crate) fn marks(total_bytes_max: usize) -> (usize, usize) {
    (total_bytes_max / 2, total_bytes_max / 4 * 3)
}

/// In [`STALLED_AFTER`] a crowd has to become shorter by one part in this number of the bound.
const SHRINKS: usize = 16;

/// How far all are together. What they have taken is shared among those who wait; what a wait is worth is
/// told by how much shorter the queues have become, or some could keep a crowd up by what others take.
pub(super) fn progress(io: &Io<'_>) -> Progress {
    let (_, high) = io.total_marks();
    let max = high / 3 * 4;
    Progress {
        of: Key::NONE,
        taken: io.stats().written_bytes,
        earned: u64::MAX - io.total_queued() as u64,
        rate: ((max / SHRINKS) as f64 / STALLED_AFTER.as_secs_f64()) as u64,
        is_full: true,
    }
}

/// The present crowd.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// How many there were, this one included.
    number: u32,
    /// When it was last judged, and how much was queued by then.
    judged: Option<(Time, usize)>,
    /// Whether that was not its beginning.
    is_judged: bool,
    /// When some were closed last.
    closed: Option<Time>,
    /// More are to be closed in the next turns; and whether the bound had been reached.
    goes_on: bool,
    is_full: bool,
}

impl Crowd {
    /// What stands for this crowd where others are named by their keys.
    pub(super) fn key(&self) -> Key {
        Key::new(Key::NONE.index(), self.number)
    }

    /// There is none.
    #[inline]
    pub(super) fn end(&mut self) {
        self.judged = None;
        self.goes_on = false;
    }

    /// Whether some are to be closed, where `total` is queued of `max`; the broker itself stood still until
    /// `resumed`.
    fn has_to_go(&mut self, now: Time, resumed: Time, total: usize, max: usize) -> bool {
        let is_new = |(since, _): &(Time, usize)| now - *since <= 2 * STALLED_AFTER;
        if self.goes_on {
            // Once in each turn.
            return self.closed.is_none_or(|last| last < now);
        }
        // Where it is old there was no look for long: this is another one.
        let Some((since, before)) = self.judged.filter(is_new) else {
            self.number = self.number.wrapping_add(1).max(1);
            self.judged = Some((now, total));
            self.is_judged = false;
            return total >= max && self.may_close(now);
        };
        if total < max {
            if now - since.max(resumed) < STALLED_AFTER {
                if !self.is_judged {
                    // What has begun goes on until those who publish know of the crowd.
                    self.judged = Some((since, before.max(total)));
                }
                return false;
            }
            self.judged = Some((now, total));
            self.is_judged = true;
            if total + max / SHRINKS <= before {
                return false;
            }
        }
        self.may_close(now)
    }

    fn may_close(&self, now: Time) -> bool {
        self.closed.is_none_or(|last| now - last >= CLOSED_EVERY)
    }

    /// Some were closed, and `total` is left; `goes_on` if there are more that can be.
    fn has_closed(&mut self, now: Time, total: usize, goes_on: bool) {
        self.closed = Some(now);
        self.judged = Some((now, total));
        self.goes_on = goes_on;
    }
}

/// The queue of one client.
#[derive(Clone, Copy, Debug)]
struct Queue {
    key: Key,
    /// Bytes of memory: what the sum of all becomes less by if it is closed.
    held: usize,
    /// It has taken nothing for long.
    is_stalled: bool,
}

impl Queue {
    fn is_short(&self) -> bool {
        self.held <= SHORT_BYTES
    }
}

/// Closes some of `queues`, the worst first, as long as `total` says that more than `low` is held;
/// answers whether there are more of them than are closed in one turn. `close` ends one. Below the bound,
/// and where what is left is others' than clients', short ones are spared.
fn close_worst<T>(
    queues: &mut [Queue],
    low: usize,
    is_full: bool,
    world: &mut T,
    total: impl Fn(&T) -> usize,
    close: impl Fn(&mut T, Key),
) -> bool {
    let rank = |one: &Queue| (one.is_stalled && !one.is_short(), one.held, one.key);
    queues.sort_unstable_by_key(|one| std::cmp::Reverse(rank(one)));
    let mut left: usize = queues.iter().map(|one| one.held).sum();
    let mut closed = 0;
    for one in queues {
        let is_spared = one.is_short() && (!is_full || left < low);
        if one.held == 0 || is_spared || total(world) <= low {
            return false;
        }
        if closed >= CLOSED_BYTES_MAX {
            return true;
        }
        (left, closed) = (left - one.held, closed + one.held);
        close(world, one.key);
    }
    false
}

/// Why a client was closed whose queue was among the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all queues together were too long, and this one was among the longest")
    }
}

impl Error for Crowded {}

/// In a crowd: closes those that keep it up if it is time to.
#[cold]
pub(crate) fn look(core: &mut Core, io: &mut Io<'_>) {
    let (total, max) = (io.total_queued(), core.total_bytes_max);
    let crowd = &mut core.backpressure.crowd;
    if !crowd.has_to_go(io.now(), io.resumed(), total, max) {
        return;
    }
    // What has begun at the bound goes on as it began.
    let is_full = total >= max || crowd.goes_on && crowd.is_full;
    let queue = |key: Key| Queue {
        key,
        held: io.held(key),
        is_stalled: !is_moving_alone(key, io),
    };
    let mut queues: Vec<Queue> = core.clients().map(|one| queue(one.key)).collect();
    let (low, _) = marks(max);
    let total_now = |io: &Io<'_>| io.total_queued();
    let close = |io: &mut Io<'_>, key: Key| {
        io.fail(key, Crowded);
    };
    let goes_on = close_worst(&mut queues, low, is_full, io, total_now, close);
    let crowd = &mut core.backpressure.crowd;
    crowd.is_full = is_full;
    crowd.has_closed(io.now(), io.total_queued(), goes_on);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;
    const MAX: usize = 1024 * MIB;

    /// Which of queues of these lengths are closed, each stalled or not, by their places.
    fn closed(queues: &[(usize, bool)], low: usize, is_full: bool) -> Vec<usize> {
        let mut all: Vec<Queue> = (0..)
            .zip(queues)
            .map(|(place, (held, is_stalled))| Queue {
                key: Key::new(place, 1),
                held: *held,
                is_stalled: *is_stalled,
            })
            .collect();
        let mut world = (queues.iter().map(|one| one.0).sum::<usize>(), Vec::new());
        let close = |world: &mut (usize, Vec<usize>), key: Key| {
            world.0 -= queues[key.index()].0;
            world.1.push(key.index());
        };
        while close_worst(&mut all, low, is_full, &mut world, |world| world.0, close) {
            all.retain(|queue| !world.1.contains(&queue.key.index()));
        }
        world.1
    }

    #[test]
    fn who_has_taken_nothing_for_long_goes_before_a_longer_queue_that_moves() {
        let queues = [(20 * MIB, false), (8 * MIB, true), (9 * MIB, true)];
        assert_eq!(closed(&queues, 30 * MIB, false), [2]);
        assert_eq!(closed(&queues, 22 * MIB, false), [2, 1]);
        assert_eq!(closed(&queues, MIB, false), [2, 1, 0]);
        assert_eq!(closed(&queues, 100 * MIB, true), [0; 0]);
    }

    #[test]
    fn of_those_who_move_the_longest_go_and_short_ones_are_spared_below_the_bound() {
        let queues = [
            (SHORT_BYTES, true),
            (3 * MIB, false),
            (SHORT_BYTES, false),
            (4 * MIB, false),
            (0, true),
        ];
        assert_eq!(closed(&queues, 4 * MIB, false), [3]);
        assert_eq!(closed(&queues, 0, false), [3, 1]);
        // At the bound they go too, if the sum is theirs.
        let short = [(SHORT_BYTES, false); 40];
        assert_eq!(closed(&short, MIB, false), [0; 0]);
        assert_eq!(closed(&short, MIB, true).len(), 24);
    }

    /// A second after which each queue holds a number of MiB; answers at which of them some must go.
    fn judged(totals: &[usize]) -> Vec<usize> {
        let mut crowd = Crowd::default();
        let at = |second: usize| Time::ZERO + Duration::from_secs(second as u64);
        let seconds = totals.iter().enumerate();
        seconds
            .filter(|(second, total)| crowd.has_to_go(at(*second), Time::ZERO, **total * MIB, MAX))
            .map(|(second, _)| second)
            .collect()
    }

    #[test]
    fn a_crowd_that_does_not_shrink_is_made_to_whatever_is_taken_beside_it() {
        // Judged after each second one: 64 MiB less are enough.
        assert_eq!(judged(&[770, 738, 706, 674, 642, 610, 578]), [0; 0]);
        assert_eq!(judged(&[770, 770, 707]), [2]);
        // What comes at once at the beginning does not count against it.
        assert_eq!(judged(&[770, 900, 830, 800, 760]), [0; 0]);
        assert_eq!(judged(&[770, 900, 840]), [2]);
        assert_eq!(judged(&[770, 738, 706, 706, 706]), [4]);
        // It grows again.
        assert_eq!(judged(&[770, 600, 600, 700, 600]), [4]);
        // The bound itself is not waited for.
        assert_eq!(judged(&[770, 1024]), [1]);
        assert_eq!(judged(&[1024]), [0]);
    }

    #[test]
    fn very_much_is_not_given_up_in_one_turn() {
        let queues: Vec<Queue> = (0..100)
            .map(|place| Queue {
                key: Key::new(place, 1),
                held: 8 * MIB,
                is_stalled: true,
            })
            .collect();
        let close = |left: &mut usize, _: Key| *left -= 8 * MIB;
        let mut left = 800 * MIB;
        let goes_on = close_worst(
            &mut queues.clone(),
            0,
            false,
            &mut left,
            |left| *left,
            close,
        );
        assert_eq!((goes_on, left), (true, 784 * MIB));
        let mut crowd = Crowd::default();
        let now = Time::ZERO + STALLED_AFTER;
        crowd.has_closed(now, left, goes_on);
        assert!(!crowd.has_to_go(now, Time::ZERO, left, MAX), "in one turn");
        let next = now + Duration::from_micros(1);
        assert!(crowd.has_to_go(next, Time::ZERO, left, MAX));
    }

    #[test]
    fn each_crowd_is_judged_by_itself_and_not_while_the_broker_stood_still() {
        let at = |millis: u64| Time::ZERO + Duration::from_millis(millis);
        let mut crowd = Crowd::default();
        assert!(!crowd.has_to_go(at(0), Time::ZERO, 770 * MIB, MAX));
        let first = crowd.key();
        crowd.end();
        assert!(!crowd.has_to_go(at(2000), Time::ZERO, 900 * MIB, MAX));
        assert_ne!(crowd.key(), first);
        assert_eq!(crowd.key().index(), Key::NONE.index());
        assert!(!crowd.has_to_go(at(4000), at(3000), 900 * MIB, MAX));
        assert!(crowd.has_to_go(at(4500), at(3000), 900 * MIB, MAX));
        // There was no look for long.
        assert!(!crowd.has_to_go(at(9000), Time::ZERO, 900 * MIB, MAX));
    }
}
