//! A client's side of WebSocket (RFC 6455): the request and its answer, frames that are masked. Bytes in, bytes out.
//!
//! ```text
//! request ──▶            GET / HTTP/1.1, Upgrade: websocket
//!         ◀── answer     HTTP/1.1 101
//!         ◀─▶ frames     binary ones from here, of any kind from there
//! ```

use std::fmt;
use std::mem;

use data_encoding::BASE64;
use midge_protocol::websocket::{Decoder, Event, Header, Masking, Opcode, mask};
use sha1::{Digest, Sha1};

/// What a server appends to the key before it hashes both.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// More than the head of an answer takes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fields of an answer that are looked at.
const FIELDS_MAX: usize = 64;

/// Bytes of a queue that become one frame: as much as the client libraries of NATS send at a time.
pub const FRAME_BYTES: usize = 32 * 1024;

/// Why it cannot begin, or cannot go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    /// The answer is to come, and has come as far as this.
    Asking { accept: String, head: Vec<u8> },
    /// Frames come.
    Open(Box<Decoder>),
}

/// One connection's client side.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    /// What is to be sent before anything else: the request, answers to the peer's frames.
    first: Vec<u8>,
}

impl Client {
    /// For a connection to `address`, `host:port`, that asks for `target`, path and query.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(address: &str, target: &str) -> Result<Client, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let key = BASE64.encode(&random);
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Ok(Client {
            phase: Phase::Asking {
                accept: accept(&key),
                head: Vec::new(),
            },
            first: request.into_bytes(),
        })
    }

    /// Whether the answer to the request is still to come.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. })
    }

    /// Whether something is to be sent before any frame of one's own.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        !self.first.is_empty()
    }

    /// Takes that.
    pub fn take_first(&mut self) -> Vec<u8> {
        mem::take(&mut self.first)
    }

    /// Takes bytes that have come, cut anywhere, and appends what they say to `plain`. Answers whether more may come.
    ///
    /// # Errors
    /// Why nothing that comes can be believed.
    pub fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<bool, Fault> {
        if let Phase::Asking { accept, head } = &mut self.phase {
            let before = head.len();
            head.extend_from_slice(wire);
            let Some(len) = granted(head, accept)? else {
                return Ok(true);
            };
            wire = &wire[len.saturating_sub(before)..];
            // A server's frames are not masked.
            self.phase = Phase::Open(Box::new(Decoder::new(Masking::Optional, false)));
        }
        let Phase::Open(decoder) = &mut self.phase else {
            return Ok(true);
        };
        loop {
            let event = decoder.next(&mut wire, plain);
            match event.map_err(|fault| Fault(format!("the broker sends a bad frame: {fault}")))? {
                Event::Partial => return Ok(true),
                Event::Data { .. } | Event::Pong => {}
                Event::Ping(payload) => {
                    let payload = payload.bytes();
                    let pieces = std::iter::once(payload);
                    append(&mut self.first, Opcode::Pong, payload.len(), pieces);
                }
                Event::Close(_) => return Ok(false),
            }
        }
    }

    /// Appends a frame with all of `pieces`, which are `len` bytes.
    pub fn frame<'p>(len: usize, pieces: impl Iterator<Item = &'p [u8]>, out: &mut Vec<u8>) {
        append(out, Opcode::Binary, len, pieces);
    }
}

fn append<'p>(
    out: &mut Vec<u8>,
    opcode: Opcode,
    len: usize,
    pieces: impl Iterator<Item = &'p [u8]>,
) {
    // One that cannot be foreseen on the way, as the rules want it; a system without random bytes has refused before.
    let key = getrandom::u32().unwrap_or_default().to_ne_bytes();
    let header = Header {
        mask: Some(key),
        ..Header::of(opcode, len)
    };
    out.extend_from_slice(header.head().bytes());
    let start = out.len();
    pieces.for_each(|piece| out.extend_from_slice(piece));
    debug_assert_eq!(out.len() - start, len);
    mask(&mut out[start..], key, 0);
}

/// What the answer to a request with this key must say.
fn accept(key: &str) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(GUID);
    BASE64.encode(&digest.finalize())
}

/// The length of the answer's head, once it is whole.
fn granted(bytes: &[u8], accept: &str) -> Result<Option<usize>, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let len = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        _ => {
            let text =
                "the answer is no HTTP; is this the port of WebSocket, and is it ws:// or wss://?";
            return Err(Fault(text.to_owned()));
        }
    };
    if answer.code != Some(101) {
        let status = answer.code.unwrap_or_default();
        let reason = answer.reason.unwrap_or_default();
        let body = String::from_utf8_lossy(&bytes[len..]);
        let text = format!(
            "the broker answers with status {status} {reason} {}",
            body.trim()
        );
        return Err(Fault(text.trim_end().to_owned()));
    }
    let mut fields = answer.headers.iter();
    let its = fields.find(|field| field.name.eq_ignore_ascii_case("sec-websocket-accept"));
    match its.is_some_and(|its| its.value.trim_ascii() == accept.as_bytes()) {
        true => Ok(Some(len)),
        false => Err(Fault("the answer is not to this request".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server hears it.
    fn heard(wire: &[u8]) -> Vec<u8> {
        let (mut decoder, mut plain, mut rest) =
            (Decoder::new(Masking::Required, false), Vec::new(), wire);
        while !matches!(decoder.next(&mut rest, &mut plain), Ok(Event::Partial)) {}
        plain
    }

    fn answer_to(client: &mut Client) -> String {
        let request = String::from_utf8(client.take_first()).expect("text");
        let mut lines = request.lines();
        let key = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = accept(key.expect("a key"));
        format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
    }

    #[test]
    fn the_answer_and_what_follows_it_are_heard_wherever_they_are_cut() {
        let mut frames = Vec::new();
        frames.extend_from_slice(Header::of(Opcode::Binary, 5).head().bytes());
        frames.extend_from_slice(b"INFO ");
        frames.extend_from_slice(Header::of(Opcode::Ping, 1).head().bytes());
        frames.push(b'?');
        for cut in 1..200 {
            let mut client = Client::new("h:80", "/").expect("random bytes");
            let wire = [answer_to(&mut client).as_bytes(), &frames].concat();
            let mut plain = Vec::new();
            for piece in wire.chunks(cut) {
                assert_eq!(client.open(piece, &mut plain), Ok(true));
            }
            assert_eq!(plain, b"INFO ");
            let pong = client.take_first();
            // Masked, as all that comes from a client.
            assert_eq!((pong[0], pong[1], pong.len()), (0x8a, 0x81, 7));
        }
    }

    #[test]
    fn what_is_framed_is_heard() {
        let mut wire = Vec::new();
        Client::frame(12, [&b"PUB a 1\r\n"[..], b"x\r\n"].into_iter(), &mut wire);
        Client::frame(70_000, [&vec![7; 70_000][..]].into_iter(), &mut wire);
        let heard = heard(&wire);
        assert!(heard.starts_with(b"PUB a 1\r\nx\r\n\x07") && heard.len() == 70_012);
    }

    #[test]
    fn an_answer_that_grants_nothing_is_told() {
        for (answer, expected) in [
            ("INFO {}\r\n", "the answer is no HTTP"),
            (
                "HTTP/1.1 403 Forbidden\r\n\r\nthe origin is not allowed",
                "the broker answers with status 403 Forbidden the origin is not allowed",
            ),
            (
                "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: x\r\n\r\n",
                "the answer is not to this request",
            ),
        ] {
            let mut client = Client::new("h:80", "/").expect("random bytes");
            let fault = client.open(answer.as_bytes(), &mut Vec::new());
            let fault = fault.expect_err("it grants nothing").to_string();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[test]
    fn the_end_is_told() {
        let mut client = Client::new("h:80", "/").expect("random bytes");
        let mut wire = answer_to(&mut client).into_bytes();
        wire.extend_from_slice(Header::of(Opcode::Close, 0).head().bytes());
        assert_eq!(client.open(&wire, &mut Vec::new()), Ok(false));
    }
}
