//! Streams: a piece for each queue that is short enough, before it is written.

use super::Reactor;
use super::panics::caught;
use crate::Key;
use crate::core::Phase;
use crate::io::Io;
use crate::stream::StreamEnd;
use std::io::{self, ErrorKind};

impl<S> Reactor<S> {
    /// Queues the next piece of the connection's stream, if there is room for it.
    pub(super) fn fill(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        match conn.phase {
            Phase::Connecting => return,
            Phase::Open => {}
            Phase::Ending | Phase::Draining | Phase::Closing => {
                conn.stream = None;
                return;
            }
        }
        if !conn.takes_output() {
            return self.stream_ended(key, Err(ErrorKind::BrokenPipe.into()));
        }
        if !conn.wants_piece() {
            return;
        }
        let room = conn.max - conn.queued();
        // Out of the connection for the read: the queue is elsewhere in it.
        let Some(mut stream) = conn.stream.take() else {
            return;
        };
        let room = room.min(stream.piece).min(self.scratch.len());
        let piece = &mut self.scratch[..room];
        // The reader is the program's, and so are its panics.
        self.panics.inside = key;
        let read = if self.panics.caught {
            caught(|| stream.read(piece))
        } else {
            Ok(stream.read(piece))
        };
        self.panics.inside = Key::NONE;
        let (len, end) = match read {
            Ok(read) => read,
            Err(payload) => return self.handler_panicked(key, key, payload),
        };
        conn.stream = Some(stream);
        conn.streamed += len as u64;
        let mut io = Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        };
        let taken = io.send(key, &self.scratch[..len]);
        debug_assert!(taken, "{key:?} had room");
        if let Some(end) = end {
            self.stream_ended(key, end);
        }
    }

    /// Comes back next turn if the queue is short enough already: no event will tell.
    pub(super) fn fill_again(&mut self, key: Key) {
        if let Some(conn) = self.core.conn(key)
            && conn.wants_piece()
            && (conn.writable || conn.queued() == 0)
        {
            self.core.mark_dirty(key);
        }
    }

    /// A write has failed for good: the stream ends now, for the connection itself may stay until
    /// its last input has been read.
    pub(super) fn end_broken_stream(&mut self, key: Key) {
        self.stream_ended(key, Err(ErrorKind::BrokenPipe.into()));
    }

    fn stream_ended(&mut self, key: Key, end: io::Result<()>) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if conn.stream.take().is_none() {
            return;
        }
        let bytes = conn.streamed;
        let end = match end {
            Ok(()) => StreamEnd::Complete { bytes },
            Err(error) => StreamEnd::Failed { bytes, error },
        };
        self.call(key, "on_stream", |handler, cx| handler.on_stream(cx, end));
    }
}
