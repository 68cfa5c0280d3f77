//! `Conn`: one connection, as the loop knows it.

use super::turn::{LIGHT_READ_BYTES, Lane, Load, Times};
use crate::dial::Dial;
use crate::input::Carry;
use crate::layer::Attached;
use crate::outbound::Outbound;
use crate::pause::Pauses;
use crate::process::Child;
use crate::relay::Relay;
use crate::stream::Stream;
use crate::{Close, Key, Time, TimerId};
use std::any::TypeId;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Where a queue must fall for `on_drain`, in bytes, unless the connection chooses its own marks.
const LOW_MARK_BYTES: usize = 512 * 1024;
/// Where a queue counts as congested, in bytes.
const HIGH_MARK_BYTES: usize = 1024 * 1024;
/// Most bytes queued for one connection: a peer that reads nothing must not take all memory.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes kept that a handler has left unread, unless the connection chooses otherwise.
const INPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Slices after which a connection has shown whether it asks little: the first ones are greetings.
const NEW_SLICES: u8 = 4;

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
    /// The peer has ended its direction, or is gone.
    pub(crate) hangup: bool,
    pub(crate) is_tcp: bool,
    /// Two pipes, one for each direction: the end of one is not the end of the other.
    pub(crate) apart: bool,
    /// Why it is not read, if it is not.
    pub(crate) pauses: Pauses,
    /// The handler left bytes that it could use: it yielded, or was resumed.
    pub(crate) rescan: bool,
    pub(crate) eof: bool,
    pub(crate) wants_write_end: bool,
    pub(crate) sent_write_end: bool,
    pub(crate) congested: bool,
    /// Where it stands in the run queue, if it does.
    pub(crate) in_ready: Option<Lane>,
    /// The lanes of the run queue in which it has a place, as bits; its own is the one where it stands.
    pub(super) ready_places: u8,
    /// Slices that it has yet to have before it counts among those that ask little.
    pub(super) newness: u8,
    /// The lane of its last slice, if that left much to do: what comes now stands in the lane behind, whatever
    /// it owes.
    pub(super) cut_in: Option<Lane>,
    /// Where it is marked for the flush, if it is, and the lanes in which it has a place, as bits.
    pub(crate) in_dirty: Option<Lane>,
    pub(crate) dirty_places: u8,
    pub(crate) load: Load,
    /// Its output is to be written before anyone else has a turn.
    pub(crate) urgent: bool,
    /// It has a place in the queue of those whose streams are to give their next piece.
    pub(crate) in_line: bool,
    /// Slices of input it has had, and how often its queue was offered to the kernel: modulo 2^16, for
    /// timers that wait for one more.
    pub(super) slices: u16,
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
    /// What stands between its queue and its socket, if anything does.
    pub(crate) layer: Option<Box<Attached>>,
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
    /// Armed while connecting, ending and draining: the deadline of each.
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
    /// One that is opened at `now`.
    pub(super) fn new(key: Key, phase: Phase, peer: Option<SocketAddr>, now: Time) -> Conn {
        let rest = Rest {
            phase,
            readable: false,
            // A new socket takes bytes; the first write tells if not.
            writable: phase == Phase::Open,
            hangup: false,
            is_tcp: peer.is_some(),
            apart: false,
            pauses: Pauses::default(),
            rescan: false,
            eof: false,
            wants_write_end: false,
            sent_write_end: false,
            congested: false,
            in_ready: None,
            ready_places: 0,
            newness: NEW_SLICES,
            cut_in: None,
            in_dirty: None,
            dirty_places: 0,
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
            last_progress: now,
            last_activity: now,
            idle_timeout: None,
            idle_timer: None,
            try_again_timer: None,
            dial: None,
            peer,
            local: None,
            child: None,
            layer: None,
        };
        Conn {
            key,
            outbound: Outbound::default(),
            rest: Box::new(rest),
        }
    }

    /// Whether the handler may still be given input.
    pub(crate) fn takes_input(&self) -> bool {
        self.phase == Phase::Open && !self.pauses.is_paused()
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

    /// Whether more may be there behind a read. A short one proves of a TCP connection that nothing is, if it
    /// proves it of anything; but the end is still to be read where the system has told of a hang-up.
    pub(crate) fn has_more(&self, is_filled: bool, short_read_drains: bool) -> bool {
        is_filled || self.hangup || !(short_read_drains && self.is_tcp)
    }

    /// Where it stands in the run queue. One that is ending is read for a moment, and no handler sees what comes.
    /// One whose peer is gone stands with the new ones: what it holds is free when its socket is read, and more
    /// must not come than goes.
    pub(super) fn lane(&self, times: &Times, now: Time) -> Lane {
        if self.is_handshaking() && !self.has_layer_failed() {
            return Lane::Handshake;
        }
        if matches!(self.phase, Phase::Ending | Phase::Draining) {
            return Lane::Light;
        }
        let is_cut = self.cut_in.is_some_and(|lane| lane >= Lane::Middle);
        if is_cut || self.carry.len() > LIGHT_READ_BYTES || !self.load.is_light(times, now) {
            return match self.hangup {
                true => Lane::New,
                false => Lane::Heavy,
            };
        }
        match self.phase {
            Phase::Open if self.cut_in.is_some() && !self.hangup => Lane::Middle,
            Phase::Open if self.cut_in.is_some() || self.newness > 0 => Lane::New,
            _ => Lane::Light,
        }
    }

    /// Whether bytes may still be queued.
    pub(crate) fn takes_output(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Connecting)
            && !self.wants_write_end
            && self.broken.is_none()
    }
}
