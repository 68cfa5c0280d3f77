//! Streams: a piece for each queue that is short enough, before it is written.

use super::Reactor;
use super::panics::caught;
use crate::Key;
use crate::core::Phase;
use crate::io::Io;
use crate::stream::StreamEnd;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// Most bytes that leave a file for one connection in a turn without being copied.
const FILE_BYTES_MAX: usize = 256 * 1024;

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
        if !conn.wants_piece() || self.send_file(key) {
            return;
        }
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
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

    /// Has the system send from the file that is streamed, if it can, and the socket takes more;
    /// answers whether that is all for this turn. Otherwise the next piece is copied: one that waits
    /// in the queue is what deadlines, marks and events know of.
    fn send_file(&mut self, key: Key) -> bool {
        let now = self.core.now;
        let Some(conn) = self.core.conn_mut(key) else {
            return false;
        };
        #[cfg(feature = "tls")]
        if conn.tls.is_some() {
            return false;
        }
        let Some(file) = conn.stream.as_ref().and_then(|stream| stream.file()) else {
            return false;
        };
        if conn.queued() > 0 {
            // It goes first, and what the socket has taken already keeps it busy.
            return true;
        }
        if !conn.writable {
            return false;
        }
        match self.driver.send_file(key, file.as_fd(), FILE_BYTES_MAX) {
            Ok(0) => self.stream_ended(key, Ok(())),
            Ok(len) => {
                conn.streamed += len as u64;
                conn.written += len as u64;
                conn.last_progress = now;
                conn.last_activity = now;
                self.core.stats.writes += 1;
                self.core.stats.written_bytes += len as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                // Whatever else is wrong, copying finds out of what, the file or the socket.
                if error.kind() == ErrorKind::WouldBlock {
                    conn.writable = false;
                } else if let Some(stream) = conn.stream.take() {
                    conn.stream = Some(Box::new(stream.read_file()));
                }
                return false;
            }
        }
        true
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
