//! A client's side of WebSocket (RFC 6455): the request and its answer, frames that are masked. Bytes in, bytes out.
//!
//! ```text
//! request ──▶            GET / HTTP/1.1, Upgrade: websocket
//!         ◀── answer     HTTP/1.1 101
//!         ◀─▶ frames     binary ones from here, of any kind from there
//! ```
//!
//! Where that was asked and is granted, messages are compressed, each by itself.

use std::fmt;
use std::mem;

use data_encoding::BASE64;
use midge_protocol::websocket::{Decoder, Event, Header, Masking, Opcode, mask};
use sha1::{Digest, Sha1};

use crate::deflate;
use crate::server::WebSocket;

/// What a server appends to the key before it hashes both.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// More than the head of an answer takes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fields of an answer that are looked at.
const FIELDS_MAX: usize = 64;

/// Bytes of a queue that become one frame: as much as the client libraries of NATS send at a time.
pub const FRAME_BYTES: usize = 32 * 1024;

/// So little is not compressed, as by brokers.
const UNCOMPRESSED_BYTES_MAX: usize = 64;

/// Most bytes that a compressed message may say: twice what a broker lets wait for a client by default,
/// all of which may come in one message.
const INFLATED_BYTES_MAX: usize = 128 * 1024 * 1024;

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
    Asking {
        accept: String,
        compression: bool,
        head: Vec<u8>,
    },
    /// Frames come.
    Open {
        decoder: Box<Decoder>,
        /// A compressed message, if they may come, as far as it is there.
        compressed: Option<Vec<u8>>,
    },
}

/// One connection's client side.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    /// What is to be sent before anything else: the request, answers to the peer's frames.
    first: Vec<u8>,
}

impl Client {
    /// For a connection to `address`, `host:port`, that asks for what `asked` says.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(address: &str, asked: &WebSocket) -> Result<Client, getrandom::Error> {
        let WebSocket {
            target,
            compression,
        } = asked;
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let key = BASE64.encode(&random);
        let offer = match compression {
            true => format!("Sec-WebSocket-Extensions: {}\r\n", deflate::OFFER),
            false => String::new(),
        };
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
        );
        Ok(Client {
            phase: Phase::Asking {
                accept: accept(&key),
                compression: *compression,
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
        if let Phase::Asking {
            accept,
            compression,
            head,
        } = &mut self.phase
        {
            let compression = *compression;
            let before = head.len();
            head.extend_from_slice(wire);
            let Some(len) = granted(head, accept, compression)? else {
                return Ok(true);
            };
            wire = &wire[len.saturating_sub(before)..];
            // A server's frames are not masked.
            self.phase = Phase::Open {
                decoder: Box::new(Decoder::new(Masking::Optional, compression)),
                compressed: compression.then(Vec::new),
            };
        }
        let Phase::Open {
            decoder,
            compressed,
        } = &mut self.phase
        else {
            return Ok(true);
        };
        loop {
            let event = decoder.next(&mut wire, plain);
            match event.map_err(|fault| Fault(format!("the broker sends a bad frame: {fault}")))? {
                Event::Partial => return Ok(true),
                Event::Data {
                    len,
                    is_compressed: true,
                    is_last,
                } => {
                    let message = compressed.get_or_insert_default();
                    message.extend(plain.drain(plain.len() - len..));
                    let mut opened = match message.len() > INFLATED_BYTES_MAX {
                        true => Err(deflate::Fault::TooLong),
                        false => Ok(()),
                    };
                    if opened.is_ok() && is_last {
                        opened = deflate::inflate(message, INFLATED_BYTES_MAX, plain);
                        message.clear();
                    }
                    opened.map_err(not_opened)?;
                }
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
    pub fn frame<'p>(&self, len: usize, pieces: impl Iterator<Item = &'p [u8]>, out: &mut Vec<u8>) {
        let compresses =
            matches!(&self.phase, Phase::Open { compressed, .. } if compressed.is_some());
        if !compresses || len <= UNCOMPRESSED_BYTES_MAX {
            return append(out, Opcode::Binary, len, pieces);
        }
        let pieces: Vec<&[u8]> = pieces.collect();
        let mut message = Vec::new();
        if deflate::deflate(pieces.iter().copied(), &mut message).is_none() {
            return append(out, Opcode::Binary, len, pieces.into_iter());
        }
        let header = Header {
            is_compressed: true,
            ..Header::of(Opcode::Binary, message.len())
        };
        append_as(out, header, message.len(), std::iter::once(&*message));
    }
}

fn append<'p>(
    out: &mut Vec<u8>,
    opcode: Opcode,
    len: usize,
    pieces: impl Iterator<Item = &'p [u8]>,
) {
    append_as(out, Header::of(opcode, len), len, pieces);
}

fn append_as<'p>(
    out: &mut Vec<u8>,
    header: Header,
    len: usize,
    pieces: impl Iterator<Item = &'p [u8]>,
) {
    // One that cannot be foreseen on the way, as the rules want it; a system without random bytes has refused before.
    let key = getrandom::u32().unwrap_or_default().to_ne_bytes();
    let header = Header {
        mask: Some(key),
        ..header
    };
    out.extend_from_slice(header.head().bytes());
    let start = out.len();
    pieces.for_each(|piece| out.extend_from_slice(piece));
    debug_assert_eq!(out.len() - start, len);
    mask(&mut out[start..], key, 0);
}

fn not_opened(fault: deflate::Fault) -> Fault {
    Fault(match fault {
        deflate::Fault::Malformed => {
            "the broker sends a message that is not compressed as it says".to_owned()
        }
        deflate::Fault::TooLong => format!(
            "the broker sends a compressed message of more than {INFLATED_BYTES_MAX} bytes; leave out --ws-compression to have it"
        ),
    })
}

/// What the answer to a request with this key must say.
fn accept(key: &str) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(GUID);
    BASE64.encode(&digest.finalize())
}

/// The length of the answer's head, once it is whole.
fn granted(bytes: &[u8], accept: &str, compression: bool) -> Result<Option<usize>, Fault> {
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
    let field = |name: &str| {
        let mut fields = answer.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value.trim_ascii()).ok()
    };
    if field("sec-websocket-accept") != Some(accept) {
        return Err(Fault("the answer is not to this request".to_owned()));
    }
    let extensions = field("sec-websocket-extensions").unwrap_or_default();
    match compression && !deflate::is_granted(extensions) {
        true => Err(Fault(
            "the broker does not compress messages; set compression: true in its block websocket"
                .to_owned(),
        )),
        false => Ok(Some(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(compression: bool) -> Client {
        let asked = WebSocket {
            target: "/".to_owned(),
            compression,
        };
        Client::new("h:80", &asked).expect("random bytes")
    }

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
            let mut client = asking(false);
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
        let client = asking(false);
        client.frame(12, [&b"PUB a 1\r\n"[..], b"x\r\n"].into_iter(), &mut wire);
        client.frame(70_000, [&vec![7; 70_000][..]].into_iter(), &mut wire);
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
            let mut client = asking(false);
            let fault = client.open(answer.as_bytes(), &mut Vec::new());
            let fault = fault.expect_err("it grants nothing").to_string();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[test]
    fn messages_are_compressed_where_that_is_asked_and_granted() {
        let mut client = asking(true);
        let answer = answer_to(&mut client);
        let refused = client.open(answer.as_bytes(), &mut Vec::new());
        let refused = refused.expect_err("it is not granted").to_string();
        assert!(refused.contains("does not compress"), "{refused}");
        let mut client = asking(true);
        let extensions = format!("\r\nSec-WebSocket-Extensions: {}\r\n\r\n", deflate::OFFER);
        let answer = answer_to(&mut client).replace("\r\n\r\n", &extensions);
        assert_eq!(client.open(answer.as_bytes(), &mut Vec::new()), Ok(true));
        let said = b"PUB a 16\r\n0123456789abcdef\r\n".repeat(1000);
        let mut wire = Vec::new();
        client.frame(said.len(), said.chunks(999), &mut wire);
        assert!(wire.len() < said.len() / 10, "{}", wire.len());
        // A server takes the mask off, and may send such a message as well, in frames cut anywhere.
        let mut plain = Vec::new();
        Decoder::new(Masking::Required, true)
            .next(&mut &*wire, &mut plain)
            .expect("it is a good frame");
        let (first, last) = plain.split_at(plain.len() / 2);
        let mut frames = Vec::new();
        for (is_final, opcode, payload) in [
            (false, Opcode::Binary, first),
            (true, Opcode::Continuation, last),
        ] {
            let header = Header {
                is_final,
                is_compressed: !is_final,
                ..Header::of(opcode, payload.len())
            };
            frames.extend_from_slice(header.head().bytes());
            frames.extend_from_slice(payload);
        }
        for cut in [1, 7, 1000] {
            let mut heard = Vec::new();
            for piece in frames.chunks(cut) {
                assert_eq!(client.open(piece, &mut heard), Ok(true));
            }
            assert!(heard == said, "{cut}");
        }
    }

    #[test]
    fn the_end_is_told() {
        let mut client = asking(false);
        let mut wire = answer_to(&mut client).into_bytes();
        wire.extend_from_slice(Header::of(Opcode::Close, 0).head().bytes());
        assert_eq!(client.open(&wire, &mut Vec::new()), Ok(false));
    }
}
