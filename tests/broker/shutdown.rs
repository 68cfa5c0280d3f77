//! What was accepted is delivered before the broker ends, and nobody keeps it from ending.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::raw::{PATIENCE, Raw, config, start};
use midge::{Config, Running, Stop};

const PAYLOAD_BYTES: usize = 4000;

fn payload(number: usize) -> Vec<u8> {
    let mut payload = vec![number as u8; PAYLOAD_BYTES];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

/// A subscriber to `queued`, behind by `count` messages that the broker has accepted.
fn behind(addr: SocketAddr, count: usize) -> Raw {
    let mut subscriber = Raw::join_narrow(addr);
    subscriber.sub("queued", None, "1");
    subscriber.sync();
    let mut publisher = Raw::join(addr);
    for number in 0..count {
        publisher.publish("queued", &payload(number));
    }
    publisher.sync();
    publisher.leave();
    subscriber
}

/// Waits until connections at `addr` are refused.
fn until_refused(addr: SocketAddr) {
    loop {
        match TcpStream::connect_timeout(&addr, PATIENCE) {
            // It came before the listener was closed.
            Ok(_) => thread::yield_now(),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            // It was waiting to be accepted when the listener was closed.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }
}

/// Stops `broker` on another thread, so that one that does not end fails the test.
fn ended(broker: Running) {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(broker.shutdown().map_err(|error| error.to_string())));
    let stop = told.recv_timeout(PATIENCE).expect("the broker ends");
    assert_eq!(stop, Ok(Stop::Requested));
}

#[test]
fn what_was_queued_for_a_slow_reader_arrives_whole_and_then_the_end() {
    const MESSAGES: usize = 1800;
    let broker = start(config());
    let mut slow = behind(broker.addr(), MESSAGES);
    broker.handle().shutdown();
    // It reads only when the broker has begun to end.
    until_refused(broker.addr());
    for number in 0..MESSAGES {
        let right = slow.message(|message| message.payload == payload(number));
        assert_eq!(right, Some(true), "message {number} of {MESSAGES}");
    }
    assert_eq!(slow.line(), None);
    drop(slow);
    ended(broker);
}

#[test]
fn what_was_published_just_before_the_end_reaches_everyone() {
    for _ in 0..20 {
        let broker = start(config());
        let addr = broker.addr();
        let mut subscribers: Vec<Raw> = (0..8).map(|_| Raw::join(addr)).collect();
        for subscriber in &mut subscribers {
            subscriber.sub("last.words", None, "1");
            subscriber.sync();
        }
        let mut publisher = Raw::join(addr);
        for n in 0..50 {
            publisher.publish("last.words", format!("{n}").as_bytes());
        }
        publisher.sync();
        broker.handle().shutdown();
        for subscriber in &mut subscribers {
            for n in 0..50 {
                let expected = format!("MSG last.words: {n}");
                assert_eq!(subscriber.line(), Some(expected));
            }
            assert_eq!(subscriber.line(), None);
        }
        assert_eq!(publisher.line(), None);
        ended(broker);
    }
}

#[test]
fn nobody_gets_in_while_the_broker_ends_and_it_says_nothing() {
    let broker = start(config());
    let addr = broker.addr();
    let mut idle = Raw::join(addr);
    let mut silent = Raw::dial(addr).expect("the broker listens");
    let slow = behind(addr, 1800);
    broker.handle().shutdown();
    until_refused(addr);
    // `slow` keeps it from ending; the others are gone by now, without a word.
    assert_eq!(idle.line(), None);
    assert_eq!(silent.line().as_deref(), Some("INFO"));
    assert_eq!(silent.line(), None);
    drop(slow);
    ended(broker);
}

#[test]
fn a_peer_that_does_not_read_delays_the_end_no_longer_than_the_grace() {
    // Nothing but the grace ends their connections.
    let broker = start(Config {
        write_deadline: 2 * PATIENCE,
        ..config()
    });
    let deaf = [behind(broker.addr(), 900), behind(broker.addr(), 900)];
    ended(broker);
    drop(deaf);
}

#[test]
fn a_peer_that_keeps_its_end_open_hardly_delays_the_end() {
    let broker = start(config());
    let mut idle: Vec<Raw> = (0..50).map(|_| Raw::join(broker.addr())).collect();
    // How long that takes is for the simulation.
    ended(broker);
    for client in &mut idle {
        assert_eq!(client.line(), None);
    }
}

#[test]
fn a_peer_that_goes_on_sending_does_not_delay_the_end() {
    let broker = start(config());
    let mut sender = Raw::join(broker.addr());
    let sending = thread::spawn(move || {
        let chunk = b"PUB nobody.home 5\r\nhello\r\n".repeat(2000);
        while sender.stream.write_all(&chunk).is_ok() {}
    });
    let mut other = Raw::join(broker.addr());
    other.sync();
    ended(broker);
    sending.join().expect("it ends when the connection does");
}

#[test]
fn one_that_ignores_the_end_in_lame_duck_mode_is_read_for_64_mebibytes_and_no_more() {
    const MIB: usize = 1024 * 1024;
    let broker = start(Config {
        lame_duck_grace_period: Duration::ZERO,
        lame_duck_duration: Duration::from_millis(1),
        ..config()
    });
    let mut client = Raw::join(broker.addr());
    broker.handle().lame_duck();
    assert_eq!(client.line(), None);
    let timeout = client.stream.set_write_timeout(Some(PATIENCE));
    timeout.expect("the socket is open");
    let chunk = b"PUB nobody.home 5\r\nhello\r\n".repeat(2000);
    let mut taken = 0;
    let error = loop {
        match client.stream.write(&chunk) {
            Ok(len) => taken += len,
            Err(error) => break error,
        }
    };
    let is_closed = matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    );
    assert!(is_closed, "{error}");
    // The rest is what the kernels hold. On a slow machine the time that it has ends first.
    assert!(taken < (64 + 16) * MIB, "{taken} bytes were taken");
    assert_eq!(broker.join().expect("it ends by itself"), Stop::LameDuck);
}

#[test]
fn the_port_can_be_used_again_at_once() {
    let mut broker = start(config());
    let addr = broker.addr();
    for _ in 0..10 {
        // Both sides have connections of their own making to remember.
        let mut clients: Vec<Raw> = (0..5).map(|_| Raw::join(addr)).collect();
        Raw::join(addr).vanish();
        Raw::join(addr).leave();
        ended(broker);
        broker = start(Config {
            port: addr.port(),
            ..config()
        });
        assert_eq!(broker.addr(), addr);
        Raw::join(addr).leave();
        for client in &mut clients {
            assert_eq!(client.line(), None);
        }
    }
}

#[test]
fn a_broker_that_is_dropped_or_told_twice_ends_once() {
    let broker = start(config());
    let handle = broker.handle();
    let mut client = Raw::join(broker.addr());
    handle.shutdown();
    handle.shutdown();
    drop(broker);
    assert_eq!(client.line(), None);
    handle.shutdown();
}

#[test]
fn counters_tell_what_was_done_until_the_broker_has_ended() {
    let broker = start(config());
    let mut client = Raw::join(broker.addr());
    client.sub("a.*", None, "1");
    client.sub(">", None, "2");
    client.publish("a.b", b"hello");
    client.sync_counting().expect("it is not closed");
    let stats = broker.stats().expect("it runs");
    assert_eq!((stats.clients, stats.subscriptions), (1, 2));
    assert_eq!((stats.received.messages, stats.received.bytes), (1, 5));
    assert_eq!((stats.sent.messages, stats.sent.bytes), (2, 10));
    assert!(!broker.is_finished());
    broker.handle().shutdown();
    while broker.stats().is_some() {}
}
