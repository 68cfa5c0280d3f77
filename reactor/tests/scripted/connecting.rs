//! Outgoing connections: success, refusal, silence.

use crate::support::{Bench, Outcome, Probe};
use midge_reactor::{CONNECT_TIMEOUT, ConnectOptions, Key};
use std::net::SocketAddr;
use std::time::Duration;

fn far() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 4222))
}

fn connect(bench: &mut Bench, outcome: Outcome, handler: Probe) -> Key {
    bench.world.answer(far(), outcome);
    bench.with(|cx| cx.connect(far(), handler))
}

#[test]
fn a_connect_that_succeeds_opens_once_and_takes_part() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Outcome::Open, Probe::echo("a"));
    assert_eq!(
        bench.told(),
        [""; 0],
        "nothing is called from inside connect"
    );
    bench.settle();
    assert_eq!(bench.told(), ["a open"]);
    let peer = bench.world.called(far());
    peer.send(b"ping");
    bench.settle();
    assert_eq!(peer.text(), "ping");
    assert!(bench.with(|cx| cx.io.local_addr(key)).is_some());
    assert_eq!(bench.reactor.timer_count(), 0, "its deadline is gone");
}

#[test]
fn a_connect_that_fails_ends_in_on_close_without_on_open() {
    let outcomes = [
        (
            Outcome::Refused,
            "a close: connect failed: 10.0.0.2:4222: connection refused",
        ),
        (
            Outcome::FailsAtOnce,
            "a close: connect failed: 10.0.0.2:4222: address not available",
        ),
    ];
    for (outcome, told) in outcomes {
        let mut bench = Bench::new();
        connect(&mut bench, outcome, Probe::new("a"));
        assert_eq!(
            bench.told(),
            [""; 0],
            "nothing is called from inside connect"
        );
        bench.settle();
        assert_eq!(bench.told(), [told]);
        assert_eq!(bench.reactor.connections(), 0);
        assert_eq!(bench.reactor.timer_count(), 0);
    }
}

#[test]
fn a_connect_that_nobody_answers_times_out() {
    let mut bench = Bench::new();
    connect(&mut bench, Outcome::Silence, Probe::new("a"));
    bench.advance(CONNECT_TIMEOUT - Duration::from_nanos(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(Duration::from_nanos(1));
    assert_eq!(bench.told(), ["a close: connect timed out"]);
}

#[test]
fn what_is_sent_before_the_opening_arrives_before_what_is_sent_in_it() {
    let mut bench = Bench::new();
    let handler = Probe::new("a").on_open(|cx| {
        cx.send(b" two");
    });
    let key = connect(&mut bench, Outcome::Silence, handler);
    assert!(bench.with(|cx| cx.io.send(key, b"one")));
    bench.settle();
    assert_eq!(bench.calls("write"), [""; 0]);
    // A rumour of being open comes first, then the truth.
    let event = midge_reactor::Event::Ready {
        key,
        readable: false,
        writable: true,
        hangup: false,
    };
    bench.world.inject(event);
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
    bench.world.open(far());
    bench.settle();
    assert_eq!(bench.world.called(far()).text(), "one two");
}

#[test]
fn bytes_that_come_with_the_opening_are_read_without_another_edge() {
    let mut bench = Bench::new();
    connect(&mut bench, Outcome::Open, Probe::echo("a"));
    let peer = bench.world.called(far());
    peer.send(b"INFO");
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "a open",
            "a input INFO",
            "a eof",
            "a close: closed by the peer"
        ]
    );
    assert_eq!(peer.text(), "INFO");
}

#[test]
fn a_connect_given_up_before_it_is_open_is_closed_without_on_open() {
    for gently in [false, true] {
        let mut bench = Bench::new();
        let key = connect(&mut bench, Outcome::Open, Probe::new("a"));
        bench.with(|cx| match gently {
            false => cx.io.close(key),
            true => cx.io.close_after_write(key),
        });
        bench.settle();
        assert_eq!(bench.told(), ["a close: closed"]);
    }
}

#[test]
fn a_handler_connects_again_from_its_on_close() {
    let mut bench = Bench::new();
    let elsewhere = SocketAddr::from(([10, 0, 0, 3], 4222));
    bench.world.answer(elsewhere, Outcome::Open);
    let first = Probe::new("first").on_close(move |cx| {
        cx.connect(elsewhere, Probe::new("second"));
    });
    connect(&mut bench, Outcome::Refused, first);
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "first close: connect failed: 10.0.0.2:4222: connection refused",
            "second open"
        ]
    );
}

#[test]
fn a_write_end_asked_for_while_nobody_answers_comes_with_the_opening() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Outcome::Silence, Probe::new("a"));
    bench.with(|cx| cx.io.shutdown_write(key));
    bench.settle();
    bench.world.open(far());
    bench.settle();
    assert_eq!(bench.log(), ["connect k1", "a open", "end k1"]);
}

#[test]
fn a_write_end_asked_for_before_the_opening_comes_after_what_was_queued() {
    let mut bench = Bench::new();
    let key = connect(&mut bench, Outcome::Open, Probe::new("a"));
    bench.with(|cx| {
        cx.io.send(key, b"request");
        cx.io.shutdown_write(key);
        assert!(!cx.io.send(key, b"too late"));
    });
    bench.settle();
    assert_eq!(
        bench.log(),
        ["connect k1", "a open", "write k1 7", "end k1"]
    );
}

#[test]
fn each_connect_has_the_timeout_it_was_given() {
    let mut bench = Bench::new();
    bench.world.answer(far(), Outcome::Silence);
    bench.with(|cx| {
        for (name, ms) in [("long", 50), ("short", 20)] {
            let options = ConnectOptions::default().timeout(Duration::from_millis(ms));
            cx.connect_with(far(), &options, Probe::new(name));
        }
    });
    bench.advance(Duration::from_millis(20) - Duration::from_nanos(1));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(Duration::from_nanos(1));
    assert_eq!(bench.told(), ["short close: connect timed out"]);
    bench.advance(Duration::from_millis(30));
    assert_eq!(bench.told(), ["long close: connect timed out"]);
}

#[test]
fn a_local_address_reaches_the_driver_and_is_the_one_of_the_connection() {
    let mut bench = Bench::new();
    let from = SocketAddr::from(([10, 0, 0, 7], 1_000));
    bench.world.answer(far(), Outcome::Open);
    let key = bench.with(|cx| {
        let options = ConnectOptions::default().local_addr(from);
        cx.connect_with(far(), &options, Probe::new("a"))
    });
    bench.settle();
    assert_eq!(bench.log(), ["connect k1 from 10.0.0.7:1000", "a open"]);
    assert_eq!(bench.with(|cx| cx.io.local_addr(key)), Some(from));
}
