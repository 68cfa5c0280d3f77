//! Everything that can be said, in either direction, as borrowed slices of the bytes received.
//!
//! An op here is well formed as far as the wire goes: it had a known name, the right number of
//! arguments, sizes that are numbers. Whether its subject may be subscribed, whether the peer may
//! do what it asks, is for the broker to judge.

use crate::piece::Piece;
use crate::publish::Layout;
use std::fmt;

/// One op from a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientOp<'a> {
    /// `CONNECT {json}`: who the client is and how it wants to be spoken to. The JSON is not
    /// parsed yet: see [`ConnectOptions::merge`](crate::ConnectOptions::merge).
    Connect {
        /// Everything behind the name and its blanks, without the line end.
        json: &'a [u8],
    },
    /// `PUB` or `HPUB`: a message for all who are interested.
    Publish(Publish<'a>),
    /// `SUB <subject> [queue] <sid>`: interest in a subject.
    Subscribe {
        /// The subject, wildcards and all. Its form is not checked: see
        /// [`is_subscribable`](crate::subject::is_subscribable).
        subject: &'a [u8],
        /// The queue group to join, if any.
        queue: Option<&'a [u8]>,
        /// The client's own name for this subscription; opaque bytes.
        sid: &'a [u8],
    },
    /// `UNSUB <sid> [max]`: the end of a subscription, now or after a number of messages.
    Unsubscribe {
        /// The subscription to end.
        sid: &'a [u8],
        /// End after this many messages since `SUB`; never 0. `None` is "now", said by leaving the
        /// maximum out or by one that is 0, negative, not a number or longer than nine digits.
        max: Option<u64>,
    },
    /// `PING`: asks for a `PONG`.
    Ping,
    /// `PONG`: the answer to our `PING`.
    Pong,
    /// `+OK`: means nothing from a client, and is tolerated.
    Ok,
    /// `INFO {json}`: means nothing from a client, and is tolerated when it is a JSON object.
    Info {
        /// Everything behind the name and its blanks, without the line end.
        json: &'a [u8],
    },
}

/// A published message, and the digits its sizes were written with.
///
/// ```text
/// PUB  <subject> [reply] <size>\r\n<payload>\r\n
/// HPUB <subject> [reply] <header size> <size>\r\n<header><payload>\r\n
///                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ tail
/// ```
///
/// Made of the input and the places in it, so that what is not asked for costs nothing.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    /// From the first byte of the op on, as far as the input goes.
    pub(crate) input: &'a [u8],
    pub(crate) layout: Layout,
    pub(crate) repeats: bool,
}

impl<'a> Publish<'a> {
    /// Whether its control line is that of the publish that the parser gave before it, to the byte,
    /// whatever was made of that one; it may be the same one, given again. `false` says nothing.
    #[inline]
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Where it is published to. Not checked for form.
    #[inline]
    pub fn subject(&self) -> &'a [u8] {
        self.layout.subject.of(self.input)
    }

    /// Where the publisher wants the answer, if it wants one. Not checked for form.
    #[inline]
    pub fn reply(&self) -> Option<&'a [u8]> {
        let reply = self.layout.reply;
        (!reply.is_empty()).then(|| reply.of(self.input))
    }

    /// Whether there is a header. `HPUB` with a header size of 0 has none: it is delivered as a plain
    /// message.
    #[inline]
    pub fn has_header(&self) -> bool {
        self.layout.header_bytes > 0
    }

    /// Digits of the header size as sent. Empty when there is no header.
    pub fn header_size(&self) -> &'a [u8] {
        self.layout.header_size.of(self.input)
    }

    /// Digits of the total size as sent (header and payload together), leading zeros included.
    pub fn size(&self) -> &'a [u8] {
        self.layout.size.of(self.input)
    }

    /// The header block, empty when there is none. Its content is not looked at.
    pub fn header(&self) -> &'a [u8] {
        self.layout.header().of(self.input)
    }

    /// The message itself, without the header.
    pub fn payload(&self) -> &'a [u8] {
        self.layout.payload().of(self.input)
    }

    /// Bytes of header and payload together, as the size limit counts them.
    #[inline]
    pub fn body_bytes(&self) -> usize {
        self.layout.body_bytes as usize
    }

    /// `[reply ][header size ]size CR LF header payload CR LF` exactly as received, when those are
    /// the very bytes a delivery carries behind `MSG <subject> <sid> ` (or `HMSG`). `None` when
    /// the peer wrote them otherwise (tabs, double blanks, a bare LF, a header size of 0), and the
    /// delivery must be put together from the fields.
    #[inline]
    pub fn tail(&self) -> Option<Piece<'a>> {
        let tail = self.layout.tail();
        (!tail.is_empty()).then(|| tail.piece_of(self.input))
    }

    /// What is handed on to receivers as it came: the subject with the blank behind it, and the tail;
    /// `None` where there is no tail, or something else than one blank in front of it.
    #[inline(always)]
    pub fn hand_on(&self) -> Option<(Piece<'a>, Piece<'a>)> {
        let (subject, tail) = self.layout.hand_on(self.input)?;
        Some((subject.piece_of(self.input), tail.piece_of(self.input)))
    }

    fn parts(&self) -> [Option<&'a [u8]>; 7] {
        [
            Some(self.subject()),
            self.reply(),
            Some(self.header_size()),
            Some(self.size()),
            Some(self.header()),
            Some(self.payload()),
            self.tail().map(|tail| tail.as_slice()),
        ]
    }
}

/// What is said, not where it stands nor what stands behind it.
impl PartialEq for Publish<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Publish<'_> {}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Publish");
        let names = [
            "subject",
            "reply",
            "header_size",
            "size",
            "header",
            "payload",
            "tail",
        ];
        for (name, part) in names.into_iter().zip(self.parts()) {
            if let Some(part) = part {
                out.field(name, &format_args!("\"{}\"", part.escape_ascii()));
            }
        }
        out.finish()
    }
}

/// One op from a server. Used by clients: tests, load generators.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerOp<'a> {
    /// `INFO {json}`: what the server is; see [`Info`](crate::Info).
    Info {
        /// Everything behind the name and its blanks, without trailing blanks and line end.
        json: &'a [u8],
    },
    /// `MSG` or `HMSG`: a message for one of our subscriptions.
    Msg(Delivery<'a>),
    /// `+OK`: the last op was accepted (verbose mode).
    Ok,
    /// `-ERR '<text>'`: a rule was broken.
    Err {
        /// The text, without its quotes.
        text: &'a [u8],
    },
    /// `PING`: asks for a `PONG`.
    Ping,
    /// `PONG`: the answer to our `PING`.
    Pong,
}

/// A delivered message.
///
/// ```text
/// MSG  <subject> <sid> [reply] <size>\r\n<payload>\r\n
/// HMSG <subject> <sid> [reply] <header size> <size>\r\n<header><payload>\r\n
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery<'a> {
    /// The subject as published, never the subscription's wildcard.
    pub subject: &'a [u8],
    /// Which of our subscriptions it is for.
    pub sid: &'a [u8],
    /// Where the publisher wants the answer, if it wants one.
    pub reply: Option<&'a [u8]>,
    /// The header block, empty for `MSG`.
    pub header: &'a [u8],
    /// The message itself, without the header.
    pub payload: &'a [u8],
}
