//! One op at a time out of a client's bytes, which arrive cut wherever the network cut them.
//!
//! ```text
//! PUB  \t  greet 5\r\nhello\r\n
//! ^  ^     ^          ^        ^
//! |  |     Argument   Payload  an op; back to Name
//! |  Blanks
//! Name
//!
//! 0 <= searched <= input.len()
//! searched == 0 in Name, and start <= searched in Argument
//! ```
//!
//! `searched` is how much of the unfinished op was looked at. What was looked at is not looked at
//! again when more bytes come, so a peer that sends one byte at a time costs one pass, not one per
//! byte.

use memchr::memchr;

use crate::connect;
use crate::encode;
use crate::fault::Fault;
use crate::line::{self, Named, Span, Trailer, Words};
use crate::op::{ClientOp, Publish};
use crate::publish::{self, Layout};
use crate::repeat::Repeat;
use crate::run::Run;
use crate::violation::Violation;

/// What is allowed on a connection at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Most bytes the arguments of an op may have: from the first byte behind the blanks that
    /// follow the name, up to the line end. 4096 by default, as in nats-server.
    pub control_line_bytes_max: usize,
    /// Most bytes of header and payload together. 1 MiB by default, as in nats-server.
    pub payload_bytes_max: usize,
    /// Whether headers are in effect: the server has them and the client asked for them.
    pub headers: bool,
    /// Whether the client wants to hear about subjects it should not publish to. On until it says
    /// otherwise.
    pub pedantic: bool,
    /// Whether credentials are wanted and `CONNECT` is outstanding: nothing else may come first.
    pub connect_required: bool,
}

/// The rules before `CONNECT`, on a server with every option at its default.
impl Default for Rules {
    fn default() -> Self {
        Rules {
            control_line_bytes_max: 4096,
            payload_bytes_max: 1024 * 1024,
            headers: false,
            pedantic: true,
            connect_required: false,
        }
    }
}

/// What the bytes at hand amount to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step<'a> {
    /// Not yet. Keep the input, and call again with it when there is more.
    Partial {
        /// Bytes from the start of the input before which nothing but `Partial` can come; always
        /// more than there are. A frame may need more than this in the end.
        need: usize,
    },
    /// The first `len` bytes are decided and need not be kept, although the op is not finished:
    /// drop them and call again with the rest. Happens only to a peer that sends pages of blanks
    /// or of junk behind `PING`, neither of which is limited.
    Skip {
        /// Bytes to drop; at least one.
        len: usize,
    },
    /// A rule was broken that does not stop the op: tell the peer, drop nothing, call again with
    /// the same input. Comes once, when the control line is complete and before the payload is.
    Warning(Violation<'static>),
    /// An op, in the first `len` bytes of the input.
    Op {
        /// The op.
        op: ClientOp<'a>,
        /// Bytes to drop before the next call.
        len: usize,
    },
}

/// One connection's place in its stream of ops.
///
/// # Contract
///
/// * The input of a call starts at the first byte that was not dropped; the unfinished bytes of
///   an earlier call come again, with new ones behind.
/// * [`Rules`] may differ from op to op.
/// * After an `Err` the connection is over: its bytes mean nothing any more.
///
/// No call allocates but the first one that gives a publish, and none panics, whatever the bytes.
///
/// ```
/// use midge_protocol::{ClientOp, Parser, Rules, Step};
///
/// let mut parser = Parser::default();
/// let rules = Rules::default();
/// assert_eq!(parser.next(b"SUB greet", &rules), Ok(Step::Partial { need: 10 }));
/// let op = ClientOp::Subscribe { subject: b"greet.*", queue: None, sid: b"1" };
/// assert_eq!(parser.next(b"SUB greet.* 1\r\nPI", &rules), Ok(Step::Op { op, len: 15 }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Parser {
    stage: Stage,
    searched: usize,
    /// Made by the first publish, and kept.
    repeat: Option<Box<Repeat>>,
}

/// How far the op at the start of the input has come.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    /// The name is not complete, and nothing counts as searched.
    #[default]
    Name,
    /// The name was one that ignores what follows up to the line end.
    Ignore(Name),
    /// The name is known; only blanks have followed it.
    Blanks(Name),
    /// The arguments start at `start`; their line end has not come.
    Argument { name: Name, start: usize },
    /// The control line of a publish is read, its payload is outstanding.
    Payload(Layout),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Ping,
    Pong,
    Ok,
    Err,
    Info,
}

const NAMES: &[(Name, &[u8])] = &[
    (Name::Pub, b"PUB"),
    (Name::Hpub, b"HPUB"),
    (Name::Sub, b"SUB"),
    (Name::Unsub, b"UNSUB"),
    (Name::Ping, b"PING"),
    (Name::Pong, b"PONG"),
    (Name::Connect, b"CONNECT"),
    (Name::Ok, b"+OK"),
    (Name::Err, b"-ERR"),
    (Name::Info, b"INFO"),
];

impl Name {
    fn text(self) -> &'static str {
        let found = NAMES.iter().find(|(name, _)| *name == self);
        found
            .and_then(|(_, text)| str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

impl Parser {
    /// The next step at the start of `input`.
    ///
    /// # Errors
    ///
    /// A fatal violation, as soon as the byte is there that makes it one: an unknown name before
    /// its line is complete, a payload that is too large before it is sent, a wrong byte behind
    /// the payload before the next one.
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
    ) -> Result<Step<'a>, Violation<'static>> {
        if let Some((publish, len)) = self.next_publish(input, rules) {
            return Ok(Step::Op {
                op: ClientOp::Publish(publish),
                len,
            });
        }
        self.next_of_any(input, rules)
    }

    /// What [`next`](Self::next) would answer, if that is a publish that is whole and written the way
    /// client libraries write it, and its length. `None` says nothing: ask `next`.
    ///
    /// For the loop in which nearly all bytes are spent. Allocates for the first publish of a
    /// connection, to remember its control line.
    #[inline(always)]
    pub fn next_publish<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
    ) -> Option<(Publish<'a>, usize)> {
        let run = self.next_run(input, rules, 1)?;
        Some((*run.first(), run.bytes()))
    }

    /// As [`next_publish`](Self::next_publish), with those that follow and have the same control line
    /// to the byte, if it was that of the last publish too: up to `count_max` altogether, and at least
    /// one.
    ///
    /// Cost for each but the first: a comparison of 64 bytes.
    #[inline(always)]
    pub fn next_run<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
        count_max: usize,
    ) -> Option<Run<'a>> {
        if !matches!(self.stage, Stage::Name) {
            return None;
        }
        if let Some(repeat) = &self.repeat
            && let Some(run) = repeat.read(input, rules, count_max)
        {
            return Some(run);
        }
        let (publish, _) = self.next_new_publish(input, rules)?;
        Some(Run::new(publish, 1))
    }

    /// Inlined wherever it is called: a call costs as much as a fifth of what it does.
    #[inline(always)]
    fn next_new_publish<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
    ) -> Option<(Publish<'a>, usize)> {
        if rules.connect_required {
            return None;
        }
        let (publish, len) = publish::canonical(input, rules)?;
        self.repeat.get_or_insert_default().keep(&publish, rules);
        Some((publish, len))
    }

    /// [`next`](Self::next) without its short cut: complete, and the reference for it. For where
    /// [`next_publish`](Self::next_publish) has just said nothing.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_of_any<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
    ) -> Result<Step<'a>, Violation<'static>> {
        if input.len() < self.searched {
            return Ok(Step::Partial {
                need: self.searched,
            });
        }
        if let Some(step) = self.sign_of_life(input, rules) {
            return Ok(step);
        }
        loop {
            let step = match self.stage {
                Stage::Name => self.name(input, rules)?,
                Stage::Ignore(name) => Some(self.ignore(input, name, rules)),
                Stage::Blanks(name) => self.blanks(input, name, rules),
                Stage::Argument { name, start } => self.argument(input, name, start, rules)?,
                Stage::Payload(layout) => Some(self.payload(input, &layout)?),
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
        debug_assert!(
            searched <= input.len(),
            "searched {searched} of {}",
            input.len()
        );
        match self.stage {
            Stage::Name => debug_assert_eq!(searched, 0, "of an op that has not begun"),
            Stage::Argument { start, .. } => {
                debug_assert!(start <= searched, "{start} > {searched}");
            }
            Stage::Payload(layout) => debug_assert_eq!(searched, layout.line_bytes()),
            Stage::Ignore(_) | Stage::Blanks(_) => {}
        }
    }

    /// Where it stopped, for a log: behind an `Err`, with the input of the call that has answered it.
    #[cold]
    pub fn fault<'a>(&self, input: &'a [u8]) -> Fault<'a> {
        let (name, start) = match self.stage {
            Stage::Name | Stage::Ignore(_) | Stage::Blanks(_) => return Fault::Name(input),
            Stage::Payload(_) => return Fault::PayloadEnd,
            Stage::Argument { name, start } => (name, start),
        };
        let rest = input.get(start..).unwrap_or_default();
        let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if name == Name::Err {
            return Fault::Told(line);
        }
        let is_publish = matches!(name, Name::Pub | Name::Hpub);
        let span = Span {
            start: 0,
            end: line.len(),
        };
        let last = Words::new(line, span).next_back();
        Fault::Arguments {
            name: name.text(),
            announced: last
                .filter(|_| is_publish)
                .and_then(|word| line::size(word.of(line))),
        }
    }

    /// How many bytes at the beginning of `input` are `PONG`s that are whole and written the way client libraries
    /// write it. Behind a [`ClientOp::Pong`] they add nothing to it and may be skipped.
    #[must_use]
    pub fn pongs(input: &[u8]) -> usize {
        let (ops, _) = input.as_chunks::<{ encode::PONG.len() }>();
        let count = ops.iter().take_while(|op| *op == encode::PONG).count();
        count * encode::PONG.len()
    }

    /// A `PING` or a `PONG` that is whole and written the way client libraries write it.
    #[inline]
    fn sign_of_life<'a>(&self, input: &[u8], rules: &Rules) -> Option<Step<'a>> {
        if rules.connect_required || !matches!(self.stage, Stage::Name) {
            return None;
        }
        let op = match input.first_chunk()? {
            b"PING\r\n" => ClientOp::Ping,
            b"PONG\r\n" => ClientOp::Pong,
            _ => return None,
        };
        Some(Step::Op { op, len: 6 })
    }

    fn name<'a>(
        &mut self,
        input: &'a [u8],
        rules: &Rules,
    ) -> Result<Option<Step<'a>>, Violation<'static>> {
        let Some(first) = input.first() else {
            return Ok(Some(Step::Partial { need: 1 }));
        };
        if rules.connect_required && !first.eq_ignore_ascii_case(&b'C') {
            return Err(Violation::Authorization);
        }
        let (name, len) = match line::name(NAMES, input) {
            Named::Found(name, len) => (name, len),
            Named::Partial => {
                return Ok(Some(Step::Partial {
                    need: input.len() + 1,
                }));
            }
            Named::Unknown => return Err(Violation::UnknownOperation),
        };
        self.stage = match name {
            Name::Ping | Name::Pong | Name::Ok => Stage::Ignore(name),
            Name::Connect | Name::Info => Stage::Blanks(name),
            _ => match input.get(len) {
                None => return Ok(Some(Step::Partial { need: len + 1 })),
                Some(&byte) if line::is_blank(byte) => Stage::Blanks(name),
                Some(_) => return Err(Violation::UnknownOperation),
            },
        };
        self.searched = len;
        Ok(None)
    }

    fn ignore<'a>(&mut self, input: &'a [u8], name: Name, rules: &Rules) -> Step<'a> {
        let Some(found) = memchr(b'\n', &input[self.searched..]) else {
            self.searched = input.len();
            return self.partial_or_skip(input, rules);
        };
        let len = self.searched + found + 1;
        let op = match name {
            Name::Ping => ClientOp::Ping,
            Name::Pong => ClientOp::Pong,
            _ => ClientOp::Ok,
        };
        self.finish(op, len)
    }

    fn blanks<'a>(&mut self, input: &'a [u8], name: Name, rules: &Rules) -> Option<Step<'a>> {
        let rest = &input[self.searched..];
        match rest.iter().position(|&byte| !line::is_blank(byte)) {
            Some(blanks) => {
                self.searched += blanks;
                self.stage = Stage::Argument {
                    name,
                    start: self.searched,
                };
                None
            }
            None => {
                self.searched = input.len();
                Some(self.partial_or_skip(input, rules))
            }
        }
    }

    /// Waits for more of what is not limited. It is kept only as long as it is no longer than what
    /// is; the stage stays.
    fn partial_or_skip<'a>(&mut self, input: &'a [u8], rules: &Rules) -> Step<'a> {
        if input.len() > rules.control_line_bytes_max.max(1) {
            self.searched = 0;
            return Step::Skip { len: input.len() };
        }
        Step::Partial {
            need: input.len() + 1,
        }
    }

    fn argument<'a>(
        &mut self,
        input: &'a [u8],
        name: Name,
        start: usize,
        rules: &Rules,
    ) -> Result<Option<Step<'a>>, Violation<'static>> {
        let found = memchr(b'\n', &input[self.searched..]).map(|found| self.searched + found);
        let end = found.unwrap_or(input.len());
        let text = &input[start..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > rules.control_line_bytes_max {
            return Err(Violation::ControlLineTooLong);
        }
        let Some(line_end) = found else {
            self.searched = input.len();
            return Ok(Some(Step::Partial {
                need: input.len() + 1,
            }));
        };
        let len = line_end + 1;
        let span = Span {
            start,
            end: start + text.len(),
        };
        let op = match name {
            Name::Connect => ClientOp::Connect { json: text },
            Name::Info if connect::is_object_or_null(text) => ClientOp::Info { json: text },
            Name::Sub => subscribe(input, span)?,
            Name::Unsub => unsubscribe(input, span)?,
            Name::Pub | Name::Hpub => {
                let layout = Layout::read(input, name == Name::Hpub, span, len, rules)?;
                self.searched = len;
                self.stage = Stage::Payload(layout);
                if rules.pedantic && layout.deserves_warning(input) {
                    return Ok(Some(Step::Warning(Violation::InvalidPublishSubject)));
                }
                return Ok(None);
            }
            Name::Err => return Err(Violation::PeerError),
            _ => return Err(Violation::Parse),
        };
        Ok(Some(self.finish(op, len)))
    }

    fn payload<'a>(
        &mut self,
        input: &'a [u8],
        layout: &Layout,
    ) -> Result<Step<'a>, Violation<'static>> {
        match line::trailer(input, layout.body_end()) {
            Trailer::Whole => {
                if let Some(repeat) = &mut self.repeat {
                    repeat.forget();
                }
                let layout = *layout;
                let publish = Publish {
                    input,
                    layout,
                    repeats: false,
                };
                Ok(self.finish(ClientOp::Publish(publish), layout.len()))
            }
            Trailer::Partial { need } => Ok(Step::Partial { need }),
            Trailer::Wrong => Err(Violation::UnknownOperation),
        }
    }

    fn finish<'a>(&mut self, op: ClientOp<'a>, len: usize) -> Step<'a> {
        (self.stage, self.searched) = (Stage::Name, 0);
        Step::Op { op, len }
    }
}

fn subscribe(input: &[u8], argument: Span) -> Result<ClientOp<'_>, Violation<'static>> {
    let mut words = Words::new(input, argument).map(|word| word.of(input));
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(subject), Some(sid), None, None) => Ok(ClientOp::Subscribe {
            subject,
            queue: None,
            sid,
        }),
        (Some(subject), queue @ Some(_), Some(sid), None) => Ok(ClientOp::Subscribe {
            subject,
            queue,
            sid,
        }),
        _ => Err(Violation::Parse),
    }
}

fn unsubscribe(input: &[u8], argument: Span) -> Result<ClientOp<'_>, Violation<'static>> {
    let mut words = Words::new(input, argument).map(|word| word.of(input));
    match (words.next(), words.next(), words.next()) {
        (Some(sid), max, None) => {
            let max = max.and_then(line::size).filter(|&max| max > 0);
            Ok(ClientOp::Unsubscribe {
                sid,
                max: max.map(|max| max as u64),
            })
        }
        _ => Err(Violation::Parse),
    }
}

#[cfg(test)]
mod tests;
