//! Output, as it is asked for: copied into a queue, written into it, or shared with others.

use super::Io;
use crate::core::Lane;
use crate::outbound::Tail;
use crate::{Close, Key};
use bytes::Bytes;
use std::{fmt, io};

impl Io<'_> {
    /// Queues a copy of `bytes`, which may be text; they leave at the end of this turn with all that was
    /// queued before.
    ///
    /// Answers `false`, and queues nothing, if the connection has gone or is closing. If the queue
    /// would pass its bound the connection is closed with [`Close::SlowConsumer`].
    #[doc(alias = "send_data")]
    #[inline]
    pub fn send(&mut self, key: Key, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        match self.writer(key, bytes.len()) {
            Some(mut writer) => {
                writer.put(bytes);
                true
            }
            None => false,
        }
    }

    /// Queues formatted text, which is written straight into the queue:
    /// `io.send_fmt(key, format_args!("{number}\r\n"))`. For the connection being called there is
    /// `write!(cx, ..)`: [`Context::write_fmt`](crate::Context::write_fmt).
    ///
    /// Answers `false` where [`send`](Io::send) would, and where a value cannot be formatted; what stood
    /// before it is queued.
    pub fn send_fmt(&mut self, key: Key, text: fmt::Arguments<'_>) -> bool {
        struct Queue<'a, 'b>(&'a mut Io<'b>, Key);

        impl fmt::Write for Queue<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                match self.0.send(self.1, text) {
                    true => Ok(()),
                    false => Err(fmt::Error),
                }
            }
        }

        fmt::Write::write_fmt(&mut Queue(self, key), text).is_ok()
    }

    /// As [`send`](Io::send), without copying: for one large payload that many receive.
    pub fn send_bytes(&mut self, key: Key, bytes: Bytes) -> bool {
        if !self.admit(key, bytes.len()) {
            return false;
        }
        self.core.produced += bytes.len();
        if let Some(conn) = self.core.conn_mut(key) {
            conn.outbound.push_shared(bytes);
        }
        true
    }

    /// Makes room for `len` more bytes and lends the end of the queue, to encode into directly: that
    /// many, or fewer.
    ///
    /// `None` where [`send`](Io::send) would answer `false`. Copies nothing and, once the
    /// reactor's buffers are warm, allocates nothing.
    #[inline(always)]
    pub fn writer(&mut self, key: Key, len: usize) -> Option<Writer<'_>> {
        let quick = match self.core.conn(key) {
            Some(conn) => conn.outbound.has_window(len),
            None => return None,
        };
        if quick {
            // Written twice, since here nothing has come between the two looks at the connection.
            return self.core.tail(key, len).map(Writer);
        }
        if !self.make_room(key, len) {
            return None;
        }
        self.core.tail(key, len).map(Writer)
    }

    /// Whether `len` more bytes may be queued; if so, there is room for them.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, key: Key, len: usize) -> bool {
        if !self.admit(key, len) {
            return false;
        }
        let Some((conn, pools)) = self.core.conn_and_pools(key) else {
            return false;
        };
        let bytes = conn.to_next_mark();
        conn.outbound.make_room(len, &mut pools.outbound);
        conn.outbound.open_window(bytes);
        if conn.in_dirty.is_some_and(|lane| lane > Lane::Light) {
            self.core.opened.push(key);
        }
        self.core.conn_invariants(key);
        true
    }

    /// Whether `len` more bytes may be queued; if so, marks the connection.
    fn admit(&mut self, key: Key, len: usize) -> bool {
        let now = self.core.now;
        let Some(conn) = self.core.conn_mut(key) else {
            return false;
        };
        conn.outbound.shut_window();
        if !conn.takes_output() {
            return false;
        }
        let before = conn.queued();
        let queued = before.saturating_add(len);
        if queued > conn.max {
            self.core.close(key, Close::SlowConsumer);
            return false;
        }
        let newly_congested = !conn.congested && queued >= conn.high;
        conn.congested |= newly_congested;
        if before == 0 {
            conn.last_progress = now;
        }
        self.core.mark_dirty(key);
        if newly_congested {
            self.core.total.congest();
        }
        true
    }

    /// Has what is queued for the connection written as soon as the present callback has returned,
    /// and not only at the end of the turn: for the rare answer that must not wait until all others
    /// have had their slice of input.
    ///
    /// Costs a system call that would have carried the rest of the turn's output as well; what is
    /// queued later leaves at the end of the turn as always. `false` if the connection has gone or
    /// is still connecting.
    pub fn flush_now(&mut self, key: Key) -> bool {
        let Some(conn) = self.core.conn_mut(key).filter(|conn| conn.is_written()) else {
            return false;
        };
        if !std::mem::replace(&mut conn.urgent, true) {
            self.core.urgent.push_back(key);
        }
        true
    }
}

/// The end of a connection's queue, lent for one message. Made by [`Io::writer`].
///
/// What was put is in the queue when this is dropped.
#[derive(Debug)]
pub struct Writer<'a>(Tail<'a>);

impl Writer<'_> {
    /// Appends a copy of `bytes`.
    ///
    /// # Panics
    /// If there is no room for them: more was put than [`Io::writer`] was asked for. By a few bytes
    /// that is not noticed.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    /// Appends the first `len` bytes of `block`. What stands behind them may be copied too and means
    /// nothing: for short pieces that lie in something longer, a copy of a fixed size costs a
    /// fraction of one whose length must be looked at.
    ///
    /// `len` must be at most `N`, and `N` is best 16, 32 or 64.
    ///
    /// # Panics
    /// As [`put`](Writer::put).
    #[inline(always)]
    pub fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        self.0.put_block(block, len);
    }

    /// The room that is left, with whatever is in it: for many pieces in a row, which are written to its beginning
    /// and then [counted](Writer::advance) at once. It is a few bytes longer than what was asked for, so that a
    /// short piece may be copied by a fixed size there too.
    #[inline(always)]
    pub fn room(&mut self) -> &mut [u8] {
        self.0.room()
    }

    /// Appends the first `bytes` of the [`room`](Writer::room).
    ///
    /// # Panics
    /// As [`put`](Writer::put).
    #[inline(always)]
    pub fn advance(&mut self, bytes: usize) {
        self.0.advance(bytes);
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(self.0.left())];
        self.put(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
