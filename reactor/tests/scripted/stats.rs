//! Counters, and what is open by kind.

use crate::support::{Bench, Catcher, Outcome, Probe};
use midge_reactor::Event;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn each_counter_counts_what_it_says() {
    let mut bench = Bench::new();
    assert_eq!(bench.reactor.stats(), Default::default());
    let addr = SocketAddr::from(([10, 0, 0, 2], 1));
    bench.world.answer(addr, Outcome::Open);
    let peers = ["a", "b"].map(|name| bench.client(Probe::echo(name)));
    bench.with(|cx| {
        cx.connect(addr, Probe::new("c"));
        cx.connect(SocketAddr::from(([10, 0, 0, 3], 1)), Probe::new("refused"));
        cx.after(MS, |_| {});
        cx.defer(|_| {});
        cx.on_signals(&[1], |_, _| {}).expect("any signal will do");
    });
    let remote = bench.reactor.remote();
    remote.post(|_| {}).expect("it runs");
    bench.world.inject(Event::Signal(1));
    peers[0].send(b"12345");
    peers[1].finish();
    bench.advance(MS);
    let stats = bench.with(|cx| cx.io.stats());
    assert_eq!(stats, bench.reactor.stats());
    assert_eq!((stats.accepted, stats.connected, stats.closed), (2, 1, 2));
    assert_eq!((stats.read_bytes, stats.written_bytes), (5, 5));
    let polls = bench.world.polls() as u64;
    // One turn has looked twice, since a timer was due.
    assert_eq!((stats.turns, stats.polls), (polls - 1, polls));
    assert_eq!(
        (
            stats.timers_fired,
            stats.deferred,
            stats.jobs,
            stats.signals
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(stats.panics, 0);
    let log = bench.full_log();
    let calls = |call: &str| log.iter().filter(|line| line.starts_with(call)).count() as u64;
    assert_eq!(stats.writes, calls("write k"));
    // The log of the first turns has been taken: what is left is less.
    assert!(stats.reads >= calls("read k") && calls("read k") > 0);
    assert!(stats.events > 0);
}

#[test]
fn packets_are_counted_where_the_kernel_has_had_a_part_in_them() {
    let mut bench = Bench::new();
    let addr = SocketAddr::from(([10, 0, 0, 1], 53));
    let far = SocketAddr::from(([10, 0, 0, 9], 1));
    let opened = bench.with(|cx| cx.udp(addr, Catcher::echo("u")));
    let key = opened.expect("the address is free");
    for packet in [&b"one"[..], b"", b"three"] {
        bench.world.packet(key, far, packet);
    }
    bench.settle();
    // One that is refused, and one that is still queued.
    bench.world.send_error(key, ErrorKind::PermissionDenied);
    bench.with(|cx| cx.io.send_to(key, far, b"refused"));
    bench.settle();
    bench.world.packet_room(key, 0);
    bench.with(|cx| cx.io.send_to(key, far, b"waits"));
    bench.settle();
    let stats = bench.reactor.stats();
    assert_eq!((stats.received_packets, stats.received_bytes), (3, 8));
    assert_eq!((stats.sent_packets, stats.sent_bytes), (3, 8));
    assert_eq!((stats.read_bytes, stats.written_bytes), (0, 0));
    assert_eq!(bench.world.sent().len(), 3);
}

#[test]
fn listeners_and_connections_are_counted_apart_and_the_reactors_own_not_at_all() {
    let mut bench = Bench::new();
    let counts = |bench: &Bench| {
        let counts = bench.reactor.counts();
        assert_eq!(counts.connections, bench.reactor.connections());
        (counts.listeners, counts.connections)
    };
    assert_eq!(counts(&bench), (1, 0));
    let peer = bench.client(Probe::new("a").on_close(|cx| {
        let key = cx.key();
        cx.io.close(key);
    }));
    bench.client(Probe::new("b"));
    assert_eq!(counts(&bench), (1, 2));
    let key = peer.key();
    let listener = bench.listener;
    bench.with(|cx| {
        cx.io.close(key);
        cx.io.close(key);
        assert_eq!(
            cx.io.counts().connections,
            2,
            "it is closed at the end of a turn"
        );
    });
    bench.settle();
    assert_eq!(counts(&bench), (1, 1));
    assert!(!bench.reactor.has_work(), "no close is pending");
    bench.with(|cx| cx.io.close(listener));
    bench.settle();
    assert_eq!(counts(&bench), (0, 1));
}

#[test]
fn timers_are_counted_while_they_are_armed() {
    let mut bench = Bench::new();
    let timer = bench.with(|cx| {
        cx.after(MS, |cx| {
            assert_eq!(cx.io.timer_count(), 1, "itself has fired");
        });
        cx.after(2 * MS, |_| {})
    });
    assert_eq!(bench.reactor.timer_count(), 2);
    bench.advance(MS);
    assert_eq!(bench.reactor.timer_count(), 1);
    bench.with(|cx| cx.io.cancel(timer));
    assert_eq!(bench.with(|cx| cx.io.timer_count()), 0);
}
