//! One op at a time out of a peer's bytes, which arrive cut wherever the network cut them.
//!
//! ```text
//! RMSG  $G greet 5\r\nhello\r\n
//! ^   ^              ^        ^
//! |   Line           Payload  an op; back to Name
//! Name
//!
//! 0 <= searched <= input.len()
//! searched == 0 in Name, and name_bytes <= searched in Line
//! ```
//!
//! `searched` is how much of the unfinished op was looked at for its line end, and is not looked at again.
//!
//! Unlike that of clients, the bound on a line counts all of it, blanks and what follows `PING` too: no broker writes
//! pages of blanks, so none are dropped unread, and there is one rule less.

use memchr::memchr;

use super::forms::{self, Frame, Lead, Message};
use super::op::PeerOp;
use super::violation::PeerViolation;
use crate::line::{self, Named, Span, Trailer};
use crate::subject;

/// Most bytes that the rules can allow a line: so places in an op have 32 bits.
const LINE_BYTES_MAX: usize = 1 << 30;

/// What joins two brokers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Two members of a cluster. The ops name the account.
    Route,
    /// A leaf node and its hub, in either direction. The ops name no account.
    Leaf,
}

/// What is allowed on a connection at the moment, and how its ops are to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerRules {
    /// Which ops there are, and their forms.
    pub kind: Kind,
    /// Most bytes a control line may have, its line end not counted; more than 1 GiB counts as 1 GiB. 64 KiB by
    /// default: 16 times `max_control_line`, as in nats-server.
    pub line_bytes_max: usize,
    /// Most bytes of header and payload together. `None`, the default: up to 999,999,999, which is what a size can
    /// say. Nothing is enforced on routes.
    pub payload_bytes_max: Option<usize>,
    /// Whether a route's `LS-` names the origin: both sides have said `lnocu`. The number of arguments does not tell
    /// `LS- <origin> <account> <subject>` from `LS- <account> <subject> <queue>`. Off by default.
    pub unsubscribe_origin: bool,
    /// Whether `CONNECT` is outstanding: nothing else may come first. For who has accepted the connection. Off by
    /// default.
    pub connect_required: bool,
}

impl PeerRules {
    /// The rules with everything else at its default.
    pub const fn new(kind: Kind) -> PeerRules {
        PeerRules {
            kind,
            line_bytes_max: 16 * 4096,
            payload_bytes_max: None,
            unsubscribe_origin: false,
            connect_required: false,
        }
    }
}

/// What the bytes at hand amount to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerStep<'a> {
    /// Not yet. Keep the input, and call again with it when there is more.
    Partial {
        /// Bytes from the start of the input before which nothing but `Partial` can come; always more than there are.
        /// Behind the control line of a message it is the length of all but the last byte, whatever is there.
        need: usize,
    },
    /// The first `len` bytes are an op that breaks a rule and is not carried out: tell the peer, which stays.
    Refused {
        /// Not fatal: [`InvalidSubscription`](PeerViolation::InvalidSubscription).
        violation: PeerViolation<'static>,
        /// Bytes to drop before the next call.
        len: usize,
    },
    /// An op, in the first `len` bytes of the input.
    Op {
        /// The op.
        op: PeerOp<'a>,
        /// Bytes to drop before the next call.
        len: usize,
    },
}

/// One connection's place in its stream of ops.
///
/// # Contract
///
/// * The input of a call starts at the first byte that was not dropped; the unfinished bytes of an earlier call come
///   again, with new ones behind.
/// * [`PeerRules`] may differ from op to op.
/// * After an `Err` the connection is over: its bytes mean nothing any more.
///
/// No call allocates, and none panics, whatever the bytes.
///
/// ```
/// use midge_protocol::peer::{Interest, Kind, PeerOp, PeerParser, PeerRules, PeerStep};
///
/// let mut parser = PeerParser::default();
/// let rules = PeerRules::new(Kind::Route);
/// assert_eq!(parser.next(b"RS+ $G gre", &rules), Ok(PeerStep::Partial { need: 11 }));
/// let interest = Interest { origin: None, account: Some(b"$G"), subject: b"greet.*", queue: Some(b"w") };
/// let op = PeerOp::Subscribe { interest, weight: 2 };
/// assert_eq!(parser.next(b"RS+ $G greet.* w 2\r\nPI", &rules), Ok(PeerStep::Op { op, len: 20 }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct PeerParser {
    stage: Stage,
    searched: usize,
}

/// How far the op at the start of the input has come.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    /// The name is not complete.
    #[default]
    Name,
    /// The name is known, the line end has not come.
    Line { name: Name, name_bytes: usize },
    /// The control line of a message is read, its body is outstanding.
    Payload(Frame),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Info,
    Connect,
    Ping,
    Pong,
    Ok,
    Err,
    Account,
    Subscribe(Lead),
    Unsubscribe(Lead),
    Message(Message),
}

const ROUTE_NAMES: &[(Name, &[u8])] = &[
    (Name::Message(Message::Plain), b"RMSG"),
    (Name::Message(Message::Header), b"HMSG"),
    (Name::Message(Message::Origin), b"LMSG"),
    (Name::Subscribe(Lead::Account), b"RS+"),
    (Name::Unsubscribe(Lead::Account), b"RS-"),
    (Name::Subscribe(Lead::Origin), b"LS+"),
    (Name::Unsubscribe(Lead::Origin), b"LS-"),
    (Name::Ping, b"PING"),
    (Name::Pong, b"PONG"),
    (Name::Info, b"INFO"),
    (Name::Connect, b"CONNECT"),
    (Name::Ok, b"+OK"),
    (Name::Err, b"-ERR"),
    (Name::Account, b"A+"),
    (Name::Account, b"A-"),
];

const LEAF_NAMES: &[(Name, &[u8])] = &[
    (Name::Message(Message::Plain), b"LMSG"),
    (Name::Message(Message::Header), b"HMSG"),
    (Name::Subscribe(Lead::Account), b"LS+"),
    (Name::Unsubscribe(Lead::Account), b"LS-"),
    (Name::Ping, b"PING"),
    (Name::Pong, b"PONG"),
    (Name::Info, b"INFO"),
    (Name::Connect, b"CONNECT"),
    (Name::Ok, b"+OK"),
    (Name::Err, b"-ERR"),
];

impl PeerParser {
    /// The next step at the start of `input`.
    ///
    /// Cost: one pass over the control line for its end and one for its arguments; the body is jumped over.
    ///
    /// # Errors
    ///
    /// A fatal violation, as soon as the byte is there that makes it one: an unknown name before its line is complete,
    /// a payload that is too large before it is sent, a wrong byte behind the payload before the next one. Arguments
    /// that make no sense are [`Parse`](PeerViolation::Parse), after which a broker closes without a word.
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
        rules: &PeerRules,
    ) -> Result<PeerStep<'a>, PeerViolation<'static>> {
        if input.len() < self.searched {
            return Ok(PeerStep::Partial {
                need: self.searched,
            });
        }
        loop {
            let step = match self.stage {
                Stage::Name => self.name(input, rules)?,
                Stage::Line { name, name_bytes } => self.line(input, name, name_bytes, rules)?,
                Stage::Payload(frame) => Some(self.payload(input, &frame)?),
            };
            self.invariants(input);
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// The inequalities of the header.
    #[inline]
    fn invariants(&self, input: &[u8]) {
        let searched = self.searched;
        debug_assert!(searched <= input.len(), "{searched} of {}", input.len());
        match self.stage {
            Stage::Name => debug_assert_eq!(searched, 0, "of an op that has not begun"),
            Stage::Line { name_bytes, .. } => debug_assert!(name_bytes <= searched),
            Stage::Payload(frame) => debug_assert_eq!(searched, frame.layout.line_bytes()),
        }
    }

    fn name<'a>(
        &mut self,
        input: &'a [u8],
        rules: &PeerRules,
    ) -> Result<Option<PeerStep<'a>>, PeerViolation<'static>> {
        let need = input.len() + 1;
        let Some(first) = input.first() else {
            return Ok(Some(PeerStep::Partial { need }));
        };
        if rules.connect_required && !first.eq_ignore_ascii_case(&b'C') {
            return Err(PeerViolation::Authorization);
        }
        let names = match rules.kind {
            Kind::Route => ROUTE_NAMES,
            Kind::Leaf => LEAF_NAMES,
        };
        let (name, name_bytes) = match line::name(names, input) {
            Named::Found(name, len) => (name, len),
            Named::Partial => return Ok(Some(PeerStep::Partial { need })),
            Named::Unknown => return Err(PeerViolation::UnknownOperation),
        };
        if matches!(
            name,
            Name::Subscribe(_) | Name::Unsubscribe(_) | Name::Message(_)
        ) {
            match input.get(name_bytes) {
                None => return Ok(Some(PeerStep::Partial { need })),
                Some(&byte) if line::is_blank(byte) => {}
                Some(_) => return Err(PeerViolation::UnknownOperation),
            }
        }
        self.stage = Stage::Line { name, name_bytes };
        self.searched = name_bytes;
        Ok(None)
    }

    fn line<'a>(
        &mut self,
        input: &'a [u8],
        name: Name,
        name_bytes: usize,
        rules: &PeerRules,
    ) -> Result<Option<PeerStep<'a>>, PeerViolation<'static>> {
        let found = memchr(b'\n', &input[self.searched..]).map(|found| self.searched + found);
        let line = &input[..found.unwrap_or(input.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > rules.line_bytes_max.min(LINE_BYTES_MAX) {
            return Err(PeerViolation::ControlLineTooLong);
        }
        let Some(line_end) = found else {
            self.searched = input.len();
            return Ok(Some(PeerStep::Partial {
                need: input.len() + 1,
            }));
        };
        let len = line_end + 1;
        let argument = Span {
            start: name_bytes,
            end: line.len(),
        };
        let text = argument.of(input).trim_ascii();
        let op = match name {
            Name::Info => PeerOp::Info { json: text },
            Name::Connect => PeerOp::Connect { json: text },
            Name::Ping => PeerOp::Ping,
            Name::Pong => PeerOp::Pong,
            Name::Ok => PeerOp::Ok,
            Name::Account => PeerOp::Account,
            Name::Err => PeerOp::Err {
                text: line::unquoted(text),
            },
            Name::Subscribe(lead) => {
                let (interest, weight) = forms::subscribe(input, argument, rules.kind, lead)?;
                if !subject::is_subscribable(interest.subject) {
                    (self.stage, self.searched) = (Stage::Name, 0);
                    let violation = PeerViolation::InvalidSubscription;
                    return Ok(Some(PeerStep::Refused { violation, len }));
                }
                PeerOp::Subscribe { interest, weight }
            }
            Name::Unsubscribe(lead) => {
                let lead = match lead {
                    Lead::Origin if !rules.unsubscribe_origin => Lead::NoOrigin,
                    lead => lead,
                };
                PeerOp::Unsubscribe(forms::unsubscribe(input, argument, rules.kind, lead)?)
            }
            Name::Message(message) => {
                let frame = Frame::read(input, message, argument, len, rules)?;
                self.searched = len;
                self.stage = Stage::Payload(frame);
                return Ok(None);
            }
        };
        Ok(Some(self.finish(op, len)))
    }

    fn payload<'a>(
        &mut self,
        input: &'a [u8],
        frame: &Frame,
    ) -> Result<PeerStep<'a>, PeerViolation<'static>> {
        match line::trailer(input, frame.layout.body_end()) {
            Trailer::Whole => {
                let message = frame.message(input);
                Ok(self.finish(PeerOp::Message(message), frame.layout.len()))
            }
            Trailer::Partial { need } => Ok(PeerStep::Partial { need }),
            Trailer::Wrong => Err(PeerViolation::UnknownOperation),
        }
    }

    fn finish<'a>(&mut self, op: PeerOp<'a>, len: usize) -> PeerStep<'a> {
        (self.stage, self.searched) = (Stage::Name, 0);
        PeerStep::Op { op, len }
    }
}

#[cfg(test)]
mod tests;
