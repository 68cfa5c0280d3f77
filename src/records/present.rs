//! `Present`: the connections that ask, and which of them goes when one too many comes.
//!
//! A new connection is always let in: it may be the probe on which it depends whether this process is
//! started anew. There are two classes: those that have asked nothing yet, and those that have sent a whole
//! request. Where all places are taken, a newcomer takes the place of one that has asked nothing, so a crowd
//! that says nothing cuts off no answer. A whole request moves its connection to the second class, and
//! there the one goes that has kept us waiting for longest, for its next request or for room for an answer
//! that it does not read.
//!
//! ```text
//! asked           <= VISITORS_MAX                   those that go are closed at the end of the turn
//! asked + silent  <= VISITORS_MAX + NEWCOMERS_MAX   the first that came of the silent goes
//! answers <= ANSWERS_BYTES_MAX + one piece  or one connection alone has more
//! ```

use midge_reactor::{Io, Key, Time};
use std::time::Duration;

/// Most connections at once that have sent a whole request.
pub(crate) const VISITORS_MAX: usize = 64;

/// Most that come in one turn. Each is looked at in one of the next turns, before as many others have
/// come as there are places.
pub(crate) const ACCEPTS_MAX: usize = 8;

/// For so many turns a new connection keeps its place, whatever the others do: its request may have
/// come with it.
const GRACE_TURNS: usize = 4;

/// Places beside those, for connections that have asked nothing yet. They may have free ones of the others.
pub(crate) const NEWCOMERS_MAX: usize = GRACE_TURNS * ACCEPTS_MAX;

/// Most bytes of all answers together, those being made and those that wait to leave.
const ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is asked of the reactor.
pub(crate) trait Waiting {
    fn now(&self) -> Time;
    /// Bytes that wait to leave.
    fn queued(&self, key: Key) -> usize;
    /// Since when they have not moved.
    fn last_progress(&self, key: Key) -> Option<Time>;
}

impl Waiting for Io<'_> {
    fn now(&self) -> Time {
        Io::now(self)
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
pub(crate) struct Present(Vec<Visit>);

/// One of them.
#[derive(Debug)]
struct Visit {
    key: Key,
    /// When it came, or has last asked for something.
    since: Time,
    /// Whether it has asked for something.
    has_asked: bool,
    /// What its answer holds while it is made, without what is queued.
    bytes: usize,
}

impl Visit {
    /// How long nothing has come of it.
    fn waited(&self, io: &impl Waiting) -> Duration {
        let last = io.last_progress(self.key).unwrap_or(self.since);
        io.now() - self.since.max(last)
    }
}

impl Present {
    /// A connection has come, for one of `places`; answers which one is to be closed for it, of those that have
    /// asked nothing, and how long that has kept us waiting. It is forgotten with this call.
    pub(crate) fn arrived(
        &mut self,
        key: Key,
        places: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        let gone = match self.0.len() < places {
            true => None,
            // The first that came: bytes of a request that has not ended do not count.
            false => self.take_worst(|visit| {
                let waited = io.now() - visit.since;
                (!visit.has_asked).then_some(waited)
            }),
        };
        self.0.push(Visit {
            key,
            since: io.now(),
            has_asked: false,
            bytes: 0,
        });
        gone
    }

    /// A connection has ended.
    pub(crate) fn left(&mut self, key: Key) {
        self.0.retain(|visit| visit.key != key);
    }

    /// A whole request has come; answers which connection is to be closed for it, of the others that have
    /// asked.
    pub(crate) fn asked(
        &mut self,
        key: Key,
        places: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        let visit = self.find(key)?;
        visit.since = io.now();
        if std::mem::replace(&mut visit.has_asked, true) {
            return None;
        }
        let asked = self.0.iter().filter(|visit| visit.has_asked).count();
        if asked <= places {
            return None;
        }
        let others = |visit: &Visit| visit.has_asked && visit.key != key;
        self.take_worst(|visit| others(visit).then(|| visit.waited(io)))
    }

    /// An answer has come so far that it holds so many bytes beside what is queued; answers which
    /// connection is to be closed because all of them together hold too much.
    pub(crate) fn holds(
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
        self.take_worst(|visit| (held(visit) > 0).then(|| visit.waited(io)))
    }

    fn find(&mut self, key: Key) -> Option<&mut Visit> {
        self.0.iter_mut().find(|visit| visit.key == key)
    }

    /// The one that has kept us waiting for longest, of those that may go; of those that have equally,
    /// the first that came.
    fn take_worst(
        &mut self,
        waited: impl Fn(&Visit) -> Option<Duration>,
    ) -> Option<(Key, Duration)> {
        let visits = self.0.iter().enumerate().rev();
        let waits = visits.filter_map(|(place, visit)| Some((waited(visit)?, place)));
        let (waited, place) = waits.max_by_key(|(waited, _)| *waited)?;
        Some((self.0.remove(place).key, waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::fixtures::at;
    use std::collections::BTreeMap;

    /// A reactor of which only what is asked here is known, by the indexes of keys.
    #[derive(Default)]
    struct Fake {
        seconds: u64,
        queued: BTreeMap<usize, usize>,
        progress: BTreeMap<usize, Time>,
    }

    impl Waiting for Fake {
        fn now(&self) -> Time {
            at(self.seconds)
        }

        fn queued(&self, key: Key) -> usize {
            self.queued.get(&key.index()).copied().unwrap_or(0)
        }

        fn last_progress(&self, key: Key) -> Option<Time> {
            self.progress.get(&key.index()).copied()
        }
    }

    fn key(index: usize) -> Key {
        Key::new(index, 1)
    }

    fn come(present: &mut Present, index: usize, io: &Fake) -> Option<usize> {
        let gone = present.arrived(key(index), VISITORS_MAX + NEWCOMERS_MAX, io);
        gone.map(|gone| gone.0.index())
    }

    fn ask(present: &mut Present, index: usize, io: &Fake) -> Option<(Key, Duration)> {
        present.asked(key(index), VISITORS_MAX, io)
    }

    /// All places of those that have asked taken, one a second, the first in second 0.
    fn full() -> (Present, Fake) {
        let (mut present, mut io) = (Present::default(), Fake::default());
        for index in 0..VISITORS_MAX {
            assert_eq!(come(&mut present, index, &io), None);
            assert_eq!(ask(&mut present, index, &io), None);
            io.seconds += 1;
        }
        (present, io)
    }

    #[test]
    fn one_that_asks_takes_the_place_of_the_one_that_has_kept_us_waiting_for_longest() {
        let (mut present, mut io) = full();
        // The first has asked again, the second takes its answer, the third has gone.
        io.seconds = 60;
        assert_eq!(ask(&mut present, 0, &io), None);
        io.seconds = 64;
        io.progress.insert(1, at(61));
        present.left(key(2));
        // The bytes of one that does not read have not moved.
        io.progress.insert(4, at(1));
        let gone: Vec<_> = (100..104)
            .map(|index| {
                assert_eq!(come(&mut present, index, &io), None);
                ask(&mut present, index, &io)
            })
            .collect();
        let waited = |index, seconds| Some((key(index), Duration::from_secs(seconds)));
        assert_eq!(gone, [None, waited(3, 61), waited(4, 60), waited(5, 59)]);
    }

    #[test]
    fn a_crowd_that_says_nothing_takes_no_place_of_one_that_has_asked() {
        let (mut present, mut io) = full();
        for index in 100..100 + 10 * VISITORS_MAX {
            let first = index
                .checked_sub(NEWCOMERS_MAX)
                .filter(|first| *first >= 100);
            assert_eq!(come(&mut present, index, &io), first);
            io.seconds += 1;
        }
        let asked = present.0.iter().filter(|visit| visit.has_asked).count();
        assert_eq!(
            (asked, present.0.len() - asked),
            (VISITORS_MAX, NEWCOMERS_MAX)
        );
        // The last of the crowd asks after all.
        let last = 99 + 10 * VISITORS_MAX;
        let gone = ask(&mut present, last, &io).expect("one goes").0;
        assert_eq!(gone, key(0));
    }

    #[test]
    fn those_that_have_asked_nothing_may_have_all_places_that_are_free() {
        let (mut present, io) = (Present::default(), Fake::default());
        for index in 0..VISITORS_MAX + NEWCOMERS_MAX {
            assert_eq!(come(&mut present, index, &io), None);
        }
        assert_eq!(come(&mut present, 100, &io), Some(0));
        assert_eq!(ask(&mut present, 1, &io), None);
    }

    #[test]
    fn one_that_has_just_come_keeps_its_place_for_some_turns_whoever_comes() {
        let (mut present, io) = full();
        for index in 100..100 + NEWCOMERS_MAX {
            assert_eq!(come(&mut present, index, &io), None);
        }
        // The first of them asks in time: in its place one more can come.
        assert!(ask(&mut present, 100, &io).is_some());
        assert_eq!(come(&mut present, 200, &io), None);
        assert_eq!(come(&mut present, 201, &io), Some(101));
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
