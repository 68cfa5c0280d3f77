//! Work for each turn, and work for the end.

use crate::support::{Bench, Cx, Probe};
use std::ops::ControlFlow;
use std::rc::Rc;

fn say(cx: &mut Cx<'_>, line: String) {
    cx.state.add(|| line);
}

#[test]
fn it_runs_once_a_turn_and_sockets_are_served_between() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    let mut left = 3;
    let handle = bench.with(|cx| {
        cx.each_turn(move |cx| {
            left -= 1;
            say(cx, format!("work {left}"));
            if left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    });
    for expected in ["work 2", "work 1", "work 0"] {
        assert!(bench.reactor.has_work() && !handle.is_stopped());
        peer.send(b"x");
        bench.turn();
        assert_eq!(bench.told(), ["a input x", expected]);
    }
    assert!(handle.is_stopped());
    // A reactor that spins would not come to rest.
    bench.settle();
    assert_eq!(peer.text(), "xxx");
}

#[test]
fn stopping_it_from_outside_or_from_inside_ends_it_and_drops_the_closure() {
    for inside in [false, true] {
        let mut bench = Bench::new();
        let owned = Rc::new(());
        let held = Rc::clone(&owned);
        let own = Rc::new(std::cell::RefCell::new(None::<midge_reactor::EachTurn>));
        let itself = Rc::clone(&own);
        let handle = bench.with(|cx| {
            cx.each_turn(move |cx| {
                let _ = &held;
                say(cx, "work".to_owned());
                if inside && let Some(itself) = itself.take() {
                    itself.stop();
                }
                ControlFlow::Continue(())
            })
        });
        own.replace(Some(handle.clone()));
        bench.turn();
        if !inside {
            bench.turn();
            bench.told();
            handle.stop();
        }
        assert!(handle.is_stopped());
        bench.settle();
        assert_eq!(bench.told(), if inside { &["work"][..] } else { &[] });
        assert_eq!(Rc::strong_count(&owned), 1);
    }
}

#[test]
fn it_counts_as_stopped_when_it_panics_and_when_the_reactor_is_gone() {
    let mut bench = Bench::new();
    let panics = bench.with(|cx| cx.each_turn(|_| panic!("a bug")));
    let turned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.turn()));
    assert!(turned.is_err() && panics.is_stopped());
    let lives = bench.with(|cx| cx.each_turn(|_| ControlFlow::Continue(())));
    bench.turn();
    assert!(!lives.is_stopped());
    drop(bench);
    assert!(lives.is_stopped());
}

#[test]
fn shutdown_hooks_run_last_in_first_out_before_the_last_closes_and_once() {
    let mut bench = Bench::new();
    bench.client(Probe::new("a"));
    bench.with(|cx| {
        for name in ["first", "second"] {
            cx.on_shutdown(move |cx| say(cx, name.to_owned()));
        }
        cx.on_shutdown(|cx| {
            assert!(cx.is_stopping());
            say(cx, "third".to_owned());
            cx.on_shutdown(|cx| say(cx, "given by third".to_owned()));
            cx.defer(|cx| say(cx, "too late".to_owned()));
        });
    });
    bench.settle();
    assert_eq!(bench.told(), [""; 0], "not before the end");
    bench.with(|cx| cx.io.stop());
    for _ in 0..2 {
        bench.run();
    }
    assert_eq!(
        bench.told(),
        [
            "third",
            "given by third",
            "second",
            "first",
            "a close: reactor stopped"
        ]
    );
}

#[test]
fn a_graceful_shutdown_ends_with_the_hooks_too() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    bench.with(|cx| {
        cx.on_shutdown(|cx| say(cx, "hook".to_owned()));
        cx.shutdown(std::time::Duration::from_secs(1));
        assert!(cx.io.is_shutting_down() && !cx.is_stopping());
    });
    peer.finish();
    bench.run();
    assert_eq!(bench.told(), ["a close: reactor stopped", "hook"]);
}
