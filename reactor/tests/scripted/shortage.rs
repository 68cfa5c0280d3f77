//! The system says "no more", in each way that it has: what passes is tried again, and what does not ends
//! one connection and nothing else.

use crate::support::{Bench, Probe};
use midge_reactor::Event;
use rustix::io::Errno;
use std::time::Duration;

/// Want of memory.
const PASSING: [Errno; 2] = [Errno::NOBUFS, Errno::NOMEM];

/// What is no better a moment later.
const LASTING: [Errno; 7] = [
    Errno::IO,
    Errno::FBIG,
    Errno::DQUOT,
    Errno::NOSPC,
    Errno::MFILE,
    Errno::NFILE,
    Errno::TIMEDOUT,
];

const REST: Duration = Duration::from_millis(20);

#[test]
fn a_write_without_memory_is_tried_again_and_no_byte_is_lost() {
    for errno in PASSING {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::echo("a"));
        for _ in 0..2 {
            peer.write_error(errno.raw_os_error());
        }
        peer.send(b"first");
        bench.settle();
        assert_eq!(peer.text(), "", "{errno}");
        peer.send(b" second");
        bench.settle();
        for _ in 0..3 {
            bench.advance(REST);
        }
        assert_eq!(peer.text(), "first second", "{errno}");
        assert_eq!(bench.told(), ["a input first", "a input  second"]);
        assert_eq!(bench.reactor.timer_count(), 0);
    }
}

#[test]
fn a_read_without_memory_is_tried_again_without_an_edge() {
    for errno in PASSING {
        let mut bench = Bench::new();
        let peer = bench.client(Probe::echo("a"));
        peer.read_error(errno.raw_os_error());
        peer.send(b"first");
        bench.settle();
        assert_eq!(bench.told(), [""; 0], "{errno}");
        bench.advance(REST);
        assert_eq!(bench.told(), ["a input first"], "{errno}");
        assert_eq!(peer.text(), "first");
    }
}

#[test]
fn a_connection_at_rest_has_one_timer_however_much_fails_meanwhile() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    for _ in 0..10 {
        peer.write_error(Errno::NOBUFS.raw_os_error());
        peer.read_error(Errno::NOMEM.raw_os_error());
    }
    for _ in 0..10 {
        peer.send(b"x");
        peer.set_room(usize::MAX);
        bench.world.inject(Event::Ready {
            key: peer.key(),
            readable: true,
            writable: true,
            hangup: false,
        });
        bench.settle();
        assert_eq!(bench.reactor.timer_count(), 1);
    }
    bench.with(|cx| cx.io.close(peer.key()));
    bench.settle();
    assert_eq!(bench.reactor.timer_count(), 0, "it has gone");
}

#[test]
fn a_rest_counts_from_the_failure_in_a_turn_that_is_long() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let peer = bench.client(Probe::new("a").on_input(move |cx, input| {
        cx.send(input.take());
        world.stall(REST / 2);
    }));
    peer.write_error(Errno::NOBUFS.raw_os_error());
    peer.send(b"x");
    bench.settle();
    bench.advance(REST - Duration::from_nanos(1));
    assert_eq!(peer.text(), "");
    bench.advance(Duration::from_nanos(1));
    assert_eq!(peer.text(), "x");
}

#[test]
fn a_poll_that_fails_is_told_calls_no_handler_and_loses_nothing() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    bench.with(|cx| cx.after(REST, |cx| cx.state.add(|| "timer".to_owned())));
    // The look that a due timer asks for fails as well, after the event was noted.
    for due in [false, true] {
        if due {
            bench.world.stall(REST);
        }
        peer.send(b"x");
        for _ in 0..3 {
            bench.world.poll_error(Errno::BADF.raw_os_error());
            let turned = bench.reactor.turn(Some(Duration::ZERO));
            let error = turned.expect_err("the poll has failed");
            assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
            assert_eq!(bench.told(), [""; 0]);
        }
        bench.settle();
        let timer = ["a input x", "timer"];
        assert_eq!(bench.told(), timer[..1 + usize::from(due)]);
    }
    assert_eq!(peer.text(), "xx");
}

#[test]
fn a_write_that_goes_on_failing_for_want_of_memory_ends_by_its_deadline() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a").on_open(|cx| {
        let key = cx.key();
        cx.io.write_timeout(key, Some(Duration::from_secs(1)));
    }));
    for _ in 0..1000 {
        peer.write_error(Errno::NOBUFS.raw_os_error());
    }
    peer.send(b"x");
    bench.settle();
    for _ in 0..60 {
        bench.advance(REST);
    }
    assert!(peer.closed());
    assert_eq!(
        bench.told(),
        ["a input x", "a close: write timed out, 1 unsent"]
    );
}

#[test]
fn any_other_failure_ends_its_connection_and_no_other() {
    for errno in LASTING {
        for fails in ["read", "write"] {
            let mut bench = Bench::new();
            let peer = bench.client(Probe::echo("a"));
            let other = bench.client(Probe::echo("b"));
            match fails {
                "read" => peer.read_error(errno.raw_os_error()),
                _ => peer.write_error(errno.raw_os_error()),
            }
            peer.send(b"x");
            bench.settle();
            assert!(peer.closed(), "{fails}: {errno}");
            let told = bench.told();
            let ends = told.iter().filter(|line| line.starts_with("a close: "));
            assert_eq!(ends.count(), 1, "{fails}: {errno}: {told:?}");
            other.send(b"y");
            bench.settle();
            assert_eq!(other.text(), "y", "{fails}: {errno}");
        }
    }
}
