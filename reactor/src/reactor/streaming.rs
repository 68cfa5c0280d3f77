//! Streams: a piece for each queue that is short enough, when all that was queued is written.

use super::Reactor;
use super::panics::caught;
use crate::Key;
use crate::core::{Conn, Phase};
use crate::io::Io;
use crate::stream::StreamEnd;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// Most bytes that leave a file for one connection in a turn without being copied.
const FILE_BYTES_MAX: usize = 256 * 1024;

impl<S> Reactor<S> {
    /// A piece for each stream in line, in order, until the turn's time for output or `bytes` are
    /// spent. The first in line always has its turn; time counts from then on, and bytes from the first
    /// piece on. What is left keeps its place. Its connection pays for what it costs.
    pub(super) fn run_streams(&mut self, bytes: usize) {
        let (mut left, mut served) = (bytes, false);
        let (mut now, times) = (self.read_clock(), self.core.times);
        for place in 0..self.core.streams.len() {
            if (served && left == 0) || (place > 0 && now >= self.step_ends) {
                break;
            }
            let Some(key) = self.core.streams.pop_front() else {
                break;
            };
            let len = self.next_piece(key);
            self.core.count_queue(key);
            self.after_callback();
            let end = self.read_clock();
            if let Some(conn) = self.core.conn_mut(key) {
                conn.load.charge(end.nanos_since(now), &times, end);
            }
            now = end;
            served |= len > 0;
            left = left.saturating_sub(len);
        }
    }

    /// One stream's next piece is queued and written, or sent by the system, behind all that was queued
    /// before; answers how long it was.
    fn next_piece(&mut self, key: Key) -> usize {
        let Some(conn) = self.core.conn_mut(key) else {
            return 0;
        };
        conn.in_line = false;
        if conn.stream.is_none() {
            return 0;
        }
        let before = conn.streamed;
        if self.is_of_system(key) {
            if self.core.conn(key).is_some_and(|conn| conn.queued() > 0) {
                self.flush_one(key);
            }
            let free = |conn: &Conn| conn.takes_stream() && conn.queued() == 0;
            if !self.core.conn(key).is_some_and(free) {
                // What was queued before goes first, and keeps the socket busy.
                return 0;
            }
            if self.send_file(key) {
                self.line_up(key);
                return self.streamed_since(key, before);
            }
        }
        self.fill(key);
        self.flush_one(key);
        self.streamed_since(key, before)
    }

    fn streamed_since(&self, key: Key, before: u64) -> usize {
        let streamed = self.core.conn(key).map_or(before, |conn| conn.streamed);
        usize::try_from(streamed.saturating_sub(before)).unwrap_or(usize::MAX)
    }

    /// Whether the system can send from what is streamed by itself.
    fn is_of_system(&self, key: Key) -> bool {
        self.core.conn(key).is_some_and(|conn| {
            let stream = conn.stream.as_deref();
            conn.is_plain() && stream.is_some_and(|stream| stream.file().is_some())
        })
    }

    /// At a flush of the connection: its stream has its turn if the queue is short enough, for no event
    /// will tell. It ends if nothing more can be sent.
    #[inline]
    pub(super) fn line_up(&mut self, key: Key) {
        let has_stream = |conn: &Conn| conn.stream.is_some();
        if self.core.conn(key).is_some_and(has_stream) {
            self.line_up_stream(key);
        }
    }

    fn line_up_stream(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        match conn.phase {
            Phase::Connecting => {}
            Phase::Ending | Phase::Draining | Phase::Closing => conn.stream = None,
            Phase::Open if !conn.takes_output() => {
                self.stream_ended(key, Err(ErrorKind::BrokenPipe.into()));
            }
            Phase::Open => {
                if conn.writable || conn.queued() == 0 {
                    self.core.line_up(key);
                }
            }
        }
    }

    /// Queues the next piece of the connection's stream, if there is room for it.
    fn fill(&mut self, key: Key) {
        let Some(conn) = self.core.conn_mut(key) else {
            return;
        };
        if !conn.takes_stream() || !conn.wants_piece() {
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
        let produced = self.core.produced;
        let mut io = Io {
            core: &mut self.core,
            driver: &mut *self.driver,
        };
        let taken = io.send(key, &self.scratch[..len]);
        debug_assert!(taken, "{key:?} had room");
        // It is of this turn's output, and takes nothing away from the input of the next.
        self.core.produced = produced;
        if let Some(end) = end {
            self.stream_ended(key, end);
        }
    }

    /// Has the system send from the file that is streamed, to a connection of which nothing is queued;
    /// answers whether it did. If not, the next piece is copied: one that waits in the queue is what
    /// deadlines, marks and events know of.
    fn send_file(&mut self, key: Key) -> bool {
        let now = self.moment(key);
        let Some(conn) = self.core.conn_mut(key) else {
            return false;
        };
        if !conn.writable {
            return false;
        }
        let Some(file) = conn.stream.as_ref().and_then(|stream| stream.file()) else {
            return false;
        };
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
