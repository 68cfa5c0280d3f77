//! `Present`: the connections that ask, and which of them goes when one too many comes.
//!
//! A new connection is always let in: it may be the probe on which it depends whether this process is
//! started anew. In its place goes the one that has kept us waiting for longest, whatever for: a
//! request, the rest of one, or room for an answer that it does not read. Bytes of a request that has
//! not ended do not count, or one byte a second would keep a place for good. One that has only come goes
//! after those that have let us wait, since its request may be on its way; but before those that take
//! their answers now, or a crowd that says nothing would cut them off.
//!
//! ```text
//! connections <= VISITORS_MAX + ACCEPTS_MAX     those that go are closed at the end of the turn
//! answers     <= ANSWERS_BYTES_MAX + one piece  or one connection alone has more
//! ```

use midge_reactor::{Io, Key, Time};
use std::time::Duration;

/// Most connections that ask at once.
pub(super) const VISITORS_MAX: usize = 64;

/// Most that come in one turn. Whoever comes is looked at in one of the next turns, before as many
/// others have come as there are places.
pub(crate) const ACCEPTS_MAX: usize = 8;

/// For so many turns a new connection keeps its place, whatever the others do: its request may have
/// come with it. While it does, `GRACE_TURNS * ACCEPTS_MAX < VISITORS_MAX` others can be new as well.
const GRACE_TURNS: u64 = 4;

/// For so long it keeps its place beside those that are not new and not being served: a round trip and what
/// a busy machine adds to it.
const GRACE: Duration = Duration::from_millis(300);

/// One of which something has come so lately is being served: bytes of its answer leave with each round trip.
const SERVED: Duration = Duration::from_millis(100);

/// Most bytes of all answers together, those being made and those that wait to leave.
const ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is asked of the reactor.
pub(super) trait Waiting {
    fn now(&self) -> Time;
    /// The present turn.
    fn turn(&self) -> u64;
    /// Bytes that wait to leave.
    fn queued(&self, key: Key) -> usize;
    /// Since when they have not moved.
    fn last_progress(&self, key: Key) -> Option<Time>;
}

impl Waiting for Io<'_> {
    fn now(&self) -> Time {
        Io::now(self)
    }

    fn turn(&self) -> u64 {
        self.stats().turns
    }

    fn queued(&self, key: Key) -> usize {
        Io::queued(self, key)
    }

    fn last_progress(&self, key: Key) -> Option<Time> {
        Io::last_progress(self, key)
    }
}

/// The connections that ask, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Present(Vec<Visit>);

/// One of them.
#[derive(Debug)]
struct Visit {
    key: Key,
    /// When it came.
    came: Time,
    /// The same, or when it has last asked for something.
    since: Time,
    /// The turn in which it came.
    turn: u64,
    /// What its answer holds while it is made, without what is queued.
    bytes: usize,
}

impl Visit {
    /// Whether it is neither new nor being served, and how long nothing has come of it; none if it may not
    /// go.
    fn waited(&self, io: &impl Waiting) -> Option<(bool, Duration)> {
        let last = io.last_progress(self.key).unwrap_or(self.since);
        let waited = io.now() - self.since.max(last);
        let may_go = io.turn() >= self.turn + GRACE_TURNS;
        let is_new = io.now() - self.came < GRACE;
        may_go.then(|| (!is_new && waited >= SERVED, waited))
    }
}

impl Present {
    /// A connection has come; answers which one is to be closed for it, and how long that has kept
    /// us waiting. It is forgotten with this call.
    pub(super) fn arrived(
        &mut self,
        key: Key,
        places: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        let gone = if self.0.len() < places.min(VISITORS_MAX) {
            None
        } else {
            self.take_worst(io, |_| true)
        };
        self.0.push(Visit {
            key,
            came: io.now(),
            since: io.now(),
            turn: io.turn(),
            bytes: 0,
        });
        gone
    }

    /// A connection has ended.
    pub(super) fn left(&mut self, key: Key) {
        self.0.retain(|visit| visit.key != key);
    }

    /// A whole request has come.
    pub(super) fn asked(&mut self, key: Key, now: Time) {
        if let Some(visit) = self.find(key) {
            visit.since = now;
        }
    }

    /// An answer has come so far that it holds so many bytes beside what is queued; answers which
    /// connection is to be closed because all of them together hold too much.
    pub(super) fn holds(
        &mut self,
        key: Key,
        bytes: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        if let Some(visit) = self.find(key) {
            visit.bytes = bytes;
        }
        let held = |visit: &Visit| visit.bytes + io.queued(visit.key);
        let all: usize = self.0.iter().map(held).sum();
        let holding = self.0.iter().filter(|visit| held(visit) > 0).count();
        if all <= ANSWERS_BYTES_MAX || holding < 2 {
            return None;
        }
        self.take_worst(io, |visit| held(visit) > 0)
    }

    fn find(&mut self, key: Key) -> Option<&mut Visit> {
        self.0.iter_mut().find(|visit| visit.key == key)
    }

    /// The one that has kept us waiting for longest, of those that are neither new nor being served if there
    /// are any; of those that have equally, the first that came.
    fn take_worst(
        &mut self,
        io: &impl Waiting,
        may_go: impl Fn(&Visit) -> bool,
    ) -> Option<(Key, Duration)> {
        let waited = |place: usize| self.0[place].waited(io).map(|waited| (waited, place));
        let places = (0..self.0.len())
            .rev()
            .filter(|place| may_go(&self.0[*place]));
        let worst = places.filter_map(waited).max_by_key(|(waited, _)| *waited);
        let ((_, waited), place) = worst?;
        Some((self.0.remove(place).key, waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A reactor of which only what is asked here is known, by the indexes of keys.
    #[derive(Default)]
    struct Fake {
        seconds: u64,
        millis: u64,
        turn: u64,
        queued: BTreeMap<usize, usize>,
        progress: BTreeMap<usize, Time>,
    }

    impl Waiting for Fake {
        fn now(&self) -> Time {
            at(self.seconds) + Duration::from_millis(self.millis)
        }

        fn turn(&self) -> u64 {
            self.turn
        }

        fn queued(&self, key: Key) -> usize {
            self.queued.get(&key.index()).copied().unwrap_or(0)
        }

        fn last_progress(&self, key: Key) -> Option<Time> {
            self.progress.get(&key.index()).copied()
        }
    }

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    fn key(index: usize) -> Key {
        Key::new(index, 1)
    }

    /// All places taken, one a second, the first in second 0.
    fn full() -> (Present, Fake) {
        let (mut present, mut io) = (Present::default(), Fake::default());
        for index in 0..VISITORS_MAX {
            assert_eq!(present.arrived(key(index), VISITORS_MAX, &io), None);
            io.seconds += 1;
            io.turn += GRACE_TURNS;
        }
        (present, io)
    }

    #[test]
    fn who_has_kept_us_waiting_for_longest_goes() {
        let (mut present, mut io) = full();
        // The first has asked again, the second takes its answer, the third has gone.
        present.asked(key(0), at(60));
        io.progress.insert(1, at(61));
        present.left(key(2));
        assert_eq!(present.arrived(key(100), VISITORS_MAX, &io), None);
        io.turn += GRACE_TURNS;
        // The bytes of one that does not read have not moved, nor has one that sends nothing.
        io.progress.insert(4, at(1));
        let gone: Vec<_> = (101..104)
            .map(|index| present.arrived(key(index), VISITORS_MAX, &io))
            .collect();
        let waited = |index, seconds| Some((key(index), Duration::from_secs(seconds)));
        assert_eq!(gone, [waited(3, 61), waited(4, 60), waited(5, 59)]);
    }

    #[test]
    fn who_has_just_come_keeps_its_place_also_where_all_others_are_busy() {
        let (mut present, mut io) = full();
        for index in 0..VISITORS_MAX {
            io.progress.insert(index, io.now());
        }
        for index in 100..100 + GRACE_TURNS as usize * ACCEPTS_MAX {
            let gone = present
                .arrived(key(index), VISITORS_MAX, &io)
                .expect("one goes")
                .0;
            assert!(gone.index() < VISITORS_MAX, "{gone:?} has only come");
            io.turn += u64::from(index % ACCEPTS_MAX == 0);
        }
        assert!(GRACE_TURNS as usize * ACCEPTS_MAX < VISITORS_MAX);
        assert_eq!(present.0.len(), VISITORS_MAX);
    }

    #[test]
    fn who_asks_within_a_round_trip_keeps_its_place_also_in_many_turns() {
        let (mut present, mut io) = full();
        let served = |io: &mut Fake| {
            let now = io.now();
            io.progress
                .extend((0..VISITORS_MAX).map(|index| (index, now)));
        };
        assert!(present.arrived(key(100), VISITORS_MAX, &io).is_some());
        // All others have been served since it came, and are no more.
        io.millis = 150;
        served(&mut io);
        io.millis = 250;
        for index in 101..130 {
            io.millis += 1;
            io.turn += GRACE_TURNS;
            let gone = present.arrived(key(index), VISITORS_MAX, &io);
            let gone = gone.expect("one goes").0;
            assert!(gone.index() < VISITORS_MAX, "{gone:?} has only come");
        }
        // The first of them had time enough; then it is as the others are.
        (io.seconds, io.millis) = (io.seconds + 1, 0);
        io.turn += GRACE_TURNS;
        served(&mut io);
        let gone = present.arrived(key(200), VISITORS_MAX, &io);
        assert_eq!(gone, Some((key(100), Duration::from_secs(1))));
    }

    #[test]
    fn who_takes_its_answer_keeps_its_place_beside_a_crowd_that_says_nothing() {
        let (mut present, mut io) = full();
        let served = 0..VISITORS_MAX * 3 / 4;
        for index in 100..100 + 2 * VISITORS_MAX {
            // Bytes of their answers leave in each turn.
            let now = io.now();
            io.progress.extend(served.clone().map(|index| (index, now)));
            let gone = present.arrived(key(index), VISITORS_MAX, &io);
            let gone = gone.expect("one goes").0;
            assert!(!served.contains(&gone.index()), "{gone:?} is being served");
            io.millis += 2;
            io.turn += GRACE_TURNS;
        }
    }

    #[test]
    fn where_all_are_new_the_first_of_them_goes() {
        let (mut present, mut io) = (Present::default(), Fake::default());
        for index in 0..2 * VISITORS_MAX {
            let gone = present.arrived(key(index), VISITORS_MAX, &io);
            let first = index.checked_sub(VISITORS_MAX).map(key);
            assert_eq!(gone.map(|gone| gone.0), first);
            (io.turn, io.millis) = (io.turn + 1, io.millis + 1);
        }
        assert_eq!(present.0.len(), VISITORS_MAX);
    }

    #[test]
    fn answers_have_a_bound_together_and_one_alone_has_none() {
        let (mut present, mut io) = full();
        let third = ANSWERS_BYTES_MAX / 3;
        assert_eq!(present.holds(key(9), 2 * ANSWERS_BYTES_MAX, &io), None);
        assert_eq!(present.holds(key(9), third, &io), None);
        io.queued.insert(8, third);
        assert_eq!(present.holds(key(7), third, &io), None);
        // The one that does not move goes, and not the one that passes the bound.
        io.progress.extend([(7, at(63)), (9, at(63)), (8, at(62))]);
        let gone = present.holds(key(7), third + 10, &io);
        assert_eq!(gone, Some((key(8), Duration::from_secs(2))));
        assert_eq!(present.holds(key(7), third + 10, &io), None);
    }
}
