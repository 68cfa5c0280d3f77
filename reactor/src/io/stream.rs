//! Streams, as they are asked for.

use super::Io;
use crate::Key;
use crate::stream::{Stream, StreamError, StreamOptions};
use std::fs::File;
use std::io::Read;

impl Io<'_> {
    /// Queues all that `reader` gives for the connection, a piece whenever its queue is down at the
    /// low mark, so that no more than that mark and one piece waits in memory. When the reader has
    /// come to its end, or failed, the handler is told by
    /// [`on_stream`](crate::Handler::on_stream).
    ///
    /// What is sent meanwhile goes between two pieces. [`close`](Io::close) and
    /// [`close_after_write`](Io::close_after_write) before the end drop the reader without a call to
    /// `on_stream`: to close behind the last byte, do it there. The queue's bound holds: a stream
    /// waits for room under it. Framing, as the chunks of HTTP, is the reader's business.
    ///
    /// The reader is read by the loop, one piece a turn, and must not wait for another program: a
    /// socket or a pipe belongs in a connection of its own. A file may make the loop wait for the
    /// disk, for as long as one piece takes. `WouldBlock` counts as a failure.
    ///
    /// # Errors
    /// Those of [`StreamError`]; one stream at a time for a connection.
    #[doc(alias = "IOStreamer")]
    pub fn stream(
        &mut self,
        key: Key,
        reader: impl Read + 'static,
        options: &StreamOptions,
    ) -> Result<(), StreamError> {
        self.begin_stream(key, Stream::new(reader, options))
    }

    /// As [`stream`](Io::stream), of a file, whose bytes the system sends without a copy where it can:
    /// on Linux, over TCP and Unix sockets without a [layer](crate::layer). Then up to 256 KiB leave in a turn, behind what is
    /// queued, and of [`StreamOptions`] nothing counts but while the socket takes no more.
    ///
    /// # Errors
    /// As [`stream`](Io::stream).
    pub fn stream_file(
        &mut self,
        key: Key,
        file: File,
        options: &StreamOptions,
    ) -> Result<(), StreamError> {
        self.begin_stream(key, Stream::of_file(file, options))
    }

    fn begin_stream(&mut self, key: Key, stream: Stream) -> Result<(), StreamError> {
        let conn = self.core.conn_mut(key).filter(|conn| conn.takes_output());
        let conn = conn.ok_or(StreamError::NotOpen)?;
        if conn.stream.is_some() {
            return Err(StreamError::Busy);
        }
        conn.stream = Some(Box::new(stream));
        conn.streamed = 0;
        self.core.line_up(key);
        Ok(())
    }

    /// Drops the reader of the connection's stream, without a call to its handler. What was queued
    /// still leaves. `false` if there was none.
    pub fn stop_stream(&mut self, key: Key) -> bool {
        let conn = self.core.conn_mut(key);
        conn.is_some_and(|conn| conn.stream.take().is_some())
    }

    /// Bytes that the connection's stream has queued so far, or did in all if it has ended.
    #[must_use]
    pub fn streamed(&self, key: Key) -> u64 {
        self.core.conn(key).map_or(0, |conn| conn.streamed)
    }
}
