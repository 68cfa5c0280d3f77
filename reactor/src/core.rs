//! `Core`: everything the reactor knows that does not depend on the type of the shared state.
//!
//! Connections, what is to be done for them, and the timers. Nothing here calls a handler or the
//! driver: calls made by handlers end here as flags and queue entries, and the loop in
//! `reactor.rs` carries them out.
//!
//! A key is in `closing` at most once; a flag of the connection tells. In `ready` and `dirty`, its place
//! counts that stands in the lane which the connection names.

use crate::block::Block;
use crate::dial::Dial;
use crate::hold::{Hold, Holds};
use crate::input::Carry;
use crate::outbound::{Outbound, Pool, Tail};
use crate::process::Child;
use crate::relay::Relay;
use crate::stream::Stream;
use crate::timers::{Popped, Timers};
#[cfg(feature = "tls")]
use crate::tls::layer::Layer;
use crate::{Close, Counts, Key, ListenOptions, ListenerAddr, Memory, Stats, Time, TimerId};
use slab::Slab;
use std::any::TypeId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

mod resting;
mod total;
mod turn;
mod watching;

use total::Total;
pub(crate) use turn::{FLUSH_LANES, LANES, LIGHT_READ_BYTES, Lane, Lanes, OUTPUT_BYTES, Times};
use turn::{Load, Turn};
use watching::Watching;

/// Where a queue must fall for `on_drain`, in bytes, unless the connection chooses its own marks.
const LOW_MARK_BYTES: usize = 512 * 1024;
/// Where a queue counts as congested, in bytes.
const HIGH_MARK_BYTES: usize = 1024 * 1024;
/// Most bytes queued for one connection: a peer that reads nothing must not take all memory.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who has more queued than this waits for throughput, and can wait for the others.
const BULK_BYTES: usize = 64 * 1024;

/// Most bytes kept that a handler has left unread, unless the connection chooses otherwise.
const INPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most heavy connections looked at in a turn, whether they are light again.
const PROMOTED_MAX: usize = 32;

/// So few timers are not worth looking through for those whose connections have gone.
const TIMERS_SWEPT_MIN: usize = 64;

/// Unread input up to this many bytes has a pool of its own.
const CARRY_BUFFER_BYTES_MAX: usize = 4 * 1024;

mod datagram;

pub(crate) use datagram::Udp;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// A connect is under way.
    Connecting,
    /// Open in both directions, or half-closed by the peer.
    Open,
    /// To be closed once its queue is empty; a bounded amount of input is read and dropped.
    Ending,
    /// The queue is empty and our end is sent. A little input is read and dropped until the peer's
    /// end has come: closing with unread input resets the connection, and the peer could lose the
    /// last bytes it was sent.
    Draining,
    /// To be closed at the end of this turn.
    Closing,
}

/// One connection, without its handler: what a send looks at, and a box with the rest, to which this
/// dereferences.
#[derive(Debug)]
#[repr(align(64))] // A cache line.
pub(crate) struct Conn {
    pub(crate) key: Key,
    /// Its window is open while the connection takes output, is marked for the flush and on the same
    /// side of its marks: from the first send of a turn to the flush.
    pub(crate) outbound: Outbound,
    pub(crate) rest: Box<Rest>,
}

/// What is looked at once in a turn, or less often.
#[derive(Debug)]
#[repr(C)] // In order: what a flush and a read look at, and what they do not.
pub(crate) struct Rest {
    pub(crate) phase: Phase,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// A short read does not prove that nothing is left: the peer has ended its direction, or this
    /// is no TCP connection.
    pub(crate) hangup: bool,
    /// Two pipes, one for each direction: the end of one is not the end of the other.
    pub(crate) apart: bool,
    /// Why it is not read, if it is not.
    pub(crate) holds: Holds,
    /// The handler left bytes that it could use: it yielded, or was resumed.
    pub(crate) rescan: bool,
    pub(crate) eof: bool,
    pub(crate) wants_write_end: bool,
    pub(crate) sent_write_end: bool,
    pub(crate) congested: bool,
    /// Where it stands in the run queue, if it does.
    pub(crate) in_ready: Option<Lane>,
    /// It has a place among the heavy ones; its own only if it stands there.
    in_heavy: bool,
    /// It left much to do when it last had its turn, and is heavy for that, whatever it owes.
    has_backlog: bool,
    /// Where it is marked for the flush, if it is.
    pub(crate) in_dirty: Option<Lane>,
    pub(crate) load: Load,
    /// Its output is to be written before anyone else has a turn.
    pub(crate) urgent: bool,
    /// It has a place in the queue of those whose streams are to give their next piece.
    pub(crate) in_line: bool,
    /// Slices of input it has had, and how often its queue was offered to the kernel: modulo 2^16, for
    /// timers that wait for one more.
    slices: u16,
    pub(crate) offers: u16,
    pub(crate) low: usize,
    pub(crate) high: usize,
    pub(crate) max: usize,
    pub(crate) written: u64,
    /// What its queue counts for in the total.
    pub(crate) counted: usize,
    pub(crate) last_progress: Time,
    /// When bytes last moved, in either direction.
    pub(crate) last_activity: Time,
    /// Bytes read and dropped since it is ending, or since our end was sent.
    pub(crate) dropped: usize,
    /// What its queue is filled from.
    pub(crate) stream: Option<Box<Stream>>,
    /// Where its input goes, if not to the handler.
    pub(crate) relay: Option<Box<Relay>>,
    /// Between its queue and its socket, once it was started.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Box<Layer>>,
    /// The connection whose `relay` leads here.
    pub(crate) fed_by: Option<Key>,
    /// Armed while output waits and a write timeout is set.
    pub(crate) write_timer: Option<TimerId>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) carry: Carry,
    pub(crate) need: usize,
    /// Most bytes that its handler may leave unread.
    pub(crate) input_max: usize,
    /// The listener that has accepted it.
    pub(crate) listener: Key,

    /// A write has failed: nothing can be sent, but what the peer sent before may wait unread.
    pub(crate) broken: Option<Close>,
    /// The type of its handler, once that has taken its place.
    pub(crate) handler_type: Option<TypeId>,
    /// Most bytes that were left in its queue when the kernel took no more.
    pub(crate) queued_peak: usize,
    /// Bytes that its present relay, or the last one, has handed over.
    pub(crate) proxied: u64,
    /// Bytes that its present stream, or the last one, has queued.
    pub(crate) streamed: u64,
    pub(crate) why: Option<Close>,
    /// Armed while connecting, ending and draining: the end of patience with each.
    pub(crate) phase_timer: Option<TimerId>,
    /// Total bytes that must have been written when `write_timer` fires.
    pub(crate) write_target: u64,
    pub(crate) idle_timeout: Option<Duration>,
    /// Armed while it rests, since the system had no memory for it.
    pub(crate) try_again_timer: Option<TimerId>,
    /// Armed while open and an idle timeout is set; it fires no later than the timeout ends, and is
    /// armed again if bytes have moved since.
    pub(crate) idle_timer: Option<TimerId>,
    /// What is yet to be tried, while connecting to a name.
    pub(crate) dial: Option<Box<Dial>>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    /// The process at the far end, if it is one that this reactor has started.
    pub(crate) child: Option<Child>,
}

impl Deref for Conn {
    type Target = Rest;

    #[inline]
    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl DerefMut for Conn {
    #[inline]
    fn deref_mut(&mut self) -> &mut Rest {
        &mut self.rest
    }
}

impl Conn {
    /// Whether the handler may still be given input.
    pub(crate) fn takes_input(&self) -> bool {
        self.phase == Phase::Open && !self.holds.any()
    }

    /// Whether its queue is short enough for the next piece of its stream, and has room for it.
    pub(crate) fn wants_piece(&self) -> bool {
        let low = |stream: &Stream| stream.low.unwrap_or(self.low);
        let queued = self.queued();
        let stream = self.stream.as_ref();
        queued < self.max && stream.is_some_and(|stream| queued <= low(stream))
    }

    /// Whether a stream may go on filling its queue.
    pub(crate) fn takes_stream(&self) -> bool {
        self.phase == Phase::Open && self.stream.is_some() && self.takes_output()
    }

    /// Whether the kernel has room for more of its queue, as far as is known, and it is the loop that
    /// has yet to write.
    pub(crate) fn is_owed(&self) -> bool {
        self.writable && !self.wire().is_empty()
    }

    /// Whether its queue is being written: it is open, or has last words.
    pub(crate) fn is_written(&self) -> bool {
        !matches!(self.phase, Phase::Connecting | Phase::Closing)
    }

    /// How many bytes a send must bring to have something to note: the queue reaches its high mark
    /// or passes its bound.
    pub(crate) fn to_next_mark(&self) -> usize {
        let past_max = self.max + 1;
        let mark = if self.congested {
            past_max
        } else {
            past_max.min(self.high)
        };
        mark.saturating_sub(self.queued())
    }

    /// Whether it uses little of the loop, and is about to. One that is ending is read for a moment, and no
    /// handler sees what comes.
    fn is_light(&self, times: &Times, now: Time) -> bool {
        let is_ending = matches!(self.phase, Phase::Ending | Phase::Draining);
        let asks_little = !self.has_backlog && self.carry.len() <= LIGHT_READ_BYTES;
        is_ending || asks_little && self.load.is_light(times, now)
    }

    /// Where it stands in the run queue.
    fn lane(&self, times: &Times, now: Time) -> Lane {
        if !self.is_light(times, now) {
            Lane::Heavy
        } else if self.load.is_new() && self.phase == Phase::Open {
            Lane::New
        } else {
            Lane::Light
        }
    }

    /// Whether bytes may still be queued.
    pub(crate) fn takes_output(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Connecting)
            && !self.wants_write_end
            && self.broken.is_none()
    }
}

/// Where connections' buffers come from.
#[derive(Debug)]
pub(crate) struct Pools {
    /// For queues, and for long unread input.
    pub(crate) outbound: Pool,
    pub(crate) packets: Pool,
    carry: Pool,
}

impl Pools {
    /// A block for that much unread input. It may be shorter.
    pub(crate) fn take_unread(&mut self, len: usize) -> Block {
        if len <= CARRY_BUFFER_BYTES_MAX {
            self.carry.take()
        } else {
            self.outbound.take()
        }
    }

    /// Gives such a block back.
    pub(crate) fn give_unread(&mut self, block: Block) {
        if block.len() <= CARRY_BUFFER_BYTES_MAX {
            self.carry.give(block);
        } else {
            self.outbound.give(block);
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Pools {
            outbound: Pool::default(),
            packets: Pool::default(),
            // The beginning of a message may wait for its end for as long as the peer likes.
            carry: Pool::of_blocks_up_to(CARRY_BUFFER_BYTES_MAX),
        }
    }
}

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
    #[cfg(feature = "tls")]
    TlsDeadline(Key),
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
    /// Connections whose windows were opened since the last flush, and that are among the heavy ones.
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
            stats: Stats::default(),
            timers_max: usize::MAX,
            timers_swept_at: TIMERS_SWEPT_MIN,
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
        let rest = Rest {
            phase,
            readable: false,
            // A new socket takes bytes; the first write tells if not.
            writable: phase == Phase::Open,
            hangup: peer.is_none(),
            apart: false,
            holds: Holds::default(),
            rescan: false,
            eof: false,
            wants_write_end: false,
            sent_write_end: false,
            congested: false,
            in_ready: None,
            in_heavy: false,
            has_backlog: false,
            in_dirty: None,
            load: Load::default(),
            urgent: false,
            in_line: false,
            slices: 0,
            offers: 0,
            handler_type: None,
            relay: None,
            fed_by: None,
            queued_peak: 0,
            proxied: 0,
            stream: None,
            streamed: 0,
            dropped: 0,
            why: None,
            broken: None,
            carry: Carry::default(),
            need: 0,
            input_max: INPUT_BYTES_MAX,
            listener: Key::NONE,
            low: LOW_MARK_BYTES,
            high: HIGH_MARK_BYTES,
            max: QUEUE_BYTES_MAX,
            phase_timer: None,
            write_timeout: None,
            write_timer: None,
            write_target: 0,
            written: 0,
            counted: 0,
            last_progress: self.clock,
            last_activity: self.clock,
            idle_timeout: None,
            idle_timer: None,
            try_again_timer: None,
            dial: None,
            peer,
            local: None,
            child: None,
            #[cfg(feature = "tls")]
            tls: None,
        };
        let conn = Conn {
            key,
            outbound: Outbound::default(),
            rest: Box::new(rest),
        };
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
                #[cfg(feature = "tls")]
                if let Some(tls) = &mut conn.tls {
                    tls.wire_mut().clear(&mut self.pools.outbound);
                    if let Some(timer) = tls.timer {
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
        let Pools {
            outbound,
            packets,
            carry,
        } = &self.pools;
        Memory {
            connections: entries + self.connections() * size_of::<Rest>(),
            pools: outbound.bytes() + packets.bytes() + carry.bytes(),
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

    /// Arms a timer for a handler or a closure, `delay` from when the clock was last read.
    ///
    /// # Panics
    /// If there are `timers_max` already.
    pub(crate) fn arm(
        &mut self,
        delay: Duration,
        period: Option<Duration>,
        target: Target,
    ) -> TimerId {
        self.make_room_for_a_timer();
        self.timers.arm(self.clock + delay, period, target)
    }

    /// Arms a timer for a handler, for what its peer has to do within `patience`.
    ///
    /// # Panics
    /// As [`arm`](Core::arm).
    pub(crate) fn arm_deadline(&mut self, patience: Duration, target: Target) -> TimerId {
        self.make_room_for_a_timer();
        self.timers.arm_deadline(self.clock, patience, target)
    }

    /// # Panics
    /// If there are `timers_max` already.
    fn make_room_for_a_timer(&mut self) {
        let max = self.timers_max;
        if self.timers.len() >= max.min(self.timers_swept_at) {
            self.forget_timers_of_nobody();
        }
        assert!(
            self.timers.len() < max,
            "{max} timers are armed, the most this reactor allows (Builder::max_timers)"
        );
    }

    /// Forgets the timers of handlers that have gone. Done when there are twice as many as the last
    /// time left over, so that its cost is shared by as many armings as it looks at timers.
    fn forget_timers_of_nobody(&mut self) {
        let entries = &self.entries;
        self.timers.retain(|target| match target {
            Target::Handler(key, _) => is_of(entries, key),
            _ => true,
        });
        self.timers_swept_at = TIMERS_SWEPT_MIN.max(2 * self.timers.len());
    }

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

    /// One that stands among the heavy ones may be promoted, and leaves its place there behind.
    fn enqueue_in(&mut self, key: Key, lane: Lane) {
        let in_ready = match self.entries.get_mut(key.index()) {
            Some(Entry::Conn(conn)) if conn.key == key => {
                let before = conn.in_ready;
                if before == Some(Lane::Light) || before == Some(lane) {
                    return;
                }
                conn.in_ready = Some(lane);
                if lane != Lane::Heavy || !std::mem::replace(&mut conn.in_heavy, true) {
                    self.ready[lane].push_back(key);
                }
                return;
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
                conn.in_heavy &= lane != Lane::Heavy;
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
        Some(key)
    }

    /// Whether no connection stands before another in the run queue, but for new ones.
    #[inline]
    pub(crate) fn has_one_only(&self) -> bool {
        self.ready[Lane::Heavy].len() + self.ready[Lane::Light].len() == 1
    }

    /// Promotes heavy connections that have paid back what they owed. Looks at some of them, and at others
    /// the next time.
    pub(crate) fn promote(&mut self) {
        let count = self.ready[Lane::Heavy].len();
        for _ in 0..count.min(PROMOTED_MAX) {
            self.looked_at = (self.looked_at + 1) % count;
            let key = self.ready[Lane::Heavy][self.looked_at];
            let waits = |conn: &Conn| {
                conn.in_ready == Some(Lane::Heavy) && conn.is_light(&self.times, self.now)
            };
            if self.conn(key).is_some_and(waits) {
                self.enqueue_in(key, Lane::Light);
            }
        }
    }

    /// The slice of `turn.serving` is over at `now`, and has cost so many nanoseconds. If it left much to do it comes
    /// again behind those that did not.
    pub(crate) fn end_slice(&mut self, cost: u64, now: Time) {
        let key = std::mem::replace(&mut self.turn.serving, Key::NONE);
        let again = std::mem::take(&mut self.turn.again);
        let is_filled = self.turn.is_filled;
        let mut lane = Lane::Light;
        let times = self.times;
        if let Some(conn) = self.conn_mut(key) {
            conn.load.charge(cost, &times, now);
            conn.has_backlog = again && (is_filled || conn.rescan);
            if !conn.is_light(&times, now) {
                lane = Lane::Heavy;
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
    pub(crate) fn mark_dirty(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        if conn.key != key || conn.in_dirty == Some(Lane::Light) {
            return;
        }
        let lane = if conn.queued() > BULK_BYTES {
            Lane::Heavy
        } else {
            self.turn.lane_of_mark(key)
        };
        // One that is promoted leaves its place in the other lane behind, where it means nothing.
        if conn.in_dirty != Some(lane) {
            conn.in_dirty = Some(lane);
            self.dirty[lane].push_back(key);
        }
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
            && conn.in_dirty == Some(Lane::Heavy)
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
    }

    /// Ends the outgoing direction once the queue is empty.
    pub(crate) fn shutdown_write(&mut self, key: Key) {
        if let Some(conn) = self.conn_mut(key) {
            conn.wants_write_end = true;
            conn.outbound.shut_window();
            self.mark_dirty(key);
        }
    }

    /// Stops reading a connection for one more reason.
    pub(crate) fn hold(&mut self, key: Key, hold: Hold) {
        if let Some(conn) = self.conn_mut(key) {
            conn.holds.add(hold);
        }
    }

    /// Lifts one reason; reads again, beginning with what was left unread, if it was the last.
    pub(crate) fn lift(&mut self, key: Key, hold: Hold) {
        let now = self.clock;
        if let Some(conn) = self.conn_mut(key)
            && conn.holds.lift(hold)
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

    /// Arms the timer that bounds the present phase, in place of the one before.
    pub(crate) fn arm_phase_timer(&mut self, key: Key, patience: Duration, target: Target) {
        let timer = self.timers.arm_deadline(self.clock, patience, target);
        self.set_phase_timer(key, timer);
    }

    /// As [`arm_phase_timer`](Core::arm_phase_timer), for a time that is not its peer's, and is not given
    /// twice.
    pub(crate) fn arm_plain_phase_timer(&mut self, key: Key, time: Duration, target: Target) {
        let timer = self.timers.arm(self.clock + time, None, target);
        self.set_phase_timer(key, timer);
    }

    fn set_phase_timer(&mut self, key: Key, timer: TimerId) {
        let before = self
            .conn_mut(key)
            .and_then(|conn| conn.phase_timer.replace(timer));
        if let Some(before) = before {
            self.timers.cancel(before);
        }
    }

    /// Arms the write timer unless it is armed: what waits now must have left when it fires.
    pub(crate) fn arm_write_timer(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        if let (Some(timeout), None) = (conn.write_timeout, conn.write_timer) {
            let target = Target::WriteDeadline(key);
            conn.write_target = conn.written + conn.queued() as u64;
            conn.write_timer = Some(self.timers.arm_deadline(self.clock, timeout, target));
        }
    }

    /// Arms the idle timer unless it is armed, for when the timeout ends if no byte moves until then.
    /// Not while connecting or paused: the opening and `resume` do it.
    pub(crate) fn arm_idle_timer(&mut self, key: Key) {
        let Some(Entry::Conn(conn)) = self.entries.get_mut(key.index()) else {
            return;
        };
        let waits = conn.key == key && conn.takes_input();
        if let (true, Some(timeout), None) = (waits, conn.idle_timeout, conn.idle_timer) {
            let target = Target::IdleDeadline(key);
            let left = (conn.last_activity + timeout).since(self.clock);
            conn.idle_timer = Some(self.timers.arm_deadline(self.clock, left, target));
        }
    }

    /// The idle timer has fired: closes the connection, or arms it with what remains.
    pub(crate) fn check_idle_deadline(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.conn_mut(key) else {
            return;
        };
        conn.idle_timer = None;
        let Some(timeout) = conn.idle_timeout else {
            return;
        };
        // Output of this turn leaves at its end, and input that the handler has put off waits here.
        let written = conn.in_dirty.is_some() && !conn.outbound.is_empty();
        let streamed = conn.stream.is_some() && conn.in_line;
        let moves = conn.rescan || (conn.writable && (written || streamed));
        if moves {
            conn.last_activity = now;
        }
        let waits = conn.takes_input();
        if waits && conn.last_activity + timeout <= now {
            self.close(key, Close::IdleTimeout);
        } else {
            self.arm_idle_timer(key);
        }
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

    /// Takes the earliest timer that is due and was armed before the mark `pass`.
    pub(crate) fn pop_timer(&mut self, pass: u64) -> Popped<Target> {
        let entries = &self.entries;
        let behind = |target| behind(entries, target);
        self.timers.pop(self.now, pass, self.resumed, behind)
    }
}

/// Whether the judgement of `target` has to wait: what is known to have come for it was not given to
/// it, or what is queued for its peer was not offered, although there is room. Then the turn is told that
/// it had last, of those for which it stands in line: there is another to come.
fn behind(entries: &Slab<Entry>, target: Target) -> Option<u16> {
    let (key, writes) = match target {
        Target::Handler(key, _) | Target::ConnectDeadline(key) | Target::IdleDeadline(key) => {
            (key, false)
        }
        Target::WriteDeadline(key) | Target::Linger(key) => (key, true),
        #[cfg(feature = "tls")]
        Target::TlsDeadline(key) => (key, false),
        _ => return None,
    };
    match entries.get(key.index())? {
        Entry::Conn(conn) if conn.key == key && writes => {
            let is_behind = conn.is_owed() && conn.is_written() && conn.in_dirty.is_some();
            is_behind.then_some(conn.offers)
        }
        Entry::Conn(conn) if conn.key == key => {
            let reads = match conn.phase {
                Phase::Open => conn.takes_input() || conn.is_handshaking(),
                Phase::Connecting => conn.writable,
                Phase::Ending | Phase::Draining | Phase::Closing => false,
            };
            (reads && conn.in_ready.is_some()).then_some(conn.slices)
        }
        Entry::Udp(udp) if udp.key == key => {
            (udp.in_ready && udp.takes_packets()).then_some(udp.slices)
        }
        Entry::Watching(watching) if watching.key == key => {
            (watching.in_ready && !watching.closing).then_some(watching.slices)
        }
        _ => None,
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
