//! `Framing`: one connection's framing, as a [layer](midge_reactor::layer) of the reactor.
//!
//! What the broker queues leaves in binary frames: a frame for each piece of the queue, which is not copied; the first
//! line, which is `INFO`, in one of its own, since some clients look there for it. Browsers get short frames.

use super::deflate::{self, Deflater, Inflater, Opened, PORTION_BYTES};
use super::upgrade::{CookieNames, Cookies, Granted, Rules, upgrade};
use crate::config::{Config, Origin};
use crate::core::close::{CloseReason, Ended};
use crate::http::HEAD_BYTES_MAX;
use midge_protocol::websocket::{Control, Decoder, Event, Fault, Header, Opcode, Status};
use midge_reactor::Close;
use midge_reactor::layer::{Arrived, Heard, Layer, Queue, Wire};
use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

/// Most bytes in a frame for a browser, as in nats-server.
const BROWSER_BYTES_MAX: usize = 4096;

/// Most bytes that become one compressed message: enough to gain by it, and little work at a time.
const COMPRESSED_BYTES_MAX: usize = 64 * 1024;

/// So little is not compressed, as in nats-server.
const UNCOMPRESSED_BYTES_MAX: usize = 64;

/// No answer to a ping is put behind more than this.
const PONGS_BYTES_MAX: usize = 64 * 1024;

/// How many of the longest ops a message that comes compressed may say: clients in JavaScript put all that they publish at a
/// time into one. It is opened in portions, so this bounds no memory; what has no end is no message.
const INFLATED_OPS_MAX: usize = 8;

/// Least length of the longest op for that, whatever the settings.
const INFLATED_BYTES_LEAST: usize = 1024 * 1024;

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    rules: Rules,
    /// Most bytes that a compressed message may say.
    inflated_bytes_max: usize,
    /// The only thing here that changes, and nothing stays in it from one call to the next.
    deflater: RefCell<Deflater>,
}

impl Settings {
    /// Those of the configuration, which has a block for them.
    pub(crate) fn of(config: &Config) -> Settings {
        let websocket = config.websocket.clone().unwrap_or_default();
        let origins = websocket.allowed_origins.iter();
        let op_bytes_max = config
            .payload_bytes_max
            .saturating_add(config.control_line_bytes_max);
        Settings {
            rules: Rules {
                is_https: websocket.tls.is_some(),
                same_origin: websocket.same_origin,
                allowed_origins: origins.filter_map(|text| Origin::parse(text)).collect(),
                compression: websocket.compression,
                cookies: CookieNames {
                    jwt: websocket.jwt_cookie,
                    user: websocket.user_cookie,
                    pass: websocket.pass_cookie,
                    token: websocket.token_cookie,
                },
            },
            inflated_bytes_max: op_bytes_max
                .max(INFLATED_BYTES_LEAST)
                .saturating_mul(INFLATED_OPS_MAX),
            deflater: RefCell::default(),
        }
    }
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// The request is to come.
    Upgrading,
    /// It was refused.
    Refused,
    /// Frames come.
    Open(Decoder),
}

/// How it ends.
#[derive(Debug)]
enum End {
    /// It does not yet.
    Open,
    /// As the peer has said.
    Echoed(Option<Status>),
    /// As the broker says.
    Told(Status, String),
    /// It was said.
    Said,
}

/// Most compressed pieces that are opened at a time: two bytes are one, which takes microseconds.
const COMPRESSED_MAX: usize = 128;

/// One connection's framing.
pub(crate) struct Framing {
    settings: Rc<Settings>,
    phase: Phase,
    /// What came and is yet to be looked at: the beginning of the request, or what stands behind a long message.
    rest: Vec<u8>,
    /// The answer to the request, until it has left.
    answer: Vec<u8>,
    pong: Option<Control>,
    end: End,
    /// Nothing that comes is believed any more: the reason is to be said.
    has_failed: bool,
    /// Compressed messages, if they may come.
    inflater: Option<Inflater>,
    is_browser: bool,
    has_greeted: bool,
    forwarded_for: Option<IpAddr>,
    /// The address in whose place that one is shown.
    forwarded_from: Option<IpAddr>,
    cookies: Cookies,
}

impl Framing {
    /// That of a connection that begins.
    pub(crate) fn new(settings: Rc<Settings>) -> Framing {
        Framing {
            settings,
            phase: Phase::Upgrading,
            rest: Vec::new(),
            answer: Vec::new(),
            pong: None,
            end: End::Open,
            has_failed: false,
            inflater: None,
            is_browser: false,
            has_greeted: false,
            forwarded_for: None,
            forwarded_from: None,
            cookies: Cookies::default(),
        }
    }

    /// Who a proxy says that it speaks for, to be shown in place of `former`.
    pub(crate) fn forward(&mut self, former: IpAddr) -> Option<IpAddr> {
        let ip = self.forwarded_for?;
        self.forwarded_from = Some(former);
        Some(ip)
    }

    /// The address in whose place that of a proxy's client is shown.
    pub(crate) fn forwarded_from(&self) -> Option<IpAddr> {
        self.forwarded_from
    }

    /// What stands for fields of `CONNECT`.
    pub(crate) fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// The client is let in: its cookies are needed no more.
    pub(crate) fn forget_cookies(&mut self) {
        self.cookies = Cookies::default();
    }

    /// What is to be said at the end, if the peer does not end first. The first one counts.
    pub(crate) fn end_with(&mut self, status: Status, text: &str) {
        if matches!(self.end, End::Open) {
            self.end = End::Told(status, text.to_owned());
        }
    }

    /// Looks at the request, and answers it. Answers what stands behind it, if it was granted.
    fn upgrade<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        match upgrade(bytes, &self.settings.rules) {
            Ok(None) => Ok(None),
            Ok(Some((granted, len))) => {
                self.begin(granted);
                Ok(Some(&bytes[len..]))
            }
            Err(refused) => {
                self.answer = refused.answer();
                self.phase = Phase::Refused;
                Err(ended(
                    CloseReason::ProtocolViolation,
                    format!("WebSocket upgrade refused: {}", refused.text),
                ))
            }
        }
    }

    fn begin(&mut self, granted: Granted) {
        let Granted {
            answer,
            compression,
            masking,
            is_browser,
            forwarded_for,
            cookies,
        } = granted;
        self.answer = answer;
        self.phase = Phase::Open(Decoder::new(masking, compression));
        self.inflater = compression.then(|| Inflater::new(self.settings.inflated_bytes_max));
        (self.is_browser, self.forwarded_for) = (is_browser, forwarded_for);
        self.cookies = cookies;
    }

    /// Opens frames, until `plain` has a portion more or all is opened. Answers what was not.
    fn frames<'a>(
        &mut self,
        mut wire: &'a [u8],
        plain: &mut Vec<u8>,
    ) -> Result<(Heard, &'a [u8]), Close> {
        let full = plain.len() + PORTION_BYTES;
        let mut compressed = 0;
        let Phase::Open(decoder) = &mut self.phase else {
            return Ok((Heard::End, wire));
        };
        loop {
            if let Some(inflater) = &mut self.inflater {
                match inflater.open(plain) {
                    Ok(Opened::All) if plain.len() < full && compressed < COMPRESSED_MAX => {}
                    Ok(_) => return Ok((Heard::Again, wire)),
                    Err(fault) => return Err(self.end_of(fault)),
                }
            }
            match decoder.next(&mut wire, plain) {
                Ok(Event::Partial) => return Ok((Heard::More, wire)),
                Ok(Event::Data {
                    len,
                    is_compressed,
                    is_last,
                }) => {
                    if let Some(inflater) = self.inflater.as_mut().filter(|_| is_compressed) {
                        compressed += 1;
                        let start = plain.len() - len;
                        inflater.push(&plain[start..], is_last);
                        plain.truncate(start);
                    }
                }
                Ok(Event::Ping(payload)) => self.pong = Some(payload),
                Ok(Event::Pong) => {}
                Ok(Event::Close(status)) => {
                    self.end = End::Echoed(status);
                    return Ok((Heard::End, wire));
                }
                Err(fault) => return Err(self.fail(&fault)),
            }
        }
    }

    fn fail(&mut self, fault: &Fault) -> Close {
        let status = match fault {
            Fault::CloseText => Status::INVALID_DATA,
            _ => Status::PROTOCOL,
        };
        self.fail_with(status, CloseReason::ProtocolViolation, &fault.to_string())
    }

    fn end_of(&mut self, fault: deflate::Fault) -> Close {
        match fault {
            deflate::Fault::Malformed => self.fail_with(
                Status::INVALID_DATA,
                CloseReason::ProtocolViolation,
                "the message is not compressed as it says",
            ),
            deflate::Fault::TooLong => {
                let max = self.settings.inflated_bytes_max;
                let text = format!("a compressed message may say {max} bytes at most");
                self.fail_with(Status::TOO_BIG, CloseReason::PayloadMax, &text)
            }
        }
    }

    fn fail_with(&mut self, status: Status, reason: CloseReason, text: &str) -> Close {
        self.has_failed = true;
        self.end = End::Told(status, text.to_owned());
        ended(reason, format!("WebSocket: {text}"))
    }

    /// Says the end, once.
    fn say_end(&mut self, wire: &mut Wire<'_>) {
        let mut out = Vec::new();
        match std::mem::replace(&mut self.end, End::Said) {
            End::Open => Status::GOING_AWAY.write(&mut out, "Server Shutdown"),
            End::Echoed(Some(status)) => status.write(&mut out, ""),
            End::Echoed(None) => out.extend_from_slice(Header::of(Opcode::Close, 0).head().bytes()),
            End::Told(status, text) => status.write(&mut out, &text),
            End::Said => {}
        }
        wire.put(&out);
    }

    /// The first `len` bytes of a queue, copied into a frame.
    fn put(queue: &Queue<'_>, wire: &mut Wire<'_>, len: usize) -> usize {
        wire.put(Header::of(Opcode::Binary, len).head().bytes());
        queue.pieces(len).for_each(|piece| wire.put(piece));
        len
    }

    /// The first of a queue in a compressed frame, if it is worth it.
    fn put_compressed(&self, queue: &Queue<'_>, wire: &mut Wire<'_>) -> Option<usize> {
        let len = queue.len().min(COMPRESSED_BYTES_MAX);
        if len <= UNCOMPRESSED_BYTES_MAX {
            return None;
        }
        let mut deflater = self.settings.deflater.borrow_mut();
        let message = deflater.deflate(queue.pieces(len))?;
        let header = Header {
            is_compressed: true,
            ..Header::of(Opcode::Binary, message.len())
        };
        wire.put(header.head().bytes());
        wire.put(message);
        Some(len)
    }
}

impl Layer for Framing {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let wire = wire.bytes();
        let mut kept = std::mem::take(&mut self.rest);
        let mut bytes = wire;
        if !kept.is_empty() {
            kept.extend_from_slice(wire);
            bytes = &kept;
        }
        if matches!(self.phase, Phase::Upgrading) {
            // Nothing ends in the middle of a line, so one that sends byte by byte is not looked at for each.
            let is_due = wire.contains(&b'\n') || bytes.len() >= HEAD_BYTES_MAX;
            match if is_due { self.upgrade(bytes)? } else { None } {
                Some(rest) => bytes = rest,
                None => {
                    self.rest = bytes.to_vec();
                    return Ok(Heard::More);
                }
            }
        }
        let (heard, rest) = self.frames(bytes, plain)?;
        if heard == Heard::Again {
            self.rest = rest.to_vec();
        }
        Ok(heard)
    }

    /// The frames may have ended without a close frame, as where a program is killed: what was said counts, and the
    /// end is one as over TCP.
    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        if !std::mem::replace(&mut self.has_greeted, true)
            && let Some(first) = queue.pieces(usize::MAX).next()
            && let Some(end) = memchr::memchr(b'\n', first)
        {
            return Framing::put(queue, wire, end + 1);
        }
        if self.inflater.is_some()
            && let Some(len) = self.put_compressed(queue, wire)
        {
            return len;
        }
        if self.is_browser {
            return Framing::put(queue, wire, queue.len().min(BROWSER_BYTES_MAX));
        }
        let len = queue.pieces(usize::MAX).next().map_or(0, <[u8]>::len);
        wire.pass(Header::of(Opcode::Binary, len).head().bytes(), queue);
        0
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        wire.put(&std::mem::take(&mut self.answer));
        // One that asks much and reads nothing gets an answer to its last question, later.
        let may_answer = wire.len() < PONGS_BYTES_MAX && !matches!(self.end, End::Said);
        if let Some(payload) = self.pong.take_if(|_| may_answer) {
            let payload = payload.bytes();
            wire.put(Header::of(Opcode::Pong, payload.len()).head().bytes());
            wire.put(payload);
        }
        if std::mem::take(&mut self.has_failed) {
            self.say_end(wire);
        }
    }

    fn wants_write(&self) -> bool {
        !self.answer.is_empty() || self.pong.is_some() || self.has_failed
    }

    fn finish(&mut self, wire: &mut Wire<'_>) {
        self.say_end(wire);
    }

    fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Upgrading | Phase::Refused)
    }

    fn timed_out(&mut self) -> Close {
        ended(
            CloseReason::ReadError,
            "WebSocket upgrade did not come in time".to_owned(),
        )
    }
}

/// What came is told by its length only: a request holds cookies, a frame may hold a `CONNECT`.
impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Upgrading => "upgrading",
            Phase::Refused => "refused",
            Phase::Open(_) => "open",
        };
        f.debug_struct("Framing")
            .field("phase", &phase)
            .field("rest_bytes", &self.rest.len())
            .field("end", &self.end)
            .field("is_compressed", &self.inflater.is_some())
            .field("forwarded_for", &self.forwarded_for)
            .field("cookies", &self.cookies)
            .finish_non_exhaustive()
    }
}

fn ended(reason: CloseReason, text: String) -> Close {
    Close::Failed(Box::new(Ended { reason, text }))
}
