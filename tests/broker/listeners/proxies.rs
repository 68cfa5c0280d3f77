//! Proxies that tell for whom a connection is, by the PROXY protocol.

use super::{connz, info, line, settings};
use crate::raw::{PATIENCE, start};
use midge::{AddressLimits, Config, Limits, Listener, Network, ProxyProtocol, Running, WebSocket};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const HEADER: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 51324 4222\r\n";
/// What one hears that is one too many.
const TOO_MANY: [&str; 2] = ["INFO", "-ERR 'maximum connections exceeded'"];
const ANN: &str = "CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"secret\"}\r\nPING\r\n";

/// A version 2 header for 192.0.2.7:51324, with something behind the addresses.
fn binary(command: u8) -> Vec<u8> {
    let told = [
        &[192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x7c, 0x10, 0x7e][..],
        &[0x04, 0, 1, 0],
    ]
    .concat();
    let len = u8::try_from(told.len()).expect("short");
    let head = [command, 0x11, 0, len];
    [b"\r\n\r\n\0\r\nQUIT\n", &head[..], &told].concat()
}

fn proxies(trusted: &[&str], others_may_come: bool) -> Option<ProxyProtocol> {
    let parse = |text: &&str| Network::parse(text).expect("a network");
    Some(ProxyProtocol {
        trusted: trusted.iter().map(parse).collect(),
        others_may_come,
    })
}

/// A broker that believes proxies of this machine.
fn broker() -> Running {
    start(Config {
        proxy_protocol: proxies(&["127.0.0.0/8"], false),
        ..settings()
    })
}

fn dial(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("it listens");
    stream.set_nodelay(true).expect("it is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("some time");
    stream
}

/// Whether nothing is said before the end.
fn ends_in_silence(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    // It may be a reset, where what was sent is left unread.
    let _ = stream.read_to_end(&mut rest);
    rest.is_empty()
}

/// The first word of each line until the end, which is no reset, with the error in whole.
fn last_words(stream: &mut TcpStream) -> Vec<String> {
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it ends in order");
    let word = |line: &str| match line.strip_prefix("INFO ") {
        Some(_) => "INFO".to_owned(),
        None => line.to_owned(),
    };
    said.lines().map(word).collect()
}

#[test]
fn the_address_that_a_proxy_tells_is_that_of_the_client() {
    let broker = broker();
    let v2 = binary(0x21);
    for header in [HEADER.as_bytes(), &v2] {
        let mut stream = dial(broker.addr());
        stream
            .write_all(&[header, ANN.as_bytes()].concat())
            .expect("it reads");
        assert_eq!(info(&mut stream)["client_ip"], "192.0.2.7");
        assert_eq!(line(&mut stream), "PONG");
        let told = connz(&broker, "");
        assert_eq!(
            (&told[0]["ip"], &told[0]["port"]),
            (&"192.0.2.7".into(), &51324.into())
        );
    }
    // Of the proxy itself, as when it looks whether the broker is there.
    for header in [b"PROXY UNKNOWN\r\n".as_slice(), &binary(0x20)] {
        let mut stream = dial(broker.addr());
        stream.write_all(header).expect("it reads");
        assert_eq!(info(&mut stream)["client_ip"], "127.0.0.1");
    }
}

#[test]
fn a_header_may_come_byte_by_byte_and_nothing_is_said_before_it_is_whole() {
    let broker = broker();
    let v2 = binary(0x21);
    for header in [HEADER.as_bytes(), &v2] {
        let mut stream = dial(broker.addr());
        let (last, first) = header.split_last().expect("it has bytes");
        for byte in first {
            stream.write_all(&[*byte]).expect("it reads");
        }
        // Another connection is served meanwhile, and this one has been told nothing.
        let mut other = dial(broker.addr());
        other.write_all(HEADER.as_bytes()).expect("it reads");
        info(&mut other);
        stream.set_nonblocking(true).expect("it is open");
        let early = stream.read(&mut [0]).expect_err("nothing is said");
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("it is open");
        stream.write_all(&[*last]).expect("it reads");
        assert_eq!(info(&mut stream)["client_ip"], "192.0.2.7");
    }
}

#[test]
fn what_is_no_header_or_too_long_a_one_ends_the_connection_without_a_word() {
    let broker = broker();
    let long_v1 = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let mut long_v2 = binary(0x21);
    long_v2[14] = 0xff;
    for bytes in [
        ANN.as_bytes(),
        b"\x16\x03\x01\x02\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 nobody nowhere 1 2\r\n",
        &long_v1,
        &long_v2,
    ] {
        let mut stream = dial(broker.addr());
        stream.write_all(bytes).expect("it reads");
        let text = bytes.escape_ascii();
        assert!(ends_in_silence(&mut stream), "{text}");
    }
    let closed = connz(&broker, "state=closed");
    assert_eq!(closed.len(), 6);
    assert!(
        closed
            .iter()
            .all(|one| one["reason"] == "Protocol Violation")
    );
}

#[test]
fn a_header_that_does_not_come_in_the_time_for_connect_is_not_waited_for() {
    let broker = start(Config {
        auth_timeout: Some(Duration::from_millis(50)),
        proxy_protocol: proxies(&["127.0.0.1"], false),
        ..settings()
    });
    for begun in [&HEADER.as_bytes()[..20], b""] {
        let mut stream = dial(broker.addr());
        stream.write_all(begun).expect("it reads");
        assert!(ends_in_silence(&mut stream));
    }
}

#[test]
fn who_is_no_trusted_proxy_is_refused_or_comes_without_a_header() {
    let refusing = start(Config {
        proxy_protocol: proxies(&["192.0.2.0/24"], false),
        ..settings()
    });
    let mut stream = dial(refusing.addr());
    assert!(ends_in_silence(&mut stream));
    let serving = start(Config {
        proxy_protocol: proxies(&["192.0.2.0/24"], true),
        ..settings()
    });
    let mut stream = dial(serving.addr());
    assert_eq!(info(&mut stream)["client_ip"], "127.0.0.1");
    // What it tells of itself is not believed: it is no operation of a client.
    stream.write_all(HEADER.as_bytes()).expect("it reads");
    assert!(line(&mut stream).starts_with("-ERR "));
}

#[test]
fn a_client_whose_header_comes_after_a_reload_counts_for_the_address_that_it_tells() {
    let with = |max| Config {
        proxy_protocol: proxies(&["127.0.0.0/8"], false),
        address_limits: AddressLimits {
            limits: Limits {
                connections_max: Some(max),
                ..Limits::default()
            },
            ..AddressLimits::default()
        },
        ..settings()
    };
    let broker = start(with(5));
    let mut stream = dial(broker.addr());
    while broker.stats().expect("it runs").clients < 1 {}
    let reloaded = broker.handle().reload(with(1));
    reloaded.expect("the settings are possible");
    // It is answered behind the reload.
    broker.stats().expect("it runs");
    stream
        .write_all([HEADER, ANN].concat().as_bytes())
        .expect("it reads");
    info(&mut stream);
    assert_eq!(line(&mut stream), "PONG");
    let mut second = dial(broker.addr());
    second.write_all(HEADER.as_bytes()).expect("it reads");
    assert_eq!(last_words(&mut second), TOO_MANY);
}

#[test]
fn a_client_that_is_one_too_many_is_told_so_although_its_first_words_are_unread() {
    let everybody = Config {
        connections_max: 1,
        proxy_protocol: proxies(&["127.0.0.0/8"], false),
        ..settings()
    };
    let of_listener = Config {
        listeners: vec![Listener {
            connections_max: Some(1),
            proxy_protocol: proxies(&["127.0.0.0/8"], false),
            ..super::listener("edge", None)
        }],
        ..settings()
    };
    let of_address = Config {
        connections_max: 10,
        address_limits: AddressLimits {
            limits: Limits {
                connections_max: Some(1),
                ..Limits::default()
            },
            ..AddressLimits::default()
        },
        ..everybody.clone()
    };
    for config in [everybody, of_listener, of_address] {
        let by_listener = !config.listeners.is_empty();
        let broker = start(config);
        let addr = match by_listener {
            true => super::at(&broker, "edge"),
            false => broker.addr(),
        };
        let come = || {
            let mut stream = dial(addr);
            let words = HEADER.to_owned() + &ANN.repeat(50);
            stream.write_all(words.as_bytes()).expect("it reads");
            stream
        };
        let mut first = come();
        info(&mut first);
        assert_eq!(last_words(&mut come()), TOO_MANY);
    }
}

#[test]
fn a_header_comes_before_the_request_of_a_websocket() {
    let broker = start(Config {
        websocket: Some(WebSocket {
            host: "127.0.0.1".to_owned(),
            no_tls: true,
            proxy_protocol: proxies(&["127.0.0.1"], false),
            ..WebSocket::default()
        }),
        ..settings()
    });
    let mut stream = dial(broker.websocket_addr().expect("it listens"));
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream
        .write_all([HEADER, request].concat().as_bytes())
        .expect("it reads");
    assert!(line(&mut stream).starts_with("HTTP/1.1 101 "));
    while !line(&mut stream).is_empty() {}
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).expect("a frame comes");
    assert_eq!(info(&mut stream)["client_ip"], "192.0.2.7");
}

#[test]
fn a_reload_says_who_is_believed_from_then_on() {
    let with = |trusted: &str, port| Config {
        listeners: vec![Listener {
            port,
            proxy_protocol: proxies(&[trusted], false),
            ..super::listener("edge", None)
        }],
        ..settings()
    };
    let broker = start(with("192.0.2.0/24", 0));
    let addr = super::at(&broker, "edge");
    assert!(ends_in_silence(&mut dial(addr)));
    let reload = |trusted| {
        let reloaded = broker.handle().reload(with(trusted, addr.port()));
        reloaded.expect("they are good");
        // The reload is carried out in the broker's thread, and so is this.
        broker.stats().expect("it runs");
    };
    reload("127.0.0.1");
    let mut stream = dial(addr);
    stream.write_all(HEADER.as_bytes()).expect("it reads");
    assert_eq!(info(&mut stream)["client_ip"], "192.0.2.7");
    stream.write_all(ANN.as_bytes()).expect("it reads");
    assert_eq!(line(&mut stream), "PONG");
    let mut begun = dial(addr);
    while broker.stats().expect("it runs").clients < 2 {}
    // Whom a proxy has brought stays when others are believed, and so does who was let in and has not said for whom.
    reload("192.0.2.0/24");
    assert!(ends_in_silence(&mut dial(addr)));
    stream.write_all(b"PING\r\n").expect("it reads");
    assert_eq!(line(&mut stream), "PONG");
    begun.write_all(HEADER.as_bytes()).expect("it reads");
    assert_eq!(info(&mut begun)["client_ip"], "192.0.2.7");
}
