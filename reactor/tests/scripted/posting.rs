//! Jobs and values from other threads, with a bound.

use crate::support::{Bench, Cx, Log, World};
use midge_reactor::util::Sender;
use midge_reactor::{Ended, Reactor, Refused};
use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn a_job_that_finds_no_room_is_handed_back_and_can_be_posted_again() {
    let mut bench = Bench::built(Reactor::builder().posted_max(2));
    let remote = bench.reactor.remote();
    let job = |number| move |cx: &mut Cx<'_>| cx.state.add(|| format!("job {number}"));
    assert!(remote.try_post(job(1)).is_ok());
    assert!(remote.post(job(2)).is_ok());
    let Err(Refused::Full(third)) = remote.try_post(job(3)) else {
        panic!("there was room for a third");
    };
    assert!(remote.post(job(4)).is_ok(), "this one has no bound");
    bench.settle();
    assert_eq!(bench.log(), ["job 1", "job 2", "job 4"]);
    assert!(remote.try_post(third).is_ok());
    bench.settle();
    assert_eq!(bench.log(), ["job 3"]);
    bench.with(|cx| cx.set_posted_max(0));
    assert!(matches!(remote.try_post(job(5)), Err(Refused::Full(_))));
}

const MILLI: Duration = Duration::from_millis(1);

thread_local! {
    /// For jobs, which must be fit for any thread.
    static HERE: RefCell<Option<World>> = const { RefCell::new(None) };
}

#[test]
fn jobs_that_a_turn_has_left_over_count_among_those_that_wait() {
    let mut bench = Bench::built(Reactor::builder().posted_max(3));
    let remote = bench.reactor.remote();
    HERE.set(Some(bench.world.clone()));
    let long = |_: &mut Cx<'_>| {
        HERE.with_borrow(|world| world.as_ref().expect("it is set").stall(3 * MILLI));
    };
    for _ in 0..3 {
        assert!(remote.try_post(long).is_ok());
    }
    bench.turn();
    assert!(remote.try_post(|_| {}).is_ok(), "one of three has run");
    assert!(matches!(remote.try_post(|_| {}), Err(Refused::Full(_))));
    bench.settle();
    assert!(remote.try_post(|_| {}).is_ok(), "all have run");
}

#[test]
fn a_job_for_a_reactor_that_has_ended_is_handed_back() {
    let bench = Bench::new();
    let remote = bench.reactor.remote();
    assert!(!remote.is_ended());
    drop(bench);
    assert!(remote.is_ended());
    let refused = remote.try_post(|_| {}).expect_err("it has ended");
    assert!(matches!(refused, Refused::Ended(_)));
    assert_eq!(refused.to_string(), "the reactor has ended");
}

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

fn channel(bench: &Bench, max: usize) -> Sender<u64, Log> {
    let remote = bench.reactor.remote();
    remote.channel(max, |cx: &mut Cx<'_>, value| {
        cx.state.add(|| format!("value {value}"));
    })
}

#[test]
fn values_come_in_order_many_in_one_turn_and_at_most_so_many_wait() {
    let mut bench = Bench::new();
    let sender = channel(&bench, 3);
    for value in 0..3 {
        assert_eq!(sender.try_send(value), Ok(()));
    }
    assert_eq!(sender.try_send(3), Err(Refused::Full(3)));
    assert_eq!(sender.waiting(), 3);
    bench.turn();
    assert_eq!(bench.log(), ["value 0", "value 1", "value 2"]);
    assert_eq!(sender.try_send(3), Ok(()));
    bench.settle();
    assert_eq!(bench.log(), ["value 3"]);
}

#[test]
fn a_value_that_is_sent_while_others_are_handed_over_waits_for_the_next_turn() {
    let mut bench = Bench::new();
    let remote = bench.reactor.remote();
    let (give, get) = mpsc::channel::<Sender<u64, Log>>();
    let sender = remote.channel(10, move |cx: &mut Cx<'_>, value| {
        cx.state.add(|| format!("value {value}"));
        if let Ok(again) = get.try_recv() {
            again.try_send(value + 10).expect("there is room");
        }
    });
    give.send(sender.clone()).expect("it is listened to");
    sender.try_send(1).expect("there is room");
    sender.try_send(2).expect("there is room");
    bench.settle();
    assert_eq!(
        bench.full_log(),
        [
            "poll 0ns",
            "value 1",
            "value 2",
            "poll 0ns",
            "value 11",
            "poll for ever"
        ]
    );
}

#[test]
fn a_sender_that_waits_for_room_gets_all_its_values_across() {
    let mut bench = Bench::new();
    bench.world.waits_for_wakes();
    let remote = bench.reactor.remote();
    let mut next = 0;
    let sender = remote.channel(4, move |cx: &mut Cx<'_>, value: u64| {
        assert_eq!(value, next, "out of order");
        next += 1;
        if next == 10_000 {
            cx.stop();
        }
    });
    let producer = thread::spawn(move || {
        for value in 0..10_000 {
            sender.send(value).expect("it runs until all have come");
            assert!(sender.waiting() <= 4);
        }
    });
    bench.run();
    producer.join().expect("sending does not panic");
}

#[test]
fn the_end_frees_a_sender_that_waits_and_refuses_the_rest() {
    // Whether it waits already when the end comes or not, it is told; in some rounds it does.
    for _ in 0..200 {
        let bench = Bench::new();
        let sender = channel(&bench, 1);
        sender.try_send(1).expect("there is room");
        let (waits, (tell, told)) = (sender.clone(), mpsc::channel());
        let (start, started) = mpsc::channel();
        thread::spawn(move || {
            start.send(()).expect("the test waits for it");
            tell.send(waits.send(2))
        });
        started.recv().expect("it begins");
        thread::yield_now();
        drop(bench);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(Ended)));
        assert_eq!(sender.try_send(3), Err(Refused::Ended(3)));
        assert_eq!(sender.waiting(), 0);
    }
}

#[test]
fn a_channel_that_was_never_used_before_the_end_refuses_its_first_value() {
    let bench = Bench::new();
    let sender = channel(&bench, 1);
    drop(bench);
    assert_eq!(sender.try_send(1), Err(Refused::Ended(1)));
    assert_eq!(sender.send(1), Err(Ended));
}

#[test]
fn values_behind_one_whose_closure_panics_are_not_lost() {
    let mut bench = Bench::new();
    let remote = bench.reactor.remote();
    let sender = remote.channel(10, |cx: &mut Cx<'_>, value: u64| {
        assert_ne!(value, 2, "not this one");
        cx.state.add(|| format!("value {value}"));
    });
    for value in 1..4 {
        sender.try_send(value).expect("there is room");
    }
    let turn = std::panic::AssertUnwindSafe(|| bench.turn());
    assert!(std::panic::catch_unwind(turn).is_err());
    bench.settle();
    assert_eq!(bench.log(), ["value 1", "value 3"]);
}
