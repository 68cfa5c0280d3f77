//! Clients that come by WebSocket: the upgrade, frames, compression, the end.

use crate::raw::{PATIENCE, Raw, config, start};
use midge::{Config, Running, WebSocket};
use midge_protocol::websocket::{Header, Opcode, mask};
use std::io::{Read, Write};
use std::net::TcpStream;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

mod compression;
mod ends;
mod frames;
mod monitored;
mod reload;
#[cfg(feature = "tls")]
mod secured;
mod terms;
mod upgrade;

/// The settings of a broker that takes clients by WebSocket on these terms.
fn with(websocket: WebSocket) -> Config {
    Config {
        websocket: Some(WebSocket {
            host: "127.0.0.1".to_owned(),
            no_tls: true,
            ..websocket
        }),
        ..config()
    }
}

fn open() -> Running {
    start(with(WebSocket::default()))
}

/// A client by another implementation of the framing.
struct Client(tungstenite::WebSocket<TcpStream>);

impl Client {
    fn dial(broker: &Running, fields: &[(&'static str, &str)]) -> Result<Client, Box<Error>> {
        let addr = broker.websocket_addr().expect("it listens");
        let mut request = format!("ws://{addr}/")
            .into_client_request()
            .expect("a request");
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("a value");
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("some time");
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Client(socket)),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(Box::new(error)),
            Err(error) => panic!("{error}"),
        }
    }

    /// One that has read `INFO`.
    fn connect(broker: &Running) -> Client {
        let mut client = Client::dial(broker, &[]).expect("it is welcome");
        let info = client.frame();
        assert!(
            info.starts_with("INFO {") && info.ends_with("} \r\n"),
            "{info}"
        );
        client
    }

    /// One that has sent `CONNECT` and read `PONG`.
    fn join(broker: &Running) -> Client {
        let mut client = Client::connect(broker);
        client.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
        assert_eq!(client.frame(), "PONG\r\n");
        client
    }

    fn send(&mut self, text: &str) {
        let message = Message::Binary(text.as_bytes().to_vec().into());
        self.0.send(message).expect("it is open");
    }

    /// The next frame of data, without a `PING`: one comes to a client that is there for two seconds.
    fn frame(&mut self) -> String {
        loop {
            let text = match self.0.read().expect("something comes") {
                Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                other => panic!("{other:?}"),
            };
            if !text.contains("PING\r\n") {
                return text;
            }
            let text = text.replace("PING\r\n", "");
            if !text.is_empty() {
                return text;
            }
        }
    }

    /// All that comes until there is as much as `expected`.
    fn expect(&mut self, expected: &str) {
        let mut text = String::new();
        while text.len() < expected.len() {
            text += &self.frame();
        }
        assert_eq!(text, expected);
    }

    /// The frame of the end, behind `before`; then the socket ends.
    fn end(&mut self, before: &str) -> Option<(u16, String)> {
        let mut text = String::new();
        let close = loop {
            match self.0.read().expect("an end comes") {
                Message::Binary(bytes) => text += &String::from_utf8_lossy(&bytes),
                Message::Close(close) => break close,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(text, before);
        let after = self.0.read();
        assert!(matches!(after, Err(Error::ConnectionClosed)), "{after:?}");
        close.map(|CloseFrame { code, reason }| (code.into(), reason.as_str().to_owned()))
    }
}

/// A socket on which bytes are written by hand.
struct Bare(TcpStream);

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

impl Bare {
    fn dial(broker: &Running) -> Bare {
        let addr = broker.websocket_addr().expect("it listens");
        let stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("some time");
        Bare(stream)
    }

    /// One that was upgraded with these fields besides, and has read `INFO`.
    fn upgraded(broker: &Running, fields: &str) -> Bare {
        let mut bare = Bare::dial(broker);
        bare.write(format!("{REQUEST}{fields}\r\n").as_bytes());
        let answer = bare.until("\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        bare.until("} \r\n");
        bare.write(&masked(
            Opcode::Binary,
            true,
            b"CONNECT {\"verbose\":false}\r\n",
        ));
        bare
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it is open");
    }

    /// What comes up to this end of it.
    fn until(&mut self, end: &str) -> String {
        let (mut text, mut byte) = (Vec::new(), [0]);
        while !text.ends_with(end.as_bytes()) {
            self.0.read_exact(&mut byte).expect("more comes");
            text.push(byte[0]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The next frame, which is short and not compressed.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame comes");
        assert!(head[1] < 126, "{head:?}");
        let mut payload = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut payload).expect("all of it comes");
        (head[0], payload)
    }

    /// What is left until the socket ends.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest
    }
}

/// A frame as a client sends it.
fn masked(opcode: Opcode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let key = [7, 0, 255, 3];
    let header = Header {
        is_final,
        mask: Some(key),
        ..Header::of(opcode, payload.len())
    };
    let mut payload = payload.to_vec();
    mask(&mut payload, key, 0);
    [header.head().bytes(), &payload].concat()
}

#[test]
fn what_one_publishes_the_other_gets_whichever_way_they_have_come() {
    let broker = open();
    let mut by_tcp = Raw::join(broker.addr());
    let mut by_websocket = Client::join(&broker);
    by_websocket.send("SUB from.tcp 1\r\nPING\r\n");
    by_websocket.expect("PONG\r\n");
    by_tcp.sub("from.ws", None, "2");
    by_tcp.sync();
    by_websocket.send("PUB from.ws 5\r\nhello\r\n");
    by_tcp.send(b"PUB from.tcp 5\r\nworld\r\n");
    by_websocket.expect("MSG from.tcp 1 5\r\nworld\r\n");
    let subject = by_tcp.message(|message| message.subject.to_vec());
    assert_eq!(subject.as_deref(), Some(&b"from.ws"[..]));
    by_tcp.leave();
}

#[test]
fn long_messages_go_both_ways_in_frames_of_any_length() {
    let broker = open();
    let mut client = Client::join(&broker);
    client.send("SUB a 1\r\n");
    for len in [0, 100, 125, 126, 4096, 65_535, 65_536, 300_000, 1_000_000] {
        let payload = "x".repeat(len);
        client.send(&format!("PUB a {len}\r\n{payload}\r\n"));
        client.expect(&format!("MSG a 1 {len}\r\n{payload}\r\n"));
    }
}
