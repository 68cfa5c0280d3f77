//! The arguments of interest and of messages. Which form a line has is told by how many arguments it has.
//!
//! ```text
//! LMSG LC $G work + inbox.9 billing audit 0 3\r\n
//!      ^       ^  ^                     ^ ^
//!      |       |  to: 0, 1 or more      sizes: 1 or 2 from the end
//!      lead: 1 to 3 from the start
//! ```

use super::op::{Interest, PeerMessage};
use super::parser::{Kind, PeerRules};
use super::violation::PeerViolation;
use crate::line::{self, Span, Words};
use crate::op::Publish;
use crate::publish::{Layout, Place};

/// The ops that carry a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Message {
    /// `RMSG`; `LMSG` of a leaf.
    Plain,
    /// `HMSG`.
    Header,
    /// `LMSG` of a route.
    Origin,
}

/// Most arguments of interest: origin, account, subject, queue, weight.
const INTEREST_WORDS_MAX: usize = 5;

/// The arguments of a line, if they are no more than those of interest can be.
fn words(input: &[u8], argument: Span) -> Option<([&[u8]; INTEREST_WORDS_MAX], usize)> {
    let mut found = [&input[..0]; INTEREST_WORDS_MAX];
    let mut count = 0;
    for word in Words::new(input, argument) {
        *found.get_mut(count)? = word.of(input);
        count += 1;
    }
    Some((found, count))
}

/// What `RS` or `LS` names before the subject: origin and account.
fn lead<'a, 'w>(
    words: &'w [&'a [u8]],
    kind: Kind,
    origin: Lead,
) -> Option<(Interest<'a>, &'w [&'a [u8]])> {
    let mut interest = Interest {
        origin: None,
        account: None,
        subject: b"",
        queue: None,
    };
    let mut rest = words.iter();
    if kind == Kind::Route {
        interest.origin = match origin {
            Lead::Account => None,
            Lead::Origin => Some(rest.next()?),
            Lead::NoOrigin => Some(b""),
        };
        interest.account = Some(rest.next()?);
    }
    interest.subject = rest.next()?;
    Some((interest, rest.as_slice()))
}

/// What stands before the subject on a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lead {
    /// `RS`: an account.
    Account,
    /// `LS`: an origin and an account.
    Origin,
    /// `LS-` where no origin is named: an account.
    NoOrigin,
}

/// Reads `RS+` or `LS+`: the interest and its weight.
pub(super) fn subscribe(
    input: &[u8],
    argument: Span,
    kind: Kind,
    before: Lead,
) -> Result<(Interest<'_>, u32), PeerViolation<'static>> {
    let read = || {
        let (words, count) = words(input, argument)?;
        let (mut interest, rest) = lead(&words[..count], kind, before)?;
        match *rest {
            [] => Some((interest, 1)),
            [queue, weight] => {
                interest.queue = Some(queue);
                Some((interest, line::size(weight)? as u32))
            }
            _ => None,
        }
    };
    read().ok_or(PeerViolation::Parse)
}

/// Reads `RS-` or `LS-`.
pub(super) fn unsubscribe(
    input: &[u8],
    argument: Span,
    kind: Kind,
    before: Lead,
) -> Result<Interest<'_>, PeerViolation<'static>> {
    let read = || {
        let (words, count) = words(input, argument)?;
        let (mut interest, rest) = lead(&words[..count], kind, before)?;
        interest.queue = match *rest {
            [] => None,
            [queue] => Some(queue),
            _ => return None,
        };
        Some(interest)
    };
    read().ok_or(PeerViolation::Parse)
}

/// Where the parts of a message stand, from the first byte of its op.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) layout: Layout,
    origin: Place,
    account: Place,
    queues: Place,
}

impl Frame {
    /// Reads a complete control line. `argument` is what follows the name, without the line end; `line_bytes` is
    /// behind the line end.
    pub(super) fn read(
        input: &[u8],
        message: Message,
        argument: Span,
        line_bytes: usize,
        rules: &PeerRules,
    ) -> Result<Frame, PeerViolation<'static>> {
        let frame = Self::read_parts(input, message, argument, line_bytes, rules.kind)
            .ok_or(PeerViolation::Parse)?;
        let is_too_large = |max: usize| frame.layout.body_bytes as usize > max;
        if rules.payload_bytes_max.is_some_and(is_too_large) {
            return Err(PeerViolation::PayloadTooLarge);
        }
        Ok(frame)
    }

    fn read_parts(
        input: &[u8],
        message: Message,
        argument: Span,
        line_bytes: usize,
        kind: Kind,
    ) -> Option<Frame> {
        let mut words = Words::new(input, argument);
        let origin = match message {
            Message::Origin => words.next()?,
            Message::Plain | Message::Header => Span::default(),
        };
        let account = match kind {
            Kind::Route => words.next()?,
            Kind::Leaf => Span::default(),
        };
        let subject = words.next()?;
        let size = words.next_back()?;
        let header_size = match message {
            Message::Plain => None,
            Message::Header | Message::Origin => Some(words.next_back()?),
        };
        let (reply, queues) = to(input, words)?;

        let number = |span: Span| line::size(span.of(input));
        let body_bytes = number(size)?;
        let header_bytes = header_size.map_or(Some(0), number)?;
        if header_bytes > body_bytes {
            return None;
        }
        let layout = Layout::between_brokers(
            input,
            [subject, reply, queues],
            header_size,
            size,
            [header_bytes, body_bytes],
            line_bytes,
        );
        Some(Frame {
            layout,
            origin: origin.into(),
            account: account.into(),
            queues: queues.into(),
        })
    }

    pub(super) fn message<'a>(&self, input: &'a [u8]) -> PeerMessage<'a> {
        PeerMessage {
            publish: Publish {
                input,
                layout: self.layout,
                repeats: false,
            },
            origin: self.origin,
            account: self.account,
            queues: self.queues,
        }
    }
}

/// Reads what stands between the subject and the sizes: the reply, and where the queue names are; empty if there are
/// none.
fn to(input: &[u8], mut words: Words<'_>) -> Option<(Span, Span)> {
    let none = Span::default();
    let Some(first) = words.next() else {
        return Some((none, none));
    };
    let Some(second) = words.next() else {
        return Some((first, none));
    };
    let names = |first: Span, mut more: Words<'_>| Span {
        start: first.start,
        end: more.next_back().unwrap_or(first).end,
    };
    match first.of(input) {
        b"|" => Some((none, names(second, words))),
        b"+" => match words.next() {
            Some(name) => Some((second, names(name, words))),
            None => Some((second, none)),
        },
        _ => None,
    }
}
