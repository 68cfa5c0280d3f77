//! `Core`: everything the reactor knows that does not depend on the type of the shared state.
//!
//! Connections, what is to be done for them, and the timers. Nothing here calls a handler or the
//! driver: calls made by handlers end here as flags and queue entries, and the loop in
//! `reactor.rs` carries them out.
//!
//! What holds between the flags of connections and the queues is code, in `core/invariants.rs`.

use crate::outbound::Tail;
use crate::pause::Pause;
use crate::timers::Timers;
use crate::{Close, Counts, Key, ListenOptions, ListenerAddr, Memory, Stats, Time};
use slab::Slab;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

mod conn;
mod datagram;
mod deadlines;
mod invariants;
mod pools;
mod resting;
mod schedule;
mod total;
mod turn;
mod watching;

pub(crate) use conn::{Conn, Phase};
pub(crate) use datagram::Udp;
pub(crate) use pools::Pools;
pub(crate) use turn::{INPUT_LANES, LANES, LIGHT_READ_BYTES, Lane, Lanes, OUTPUT_BYTES, Times};

use conn::Rest;
use total::Total;
use turn::Turn;
use watching::Watching;

#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) key: Key,
    pub(crate) addr: ListenerAddr,
    /// All that it is bound to.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Most connections accepted in a turn.
    pub(crate) accepts_max: usize,
    /// Connections it has accepted that are still there, and how many there may be.
    pub(crate) connections: usize,
    pub(crate) connections_max: usize,
    pub(crate) in_ready: bool,
    /// Accepting failed; a timer will try again.
    pub(crate) resting: bool,
    pub(crate) closing: bool,
}

#[derive(Debug)]
pub(crate) enum Entry {
    /// A slot whose socket is about to be opened.
    Reserved,
    Listening(Box<Listening>),
    Conn(Conn),
    Udp(Box<Udp>),
    Watching(Box<Watching>),
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    Handler(Key, u64),
    Closure(usize),
    AcceptAgain(Key),
    ReceiveAgain(Key),
    /// The system had no memory or no buffer for a read or a write.
    TryAgain(Key),
    ConnectDeadline(Key),
    WriteDeadline(Key),
    IdleDeadline(Key),
    HandshakeDeadline(Key),
    Linger(Key),
    ShutdownDeadline,
}

#[derive(Debug)]
pub(crate) struct Core {
    entries: Slab<Entry>,
    generation: u32,
    pub(crate) listeners: usize,
    pub(crate) udp_sockets: usize,
    pub(crate) watches: usize,
    /// What all queues hold together, as of each one's last flush, and how many are congested.
    pub(crate) total: Total,
    /// When the present turn began.
    pub(crate) now: Time,
    pub(crate) ready: Lanes,
    pub(crate) dirty: Lanes,
    /// Connections whose windows were opened since the last flush, and that are marked behind the light ones.
    pub(crate) opened: Vec<Key>,
    /// Connections whose streams are to give their next piece.
    pub(crate) streams: VecDeque<Key>,
    pub(crate) turn: Turn,
    pub(crate) times: Times,
    /// The place among the heavy ones of the run queue that was looked at last.
    looked_at: usize,
    /// What the clock told when it was last read, which is no earlier: what is armed counts from it.
    pub(crate) clock: Time,
    /// The end of the last time in which the loop stood still although something was due.
    pub(crate) resumed: Time,
    pub(crate) closing: VecDeque<Key>,
    /// Connections to be written as soon as the present callback has returned.
    pub(crate) urgent: VecDeque<Key>,
    pub(crate) timers: Timers<Target>,
    /// Closures whose timers were cancelled, to be dropped by the loop, which knows their type.
    pub(crate) cancelled: Vec<usize>,
    pub(crate) pools: Pools,
    pub(crate) stopping: bool,
    /// Set by `shutdown`: stop as soon as no connection is left.
    pub(crate) shutting_down: bool,
    /// Bytes queued since the present handler or closure was called; see [`begin_call`](Core::begin_call).
    pub(crate) produced: usize,
    /// Set by `yield_now` in the present handler.
    pub(crate) yielded: bool,
    /// The driver wants to be told of each call of a handler.
    pub(crate) records: bool,
    /// The world is one of a seed.
    pub(crate) is_simulated: bool,
    pub(crate) stats: Stats,
    /// Most timers that handlers and closures may have armed.
    pub(crate) timers_max: usize,
    /// How many timers there must be to look for those of connections that have gone.
    timers_swept_at: usize,
    random: u64,
}

impl Core {
    pub(crate) fn new(now: Time, seed: u64) -> Core {
        Core {
            entries: Slab::new(),
            generation: 0,
            listeners: 0,
            udp_sockets: 0,
            watches: 0,
            total: Total::default(),
            now,
            ready: Lanes::default(),
            dirty: Lanes::default(),
            opened: Vec::new(),
            streams: VecDeque::new(),
            turn: Turn::new(),
            times: Times::of(Times::DEFAULT),
            looked_at: 0,
            clock: now,
            resumed: Time::ZERO,
            closing: VecDeque::new(),
            urgent: VecDeque::new(),
            timers: Timers::new(),
            cancelled: Vec::new(),
            pools: Pools::default(),
            stopping: false,
            shutting_down: false,
            produced: 0,
            yielded: false,
            records: false,
            is_simulated: false,
            stats: Stats::default(),
            timers_max: usize::MAX,
            timers_swept_at: deadlines::TIMERS_SWEPT_MIN,
            random: seed,
        }
    }

    /// A key for a socket that is about to be opened.
    pub(crate) fn reserve(&mut self) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let index = self.entries.insert(Entry::Reserved);
        Key::new(index, self.generation)
    }

    pub(crate) fn set_listening(
        &mut self,
        key: Key,
        addr: ListenerAddr,
        options: &ListenOptions,
    ) -> &mut Listening {
        let addrs = match &addr {
            ListenerAddr::Internet(addr) => vec![*addr],
            _ => Vec::new(),
        };
        let listening = Listening {
            key,
            addr,
            addrs,
            accepts_max: options.accepts_max.max(1),
            connections: 0,
            connections_max: options.connections_max.max(1),
            in_ready: false,
            resting: false,
            closing: false,
        };
        self.listeners += 1;
        let entry = &mut self.entries[key.index()];
        *entry = Entry::Listening(Box::new(listening));
        match entry {
            Entry::Listening(listening) => listening,
            _ => unreachable!("it was set one line above"),
        }
    }

    pub(crate) fn set_conn(
        &mut self,
        key: Key,
        phase: Phase,
        peer: Option<SocketAddr>,
    ) -> &mut Conn {
        let conn = Conn::new(key, phase, peer, self.clock);
        let entry = &mut self.entries[key.index()];
        *entry = Entry::Conn(conn);
        match entry {
            Entry::Conn(conn) => conn,
            _ => unreachable!("it was set one line above"),
        }
    }

    /// Whether the slot of `key` is its own still, and not free or another's.
    pub(crate) fn is_of(&self, key: Key) -> bool {
        is_of(&self.entries, key)
    }

    /// Frees the slot. Only the loop does this, at the end of a turn.
    pub(crate) fn release(&mut self, key: Key) {
        match self.entries.try_remove(key.index()) {
            Some(Entry::Listening(_)) => self.listeners -= 1,
            Some(Entry::Watching(_)) => self.watches -= 1,
            Some(Entry::Conn(mut conn)) => {
                if conn.congested {
                    self.total.relieve();
                }
                self.total.change(conn.counted, 0);
                conn.outbound.clear(&mut self.pools.outbound);
                if let Some(layer) = &mut conn.layer {
                    layer.clear(&mut self.pools.outbound);
                    if let Some(timer) = layer.timer {
                        self.timers.cancel(timer);
                    }
                }
                if let Some(buffer) = conn.carry.release() {
                    self.pools.give_unread(buffer);
                }
                self.unlink_relay(&mut conn);
                self.leave_listener(conn.listener);
                let timers = [
                    conn.write_timer,
                    conn.phase_timer,
                    conn.idle_timer,
                    conn.try_again_timer,
                ];
                for timer in timers.into_iter().flatten() {
                    self.timers.cancel(timer);
                }
            }
            Some(Entry::Udp(udp)) => self.release_udp(*udp),
            Some(Entry::Reserved) | None => {}
        }
    }

    /// A connection that `listener` has accepted is there, for it to count.
    pub(crate) fn join_listener(&mut self, listener: Key, key: Key) {
        if let Some(listening) = self.listening_mut(listener) {
            listening.connections += 1;
        }
        if let Some(conn) = self.conn_mut(key) {
            conn.listener = listener;
        }
    }

    /// A connection has gone: its listener accepts again, if it was full.
    fn leave_listener(&mut self, listener: Key) {
        if let Some(listening) = self.listening_mut(listener) {
            listening.connections -= 1;
            if listening.connections + 1 == listening.connections_max {
                self.enqueue(listener);
            }
        }
    }

    pub(crate) fn conn(&self, key: Key) -> Option<&Conn> {
        match self.entries.get(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => Some(conn),
            _ => None,
        }
    }

    pub(crate) fn conn_mut(&mut self, key: Key) -> Option<&mut Conn> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => Some(conn),
            _ => None,
        }
    }

    /// The end of a connection's queue, with room for `len` more bytes, which was made. They count as
    /// produced.
    #[inline(always)]
    pub(crate) fn tail(&mut self, key: Key, len: usize) -> Option<Tail<'_>> {
        let conn = match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => conn,
            _ => return None,
        };
        debug_assert!(conn.takes_output() && conn.in_dirty.is_some());
        self.produced += len;
        Some(conn.outbound.tail(len))
    }

    /// The connection and, at the same time, the pools its buffers come from.
    pub(crate) fn conn_and_pools(&mut self, key: Key) -> Option<(&mut Conn, &mut Pools)> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => Some((conn, &mut self.pools)),
            _ => None,
        }
    }

    pub(crate) fn listening_mut(&mut self, key: Key) -> Option<&mut Listening> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Listening(listening)) if listening.key == key => Some(listening),
            _ => None,
        }
    }

    /// Whether the connection exists and is not being closed.
    pub(crate) fn is_open(&self, key: Key) -> bool {
        self.conn(key)
            .is_some_and(|conn| matches!(conn.phase, Phase::Open | Phase::Connecting))
    }

    /// All that is open: listeners, connections and watches.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |(_, entry): (usize, &Entry)| match entry {
            Entry::Reserved => None,
            Entry::Listening(listening) => Some(listening.key),
            Entry::Conn(conn) => Some(conn.key),
            Entry::Udp(udp) => Some(udp.key),
            Entry::Watching(watching) => Some(watching.key),
        };
        self.entries.iter().filter_map(key).collect()
    }

    /// Connections of any phase; listeners, sockets for datagrams and watches not counted.
    pub(crate) fn connections(&self) -> usize {
        self.entries.len() - self.listeners - self.udp_sockets - self.watches
    }

    /// All that is open, of any kind.
    pub(crate) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is open that a shutdown waits for.
    pub(crate) fn is_drained(&self) -> bool {
        self.entries.len() == self.listeners + self.watches
    }

    pub(crate) fn memory(&self) -> Memory {
        let entries = self.entries.capacity() * size_of::<Entry>();
        Memory {
            connections: entries + self.connections() * size_of::<Rest>(),
            pools: self.pools.bytes(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            listeners: self.listeners,
            connections: self.connections(),
            udp_sockets: self.udp_sockets,
            watches: self.watches,
        }
    }

    /// Counts what a connection's queue holds, now that it was written.
    pub(crate) fn count_queue(&mut self, key: Key) {
        if let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index())
            && conn.key == key
            && conn.phase != Phase::Closing
        {
            let held = conn.held();
            let before = std::mem::replace(&mut conn.counted, held);
            self.total.change(before, held);
        }
        self.conn_invariants(key);
    }

    /// Ends the outgoing direction once the queue is empty.
    pub(crate) fn shutdown_write(&mut self, key: Key) {
        if let Some(conn) = self.conn_mut(key) {
            conn.wants_write_end = true;
            conn.outbound.shut_window();
            self.mark_dirty(key);
        }
        self.conn_invariants(key);
    }

    /// Stops reading a connection for one more reason.
    pub(crate) fn pause(&mut self, key: Key, pause: Pause) {
        if let Some(conn) = self.conn_mut(key) {
            conn.pauses.add(pause);
        }
    }

    /// Takes one reason back; reads again, beginning with what was left unread, if it was the last.
    pub(crate) fn unpause(&mut self, key: Key, pause: Pause) {
        let now = self.clock;
        if let Some(conn) = self.conn_mut(key)
            && conn.pauses.remove(pause)
        {
            conn.rescan = true;
            conn.last_activity = now;
            self.arm_idle_timer(key);
            self.enqueue(key);
        }
    }

    /// Schedules the close of a listener or connection; its queued output is not sent.
    pub(crate) fn close(&mut self, key: Key, why: Close) -> bool {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key && conn.phase != Phase::Closing => {
                conn.phase = Phase::Closing;
                conn.outbound.shut_window();
                // It is as good as gone.
                self.total.change(std::mem::take(&mut conn.counted), 0);
                // A close that follows `close_after_write` keeps the reason that came first.
                conn.why.get_or_insert(why);
            }
            Some(Entry::Conn(conn)) if conn.key == key => {
                if !conn.give_up_child() {
                    return false;
                }
            }
            Some(Entry::Listening(listening)) if listening.key == key && !listening.closing => {
                listening.closing = true;
            }
            Some(Entry::Udp(udp)) if udp.key == key && udp.phase != Phase::Closing => {
                udp.phase = Phase::Closing;
                udp.why.get_or_insert(why);
            }
            Some(Entry::Watching(watching)) if watching.key == key && !watching.closing => {
                watching.closing = true;
                watching.why = Some(why);
            }
            _ => return false,
        }
        self.closing.push_back(key);
        self.conn_invariants(key);
        true
    }

    /// Schedules the close of a connection once its queue is empty, or when `linger` is over.
    pub(crate) fn close_after_write(&mut self, key: Key, why: Close, linger: Duration) -> bool {
        let Some(conn) = self.conn_mut(key) else {
            return self.end_udp(key, why, linger);
        };
        match conn.phase {
            Phase::Connecting => return self.close(key, why),
            Phase::Open => {}
            Phase::Ending | Phase::Draining | Phase::Closing => return false,
        }
        if let Some(why) = conn.broken.take() {
            // Nothing will leave, and what waits unread is dropped in any case.
            return self.close(key, why);
        }
        conn.phase = Phase::Ending;
        conn.outbound.shut_window();
        conn.why = Some(why);
        // What has come and was not read brings no new edge, and a peer that has yet to send all
        // before it reads would wait for us as we for it.
        let readable = conn.readable;
        if readable {
            self.enqueue(key);
        }
        self.arm_phase_timer(key, linger, Target::Linger(key));
        self.mark_dirty(key);
        true
    }

    pub(crate) fn random(&mut self) -> u64 {
        // SplitMix64: one addition and a mix; every seed will do.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Whether something is to be done that no event will announce.
    pub(crate) fn has_work(&self) -> bool {
        self.stopping
            || (self.shutting_down && self.is_drained())
            || !(self.ready.is_empty() && self.dirty.is_empty() && self.closing.is_empty())
            || !(self.streams.is_empty() && self.urgent.is_empty())
    }
}

fn is_of(entries: &Slab<Entry>, key: Key) -> bool {
    match entries.get(key.index()) {
        Some(Entry::Reserved) => true,
        Some(Entry::Listening(listening)) => listening.key == key,
        Some(Entry::Conn(conn)) => conn.key == key,
        Some(Entry::Udp(udp)) => udp.key == key,
        Some(Entry::Watching(watching)) => watching.key == key,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_send_looks_at_is_a_cache_line() {
        assert_eq!((size_of::<Conn>(), size_of::<Entry>()), (64, 64));
    }
}
