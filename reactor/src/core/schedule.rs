//! Who has a turn next: the run queue for input, and the marks for the flush.
//!
//! A key is in `ready` and in `dirty` once in each lane at most. Its place counts that stands in the lane which
//! the connection names. `core/invariants.rs` looks whether that is so.

use super::{Conn, Core, Entry, Lane, Phase};
use crate::{Key, Time};

/// Who has more queued than this waits for throughput, and can wait for the others.
const BULK_BYTES: usize = 64 * 1024;

/// Most heavy connections looked at in a turn, whether they are light again.
const PROMOTED_MAX: usize = 32;

impl Core {
    /// Puts a listener, connection or watch on the run queue, once.
    pub(crate) fn enqueue(&mut self, key: Key) {
        if key == self.turn.serving {
            // Where it stands depends on what this slice will have cost.
            self.turn.again = true;
            return;
        }
        let lane = match self.conn(key) {
            Some(conn) => conn.lane(&self.times, self.now),
            None => Lane::Light,
        };
        self.enqueue_in(key, lane);
    }

    /// As [`enqueue`](Core::enqueue), also into a lane behind the one where it stands.
    pub(crate) fn enqueue_anew(&mut self, key: Key) {
        if let Some(conn) = self.conn_mut(key) {
            conn.in_ready = None;
        }
        self.enqueue(key);
    }

    /// One that stands in a lane behind is promoted, and leaves its place there.
    fn enqueue_in(&mut self, key: Key, lane: Lane) {
        let in_ready = match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => {
                if conn.in_ready.is_some_and(|before| before <= lane) {
                    return;
                }
                conn.in_ready = Some(lane);
                self.ready.push(lane, key, &mut conn.ready_places);
                return self.conn_invariants(key);
            }
            Some(Entry::Listening(listening)) if listening.key == key => &mut listening.in_ready,
            Some(Entry::Udp(udp)) if udp.key == key => &mut udp.in_ready,
            Some(Entry::Watching(watching)) if watching.key == key => &mut watching.in_ready,
            _ => return,
        };
        if !std::mem::replace(in_ready, true) {
            self.ready[lane].push_back(key);
        }
    }

    /// Takes the next one of a lane; `None` too if it has gone, or stands in another lane.
    pub(crate) fn next_ready(&mut self, lane: Lane) -> Option<Key> {
        let key = self.ready[lane].pop_front()?;
        match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => {
                conn.ready_places &= !lane.bit();
                if conn.in_ready != Some(lane) {
                    return None;
                }
                conn.in_ready = None;
                conn.slices = conn.slices.wrapping_add(1);
            }
            Some(Entry::Listening(listening)) if listening.key == key => listening.in_ready = false,
            Some(Entry::Udp(udp)) if udp.key == key => {
                udp.in_ready = false;
                udp.slices = udp.slices.wrapping_add(1);
            }
            Some(Entry::Watching(watching)) if watching.key == key => {
                watching.in_ready = false;
                watching.slices = watching.slices.wrapping_add(1);
            }
            _ => return None,
        }
        self.conn_invariants(key);
        Some(key)
    }

    /// Whether the run queue has one entry only.
    #[inline]
    pub(crate) fn has_one_only(&self) -> bool {
        self.ready.counts().iter().sum::<usize>() == 1
    }

    /// Promotes heavy connections that have paid back what they owed. Looks at some of them, and at others
    /// the next time.
    pub(crate) fn promote(&mut self) {
        let count = self.ready[Lane::Heavy].len();
        for _ in 0..count.min(PROMOTED_MAX) {
            self.looked_at = (self.looked_at + 1) % count;
            let key = self.ready[Lane::Heavy][self.looked_at];
            let waits = |conn: &Conn| {
                let is_heavy = conn.lane(&self.times, self.now) == Lane::Heavy;
                conn.in_ready == Some(Lane::Heavy) && !is_heavy
            };
            if self.conn(key).is_some_and(waits) {
                self.enqueue(key);
            }
        }
    }

    /// The slice of `turn.serving` is over at `now`, and has cost `cost` nanoseconds. If it left much to do it comes
    /// again behind those that did not.
    pub(crate) fn end_slice(&mut self, cost: u64, now: Time) {
        let Core { turn, times, .. } = self;
        let key = std::mem::replace(&mut turn.serving, Key::NONE);
        let again = std::mem::take(&mut turn.again);
        let cost = cost + turn.output_cost(self.produced, times);
        let mut lane = Lane::Light;
        if let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index())
            && conn.key == key
        {
            conn.load.charge(cost, times, now);
            conn.newness = conn.newness.saturating_sub(1);
            let is_cut = again && (turn.is_filled || conn.rescan);
            conn.cut_in = is_cut.then_some(turn.lane);
            if again {
                lane = conn.lane(times, now);
            }
        }
        if again {
            self.enqueue_in(key, lane);
        }
    }

    /// A handler or closure is about to be called.
    pub(crate) fn begin_call(&mut self) {
        self.turn.begin_call(std::mem::take(&mut self.produced));
    }

    /// Marks a connection for the flush at the end of the turn, once: with those that come first if it
    /// is to be so, even if it is marked already.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        let before = conn.in_dirty;
        if conn.key != key || before == Some(Lane::Light) {
            return;
        }
        let lane = if conn.queued() > BULK_BYTES {
            Lane::Heavy
        } else {
            self.turn.lane_of_mark(key)
        };
        // One that is promoted leaves its place in the lane behind, where it means nothing.
        if before.is_none_or(|before| lane < before) {
            conn.in_dirty = Some(lane);
            self.dirty.push(lane, key, &mut conn.dirty_places);
            self.turn.marks += u32::from(key != self.turn.serving);
        }
        self.conn_invariants(key);
    }

    /// The stream of a connection is to give its next piece, in its turn, if its queue is short enough.
    pub(crate) fn line_up(&mut self, key: Key) {
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        let wants = conn.phase != Phase::Connecting && conn.wants_piece();
        if wants && !std::mem::replace(&mut conn.in_line, true) {
            self.streams.push_back(key);
        }
    }

    /// A connection has its slice: what it is answered is looked at, so that it leaves with the lane of
    /// this slice, whatever others have queued for it before.
    pub(crate) fn shut_own_window(&mut self, key: Key) {
        if let Some(conn) = self.conn_mut(key)
            && conn.in_dirty.is_some_and(|lane| lane > Lane::Light)
        {
            conn.outbound.shut_window();
        }
    }

    /// The flush is over. If it `is_cut`, those that are still to be written take a look at their marks
    /// with the next send, which may promote them. Costs no more than it did to open their windows.
    pub(crate) fn forget_windows(&mut self, is_cut: bool) {
        let mut opened = std::mem::take(&mut self.opened);
        if is_cut {
            for key in &opened {
                if let Some(conn) = self.conn_mut(*key) {
                    conn.outbound.shut_window();
                }
            }
        }
        opened.clear();
        self.opened = opened;
    }
}
