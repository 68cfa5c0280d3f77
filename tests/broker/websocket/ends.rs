//! How it ends: who says so, and why.

use super::{Bare, Client, masked, open, with};
use crate::raw::start;
use midge::{Auth, Config, WebSocket};
use midge_protocol::websocket::Opcode;
use std::time::Duration;

fn told(code: u16, text: &str) -> Option<(u16, String)> {
    Some((code, text.to_owned()))
}

#[test]
fn a_close_frame_is_answered_with_its_status_and_behind_what_was_asked() {
    let broker = open();
    for (payload, expected) in [
        (&b""[..], &b""[..]),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x0f\xa0done", b"\x0f\xa0"),
    ] {
        let mut bare = Bare::upgraded(&broker, "");
        let ping = masked(Opcode::Binary, true, b"PING\r\n");
        bare.write(&[ping, masked(Opcode::Close, true, payload)].concat());
        assert_eq!(bare.frame(), (0x82, b"PONG\r\n".to_vec()));
        assert_eq!(bare.frame(), (0x88, expected.to_vec()));
        assert_eq!(bare.rest(), b"");
    }
}

#[test]
fn the_brokers_reason_stands_behind_the_error() {
    let broker = start(Config {
        control_line_bytes_max: 100,
        payload_bytes_max: 100,
        ..with(WebSocket::default())
    });
    for (said, before, close) in [
        (
            "NONSENSE\r\n",
            "-ERR 'Unknown Protocol Operation'\r\n",
            told(1002, "Protocol Violation"),
        ),
        (
            "PUB a 101\r\n",
            "-ERR 'Maximum Payload Violation'\r\n",
            told(1009, "Maximum Message Payload Exceeded"),
        ),
        (
            &format!("SUB {} 1\r\n", "x".repeat(200)),
            "-ERR 'maximum control line exceeded'\r\n",
            told(1008, "Maximum Control Line Exceeded"),
        ),
    ] {
        let mut client = Client::connect(&broker);
        client.send(said);
        assert_eq!(client.end(before), close);
    }
}

#[test]
fn who_may_not_come_in_is_told_so_in_frames() {
    let broker = start(Config {
        auth: Auth::Token("secret".into()),
        auth_timeout: Some(Duration::from_millis(50)),
        ..with(WebSocket::default())
    });
    let mut client = Client::connect(&broker);
    client.send("CONNECT {\"auth_token\":\"guess\"}\r\n");
    let close = client.end("-ERR 'Authorization Violation'\r\n");
    assert_eq!(close, told(1008, "Authentication Failure"));
    let mut late = Client::connect(&broker);
    let close = late.end("-ERR 'Authentication Timeout'\r\n");
    assert_eq!(close, told(1008, "Authentication Timeout"));
}

#[test]
fn one_too_many_is_told_so_in_frames() {
    let broker = start(Config {
        connections_max: 1,
        ..with(WebSocket::default())
    });
    let _first = Client::join(&broker);
    let mut second = Client::connect(&broker);
    let close = second.end("-ERR 'maximum connections exceeded'\r\n");
    assert_eq!(close, told(1008, "Maximum Connections Exceeded"));
}

#[test]
fn a_broker_that_stops_says_so() {
    let broker = open();
    let mut client = Client::join(&broker);
    let stopping = std::thread::spawn(move || broker.shutdown());
    assert_eq!(client.end(""), told(1001, "Server Shutdown"));
    let stopped = stopping.join().expect("it ends");
    stopped.expect("it ends well");
}
