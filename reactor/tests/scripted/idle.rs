//! The idle timeout: never early, never late, and never while bytes move.

use crate::support::{Bench, Outcome, Peer, Probe};
use std::net::SocketAddr;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn idler(name: &'static str) -> Probe {
    Probe::echo(name).on_open(|cx| cx.idle_timeout(Some(TIMEOUT)))
}

/// Advances to the timeout: nothing happens before, the close comes then.
fn closes_after(bench: &mut Bench, time: Duration) {
    bench.log();
    bench.advance(time - NANO);
    assert_eq!(bench.told(), [""; 0], "it is early");
    bench.advance(NANO);
    assert_eq!(bench.told(), ["a close: idle for too long"]);
    assert_eq!(bench.reactor.timer_count(), 0);
}

fn idle_for(bench: &mut Bench, peer: &Peer) -> Duration {
    let key = peer.key();
    bench.with(|cx| cx.io.idle_for(key))
}

#[test]
fn a_connection_that_never_says_a_thing_is_closed_after_the_timeout() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    closes_after(&mut bench, TIMEOUT);
    assert!(peer.closed());
}

#[test]
fn without_a_timeout_nothing_is_ever_closed() {
    let mut bench = Bench::new();
    let off = idler("a").on_input(|cx, input| {
        input.take();
        cx.idle_timeout(None);
    });
    let peer = bench.client(off);
    bench.client(Probe::new("never set"));
    peer.send(b"x");
    bench.settle();
    bench.log();
    assert_eq!(bench.reactor.timer_count(), 0);
    bench.advance(1000 * TIMEOUT);
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn the_time_counts_from_the_last_byte_wherever_it_came_within_the_timeout() {
    for moment in [NANO, 3 * SECOND, 9 * SECOND, TIMEOUT - NANO] {
        let mut bench = Bench::new();
        let peer = bench.client(idler("a"));
        bench.advance(moment);
        peer.send(b"x");
        bench.settle();
        closes_after(&mut bench, TIMEOUT);
    }
}

#[test]
fn steady_traffic_in_one_direction_keeps_a_connection() {
    let mut bench = Bench::new();
    let silent = Probe::new("in").on_open(|cx| cx.idle_timeout(Some(TIMEOUT)));
    let talker = bench.client(silent);
    let listener = bench.client(idler("out"));
    let key = listener.key();
    for _ in 0..50 {
        bench.advance(9 * SECOND);
        talker.send(b"x");
        bench.with(|cx| cx.io.send(key, b"y"));
        bench.settle();
    }
    assert_eq!(bench.calls("in close"), [""; 0]);
    assert_eq!((talker.received_len(), listener.received_len()), (0, 50));
}

#[test]
fn one_timer_serves_however_much_moves() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    let first = bench.reactor.next_deadline();
    for _ in 0..100 {
        peer.send(b"x");
        bench.advance(Duration::from_millis(50));
    }
    assert_eq!(bench.reactor.timer_count(), 1);
    assert_eq!(bench.reactor.next_deadline(), first, "it is not touched");
    bench.log();
    bench.advance(TIMEOUT);
    assert_eq!(bench.told(), ["a close: idle for too long"]);
}

#[test]
fn bytes_that_only_wait_do_not_count_and_bytes_that_leave_do() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    let key = peer.key();
    peer.set_room(1);
    bench.advance(5 * SECOND);
    bench.with(|cx| cx.io.send(key, b"abc"));
    bench.advance(9 * SECOND);
    assert_eq!(idle_for(&mut bench, &peer), 9 * SECOND);
    bench.with(|cx| cx.io.send(key, b"d"));
    bench.log();
    bench.advance(SECOND);
    assert_eq!(bench.told(), ["a close: idle for too long, 3 unsent"]);
}

#[test]
fn what_is_sent_in_the_very_turn_of_the_timeout_leaves_and_counts() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    let key = peer.key();
    bench.world.stall(TIMEOUT);
    bench.with(|cx| cx.io.send(key, b"x"));
    bench.turn();
    assert_eq!((peer.text(), peer.closed()), ("x".into(), false));
    closes_after(&mut bench, TIMEOUT);
}

#[test]
fn what_has_arrived_is_read_before_the_timeout_is_declared() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    bench.world.stall(5 * TIMEOUT);
    peer.send(b"x");
    bench.settle();
    assert_eq!(bench.told(), ["a input x"]);
    closes_after(&mut bench, TIMEOUT);
}

#[test]
fn the_time_stands_still_while_reading_is_paused_and_begins_anew() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    let key = peer.key();
    bench.advance(6 * SECOND);
    bench.with(|cx| cx.io.pause(key));
    bench.advance(100 * TIMEOUT);
    bench.with(|cx| cx.io.resume(key));
    closes_after(&mut bench, TIMEOUT);
    let peer = bench.client(idler("a"));
    let key = peer.key();
    bench.advance(6 * SECOND);
    bench.with(|cx| cx.io.pause(key));
    bench.advance(2 * SECOND);
    bench.with(|cx| cx.io.resume(key));
    closes_after(&mut bench, TIMEOUT);
}

#[test]
fn a_timeout_set_late_or_changed_counts_from_the_last_byte() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.advance(4 * SECOND);
    bench.with(|cx| {
        cx.io.idle_timeout(key, Some(2 * TIMEOUT));
        cx.io.idle_timeout(key, Some(TIMEOUT));
    });
    assert_eq!(bench.reactor.timer_count(), 1);
    closes_after(&mut bench, 6 * SECOND);
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.advance(4 * SECOND);
    bench.with(|cx| cx.io.idle_timeout(key, Some(SECOND)));
    bench.settle();
    assert_eq!(bench.told(), ["a close: idle for too long"]);
}

#[test]
fn a_connect_is_not_idle_and_the_time_counts_from_its_opening() {
    let mut bench = Bench::new();
    let elsewhere = SocketAddr::from(([10, 0, 0, 2], 1));
    bench.world.answer(elsewhere, Outcome::Silence);
    bench.with(|cx| {
        let key = cx.connect(elsewhere, Probe::new("a"));
        cx.io.idle_timeout(key, Some(TIMEOUT));
    });
    bench.advance(15 * SECOND);
    bench.world.open(elsewhere);
    bench.settle();
    assert_eq!(bench.told(), ["a open"]);
    closes_after(&mut bench, TIMEOUT);
}

#[test]
fn a_connection_that_is_ending_keeps_its_own_limit_and_reason() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a"));
    let key = peer.key();
    peer.set_room(0);
    bench.with(|cx| {
        cx.io.send(key, b"abc");
        cx.io.close_after_write(key);
    });
    bench.advance(2 * TIMEOUT);
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(TIMEOUT);
    assert_eq!(bench.told(), ["a close: closed, 3 unsent"]);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn idle_time_grows_and_is_over_with_a_byte_in_either_direction() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.advance(3 * SECOND);
    assert_eq!(idle_for(&mut bench, &peer), 3 * SECOND);
    bench.with(|cx| cx.io.send(key, b"x"));
    bench.settle();
    assert_eq!(idle_for(&mut bench, &peer), Duration::ZERO);
    bench.advance(2 * SECOND);
    peer.send(b"x");
    bench.settle();
    assert_eq!(idle_for(&mut bench, &peer), Duration::ZERO);
}

#[test]
fn a_peer_that_has_ended_its_direction_is_idle_when_nothing_leaves() {
    let mut bench = Bench::new();
    let peer = bench.client(idler("a").on_eof(|_| midge_reactor::Eof::KeepOpen));
    bench.advance(SECOND);
    peer.finish();
    bench.settle();
    closes_after(&mut bench, 9 * SECOND);
}
