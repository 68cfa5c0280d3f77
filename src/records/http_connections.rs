//! `HttpConnections`: the connections that ask, and which of them goes when one too many comes.
//!
//! A new connection is always let in: it may be the probe on which it depends whether this process is
//! started anew. There are two classes: those that have asked nothing yet, and those that have sent a whole
//! request. Where all places are taken, a newcomer takes the place of one that has asked nothing, so a crowd
//! that says nothing cuts off no answer. A whole request moves its connection to the second class, and
//! there the one goes that has kept us waiting for longest, for its next request or for room for an answer
//! that it does not read.
//!
//! ```text
//! asked           <= HTTP_CONNECTIONS_MAX                   those that go are closed at the end of the turn
//! asked + silent  <= HTTP_CONNECTIONS_MAX + NEWCOMERS_MAX   the first that came of the silent goes
//! answers <= ANSWERS_BYTES_MAX + one piece  or one connection alone has more
//! ```

use midge_reactor::{Io, Key, Time};
use std::time::Duration;

/// Most connections at once that have sent a whole request.
pub(crate) const HTTP_CONNECTIONS_MAX: usize = 64;

/// Most that come in one turn. Each is looked at in one of the next turns, before as many others have
/// come as there are places.
pub(crate) const ACCEPTS_MAX: usize = 8;

/// For this number of turns a new connection keeps its place, whatever the others do: its request may have
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
pub(crate) struct HttpConnections(Vec<HttpConnection>);

/// One of them.
#[derive(Debug)]
struct HttpConnection {
    key: Key,
    /// When it came, or has last asked for something.
    since: Time,
    /// Whether it has asked for something.
    has_asked: bool,
    /// What its answer holds while it is made, without what is queued.
    bytes: usize,
}

impl HttpConnection {
    /// How long nothing has come of it.
    fn waited(&self, io: &impl Waiting) -> Duration {
        let last = io.last_progress(self.key).unwrap_or(self.since);
        io.now() - self.since.max(last)
    }
}

impl HttpConnections {
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
            false => self.take_worst(|one| {
                let waited = io.now() - one.since;
                (!one.has_asked).then_some(waited)
            }),
        };
        self.0.push(HttpConnection {
            key,
            since: io.now(),
            has_asked: false,
            bytes: 0,
        });
        gone
    }

    /// A connection has ended.
    pub(crate) fn left(&mut self, key: Key) {
        self.0.retain(|one| one.key != key);
    }

    /// A whole request has come; answers which connection is to be closed for it, of the others that have
    /// asked.
    pub(crate) fn asked(
        &mut self,
        key: Key,
        places: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        let one = self.find(key)?;
        one.since = io.now();
        if std::mem::replace(&mut one.has_asked, true) {
            return None;
        }
        let asked = self.0.iter().filter(|one| one.has_asked).count();
        if asked <= places {
            return None;
        }
        let others = |one: &HttpConnection| one.has_asked && one.key != key;
        self.take_worst(|one| others(one).then(|| one.waited(io)))
    }

    /// An answer has come so far that it holds so many bytes beside what is queued; answers which
    /// connection is to be closed because all of them together hold too much.
    pub(crate) fn holds(
        &mut self,
        key: Key,
        bytes: usize,
        io: &impl Waiting,
    ) -> Option<(Key, Duration)> {
        if let Some(one) = self.find(key) {
            one.bytes = bytes;
        }
        let held = |one: &HttpConnection| one.bytes + io.queued(one.key);
        let all: usize = self.0.iter().map(held).sum();
        let holding = self.0.iter().filter(|one| held(one) > 0).count();
        if all <= ANSWERS_BYTES_MAX || holding < 2 {
            return None;
        }
        self.take_worst(|one| (held(one) > 0).then(|| one.waited(io)))
    }

    fn find(&mut self, key: Key) -> Option<&mut HttpConnection> {
        self.0.iter_mut().find(|one| one.key == key)
    }

    /// The one that has kept us waiting for longest, of those that may go; of those that have equally,
    /// the first that came.
    fn take_worst(
        &mut self,
        waited: impl Fn(&HttpConnection) -> Option<Duration>,
    ) -> Option<(Key, Duration)> {
        let connections = self.0.iter().enumerate().rev();
        let waits = connections.filter_map(|(place, one)| Some((waited(one)?, place)));
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

    fn come(connections: &mut HttpConnections, index: usize, io: &Fake) -> Option<usize> {
        let gone = connections.arrived(key(index), HTTP_CONNECTIONS_MAX + NEWCOMERS_MAX, io);
        gone.map(|gone| gone.0.index())
    }

    fn ask(connections: &mut HttpConnections, index: usize, io: &Fake) -> Option<(Key, Duration)> {
        connections.asked(key(index), HTTP_CONNECTIONS_MAX, io)
    }

    /// All places of those that have asked taken, one a second, the first in second 0.
    fn full() -> (HttpConnections, Fake) {
        let (mut connections, mut io) = (HttpConnections::default(), Fake::default());
        for index in 0..HTTP_CONNECTIONS_MAX {
            assert_eq!(come(&mut connections, index, &io), None);
            assert_eq!(ask(&mut connections, index, &io), None);
            io.seconds += 1;
        }
        (connections, io)
    }

    #[test]
    fn one_that_asks_takes_the_place_of_the_one_that_has_kept_us_waiting_for_longest() {
        let (mut connections, mut io) = full();
        // The first has asked again, the second takes its answer, the third has gone.
        io.seconds = 60;
        assert_eq!(ask(&mut connections, 0, &io), None);
        io.seconds = 64;
        io.progress.insert(1, at(61));
        connections.left(key(2));
        // The bytes of one that does not read have not moved.
        io.progress.insert(4, at(1));
        let gone: Vec<_> = (100..104)
            .map(|index| {
                assert_eq!(come(&mut connections, index, &io), None);
                ask(&mut connections, index, &io)
            })
            .collect();
        let waited = |index, seconds| Some((key(index), Duration::from_secs(seconds)));
        assert_eq!(gone, [None, waited(3, 61), waited(4, 60), waited(5, 59)]);
    }

    #[test]
    fn a_crowd_that_says_nothing_takes_no_place_of_one_that_has_asked() {
        let (mut connections, mut io) = full();
        for index in 100..100 + 10 * HTTP_CONNECTIONS_MAX {
            let first = index
                .checked_sub(NEWCOMERS_MAX)
                .filter(|first| *first >= 100);
            assert_eq!(come(&mut connections, index, &io), first);
            io.seconds += 1;
        }
        let asked = connections.0.iter().filter(|one| one.has_asked).count();
        assert_eq!(
            (asked, connections.0.len() - asked),
            (HTTP_CONNECTIONS_MAX, NEWCOMERS_MAX)
        );
        // The last of the crowd asks after all.
        let last = 99 + 10 * HTTP_CONNECTIONS_MAX;
        let gone = ask(&mut connections, last, &io).expect("one goes").0;
        assert_eq!(gone, key(0));
    }

    #[test]
    fn those_that_have_asked_nothing_may_have_all_places_that_are_free() {
        let (mut connections, io) = (HttpConnections::default(), Fake::default());
        for index in 0..HTTP_CONNECTIONS_MAX + NEWCOMERS_MAX {
            assert_eq!(come(&mut connections, index, &io), None);
        }
        assert_eq!(come(&mut connections, 100, &io), Some(0));
        assert_eq!(ask(&mut connections, 1, &io), None);
    }

    #[test]
    fn one_that_has_just_come_keeps_its_place_for_some_turns_whoever_comes() {
        let (mut connections, io) = full();
        for index in 100..100 + NEWCOMERS_MAX {
            assert_eq!(come(&mut connections, index, &io), None);
        }
        // The first of them asks in time: in its place one more can come.
        assert!(ask(&mut connections, 100, &io).is_some());
        assert_eq!(come(&mut connections, 200, &io), None);
        assert_eq!(come(&mut connections, 201, &io), Some(101));
    }

    #[test]
    fn answers_have_a_bound_together_and_one_alone_has_none() {
        let (mut connections, mut io) = full();
        let third = ANSWERS_BYTES_MAX / 3;
        assert_eq!(connections.holds(key(9), 2 * ANSWERS_BYTES_MAX, &io), None);
        assert_eq!(connections.holds(key(9), third, &io), None);
        io.queued.insert(8, third);
        assert_eq!(connections.holds(key(7), third, &io), None);
        // The one that does not move goes, and not the one that passes the bound.
        io.progress.extend([(7, at(63)), (9, at(63)), (8, at(62))]);
        let gone = connections.holds(key(7), third + 10, &io);
        assert_eq!(gone, Some((key(8), Duration::from_secs(2))));
        assert_eq!(connections.holds(key(7), third + 10, &io), None);
    }
}
