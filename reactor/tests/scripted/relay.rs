//! Relays: what one connection receives, another sends.

use crate::support::{Bench, Log, Outcome, Peer, Probe};
use midge_reactor::util::Relayed;
use midge_reactor::{Context, Eof, Io, Key, ProxyError, ProxyOptions};
use std::net::SocketAddr;
use std::time::Duration;

/// Two accepted connections, a and b, with their peers.
fn pair(a: Probe, b: Probe) -> (Bench, Peer, Peer) {
    let mut bench = Bench::new();
    let (a, b) = (bench.client(a), bench.client(b));
    (bench, a, b)
}

fn proxy(bench: &mut Bench, from: Key, to: Key, options: &ProxyOptions) {
    let begun = bench.with(|cx| cx.proxy(from, to, options));
    begun.expect("both are open, and neither is relayed");
    bench.settle();
}

fn limit(bytes: u64) -> ProxyOptions {
    ProxyOptions {
        limit: Some(bytes),
        ..ProxyOptions::default()
    }
}

#[test]
fn input_goes_to_the_target_past_the_handler_and_is_counted() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    proxy(&mut bench, a.key(), b.key(), &ProxyOptions::default());
    a.send(b"one ");
    bench.settle();
    a.send(b"two");
    bench.settle();
    assert_eq!(b.text(), "one two");
    assert_eq!(bench.with(|cx| cx.proxied(a.key())), 7);
    assert!(bench.with(|cx| cx.unproxy(a.key())));
    a.send(b"three");
    bench.settle();
    assert_eq!(b.text(), "one two");
    assert_eq!(bench.told(), ["a input three"]);
    assert_eq!(bench.with(|cx| cx.proxied(a.key())), 7);
    assert!(!bench.with(|cx| cx.unproxy(a.key())));
}

#[test]
fn a_limit_hands_over_exactly_that_many_bytes_and_the_handler_gets_the_rest() {
    for read_max in [1, 3, 7, 100] {
        let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
        proxy(&mut bench, a.key(), b.key(), &limit(7));
        bench.world.read_max(read_max);
        a.send(b"1234567rest");
        bench.settle();
        assert_eq!(b.text(), "1234567");
        let told = bench.told();
        assert_eq!(told[0], "a proxy Complete", "in reads of {read_max}");
        let rest: String = told[1..]
            .iter()
            .filter_map(|line| line.strip_prefix("a input "))
            .collect();
        assert_eq!(rest, "rest");
        assert_eq!(bench.with(|cx| cx.proxied(a.key())), 7);
    }
}

#[test]
fn a_limit_of_nothing_is_complete_before_the_first_byte() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    proxy(&mut bench, a.key(), b.key(), &limit(0));
    assert_eq!(bench.told(), ["a proxy Complete"]);
    a.send(b"mine");
    bench.settle();
    assert_eq!(
        (b.text().as_str(), bench.told()),
        ("", vec!["a input mine".to_owned()])
    );
}

#[test]
fn what_the_handler_has_left_unread_goes_first() {
    for at in [3, 5, 14] {
        let mut bench = Bench::new();
        let b = bench.client(Probe::new("b"));
        let to = b.key();
        let a = bench.client(Probe::new("a").on_input(move |cx, input| {
            if input.peek().starts_with(b"to:") {
                input.consume(3);
                cx.proxy(cx.key(), to, &limit(8)).expect("b is open");
            }
        }));
        a.send(&b"to:unread+back"[..at]);
        bench.settle();
        a.send(&b"to:unread+back"[at..]);
        bench.settle();
        assert_eq!(b.text(), "unread+b", "the first piece had {at} bytes");
        assert_eq!(bench.told().pop().as_deref(), Some("a input ack"));
    }
}

#[test]
fn the_queue_of_a_target_that_does_not_read_stays_at_its_mark() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let (from, to) = (a.key(), b.key());
    bench.with(|cx| cx.io.watermarks(to, 100, 1000, 1200));
    proxy(&mut bench, from, to, &ProxyOptions::default());
    b.set_room(0);
    let stream: Vec<u8> = (0..30_000u32).map(|n| (n >> 3) as u8).collect();
    a.send(&stream);
    bench.settle();
    assert_eq!(bench.with(|cx| cx.io.queued(to)), 1000);
    assert_eq!(a.unread(), 29_000, "the rest waits in the kernel");
    assert!(
        !bench.with(|cx| cx.io.is_paused(from)),
        "nobody has paused it"
    );
    b.set_room(850);
    bench.settle();
    assert_eq!(a.unread(), 29_000, "150 bytes are above the low mark");
    b.set_room(50);
    bench.settle();
    assert_eq!(
        (a.unread(), bench.with(|cx| cx.io.queued(to))),
        (28_100, 1000)
    );
    b.set_room(usize::MAX);
    bench.settle();
    assert!(b.received() == stream);
}

#[test]
fn a_mark_of_its_own_bounds_a_relay_whatever_the_target_allows() {
    for (high, bound) in [(10, 10), (5000, 1200)] {
        let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
        let (from, to) = (a.key(), b.key());
        bench.with(|cx| cx.io.watermarks(to, 100, 1000, 1200));
        let options = ProxyOptions {
            high: Some(high),
            ..ProxyOptions::default()
        };
        proxy(&mut bench, from, to, &options);
        b.set_room(0);
        a.send(&[7; 30_000]);
        bench.settle();
        assert_eq!(bench.with(|cx| cx.io.queued(to)), bound);
        b.set_room(usize::MAX);
        bench.settle();
        assert_eq!(b.received_len(), 30_000);
    }
}

#[test]
fn neither_the_pause_of_the_program_nor_that_of_the_relay_ends_the_other() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let (from, to) = (a.key(), b.key());
    bench.with(|cx| cx.io.watermarks(to, 0, 10, 1000));
    proxy(&mut bench, from, to, &ProxyOptions::default());
    b.set_room(0);
    a.send(&[7; 30]);
    bench.settle();
    bench.with(|cx| cx.io.pause(from));
    bench.with(|cx| cx.io.resume(from));
    bench.settle();
    assert_eq!(a.unread(), 20, "resumed in spite of the full queue");
    bench.with(|cx| cx.io.pause(from));
    b.set_room(usize::MAX);
    bench.settle();
    assert_eq!(
        (a.unread(), b.received_len()),
        (20, 10),
        "read in spite of the pause"
    );
    bench.with(|cx| cx.io.resume(from));
    bench.settle();
    assert_eq!((a.unread(), b.received_len()), (0, 30));
}

#[test]
fn what_cannot_be_relayed_is_refused_and_changes_nothing() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let c = bench.client(Probe::new("c"));
    let (from, to, other) = (a.key(), b.key(), c.key());
    let options = ProxyOptions::default();
    proxy(&mut bench, from, to, &options);
    bench.with(|cx| {
        assert_eq!(cx.proxy(other, to, &options), Err(ProxyError::TargetBusy));
        assert_eq!(cx.proxy(from, other, &options), Err(ProxyError::SourceBusy));
        assert_eq!(
            cx.proxy(Key::NONE, other, &options),
            Err(ProxyError::NoSource)
        );
        assert_eq!(
            cx.proxy(other, Key::NONE, &options),
            Err(ProxyError::NoTarget)
        );
        cx.io.shutdown_write(other);
        assert_eq!(cx.proxy(other, other, &options), Err(ProxyError::NoTarget));
    });
    a.send(b"still");
    bench.settle();
    assert_eq!(b.text(), "still");
}

#[test]
fn the_source_is_told_that_its_target_has_gone_and_keeps_what_comes_then() {
    let endings: [fn(&mut Bench, &Peer, Key); 4] = [
        |_, peer, _| peer.reset(),
        |_, peer, _| peer.hang_up(),
        |_, peer, _| peer.finish(),
        |bench, _, to| {
            bench.with(|cx| cx.io.close(to));
        },
    ];
    for (number, end) in endings.iter().enumerate() {
        let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
        let to = b.key();
        proxy(&mut bench, a.key(), to, &ProxyOptions::default());
        // Held up by a full queue, so that only the end can let it go on.
        bench.with(|cx| cx.io.watermarks(to, 0, 4, 1000));
        b.set_room(0);
        a.send(b"1234");
        bench.settle();
        end(&mut bench, &b, to);
        bench.advance(midge_reactor::LINGER * 2);
        a.send(b"late");
        bench.settle();
        let told = bench.told();
        let of_a: Vec<_> = told.iter().filter(|line| line.starts_with("a ")).collect();
        assert_eq!(
            of_a,
            ["a proxy TargetClosed", "a input late"],
            "ending {number}"
        );
        assert!(!a.closed());
    }
}

#[test]
fn the_source_is_told_of_a_failed_write_although_the_target_stays_to_be_read() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let to = b.key();
    proxy(&mut bench, a.key(), to, &ProxyOptions::default());
    // So that the source has been read to its end, and no turn of its own would find out.
    bench.world.short_read_drains();
    bench.with(|cx| cx.io.pause(to));
    b.hang_up();
    a.send(b"lost");
    bench.settle();
    assert_eq!(bench.told(), ["a proxy TargetClosed"]);
    assert!(!b.closed(), "it is paused, and its last input unread");
}

#[test]
fn a_target_that_nothing_more_can_be_queued_for_is_given_up_without_losing_a_byte() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let to = b.key();
    proxy(&mut bench, a.key(), to, &ProxyOptions::default());
    bench.with(|cx| cx.io.close_after_write(to));
    a.send(b"mine");
    bench.settle();
    assert_eq!(bench.told(), ["a proxy TargetClosed", "a input mine"]);
}

#[test]
fn a_source_that_closes_leaves_the_target_as_it_is_and_free_for_another() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let c = bench.client(Probe::new("c"));
    let to = b.key();
    proxy(&mut bench, a.key(), to, &ProxyOptions::default());
    a.send(b"from a ");
    bench.settle();
    a.reset();
    bench.settle();
    assert_eq!(bench.told(), ["a close: closed by the peer"]);
    proxy(&mut bench, c.key(), to, &ProxyOptions::default());
    c.send(b"from c");
    bench.settle();
    assert_eq!(b.text(), "from a from c");
    assert!(!b.closed() && !b.ended());
}

#[test]
fn the_end_of_the_source_is_passed_on_behind_its_last_byte_unless_it_is_not_wanted() {
    for half_close in [true, false] {
        let (mut bench, a, b) = pair(Probe::new("a").on_eof(|_| Eof::KeepOpen), Probe::new("b"));
        let options = ProxyOptions {
            half_close,
            ..ProxyOptions::default()
        };
        proxy(&mut bench, a.key(), b.key(), &options);
        b.set_room(2);
        a.send(b"last");
        a.finish();
        bench.settle();
        assert_eq!(bench.told(), ["a proxy SourceEof", "a eof"]);
        assert!(!b.ended(), "something is queued");
        b.set_room(100);
        bench.settle();
        assert_eq!((b.text().as_str(), b.ended()), ("last", half_close));
        assert!(!a.closed() && !b.closed());
    }
}

#[test]
fn two_relays_make_a_pipe_that_closes_when_both_directions_have_ended() {
    let end = |name| Probe::new(name).on_eof(|_| Eof::KeepOpen);
    let (mut bench, a, b) = pair(end("a"), end("b"));
    proxy(&mut bench, a.key(), b.key(), &ProxyOptions::default());
    proxy(&mut bench, b.key(), a.key(), &ProxyOptions::default());
    a.send(b"ping");
    a.finish();
    bench.settle();
    assert_eq!(
        (b.text().as_str(), b.ended(), a.ended()),
        ("ping", true, false)
    );
    b.send(b"pong");
    b.finish();
    bench.settle();
    assert_eq!((a.text().as_str(), a.ended()), ("pong", true));
    assert!(a.closed() && b.closed());
}

#[test]
fn a_target_that_is_still_connecting_collects_and_then_gets_all() {
    let mut bench = Bench::new();
    let addr = SocketAddr::from(([10, 0, 0, 2], 80));
    bench.world.answer(addr, Outcome::Silence);
    let a = bench.client(Probe::new("a").on_eof(|_| Eof::KeepOpen));
    let to = bench.with(|cx| cx.connect(addr, Probe::new("b").on_eof(|_| Eof::KeepOpen)));
    bench.with(|cx| cx.io.watermarks(to, 2, 6, 100));
    proxy(&mut bench, a.key(), to, &ProxyOptions::default());
    a.send(b"early bird");
    bench.settle();
    assert_eq!(a.unread(), 4);
    a.finish();
    bench.world.open(addr);
    bench.settle();
    let b = bench.world.called(addr);
    assert_eq!((b.text().as_str(), b.ended()), ("early bird", true));
}

#[test]
fn a_connect_that_fails_is_a_target_that_has_closed() {
    let mut bench = Bench::new();
    let a = bench.client(Probe::new("a"));
    let addr = SocketAddr::from(([10, 0, 0, 2], 80));
    let to = bench.with(|cx| cx.connect(addr, Probe::new("b")));
    proxy(&mut bench, a.key(), to, &ProxyOptions::default());
    let told = bench.told();
    assert!(
        told.contains(&"a proxy TargetClosed".to_owned()),
        "{told:?}"
    );
}

#[test]
fn a_connection_may_be_relayed_to_itself() {
    let mut bench = Bench::new();
    let a = bench.client(Probe::new("a"));
    proxy(&mut bench, a.key(), a.key(), &ProxyOptions::default());
    bench.with(|cx| cx.io.watermarks(a.key(), 10, 100, 1000));
    bench.world.write_max(7);
    a.send(&[b'x'; 5000]);
    bench.settle();
    assert_eq!(a.received_len(), 5000);
    a.finish();
    bench.settle();
    assert!(a.closed());
    assert_eq!(bench.with(|cx| Io::connections(&cx.io)), 0);
}

#[test]
fn a_relay_has_one_read_a_turn_and_others_theirs() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let echo = bench.client(Probe::echo("echo"));
    proxy(&mut bench, a.key(), b.key(), &ProxyOptions::default());
    bench.log();
    a.send(&vec![1; 1 << 20]);
    echo.send(b"me too");
    bench.turn();
    assert_eq!(
        (b.received_len(), echo.text().as_str()),
        (16 << 10, "me too")
    );
    bench.settle();
    assert_eq!(b.received_len(), 1 << 20);
}

#[test]
fn a_relay_that_was_held_once_does_not_keep_its_silent_source() {
    let (mut bench, a, b) = pair(Probe::new("a"), Probe::new("b"));
    let (from, to) = (a.key(), b.key());
    let timeout = Duration::from_secs(10);
    bench.with(|cx| cx.io.idle_timeout(from, Some(timeout)));
    proxy(&mut bench, from, to, &ProxyOptions::default());
    bench.with(|cx| cx.io.pause(from));
    bench.with(|cx| cx.io.resume(from));
    a.send(b"last");
    bench.settle();
    assert_eq!(b.text(), "last");
    bench.told();
    bench.advance(timeout);
    assert_eq!(bench.told(), ["a close: idle for too long"]);
}

/// A visitor of a proxy to a server at `far`, whose connect ends so.
fn proxied(far: SocketAddr, outcome: Outcome) -> (Bench, Peer) {
    let mut bench = Bench::new();
    bench.world.answer(far, outcome);
    let addr = SocketAddr::from(([10, 0, 0, 1], 8_000));
    let listener = bench.with(|cx| {
        cx.listen(addr, move |cx: &mut Context<'_, Log>| {
            let visitor = cx.key();
            let server = cx.connect(far, Relayed::to(visitor));
            Relayed::to(server)
        })
    });
    listener.expect("the address is free");
    let visitor = bench.world.dial(addr);
    (bench, visitor)
}

#[test]
fn two_that_are_relayed_to_each_other_pass_bytes_and_ends_on_and_close_when_both_have_come() {
    let far = SocketAddr::from(([10, 0, 0, 2], 80));
    let (mut bench, visitor) = proxied(far, Outcome::Silence);
    visitor.send(b"question");
    visitor.finish();
    bench.settle();
    bench.world.open(far);
    bench.settle();
    let server = bench.world.called(far);
    assert_eq!(server.text(), "question");
    assert!(server.ended() && !server.closed() && !visitor.closed());
    server.send(b"answer");
    bench.settle();
    assert_eq!(visitor.text(), "answer");
    assert!(!visitor.ended());
    server.finish();
    bench.settle();
    assert!(server.closed() && visitor.closed());
    assert_eq!(bench.reactor.connections(), 0);
}

#[test]
fn of_two_that_are_relayed_to_each_other_neither_outlives_the_other() {
    let far = SocketAddr::from(([10, 0, 0, 2], 80));
    for outcome in [Outcome::Refused, Outcome::FailsAtOnce] {
        let (mut bench, visitor) = proxied(far, outcome);
        bench.settle();
        assert!(visitor.ended(), "{outcome:?}");
        visitor.finish();
        bench.settle();
        assert!(visitor.closed(), "{outcome:?}");
        assert_eq!(bench.reactor.connections(), 0, "{outcome:?}");
    }
    let (mut bench, visitor) = proxied(far, Outcome::Open);
    visitor.set_room(3);
    bench.settle();
    let server = bench.world.called(far);
    server.send(b"last words");
    bench.settle();
    server.reset();
    bench.settle();
    assert!(server.closed() && !visitor.closed(), "some words are left");
    visitor.set_room(100);
    bench.settle();
    visitor.finish();
    bench.settle();
    assert_eq!(visitor.text(), "last words");
    assert_eq!(bench.reactor.connections(), 0);
}
