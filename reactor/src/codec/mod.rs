//! Framing: adapters that cut the stream into whole units, for handlers that would rather not.
//!
//! Each is a [`Handler`](crate::Handler) around a handler of units, and bounds what a peer can make
//! it keep: [`Lines`] for lines and what stands between them, [`LengthPrefixed`] for units behind
//! their length, [`HeaderBody`] for header lines with a body.
//!
//! ```
//! use midge_reactor::codec::{Framing, LineHandler, Lines};
//! use midge_reactor::{Context, run};
//! use std::time::Duration;
//!
//! struct Echo;
//!
//! impl LineHandler for Echo {
//!     fn on_line(&mut self, cx: &mut Context<'_>, line: &[u8], _: &mut Framing) {
//!         match line {
//!             b"quit" => cx.close_after_write(),
//!             _ => {
//!                 cx.send(line);
//!                 cx.send(b"\r\n");
//!             }
//!         }
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     run(|cx| {
//!         cx.listen("127.0.0.1:0", |_: &mut Context<'_>| Lines::new(Echo))?;
//! #       cx.stop();
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # What holds for all of them
//!
//! * What comes out does not depend on where the stream was cut, and a peer that sends one byte at a
//!   time does not make anything be searched twice. Units are slices of what was received: nothing
//!   is copied or allocated for one.
//! * A unit counts as read when the handler is called with it. After `close`, `pause` and
//!   [`yield_now`](crate::Context::yield_now) no further unit comes; what was not handed on comes
//!   when reading goes on.
//! * A peer that breaks the framing, or passes a bound, is given up: `on_error` may still send it
//!   something, then the connection closes once its output has left, with [`Close::Failed`] and a
//!   [`FrameError`] in it. The units before are handed on first.
//! * A unit that the peer's end cuts off is handed to `on_cut`, before `on_eof`. One that is cut off
//!   otherwise, by a reset or a close of our own, is not.
//! * A [relay](crate::Io::proxy) that is begun amid a unit takes what has come of it along, but for
//!   a length that was read, and when it ends by itself a new unit begins. A handler that ends one with
//!   [`unproxy`](crate::Io::unproxy) begins it between two units: where one is handed on, for example.
//!
//! [`Close::Failed`]: crate::Close::Failed

pub use header_body::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Head, HeaderBody, RequestHandler};
pub use length_prefixed::{LengthPrefixed, Prefix, UNIT_BYTES_MAX, UnitHandler};
pub use lines::{BLOCK_BYTES_MAX, Framing, LINE_BYTES_MAX, LineHandler, Lines, Mode};

/// The callbacks that a handler of units has besides those for units.
macro_rules! other_callbacks {
    () => {
        /// The connection is usable: [`Handler::on_open`].
        fn on_open(&mut self, cx: &mut Context<'_, S>) {
            let _ = cx;
        }

        /// The handshake of this connection's layer is over: [`Handler::on_handshake`].
        fn on_handshake(&mut self, cx: &mut Context<'_, S>) {
            #[cfg(feature = "tls")]
            if let Some(info) = cx.io.tls_settled(cx.key()) {
                self.on_tls(cx, &info);
            }
            let _ = cx;
        }

        /// The TLS handshake is over: [`Handler::on_tls`].
        #[cfg(feature = "tls")]
        fn on_tls(&mut self, cx: &mut Context<'_, S>, info: &crate::tls::TlsInfo) {
            let _ = (cx, info);
        }

        /// The queue is down to its low mark again: [`Handler::on_drain`].
        fn on_drain(&mut self, cx: &mut Context<'_, S>) {
            let _ = cx;
        }

        /// The relay of this connection's input has ended: [`Handler::on_proxy`]. What comes from
        /// now on begins with a new unit.
        fn on_proxy(&mut self, cx: &mut Context<'_, S>, end: ProxyEnd) {
            let _ = (cx, end);
        }

        /// The reader of this connection's stream has ended: [`Handler::on_stream`].
        fn on_stream(&mut self, cx: &mut Context<'_, S>, end: StreamEnd) {
            let _ = (cx, end);
        }

        /// A timer of this connection is due: [`Handler::on_timer`].
        fn on_timer(&mut self, cx: &mut Context<'_, S>, timer: u64) {
            let _ = (cx, timer);
        }

        /// The peer has broken the framing. What is sent here still leaves; then the connection
        /// closes, with `error` as the reason.
        fn on_error(&mut self, cx: &mut Context<'_, S>, error: &FrameError) {
            let _ = (cx, error);
        }

        /// The peer will send nothing more: [`Handler::on_eof`].
        fn on_eof(&mut self, cx: &mut Context<'_, S>) -> Eof {
            let _ = cx;
            Eof::Close
        }

        /// The connection is gone: [`Handler::on_close`].
        fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
            let _ = (cx, why);
        }
    };
}

/// The `Handler` of a struct with `handler`, `step`, `cut` and `restart`: its input and end, and those
/// callbacks.
macro_rules! handle_by_units {
    () => {
        fn on_open(&mut self, cx: &mut Context<'_, S>) {
            // The framing has its own bound.
            let key = cx.key();
            cx.io.input_max(key, usize::MAX);
            self.handler.on_open(cx);
        }

        fn on_input(&mut self, cx: &mut Context<'_, S>, input: &mut Input<'_>) {
            if let Err(error) = each_unit(cx, input, |cx, input| self.step(cx, input)) {
                self.handler.on_error(cx, &error);
                cx.fail_after_write(error);
            }
        }

        fn on_eof(&mut self, cx: &mut Context<'_, S>) -> Eof {
            let unread = cx.take_unread();
            self.cut(cx, &mut Input::new(unread.unread()));
            cx.put_read(unread);
            self.handler.on_eof(cx)
        }

        fn on_handshake(&mut self, cx: &mut Context<'_, S>) {
            self.handler.on_handshake(cx);
        }

        fn on_drain(&mut self, cx: &mut Context<'_, S>) {
            self.handler.on_drain(cx);
        }

        fn on_proxy(&mut self, cx: &mut Context<'_, S>, end: ProxyEnd) {
            // The beginning of a unit that had come has been relayed with the rest.
            self.restart();
            self.handler.on_proxy(cx, end);
        }

        fn on_stream(&mut self, cx: &mut Context<'_, S>, end: StreamEnd) {
            self.handler.on_stream(cx, end);
        }

        fn on_timer(&mut self, cx: &mut Context<'_, S>, timer: u64) {
            self.handler.on_timer(cx, timer);
        }

        fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
            self.handler.on_close(cx, why);
        }
    };
}

mod header_body;
mod length_prefixed;
mod lines;

use crate::input::Carry;
use crate::{Context, Input};
use std::error::Error;
use std::fmt;

/// What a peer did that its framing does not allow. It closes the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// A line is longer than `max` bytes, not counting its delimiter.
    LineTooLong {
        /// The bound, in bytes.
        max: usize,
    },
    /// A block, unit or body was announced that is longer than `max` bytes.
    TooLong {
        /// What was announced, in bytes; `usize::MAX` also for what is more.
        len: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// The lines of a head are longer than `max` bytes altogether.
    HeadTooLong {
        /// The bound, in bytes.
        max: usize,
    },
    /// A head tells the length of its body twice, be it the same length.
    DuplicateLength,
    /// A length is not a number, or not written as one.
    InvalidLength,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::LineTooLong { max } => write!(f, "line too long, limit {max} bytes"),
            FrameError::TooLong { len, max } => {
                write!(f, "{len} bytes announced, limit {max} bytes")
            }
            FrameError::HeadTooLong { max } => write!(f, "head too long, limit {max} bytes"),
            FrameError::DuplicateLength => f.write_str("length told twice"),
            FrameError::InvalidLength => f.write_str("invalid length"),
        }
    }
}

impl Error for FrameError {}

/// Steps from unit to unit while one may be whole and the handler may be given it. What breaks the
/// framing takes all that is left with it.
fn each_unit<S>(
    cx: &mut Context<'_, S>,
    input: &mut Input<'_>,
    mut step: impl FnMut(&mut Context<'_, S>, &mut Input<'_>) -> Result<bool, FrameError>,
) -> Result<(), FrameError> {
    loop {
        match step(cx, input) {
            Ok(true) if cx.goes_on() => {}
            Ok(_) => return Ok(()),
            Err(error) => {
                input.take();
                return Err(error);
            }
        }
    }
}

impl<S> Context<'_, S> {
    /// Whether this connection's handler may be given more of its input now: it is not the next one's, nor
    /// that of a layer which has just been started.
    fn goes_on(&self) -> bool {
        let core = &self.io.core;
        let conn = core.conn(self.key).filter(|conn| conn.takes_input());
        let is_own = conn.is_some_and(|conn| {
            let layer = conn.layer.as_deref();
            conn.relay.is_none() && !layer.is_some_and(|layer| layer.is_fresh)
        });
        is_own && !core.yielded
    }

    /// Takes what was left unread, to be lent to a handler together with this context.
    fn take_unread(&mut self) -> Carry {
        let conn = self.io.core.conn_mut(self.key);
        conn.map_or_else(Carry::default, |conn| std::mem::take(&mut conn.carry))
    }

    /// Puts back what was taken, as read.
    fn put_read(&mut self, mut carry: Carry) {
        carry.consume(carry.len());
        if let Some(conn) = self.io.core.conn_mut(self.key) {
            conn.carry = carry;
        }
    }
}

/// How far the unread bytes were searched for a delimiter.
///
/// ```text
/// 0 <= searched <= unread
/// ```
///
/// No delimiter ends before `searched`, so each byte is looked at once, whatever the pieces: the
/// search is for the delimiter's last byte, and what stands before that is there already.
#[derive(Debug, Default)]
struct Search {
    searched: usize,
}

impl Search {
    /// Where the next delimiter of `data` ends. `data` is what it was when this was last asked, with
    /// more behind it.
    fn find(&mut self, data: &[u8], delimiter: &[u8]) -> Option<usize> {
        self.invariants(data);
        let last = *delimiter.last()?;
        while let Some(at) = memchr::memchr(last, &data[self.searched..]) {
            self.searched += at + 1;
            if data[..self.searched].ends_with(delimiter) {
                return Some(self.searched);
            }
        }
        self.searched = data.len();
        self.invariants(data);
        None
    }

    /// Whether what was searched has been taken by another: a relay that was ended without a
    /// word.
    fn is_stale(&self, data: &[u8]) -> bool {
        self.searched > data.len()
    }

    /// The inequality above; see [`is_stale`](Search::is_stale).
    #[inline]
    fn invariants(&self, data: &[u8]) {
        debug_assert!(
            self.searched <= data.len(),
            "{} of {}",
            self.searched,
            data.len()
        );
    }

    /// What was found has been read: the next search begins at the first byte that was not.
    fn restart(&mut self) {
        self.searched = 0;
    }
}

/// The line without its end, LF or CR LF.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_the_first_delimiter_wherever_the_bytes_are_cut() {
        for (data, delimiter) in [
            (&b"a||b"[..], &b"||"[..]),
            (b"a|b|||", b"||"),
            (b"aabaaab", b"aab"),
            (b"abababc", b"ababc"),
            (b"\n", b"\n"),
            (b"no end", b"||"),
        ] {
            let naive = data.windows(delimiter.len()).position(|w| w == delimiter);
            let naive = naive.map(|at| at + delimiter.len());
            for cut in 0..=data.len() {
                let mut search = Search::default();
                let first = search.find(&data[..cut], delimiter);
                let found = first.or_else(|| search.find(data, delimiter));
                assert_eq!(found, naive, "{} cut at {cut}", data.escape_ascii());
            }
        }
    }

    #[test]
    fn a_byte_that_was_searched_is_not_looked_at_again() {
        let mut search = Search::default();
        let mut data = Vec::new();
        for _ in 0..1000 {
            data.push(b'x');
            assert_eq!(search.find(&data, b"\n"), None);
            assert_eq!(search.searched, data.len());
            // A second look would find this.
            *data.last_mut().expect("it has just been pushed") = b'\n';
        }
        data.push(b'\n');
        assert_eq!(search.find(&data, b"\n"), Some(1001));
    }
}
