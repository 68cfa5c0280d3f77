//! One op at a time out of a server's bytes: the client's side, for tests and load generators.
//!
//! More lenient than the other direction: a client has no reason to defend itself against its
//! server, and servers differ in blanks.

use memchr::memchr;

use crate::line::{self, Named, Sizes, Span, Trailer, Words};
use crate::op::{Delivery, ServerOp};
use crate::violation::Violation;

/// Most bytes a control line may have. `INFO` names every server of a cluster in one line.
const CONTROL_LINE_BYTES_MAX: usize = 1024 * 1024;

/// What the bytes at hand amount to; see [`Step`](crate::Step).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerStep<'a> {
    /// Not yet. Keep the input, and call again with it when there is more.
    Partial {
        /// Bytes from the start of the input before which nothing but `Partial` can come; always
        /// more than there are.
        need: usize,
    },
    /// An op, in the first `len` bytes of the input.
    Op {
        /// The op.
        op: ServerOp<'a>,
        /// Bytes to drop before the next call.
        len: usize,
    },
}

/// A client's place in its server's stream of ops. The contract is that of
/// [`Parser`](crate::Parser).
///
/// ```
/// use midge_protocol::{ServerOp, ServerParser, ServerStep};
///
/// let mut parser = ServerParser::default();
/// let step = parser.next(b"MSG greet.joe 1 5\r\nhello\r\n");
/// let Ok(ServerStep::Op { op: ServerOp::Msg(msg), len: 26 }) = step else { panic!("{step:?}") };
/// assert_eq!((msg.subject, msg.sid, msg.payload), (&b"greet.joe"[..], &b"1"[..], &b"hello"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServerParser {
    /// Known to hold no line end, or to be the whole control line when there is a layout.
    searched: usize,
    delivery: Option<Layout>,
}

/// Where the parts of a delivery stand, from the first byte of its op.
#[derive(Clone, Copy, Debug)]
struct Layout {
    subject: Span,
    sid: Span,
    reply: Option<Span>,
    header_bytes: usize,
    body_bytes: usize,
    line_bytes: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Info,
    Msg,
    Hmsg,
    Ok,
    Err,
    Ping,
    Pong,
}

const NAMES: &[(Name, &[u8])] = &[
    (Name::Msg, b"MSG"),
    (Name::Hmsg, b"HMSG"),
    (Name::Info, b"INFO"),
    (Name::Ok, b"+OK"),
    (Name::Err, b"-ERR"),
    (Name::Ping, b"PING"),
    (Name::Pong, b"PONG"),
];

impl ServerParser {
    /// The next step at the start of `input`.
    ///
    /// # Errors
    ///
    /// What the server did wrong, in the words for what clients do wrong: an unknown name or
    /// payload trailer, a control line over 1 MiB, arguments that make no sense.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<ServerStep<'a>, Violation<'static>> {
        if input.len() < self.searched {
            return Ok(ServerStep::Partial {
                need: self.searched,
            });
        }
        if let Some(layout) = self.delivery {
            return self.body(input, &layout);
        }
        let (name, name_bytes) = match line::name(NAMES, input) {
            Named::Found(name, len) => (name, len),
            Named::Partial => {
                return Ok(ServerStep::Partial {
                    need: input.len() + 1,
                });
            }
            Named::Unknown => return Err(Violation::UnknownOperation),
        };
        let Some(found) = memchr(b'\n', &input[self.searched..]) else {
            self.searched = input.len();
            if input.len() > CONTROL_LINE_BYTES_MAX {
                return Err(Violation::ControlLineTooLong);
            }
            return Ok(ServerStep::Partial {
                need: input.len() + 1,
            });
        };
        let line_end = self.searched + found;
        let len = line_end + 1;
        if len > CONTROL_LINE_BYTES_MAX {
            return Err(Violation::ControlLineTooLong);
        }
        let argument = Span {
            start: name_bytes,
            end: line_end,
        };
        let op = match name {
            Name::Ping => ServerOp::Ping,
            Name::Pong => ServerOp::Pong,
            Name::Ok => ServerOp::Ok,
            Name::Info => ServerOp::Info {
                json: argument.of(input).trim_ascii(),
            },
            Name::Err => ServerOp::Err {
                text: line::unquoted(argument.of(input).trim_ascii()),
            },
            Name::Msg | Name::Hmsg => {
                let layout = Layout::read(input, name == Name::Hmsg, argument, len)?;
                self.searched = len;
                self.delivery = Some(layout);
                return self.body(input, &layout);
            }
        };
        Ok(self.finish(op, len))
    }

    fn body<'a>(
        &mut self,
        input: &'a [u8],
        layout: &Layout,
    ) -> Result<ServerStep<'a>, Violation<'static>> {
        let end = layout.line_bytes + layout.body_bytes;
        match line::trailer(input, end) {
            Trailer::Whole => Ok(self.finish(ServerOp::Msg(layout.delivery(input)), end + 2)),
            Trailer::Partial { need } => Ok(ServerStep::Partial { need }),
            Trailer::Wrong => Err(Violation::UnknownOperation),
        }
    }

    fn finish<'a>(&mut self, op: ServerOp<'a>, len: usize) -> ServerStep<'a> {
        *self = ServerParser::default();
        ServerStep::Op { op, len }
    }
}

impl Layout {
    fn read(
        input: &[u8],
        with_header: bool,
        argument: Span,
        line_bytes: usize,
    ) -> Result<Self, Violation<'static>> {
        if !input
            .get(argument.start)
            .is_some_and(|&byte| line::is_blank(byte))
        {
            return Err(Violation::UnknownOperation);
        }
        let mut words = Words::new(input, argument);
        let (Some(subject), Some(sid)) = (words.next(), words.next()) else {
            return Err(Violation::Parse);
        };
        let Sizes {
            reply,
            header_bytes,
            body_bytes,
            ..
        } = Sizes::read(input, words, with_header)?;
        Ok(Layout {
            subject,
            sid,
            reply,
            header_bytes,
            body_bytes,
            line_bytes,
        })
    }

    fn delivery<'a>(&self, input: &'a [u8]) -> Delivery<'a> {
        let header_end = self.line_bytes + self.header_bytes;
        Delivery {
            subject: self.subject.of(input),
            sid: self.sid.of(input),
            reply: self.reply.map(|reply| reply.of(input)),
            header: Span {
                start: self.line_bytes,
                end: header_end,
            }
            .of(input),
            payload: Span {
                start: header_end,
                end: self.line_bytes + self.body_bytes,
            }
            .of(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a stream that arrives in `pieces` and tells what came, one line per op.
    fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut events = Vec::new();
        let mut parser = ServerParser::default();
        let mut input = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                let (op, len) = match parser.next(&input) {
                    Ok(ServerStep::Op { op, len }) => (op, len),
                    Ok(ServerStep::Partial { need }) => {
                        assert!(need > input.len());
                        break;
                    }
                    Err(violation) => {
                        events.push(format!("error: {violation}"));
                        return events;
                    }
                };
                events.push(match op {
                    ServerOp::Info { json } => format!("info {}", text(json)),
                    ServerOp::Err { text: told } => format!("err {}", text(told)),
                    ServerOp::Ok => "ok".into(),
                    ServerOp::Ping => "ping".into(),
                    ServerOp::Pong => "pong".into(),
                    ServerOp::Msg(msg) => format!(
                        "msg {} sid {} reply {} header {}: {}",
                        text(msg.subject),
                        text(msg.sid),
                        msg.reply.map_or("-".into(), text),
                        text(msg.header),
                        text(msg.payload),
                    ),
                });
                input.drain(..len);
            }
        }
        events
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        assert_eq!(run([stream.as_bytes()]), expected, "whole: {stream:?}");
        assert_eq!(
            run(stream.as_bytes().chunks(1)),
            expected,
            "byte by byte: {stream:?}"
        );
    }

    #[test]
    fn every_op_is_understood() {
        check(
            "INFO {\"a\":1} \r\n+OK\r\nPING\r\nPONG\r\n",
            &["info {\"a\":1}", "ok", "ping", "pong"],
        );
        check(
            "-ERR 'Invalid Subject'\r\n-ERR 'it's'\r\n",
            &["err Invalid Subject", "err it's"],
        );
        check("MSG a 1 2\r\nhi\r\n", &["msg a sid 1 reply - header : hi"]);
        check("MSG a 1 r 0\r\n\r\n", &["msg a sid 1 reply r header : "]);
        check(
            "HMSG a 1 1 3\r\nHhi\r\n",
            &["msg a sid 1 reply - header H: hi"],
        );
        check(
            "HMSG a 1 r 3 3\r\nHhi\r\n",
            &["msg a sid 1 reply r header Hhi: "],
        );
    }

    #[test]
    fn blanks_may_be_many() {
        check(
            "MSG $SYS.x 1  2\r\nhi\r\n",
            &["msg $SYS.x sid 1 reply - header : hi"],
        );
        check("msg\ta 1 2 \nhi\r\n", &["msg a sid 1 reply - header : hi"]);
    }

    #[test]
    fn nonsense_is_an_error() {
        let unknown = "error: Unknown Protocol Operation";
        let parse = "error: parse error";
        check("PUB", &[unknown]);
        check("MSG a 1 2\r\nhi!", &[unknown]);
        check("MSG\r\n", &[unknown]);
        check("MSG a 1\r\n", &[parse]);
        check("MSG a 1 r x\r\n", &[parse]);
        check("MSG a 1 r 1 1\r\n", &[parse]);
        check("HMSG a 1 1\r\n", &[parse]);
        check("HMSG a 1 3 2\r\n", &[parse]);
        let endless = [b"INFO ".as_slice(), &vec![b'x'; CONTROL_LINE_BYTES_MAX]].concat();
        assert_eq!(
            run([endless.as_slice()]),
            ["error: maximum control line exceeded"]
        );
    }
}
