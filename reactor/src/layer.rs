//! Layers: what stands between a connection's queue and its socket, as TLS does. Bytes in, bytes
//! out, without I/O.
//!
//! ```text
//! socket ── read ──▶ open ──▶ on_input            plain from here on
//! socket ◀─ write ── wire ◀── seal ◀── queue ◀── send
//! ```
//!
//! A layer is put on a connection by [`Io::start_layer`](crate::Io::start_layer), from the first
//! byte on or in the middle of the conversation; TLS ([`Context::start_tls`](crate::Context)) is one.
//! Handlers, relays, streams, marks and timeouts do not know that it is there. The trait is public,
//! since a framing such as WebSocket's belongs with the HTTP that precedes it, and not here.
//!
//! # What the loop does for each layer
//!
//! * What is queued before the layer leaves as it is. What has come and is left unread by then is
//!   the layer's first input.
//! * What is sent during the handshake is held, and leaves behind it. The handshake is read even
//!   while the connection is paused, and has a deadline.
//! * What is sent in one turn is sealed together at the flush, and no further ahead than 256 KiB
//!   that wait for the socket: the rest stays in the queue, where marks and bounds are as without
//!   a layer.
//! * [`queued`](crate::Io::queued) counts sealed bytes that wait at their sealed length. What a layer
//!   keeps of its own is not counted: it keeps no output, and of input the beginning of one unit at
//!   most, whose size it bounds.
//! * [`shutdown_write`](crate::Io::shutdown_write) and
//!   [`close_after_write`](crate::Io::close_after_write) say the layer's [end](Layer::finish) behind
//!   the last byte; [`close`](crate::Io::close) sends nothing.
//! * The system cannot move bytes through a layer: relays and files are copied. A connection with a
//!   layer cannot be [detached](crate::Io::detach).
//!
//! # One over another
//!
//! [`Io::start_layer`](crate::Io::start_layer) on a connection that has one puts the new one over it: between the
//! queue and the first one, as WebSocket over TLS. What the lower one opens is what the upper one hears, and what
//! the upper one seals is what the lower one sends. Its handshake begins when the lower one's is over, and
//! [`on_handshake`](crate::Handler::on_handshake) is told of both together. There are two at most.

use crate::Close;
use crate::outbound::{Outbound, Pool};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;

mod attached;
mod stacked;

pub(crate) use attached::{After, Attached, End};

/// Room in front of what is read for a layer, in bytes: for the beginning of a record of TLS, which is 18,437 bytes
/// long at most.
pub(crate) const ROOM_BYTES: usize = 20 * 1024;

/// One connection's layer: see the [module](self). Calls never overlap, and never wait.
pub trait Layer: Any + fmt::Debug {
    /// Bytes have come, cut anywhere: appends what they say to `plain`. All of them are taken, unless
    /// they say an end; the buffer that they are in is the layer's until it returns. A layer whose bytes may say much more than they are keeps some of them, and asks to be
    /// called [again](Heard::Again).
    ///
    /// # Errors
    /// Why nothing that comes can be believed any more, behind what was appended. What
    /// [`write`](Layer::write) has to say to that is sent, and nothing else; then the connection
    /// closes.
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close>;

    /// The socket has ended, and the layer's input had not.
    ///
    /// # Errors
    /// Why that is no orderly end. Without an error it is told as one, by
    /// [`on_eof`](crate::Handler::on_eof).
    fn at_eof(&mut self) -> Result<(), Close>;

    /// Turns the beginning of `queue`, which is not empty, into bytes for the socket, and answers how much
    /// of it; what was [passed](Wire::pass) has left the queue and does not count. Nothing of either: it cannot
    /// go on before more has come. Not called during the handshake.
    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize;

    /// Appends what the layer has to say of its own: a step of the handshake, an answer to the peer's
    /// layer, the reason for a failure. Called before and behind each `seal` and `finish`, and when
    /// [`wants_write`](Layer::wants_write) says so. Bounded by the layer, also where a peer asks much
    /// and reads nothing.
    fn write(&mut self, wire: &mut Wire<'_>) {
        let _ = wire;
    }

    /// Whether `write` has something to say, though nothing may be queued. Asked after `open`.
    fn wants_write(&self) -> bool {
        false
    }

    /// Appends what says that nothing more will come from here; called once at most, behind all that
    /// was queued, and not during the handshake.
    fn finish(&mut self, wire: &mut Wire<'_>) {
        let _ = wire;
    }

    /// Whether what comes is still the handshake's, and nothing can be sealed. Once it is over, which
    /// only input can make it, [`on_handshake`](crate::Handler::on_handshake) is called. A layer
    /// without a handshake is never in one.
    fn is_handshaking(&self) -> bool {
        false
    }

    /// Why the connection closes if the handshake was not over in time.
    fn timed_out(&mut self) -> Close {
        Close::ConnectTimeout
    }
}

/// Bytes that have come, in a buffer that is lent for the call.
#[derive(Debug)]
pub struct Arrived<'a> {
    buffer: &'a mut [u8],
    /// In front of it is room.
    start: usize,
}

impl<'a> Arrived<'a> {
    /// These, for testing a layer by itself. There is no room in front of them.
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Arrived<'a> {
        Arrived::with_room(bytes, 0)
    }

    /// All of `buffer` from `start` on.
    pub(crate) fn with_room(buffer: &'a mut [u8], start: usize) -> Arrived<'a> {
        debug_assert!(start <= buffer.len());
        Arrived { buffer, start }
    }

    /// What has come.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The same, behind a copy of what the layer has kept, in one piece that may be changed in place. `None` if there
    /// is no room for so much: there is for 20 KiB in front of what was read from the socket.
    pub fn behind(&mut self, kept: &[u8]) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(kept.len())?;
        let bytes = &mut self.buffer[start..];
        bytes[..kept.len()].copy_from_slice(kept);
        Some(bytes)
    }
}

impl Deref for Arrived<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

/// Whether more may follow what has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// It may.
    More,
    /// It does: something was kept that is yet to be opened. The call comes again, with no bytes, when the handler
    /// has had what was, and before more is read.
    Again,
    /// The peer's layer has said that nothing more will come. What follows is dropped.
    End,
}

/// What is queued of a connection, oldest first.
#[derive(Debug)]
pub struct Queue<'a>(&'a mut Outbound);

impl Queue<'_> {
    /// How many bytes that is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `max` bytes, or all there are if that is fewer, piece by piece. No piece is empty.
    pub fn pieces(&self, max: usize) -> impl Iterator<Item = &[u8]> {
        let mut left = max;
        self.0
            .waiting()
            .map(move |piece| {
                let piece = &piece[..piece.len().min(left)];
                left -= piece.len();
                piece
            })
            .take_while(|piece| !piece.is_empty())
    }
}

/// The end of what waits for the socket.
#[derive(Debug)]
pub struct Wire<'a> {
    bytes: &'a mut Outbound,
    pool: &'a mut Pool,
}

impl Wire<'_> {
    /// How many bytes wait already.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether none do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends a copy of `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.make_room(bytes.len(), self.pool);
        self.bytes.tail(bytes.len()).put(bytes);
    }

    /// Appends what `write` writes into the beginning of at least `len` bytes of room; it answers the number of bytes.
    ///
    /// # Errors
    /// Those of `write`, and nothing is appended.
    #[cfg(feature = "tls")]
    pub(crate) fn put_with<E>(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.bytes.make_room(len, self.pool);
        let mut tail = self.bytes.tail(len);
        let written = write(tail.room())?;
        tail.advance(written);
        Ok(())
    }

    /// Appends `head`, and behind it the first [piece](Queue::pieces) of `queue`, which leaves it. For a layer that
    /// changes no byte of what is queued: a long piece is not copied.
    pub fn pass(&mut self, head: &[u8], queue: &mut Queue<'_>) {
        self.bytes.take_piece(head, queue.0, self.pool);
    }
}

/// Why a layer was not put on a connection, which is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LayerError {
    /// The connection has two.
    AlreadyStarted,
    /// The connection has gone, is closing, or one of its directions has ended; or it is two pipes.
    NotOpen,
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayerError::AlreadyStarted => "the connection has two layers",
            LayerError::NotOpen => "the connection is not open",
        })
    }
}

impl Error for LayerError {}
