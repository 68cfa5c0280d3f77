//! Relays whose bytes the system moves by itself: what holds of those that are copied holds of them.

use crate::support::{Bench, Peer, Probe};
use midge_reactor::{Eof, Key, ProxyOptions};
use std::time::Duration;

const MIB: usize = 1024 * 1024;

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// Two connections, the first relayed to the second, and a system that moves bytes.
fn relayed(options: &ProxyOptions) -> (Bench, Peer, Peer) {
    let mut bench = Bench::new();
    bench.world.splices();
    let a = bench.client(Probe::new("a").on_eof(|_| Eof::KeepOpen));
    let b = bench.client(Probe::new("b"));
    let (from, to) = (a.key(), b.key());
    let begun = bench.with(|cx| cx.proxy(from, to, options));
    begun.expect("both are open");
    bench.settle();
    bench.log();
    (bench, a, b)
}

fn count(log: &[String], prefix: &str) -> usize {
    log.iter().filter(|line| line.starts_with(prefix)).count()
}

fn queued(bench: &mut Bench, key: Key) -> usize {
    bench.with(|cx| cx.io.queued(key))
}

#[test]
fn much_is_moved_by_the_system_and_little_is_copied() {
    let (mut bench, a, b) = relayed(&ProxyOptions::default());
    a.send(b"little");
    bench.settle();
    assert_eq!(count(&bench.log(), "splice"), 0);
    let all = pattern(8 * MIB);
    a.send(&all);
    a.finish();
    bench.settle();
    let log = bench.log();
    assert!(b.received()[6..] == all && b.ended());
    assert_eq!(count(&log, "splice k1 k2"), 16);
    // The first slice does not know yet how much there is.
    assert!(count(&log, "read k1") <= 2, "{log:?}");
    assert_eq!(count(&log, "a proxy SourceEof"), 1);
    assert_eq!(bench.with(|cx| cx.proxied(a.key())), 6 + 8 * MIB as u64);
}

#[test]
fn all_arrives_in_order_however_little_the_target_takes_and_whatever_else_it_is_sent() {
    for room in [1, 1000, 100_000, 3 * MIB] {
        let (mut bench, a, b) = relayed(&ProxyOptions::default());
        let (to, all) = (b.key(), pattern(4 * MIB));
        b.set_room(room);
        a.send(&all);
        bench.settle();
        assert!(queued(&mut bench, to) <= MIB, "it is held");
        assert!(a.unread() > 0 || room > MIB);
        b.set_room(room);
        bench.settle();
        bench.with(|cx| cx.io.send(to, b"!"));
        for _ in 0..3 {
            bench.settle();
            b.set_room(room);
        }
        b.set_room(usize::MAX);
        a.finish();
        bench.settle();
        let mut heard = b.received();
        assert_eq!(heard.len(), all.len() + 1);
        // Where the two begin to differ, there is the other word.
        let differ = heard.iter().zip(&all).position(|(one, two)| one != two);
        let at = differ.unwrap_or(all.len());
        let at = heard[..=at].iter().rposition(|byte| *byte == b'!');
        heard.remove(at.expect("it was sent"));
        assert!(heard == all, "with room for {room}");
        assert!(b.ended());
    }
}

#[test]
fn a_source_is_held_until_all_that_was_left_over_has_gone() {
    let (mut bench, a, b) = relayed(&ProxyOptions::default());
    let (from, to) = (a.key(), b.key());
    b.set_room(200_000);
    a.send(&pattern(4 * MIB));
    bench.settle();
    let (unread, left) = (a.unread(), queued(&mut bench, to));
    assert!(left > 0 && left < 256 * 1024, "{left} were left over");
    b.set_room(left - 1);
    bench.settle();
    assert_eq!((a.unread(), queued(&mut bench, to)), (unread, 1));
    assert!(
        !bench.with(|cx| cx.io.is_paused(from)),
        "nobody has paused it"
    );
    b.set_room(1);
    bench.settle();
    assert!(a.unread() < unread);
}

#[test]
fn a_source_goes_on_although_others_never_let_the_queue_of_its_target_become_empty() {
    let (mut bench, a, b) = relayed(&ProxyOptions::default());
    let to = b.key();
    b.set_room(200_000);
    a.send(&pattern(4 * MIB));
    bench.settle();
    let unread = a.unread();
    for round in 0..20 {
        bench.with(|cx| cx.io.send(to, [b'.'; 1000]));
        b.set_room(queued(&mut bench, to) - 1);
        bench.settle();
        assert!(a.unread() < unread, "round {round}");
        assert!(queued(&mut bench, to) > 0, "round {round}");
    }
    assert_eq!(a.unread(), 0);
    b.set_room(usize::MAX);
    bench.settle();
    // It moves on by the system where it can.
    bench.log();
    a.send(&pattern(4 * MIB));
    bench.settle();
    assert!(count(&bench.log(), "splice k1 k2") > 0);
    assert_eq!(b.received_len(), 8 * MIB + 20_000);
}

#[test]
fn a_limit_is_kept_to_the_byte_and_the_handler_gets_the_rest() {
    for limit in [0, 16 * 1024, 16 * 1024 + 1, MIB - 1, MIB, 3 * MIB + 7] {
        let options = ProxyOptions {
            limit: Some(limit as u64),
            ..ProxyOptions::default()
        };
        let (mut bench, a, b) = relayed(&options);
        let all = pattern(4 * MIB);
        a.send(&all);
        bench.settle();
        assert!(b.received() == all[..limit], "a limit of {limit}");
        assert_eq!(a.unread(), 0, "its handler has read on");
        assert_eq!(bench.with(|cx| cx.proxied(a.key())), limit as u64);
    }
}

#[test]
fn a_target_that_takes_nothing_is_closed_when_its_time_is_over_and_what_is_lost_is_told() {
    let (mut bench, a, b) = relayed(&ProxyOptions::default());
    let to = b.key();
    bench.with(|cx| cx.io.write_timeout(to, Some(Duration::from_secs(1))));
    b.set_room(300_000);
    a.send(&pattern(4 * MIB));
    bench.settle();
    let left = queued(&mut bench, to);
    let taken = 4 * MIB - a.unread();
    assert_eq!(b.received_len() + left, taken, "nothing is anywhere else");
    bench.log();
    bench.advance(Duration::from_secs(1));
    let closed = format!("b close: write timed out, {left} unsent");
    assert!(bench.told().contains(&closed));
}

#[test]
fn a_relay_that_ends_leaves_nothing_behind() {
    let (mut bench, a, b) = relayed(&ProxyOptions::default());
    let all = pattern(2 * MIB);
    b.set_room(100_000);
    a.send(&all);
    bench.settle();
    bench.with(|cx| cx.unproxy(a.key()));
    let taken = 2 * MIB - a.unread();
    b.set_room(usize::MAX);
    bench.settle();
    assert!(b.received() == all[..taken]);
    assert_eq!(a.unread(), 0, "its handler has the rest");
}
