//! The request that makes a connection a WebSocket, and what is refused.

use super::{Bare, Client, REQUEST, open, with};
use crate::raw::start;
use midge::WebSocket;
use std::time::Duration;
use tungstenite::Error;

fn status(answer: Result<Client, Box<Error>>) -> u16 {
    match answer.map_err(|error| *error) {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn info_is_alone_in_its_frame_and_tells_of_this_listener() {
    let broker = open();
    let mut client = Client::dial(&broker, &[]).expect("it is welcome");
    let info = client.frame();
    let json = info.strip_prefix("INFO ").expect("it is first").trim();
    let info: serde_json::Value = serde_json::from_str(json).expect("an object");
    let addr = broker.websocket_addr().expect("it listens");
    assert_eq!(info["port"], addr.port());
    assert_eq!(info["host"], "127.0.0.1");
    assert_ne!(addr, broker.addr());
}

#[test]
fn info_is_alone_though_the_client_has_said_all_at_once() {
    let broker = open();
    let mut bare = Bare::dial(&broker);
    let said = super::masked(
        midge_protocol::websocket::Opcode::Binary,
        true,
        b"CONNECT {\"verbose\":true}\r\nPING\r\n",
    );
    bare.write(&[format!("{REQUEST}\r\n").as_bytes(), &said].concat());
    bare.until("\r\n\r\n");
    let info = bare.until("} \r\n");
    assert!(info.contains("INFO {"), "{info}");
    assert_eq!(bare.frame(), (0x82, b"+OK\r\nPONG\r\n".to_vec()));
}

#[test]
fn a_request_that_is_none_is_told_what_it_should_be() {
    let broker = open();
    for (request, expected) in [
        ("CONNECT {}\r\n".to_owned(), "400 Bad Request"),
        (format!("{REQUEST}\r\n").replace("GET", "PUT"), "405 "),
        (format!("{REQUEST}\r\n").replace("13", "12"), "400 "),
        (
            format!("{REQUEST}\r\n").replace("GET /", "GET /leafnode"),
            "501 ",
        ),
        (format!("GET /{}", "x".repeat(9000)), "431 "),
    ] {
        let mut bare = Bare::dial(&broker);
        bare.write(request.as_bytes());
        let answer = String::from_utf8(bare.rest()).expect("text");
        let begin = format!("HTTP/1.1 {expected}");
        assert!(answer.starts_with(&begin), "{answer} to {request:.60}");
        assert!(answer.contains("Sec-WebSocket-Version: 13\r\n"), "{answer}");
    }
}

#[test]
fn a_page_comes_from_where_it_may() {
    let same = start(with(WebSocket {
        same_origin: true,
        ..WebSocket::default()
    }));
    let addr = same.websocket_addr().expect("it listens").to_string();
    let own = format!("http://{addr}");
    assert_eq!(status(Client::dial(&same, &[("Origin", &own)])), 101);
    assert_eq!(
        status(Client::dial(&same, &[("Origin", "http://evil.org")])),
        403
    );
    assert_eq!(status(Client::dial(&same, &[])), 101);
    let listed = start(with(WebSocket {
        allowed_origins: vec!["https://good.org".to_owned()],
        ..WebSocket::default()
    }));
    assert_eq!(
        status(Client::dial(&listed, &[("Origin", "https://good.org")])),
        101
    );
    assert_eq!(status(Client::dial(&listed, &[("Origin", &own)])), 403);
}

#[test]
fn a_request_must_come_in_time_and_others_are_served_meanwhile() {
    let broker = start(with(WebSocket {
        handshake_timeout: Duration::from_millis(50),
        ..WebSocket::default()
    }));
    let mut slow = Bare::dial(&broker);
    slow.write(&REQUEST.as_bytes()[..40]);
    Client::join(&broker);
    assert_eq!(slow.rest(), b"");
}

#[test]
fn a_client_may_do_without_masks_where_it_asks_for_that() {
    let broker = open();
    let mut bare = Bare::upgraded(&broker, "Nats-No-Masking: true\r\n");
    bare.write(&[&[0x82, 6][..], b"PING\r\n"].concat());
    assert_eq!(bare.frame(), (0x82, b"PONG\r\n".to_vec()));
}

#[test]
fn a_browser_gets_frames_of_4096_bytes_at_most() {
    let broker = open();
    let mut client = Client::dial(&broker, &[("User-Agent", "Mozilla/5.0 (X)")]).expect("good");
    client.frame();
    let payload = "x".repeat(10_000);
    client.send("CONNECT {\"verbose\":false}\r\n");
    client.send(&format!("SUB a 1\r\nPUB a 10000\r\n{payload}\r\n"));
    let frames = [client.frame(), client.frame(), client.frame()];
    assert_eq!(frames.each_ref().map(String::len), [4096, 4096, 1825]);
    assert_eq!(frames.concat(), format!("MSG a 1 10000\r\n{payload}\r\n"));
}
