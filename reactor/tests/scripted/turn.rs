//! One turn: the order of its steps, and that each works on a snapshot.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::Event;
use std::time::Duration;

const SIGNAL: i32 = 10;

fn defer_for_ever(cx: &mut Cx<'_>, left: usize) {
    cx.state.add(|| format!("deferred {left}"));
    if left > 0 {
        cx.defer(move |cx| defer_for_ever(cx, left - 1));
    }
}

#[test]
fn a_turn_goes_signals_jobs_input_timers_deferred_flush_close() {
    let mut bench = Bench::new();
    let worker = Probe::new("worker").on_input(|cx, input| {
        cx.send(input.take());
        cx.close();
    });
    let other = Probe::new("other").on_input(|cx, input| {
        cx.send(input.take());
        cx.defer(|cx| cx.state.add(|| "deferred".to_owned()));
    });
    let other = bench.client(other);
    let worker = bench.client(worker);
    bench.with(|cx| {
        cx.after(Duration::from_millis(5), |cx| {
            cx.state.add(|| "timer".to_owned());
        });
        cx.on_signals(&[SIGNAL], |cx, signal| {
            cx.state.add(|| format!("signal {signal}"));
        })
        .expect("the driver watches any signal");
    });
    bench.world.stall(Duration::from_millis(5));
    worker.send(b"bye");
    other.send(b"hello");
    let remote = bench.reactor.remote();
    remote
        .post(|cx| cx.state.add(|| "job".to_owned()))
        .expect("it runs");
    bench.world.inject(Event::Signal(SIGNAL));
    bench.turn();
    assert_eq!(
        bench.full_log(),
        [
            "poll 0ns",
            // Once more, since a timer is due.
            "poll 0ns",
            "signal 10",
            "job",
            "read k1 5",
            "other input hello",
            "read k2 3",
            "worker input bye",
            "timer",
            "deferred",
            "write k1 5",
            "worker close: closed, 3 unsent",
            "close k2",
        ]
    );
}

#[test]
fn output_of_many_senders_leaves_in_one_write_per_connection() {
    let mut bench = Bench::new();
    let sink = bench.client(Probe::new("sink"));
    let to = sink.key();
    let senders: Vec<_> = (0..50)
        .map(|_| {
            bench.client(Probe::new("sender").on_input(move |cx, input| {
                for byte in input.take() {
                    cx.io.send(to, [*byte]);
                }
            }))
        })
        .collect();
    for sender in &senders {
        sender.send(b"0123456789");
    }
    bench.settle();
    assert_eq!(bench.calls("write"), ["write k1 500"]);
    assert_eq!(sink.received(), b"0123456789".repeat(50));
}

#[test]
fn what_deferred_work_defers_runs_in_the_next_turn_after_a_poll() {
    let mut bench = Bench::new();
    bench.with(|cx| defer_for_ever(cx, 2));
    bench.log();
    bench.settle();
    let polls_and_work: Vec<_> = bench.full_log();
    assert_eq!(
        polls_and_work,
        [
            "poll 0ns",
            "deferred 1",
            "poll 0ns",
            "deferred 0",
            "poll for ever"
        ]
    );
}

#[test]
fn what_is_deferred_before_the_first_turn_runs_in_it() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        cx.defer(|cx| cx.state.add(|| "deferred".to_owned()));
    });
    assert!(bench.reactor.has_work());
    bench.turn();
    assert_eq!(bench.log(), ["deferred"]);
    assert!(!bench.reactor.has_work());
}

#[test]
fn a_reactor_with_nothing_to_do_sleeps_for_ever() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        let peer = bench.client(Probe::echo("a"));
        peer.send(b"ping");
    }
    bench.settle();
    bench.full_log();
    let polls = bench.world.polls();
    bench.advance(Duration::from_secs(3600));
    assert_eq!(bench.full_log(), ["poll for ever"]);
    assert_eq!(bench.world.polls() - polls, 1);
    assert_eq!(bench.reactor.next_deadline(), None);
}

#[test]
fn turn_waits_no_longer_than_it_is_told_to() {
    let mut bench = Bench::new();
    let waits = [
        (None, "poll 7ms"),
        (Some(5), "poll 5ms"),
        (Some(9), "poll 7ms"),
    ];
    for (max_wait, poll) in waits {
        let timer = bench.with(|cx| cx.after(Duration::from_millis(7), |_| {}));
        bench
            .reactor
            .turn(max_wait.map(Duration::from_millis))
            .expect("the scripted poll never fails");
        assert_eq!(bench.full_log(), [poll]);
        bench.with(|cx| cx.io.cancel(timer));
    }
}

#[test]
fn now_is_one_instant_for_a_whole_turn_and_moves_between_turns() {
    let mut bench = Bench::new();
    let world = bench.world.clone();
    let slow = Probe::new("slow").on_input(move |cx, input| {
        input.take();
        let before = cx.now();
        world.stall(Duration::from_secs(1));
        assert_eq!(cx.now(), before);
        cx.defer(move |cx| assert_eq!(cx.now(), before));
    });
    let peer = bench.client(slow);
    peer.send(b"x");
    bench.turn();
    assert_eq!(bench.with(|cx| cx.now()), bench.world.now());
}

#[test]
fn a_readiness_that_proves_to_be_nothing_does_no_harm() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::echo("a"));
    let rumours = [
        (true, false, false),
        (false, true, false),
        (true, true, true),
    ];
    for (readable, writable, hangup) in rumours {
        for key in [peer.key(), bench.listener] {
            bench.world.inject(Event::Ready {
                key,
                readable,
                writable,
                hangup,
            });
        }
        bench.settle();
    }
    peer.send(b"still here");
    bench.settle();
    assert_eq!(peer.text(), "still here");
    assert_eq!(bench.told(), ["a input still here"]);
}

#[test]
fn a_late_event_for_a_connection_that_has_gone_finds_nothing() {
    let mut bench = Bench::new();
    let old = bench.client(Probe::new("old"));
    let stale = old.key();
    bench.with(|cx| cx.io.close(stale));
    bench.settle();
    let new = bench.client(Probe::new("new"));
    assert_eq!(new.key().index(), stale.index(), "the slot is used again");
    assert_ne!(new.key(), stale);
    bench.world.inject(Event::Ready {
        key: stale,
        readable: true,
        writable: true,
        hangup: true,
    });
    bench.settle();
    assert_eq!(bench.full_log(), ["poll for ever", "poll for ever"]);
    new.send(b"not in the way");
    bench.settle();
    assert_eq!(bench.told(), ["new input not in the way"]);
}

#[test]
fn handlers_may_be_made_while_handlers_run() {
    let mut bench = Bench::new();
    let addr = std::net::SocketAddr::from(([10, 0, 0, 2], 1));
    bench.world.answer(addr, crate::support::Outcome::Open);
    let maker = Probe::new("maker").on_open(move |cx| {
        for name in ["first", "second", "third"] {
            let key = cx.connect(addr, Probe::new(name));
            cx.io.send(key, name.as_bytes());
        }
    });
    bench.dial(maker);
    bench.settle();
    assert_eq!(
        bench.told(),
        ["maker open", "first open", "second open", "third open"]
    );
    assert_eq!(bench.world.called(addr).text(), "third");
}

#[test]
fn each_signal_goes_to_those_who_asked_for_it() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        for (name, signals) in [("both", &[1, 2][..]), ("second", &[2])] {
            cx.on_signals(signals, move |cx, signal| {
                cx.state.add(|| format!("{name} {signal}"));
            })
            .expect("the driver watches any signal");
        }
    });
    for signal in [2, 3, 1] {
        bench.world.inject(Event::Signal(signal));
    }
    bench.settle();
    assert_eq!(bench.log(), ["both 2", "second 2", "both 1"]);
}
