//! WebSocket over TLS: two layers on one connection.

use crate::raw::{Raw, config, start};
use crate::tls::papers::{Authority, NAME, dial};
use midge::{Config, Running, WebSocket};
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use tungstenite::Message;

type Client = tungstenite::WebSocket<StreamOwned<ClientConnection, TcpStream>>;

fn secured(authority: &Authority) -> Running {
    start(Config {
        websocket: Some(WebSocket {
            host: "127.0.0.1".to_owned(),
            tls: Some(authority.tls()),
            ..WebSocket::default()
        }),
        ..config()
    })
}

fn connect(broker: &Running, authority: &Authority) -> Client {
    let addr = broker.websocket_addr().expect("it listens");
    let name = ServerName::try_from(NAME).expect("a name");
    let session = ClientConnection::new(authority.client(None), name).expect("good settings");
    let stream = StreamOwned::new(session, dial(addr));
    let (client, _) = tungstenite::client(format!("ws://{NAME}/"), stream).expect("it is welcome");
    client
}

fn frame(client: &mut Client) -> String {
    match client.read().expect("something comes") {
        Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn say(client: &mut Client, text: String) {
    let message = Message::Binary(text.into_bytes().into());
    client.send(message).expect("it is open");
}

#[test]
fn messages_go_both_ways_over_tls_and_the_others_need_none() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut client = connect(&broker, &authority);
    let info = frame(&mut client);
    assert!(
        info.starts_with("INFO {") && !info.contains("tls_required"),
        "{info}"
    );
    say(
        &mut client,
        "CONNECT {\"verbose\":false}\r\nPING\r\n".to_owned(),
    );
    assert_eq!(frame(&mut client), "PONG\r\n");
    let payload = "0123456789abcdef".repeat(60_000);
    say(&mut client, "SUB a 1\r\n".to_owned());
    for _ in 0..3 {
        say(
            &mut client,
            format!("PUB a {}\r\n{payload}\r\n", payload.len()),
        );
    }
    let expected = format!("MSG a 1 {}\r\n{payload}\r\n", payload.len()).repeat(3);
    let mut got = String::new();
    while got.len() < expected.len() {
        got += &frame(&mut client);
    }
    assert!(got == expected);
    Raw::join(broker.addr()).leave();
}

#[test]
fn the_end_is_said_in_both_layers() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut client = connect(&broker, &authority);
    frame(&mut client);
    say(&mut client, "NONSENSE\r\n".to_owned());
    assert_eq!(frame(&mut client), "-ERR 'Unknown Protocol Operation'\r\n");
    let Message::Close(Some(close)) = client.read().expect("an end comes") else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(close.code), 1002);
    // The end of TLS stands behind it: without, this would be an error.
    let rest = client.get_mut().read_to_end(&mut Vec::new());
    assert_eq!(rest.expect("an orderly end"), 0);
}

#[test]
fn one_that_speaks_http_in_clear_is_closed_and_others_are_served() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut stream = dial(broker.websocket_addr().expect("it listens"));
    stream
        .write_all(super::REQUEST.as_bytes())
        .expect("it is open");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 101"));
    frame(&mut connect(&broker, &authority));
}
