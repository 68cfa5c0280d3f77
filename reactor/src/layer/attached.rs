//! `Attached`: a layer in its place on a connection, with all that the loop keeps for it.
//!
//! ```text
//! queue (plain) ── seal ──▶ layer ──▶ wire ──▶ socket      no more is sealed from WIRE_BYTES_MAX on
//! early, socket ── open ──▶ layer ──▶ plain, for the handler
//!
//! 0 <= early_at < early.len(), or nothing came early
//! seal_left <= SEAL_BYTES_MAX
//! ```
//!
//! `wire` begins with what was queued before the layer: it leaves as it is. `early` is what had come
//! before the layer and was left unread: it is the layer's first input.

use super::stacked::Stacked;
use super::{Arrived, Heard, Layer, Queue, Wire};
use crate::input::Carry;
use crate::outbound::{Outbound, Pool};
use crate::{Close, TimerId};
use std::any::Any;
use std::time::Duration;

/// Bytes that may wait for the socket; past this nothing more is sealed.
const WIRE_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of a queue that one connection seals in a turn: a layer that makes little of much has its share of the
/// time, and not all that it takes to fill the socket.
const SEAL_BYTES_MAX: usize = 1024 * 1024;

/// What is to follow the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum After {
    /// More, perhaps.
    Nothing,
    /// The end of our direction.
    End,
    /// The end of the connection: a handshake that nothing waits for is given up.
    Close,
}

/// How the peer has ended its direction.
#[derive(Debug)]
pub(crate) enum End {
    Orderly,
    Error(Close),
}

/// What stands between the queue and the wire.
#[derive(Debug)]
enum Layers {
    One(Box<dyn Layer>),
    Two(Box<Stacked>),
}

impl Layers {
    fn top(&self) -> &dyn Layer {
        match self {
            Layers::One(layer) => &**layer,
            Layers::Two(stacked) => &**stacked,
        }
    }

    fn top_mut(&mut self) -> &mut dyn Layer {
        match self {
            Layers::One(layer) => &mut **layer,
            Layers::Two(stacked) => &mut **stacked,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Attached {
    layers: Layers,
    /// The handler's unread input is still to become the first of a layer: of the upper one, if `is_opened`.
    pub(crate) is_fresh: bool,
    is_opened: bool,
    early: Vec<u8>,
    early_at: usize,
    pub(crate) wire: Outbound,
    /// Bytes of the queue that may still be sealed in this turn.
    seal_left: usize,
    /// Something that has come is yet to be opened.
    is_to_go_on: bool,
    /// The peer's end, until the handler has been told of it.
    pub(crate) end: Option<End>,
    /// Nothing that comes is believed any more.
    has_failed: bool,
    /// Our end was said, or is not worth saying.
    has_finished: bool,
    /// The handshake is over, and the handler was told.
    is_settled: bool,
    /// How long the handshake may take.
    pub(crate) timeout: Duration,
    /// Armed until the handshake is over.
    pub(crate) timer: Option<TimerId>,
}

impl Attached {
    /// Takes over from plain bytes: what `queue` holds leaves as it is.
    pub(crate) fn new(layer: Box<dyn Layer>, timeout: Duration, queue: &mut Outbound) -> Attached {
        Attached {
            is_settled: !layer.is_handshaking(),
            layers: Layers::One(layer),
            is_fresh: true,
            is_opened: false,
            early: Vec::new(),
            early_at: 0,
            wire: std::mem::take(queue),
            seal_left: SEAL_BYTES_MAX,
            is_to_go_on: false,
            end: None,
            has_failed: false,
            has_finished: false,
            timeout,
            timer: None,
        }
    }

    /// The layer put over the one there is, which is not to be a second one's. What `queue` holds leaves by the lower
    /// one alone.
    pub(crate) fn under(
        self,
        layer: Box<dyn Layer>,
        timeout: Duration,
        queue: &mut Outbound,
    ) -> Attached {
        let timeout = match self.is_handshaking() {
            // One after the other.
            true => self.timeout + timeout,
            false => timeout,
        };
        let Layers::One(lower) = self.layers else {
            debug_assert!(false, "there are two at most");
            return self;
        };
        let stacked = Stacked::new(lower, layer, std::mem::take(queue));
        Attached {
            is_settled: !stacked.is_handshaking(),
            layers: Layers::Two(Box::new(stacked)),
            // Where the lower one has not taken its own over yet, it is that one's.
            is_opened: !self.is_fresh,
            is_fresh: true,
            timeout,
            ..self
        }
    }

    /// Whether there are two layers.
    pub(crate) fn is_stacked(&self) -> bool {
        matches!(self.layers, Layers::Two(_))
    }

    /// The layer of this type, if there is one.
    pub(crate) fn find<L: Layer>(&self) -> Option<&L> {
        match &self.layers {
            Layers::One(layer) => (&**layer as &dyn Any).downcast_ref(),
            Layers::Two(stacked) => stacked.find(),
        }
    }

    pub(crate) fn find_mut<L: Layer>(&mut self) -> Option<&mut L> {
        match &mut self.layers {
            Layers::One(layer) => (&mut **layer as &mut dyn Any).downcast_mut(),
            Layers::Two(stacked) => stacked.find_mut(),
        }
    }

    /// Bytes that have left the queue, and that the kernel has not.
    pub(crate) fn waiting(&self) -> usize {
        let between = match &self.layers {
            Layers::One(_) => 0,
            Layers::Two(stacked) => stacked.between.len(),
        };
        self.wire.len() + between
    }

    /// Bytes of memory that those take.
    pub(crate) fn held(&self) -> usize {
        let between = match &self.layers {
            Layers::One(_) => 0,
            Layers::Two(stacked) => stacked.between.held(),
        };
        self.wire.held() + between
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.wire.clear(pool);
        if let Layers::Two(stacked) = &mut self.layers {
            stacked.between.clear(pool);
        }
    }

    /// Whether input is still the handshake's, and nothing can be sent.
    pub(crate) fn is_handshaking(&self) -> bool {
        !self.is_settled && self.layers.top().is_handshaking()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether it has failed before the handler was told that the handshake is over: it will not be.
    pub(crate) fn has_failed_unsettled(&self) -> bool {
        self.has_failed && !self.is_settled
    }

    /// Takes what had come before the layer and was left unread.
    pub(crate) fn take_over(&mut self, carry: &mut Carry) {
        if std::mem::take(&mut self.is_fresh) {
            match &mut self.layers {
                Layers::Two(stacked) if self.is_opened => {
                    stacked.opened.extend_from_slice(carry.unread());
                    self.is_to_go_on |= !carry.unread().is_empty();
                }
                _ => self.early.extend_from_slice(carry.unread()),
            }
            carry.consume(carry.len());
            self.invariants();
        }
    }

    /// At most `len` bytes of what came early, and forgets them.
    pub(crate) fn take_early(&mut self, len: usize) -> Vec<u8> {
        let end = self.early.len().min(self.early_at + len);
        let taken = self.early[self.early_at..end].to_vec();
        self.early_at = end;
        if self.early_at == self.early.len() {
            self.early = Vec::new();
            self.early_at = 0;
        }
        self.invariants();
        taken
    }

    /// The inequality of the header.
    fn invariants(&self) {
        let (at, len) = (self.early_at, self.early.len());
        debug_assert!(
            at < len || (at, len) == (0, 0),
            "{at} of {len} bytes that came early"
        );
        debug_assert!(self.seal_left <= SEAL_BYTES_MAX);
    }

    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether something that has come is yet to be opened, without more.
    pub(crate) fn is_to_go_on(&self) -> bool {
        self.is_to_go_on
    }

    /// Whether something is to be delivered without a read.
    pub(crate) fn is_pending(&self) -> bool {
        self.has_early() || self.is_to_go_on || self.end.is_some()
    }

    /// Bytes came from the peer: appends what they say to `plain`. How the peer ends is in `end`.
    pub(crate) fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) {
        if self.end.is_some() {
            return;
        }
        self.is_to_go_on = false;
        match self.layers.top_mut().open(wire, plain) {
            Ok(Heard::More) => {}
            Ok(Heard::Again) => self.is_to_go_on = true,
            Ok(Heard::End) => self.end = Some(End::Orderly),
            Err(why) => {
                self.has_failed = true;
                self.end = Some(End::Error(why));
            }
        }
    }

    /// The socket has ended.
    pub(crate) fn at_eof(&mut self) {
        self.end = Some(match self.layers.top_mut().at_eof() {
            Ok(()) => End::Orderly,
            Err(why) => End::Error(why),
        });
    }

    /// Whether the handshake is over and the handler does not know yet. Answers yes once.
    pub(crate) fn settle(&mut self) -> bool {
        let is_over = !self.is_settled && !self.has_failed && !self.layers.top().is_handshaking();
        self.is_settled |= is_over;
        is_over
    }

    /// Why the connection closes that is still in its handshake when the time for that is over.
    pub(crate) fn timed_out(&mut self) -> Option<Close> {
        self.is_handshaking()
            .then(|| self.layers.top_mut().timed_out())
    }

    /// Whether a flush has something to send besides the queue.
    pub(crate) fn wants_write(&self) -> bool {
        self.has_failed || self.layers.top().wants_write()
    }

    /// A turn begins, with its share of what may be sealed.
    pub(crate) fn begin_turn(&mut self) {
        self.seal_left = SEAL_BYTES_MAX;
    }

    /// Whether the share of this turn has ended before `queue` has.
    pub(crate) fn is_cut(&self, queue: &Outbound) -> bool {
        self.seal_left == 0 && !queue.is_empty() && !self.has_failed
    }

    /// Seals what `queue` holds, as far as `wire` has room and the turn's share goes, and what is to come after it.
    pub(crate) fn seal(&mut self, queue: &mut Outbound, pool: &mut Pool, after: After) {
        let layer = self.layers.top_mut();
        loop {
            let mut wire = Wire {
                bytes: &mut self.wire,
                pool,
            };
            layer.write(&mut wire);
            if self.has_failed || self.has_finished || wire.bytes.len() >= WIRE_BYTES_MAX {
                return;
            }
            let is_handshaking = !self.is_settled && layer.is_handshaking();
            if !queue.is_empty() {
                if is_handshaking || self.seal_left == 0 {
                    return;
                }
                let before = queue.len();
                let taken = layer.seal(&mut Queue(queue), &mut wire);
                queue.advance(taken, pool);
                if queue.len() == before {
                    // What it says in place of the queue, as that its keys are used up.
                    layer.write(&mut Wire {
                        bytes: &mut self.wire,
                        pool,
                    });
                    return;
                }
                self.seal_left = self.seal_left.saturating_sub(before - queue.len());
                continue;
            }
            match after {
                After::Nothing => return,
                After::End if is_handshaking => return,
                After::Close if is_handshaking => {}
                After::End | After::Close => layer.finish(&mut wire),
            }
            self.has_finished = true;
        }
    }

    /// Whether nothing of `queue` will be sent any more, or nothing is left, and `after` is done.
    pub(crate) fn is_flushed(&self, queue: &Outbound, after: After) -> bool {
        let is_done = after == After::Nothing || self.has_finished;
        self.waiting() == 0 && (self.has_failed || (queue.is_empty() && is_done))
    }
}
