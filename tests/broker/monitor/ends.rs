//! Every way in which a connection can end: the reason that monitoring tells, and what the client is told,
//! the same from nats-server.

use super::reference::reference;
use super::{monitored, start};
use crate::http::get;
use midge::{Config, Monitor};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A broker that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client does when it has said its piece.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// It reads on, up to the end.
    Reads,
    /// It ends its own side first.
    Ends,
    /// It goes in the rudest way there is.
    Resets,
}
use Then::{Ends, Reads, Resets};

/// What is said, what is done then, the reason for the end, and the `-ERR` before it.
type Row = (&'static str, Then, &'static str, &'static str);

const UNKNOWN: &str = "Unknown Protocol Operation";

/// Stands before what is said, unless that begins with `!`.
const HELLO: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n";

const ROWS: &[Row] = &[
    // What is no op.
    ("FOO bar\r\n", Reads, "Protocol Violation", UNKNOWN),
    ("PUBX\r\n", Reads, "Protocol Violation", UNKNOWN),
    ("\r\n", Reads, "Protocol Violation", UNKNOWN),
    (
        "!GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        Reads,
        "Protocol Violation",
        UNKNOWN,
    ),
    (
        "!SSH-2.0-OpenSSH_9.2\r\n",
        Reads,
        "Protocol Violation",
        UNKNOWN,
    ),
    (
        "!\x16\x03\x01\x02\0\x01\0\x01",
        Reads,
        "Protocol Violation",
        UNKNOWN,
    ),
    (
        "!CONNEKT {\"pass\":\"secret\"}\r\n",
        Reads,
        "Protocol Violation",
        UNKNOWN,
    ),
    // Arguments that make no sense.
    ("PUB \r\n", Reads, "Protocol Violation", ""),
    ("PUB a b\r\n", Reads, "Protocol Violation", ""),
    ("PUB a -1\r\n", Reads, "Protocol Violation", ""),
    ("PUB a b c 1\r\n", Reads, "Protocol Violation", ""),
    ("HPUB a 9 2\r\n", Reads, "Protocol Violation", ""),
    ("HPUB a x 2\r\n", Reads, "Protocol Violation", ""),
    ("SUB a\r\n", Reads, "Protocol Violation", ""),
    ("SUB a b c d\r\n", Reads, "Protocol Violation", ""),
    ("UNSUB \r\n", Reads, "Protocol Violation", ""),
    ("UNSUB 1 2 3\r\n", Reads, "Protocol Violation", ""),
    ("INFO x\r\n", Reads, "Protocol Violation", ""),
    ("CONNECT {\"pass\":\r\n", Reads, "Protocol Violation", ""),
    ("!CONNECT {\"pass\":\r\n", Reads, "Protocol Violation", ""),
    ("!CONNECT \r\n", Reads, "Protocol Violation", ""),
    (
        "!CONNECT {\"verbose\":7}\r\n",
        Reads,
        "Protocol Violation",
        "",
    ),
    ("!CONNECT []\r\n", Reads, "Protocol Violation", ""),
    (
        "!CONNECT {\"headers\":false}\r\nHPUB a 1 2\r\nab\r\n",
        Reads,
        "Protocol Violation",
        "",
    ),
    // A payload that does not end where it should.
    ("PUB a 2\r\nabXY\r\n", Reads, "Protocol Violation", UNKNOWN),
    (
        "HPUB a 1 2\r\nabXY\r\n",
        Reads,
        "Protocol Violation",
        UNKNOWN,
    ),
    // Reasons of their own.
    ("-ERR 'no'\r\n", Reads, "Parse Error", ""),
    ("-ERR no\r\n", Reads, "Parse Error", ""),
    (
        "!CONNECT {\"protocol\":7}\r\n",
        Reads,
        "Bad Client Protocol Version",
        "invalid client protocol",
    ),
    (
        "!CONNECT {\"no_responders\":true}\r\n",
        Reads,
        "No Responders Requires Headers",
        "no responders requires headers support",
    ),
    (
        "!CONNECT {\"account\":\"A\"}\r\n",
        Reads,
        "Authentication Failure",
        "Authorization Violation",
    ),
    (
        "PUB a 2000000\r\n",
        Reads,
        "Maximum Message Payload Exceeded",
        "Maximum Payload Violation",
    ),
    (
        "HPUB a 1 2000000\r\n",
        Reads,
        "Maximum Message Payload Exceeded",
        "Maximum Payload Violation",
    ),
    // The client's own end, also where it stays in the middle of something.
    ("", Ends, "Client Closed", ""),
    ("!", Ends, "Client Closed", ""),
    ("PUB a 10\r\nabc", Ends, "Client Closed", ""),
    ("PU", Ends, "Client Closed", ""),
    ("SUB a..b 1\r\n", Ends, "Client Closed", "Invalid Subject"),
    ("+OK\r\nINFO {}\r\nPONG\r\n", Ends, "Client Closed", ""),
    ("", Resets, "Read Error", ""),
    ("PUB a 10\r\nabc", Resets, "Read Error", ""),
];

/// Does as `row` has it, and answers what the client was told and the reason that is told then.
#[track_caller]
fn end(clients: SocketAddr, monitor: SocketAddr, (said, then, ..): &Row) -> (String, String) {
    let mut stream = TcpStream::connect(clients).expect("the broker listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut info = Vec::new();
    while !info.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a greeting");
        info.extend(byte);
    }
    let info: serde_json::Value = serde_json::from_slice(&info[5..]).expect("JSON");
    let said = match said.strip_prefix('!') {
        Some(said) => said.to_owned(),
        None => format!("{HELLO}PING\r\n{said}"),
    };
    stream.write_all(said.as_bytes()).expect("the broker reads");
    if *then != Reads && said.starts_with(HELLO) {
        // So that all that was said has been read.
        let mut pong = [0; 6];
        stream.read_exact(&mut pong).expect("an answer");
    }
    let mut heard = Vec::new();
    match then {
        Resets => {
            let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            linger.expect("an option");
        }
        Ends => stream.shutdown(Shutdown::Write).expect("it is open"),
        Reads => {}
    }
    if *then != Resets {
        // A reset may take the place of the end.
        let _ = stream.read_to_end(&mut heard);
    }
    drop(stream);
    let heard = String::from_utf8(heard).expect("text");
    let told = heard.split_once("-ERR '").map_or("", |(_, rest)| rest);
    let told = told.trim_end().trim_end_matches('\'').to_owned();
    (
        told,
        reason(monitor, info["client_id"].as_u64().expect("a number")),
    )
}

/// The reason that is told for the end of a connection, once it is.
fn reason(monitor: SocketAddr, cid: u64) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let path = format!("/connz?state=closed&cid={cid}");
        let connz = get(monitor, &path).json();
        if let Some(reason) = connz["connections"][0]["reason"].as_str() {
            return reason.to_owned();
        }
        assert!(Instant::now() < deadline, "it is not closed: {connz}");
        // The end comes in a turn of its own.
        thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn check(clients: SocketAddr, monitor: SocketAddr, who: &str) {
    for row in ROWS {
        let (told, reason) = end(clients, monitor, row);
        assert_eq!(
            (told.as_str(), reason.as_str()),
            (row.3, row.2),
            "{who}: {row:?}"
        );
    }
}

#[test]
fn each_end_has_its_reason() {
    let (broker, monitor) = start(monitored(Monitor::default()));
    check(broker.addr(), monitor, "midge");
    broker.shutdown().expect("it stops");
}

#[test]
fn each_end_has_the_same_reason_from_nats_server() {
    let Some(reference) = reference() else { return };
    check(reference.clients, reference.monitor, "nats-server");
}

#[test]
fn a_control_line_that_is_too_long_has_a_reason_of_its_own() {
    let config = Config {
        control_line_bytes_max: 64,
        ..monitored(Monitor::default())
    };
    let (broker, monitor) = start(config);
    let long =
        "!SUB aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n";
    let (told, reason) = end(broker.addr(), monitor, &(long, Reads, "", ""));
    assert_eq!(told, "maximum control line exceeded");
    assert_eq!(reason, "Maximum Control Line Exceeded");
    broker.shutdown().expect("it stops");
}
