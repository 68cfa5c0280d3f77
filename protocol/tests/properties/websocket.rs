//! Frames, against those of another implementation, cut anywhere.

use midge_protocol::websocket::{Decoder, Event, Fault, Header, Masking, Opcode, Status, mask};
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Write};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tungstenite::{Error, Message};

/// What a connection says.
#[derive(Clone, Debug)]
enum Say {
    Message { payload: Vec<u8>, parts: usize },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn say() -> impl Strategy<Value = Say> {
    let payload = prop_oneof![
        4 => vec(any::<u8>(), 0..200),
        1 => (65_500..65_600usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    let control = || vec(any::<u8>(), 0..=125);
    prop_oneof![
        4 => (payload, 1..5usize).prop_map(|(payload, parts)| Say::Message { payload, parts }),
        1 => control().prop_map(Say::Ping),
        1 => control().prop_map(Say::Pong),
    ]
}

/// A frame as this crate writes it.
fn frame(opcode: Opcode, is_final: bool, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        is_final,
        mask: key,
        ..Header::of(opcode, payload.len())
    };
    let mut payload = payload.to_vec();
    if let Some(key) = key {
        mask(&mut payload, key, 0);
    }
    [header.head().bytes(), &payload].concat()
}

/// All of it as frames, messages in parts with a ping between them.
fn frames(says: &[Say], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut wire = Vec::new();
    for say in says {
        match say {
            Say::Message { payload, parts } => {
                let pieces: Vec<&[u8]> = match payload.len() {
                    0 => vec![payload],
                    len => payload.chunks(len.div_ceil(*parts)).collect(),
                };
                for (place, piece) in pieces.iter().enumerate() {
                    let opcode = match place {
                        0 => Opcode::Binary,
                        _ => Opcode::Continuation,
                    };
                    wire.extend(frame(opcode, place + 1 == pieces.len(), key, piece));
                    wire.extend(frame(Opcode::Pong, true, key, b""));
                }
            }
            Say::Ping(payload) => wire.extend(frame(Opcode::Ping, true, key, payload)),
            Say::Pong(payload) => wire.extend(frame(Opcode::Pong, true, key, payload)),
        }
    }
    wire
}

/// What a decoder makes of a stream: the bytes, the payloads of pings, and how it ends.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    bytes: Vec<u8>,
    pings: Vec<Vec<u8>>,
    messages: usize,
    end: Option<Result<Option<Status>, Fault>>,
}

/// Decodes `wire` in pieces of these lengths, over and over.
fn decode(wire: &[u8], cuts: &[usize]) -> Heard {
    let mut decoder = Decoder::new(Masking::Required, false);
    let (mut heard, mut rest) = (Heard::default(), wire);
    let mut cuts = cuts.iter().copied().cycle();
    while !rest.is_empty() {
        let (mut piece, behind) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        rest = behind;
        loop {
            let before = heard.bytes.len();
            match decoder.next(&mut piece, &mut heard.bytes) {
                Ok(Event::Partial) => break,
                Ok(Event::Data { len, is_last, .. }) => {
                    assert_eq!(heard.bytes.len(), before + len);
                    heard.messages += usize::from(is_last);
                }
                Ok(Event::Ping(payload)) => heard.pings.push(payload.bytes().to_vec()),
                Ok(Event::Pong) => {}
                Ok(Event::Close(status)) => {
                    heard.end = Some(Ok(status));
                    return heard;
                }
                Err(fault) => {
                    heard.end = Some(Err(fault));
                    return heard;
                }
            }
        }
        assert!(piece.is_empty(), "something was not taken");
    }
    heard
}

/// The far end's side of a stream: it reads what is there, and keeps what it writes.
#[derive(Debug, Default)]
struct Pipe {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the other implementation's client writes, with random masks.
fn written_by_another(says: &[Say]) -> Vec<u8> {
    let mut socket = WebSocket::from_raw_socket(Pipe::default(), Role::Client, None);
    for say in says {
        let message = match say.clone() {
            Say::Message { payload, .. } => Message::Binary(payload.into()),
            Say::Ping(payload) => Message::Ping(payload.into()),
            Say::Pong(payload) => Message::Pong(payload.into()),
        };
        socket.send(message).expect("memory takes all");
    }
    let close = CloseFrame {
        code: CloseCode::Normal,
        reason: "bye".into(),
    };
    socket.close(Some(close)).expect("memory takes all");
    socket.flush().expect("memory takes all");
    std::mem::take(&mut socket.get_mut().output)
}

fn said(says: &[Say]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let payloads = says.iter().filter_map(|say| match say {
        Say::Message { payload, .. } => Some(payload.as_slice()),
        _ => None,
    });
    let pings = says.iter().filter_map(|say| match say {
        Say::Ping(payload) => Some(payload.clone()),
        _ => None,
    });
    let bytes: Vec<&[u8]> = payloads.collect();
    (bytes.concat(), pings.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_of_another_client_are_read_the_same_wherever_they_are_cut(
        says in vec(say(), 0..6),
        cuts in vec(1..300usize, 1..6),
    ) {
        let wire = written_by_another(&says);
        let (bytes, pings) = said(&says);
        let whole = decode(&wire, &[wire.len()]);
        prop_assert_eq!(&whole.bytes, &bytes);
        prop_assert_eq!(&whole.pings, &pings);
        prop_assert_eq!(whole.end, Some(Ok(Some(Status::NORMAL))));
        prop_assert_eq!(decode(&wire, &cuts), whole);
    }

    #[test]
    fn a_message_in_parts_is_read_the_same_wherever_it_is_cut(
        says in vec(say(), 0..6),
        key: [u8; 4],
        cuts in vec(1..300usize, 1..6),
    ) {
        let wire = frames(&says, Some(key));
        let (bytes, pings) = said(&says);
        let whole = decode(&wire, &[wire.len().max(1)]);
        prop_assert_eq!((&whole.bytes, &whole.pings), (&bytes, &pings));
        prop_assert_eq!(decode(&wire, &cuts), whole);
    }

    #[test]
    fn another_client_reads_our_frames(says in vec(say(), 0..6)) {
        let mut wire = frames(&says, None);
        Status::POLICY.write(&mut wire, "too slow");
        let pipe = Pipe { input: Cursor::new(wire), output: Vec::new() };
        let mut socket = WebSocket::from_raw_socket(pipe, Role::Client, None);
        let (mut bytes, mut pings) = (Vec::new(), Vec::new());
        let close = loop {
            match socket.read() {
                Ok(Message::Binary(payload)) => bytes.extend_from_slice(&payload),
                Ok(Message::Ping(payload)) => pings.push(payload.to_vec()),
                Ok(Message::Close(close)) => break close,
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        };
        prop_assert_eq!((bytes, pings), said(&says));
        let close = close.expect("it has a status");
        prop_assert_eq!((close.code, close.reason.as_str()), (CloseCode::Policy, "too slow"));
    }

    #[test]
    fn what_is_decided_of_any_bytes_stays_so_wherever_they_are_cut(
        bytes in vec(any::<u8>(), 0..200),
        starts in vec(0..6usize, 0..4),
        cuts in vec(1..20usize, 1..6),
    ) {
        // Good beginnings, so that some come far.
        let starts: Vec<&[u8]> = starts
            .iter()
            .map(|start| [
                &[0x82, 0x81, 1, 2, 3, 4, 5][..],
                &[0x02, 0x80, 1, 2, 3, 4],
                &[0x80, 0xfe, 0, 3, 1, 2, 3, 4, 5, 6, 7],
                &[0x89, 0x80, 0, 0, 0, 0],
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5],
                &[0x88, 0x80, 0, 0, 0, 0],
            ][*start])
            .collect();
        let wire = [starts.concat(), bytes].concat();
        let whole = decode(&wire, &[wire.len().max(1)]);
        prop_assert_eq!(decode(&wire, &cuts), decode(&wire, &[1]));
        prop_assert_eq!(decode(&wire, &cuts), whole);
    }
}
