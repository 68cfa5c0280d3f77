//! Ops to bytes, as all brokers read them: no `format!`, no allocation but what the sink makes.
//!
//! `PING`, `PONG` and `-ERR` are those of [`crate::encode`] and [`PeerViolation::put`](super::PeerViolation::put).
//!
//! ```text
//! RMSG $G work + inbox.9 billing audit 3\r\njob\r\n
//! [   head   ][         to           ][ tail, if none is told who is to get it
//! ```

use super::op::Interest;
use crate::encode::{Decimal, LINE_END, Sink};
use crate::op::Publish;

/// Appends `RS+` or `LS+`: on a route with the account, with the origin if there is one, and on a leaf with neither.
/// `weight` is how many members the queue group has; without a queue it is not sent.
///
/// Shape: `RS+ $G work w 2\r\n`, `LS+ LC $G work w 2\r\n`, `LS+ work w 2\r\n`. An origin must not be empty here.
///
/// ```
/// use midge_protocol::peer::{Interest, encode};
///
/// let mut out = Vec::new();
/// let interest = Interest { origin: None, account: Some(b"$G"), subject: b"work", queue: Some(b"w") };
/// encode::subscribe(&mut out, &interest, 2);
/// assert_eq!(out, b"RS+ $G work w 2\r\n");
/// ```
pub fn subscribe(out: &mut impl Sink, interest: &Interest<'_>, weight: u32) {
    debug_assert!(interest.origin != Some(b""), "LS+ names its origin");
    put_interest(out, b"S+", interest);
    if interest.queue.is_some() {
        out.put(b" ");
        out.put(Decimal::new(u64::from(weight)).as_bytes());
    }
    out.put(LINE_END);
}

/// Appends `RS-` or `LS-`. An origin that is empty makes an `LS-` without one, for a peer without `lnocu`.
///
/// Shape: `RS- $G work w\r\n`, `LS- LC $G work w\r\n`, `LS- $G work w\r\n`, `LS- work w\r\n`.
pub fn unsubscribe(out: &mut impl Sink, interest: &Interest<'_>) {
    put_interest(out, b"S-", interest);
    out.put(LINE_END);
}

fn put_interest(out: &mut impl Sink, name: &[u8], interest: &Interest<'_>) {
    let is_of_route = interest.account.is_some() && interest.origin.is_none();
    out.put(if is_of_route { b"R" } else { b"L" });
    out.put(name);
    let origin = interest.origin.filter(|origin| !origin.is_empty());
    let words = [
        origin,
        interest.account,
        Some(interest.subject),
        interest.queue,
    ];
    for word in words.into_iter().flatten() {
        out.put(b" ");
        out.put(word);
    }
}

/// What all messages of a subject begin with: name, origin, account and subject, each with the blank behind it. Made
/// once, and kept or made anew in place.
///
/// ```text
/// RMSG $G greet  HMSG $G greet  a route          no header, header
/// LMSG LC $G greet              a route, of an origin
/// LMSG greet  HMSG greet        a leaf
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// Both heads, one behind the other; one of them where there is an origin.
    bytes: Vec<u8>,
    /// How long each is.
    len: usize,
    /// Whether the header size is sent although there is no header.
    has_origin: bool,
}

impl Head {
    /// The head of messages to `subject`: to a route in `account`, from a leaf node of the cluster `origin` if that is
    /// there; without an account to a leaf, where an origin is not sent.
    ///
    /// None of them is checked: they are without blanks and control bytes. Allocates.
    pub fn new(origin: Option<&[u8]>, account: Option<&[u8]>, subject: &[u8]) -> Head {
        let mut head = Head::default();
        head.set(origin, account, subject);
        head
    }

    /// Makes it that of another subject, as [`new`](Head::new) does. Allocates only if it is longer than any before.
    pub fn set(&mut self, origin: Option<&[u8]>, account: Option<&[u8]>, subject: &[u8]) {
        let origin = origin.filter(|_| account.is_some());
        let names: &[&[u8]] = match (origin, account) {
            (Some(_), _) => &[b"LMSG "],
            (None, Some(_)) => &[b"RMSG ", b"HMSG "],
            (None, None) => &[b"LMSG ", b"HMSG "],
        };
        self.bytes.clear();
        for name in names {
            self.bytes.extend_from_slice(name);
            for word in [origin, account, Some(subject)].into_iter().flatten() {
                self.bytes.extend_from_slice(word);
                self.bytes.push(b' ');
            }
        }
        self.len = self.bytes.len() / names.len();
        self.has_origin = origin.is_some();
    }

    /// The head of a message with or without a header; empty before the first is set.
    #[inline]
    pub fn as_bytes(&self, with_header: bool) -> &[u8] {
        let start = if with_header && !self.has_origin {
            self.len
        } else {
            0
        };
        self.bytes.get(start..start + self.len).unwrap_or_default()
    }

    /// Appends `message` as it came, whatever its subject is, for all who are in no queue group and one member of each
    /// of `queues`.
    ///
    /// Cost: without queues two copies, of the head and of the message's [tail](Publish::tail), if it has one and needs
    /// no header size of 0.
    #[inline]
    pub fn put(&self, message: &Publish<'_>, queues: &[&[u8]], out: &mut impl Sink) {
        let is_plain = queues.is_empty() && (!self.has_origin || message.has_header());
        if is_plain && let Some(tail) = message.tail() {
            let head = self.as_bytes(message.has_header());
            out.reserve(head.len() + tail.len());
            out.put(head);
            return tail.put(out);
        }
        PeerMsg::of(self, message, queues).put(out);
    }
}

/// One message to a peer, put together from its parts. [`Head::put`] takes the short way where there is one.
///
/// The sizes are written as given: they are the publisher's digits, and nothing here checks that they are the lengths
/// of `header` and `payload`.
///
/// A peer without headers gets the payload alone: `header_size` and `header` empty, and as `size` the
/// [`Decimal`] of its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerMsg<'a> {
    /// Up to the subject.
    pub head: &'a Head,
    /// Where the publisher wants the answer, if it wants one.
    pub reply: Option<&'a [u8]>,
    /// The queue groups of which one member each is to get it.
    pub queues: &'a [&'a [u8]],
    /// Digits of the header size; empty without a header.
    pub header_size: &'a [u8],
    /// Digits of the total size.
    pub size: &'a [u8],
    /// The header block, empty if there is none.
    pub header: &'a [u8],
    /// The message itself.
    pub payload: &'a [u8],
}

impl<'a> PeerMsg<'a> {
    /// The message that a client or another peer has published, but for its subject, which is that of `head`.
    pub fn of(head: &'a Head, message: &Publish<'a>, queues: &'a [&'a [u8]]) -> PeerMsg<'a> {
        PeerMsg {
            head,
            reply: message.reply(),
            queues,
            header_size: message.header_size(),
            size: message.size(),
            header: message.header(),
            payload: message.payload(),
        }
    }

    /// How many bytes [`put`](Self::put) writes.
    pub fn encoded_len(&self) -> usize {
        let word = |word: &[u8]| word.len() + 1;
        let indicator = if self.queues.is_empty() { 0 } else { 2 };
        let queues: usize = self.queues.iter().map(|queue| word(queue)).sum();
        self.head_bytes().len()
            + indicator
            + self.reply.map_or(0, word)
            + queues
            + self.header_size().map_or(0, word)
            + self.size.len()
            + LINE_END.len()
            + self.header.len()
            + self.payload.len()
            + LINE_END.len()
    }

    /// Appends the frame whole.
    pub fn put(&self, out: &mut impl Sink) {
        out.reserve(self.encoded_len());
        out.put(self.head_bytes());
        if !self.queues.is_empty() {
            out.put(if self.reply.is_some() { b"+ " } else { b"| " });
        }
        let words = self.reply.into_iter().chain(self.queues.iter().copied());
        for word in words.chain(self.header_size()) {
            out.put(word);
            out.put(b" ");
        }
        out.put(self.size);
        out.put(LINE_END);
        out.put(self.header);
        out.put(self.payload);
        out.put(LINE_END);
    }

    fn head_bytes(&self) -> &'a [u8] {
        self.head.as_bytes(!self.header_size.is_empty())
    }

    fn header_size(&self) -> Option<&'a [u8]> {
        match self.header_size {
            b"" => self.head.has_origin.then_some(b"0"),
            digits => Some(digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_is_written_in_the_form_of_its_parts() {
        #[track_caller]
        fn check(
            origin: Option<&str>,
            account: Option<&str>,
            queue: Option<&str>,
            lines: [&str; 2],
        ) {
            let interest = Interest {
                origin: origin.map(str::as_bytes),
                account: account.map(str::as_bytes),
                subject: b"a.>",
                queue: queue.map(str::as_bytes),
            };
            let mut out = Vec::new();
            if origin != Some("") {
                subscribe(&mut out, &interest, 12);
            }
            assert_eq!(String::from_utf8_lossy(&out), lines[0]);
            out.clear();
            unsubscribe(&mut out, &interest);
            assert_eq!(String::from_utf8_lossy(&out), lines[1]);
        }
        let (g, w, lc) = (Some("$G"), Some("w"), Some("LC"));
        check(None, g, None, ["RS+ $G a.>\r\n", "RS- $G a.>\r\n"]);
        check(None, g, w, ["RS+ $G a.> w 12\r\n", "RS- $G a.> w\r\n"]);
        check(lc, g, None, ["LS+ LC $G a.>\r\n", "LS- LC $G a.>\r\n"]);
        check(lc, g, w, ["LS+ LC $G a.> w 12\r\n", "LS- LC $G a.> w\r\n"]);
        check(Some(""), g, None, ["", "LS- $G a.>\r\n"]);
        check(Some(""), g, w, ["", "LS- $G a.> w\r\n"]);
        check(None, None, None, ["LS+ a.>\r\n", "LS- a.>\r\n"]);
        check(None, None, w, ["LS+ a.> w 12\r\n", "LS- a.> w\r\n"]);
    }

    /// Reply, queues, header; and the line on a route, on a route with an origin, on a leaf.
    type Row = (
        Option<&'static [u8]>,
        &'static [&'static [u8]],
        &'static [u8],
        [&'static str; 3],
    );

    #[test]
    fn messages_are_written_in_the_form_of_their_parts() {
        let (g, lc) = (Some(b"$G".as_slice()), Some(b"LC".as_slice()));
        let heads = [(None, g), (lc, g), (None, None), (lc, None)]
            .map(|(origin, account)| Head::new(origin, account, b"a"));
        let table: [Row; 8] = [
            (
                None,
                &[],
                b"",
                ["RMSG $G a 2", "LMSG LC $G a 0 2", "LMSG a 2"],
            ),
            (
                Some(b"r"),
                &[],
                b"",
                ["RMSG $G a r 2", "LMSG LC $G a r 0 2", "LMSG a r 2"],
            ),
            (
                None,
                &[b"q"],
                b"",
                ["RMSG $G a | q 2", "LMSG LC $G a | q 0 2", "LMSG a | q 2"],
            ),
            (
                Some(b"r"),
                &[b"q", b"w"],
                b"",
                [
                    "RMSG $G a + r q w 2",
                    "LMSG LC $G a + r q w 0 2",
                    "LMSG a + r q w 2",
                ],
            ),
            (
                None,
                &[],
                b"H",
                ["HMSG $G a 1 3", "LMSG LC $G a 1 3", "HMSG a 1 3"],
            ),
            (
                Some(b"r"),
                &[],
                b"H",
                ["HMSG $G a r 1 3", "LMSG LC $G a r 1 3", "HMSG a r 1 3"],
            ),
            (
                None,
                &[b"q", b"w"],
                b"H",
                [
                    "HMSG $G a | q w 1 3",
                    "LMSG LC $G a | q w 1 3",
                    "HMSG a | q w 1 3",
                ],
            ),
            (
                Some(b"r"),
                &[b"q"],
                b"H",
                [
                    "HMSG $G a + r q 1 3",
                    "LMSG LC $G a + r q 1 3",
                    "HMSG a + r q 1 3",
                ],
            ),
        ];
        for (reply, queues, header, lines) in table {
            let mut buffer = Vec::new();
            let message = Publish::compose(&mut buffer, b"other", reply, header, b"hi");
            for (head, line) in heads.iter().zip([lines[0], lines[1], lines[2], lines[2]]) {
                let expected = format!("{line}\r\n{}hi\r\n", header.escape_ascii());
                let mut out = Vec::new();
                head.put(&message, queues, &mut out);
                assert_eq!(String::from_utf8_lossy(&out), expected);
                out.clear();
                let msg = PeerMsg::of(head, &message, queues);
                msg.put(&mut out);
                assert_eq!(String::from_utf8_lossy(&out), expected);
                assert_eq!(msg.encoded_len(), expected.len());
            }
        }
    }

    #[test]
    fn a_head_is_made_anew_in_place() {
        let mut head = Head::default();
        assert_eq!(head.as_bytes(false), b"");
        for (account, subject) in [(Some(b"$G".as_slice()), b"a.b.c".as_slice()), (None, b"a")] {
            for origin in [Some(b"LC".as_slice()), None] {
                head.set(origin, account, subject);
                assert_eq!(head, Head::new(origin, account, subject));
            }
        }
    }
}
