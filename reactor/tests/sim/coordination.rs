//! Queues and promises on a host that other threads talk to.

use midge_reactor::sim;
use midge_reactor::util::{Promise, Queue};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Items on one side, workers that take one at a time on the other.
#[derive(Debug)]
struct Hall {
    items: Queue<u64, Hall>,
    /// What came, in the order of coming, and what was done, in the order of beginning.
    came: Vec<u64>,
    done: Vec<u64>,
    all_done: Promise<usize, &'static str, Hall>,
    told: Option<Result<usize, &'static str>>,
}

type Cx<'a> = midge_reactor::Context<'a, Hall>;

const ITEMS: usize = 30;

/// One worker: takes an item, works on it for a while on another thread, takes the next.
fn work(cx: &mut Cx<'_>) {
    let items = cx.state.items.clone();
    items.pop(cx, |cx, item| {
        cx.state.done.push(item);
        if cx.state.done.len() == ITEMS {
            let all_done = cx.state.all_done.clone();
            assert!(all_done.succeed(cx, ITEMS));
        }
        let taken = cx.offload(|| (), |cx, _| work(cx));
        taken.expect("there are three workers, and room");
    });
}

#[test]
fn what_other_threads_push_is_worked_on_once_each_in_the_order_of_coming() {
    sim::check(0..200, |sim| {
        let hall = Hall {
            items: Queue::new(ITEMS),
            came: Vec::new(),
            done: Vec::new(),
            all_done: Promise::new(),
            told: None,
        };
        let host = sim.host("host", hall, |cx| {
            (0..3).for_each(|_| work(cx));
            let all_done = cx.state.all_done.clone();
            all_done.then(cx, |cx, result| cx.state.told = Some(*result));
            all_done.timeout(cx, 3_600 * SECOND, "too late");
            Ok(())
        });
        for item in 0..ITEMS as u64 {
            sim.post_within(host, 10 * SECOND, move |cx| {
                cx.state.came.push(item);
                let items = cx.state.items.clone();
                items.push(cx, item).expect("there is room for all");
            });
        }
        sim.run_for(3_000 * SECOND);
        sim.with(host, |cx| {
            assert_eq!(cx.state.done, cx.state.came);
            assert_eq!(cx.state.told, Some(Ok(ITEMS)));
            assert_eq!((cx.state.items.len(), cx.state.items.waiting()), (0, 3));
        });
    });
}
