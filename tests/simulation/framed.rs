//! The other side of WebSocket, as a layer of a simulated client: what it sends comes in frames of any length, in
//! parts, with pings between them, some of them compressed; the client itself does not know.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use midge_protocol::websocket::{Decoder, Event, Header, Masking, Opcode, Status, mask};
use midge_reactor::layer::{Arrived, Heard, Layer, Queue, Wire};
use midge_reactor::{Close, Io, Key};
use std::time::Duration;

/// Time enough for the answer, whatever the links are like.
const ANSWER_MAX: Duration = Duration::from_secs(100 * 60);

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Puts it on a connection that was just begun; `seed` decides what it is like.
pub(crate) fn start(io: &mut Io<'_>, key: Key, seed: u64) {
    let framed = Framed {
        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        decoder: None,
        has_asked: false,
        head: Vec::new(),
        message: Vec::new(),
        pong: None,
    };
    let begun = io.start_layer(key, framed, ANSWER_MAX);
    begun.expect("it is connecting");
}

#[derive(Debug)]
struct Framed {
    seed: u64,
    has_asked: bool,
    /// The answer of the broker, until it is whole.
    head: Vec<u8>,
    decoder: Option<Decoder>,
    /// A compressed message, until it is whole.
    message: Vec<u8>,
    pong: Option<Vec<u8>>,
}

impl Framed {
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }

    fn put(&mut self, wire: &mut Wire<'_>, header: Header, payload: &[u8]) {
        let key = (self.random(1 << 32) as u32).to_be_bytes();
        let header = Header {
            mask: Some(key),
            ..header
        };
        let mut payload = payload.to_vec();
        mask(&mut payload, key, 0);
        wire.put(header.head().bytes());
        wire.put(&payload);
    }

    /// A message in one frame or in parts.
    fn message(&mut self, wire: &mut Wire<'_>, payload: &[u8], is_compressed: bool) {
        let parts = 1 + self.random(3) as usize;
        let pieces: Vec<&[u8]> = payload.chunks(payload.len().div_ceil(parts)).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let opcode = match place {
                0 => Opcode::Binary,
                _ => Opcode::Continuation,
            };
            let header = Header {
                is_final: place + 1 == pieces.len(),
                is_compressed: is_compressed && place == 0,
                ..Header::of(opcode, piece.len())
            };
            self.put(wire, header, piece);
            if self.random(8) == 0 {
                self.put(wire, Header::of(Opcode::Ping, 4), b"ping");
            }
        }
    }

    fn frames(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<Heard, Close> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(Heard::More);
        };
        loop {
            let start = plain.len();
            match decoder.next(&mut wire, plain) {
                Ok(Event::Partial) => return Ok(Heard::More),
                Ok(Event::Data {
                    is_compressed: true,
                    is_last,
                    ..
                }) => {
                    self.message.extend(plain.drain(start..));
                    if is_last {
                        self.message.extend(TAIL);
                        inflate(&std::mem::take(&mut self.message), plain);
                    }
                }
                Ok(Event::Data { .. }) => {}
                Ok(Event::Ping(payload)) => self.pong = Some(payload.bytes().to_vec()),
                Ok(Event::Pong) => {}
                Ok(Event::Close(_)) => return Ok(Heard::End),
                Err(fault) => panic!("the broker breaks the rules: {fault}"),
            }
        }
    }
}

fn inflate(message: &[u8], plain: &mut Vec<u8>) {
    let mut decompress = Decompress::new(false);
    let mut at = 0;
    loop {
        plain.reserve(64 * 1024);
        let before = (at, plain.len());
        let status = decompress.decompress_vec(&message[at..], plain, FlushDecompress::Sync);
        status.expect("the broker compresses well");
        at = decompress.total_in() as usize;
        if before == (at, plain.len()) {
            return assert_eq!(at, message.len(), "all of it is taken");
        }
    }
}

impl Layer for Framed {
    fn open(&mut self, wire: Arrived<'_>, plain: &mut Vec<u8>) -> Result<Heard, Close> {
        if self.decoder.is_some() {
            return self.frames(wire.bytes(), plain);
        }
        self.head.extend(wire.bytes());
        let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(Heard::More);
        };
        assert!(
            self.head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            self.head.escape_ascii()
        );
        self.decoder = Some(Decoder::new(Masking::Optional, true));
        let rest = std::mem::take(&mut self.head).split_off(end + 4);
        self.frames(&rest, plain)
    }

    fn at_eof(&mut self) -> Result<(), Close> {
        Ok(())
    }

    fn seal(&mut self, queue: &mut Queue<'_>, wire: &mut Wire<'_>) -> usize {
        let len = 1 + self.random(queue.len().min(5_000) as u64) as usize;
        let payload: Vec<u8> = queue.pieces(len).flatten().copied().collect();
        if self.random(3) == 0 {
            let mut message = Vec::with_capacity(len + 1_000);
            let mut compress = Compress::new(Compression::fast(), false);
            let status = compress.compress_vec(&payload, &mut message, FlushCompress::Sync);
            status.expect("there is room");
            let message = message.strip_suffix(&TAIL).expect("it is flushed");
            self.message(wire, message, true);
        } else {
            self.message(wire, &payload, false);
        }
        len
    }

    fn write(&mut self, wire: &mut Wire<'_>) {
        if !std::mem::replace(&mut self.has_asked, true) {
            wire.put(
                b"GET / HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            );
        }
        if let Some(payload) = self.pong.take() {
            self.put(wire, Header::of(Opcode::Pong, payload.len()), &payload);
        }
    }

    fn wants_write(&self) -> bool {
        !self.has_asked || self.pong.is_some()
    }

    fn finish(&mut self, wire: &mut Wire<'_>) {
        let status = Status::NORMAL.code().to_be_bytes();
        self.put(wire, Header::of(Opcode::Close, 2), &status);
    }

    fn is_handshaking(&self) -> bool {
        self.decoder.is_none()
    }
}
