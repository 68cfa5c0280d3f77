//! Timers as handlers see them: order, cancelling, periods.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::TimerId;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Logs `name` and the time, in milliseconds.
fn tell(cx: &mut Cx<'_>, name: &str) {
    let now = cx.now().as_nanos() / 1_000_000;
    cx.state.add(|| format!("{name} {now}"));
}

#[test]
fn timers_fire_by_deadline_then_in_order_of_arming_and_never_early() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a"));
    let key = peer.key();
    bench.with(|cx| {
        for (delay, name) in [(20, "c"), (10, "a"), (30, "d"), (10, "b")] {
            cx.after(ms(delay), move |cx| tell(cx, name));
        }
        cx.io.set_timer(key, ms(10), 7);
    });
    bench.advance(ms(9));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(ms(21));
    assert_eq!(bench.told(), ["a 10", "b 10", "a timer 7", "c 20", "d 30"]);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn input_that_has_arrived_is_seen_before_a_timeout_is_declared() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.set_timer(ms(10), 1);
    }));
    bench.world.stall(ms(1000));
    peer.send(b"in time");
    bench.settle();
    assert_eq!(bench.told(), ["a input in time", "a timer 1"]);
}

#[test]
fn timers_armed_between_turns_count_from_when_they_are_armed() {
    let mut bench = Bench::new();
    bench.world.stall(ms(1000));
    bench.with(|cx| {
        cx.after(ms(10), |cx| tell(cx, "once"));
    });
    bench.advance(ms(9));
    assert_eq!(bench.told(), [""; 0]);
    bench.advance(ms(1));
    assert_eq!(bench.told(), ["once 1010"]);
}

#[test]
fn a_cancelled_timer_never_fires_and_its_closure_is_dropped() {
    let mut bench = Bench::new();
    let owned = Rc::new(());
    for periodic in [false, true] {
        let held = Rc::clone(&owned);
        let timer = bench.with(|cx| {
            let work = move |cx: &mut Cx<'_>| {
                let _ = &held;
                tell(cx, "cancelled");
            };
            match periodic {
                true => cx.every(ms(10), work),
                false => cx.after(ms(10), work),
            }
        });
        bench.settle();
        assert_eq!(Rc::strong_count(&owned), 2);
        assert!(bench.with(|cx| cx.io.cancel(timer)));
        assert!(!bench.with(|cx| cx.io.cancel(timer)), "once is enough");
        bench.turn();
        assert_eq!(Rc::strong_count(&owned), 1);
    }
    bench.advance(ms(100));
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_closure_cancelled_late_in_a_turn_is_dropped_in_it() {
    let mut bench = Bench::new();
    let owned = Rc::new(());
    let held = Rc::clone(&owned);
    bench.with(|cx| {
        let timer = cx.every(ms(10), move |_| {
            let _ = &held;
        });
        cx.defer(move |cx| {
            cx.io.cancel(timer);
        });
    });
    bench.turn();
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_closure_that_has_run_once_is_dropped() {
    let mut bench = Bench::new();
    let owned = Rc::new(());
    let held = Rc::clone(&owned);
    bench.with(|cx| {
        cx.after(ms(1), move |_| drop(held));
    });
    bench.advance(ms(1));
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_period_does_not_drift_and_leaves_out_what_was_missed() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        cx.every(ms(10), |cx| tell(cx, "tick"));
    });
    bench.advance(ms(25));
    bench.world.stall(ms(38));
    bench.settle();
    bench.advance(ms(20));
    assert_eq!(
        bench.told(),
        ["tick 10", "tick 20", "tick 63", "tick 70", "tick 80"]
    );
}

#[test]
fn a_short_period_skips_a_long_stall_in_one_step() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        cx.every(Duration::from_nanos(3), |cx| tell(cx, "tick"));
        cx.after(ms(50_000), |cx| tell(cx, "once"));
    });
    bench.world.stall(ms(60_000));
    bench.turn();
    assert_eq!(bench.told(), ["tick 60000", "once 60000"]);
    let next = bench.reactor.next_deadline().expect("it is periodic");
    assert!(next > bench.world.now());
}

#[test]
fn a_period_of_zero_makes_progress_without_blocking_the_others() {
    let mut bench = Bench::new();
    let ticks = Rc::new(Cell::new(0));
    let counted = Rc::clone(&ticks);
    let timer = bench.with(|cx| cx.every(Duration::ZERO, move |_| counted.set(counted.get() + 1)));
    let peer = bench.dial(Probe::echo("a"));
    for turn in 1..=10 {
        bench.world.stall(ms(1));
        peer.send(b"x");
        bench.turn();
        assert_eq!(ticks.get(), turn, "once a turn");
    }
    assert_eq!(peer.received_len(), 10);
    assert!(bench.with(|cx| cx.io.cancel(timer)));
    bench.settle();
    assert_eq!(ticks.get(), 10);
}

#[test]
fn a_timer_armed_in_a_timer_waits_for_the_next_turn() {
    let mut bench = Bench::new();
    fn again(cx: &mut Cx<'_>, left: usize) {
        cx.state.add(|| format!("timer {left}"));
        if left > 0 {
            cx.after(Duration::ZERO, move |cx| again(cx, left - 1));
        }
    }
    bench.with(|cx| {
        cx.after(Duration::ZERO, |cx| again(cx, 2));
    });
    for left in [2, 1, 0] {
        bench.turn();
        assert_eq!(bench.told(), [format!("timer {left}")]);
    }
}

#[test]
fn a_period_may_cancel_itself_and_be_cancelled_before_its_first_time() {
    let mut bench = Bench::new();
    let id: Rc<Cell<Option<TimerId>>> = Rc::default();
    let (mine, mut left) = (Rc::clone(&id), 3);
    let owned = Rc::new(());
    let held = Rc::clone(&owned);
    let timer = bench.with(|cx| {
        cx.every(ms(10), move |cx| {
            let _ = &held;
            tell(cx, "tick");
            left -= 1;
            if left == 0 {
                assert!(cx.io.cancel(mine.get().expect("it was set")));
            }
        })
    });
    id.set(Some(timer));
    bench.advance(ms(100));
    assert_eq!(bench.told(), ["tick 10", "tick 20", "tick 30"]);
    assert_eq!(Rc::strong_count(&owned), 1);
    assert_eq!(bench.reactor.timer_count(), 0);
    assert!(!bench.with(|cx| cx.io.cancel(timer)));
}

#[test]
fn the_id_of_a_timer_that_has_fired_cancels_no_other() {
    let mut bench = Bench::new();
    let first = bench.with(|cx| cx.after(ms(1), |cx| tell(cx, "first")));
    bench.advance(ms(1));
    bench.with(|cx| {
        cx.after(ms(1), |cx| tell(cx, "second"));
        assert!(!cx.io.cancel(first));
    });
    bench.advance(ms(1));
    assert_eq!(bench.told(), ["first 1", "second 2"]);
}

#[test]
fn one_timer_may_cancel_another_that_is_due_in_the_same_turn() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        let id: Rc<Cell<Option<TimerId>>> = Rc::default();
        let other = Rc::clone(&id);
        cx.after(ms(1), move |cx| {
            cx.io.cancel(other.get().expect("it was set"));
        });
        id.set(Some(cx.after(ms(1), |cx| tell(cx, "cancelled"))));
    });
    bench.advance(ms(10));
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_delay_of_centuries_is_accepted_and_does_not_end() {
    let mut bench = Bench::new();
    bench.world.stall(ms(1));
    bench.with(|cx| {
        cx.after(Duration::MAX, |cx| tell(cx, "never"));
        cx.every(Duration::MAX, |cx| tell(cx, "never"));
    });
    bench.advance(Duration::from_secs(1_000_000_000));
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(bench.reactor.timer_count(), 2);
}

#[test]
fn an_interval_of_a_connection_ends_with_it() {
    let mut bench = Bench::new();
    let peer = bench.client(Probe::new("a").on_open(|cx| {
        cx.set_interval(ms(10), 1);
    }));
    bench.advance(ms(30));
    assert_eq!(bench.told(), ["a timer 1"; 3]);
    peer.finish();
    bench.advance(ms(100));
    assert_eq!(bench.told(), ["a eof", "a close: closed by the peer"]);
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn timers_of_connections_that_have_gone_do_not_pile_up() {
    let mut bench = Bench::new();
    let stays = bench.client(Probe::new("stays").on_open(|cx| {
        cx.set_timer(ms(3_600_000), 1);
    }));
    for _ in 0..1_000 {
        let peer = bench.client(Probe::new("goes").on_open(|cx| {
            cx.set_timer(ms(3_600_000), 1);
            cx.set_interval(ms(3_600_000), 2);
        }));
        let key = peer.key();
        bench.with(|cx| cx.io.close(key));
        bench.settle();
    }
    bench.log();
    let left = bench.reactor.timer_count();
    assert!(left < 200, "{left} timers are kept for one connection");
    bench.advance(ms(3_600_000));
    assert_eq!(bench.told(), ["stays timer 1"]);
    assert!(!stays.closed());
    bench.advance(ms(3_600_000));
    assert_eq!(bench.reactor.timer_count(), 0);
}
