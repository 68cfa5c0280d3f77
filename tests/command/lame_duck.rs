//! Lame duck mode.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::process::{Broker, PROTOCOL_1, signal};
use crate::raw::Raw;
use midge_protocol::{ServerOp, encode};

const ENTERING: &str = "[INF] Entering lame duck mode, stop accepting new clients";

const SHORT: &[&str] = &[
    "--lame_duck_duration",
    "1s",
    "--lame_duck_grace_period",
    "100ms",
];

/// Waits until connections at `addr` are refused.
fn until_refused(addr: SocketAddr) {
    loop {
        match TcpStream::connect(addr) {
            // It came before the listener was closed.
            Ok(_) => thread::yield_now(),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            // It was waiting to be accepted when the listener was closed.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }
}

#[test]
fn a_lame_duck_without_clients_ends_at_once() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "USR2");
    assert_eq!(broker.end().code(), Some(0));
    broker.position("[INF] Trapped \"user defined signal 2\" signal");
    broker.position(ENTERING);
    broker.position("[INF] Server Exiting..");
}

#[test]
fn a_lame_duck_takes_nobody_in_and_tells_those_it_has_and_ends_when_they_have_left() {
    let mut broker = Broker::start(&[]);
    let mut told = Raw::join_with(broker.addr(), PROTOCOL_1);
    let mut silent = Raw::join(broker.addr());
    // It has not had its first PONG, before which nothing else may come.
    let mut late = Raw::connect(broker.addr());
    late.send(format!("CONNECT {PROTOCOL_1}\r\nSUB foo 1\r\n").as_bytes());
    late.publish("foo", b"");
    assert_eq!(late.line().as_deref(), Some("MSG foo: "));
    signal(broker.child.id(), "USR2");
    broker.position(ENTERING);
    until_refused(broker.addr());
    let is_lame_duck = |op: &ServerOp<'_>| match op {
        ServerOp::Info { json } => {
            let info: serde_json::Value = serde_json::from_slice(json).expect("JSON");
            info["ldm"] == true
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told.next(is_lame_duck), Some(true));
    late.send(encode::PING);
    assert_eq!(late.line().as_deref(), Some("PONG"));
    assert_eq!(late.next(is_lame_duck), Some(true));
    silent.send(encode::PING);
    assert_eq!(silent.line().as_deref(), Some("PONG"));
    // They still have all they had.
    told.sub("bar", None, "1");
    told.sync();
    silent.publish("bar", b"x");
    assert_eq!(told.line().as_deref(), Some("MSG bar: x"));
    for client in [told, silent, late] {
        client.leave();
    }
    // Long before its time is over.
    assert_eq!(broker.end().code(), Some(0));
}

#[test]
fn in_lame_duck_mode_term_is_ignored_and_int_ends_it() {
    let mut broker = Broker::start(&[]);
    let mut client = Raw::join(broker.addr());
    signal(broker.child.id(), "USR2");
    broker.position(ENTERING);
    signal(broker.child.id(), "TERM");
    broker.position("[INF] Trapped \"terminated\" signal");
    client.sync();
    signal(broker.child.id(), "USR2");
    client.sync();
    signal(broker.child.id(), "INT");
    assert_eq!(client.line(), None);
    assert_eq!(broker.end().code(), Some(0));
    assert_eq!(broker.count(ENTERING), 1, "{:?}", broker.lines);
}

#[test]
fn a_client_that_is_sent_away_gets_all_that_was_accepted_for_it() {
    const MESSAGES: usize = 1500;
    let mut broker = Broker::start(SHORT);
    let mut slow = Raw::join_narrow(broker.addr());
    slow.sub("queued", None, "1");
    slow.sync();
    let mut publisher = Raw::join(broker.addr());
    let payload = |number: usize| format!("{number:04000}");
    for number in 0..MESSAGES {
        publisher.publish("queued", payload(number).as_bytes());
    }
    publisher.sync();
    signal(broker.child.id(), "USR2");
    broker.position("[INF] Closing existing clients");
    // It reads only now.
    for number in 0..MESSAGES {
        let right = slow.message(|message| message.payload == payload(number).as_bytes());
        assert_eq!(right, Some(true), "message {number} of {MESSAGES}");
    }
    assert_eq!(slow.line(), None);
    assert_eq!(publisher.line(), None);
    drop((slow, publisher));
    assert_eq!(broker.end().code(), Some(0));
}

#[test]
fn what_a_client_sent_before_it_saw_the_end_was_accepted() {
    const CLIENTS: usize = 8;
    let mut broker = Broker::start(&[SHORT, &["-D"]].concat());
    let to = broker.addr();
    let publishers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = Raw::join(to);
            let local = client.stream.local_addr().expect("an address");
            let publish = move || {
                // Without a pause, until the end of the stream is there to see.
                client.stream.set_nonblocking(true).expect("a socket");
                let frame = b"PUB nobody.home 5\r\nhello\r\n".repeat(50);
                let (mut sent, mut at) = (0, 0);
                while !matches!(client.stream.peek(&mut [0]), Ok(0)) {
                    match client.stream.write(&frame[at..]) {
                        Ok(len) => at += len,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                    if at == frame.len() {
                        (sent, at) = (sent + 50, 0);
                    }
                }
                client.stream.set_nonblocking(false).expect("a socket");
                if at > 0 {
                    let rest = client.stream.write_all(&frame[at..]);
                    rest.expect("the broker reads");
                    sent += 50;
                }
                client.stream.shutdown(Shutdown::Write).expect("a socket");
                // Until the broker has read it.
                let _ = client.stream.read(&mut [0]);
                sent
            };
            (local, thread::spawn(publish))
        })
        .collect();
    signal(broker.child.id(), "USR2");
    for (local, publisher) in publishers {
        let sent = publisher.join().expect("it sees the end");
        let who = format!("{local} - cid:");
        let is_it = |line: &str| line.contains(&who) && line.contains("closed: Server Shutdown; ");
        let at = broker.position_of(is_it, &who);
        let line = &broker.lines[at];
        let counted = format!(" in {sent} messages, {} bytes,", sent * 5);
        assert!(line.contains(&counted), "{counted}: {line}");
    }
    assert_eq!(broker.end().code(), Some(0));
}
