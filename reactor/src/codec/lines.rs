//! `Lines`: lines, and the blocks of bytes that some protocols put between them.
//!
//! ```text
//!        a line          Bytes(n) set           n bytes have come
//!   ┌────────────┐   ┌───────────────────┐   ┌────────────────────┐
//!   └──▶ Line ───┘   Line ──────▶ Bytes(n)   Bytes(n) ──────▶ Line
//!                    Line ──────▶ Rest ──────▶ Line or Bytes(n), when the handler sets it
//! ```

use super::{FrameError, Search, each_unit, without_line_end};
use crate::{Close, Context, Eof, Handler, Input, ProxyEnd, StreamEnd};
use bytes::Bytes;

/// Longest line, in bytes and without its delimiter, unless another bound is set: more than a
/// person types or a header of the usual protocols holds.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Longest block that may be asked for, in bytes, unless another bound is set.
pub const BLOCK_BYTES_MAX: usize = 1024 * 1024;

/// What the bytes that come next are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// A line.
    #[default]
    Line,
    /// A block of this number of bytes, which is handed on when all of it is there; then lines again. A
    /// block of none is handed on at once, or with what comes next if the handler has paused.
    Bytes(usize),
    /// Bytes without an end, handed on as they come, until the handler sets another mode.
    Rest,
}

/// How the stream is cut from here on; lent to the handler with each line and block.
#[derive(Debug)]
pub struct Framing {
    mode: Mode,
    delimiter: Bytes,
    given_back: usize,
}

impl Framing {
    /// Says what comes next.
    #[doc(alias = "set_line_mode")]
    #[doc(alias = "set_text_mode")]
    #[doc(alias = "set_binary_mode")]
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Says what ends a line. With `"\n"`, the default, a CR before it belongs to the end; any
    /// other delimiter leaves everything before it in the line.
    ///
    /// # Panics
    /// If `delimiter` is empty.
    pub fn set_delimiter(&mut self, delimiter: impl Into<Bytes>) {
        self.delimiter = delimiter.into();
        assert!(
            !self.delimiter.is_empty(),
            "an empty delimiter ends nothing"
        );
    }

    /// Gives back the last `len` bytes of the present line, its delimiter counted with it, or block:
    /// they come again, as what is set now. Of [`Mode::Rest`] they come again with more behind
    /// them, or at once in another mode. Giving all of a line or block back and setting nothing
    /// makes an endless loop.
    pub fn give_back(&mut self, len: usize) {
        self.given_back = len;
    }

    /// Most bytes a line may take up with its delimiter.
    fn line_end_bytes(&self) -> usize {
        match &self.delimiter[..] {
            b"\n" => 2,
            delimiter => delimiter.len(),
        }
    }

    fn without_delimiter<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        match &self.delimiter[..] {
            b"\n" => without_line_end(line),
            delimiter => &line[..line.len() - delimiter.len()],
        }
    }
}

/// One connection's side of a conversation in lines. What holds for a [`Handler`] holds here.
pub trait LineHandler<S = ()> {
    /// A line has come, handed on without its delimiter. It may be empty.
    #[doc(alias = "receive_line")]
    fn on_line(&mut self, cx: &mut Context<'_, S>, line: &[u8], framing: &mut Framing);

    /// In [`Mode::Bytes`]: the whole block has come. In [`Mode::Rest`]: some bytes have.
    #[doc(alias = "receive_binary_data")]
    fn on_bytes(&mut self, cx: &mut Context<'_, S>, bytes: &[u8], framing: &mut Framing) {
        let _ = (cx, bytes, framing);
    }

    /// The peer has ended amid a line or a block, which `mode` tells, or has left bytes unread that
    /// were given back. `part` is what has come of it: of a block perhaps nothing, of a line at
    /// most the bound and its delimiter.
    fn on_cut(&mut self, cx: &mut Context<'_, S>, part: &[u8], mode: Mode) {
        let _ = (cx, part, mode);
    }

    other_callbacks!();
}

/// Makes a [`Handler`] of a [`LineHandler`].
#[doc(alias = "LineProtocol")]
#[doc(alias = "LineText2")]
#[doc(alias = "LineAndTextProtocol")]
#[doc(alias = "BufferedTokenizer")]
#[derive(Debug)]
pub struct Lines<H> {
    handler: H,
    framing: Framing,
    search: Search,
    line_bytes_max: usize,
    block_bytes_max: usize,
}

impl<H> Lines<H> {
    /// Lines that end with LF or CR LF, with the bounds [`LINE_BYTES_MAX`] and [`BLOCK_BYTES_MAX`].
    pub fn new(handler: H) -> Lines<H> {
        Lines {
            handler,
            framing: Framing {
                mode: Mode::Line,
                delimiter: Bytes::from_static(b"\n"),
                given_back: 0,
            },
            search: Search::default(),
            line_bytes_max: LINE_BYTES_MAX,
            block_bytes_max: BLOCK_BYTES_MAX,
        }
    }

    /// Begins with another delimiter: see [`Framing::set_delimiter`].
    ///
    /// # Panics
    /// If `delimiter` is empty.
    #[must_use]
    pub fn delimiter(mut self, delimiter: impl Into<Bytes>) -> Lines<H> {
        self.framing.set_delimiter(delimiter);
        self
    }

    /// Begins in another mode.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Lines<H> {
        self.framing.set_mode(mode);
        self
    }

    /// Bounds lines, in bytes without the delimiter. A longer one is [`FrameError::LineTooLong`].
    #[must_use]
    pub fn line_bytes_max(mut self, max: usize) -> Lines<H> {
        self.line_bytes_max = max;
        self
    }

    /// Bounds what [`Mode::Bytes`] may ask for, in bytes. More is [`FrameError::TooLong`].
    #[must_use]
    pub fn block_bytes_max(mut self, max: usize) -> Lines<H> {
        self.block_bytes_max = max;
        self
    }

    /// Hands on one line or block; answers whether there may be another.
    fn step<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        input: &mut Input<'_>,
    ) -> Result<bool, FrameError>
    where
        H: LineHandler<S>,
    {
        match self.framing.mode {
            Mode::Line => self.line(cx, input),
            Mode::Bytes(len) => self.block(cx, input, len),
            Mode::Rest => Ok(self.rest(cx, input)),
        }
    }

    fn line<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        input: &mut Input<'_>,
    ) -> Result<bool, FrameError>
    where
        H: LineHandler<S>,
    {
        if self.search.is_stale(input.peek()) {
            self.search.restart();
        }
        let max = self.line_bytes_max;
        let Some(end) = self.search.find(input.peek(), &self.framing.delimiter) else {
            // All but the last few bytes belong to the line, whatever comes.
            let fits = input.len() < max.saturating_add(self.framing.line_end_bytes());
            return if fits {
                Ok(false)
            } else {
                Err(FrameError::LineTooLong { max })
            };
        };
        self.search.restart();
        let line = self.framing.without_delimiter(input.consume(end));
        if line.len() > max {
            return Err(FrameError::LineTooLong { max });
        }
        self.handler.on_line(cx, line, &mut self.framing);
        self.take_back(input, end);
        Ok(true)
    }

    fn block<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        input: &mut Input<'_>,
        len: usize,
    ) -> Result<bool, FrameError>
    where
        H: LineHandler<S>,
    {
        let max = self.block_bytes_max;
        if len > max {
            return Err(FrameError::TooLong { len, max });
        }
        if input.len() < len {
            input.need(len);
            return Ok(false);
        }
        self.framing.mode = Mode::Line;
        let block = input.consume(len);
        self.handler.on_bytes(cx, block, &mut self.framing);
        self.take_back(input, len);
        Ok(true)
    }

    fn rest<S>(&mut self, cx: &mut Context<'_, S>, input: &mut Input<'_>) -> bool
    where
        H: LineHandler<S>,
    {
        if input.is_empty() {
            return false;
        }
        let bytes = input.take();
        self.handler.on_bytes(cx, bytes, &mut self.framing);
        self.take_back(input, bytes.len());
        let changed = self.framing.mode != Mode::Rest;
        if !changed && !input.is_empty() {
            input.need(input.len() + 1);
        }
        changed
    }

    /// The peer has ended: what is left is the part of a line or block.
    fn cut<S>(&mut self, cx: &mut Context<'_, S>, rest: &mut Input<'_>)
    where
        H: LineHandler<S>,
    {
        // The only thing that may be due without a further byte.
        while self.framing.mode == Mode::Bytes(0) && cx.goes_on() {
            if self.step(cx, rest).is_err() {
                break;
            }
        }
        let mode = self.framing.mode;
        if cx.goes_on() && (!rest.is_empty() || matches!(mode, Mode::Bytes(1..))) {
            self.handler.on_cut(cx, rest.peek(), mode);
        }
    }

    fn restart(&mut self) {
        self.search.restart();
    }

    /// Makes unread again what the handler gave back of the `len` bytes it was called with.
    fn take_back(&mut self, input: &mut Input<'_>, len: usize) {
        input.consumed -= std::mem::take(&mut self.framing.given_back).min(len);
    }
}

impl<S, H: LineHandler<S> + 'static> Handler<S> for Lines<H> {
    handle_by_units!();
}
