//! `HeaderBody`: header lines, an empty line, and a body of the length that one of them tells.
//!
//! ```text
//! put colour\r\n
//! Content-Length: 3\r\n
//! \r\n
//! red
//! ```

use super::{FrameError, Search, each_unit, without_line_end};
use crate::{Close, Context, Eof, Handler, Input, ProxyEnd, StreamEnd};

/// Longest head, in bytes with its line ends, unless another bound is set.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest body, in bytes, unless another bound is set.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The lines before a body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    /// All lines in order, without their ends; the empty one is left out.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let lines = self.0.split_inclusive(|byte| *byte == b'\n');
        lines.map(without_line_end).filter(|line| !line.is_empty())
    }

    /// The value of the first line with this name, without the blanks around it. Names are
    /// compared without regard to case. Cost: looks at every line.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.lines().filter_map(field);
        let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.trim_ascii())
    }
}

/// Name and value of a header line; `None` for a line without a colon.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], &line[colon + 1..]))
}

/// The length that a header line tells, if that is what it is for.
fn content_length(line: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some((name, value)) = field(line) else {
        return Ok(None);
    };
    if !name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
        return Ok(None);
    }
    let value = value.trim_ascii();
    // Blanks around the name: some would read it as a length, others not, and see other requests.
    if name != name.trim_ascii() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::InvalidLength);
    }
    let digits = value.iter().map(|digit| usize::from(digit - b'0'));
    Ok(Some(digits.fold(0, |len: usize, digit| {
        len.saturating_mul(10).saturating_add(digit)
    })))
}

/// One connection's side of a conversation in requests. What holds for a [`Handler`] holds here.
pub trait RequestHandler<S = ()> {
    /// A whole request has come. Without a `Content-Length` the body is empty.
    #[doc(alias = "receive_request")]
    fn on_request(&mut self, cx: &mut Context<'_, S>, head: Head<'_>, body: &[u8]);

    /// The peer has ended amid a request. `part` is what has come of it, head and body.
    fn on_cut(&mut self, cx: &mut Context<'_, S>, part: &[u8]) {
        let _ = (cx, part);
    }

    other_callbacks!();
}

/// Makes a [`Handler`] of a [`RequestHandler`].
///
/// Lines end with LF or CR LF; empty ones before a head are skipped. A line need not have a colon,
/// so a first line in the manner of HTTP is a line like the others. That does not make it HTTP,
/// which has other ways to tell where a body ends.
///
/// `Content-Length` is a decimal number. A head with two of them is an error even if they agree, and
/// so is one with blanks between name and colon: a peer that reads such a head differently would take
/// part of a body for the next request.
#[doc(alias = "HeaderAndContentProtocol")]
#[derive(Debug)]
pub struct HeaderBody<H> {
    handler: H,
    head_bytes_max: usize,
    body_bytes_max: usize,
    search: Search,
    /// Where the present line begins, from the beginning of the head.
    line_start: usize,
    /// Bytes of the head, once its end was found.
    head_len: Option<usize>,
    body_len: Option<usize>,
}

impl<H> HeaderBody<H> {
    /// Requests with the bounds [`HEAD_BYTES_MAX`] and [`BODY_BYTES_MAX`].
    pub fn new(handler: H) -> HeaderBody<H> {
        HeaderBody {
            handler,
            head_bytes_max: HEAD_BYTES_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            search: Search::default(),
            line_start: 0,
            head_len: None,
            body_len: None,
        }
    }

    /// Bounds heads, in bytes with all line ends. A longer one is [`FrameError::HeadTooLong`].
    #[must_use]
    pub fn head_bytes_max(mut self, max: usize) -> HeaderBody<H> {
        self.head_bytes_max = max;
        self
    }

    /// Bounds bodies, in bytes. [`FrameError::TooLong`] comes before a longer one is read.
    #[must_use]
    pub fn body_bytes_max(mut self, max: usize) -> HeaderBody<H> {
        self.body_bytes_max = max;
        self
    }

    /// Hands on one request; answers whether there may be another.
    fn step<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        input: &mut Input<'_>,
    ) -> Result<bool, FrameError>
    where
        H: RequestHandler<S>,
    {
        if self.search.is_stale(input.peek()) {
            self.restart();
        }
        if self.head_len.is_none() {
            self.head_len = self.find_head(input)?;
        }
        let Some(head_len) = self.head_len else {
            return Ok(false);
        };
        let len = head_len + self.body_len.unwrap_or(0);
        if input.len() < len {
            input.need(len);
            return Ok(false);
        }
        let (head, body) = input.consume(len).split_at(head_len);
        self.restart();
        self.handler.on_request(cx, Head(head), body);
        Ok(true)
    }

    /// Goes through the lines that are whole; answers the length of the head, once it is.
    fn find_head(&mut self, input: &mut Input<'_>) -> Result<Option<usize>, FrameError> {
        let max = self.head_bytes_max;
        loop {
            let found = self.search.find(input.peek(), b"\n");
            if found.unwrap_or(input.len()) > max {
                return Err(FrameError::HeadTooLong { max });
            }
            let Some(end) = found else {
                return Ok(None);
            };
            let line = without_line_end(&input.peek()[self.line_start..end]);
            if !line.is_empty() {
                self.line(line)?;
                self.line_start = end;
            } else if self.line_start > 0 {
                return Ok(Some(end));
            } else {
                input.consume(end);
                self.search.restart();
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let Some(len) = content_length(line)? else {
            return Ok(());
        };
        if self.body_len.replace(len).is_some() {
            return Err(FrameError::DuplicateLength);
        }
        let max = self.body_bytes_max;
        if len > max {
            return Err(FrameError::TooLong { len, max });
        }
        Ok(())
    }

    /// The peer has ended: what is left is the part of a request.
    fn cut<S>(&mut self, cx: &mut Context<'_, S>, rest: &mut Input<'_>)
    where
        H: RequestHandler<S>,
    {
        if !rest.is_empty() {
            self.handler.on_cut(cx, rest.peek());
        }
    }

    fn restart(&mut self) {
        self.search.restart();
        self.line_start = 0;
        self.head_len = None;
        self.body_len = None;
    }
}

impl<S, H: RequestHandler<S> + 'static> Handler<S> for HeaderBody<H> {
    handle_by_units!();
}
