//! Holding publishers back while those they feed are far behind.
//!
//! A broker takes messages in faster than most subscribers can take them out: without a brake, a
//! healthy subscriber's queue fills to its limit in a fraction of a second, and it is cut off.
//!
//! ```text
//! 0 ........ low ........ high ............ half ............ max_pending
//!             |            |                 until it has fallen to half
//!             |            from here on its publishers are held, as long as it still takes bytes
//!             they are read again
//! ```
//!
//! To hold is not to read. A held publisher is let go on after [`HELD_FOR`] with a message at least, so
//! that what stands behind it, a `PING` or a request, is late by that and no more; with more, if the
//! subscriber has taken much meanwhile. A publisher of little is not held below half of the limit.
//!
//! What a publisher waits is bounded, over all receivers: see [`publisher`]. A subscriber that has
//! taken nothing for [`STALLED_AFTER`] is waited for by no one. Its queue grows to the limit, or its write
//! deadline passes, and it is a slow consumer. Time in which the broker itself stood still is no one's
//! fault, and does not count.
//!
//! A client whose own queue is at the high mark waits with what it makes for itself, or one that asks and
//! does not read the answers would fill its queue for ever, and hold all who publish to it:
//!
//! ```text
//! bytes made for itself <= what it has taken / OWN_SHARE + OWN_BYTES_MAX
//!                          + one op in HELD_FOR below half
//! ```
//!
//! An op that may be answered, and a message to a subscription of its own, wait while it owes some of that,
//! and what stands behind them waits too. What adds nothing to its queue passes: `UNSUB`, `PONG`, `SUB`, a
//! message to others. So the floods of others do not keep it from being read.
//!
//! Two clients that write all before they read, and feed each other, both stall: what is more than the
//! limit is lost with the connection.
//!
//! All queues together have a bound too: see [`crowd`].

use super::invariants::Due;
use midge_reactor::{Io, Key, Time};
use publisher::{Publisher, Wait};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

pub(crate) mod crowd;
mod publisher;

/// How long a congested subscriber may take nothing and still be waited for. A healthy one moves
/// in bursts, up to a second apart when its kernel's buffer is large.
pub(crate) const STALLED_AFTER: Duration = Duration::from_millis(1500);

/// In this time a subscriber has to come down from the high mark to the low one to be worth any wait:
/// with the default limit, it has to take 1.4 MB/s.
const CATCH_UP: Duration = Duration::from_secs(3);

/// The longest a publisher is held before it may send one message more.
const HELD_FOR: Duration = Duration::from_millis(100);

/// The number of the timer that ends a hold. The publisher's handler answers by calling
/// [`Backpressure::go_on`].
pub(crate) const HOLD_TIMER: u64 = u64::MAX;

/// Fewer publishers than this are not looked through for those to be forgotten.
const PUBLISHERS_MIN: usize = 64;

/// A publisher that waits for [`room()`] is woken when there is some, and looks by itself only so often.
const ROOM_AGAIN: Duration = STALLED_AFTER;

/// What stands for room for a large message where receivers are named by their keys: no receiver, and not
/// all together.
pub(crate) fn room() -> Key {
    Key::new(Key::NONE.index() - 1, 0)
}

/// The low and the high mark below a limit of `pending_bytes_max`.
pub(crate) fn marks(pending_bytes_max: usize) -> (usize, usize) {
    (pending_bytes_max / 16, pending_bytes_max / 8)
}

/// Whether so much is queued for `receiver` that those who feed it should wait: it is congested, or all
/// queues together are too long and this one is not short.
pub(crate) fn is_congested(receiver: Key, io: &Io<'_>) -> bool {
    io.congested(receiver) || io.is_crowded() && io.queued(receiver) > crowd::SHORT_BYTES
}

/// Whether `receiver`, which is congested, has taken bytes lately, so that it is worth waiting for. In
/// a crowd that is asked of all together.
pub(crate) fn is_moving(receiver: Key, io: &Io<'_>) -> bool {
    io.is_crowded() || is_moving_alone(receiver, io)
}

/// Whether `receiver` has taken bytes lately, whatever the others do.
fn is_moving_alone(receiver: Key, io: &Io<'_>) -> bool {
    let since = |last: Time| io.now() - last.max(io.resumed());
    io.last_progress(receiver)
        .is_some_and(|last| since(last) < STALLED_AFTER)
}

/// How far a receiver is, or all together: what a publisher's wait for it is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Progress {
    /// The receiver; [`Key::NONE`] for all together, or the number of that crowd.
    pub(crate) of: Key,
    /// Bytes that it has taken so far.
    pub(crate) taken: u64,
    /// Likewise, what is held against the time that was waited.
    pub(crate) earned: u64,
    /// By how much that must grow in a second.
    pub(crate) rate: u64,
    /// There is no room for a message of each publisher.
    pub(crate) is_full: bool,
}

impl Progress {
    pub(crate) fn of(receiver: Key, io: &Io<'_>) -> Progress {
        match io.is_crowded() {
            true => crowd::progress(io),
            false => Progress::alone(receiver, io),
        }
    }

    /// How far one receiver is, whatever the others do.
    fn alone(receiver: Key, io: &Io<'_>) -> Progress {
        let max = io.queue_max(receiver);
        let (low, high) = marks(max);
        let taken = io.written(receiver);
        Progress {
            of: receiver,
            taken,
            earned: taken,
            rate: (high - low) as u64 / CATCH_UP.as_secs(),
            is_full: io.queued(receiver) >= max / 2,
        }
    }

    /// It is no receiver that is waited for.
    fn of_room() -> Progress {
        Progress {
            of: room(),
            taken: 0,
            earned: 0,
            rate: 1,
            is_full: true,
        }
    }

    /// Whether it is all together who are waited for.
    fn is_crowd(&self) -> bool {
        self.of.index() == Key::NONE.index()
    }
}

/// Publishers whose sockets are not read, and what each has waited lately.
#[derive(Debug, Default)]
pub(crate) struct Backpressure {
    /// Whose input is being carried out.
    current: Option<Key>,
    /// Whether its own queue is at the high mark, and what was ever queued for it when that was last asked.
    is_own_congested: bool,
    own_queued: Option<u64>,
    /// Those that were held lately.
    publishers: HashMap<Key, Publisher>,
    /// At this number, those that have recovered are forgotten.
    publishers_max: usize,
    /// Who is held, by the receiver that is waited for, the [crowd](crowd::Crowd::key), or [`room()`].
    /// Each by the number of its wait: those that came first are let go on first, and to find one takes
    /// no search.
    waiting: HashMap<Key, BTreeMap<u64, Key>>,
    /// Waits so far.
    waits: u64,
    /// Receivers that some publisher waits for no longer, until they have caught up.
    given_up: HashSet<Key>,
    crowd: crowd::Crowd,
    /// When all of it is to be looked at again.
    due: Due,
}

impl Backpressure {
    /// The input of `publisher` is carried out from here on.
    #[inline]
    pub(crate) fn begin(&mut self, publisher: Key, io: &Io<'_>) {
        self.current = Some(publisher);
        self.is_own_congested = false;
        self.own_queued = None;
        if io.any_congested() {
            self.pay_for_itself(io);
            if let Some(publisher) = self.publishers.get_mut(&publisher) {
                publisher.recover(io.now());
            }
        }
    }

    /// Whether the present publisher should wait for `receiver`, which is congested and moves.
    pub(crate) fn asks_to_wait_for(&self, receiver: Key, progress: &Progress) -> bool {
        if self.is_own_congested && self.current == Some(receiver) {
            return self.publishers.get(&receiver).is_some_and(Publisher::owes);
        }
        self.asks_to_wait(progress)
    }

    fn asks_to_wait(&self, progress: &Progress) -> bool {
        match self.current.and_then(|key| self.publishers.get(&key)) {
            Some(publisher) => publisher.waits_for(&self.named(*progress)),
            // It has not been held lately.
            None => progress.is_full,
        }
    }

    /// With the name of the present crowd: what was waited in others does not count.
    fn named(&self, mut progress: Progress) -> Progress {
        if progress.of == Key::NONE {
            progress.of = self.crowd.key();
        }
        progress
    }

    /// The present publisher has gone on with a number of bytes although some of those it feeds are behind.
    #[cold]
    pub(crate) fn spend(&mut self, bytes: usize, io: &Io<'_>) {
        if let Some(current) = self.current.filter(|_| bytes > 0) {
            self.publisher(current, io.now()).spend(bytes);
        }
    }

    fn publisher(&mut self, key: Key, now: Time) -> &mut Publisher {
        if self.publishers.len() >= self.publishers_max.max(PUBLISHERS_MIN) {
            self.publishers.retain(|_, one| !one.has_recovered(now));
            self.publishers_max = 2 * self.publishers.len();
            self.publishers.shrink_to(self.publishers_max);
        }
        let publisher = self.publishers.entry(key);
        publisher.or_insert_with(|| Publisher::new(now))
    }

    /// The present client has made something for itself, or may have: answers whether it owes some of it.
    #[cold]
    pub(crate) fn pay_for_itself(&mut self, io: &Io<'_>) -> bool {
        let Some(client) = self.current else {
            return false;
        };
        let (queued, written) = (io.queued(client) as u64, io.written(client));
        let all = queued + written;
        let made = all - self.own_queued.replace(all).unwrap_or(all);
        self.is_own_congested = io.congested(client);
        if !self.is_own_congested {
            return false;
        }
        let publisher = self.publisher(client, io.now());
        publisher.made_for_itself(made, written);
        publisher.owes() && is_moving_alone(client, io)
    }

    /// Whether the present client is to wait with what makes its own queue longer.
    #[inline]
    pub(crate) fn must_wait(&mut self, client: Key, io: &Io<'_>) -> bool {
        io.any_congested() && self.is_behind_itself(client, io)
    }

    #[cold]
    fn is_behind_itself(&mut self, client: Key, io: &Io<'_>) -> bool {
        if io.congested(client) {
            return self.pay_for_itself(io);
        }
        // What it is to wait for are all together, and that is bounded as anyone's wait is.
        is_congested(client, io) && self.asks_to_wait(&crowd::progress(io))
    }

    /// There is no crowd.
    #[inline]
    pub(crate) fn nobody_crowds(&mut self) {
        self.crowd.end();
    }

    /// Whether some publisher waits for `receiver` no longer, although it has not caught up.
    pub(crate) fn has_given_up(&self, receiver: Key) -> bool {
        self.given_up.contains(&receiver)
    }

    /// Publishers that are held or were, and receivers that were given up.
    pub(crate) fn retained(&self) -> usize {
        self.publishers.len() + self.waiting.len() + self.given_up.len()
    }

    /// Clients that something is kept of.
    pub(crate) fn names(&self) -> impl Iterator<Item = Key> {
        self.publishers.keys().chain(&self.given_up).copied()
    }

    /// Each that is waiting is a publisher with that wait, and the reverse.
    pub(crate) fn invariants(&self) {
        let mut waiting = 0;
        for (of, waits) in &self.waiting {
            assert!(!waits.is_empty(), "nobody waits for {of:?}");
            waiting += waits.len();
            for (number, publisher) in waits {
                assert!(*number <= self.waits);
                let wait = self.publishers.get(publisher).and_then(|one| one.wait);
                let wait = wait.map(|wait| (wait.number, wait.progress.of));
                assert_eq!(wait, Some((*number, *of)), "of {publisher:?}");
            }
        }
        let waits = self.publishers.values().filter(|one| one.wait.is_some());
        assert_eq!(waits.count(), waiting);
    }

    #[inline(always)]
    fn changed(&mut self) {
        let things = self.publishers.len();
        if cfg!(debug_assertions) && self.due.is_due(things) {
            self.invariants();
        }
    }

    /// Stops reading from `publisher` until `receiver` has caught up, or for a while.
    pub(crate) fn wait_for(&mut self, publisher: Key, receiver: Key, io: &mut Io<'_>) {
        let is_own = publisher == receiver && io.congested(receiver);
        let progress = if receiver == room() {
            Progress::of_room()
        } else if is_own {
            Progress::alone(receiver, io)
        } else {
            self.named(Progress::of(receiver, io))
        };
        let is_free = is_own || receiver == room();
        let held_for = match receiver == room() {
            true => ROOM_AGAIN,
            false => HELD_FOR,
        };
        self.waits += 1;
        let waiting = self.waiting.entry(progress.of).or_default();
        waiting.insert(self.waits, publisher);
        let wait = Wait {
            number: self.waits,
            waiters: waiting.len(),
            progress,
            is_free,
            since: io.now(),
            timer: io.set_timer(publisher, held_for, HOLD_TIMER),
        };
        self.publisher(publisher, io.now()).wait = Some(wait);
        io.pause(publisher);
        self.changed();
    }

    /// `publisher` has been held long enough for now.
    pub(crate) fn go_on(&mut self, publisher: Key, io: &mut Io<'_>) {
        let wait = self.publishers.get(&publisher).and_then(|one| one.wait);
        let Some(Wait {
            number, progress, ..
        }) = wait
        else {
            return;
        };
        let mut waiters = 1;
        if let Some(waiting) = self.waiting.get_mut(&progress.of) {
            waiters = waiting.len();
            waiting.remove(&number);
            if waiting.is_empty() {
                self.waiting.remove(&progress.of);
            }
        }
        self.release(publisher, waiters, io);
        self.changed();
    }

    /// `receiver` has caught up: reads again from all that wait for it.
    pub(crate) fn caught_up(&mut self, receiver: Key, io: &mut Io<'_>) {
        let waiting = self.waiting.remove(&receiver).unwrap_or_default();
        for publisher in waiting.values() {
            self.release(*publisher, waiting.len(), io);
        }
        // Last: of one that has gone, the queue still looks long.
        self.given_up.remove(&receiver);
        self.changed();
    }

    /// `client` has gone.
    pub(crate) fn left(&mut self, client: Key, io: &mut Io<'_>) {
        self.go_on(client, io);
        self.publishers.remove(&client);
        self.caught_up(client, io);
    }

    fn release(&mut self, publisher: Key, waiters: usize, io: &mut Io<'_>) {
        let Some(state) = self.publishers.get_mut(&publisher) else {
            return;
        };
        let Some(mut wait) = state.wait.take() else {
            return;
        };
        wait.since = wait.since.max(io.resumed());
        io.cancel(wait.timer);
        io.resume(publisher);
        let of = wait.progress.of;
        if wait.is_free {
            if of == publisher && !Progress::alone(of, io).is_full {
                state.forgive();
            }
            return;
        }
        let progress = match wait.progress.is_crowd() {
            true => Progress {
                of,
                ..crowd::progress(io)
            },
            false => Progress::alone(of, io),
        };
        state.has_waited(&wait, &progress, waiters, io.now());
        if io.congested(of) && state.has_given_up_on(&progress) {
            self.given_up.insert(of);
        }
    }
}

/// The time in which `bytes` leave at `rate` bytes a second.
fn time_of(bytes: u64, rate: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)
}

/// Nanoseconds from `since` to `now`.
fn elapsed(since: Time, now: Time) -> i64 {
    i64::try_from((now - since).as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_that_have_recovered_are_forgotten() {
        let mut backpressure = Backpressure::default();
        let mut most = 0;
        for second in 0..2_000 {
            let now = Time::ZERO + Duration::from_secs(second);
            let publisher = backpressure.publisher(Key::new(second as usize, 1), now);
            publisher.spend(100);
            most = most.max(backpressure.publishers.len());
        }
        assert!(most <= PUBLISHERS_MIN, "{most}");
        // Those who have not are kept.
        let mut backpressure = Backpressure::default();
        for place in 0..2_000 {
            backpressure.publisher(Key::new(place, 1), Time::ZERO);
        }
        assert_eq!(backpressure.publishers.len(), 2_000);
    }

    #[test]
    fn what_stands_for_no_receiver_is_told_apart() {
        let of = |key| Progress {
            of: key,
            ..Progress::of_room()
        };
        let crowds = [0, 1, 7].map(|number| Key::new(Key::NONE.index(), number));
        assert!(crowds.iter().all(|key| of(*key).is_crowd()));
        assert_eq!(crowds[0], Key::NONE);
        assert!(!Progress::of_room().is_crowd());
        assert!(!of(Key::new(0, 1)).is_crowd());
    }

    #[test]
    #[should_panic = "of Key"]
    fn a_publisher_that_waits_and_is_not_held_is_noticed() {
        let mut backpressure = Backpressure::default();
        let [publisher, receiver] = [1, 2].map(|place| Key::new(place, 1));
        backpressure.publisher(publisher, Time::ZERO);
        backpressure.invariants();
        backpressure.waits = 1;
        let waiting = BTreeMap::from([(1, publisher)]);
        backpressure.waiting.insert(receiver, waiting);
        backpressure.invariants();
    }
}
