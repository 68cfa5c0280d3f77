//! Calls with keys that name nothing any more, calls made twice, and errors that say what to do.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::{Eof, Key};
use std::io::ErrorKind;
use std::time::Duration;

/// Every call that takes a key, on a key that finds nothing.
fn assert_finds_nothing(bench: &mut Bench, key: Key) {
    let open = bench.reactor.counts();
    bench.with(|cx| {
        let io = &mut cx.io;
        assert!(!io.send(key, b"x"));
        assert!(!io.send_bytes(key, bytes::Bytes::from_static(b"x")));
        assert!(io.writer(key, 1).is_none());
        assert!(!io.close(key));
        assert!(!io.close_after_write(key));
        assert!(!io.fail(key, "x"));
        assert!(!io.fail_after_write(key, "x"));
        assert!(!io.is_open(key));
        assert!(!io.is_paused(key));
        assert!(!io.congested(key));
        assert_eq!(io.queued(key), 0);
        assert_eq!(io.idle_for(key), Duration::ZERO);
        assert_eq!(io.last_progress(key), None);
        assert_eq!(io.peer_addr(key), None);
        assert_eq!(io.local_addr(key), None);
        io.pause(key);
        io.resume(key);
        io.shutdown_write(key);
        io.watermarks(key, 0, 0, 0);
        io.write_timeout(key, Some(Duration::ZERO));
        io.idle_timeout(key, Some(Duration::ZERO));
        io.set_timer(key, Duration::ZERO, 1);
        assert_eq!(cx.listening_on(key), None);
    });
    bench.settle();
    assert_eq!(bench.log(), [""; 0]);
    assert_eq!(bench.reactor.counts(), open);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn a_key_that_names_nothing_finds_nothing_and_does_nothing() {
    let mut bench = Bench::new();
    assert_finds_nothing(&mut bench, Key::NONE);
    let peer = bench.client(Probe::new("a"));
    let stale = peer.key();
    bench.with(|cx| cx.io.close(stale));
    bench.settle();
    bench.log();
    assert_finds_nothing(&mut bench, stale);
    let next = bench.client(Probe::new("b"));
    assert_eq!(next.key().index(), stale.index(), "the slot is used again");
    assert_finds_nothing(&mut bench, stale);
    assert!(!next.closed());
}

#[test]
fn only_the_first_close_counts() {
    let mut bench = Bench::new();
    let addr = Bench::addr();
    let listener = bench.listener;
    let peer = bench.client(Probe::new("a").on_close(|cx| {
        let key = cx.key();
        assert!(!cx.io.close(key), "it is closing");
        assert!(!cx.io.send(key, b"x"));
    }));
    let key = peer.key();
    bench.with(|cx| {
        assert!(cx.io.close(key));
        assert!(!cx.io.close(key));
        assert!(!cx.io.close_after_write(key));
        assert!(!cx.io.fail(key, "too late"));
        assert!(!cx.io.send(key, b"too late"));
        assert!(cx.io.close(listener));
        assert!(!cx.io.close(listener));
    });
    bench.settle();
    assert_eq!(bench.log(), ["a close: closed", "close k1", "close k0"]);
    assert!(!bench.with(|cx| cx.io.close(listener)));
    // Nothing is left of it: the address is free.
    let again = bench.with(|cx| cx.listen(addr, |_: &mut Cx<'_>| Probe::new("b")));
    assert!(again.is_ok());
}

#[test]
fn listening_where_somebody_listens_names_the_address_and_keeps_the_kind() {
    let mut bench = Bench::new();
    let error = bench
        .with(|cx| cx.listen(Bench::addr(), |_: &mut Cx<'_>| Probe::new("b")))
        .expect_err("the address is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(error.to_string(), "listen on 10.0.0.1:4222: address in use");
    let source = error.get_ref().and_then(|error| error.source());
    assert!(source.is_some(), "the system's own error is below");
    assert_eq!(
        bench.reactor.counts().listeners,
        1,
        "nothing is left behind"
    );
    let nowhere = bench.with(|cx| cx.listen(&[][..], |_: &mut Cx<'_>| Probe::new("c")));
    let error = nowhere.expect_err("there is no address");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_was_left_unread_at_the_end_is_not_offered_again() {
    for yields in [false, true] {
        for in_the_call in [false, true] {
            let mut bench = Bench::new();
            let again = move |cx: &mut Cx<'_>| {
                let key = cx.key();
                cx.io.pause(key);
                cx.io.resume(key);
            };
            let keeps = Probe::new("a")
                .on_input(move |cx, input| {
                    input.consume(1);
                    if yields && input.len() == 2 {
                        cx.yield_now();
                    }
                })
                .on_eof(move |cx| {
                    assert_eq!(cx.unread().len(), if yields { 1 } else { 2 });
                    if in_the_call {
                        again(cx);
                    }
                    Eof::KeepOpen
                });
            let peer = bench.client(keeps);
            let key = peer.key();
            peer.send(b"abc");
            peer.finish();
            bench.settle();
            for _ in 0..2 {
                bench.with(|cx| cx.io.pause(key));
                bench.settle();
                bench.with(|cx| cx.io.resume(key));
                bench.settle();
            }
            let told = bench.told();
            let calls: &[&str] = if yields {
                &["a input abc", "a input bc", "a eof"]
            } else {
                &["a input abc", "a eof"]
            };
            assert_eq!(told, calls, "yields {yields}, in the call {in_the_call}");
            assert!(!bench.reactor.has_work() && !peer.closed());
        }
    }
}
