//! Ops to bytes: no `format!`, no allocation but what the sink makes.
//!
//! What a server says comes first, then what a client says (for tests and load generators).

use crate::violation::Violation;

/// `+OK`: the last op was accepted (verbose mode).
pub const OK: &[u8] = b"+OK\r\n";
/// `PING`: asks for a `PONG`. Both directions.
pub const PING: &[u8] = b"PING\r\n";
/// `PONG`: the answer to `PING`. Both directions.
pub const PONG: &[u8] = b"PONG\r\n";

pub(crate) const LINE_END: &[u8] = b"\r\n";

/// Where encoded bytes go.
pub trait Sink {
    /// Appends `bytes`, all of them. Cannot fail.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the first `len` bytes of `block`. A sink that has the room may copy the whole block,
    /// since a copy of a fixed size costs less, and let what comes next overwrite the rest.
    #[inline]
    fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        self.put(&block[..len]);
    }

    /// The room for what comes next, where it is there already: what is written to its beginning is appended by
    /// [`advance`](Sink::advance), and nothing else of it means anything. Empty where there is no such room.
    #[inline]
    fn room(&mut self) -> &mut [u8] {
        &mut []
    }

    /// Appends the first `bytes` of the [`room`](Sink::room).
    #[inline]
    fn advance(&mut self, bytes: usize) {
        debug_assert_eq!(bytes, 0, "there is no room");
    }

    /// Makes room for `bytes` more bytes, if room is a thing here.
    fn reserve(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        Vec::reserve(self, bytes);
    }
}

impl Sink for bytes::BytesMut {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        bytes::BytesMut::reserve(self, bytes);
    }
}

/// One delivery, to be written as `MSG` or, with a header, as `HMSG`.
///
/// Shape, with `header_size` empty and not:
///
/// ```text
/// MSG <subject> <sid> [reply] <size>\r\n<payload>\r\n
/// HMSG <subject> <sid> [reply] <header size> <size>\r\n<header><payload>\r\n
/// ```
///
/// The sizes are written as given: they are the publisher's digits, and nothing here checks that
/// they are the lengths of `header` and `payload`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Msg<'a> {
    /// The subject as published.
    pub subject: &'a [u8],
    /// The subscriber's name for its subscription.
    pub sid: &'a [u8],
    /// Where the publisher wants the answer, if it wants one.
    pub reply: Option<&'a [u8]>,
    /// Digits of the header size; empty makes it a `MSG`.
    pub header_size: &'a [u8],
    /// Digits of the total size.
    pub size: &'a [u8],
    /// The header block; empty for `MSG`.
    pub header: &'a [u8],
    /// The message itself.
    pub payload: &'a [u8],
}

impl Msg<'_> {
    /// How many bytes [`put`](Self::put) writes.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        self.name().len()
            + self.subject.len()
            + 1
            + self.sid.len()
            + 1
            + optional_len(self.reply)
            + optional_len(self.header_size())
            + self.size.len()
            + LINE_END.len()
            + self.header.len()
            + self.payload.len()
            + LINE_END.len()
    }

    /// Appends the frame whole.
    #[inline]
    pub fn put(&self, out: &mut impl Sink) {
        out.reserve(self.encoded_len());
        out.put(self.name());
        out.put(self.subject);
        out.put(b" ");
        out.put(self.sid);
        out.put(b" ");
        put_optional(out, self.reply);
        put_optional(out, self.header_size());
        out.put(self.size);
        out.put(LINE_END);
        out.put(self.header);
        out.put(self.payload);
        out.put(LINE_END);
    }

    fn name(&self) -> &'static [u8] {
        if self.header_size.is_empty() {
            b"MSG "
        } else {
            b"HMSG "
        }
    }

    fn header_size(&self) -> Option<&[u8]> {
        (!self.header_size.is_empty()).then_some(self.header_size)
    }
}

/// The answer to a request that no client took: status 503 to the publisher's own subscription `sid`
/// on its reply subject.
///
/// Shape: `HMSG <reply> <sid> 16 16\r\nNATS/1.0 503\r\n\r\n\r\n`.
/// Source: nats-server 2.9 and 2.10; later ones name the subject in a header.
pub fn no_responders<'a>(reply: &'a [u8], sid: &'a [u8]) -> Msg<'a> {
    Msg {
        subject: reply,
        sid,
        reply: None,
        header_size: b"16",
        size: b"16",
        header: b"NATS/1.0 503\r\n\r\n",
        payload: b"",
    }
}

/// Appends `-ERR '<text>'` CR LF; nothing for a silent violation.
pub fn err(out: &mut impl Sink, violation: &Violation<'_>) {
    if violation.is_silent() {
        return;
    }
    out.put(b"-ERR '");
    violation.put_text(out);
    out.put(b"'\r\n");
}

/// Client side: appends `CONNECT <json>` CR LF.
pub fn connect(out: &mut impl Sink, json: &[u8]) {
    line(out, b"CONNECT", &[json]);
}

/// Client side: appends `PUB <subject> [reply] <size>` CR LF, the payload, CR LF.
pub fn publish(out: &mut impl Sink, subject: &[u8], reply: Option<&[u8]>, payload: &[u8]) {
    let size = Decimal::new(payload.len() as u64);
    out.put(b"PUB ");
    out.put(subject);
    out.put(b" ");
    put_optional(out, reply);
    out.put(size.as_bytes());
    out.put(LINE_END);
    out.put(payload);
    out.put(LINE_END);
}

/// Client side: appends `HPUB <subject> [reply] <header size> <size>` CR LF, header, payload,
/// CR LF.
pub fn hpublish(
    out: &mut impl Sink,
    subject: &[u8],
    reply: Option<&[u8]>,
    header: &[u8],
    payload: &[u8],
) {
    let header_size = Decimal::new(header.len() as u64);
    let size = Decimal::new((header.len() + payload.len()) as u64);
    out.put(b"HPUB ");
    out.put(subject);
    out.put(b" ");
    put_optional(out, reply);
    put_optional(out, Some(header_size.as_bytes()));
    out.put(size.as_bytes());
    out.put(LINE_END);
    out.put(header);
    out.put(payload);
    out.put(LINE_END);
}

/// Client side: appends `SUB <subject> [queue] <sid>` CR LF.
pub fn sub(out: &mut impl Sink, subject: &[u8], queue: Option<&[u8]>, sid: &[u8]) {
    match queue {
        Some(queue) => line(out, b"SUB", &[subject, queue, sid]),
        None => line(out, b"SUB", &[subject, sid]),
    }
}

/// Client side: appends `UNSUB <sid> [max]` CR LF.
pub fn unsub(out: &mut impl Sink, sid: &[u8], max: Option<u64>) {
    match max {
        Some(max) => line(out, b"UNSUB", &[sid, Decimal::new(max).as_bytes()]),
        None => line(out, b"UNSUB", &[sid]),
    }
}

/// A number as ASCII digits, on the stack.
///
/// ```
/// use midge_protocol::encode::Decimal;
///
/// assert_eq!(Decimal::new(4222).as_bytes(), b"4222");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// The digits stand at the end: `digits[start..]`.
    digits: [u8; Self::DIGITS_MAX],
    start: u8,
}

impl Decimal {
    /// Digits of the largest number: 18446744073709551615.
    const DIGITS_MAX: usize = 20;

    /// The digits of `number`, without leading zeros.
    #[inline]
    pub fn new(number: u64) -> Self {
        let mut digits = [b'0'; Self::DIGITS_MAX];
        let mut start = Self::DIGITS_MAX;
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return Self {
                    digits,
                    start: start as u8,
                };
            }
        }
    }

    /// The digits.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[usize::from(self.start)..]
    }
}

fn line(out: &mut impl Sink, name: &[u8], arguments: &[&[u8]]) {
    out.put(name);
    for argument in arguments {
        out.put(b" ");
        out.put(argument);
    }
    out.put(LINE_END);
}

#[inline]
fn put_optional(out: &mut impl Sink, argument: Option<&[u8]>) {
    if let Some(argument) = argument {
        out.put(argument);
        out.put(b" ");
    }
}

#[inline]
fn optional_len(argument: Option<&[u8]>) -> usize {
    argument.map_or(0, |argument| argument.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(put: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        put(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    const PLAIN: Msg<'_> = Msg {
        subject: b"greet.joe",
        sid: b"7",
        reply: None,
        header_size: b"",
        size: b"5",
        header: b"",
        payload: b"hello",
    };

    #[test]
    fn deliveries_are_written_with_single_blanks() {
        let reply = Some(b"_INBOX.1".as_slice());
        let header = Msg {
            header_size: b"12",
            size: b"017",
            header: b"NATS/1.0\r\n\r\n",
            ..PLAIN
        };
        let table = [
            (PLAIN, "MSG greet.joe 7 5\r\nhello\r\n"),
            (
                Msg { reply, ..PLAIN },
                "MSG greet.joe 7 _INBOX.1 5\r\nhello\r\n",
            ),
            (
                header,
                "HMSG greet.joe 7 12 017\r\nNATS/1.0\r\n\r\nhello\r\n",
            ),
            (
                Msg { reply, ..header },
                "HMSG greet.joe 7 _INBOX.1 12 017\r\nNATS/1.0\r\n\r\nhello\r\n",
            ),
        ];
        for (msg, expected) in table {
            check(|out| msg.put(out), expected);
            assert_eq!(msg.encoded_len(), expected.len());
        }
    }

    #[test]
    fn nobody_answered_is_a_503() {
        check(
            |out| no_responders(b"_INBOX.1", b"9").put(out),
            "HMSG _INBOX.1 9 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
        );
    }

    #[test]
    fn client_ops_are_written_with_single_blanks() {
        check(|out| connect(out, b"{}"), "CONNECT {}\r\n");
        check(|out| publish(out, b"a", None, b"hi"), "PUB a 2\r\nhi\r\n");
        check(
            |out| publish(out, b"a", Some(b"r"), b""),
            "PUB a r 0\r\n\r\n",
        );
        check(
            |out| hpublish(out, b"a", None, b"H", b"hi"),
            "HPUB a 1 3\r\nHhi\r\n",
        );
        check(
            |out| hpublish(out, b"a", Some(b"r"), b"H", b""),
            "HPUB a r 1 1\r\nH\r\n",
        );
        check(|out| sub(out, b"a.*", None, b"1"), "SUB a.* 1\r\n");
        check(|out| sub(out, b"a.*", Some(b"q"), b"1"), "SUB a.* q 1\r\n");
        check(|out| unsub(out, b"1", None), "UNSUB 1\r\n");
        check(|out| unsub(out, b"1", Some(30)), "UNSUB 1 30\r\n");
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        for number in [
            0,
            1,
            9,
            10,
            99,
            100,
            1_048_576,
            999_999_999,
            u64::MAX - 1,
            u64::MAX,
        ] {
            assert_eq!(
                Decimal::new(number).as_bytes(),
                number.to_string().as_bytes()
            );
        }
    }

    #[test]
    fn bytes_mut_takes_the_same_bytes() {
        let mut vec = Vec::new();
        let mut bytes = bytes::BytesMut::new();
        PLAIN.put(&mut vec);
        PLAIN.put(&mut bytes);
        assert_eq!(vec, bytes);
    }
}
