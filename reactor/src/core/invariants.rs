//! What holds between the flags of connections and the queues of the loop, as code. In debug builds
//! all of it is looked at after each turn, and one connection's own part after each change; in
//! release builds nothing is.
//!
//! ```text
//! in_ready = lane   ⇒  a place of that lane in `ready`       each lane has a key once at most,
//! in_dirty = lane   ⇒  a place of that lane in `dirty`       exactly where the connection's bit says
//! in `closing`      ⇔  it is closing, or waits for a process
//! in_line, urgent   ⇔  in `streams`, in `urgent`
//! window open       ⇒  marked, takes output, and ends below the next mark
//! total.bytes       =  sum of what is counted, and total.congested = how many are
//! relay.to = B      ⇔  fed_by of B = A
//! ```
//!
//! Nothing here allocates: some tests count allocations. So two sets are compared by how many are in
//! each and by the sum of a number that is made of each key.

use super::{Conn, Core, Entry, LANES, Lane, Lanes, Phase};
use crate::Key;
use crate::outbound::QUEUE_BYTES_MAX;
use std::collections::VecDeque;

/// Where more is open than this, all of it is looked at in some turns only.
const LOOKED_AT_ALWAYS: usize = 64;

/// Turns between two looks at the whole.
const TURNS_BETWEEN_LOOKS: u64 = 64;

/// A set of keys: how many, and a sum in which a key that stands twice for one that is missing shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sum(usize, u64);

impl Sum {
    fn add(&mut self, key: Key) {
        let mixed = (key.index() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *self = Sum(self.0 + 1, self.1.wrapping_add(mixed ^ (mixed >> 29)));
    }

    fn of(keys: impl Iterator<Item = Key>) -> Sum {
        let mut sum = Sum::default();
        keys.for_each(|key| sum.add(key));
        sum
    }
}

impl Conn {
    /// What holds for one connection by itself.
    #[inline]
    pub(crate) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let key = self.key;
        for (lane, places) in [
            (self.in_ready, self.ready_places),
            (self.in_dirty, self.dirty_places),
        ] {
            let has_place = lane.is_none_or(|lane| places & lane.bit() != 0);
            assert!(
                has_place,
                "{key:?} stands in {lane:?}, and has no place there"
            );
        }
        let marks = self.low <= self.high && self.high <= self.max;
        assert!(marks && self.max <= QUEUE_BYTES_MAX, "{key:?}: its marks");
        let is_over = self.phase == Phase::Closing;
        assert!(!is_over || self.counted == 0, "{key:?} closes and counts");
        let says_end = self.wants_write_end || !matches!(self.phase, Phase::Open);
        assert!(!self.sent_write_end || says_end, "{key:?} ends unasked");
        if let Some(end) = self.outbound.window_end() {
            assert!(self.in_dirty.is_some(), "{key:?}: a window, unmarked");
            assert!(self.takes_output(), "{key:?}: a window, and no output");
            let room = end - self.outbound.end();
            let mark = self.to_next_mark();
            assert!(
                room <= mark,
                "{key:?}: {room} bytes to look at none, {mark} to a mark"
            );
        }
    }
}

impl Core {
    /// What holds between all of them, at the end of a turn.
    #[inline]
    pub(crate) fn invariants(&self) {
        let is_look = self.entries.len() <= LOOKED_AT_ALWAYS
            || self.stats.turns.is_multiple_of(TURNS_BETWEEN_LOOKS);
        if cfg!(debug_assertions) && is_look {
            self.counts_hold();
            self.queues_hold();
            self.relays_hold();
        }
    }

    /// What holds for one connection by itself, if it is there.
    #[inline]
    pub(crate) fn conn_invariants(&self, key: Key) {
        if cfg!(debug_assertions)
            && let Some(conn) = self.conn(key)
        {
            conn.invariants();
        }
    }

    fn conns(&self) -> impl Iterator<Item = &Conn> {
        self.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Conn(conn) => Some(conn),
            _ => None,
        })
    }

    fn counts_hold(&self) {
        let count = |kind: fn(&Entry) -> bool| {
            let entries = self.entries.iter();
            entries.filter(|(_, entry)| kind(entry)).count()
        };
        let listeners = count(|entry| matches!(entry, Entry::Listening(_)));
        let udp_sockets = count(|entry| matches!(entry, Entry::Udp(_)));
        let watches = count(|entry| matches!(entry, Entry::Watching(_)));
        assert_eq!(
            (listeners, udp_sockets, watches),
            (self.listeners, self.udp_sockets, self.watches),
            "listeners, sockets for datagrams, watches"
        );
        let counted: usize = self.conns().map(|conn| conn.counted).sum();
        assert_eq!(self.total.bytes, counted, "what all queues hold");
        let congested = self.conns().filter(|conn| conn.congested).count();
        assert_eq!(self.total.congested(), congested, "congested queues");
        self.conns().for_each(Conn::invariants);
    }

    fn queues_hold(&self) {
        for lane in LANES {
            let at = |entry: &Entry| self.ready_places(entry, lane);
            self.is_set(&self.ready, lane, at, "ready");
            let at = |entry: &Entry| self.dirty_places(entry, lane);
            self.is_set(&self.dirty, lane, at, "dirty");
        }
        let is_closing = |entry: &Entry| match entry {
            Entry::Conn(conn) => {
                let waits = conn.child.as_ref().is_some_and(|child| child.awaited);
                (conn.phase == Phase::Closing && !waits).then_some(conn.key)
            }
            Entry::Listening(listening) => listening.closing.then_some(listening.key),
            Entry::Udp(udp) => (udp.phase == Phase::Closing).then_some(udp.key),
            Entry::Watching(watching) => watching.closing.then_some(watching.key),
            Entry::Reserved => None,
        };
        self.is_queue(&self.closing, is_closing, "closing");
        let conn = |entry: &Entry, flag: fn(&Conn) -> bool| match entry {
            Entry::Conn(conn) if flag(conn) => Some(conn.key),
            _ => None,
        };
        let in_line = |entry: &Entry| conn(entry, |conn| conn.in_line);
        self.is_queue(&self.streams, in_line, "streams");
        let urgent = |entry: &Entry| conn(entry, |conn| conn.urgent);
        self.is_queue(&self.urgent, urgent, "urgent");
    }

    fn ready_places(&self, entry: &Entry, lane: Lane) -> Option<Key> {
        let first = lane == Lane::Light;
        match entry {
            Entry::Conn(conn) => (conn.ready_places & lane.bit() != 0).then_some(conn.key),
            Entry::Listening(listening) => (first && listening.in_ready).then_some(listening.key),
            Entry::Udp(udp) => (first && udp.in_ready).then_some(udp.key),
            Entry::Watching(watching) => (first && watching.in_ready).then_some(watching.key),
            Entry::Reserved => None,
        }
    }

    fn dirty_places(&self, entry: &Entry, lane: Lane) -> Option<Key> {
        match entry {
            Entry::Conn(conn) => (conn.dirty_places & lane.bit() != 0).then_some(conn.key),
            Entry::Udp(udp) => (lane == Lane::Light && udp.in_dirty).then_some(udp.key),
            _ => None,
        }
    }

    fn is_set(
        &self,
        lanes: &Lanes,
        lane: Lane,
        flagged: impl Fn(&Entry) -> Option<Key>,
        name: &str,
    ) {
        self.is_queue(&lanes[lane], flagged, name);
    }

    /// A queue has each of those that say so once, and besides only keys of those that have gone.
    fn is_queue(&self, queue: &VecDeque<Key>, flagged: impl Fn(&Entry) -> Option<Key>, name: &str) {
        let queued = Sum::of(queue.iter().copied().filter(|key| self.is_of(*key)));
        let entries = self.entries.iter();
        let flags = Sum::of(entries.filter_map(|(_, entry)| flagged(entry)));
        assert_eq!(queued, flags, "`{name}` and its flags");
    }

    fn relays_hold(&self) {
        for conn in self.conns() {
            let (key, to) = (conn.key, conn.relay.as_ref().map(|relay| relay.to));
            if let Some(target) = to.and_then(|to| self.conn(to)) {
                assert_eq!(target.fed_by, Some(key), "the target of {key:?}");
            }
            if let Some(source) = conn.fed_by {
                let source = self.conn(source).and_then(|source| source.relay.as_ref());
                let to = source.map(|relay| relay.to);
                assert_eq!(to, Some(key), "the source of {key:?}");
            }
        }
    }
}
