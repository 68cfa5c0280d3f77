//! `Attached`: a layer in its place on a connection, with all that the loop keeps for it.
//!
//! ```text
//! queue (plain) ── seal ──▶ layer ──▶ wire ──▶ socket      no more is sealed from WIRE_BYTES_MAX on
//! early, socket ── open ──▶ layer ──▶ plain, for the handler
//!
//! 0 <= early_at < early.len(), or nothing came early
//! ```
//!
//! `wire` begins with what was queued before the layer: it leaves as it is. `early` is what had come
//! before the layer and was left unread: it is the layer's first input.

use super::{Heard, Layer, Queue, Wire};
use crate::input::Carry;
use crate::outbound::{Outbound, Pool};
use crate::{Close, TimerId};
use std::time::Duration;

/// Bytes that may wait for the socket; past this nothing more is sealed.
const WIRE_BYTES_MAX: usize = 256 * 1024;

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

#[derive(Debug)]
pub(crate) struct Attached {
    layer: Box<dyn Layer>,
    /// The handler's unread input is still to become `early`.
    pub(crate) is_fresh: bool,
    early: Vec<u8>,
    early_at: usize,
    pub(crate) wire: Outbound,
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
            layer,
            is_fresh: true,
            early: Vec::new(),
            early_at: 0,
            wire: std::mem::take(queue),
            end: None,
            has_failed: false,
            has_finished: false,
            timeout,
            timer: None,
        }
    }

    pub(crate) fn layer(&self) -> &dyn Layer {
        &*self.layer
    }

    /// Whether input is still the handshake's, and nothing can be sent.
    pub(crate) fn is_handshaking(&self) -> bool {
        !self.is_settled && self.layer.is_handshaking()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Takes what had come before the layer and was left unread.
    pub(crate) fn take_over(&mut self, carry: &mut Carry) {
        if std::mem::take(&mut self.is_fresh) {
            self.early.extend_from_slice(carry.unread());
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
    }

    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether something is to be delivered without a read.
    pub(crate) fn is_pending(&self) -> bool {
        self.has_early() || self.end.is_some()
    }

    /// Bytes came from the peer: appends what they say to `plain`. How the peer ends is in `end`.
    pub(crate) fn open(&mut self, wire: &[u8], plain: &mut Vec<u8>) {
        if self.end.is_some() {
            return;
        }
        match self.layer.open(wire, plain) {
            Ok(Heard::More) => {}
            Ok(Heard::End) => self.end = Some(End::Orderly),
            Err(why) => {
                self.has_failed = true;
                self.end = Some(End::Error(why));
            }
        }
    }

    /// The socket has ended.
    pub(crate) fn at_eof(&mut self) {
        self.end = Some(match self.layer.at_eof() {
            Ok(()) => End::Orderly,
            Err(why) => End::Error(why),
        });
    }

    /// Whether the handshake is over and the handler does not know yet. Answers yes once.
    pub(crate) fn settle(&mut self) -> bool {
        let is_over = !self.is_settled && !self.has_failed && !self.layer.is_handshaking();
        self.is_settled |= is_over;
        is_over
    }

    /// Why the connection closes that is still in its handshake when the time for that is over.
    pub(crate) fn timed_out(&mut self) -> Option<Close> {
        self.is_handshaking().then(|| self.layer.timed_out())
    }

    /// Whether a flush has something to send besides the queue.
    pub(crate) fn wants_write(&self) -> bool {
        self.has_failed || self.layer.wants_write()
    }

    /// Seals what `queue` holds, as far as `wire` has room, and what is to come after it.
    pub(crate) fn seal(&mut self, queue: &mut Outbound, pool: &mut Pool, after: After) {
        loop {
            let mut wire = Wire {
                bytes: &mut self.wire,
                pool,
            };
            self.layer.write(&mut wire);
            if self.has_failed || self.has_finished || wire.bytes.len() >= WIRE_BYTES_MAX {
                return;
            }
            let is_handshaking = !self.is_settled && self.layer.is_handshaking();
            if !queue.is_empty() {
                if is_handshaking {
                    return;
                }
                let taken = self.layer.seal(&Queue(queue), &mut wire);
                if taken == 0 {
                    return;
                }
                queue.advance(taken, pool);
                continue;
            }
            match after {
                After::Nothing => return,
                After::End if is_handshaking => return,
                After::Close if is_handshaking => {}
                After::End | After::Close => self.layer.finish(&mut wire),
            }
            self.has_finished = true;
        }
    }

    /// Whether nothing of `queue` will be sent any more, or nothing is left, and `after` is done.
    pub(crate) fn is_flushed(&self, queue: &Outbound, after: After) -> bool {
        let is_done = after == After::Nothing || self.has_finished;
        self.wire.is_empty() && (self.has_failed || (queue.is_empty() && is_done))
    }
}
