//! One connection to a broker, and waiting for what comes over it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use midge_dial::{Fault, Greeted, Server, Stream, greet};
use midge_protocol::{Credentials, ServerOp, ServerParser, ServerStep, encode};
use midge_text::system_words;

use super::message::Message;
use super::plain;

/// How long a broker that has closed the connection may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What ends a subcommand early.
#[derive(Debug)]
pub(super) enum Error {
    /// The broker is not there.
    Connect {
        /// Where it should be.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The monitoring port does not answer.
    Monitor {
        /// What was asked.
        url: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The connection cannot be encrypted, or become a WebSocket.
    Way {
        /// Where the broker is.
        address: String,
        /// Why not.
        text: String,
    },
    /// What answers there is no NATS broker, or one that wants what we do not speak.
    Foreign(String),
    /// The broker says no.
    Refused(String),
    /// It says no to the credentials that were given.
    Credentials(String),
    /// The broker has ended the connection.
    Closed,
    /// The broker does not answer in time.
    Timeout(Duration),
    /// The broker does not say what comes first in time, without TLS.
    Silent(Duration),
    /// Fewer messages came in time than were waited for.
    Incomplete {
        /// How long they were waited for.
        after: Duration,
        /// `message` or `reply`, and the plural of it.
        thing: [&'static str; 2],
        /// How many came.
        received: u64,
        /// How many were waited for; `None` for any number.
        of: Option<u64>,
    },
    /// No client has subscribed to the subject of a request.
    NoResponders(String),
    /// A secret of which nothing can be made.
    Unusable(String),
    /// Standard input or output, or the connection.
    Io(io::Error),
}

impl Error {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Error::Timeout(_) | Error::Silent(_) | Error::Incomplete { .. } => 3,
            Error::NoResponders(_) => 4,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect { address, cause } => write!(
                f,
                "cannot connect to {address}: {}; start a broker there, or name another with --server",
                system_words(cause)
            ),
            Error::Monitor { url, cause } => write!(
                f,
                "cannot ask {url}: {}; start the broker with -m PORT, or name its monitoring with \
                 --monitor",
                system_words(cause)
            ),
            Error::Way { address, text } => write!(f, "{address}: {}", plain::line(text)),
            Error::Foreign(text) => f.write_str(&plain::line(text)),
            Error::Unusable(text) => f.write_str(text),
            Error::Refused(text) => {
                write!(f, "the broker refused: {}", plain::line(text))?;
                if is_about_who(text) {
                    f.write_str(
                        "; give --user, --token, --nkey or --creds, as the broker has them",
                    )?;
                }
                Ok(())
            }
            Error::Credentials(text) => write!(
                f,
                "the broker refused: {}; it does not accept these credentials",
                plain::line(text)
            ),
            Error::Closed => f.write_str("the broker has closed the connection"),
            Error::Timeout(after) => write!(
                f,
                "timeout after {after:?}: the broker does not answer; wait longer with --timeout"
            ),
            Error::Silent(after) => write!(
                f,
                "timeout after {after:?}: the broker says nothing; wait longer with --timeout, or give \
                 --tlsfirst if TLS comes first there"
            ),
            Error::Incomplete {
                after,
                thing: [one, many],
                received,
                of,
            } => {
                write!(f, "timeout after {after:?}: ")?;
                match (received, of) {
                    (0, _) => write!(f, "no {one} received")?,
                    (_, Some(of)) => write!(f, "{received} of {of} {many} received")?,
                    (1, None) => write!(f, "1 {one} received")?,
                    (_, None) => write!(f, "{received} {many} received")?,
                }
                f.write_str("; wait longer with --timeout")
            }
            Error::NoResponders(subject) => {
                write!(f, "no subscriber answers requests on {subject:?}")
            }
            Error::Io(error) => f.write_str(&system_words(error)),
        }
    }
}

impl Error {
    /// The same, where messages are waited for: a timeout tells how many came.
    pub(super) fn while_receiving(
        self,
        thing: [&'static str; 2],
        received: u64,
        of: Option<u64>,
    ) -> Error {
        match self {
            Error::Timeout(after) => Error::Incomplete {
                after,
                thing,
                received,
                of,
            },
            other => other,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::UnexpectedEof => Error::Closed,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Error::Closed,
            // What TLS or WebSocket have to say against what came.
            ErrorKind::InvalidData => Error::Foreign(error.to_string()),
            _ => Error::Io(error),
        }
    }
}

/// Whether a write has failed because the broker has ended the connection.
fn is_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    )
}

/// Whether a refusal is one of who we are.
fn is_about_who(text: &str) -> bool {
    text.eq_ignore_ascii_case("authorization violation")
}

/// What the broker has against us, if this says so.
fn refusal(op: &ServerOp<'_>) -> Option<Error> {
    match op {
        ServerOp::Err { text } => Some(Error::Refused(String::from_utf8_lossy(text).into_owned())),
        _ => None,
    }
}

/// What is worth waiting for.
#[derive(Debug)]
pub(super) enum Event {
    Message(Message),
    /// All that was sent before the `PING` has been carried out.
    Pong,
}

/// Until when to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    length: Duration,
    /// `None` for as long as it takes.
    end: Option<Instant>,
}

impl Deadline {
    /// So long from now; zero is for ever.
    pub(super) fn new(length: Duration) -> Deadline {
        Deadline {
            length,
            end: (!length.is_zero()).then(|| Instant::now() + length),
        }
    }

    /// What a failed read says.
    fn error(self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::TimedOut => Error::Timeout(self.length),
            _ => error.into(),
        }
    }
}

/// A connection that has introduced itself.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    parser: ServerParser,
    input: Vec<u8>,
    /// Bytes of `input` that have been dealt with.
    done: usize,
    /// What waits to be sent.
    output: Vec<u8>,
}

impl Connection {
    /// Connects, introduces itself, and has been let in.
    pub(super) fn open(
        server: &Server,
        echo: bool,
        deadline: Deadline,
    ) -> Result<Connection, Error> {
        let Greeted { stream, info, rest } = greet(server, deadline.end).map_err(|fault| {
            let address = server.address.clone();
            match fault {
                Fault::Connect(cause) if cause.kind() == ErrorKind::TimedOut => {
                    Error::Timeout(deadline.length)
                }
                Fault::Connect(cause) => Error::Connect { address, cause },
                Fault::Io(error) => match deadline.error(error) {
                    Error::Timeout(after)
                        if !server.is_tls_first() && server.websocket.is_none() =>
                    {
                        Error::Silent(after)
                    }
                    error => error,
                },
                Fault::Tls(_) | Fault::WebSocket(_) => Error::Way {
                    address,
                    text: fault.to_string(),
                },
                Fault::Foreign(_) => Error::Foreign(fault.to_string()),
            }
        })?;
        let mut connection = Connection {
            stream,
            parser: ServerParser::default(),
            input: rest,
            done: 0,
            output: Vec::new(),
        };
        let nonce = info.nonce.as_deref();
        if nonce.is_none() && server.credentials.seed.is_some() {
            let text = "the broker gives nothing to sign, as it has no users with keys; leave out --nkey or --creds";
            return Err(Error::Foreign(text.to_owned()));
        }
        let hello = server.credentials.introduction("midge", echo, nonce);
        encode::connect(&mut connection.output, hello.as_bytes());
        let are_given = server.credentials != Credentials::default();
        connection.sync(deadline).map_err(|error| match error {
            Error::Refused(text) if are_given && is_about_who(&text) => Error::Credentials(text),
            error => error,
        })?;
        Ok(connection)
    }

    /// What is to be sent: it leaves with the next [`flush`](Connection::flush) or wait.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends what is to be sent.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        let sent = self.stream.write_all(&self.output);
        self.output.clear();
        match sent {
            Err(error) if is_end(&error) => Err(self.last_words()),
            sent => Ok(sent?),
        }
    }

    /// Why the broker takes no more: it may have said so, in what is there to read.
    fn last_words(&mut self) -> Error {
        let deadline = Deadline::new(LAST_WORDS);
        loop {
            match self.op(deadline, |op, _| refusal(op)) {
                Ok(Some(error)) => return error,
                Ok(None) => {}
                Err(Error::Foreign(text)) => return Error::Foreign(text),
                Err(_) => return Error::Closed,
            }
        }
    }

    /// Waits until the broker has carried out all that was sent. Messages are passed over.
    pub(super) fn sync(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.output.extend_from_slice(encode::PING);
        while !matches!(self.next(deadline)?, Event::Pong) {}
        Ok(())
    }

    /// Waits for a message or a `PONG`. `PING`s are answered.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Event, Error> {
        loop {
            self.flush()?;
            let found = self.op(deadline, |op, output| match op {
                ServerOp::Msg(delivery) => Ok(Some(Event::Message(Message::of(delivery)))),
                ServerOp::Pong => Ok(Some(Event::Pong)),
                ServerOp::Ping => {
                    output.extend_from_slice(encode::PONG);
                    Ok(None)
                }
                ServerOp::Info { .. } | ServerOp::Ok | ServerOp::Err { .. } => {
                    refusal(op).map_or(Ok(None), Err)
                }
            })?;
            if let Some(event) = found? {
                return Ok(event);
            }
        }
    }

    /// Waits for the next op, and hands it on.
    fn op<R>(
        &mut self,
        deadline: Deadline,
        see: impl FnOnce(&ServerOp<'_>, &mut Vec<u8>) -> R,
    ) -> Result<R, Error> {
        loop {
            let step = self.parser.next(&self.input[self.done..]);
            let step = step.map_err(|_| {
                Error::Foreign("the peer does not speak the NATS protocol".to_owned())
            })?;
            match step {
                ServerStep::Op { op, len } => {
                    let seen = see(&op, &mut self.output);
                    self.done += len;
                    return Ok(seen);
                }
                ServerStep::Partial { .. } => self.read(deadline)?,
            }
        }
    }

    fn read(&mut self, deadline: Deadline) -> Result<(), Error> {
        self.input.drain(..self.done);
        self.done = 0;
        match self.stream.read(&mut self.input, deadline.end) {
            Ok(0) => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(deadline.error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_says_how_many_messages_came() {
        let after = Duration::from_millis(1500);
        for (received, of, expected) in [
            (0, None, "no reply received"),
            (0, Some(1), "no reply received"),
            (1, None, "1 reply received"),
            (7, None, "7 replies received"),
            (1, Some(2), "1 of 2 replies received"),
        ] {
            let error = Error::Timeout(after).while_receiving(["reply", "replies"], received, of);
            let expected = format!("timeout after 1.5s: {expected}; wait longer with --timeout");
            assert_eq!((error.to_string(), error.code()), (expected, 3));
        }
        let closed = Error::Closed.while_receiving(["reply", "replies"], 0, None);
        assert!(matches!(closed, Error::Closed), "{closed:?}");
    }
}
