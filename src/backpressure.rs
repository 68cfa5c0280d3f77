//! Holding publishers back while those they feed are far behind.
//!
//! A broker takes messages in faster than most subscribers can take them out: without a brake, a
//! healthy subscriber's queue fills to its limit in a fraction of a second, and it is cut off.
//!
//! ```text
//! 0 ........ low ........ high ............................ max_pending
//!             |            from here on its publishers are not read (their sockets fill, and
//!             |            at last they block), as long as it still takes bytes
//!             they are read again
//! ```
//!
//! Whose own queue is there is not read either: a client that asks and does not read the answers
//! would fill its queue for ever, and hold all who publish to it.
//!
//! A subscriber that has taken nothing for [`PATIENCE`] is stalled, and one that has not come down
//! to the low mark within [`HOLD_MAX`] is too slow for those who feed it. Nobody waits for either
//! any longer, so its queue grows to the limit, or its write deadline passes, and it is a slow
//! consumer: one subscriber cannot slow the others down for good. Time in which the broker itself
//! stood still is nobody's fault, and does not count.

use midge_reactor::{Io, Key, Time, TimerId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long a congested subscriber may take nothing and still be waited for. A healthy one moves
/// in bursts, up to a second apart when its kernel's buffer is large.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// How long publishers may wait for one subscriber to come down from the high mark to the low one:
/// with the default limit, it has to take 1.4 MB/s.
const HOLD_MAX: Duration = Duration::from_secs(3);

/// The number of the timer that is set on a receiver while others wait for it. Its handler answers
/// by calling [`Backpressure::check`].
pub(crate) const STALL_TIMER: u64 = u64::MAX;

/// The low and the high mark below a limit of `pending_bytes_max`.
pub(crate) fn marks(pending_bytes_max: usize) -> (usize, usize) {
    (pending_bytes_max / 16, pending_bytes_max / 8)
}

/// Whether `receiver`, which is congested, has taken bytes lately, so that it is worth waiting for.
pub(crate) fn is_moving(receiver: Key, io: &Io<'_>) -> bool {
    silence(receiver, io) < PATIENCE
}

/// How long `receiver` has taken nothing of what is queued for it, although it was offered.
fn silence(receiver: Key, io: &Io<'_>) -> Duration {
    io.last_progress(receiver)
        .map_or(PATIENCE, |last| io.now() - last.max(io.resumed()))
}

/// Publishers whose sockets are not read, by the congested receiver they wait for.
#[derive(Debug, Default)]
pub(crate) struct Backpressure {
    waiting: HashMap<Key, Waiting>,
    /// Receivers that were waited for long enough, until they have caught up.
    given_up: HashSet<Key>,
}

#[derive(Debug)]
struct Waiting {
    publishers: Vec<Key>,
    since: Time,
    /// Whether they began to wait anew after the broker had stood still. Once, or a broker that does so
    /// again and again would wait for ever.
    anew: bool,
    /// The next look at whether it is still worth waiting.
    timer: TimerId,
}

impl Backpressure {
    /// Whether whoever makes output for `receiver` should wait for it.
    pub(crate) fn must_wait(&self, receiver: Key, io: &Io<'_>) -> bool {
        io.congested_count() > 0
            && io.congested(receiver)
            && is_moving(receiver, io)
            && !self.has_given_up(receiver)
    }

    /// Whether `receiver` was waited for long enough and has not caught up yet.
    pub(crate) fn has_given_up(&self, receiver: Key) -> bool {
        self.given_up.contains(&receiver)
    }

    /// Publishers that wait, and receivers that were given up.
    pub(crate) fn kept(&self) -> usize {
        let publishers = |waiting: &Waiting| waiting.publishers.len();
        self.waiting.len()
            + self.waiting.values().map(publishers).sum::<usize>()
            + self.given_up.len()
    }

    /// Stops reading from `publisher` until `receiver` has caught up.
    pub(crate) fn hold(&mut self, publisher: Key, receiver: Key, io: &mut Io<'_>) {
        let waiting = self.waiting.entry(receiver).or_insert_with(|| Waiting {
            publishers: Vec::new(),
            since: io.now(),
            anew: false,
            timer: io.set_deadline(receiver, PATIENCE, STALL_TIMER),
        });
        waiting.publishers.push(publisher);
        io.pause(publisher);
    }

    /// `receiver` has caught up, or has gone: reads again from all that wait for it.
    pub(crate) fn caught_up(&mut self, receiver: Key, io: &mut Io<'_>) {
        self.given_up.remove(&receiver);
        self.release(receiver, io);
    }

    /// Looks whether `receiver` is still worth waiting for, and stops the waiting if not.
    pub(crate) fn check(&mut self, receiver: Key, io: &mut Io<'_>) {
        let Some(waiting) = self.waiting.get_mut(&receiver) else {
            return;
        };
        if io.resumed() > waiting.since && !std::mem::replace(&mut waiting.anew, true) {
            waiting.since = io.resumed();
        }
        let held = io.now() - waiting.since;
        let idle = silence(receiver, io);
        if held < HOLD_MAX && idle < PATIENCE {
            let next = (PATIENCE - idle).min(HOLD_MAX - held);
            waiting.timer = io.set_deadline(receiver, next, STALL_TIMER);
            return;
        }
        if held >= HOLD_MAX {
            self.given_up.insert(receiver);
        }
        self.release(receiver, io);
    }

    fn release(&mut self, receiver: Key, io: &mut Io<'_>) {
        let Some(waiting) = self.waiting.remove(&receiver) else {
            return;
        };
        io.cancel(waiting.timer);
        for publisher in waiting.publishers {
            io.resume(publisher);
        }
    }
}
