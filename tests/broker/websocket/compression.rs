//! Compressed messages.

use super::{Bare, masked, with};
use crate::raw::start;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use midge::{Config, Running, WebSocket};
use midge_protocol::websocket::Opcode;
use std::io::Read;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn compressing(config: Config) -> Running {
    let websocket = config.websocket.expect("there is one");
    start(Config {
        websocket: Some(WebSocket {
            compression: true,
            ..websocket
        }),
        ..config
    })
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 1024);
    let mut compress = Compress::new(Compression::best(), false);
    let status = compress.compress_vec(plain, &mut out, FlushCompress::Sync);
    status.expect("there is room");
    out.truncate(out.len() - 4);
    out
}

fn inflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 22);
    let message = [message, &[0, 0, 255, 255]].concat();
    let mut decompress = Decompress::new(false);
    let status = decompress.decompress_vec(&message, &mut out, FlushDecompress::Sync);
    status.expect("it is good");
    out
}

/// A frame with a compressed message, as a client sends it.
fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut frame = masked(Opcode::Binary, true, &deflated(plain));
    frame[0] |= 0x40;
    frame
}

/// The next frame: its first byte, and what it says.
fn frame(bare: &mut Bare) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    bare.0.read_exact(&mut head).expect("a frame comes");
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            bare.0.read_exact(&mut len).expect("a length");
            usize::from(u16::from_be_bytes(len))
        }
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    bare.0.read_exact(&mut payload).expect("all of it comes");
    match head[0] & 0x40 {
        0 => (head[0], payload),
        _ => (head[0], inflated(&payload)),
    }
}

#[test]
fn messages_go_compressed_both_ways_where_that_was_agreed() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, OFFER);
    bare.write(&compressed(b"SUB a 1\r\n"));
    // Short: as it is.
    bare.write(&masked(Opcode::Binary, true, b"PUB a 2\r\nhi\r\n"));
    assert_eq!(frame(&mut bare), (0x82, b"MSG a 1 2\r\nhi\r\n".to_vec()));
    let payload = "long ".repeat(20_000);
    let publish = format!("PUB a {}\r\n{payload}\r\n", payload.len());
    for byte in compressed(publish.as_bytes()) {
        bare.write(&[byte]);
    }
    let expected = format!("MSG a 1 {}\r\n{payload}\r\n", payload.len());
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let (first, part) = frame(&mut bare);
        assert_eq!(first, 0xc2);
        got.extend(part);
    }
    assert!(got == expected.as_bytes());
}

/// Each takes microseconds and two bytes, so they are opened in portions, of which none is lost.
#[test]
fn messages_that_say_nothing_by_the_thousand_hide_nothing_that_stands_among_them() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, OFFER);
    let mut nothing = masked(Opcode::Binary, true, b"");
    nothing[0] |= 0x40;
    let (many, ping) = (nothing.repeat(1000), compressed(b"PING\r\n"));
    bare.write(&[&*many, &*ping, &*many, &*ping, &*many].concat());
    for _ in 0..2 {
        assert_eq!(frame(&mut bare).1, b"PONG\r\n");
    }
}

#[test]
fn a_compressed_frame_is_an_error_where_it_was_not_agreed() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, "");
    bare.write(&compressed(b"PING\r\n"));
    let (first, payload) = bare.frame();
    assert_eq!((first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
}

#[test]
fn several_of_the_longest_operations_may_come_in_one_message() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, OFFER);
    let payload = "x".repeat(1024 * 1024);
    let publish = format!("PUB a {}\r\n{payload}\r\n", payload.len());
    bare.write(&compressed((publish.repeat(6) + "PING\r\n").as_bytes()));
    assert_eq!(frame(&mut bare).1, b"PONG\r\n");
}

#[test]
fn a_message_that_says_more_than_it_may_ends_its_connection() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, OFFER);
    // 64 MiB in 200 KiB.
    bare.write(&compressed(&b"PONG\r\n".repeat((64 << 20) / 6)));
    let rest = bare.rest();
    let text = String::from_utf8_lossy(&rest).into_owned();
    assert!(text.contains("a compressed message may say"), "{text}");
    assert!(rest.windows(2).any(|two| two == 1009_u16.to_be_bytes()));
}

#[test]
fn many_that_say_as_much_as_they_may_are_read_piece_by_piece() {
    let broker = compressing(with(WebSocket::default()));
    let mut other = super::Client::join(&broker);
    let mut bare = Bare::upgraded(&broker, OFFER);
    let message = compressed(&b"PING\r\n".repeat(100_000));
    assert!(message.len() < 3000);
    let mut writer = Bare(bare.0.try_clone().expect("a descriptor"));
    let writing = std::thread::spawn(move || {
        for _ in 0..20 {
            writer.write(&message);
        }
    });
    let mut bytes = 0;
    while bytes < 2_000_000 * 6 {
        other.send("PING\r\n");
        other.expect("PONG\r\n");
        bytes += frame(&mut bare).1.len();
    }
    writing.join().expect("it has written");
}

#[test]
fn what_is_not_compressed_as_it_says_ends_its_connection() {
    let broker = compressing(with(WebSocket::default()));
    let mut bare = Bare::upgraded(&broker, OFFER);
    let mut wrong = masked(Opcode::Binary, true, b"\xff\xff\xff\xff\xffPING\r\n");
    wrong[0] |= 0x40;
    bare.write(&wrong);
    let (first, payload) = bare.frame();
    assert_eq!((first, &payload[..2]), (0x88, &1007_u16.to_be_bytes()[..]));
}
