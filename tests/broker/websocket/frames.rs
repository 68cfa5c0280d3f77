//! Frames, good ones and bad ones.

use super::{Bare, Client, REQUEST, masked, open};
use crate::raw::{Raw, config, start};
use midge_protocol::websocket::Opcode;

#[test]
fn a_line_may_span_frames_and_messages_and_come_a_byte_at_a_time() {
    let broker = open();
    let mut bare = Bare::upgraded(&broker, "");
    let wire = [
        masked(Opcode::Text, false, b"SUB a"),
        masked(Opcode::Ping, true, b"between"),
        masked(Opcode::Continuation, true, b" 1\r\nPUB a 5"),
        masked(Opcode::Binary, true, b"\r\nhel"),
        masked(Opcode::Pong, true, b"unasked"),
        masked(Opcode::Binary, false, b""),
        masked(Opcode::Continuation, true, b"lo\r\n"),
    ];
    for byte in wire.concat() {
        bare.write(&[byte]);
    }
    assert_eq!(bare.frame(), (0x8a, b"between".to_vec()));
    assert_eq!(bare.frame(), (0x82, b"MSG a 1 5\r\nhello\r\n".to_vec()));
}

#[test]
fn a_frame_that_breaks_the_rules_ends_its_own_connection_with_a_word() {
    let broker = open();
    let mut other = Client::join(&broker);
    let mut long = masked(Opcode::Binary, true, b"");
    long[1] |= 127;
    long.splice(2..2, [0x80, 0, 0, 0, 0, 0, 0, 0]);
    for (wire, text) in [
        (
            [&[0x82, 6][..], b"PING\r\n"].concat(),
            "the frame is not masked",
        ),
        (
            masked(Opcode::Ping, false, b""),
            "a control frame must not be fragmented",
        ),
        (
            masked(Opcode::Ping, true, &[0; 126]),
            "a control frame may have 125 bytes at most",
        ),
        (
            masked(Opcode::Continuation, true, b"x"),
            "there is no message to continue",
        ),
        (long, "the frame is too long"),
        (vec![0xf2, 0x80], "a reserved bit is set"),
        (
            masked(Opcode::Close, true, b"x"),
            "the status of the close frame is cut off",
        ),
    ] {
        let mut bare = Bare::upgraded(&broker, "");
        bare.write(&wire);
        let (first, payload) = bare.frame();
        let (status, said) = payload.split_at(2);
        assert_eq!(
            (first, status),
            (0x88, &1002_u16.to_be_bytes()[..]),
            "{text}"
        );
        assert_eq!(String::from_utf8_lossy(said), text);
        assert_eq!(bare.rest(), b"");
    }
    other.send("PING\r\n");
    other.expect("PONG\r\n");
}

#[test]
fn a_frame_that_breaks_the_rules_may_come_with_the_request_and_a_good_one_between() {
    let broker = open();
    let mut other = Client::join(&broker);
    let mut bare = Bare::dial(&broker);
    let good = masked(Opcode::Binary, true, b"CONNECT {}\r\nPING\r\n");
    let request = format!("{REQUEST}\r\n");
    bare.write(&[request.as_bytes(), &good, &[0xff; 4]].concat());
    let answer = bare.until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let (first, payload) = bare.frame();
    let status = &1002_u16.to_be_bytes()[..];
    assert_eq!((first, &payload[..2]), (0x88, status));
    assert_eq!(bare.rest(), b"");
    other.send("PING\r\n");
    other.expect("PONG\r\n");
}

#[test]
fn a_length_without_bytes_costs_nothing() {
    let broker = open();
    let mut bare = Bare::upgraded(&broker, "");
    let mut head = masked(Opcode::Binary, true, b"");
    head[1] |= 127;
    head.splice(2..2, (i64::MAX as u64).to_be_bytes());
    bare.write(&head);
    let mut payload = b"PING\r\n".to_vec();
    midge_protocol::websocket::mask(&mut payload, [7, 0, 255, 3], 0);
    bare.write(&payload);
    assert_eq!(bare.frame(), (0x82, b"PONG\r\n".to_vec()));
}

#[test]
fn many_pings_of_one_that_reads_nothing_are_not_kept() {
    let broker = open();
    let mut bare = Bare::upgraded(&broker, "");
    let pings = masked(Opcode::Ping, true, &[1; 125]).repeat(1000);
    for _ in 0..100 {
        bare.write(&pings);
    }
    bare.write(&masked(Opcode::Ping, true, b"last"));
    loop {
        let (first, payload) = bare.frame();
        assert_eq!(first, 0x8a);
        if payload == b"last" {
            break;
        }
        assert_eq!(payload, [1; 125]);
    }
}

#[test]
fn without_the_block_there_is_no_such_listener() {
    let broker = start(config());
    assert_eq!(broker.websocket_addr(), None);
    Raw::join(broker.addr()).leave();
}
