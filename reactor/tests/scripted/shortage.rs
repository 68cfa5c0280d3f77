//! The system says "no more", in each way that it has: what passes is tried again, and what does not ends
//! one connection and nothing else.

use crate::support::{Bench, Probe};
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
