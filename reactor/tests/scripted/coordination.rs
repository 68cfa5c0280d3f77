//! Promises and queues: who is called, in which order, and never from inside of a call.

use crate::support::{Bench, Cx, Log, Probe};
use midge_reactor::util::{Promise, Queue};
use std::rc::Rc;
use std::time::Duration;

type Outcome = Promise<u32, &'static str, Log>;

fn told(name: &'static str) -> impl FnOnce(&mut Cx<'_>, &Result<u32, &'static str>) {
    move |cx, result| cx.state.add(|| format!("{name} {result:?}"))
}

#[test]
fn all_who_wait_are_called_in_the_order_of_waiting_and_never_inside_of_the_call_that_settles() {
    let mut bench = Bench::new();
    let promise = Outcome::new();
    bench.with(|cx| {
        for name in ["a", "b", "c"] {
            promise.then(cx, told(name));
        }
        assert!(!promise.is_settled());
        assert!(promise.succeed(cx, 1));
        cx.state.add(|| "settled".to_owned());
        promise.then(cx, told("late"));
    });
    bench.turn();
    assert_eq!(
        bench.log(),
        ["settled", "a Ok(1)", "b Ok(1)", "c Ok(1)", "late Ok(1)"]
    );
}

#[test]
fn whoever_settles_in_input_is_answered_in_the_same_turn() {
    let mut bench = Bench::new();
    let promise = Outcome::new();
    let settles = promise.clone();
    let peer = bench.client(Probe::new("h").on_input(move |cx, input| {
        input.take();
        settles.fail(cx, "no");
    }));
    bench.with(|cx| promise.then(cx, told("a")));
    bench.turn();
    peer.send(b"x");
    bench.turn();
    assert_eq!(bench.told(), ["h input x", "a Err(\"no\")"]);
}

#[test]
fn only_the_first_result_counts() {
    let mut bench = Bench::new();
    let promise = Outcome::new();
    bench.with(|cx| {
        promise.then(cx, told("a"));
        assert!(promise.fail(cx, "first"));
        assert!(!promise.fail(cx, "second"));
        assert!(!promise.succeed(cx, 3));
        let again = promise.clone();
        promise.then(cx, move |cx, result| {
            assert!(!again.settle(cx, Ok(4)));
            told("b")(cx, result);
        });
    });
    bench.settle();
    assert_eq!(bench.log(), ["a Err(\"first\")", "b Err(\"first\")"]);
}

#[test]
fn a_timeout_is_a_failure_and_settling_takes_it_away() {
    let mut bench = Bench::new();
    let (one, two, three) = (Outcome::new(), Outcome::new(), Outcome::new());
    let second = Duration::from_secs(1);
    bench.with(|cx| {
        for (promise, name) in [(&one, "one"), (&two, "two"), (&three, "three")] {
            promise.then(cx, told(name));
            promise.timeout(cx, second, "too early");
            promise.timeout(cx, 2 * second, "too late");
        }
        assert!(two.succeed(cx, 2));
        three.cancel_timeout(cx);
        two.timeout(cx, second, "it is settled");
    });
    assert_eq!(bench.reactor.timer_count(), 1);
    bench.advance(2 * second - Duration::from_nanos(1));
    assert_eq!(bench.log(), ["two Ok(2)"]);
    bench.advance(second);
    assert_eq!(bench.log(), ["one Err(\"too late\")"]);
    assert!(!three.is_settled());
    assert_eq!(bench.reactor.timer_count(), 0);
}

#[test]
fn a_promise_that_nobody_can_settle_lets_go_of_those_who_wait() {
    let mut bench = Bench::new();
    let (promise, owned) = (Outcome::new(), Rc::new(()));
    let kept = Rc::clone(&owned);
    bench.with(|cx| promise.then(cx, move |_, _| drop(kept)));
    drop(promise);
    assert_eq!(Rc::strong_count(&owned), 1);
}

fn popped(name: &'static str) -> impl FnOnce(&mut Cx<'_>, u32) {
    move |cx, item| cx.state.add(|| format!("{name} {item}"))
}

#[test]
fn a_pop_waits_for_a_push_and_a_push_for_a_pop_first_come_first_served() {
    let mut bench = Bench::new();
    let queue = Queue::new(10);
    bench.with(|cx| {
        queue.pop(cx, popped("a"));
        queue.pop(cx, popped("b"));
        assert_eq!((queue.len(), queue.waiting()), (0, 2));
        for item in 1..=4 {
            queue.push(cx, item).expect("there is room");
        }
        assert_eq!((queue.len(), queue.waiting()), (2, 0));
        cx.state.add(|| "pushed".to_owned());
        for name in ["c", "d", "e"] {
            queue.pop(cx, popped(name));
        }
        cx.state.add(|| "popped".to_owned());
    });
    bench.settle();
    assert_eq!(
        bench.log(),
        ["pushed", "popped", "a 1", "b 2", "c 3", "d 4"]
    );
    assert_eq!((queue.is_empty(), queue.waiting()), (true, 1));
}

#[test]
fn a_queue_that_is_full_gives_the_item_back() {
    let mut bench = Bench::new();
    let queue = Queue::new(1);
    bench.with(|cx| {
        assert_eq!(queue.push(cx, 1), Ok(()));
        assert_eq!(queue.push(cx, 2), Err(2));
        queue.pop(cx, popped("a"));
        assert_eq!(queue.push(cx, 3), Ok(()));
    });
    bench.settle();
    assert_eq!(bench.log(), ["a 1"]);
}

#[test]
fn two_million_items_come_out_in_the_order_in_which_they_went_in() {
    const COUNT: u64 = 2_000_000;
    fn next(cx: &mut Cx<'_>, queue: &Queue<u64, Log>, wanted: u64) {
        let again = queue.clone();
        queue.pop(cx, move |cx, item| {
            assert_eq!(item, wanted);
            // The first thousand one by one, as a worker does; the others all at once.
            match wanted {
                0..1_000 => next(cx, &again, wanted + 1),
                1_000 => (wanted + 1..COUNT).for_each(|wanted| {
                    again.pop(cx, move |_, item| assert_eq!(item, wanted));
                }),
                _ => {}
            }
        });
    }
    let mut bench = Bench::new();
    bench.reactor.state.quiet();
    let queue = Queue::new(usize::MAX);
    bench.with(|cx| {
        for item in 0..COUNT {
            queue.push(cx, item).expect("there is no bound");
        }
        assert_eq!(queue.len() as u64, COUNT);
        next(cx, &queue, 0);
    });
    bench.settle();
    assert_eq!((queue.len(), queue.waiting()), (0, 0));
}
