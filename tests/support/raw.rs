//! A client that is nothing but a socket and a parser: it answers no `PING`, asks for nothing by
//! itself, and reads only when it is told to.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use midge::{Broker, Config, Running};
use midge_protocol::{Delivery, ServerOp, ServerParser, ServerStep, encode};
use socket2::{Domain, Socket, Type};

/// A broker that has been silent for so long hangs. Passing tests never wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `CONNECT` of a client that wants messages and nothing else.
pub(crate) const QUIET: &str = r#"{"verbose":false,"pedantic":false}"#;

/// Bytes of the receive buffer of a socket made by [`Raw::narrow`]: little, so that what the peer
/// does not read waits in the broker.
const NARROW_BYTES: usize = 256 * 1024;

/// Bytes asked of the kernel in one read.
const READ_BYTES: usize = 64 * 1024;

/// Settings of a broker on a free port of this machine.
pub(crate) fn config() -> Config {
    Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        ..Config::default()
    }
}

/// A broker with `config`, on a thread of its own.
pub(crate) fn start(config: Config) -> Running {
    Broker::spawn(config).expect("a broker starts on a free port")
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    parser: ServerParser,
    /// What has come is `input[start..end]`.
    input: Vec<u8>,
    start: usize,
    end: usize,
}

impl Raw {
    /// Connects, and neither reads nor sends.
    pub(crate) fn dial(addr: SocketAddr) -> io::Result<Raw> {
        Raw::over(TcpStream::connect_timeout(&addr, PATIENCE)?)
    }

    /// As [`dial`](Raw::dial), with a small receive buffer.
    pub(crate) fn narrow(addr: SocketAddr) -> Raw {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)
            .expect("there is a free descriptor");
        socket
            .set_recv_buffer_size(NARROW_BYTES)
            .expect("the size is within bounds");
        socket.connect(&addr.into()).expect("the broker listens");
        let mut raw = Raw::over(socket.into()).expect("the socket is open");
        raw.info();
        raw
    }

    fn over(stream: TcpStream) -> io::Result<Raw> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Raw {
            stream,
            parser: ServerParser::default(),
            input: vec![0; READ_BYTES],
            start: 0,
            end: 0,
        })
    }

    /// Connects and reads `INFO`.
    pub(crate) fn connect(addr: SocketAddr) -> Raw {
        let mut raw = Raw::dial(addr).expect("the broker listens");
        raw.info();
        raw
    }

    /// Connects, says `CONNECT` with `json`, and has been answered.
    pub(crate) fn join_with(addr: SocketAddr, json: &str) -> Raw {
        Raw::connect(addr).introduced(json)
    }

    /// A client that wants messages and nothing else.
    pub(crate) fn join(addr: SocketAddr) -> Raw {
        Raw::join_with(addr, QUIET)
    }

    /// The same with a small receive buffer.
    pub(crate) fn join_narrow(addr: SocketAddr) -> Raw {
        Raw::narrow(addr).introduced(QUIET)
    }

    fn introduced(mut self, json: &str) -> Raw {
        let mut hello = Vec::new();
        encode::connect(&mut hello, json.as_bytes());
        self.send(&hello);
        self.sync();
        self
    }

    fn info(&mut self) {
        let found = self.next(|op| matches!(op, ServerOp::Info { .. }));
        assert_eq!(found, Some(true), "the first line is INFO");
    }

    /// Sends all of `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// Subscribes, without waiting for it.
    pub(crate) fn sub(&mut self, subject: &str, queue: Option<&str>, sid: &str) {
        let mut line = Vec::new();
        encode::sub(
            &mut line,
            subject.as_bytes(),
            queue.map(str::as_bytes),
            sid.as_bytes(),
        );
        self.send(&line);
    }

    /// Publishes, without waiting for it.
    pub(crate) fn publish(&mut self, subject: &str, payload: &[u8]) {
        let mut frame = Vec::new();
        encode::publish(&mut frame, subject.as_bytes(), None, payload);
        self.send(&frame);
    }

    /// Sends `PING` and reads to its `PONG`, passing over everything else: what was sent before it
    /// has been carried out.
    pub(crate) fn sync(&mut self) {
        let others = self.sync_counting();
        assert!(others.is_ok(), "the connection is open: {others:?}");
    }

    /// As [`sync`](Raw::sync); answers how many messages came before the `PONG`.
    pub(crate) fn sync_counting(&mut self) -> io::Result<usize> {
        self.stream.write_all(encode::PING)?;
        let mut messages = 0;
        loop {
            let done = self.try_next(|op| match op {
                ServerOp::Pong => true,
                ServerOp::Msg(_) => {
                    messages += 1;
                    false
                }
                ServerOp::Err { text } => panic!("-ERR {}", String::from_utf8_lossy(text)),
                _ => false,
            })?;
            match done {
                Some(true) => return Ok(messages),
                Some(false) => {}
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Hands the next op to `see`; `None` at the end of the stream.
    pub(crate) fn next<R>(&mut self, see: impl FnOnce(&ServerOp<'_>) -> R) -> Option<R> {
        self.try_next(see).expect("the broker says something")
    }

    /// As [`next`](Raw::next), for a connection that may break.
    pub(crate) fn try_next<R>(
        &mut self,
        see: impl FnOnce(&ServerOp<'_>) -> R,
    ) -> io::Result<Option<R>> {
        loop {
            let input = &self.input[self.start..self.end];
            let step = self.parser.next(input).unwrap_or_else(|violation| {
                let text = input.escape_ascii().to_string();
                panic!("{violation:?} in what the broker says: {text:.400}")
            });
            match step {
                ServerStep::Op { op, len } => {
                    self.start += len;
                    return Ok(Some(see(&op)));
                }
                ServerStep::Partial { need } => {
                    if !self.read(need)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next message, passing over all but `-ERR`; `None` at the end of the stream.
    pub(crate) fn message<R>(&mut self, see: impl FnOnce(&Delivery<'_>) -> R) -> Option<R> {
        let mut see = Some(see);
        loop {
            let seen = self.next(|op| match op {
                ServerOp::Msg(message) => see.take().map(|see| see(message)),
                ServerOp::Err { text } => panic!("-ERR {}", String::from_utf8_lossy(text)),
                _ => None,
            })?;
            if seen.is_some() {
                return seen;
            }
        }
    }

    /// The next op as text: what a test of single lines compares with. `None` at the end.
    ///
    /// A `PING` is passed over: one comes to a client that is there for two seconds, and on a busy
    /// machine each may be.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let line = self.line_or_ping();
            if line.as_deref() != Some("PING") {
                return line;
            }
        }
    }

    /// As [`line`](Raw::line), `PING` included.
    pub(crate) fn line_or_ping(&mut self) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.next(|op| match op {
            ServerOp::Info { .. } => "INFO".to_owned(),
            ServerOp::Ok => "+OK".to_owned(),
            ServerOp::Ping => "PING".to_owned(),
            ServerOp::Pong => "PONG".to_owned(),
            ServerOp::Err { text: told } => format!("-ERR '{}'", text(told)),
            ServerOp::Msg(message) => {
                format!("MSG {}: {}", text(message.subject), text(message.payload))
            }
        })
    }

    /// Reads messages until their payloads come to `bytes`, and shows each; `false` at the end.
    pub(crate) fn skim(&mut self, bytes: usize, mut see: impl FnMut(&Delivery<'_>)) -> bool {
        let mut read = 0;
        while read < bytes {
            let message = self.message(|message| {
                see(message);
                message.payload.len()
            });
            let Some(len) = message else { return false };
            read += len;
        }
        true
    }

    /// Counts the messages up to the end of the stream, which comes without a word before it.
    pub(crate) fn count_to_the_end(&mut self) -> usize {
        let mut messages = 0;
        loop {
            let end = self.try_next(|op| match op {
                ServerOp::Msg(_) => messages += 1,
                ServerOp::Err { text } => panic!("-ERR {}", String::from_utf8_lossy(text)),
                _ => {}
            });
            match end {
                Ok(Some(())) => {}
                Ok(None) => return messages,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return messages,
                Err(error) => panic!("neither a message nor the end: {error}"),
            }
        }
    }

    /// Sends no more, and still reads.
    pub(crate) fn half_close(&self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
    }

    /// Leaves in good order: the broker knows of it when this returns.
    pub(crate) fn leave(mut self) {
        self.half_close();
        while self.next(|_| ()).is_some() {}
    }

    /// Vanishes: the broker gets a reset, and what is under way is lost.
    pub(crate) fn vanish(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket
            .set_linger(Some(Duration::ZERO))
            .expect("the socket is open");
    }

    /// Reads once; `false` at the end of the stream.
    fn read(&mut self, need: usize) -> io::Result<bool> {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if need + READ_BYTES > self.input.len() {
            self.input.resize(need + READ_BYTES, 0);
        }
        let len = loop {
            match self.stream.read(&mut self.input[self.end..]) {
                // A process that was stopped and goes on: a read with a time limit is not resumed.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += len;
        Ok(len > 0)
    }
}

/// Waits until nobody is subscribed to `subject` any more: asks until there are no responders.
pub(crate) fn until_nobody_listens(addr: SocketAddr, subject: &str) {
    let json = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    let mut asker = Raw::join_with(addr, json);
    asker.sub("answer", None, "1");
    let mut question = Vec::new();
    encode::publish(&mut question, subject.as_bytes(), Some(b"answer"), b"");
    loop {
        asker.send(&question);
        if asker.sync_counting().expect("the broker is up") > 0 {
            return;
        }
        std::thread::yield_now();
    }
}
