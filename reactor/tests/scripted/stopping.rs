//! How a reactor ends: at once, or in good order within a time of grace.

use crate::support::{Bench, Cx, Outcome, Probe};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn elsewhere() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 1))
}

#[test]
fn stop_tells_every_handler_once_and_sends_nothing_more() {
    let mut bench = Bench::new();
    let full = bench.client(Probe::new("full"));
    full.set_room(0);
    let idle = bench.client(Probe::new("idle"));
    let key = full.key();
    bench.with(|cx| {
        cx.connect(elsewhere(), Probe::new("refused"));
    });
    bench.settle();
    bench.log();
    bench.world.answer(elsewhere(), Outcome::Silence);
    bench.with(|cx| {
        cx.io.send(key, b"abc");
        cx.connect(elsewhere(), Probe::new("connecting"));
    });
    bench.settle();
    bench.with(|cx| cx.io.stop());
    assert!(bench.reactor.is_stopping());
    for _ in 0..2 {
        bench.run();
    }
    assert_eq!(
        bench.told(),
        [
            "full close: reactor stopped, 3 unsent",
            "idle close: reactor stopped",
            "connecting close: reactor stopped"
        ]
    );
    assert!(full.closed() && idle.closed());
    assert_eq!(bench.world.open_sockets(), 0);
}

#[test]
fn every_handler_is_told_of_the_end_however_long_that_takes() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c"] {
        let world = bench.world.clone();
        bench.client(Probe::new(name).on_close(move |_| world.stall(SECOND)));
    }
    bench.with(|cx| cx.io.stop());
    bench.run();
    assert_eq!(
        bench.told(),
        ["a", "b", "c"].map(|name| format!("{name} close: reactor stopped"))
    );
}

#[test]
fn a_job_that_the_last_turn_has_left_over_is_dropped_with_the_end() {
    let mut bench = Bench::new();
    let key = bench.client(Probe::new("a")).key();
    bench.world.write_takes(SECOND);
    let remote = bench.reactor.remote();
    let long = move |cx: &mut Cx<'_>| {
        cx.io.send(key, b"x");
        cx.io.flush_now(key);
        cx.stop();
    };
    remote.post(long).expect("it runs");
    let (answer, answered) = mpsc::channel();
    let left_over = move |_: &mut Cx<'_>| answer.send(()).expect("somebody waits");
    remote.post(left_over).expect("it runs");
    bench.run();
    assert_eq!(
        answered.try_recv(),
        Err(mpsc::TryRecvError::Disconnected),
        "it neither runs nor waits"
    );
}

#[test]
fn what_was_deferred_runs_before_the_end_however_long_it_takes_and_the_end_comes_all_the_same() {
    fn again(cx: &mut Cx<'_>) {
        cx.defer(|cx| {
            cx.state.add(|| "again".to_owned());
            again(cx);
        });
    }
    type Stop = fn(&mut Cx<'_>);
    let stops: [Stop; 3] = [
        |cx| cx.io.stop(),
        |cx| cx.defer(|cx| cx.io.stop()),
        |cx| cx.io.shutdown(Duration::ZERO),
    ];
    for stop in stops {
        let mut bench = Bench::new();
        let world = bench.world.clone();
        bench.with(|cx| {
            stop(cx);
            for name in ["a", "b", "c"] {
                let world = world.clone();
                cx.defer(move |cx| {
                    world.stall(SECOND);
                    cx.state.add(|| name.to_owned());
                    again(cx);
                });
            }
        });
        bench.run();
        let told = bench.told();
        assert_eq!(told[..3], ["a", "b", "c"]);
        assert!(told.len() <= 6, "{told:?}");
    }
}

#[test]
fn stop_in_a_handler_lets_the_turn_finish() {
    let mut bench = Bench::new();
    let stopper = bench.client(Probe::new("stopper").on_input(|cx, input| {
        cx.send(input.take());
        cx.stop();
        cx.defer(|cx| cx.state.add(|| "deferred".to_owned()));
    }));
    let other = bench.client(Probe::echo("other"));
    stopper.send(b"a");
    other.send(b"b");
    bench.run();
    assert_eq!(
        bench.told(),
        [
            "stopper input a",
            "other input b",
            "deferred",
            "stopper close: reactor stopped",
            "other close: reactor stopped"
        ]
    );
    assert_eq!((stopper.text(), other.text()), ("a".into(), "b".into()));
}

#[test]
fn stop_in_on_open_and_stop_before_the_first_turn_are_clean() {
    let mut bench = Bench::new();
    bench.dial(Probe::new("a").on_open(|cx| cx.io.stop()));
    bench.run();
    assert_eq!(bench.told(), ["a open", "a close: reactor stopped"]);
    let mut bench = Bench::new();
    bench.with(|cx| cx.io.stop());
    bench.run();
    assert_eq!(bench.world.polls(), 0);
    assert_eq!(bench.world.open_sockets(), 0);
}

#[test]
fn what_is_opened_after_the_end_is_told_when_it_is_run_again() {
    let mut bench = Bench::new();
    bench.with(|cx| cx.io.stop());
    bench.run();
    bench.with(|cx| {
        cx.connect(elsewhere(), Probe::new("late"));
    });
    bench.run();
    assert_eq!(bench.told(), ["late close: reactor stopped"]);
}

#[test]
fn what_is_opened_in_the_last_on_close_is_closed_without_a_call() {
    let mut bench = Bench::new();
    bench.world.answer(elsewhere(), Outcome::Open);
    bench.client(Probe::new("a").on_close(|cx| {
        cx.connect(elsewhere(), Probe::new("too late"));
    }));
    bench.with(|cx| cx.io.stop());
    bench.run();
    assert_eq!(bench.told(), ["a close: reactor stopped"]);
    assert_eq!(bench.world.open_sockets(), 0);
}

#[test]
fn shutdown_closes_the_listeners_flushes_and_stops_when_nothing_is_open() {
    let mut bench = Bench::new();
    let quick = bench.client(Probe::new("quick"));
    let slow = bench.client(Probe::new("slow"));
    let keys = [quick.key(), slow.key()];
    slow.set_room(1);
    bench.with(|cx| {
        for key in keys {
            cx.io.send(key, b"last");
        }
        cx.io.shutdown(10 * SECOND);
        cx.io.shutdown(SECOND);
        assert!(!cx.io.send(keys[0], b"too late"));
    });
    bench.settle();
    assert_eq!(
        bench.log(),
        ["write k1 4", "end k1", "write k2 1", "close k0"]
    );
    quick.finish();
    bench.advance(5 * SECOND);
    assert_eq!(bench.told(), ["quick close: reactor stopped"]);
    slow.set_room(3);
    slow.finish();
    bench.settle();
    assert!(bench.reactor.is_stopping(), "nothing is open");
    assert_eq!(bench.told(), ["slow close: reactor stopped"]);
    assert_eq!(slow.text(), "last");
    bench.run();
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn shutdown_cuts_at_the_end_of_the_grace() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(1);
    bench.with(|cx| {
        cx.io.send(key, b"last");
        cx.io.shutdown(3 * SECOND);
    });
    bench.advance(3 * SECOND - Duration::from_nanos(1));
    assert!(!bench.reactor.is_stopping());
    bench.run();
    assert_eq!(bench.world.now().as_nanos(), 3_000_000_000);
    assert_eq!(bench.told(), ["a close: reactor stopped, 3 unsent"]);
}

#[test]
fn nobody_makes_the_grace_longer_also_where_the_loop_stood_still() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    peer.set_room(1);
    bench.with(|cx| {
        cx.io.send(key, b"last");
        cx.io.shutdown(3 * SECOND);
    });
    bench.settle();
    bench.log();
    bench.world.stall(10 * SECOND);
    peer.set_room(1);
    bench.run();
    assert_eq!(bench.world.now().as_nanos(), 10_000_000_000);
    assert_eq!(bench.told(), ["a close: reactor stopped, 2 unsent"]);
}

#[test]
fn shutdown_waits_only_shortly_for_peers_that_have_all_and_do_not_end() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    bench.with(|cx| cx.io.shutdown(60 * SECOND));
    bench.run();
    assert!(peer.closed());
    assert!(bench.world.now().as_nanos() <= 25_000_000);
}

#[test]
fn shutdown_is_not_delayed_by_a_peer_that_was_refused_and_goes_on_sending() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_input(|cx, input| {
        input.take();
        cx.send(b"no");
        cx.close_after_write();
    }));
    peer.send(b"x");
    bench.settle();
    peer.send(b"and on");
    bench.with(|cx| cx.io.shutdown(60 * SECOND));
    bench.run();
    assert_eq!((peer.text(), peer.closed()), ("no".to_owned(), true));
    assert!(bench.world.now().as_nanos() <= 25_000_000);
}

#[test]
fn shutdown_with_nothing_open_stops_at_once() {
    for listening in [true, false] {
        let mut bench = Bench::new();
        let listener = bench.listener;
        if !listening {
            bench.with(|cx| cx.io.close(listener));
            bench.settle();
        }
        bench.with(|cx| cx.io.shutdown(60 * SECOND));
        bench.run();
        assert_eq!(bench.world.now().as_nanos(), 0);
        assert_eq!(bench.world.open_sockets(), 0);
    }
}

#[test]
fn shutdown_gives_up_connects_and_cuts_what_is_opened_after_it() {
    let mut bench = Bench::new();
    bench.world.answer(elsewhere(), Outcome::Silence);
    let again = Probe::new("first").on_close(|cx| {
        cx.connect(elsewhere(), Probe::new("again"));
    });
    bench.with(|cx| {
        cx.connect(elsewhere(), again);
        cx.io.shutdown(3 * SECOND);
    });
    bench.run();
    assert_eq!(
        bench.told(),
        [
            "first close: reactor stopped",
            "again close: reactor stopped"
        ]
    );
    assert_eq!(bench.world.now().as_nanos(), 3_000_000_000);
}
