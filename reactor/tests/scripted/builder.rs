//! What a builder sets.

use crate::support::{Bench, Probe};
use midge_reactor::Reactor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn more_timers_than_allowed_are_a_panic_that_names_the_limit() {
    let mut bench = Bench::built(Reactor::builder().max_timers(3));
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    let timer = bench.with(|cx| {
        cx.every(SECOND, |_| {});
        cx.io.set_timer(key, SECOND, 1);
        cx.after(SECOND, |_| {})
    });
    let arm: [fn(&mut crate::support::Cx<'_>, midge_reactor::Key); 4] = [
        |cx, _| _ = cx.after(SECOND, |_| {}),
        |cx, _| _ = cx.every(SECOND, |_| {}),
        |cx, key| _ = cx.io.set_timer(key, SECOND, 1),
        |cx, key| _ = cx.io.set_interval(key, SECOND, 1),
    ];
    for arm in arm {
        let armed = catch_unwind(AssertUnwindSafe(|| bench.with(|cx| arm(cx, key))));
        let message = *armed
            .expect_err("there are three")
            .downcast::<String>()
            .expect("it has a message");
        assert!(message.starts_with("3 timers are armed"), "{message}");
        assert_eq!(bench.reactor.timer_count(), 3);
    }
    bench.with(|cx| cx.io.cancel(timer));
    bench.with(|cx| cx.after(SECOND, |_| {}));
    // The reactor's own are not refused.
    bench.with(|cx| cx.io.idle_timeout(key, Some(10 * SECOND)));
    assert_eq!(bench.reactor.timer_count(), 4);
}

#[test]
fn timers_of_connections_that_have_gone_do_not_count_against_the_limit() {
    let mut bench = Bench::built(Reactor::builder().max_timers(3));
    for _ in 0..10 {
        let peer = bench.client(Probe::new("a").on_open(|cx| {
            cx.set_timer(SECOND, 1);
            cx.set_timer(SECOND, 2);
        }));
        let key = peer.key();
        bench.with(|cx| cx.io.close(key));
        bench.settle();
    }
}

#[test]
fn a_closure_whose_timer_is_refused_is_dropped() {
    let mut bench = Bench::built(Reactor::builder().max_timers(0));
    let kept = Rc::new(());
    for _ in 0..3 {
        let (once, again) = (Rc::clone(&kept), Rc::clone(&kept));
        let refused = [
            catch_unwind(AssertUnwindSafe(|| {
                bench.with(|cx| cx.after(SECOND, move |_| drop(once)))
            })),
            catch_unwind(AssertUnwindSafe(|| {
                bench.with(|cx| cx.every(SECOND, move |_| _ = Rc::clone(&again)))
            })),
        ];
        assert!(refused.iter().all(Result::is_err));
    }
    assert_eq!(Rc::strong_count(&kept), 1);
}

#[test]
fn a_read_takes_no_more_than_it_is_to_take() {
    for bytes in [0, 100, 1_000] {
        let mut bench = Bench::built(Reactor::builder().read_bytes(bytes));
        let peer = bench.client(Probe::echo("a"));
        let sent: Vec<u8> = (0..3_000).map(|at| (at % 251) as u8).collect();
        peer.send(&sent);
        bench.settle();
        assert_eq!(peer.received(), sent);
        let reads = bench.calls("read").len();
        assert_eq!(reads, 3_000_usize.div_ceil(bytes.max(64)), "{bytes} bytes");
    }
}

#[test]
fn what_is_left_unread_fits_behind_any_size_of_a_read() {
    for bytes in [0, 100, 1_000, 5_000, 100_000] {
        let mut bench = Bench::built(Reactor::builder().read_bytes(bytes));
        // Takes nothing before all is there.
        let peer = bench.client(Probe::new("a").on_input(|cx, input| {
            if input.len() == 20_000 {
                cx.send(input.take());
            }
        }));
        let sent: Vec<u8> = (0..20_000).map(|at| (at % 251) as u8).collect();
        for piece in sent.chunks(1_700) {
            peer.send(piece);
            bench.settle();
        }
        assert!(peer.received() == sent, "with reads of {bytes} bytes");
    }
}

#[test]
fn a_driver_whose_clock_stands_still_is_not_spun_upon() {
    let mut bench = Bench::built(Reactor::builder().spin(SECOND));
    bench.with(|cx| cx.after(SECOND, |_| {}));
    bench.turn();
    bench.full_log();
    bench
        .reactor
        .turn(None)
        .expect("the scripted poll never fails");
    assert_eq!(bench.full_log(), ["poll 1s"]);
}
