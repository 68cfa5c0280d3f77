//! Work on other threads: where its result goes, and what becomes of it when there is none.

use crate::support::{Bench, Cx, Probe};
use midge_reactor::{OffloadJob, Panic, Reactor};
use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Writes down what came of a job.
fn told(name: &'static str) -> impl FnOnce(&mut Cx<'_>, Result<u32, Panic>) {
    move |cx, result| {
        cx.state.add(|| match result {
            Ok(value) => format!("{name} {value}"),
            Err(panic) => format!("{name} {panic}"),
        });
    }
}

fn offload(bench: &mut Bench, name: &'static str, work: impl FnOnce() -> u32 + Send + 'static) {
    let taken = bench.with(|cx| cx.offload(work, told(name)));
    taken.expect("there is room");
}

#[test]
fn results_come_in_the_order_in_which_jobs_are_finished_each_once_and_in_a_later_turn() {
    let mut bench = Bench::new();
    offload(&mut bench, "a", || 1);
    offload(&mut bench, "b", || 2);
    offload(&mut bench, "c", || 3);
    assert_eq!(bench.reactor.offloaded(), 3);
    let [a, b, c] = [(); 3].map(|()| bench.world.take_job());
    b.run();
    assert_eq!(
        bench.told(),
        [""; 0],
        "nothing is called from inside the job"
    );
    bench.settle();
    assert_eq!(bench.told(), ["b 2"]);
    assert_eq!(bench.reactor.offloaded(), 2);
    c.run();
    a.run();
    bench.settle();
    assert_eq!(bench.told(), ["c 3", "a 1"]);
    assert_eq!(bench.with(|cx| cx.offloaded()), 0);
}

#[test]
fn a_panic_arrives_with_its_message_and_the_others_with_their_results() {
    let mut bench = Bench::new();
    offload(&mut bench, "text", || panic!("no luck"));
    offload(&mut bench, "formatted", || panic!("no {}", "luck"));
    offload(&mut bench, "thing", || std::panic::panic_any(7));
    offload(&mut bench, "well", || 1);
    while bench.world.jobs() > 0 {
        bench.world.take_job().run();
    }
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "text panicked: no luck",
            "formatted panicked: no luck",
            "thing panicked: a panic without a text",
            "well 1",
        ]
    );
}

#[test]
fn a_job_that_the_driver_drops_is_told_of() {
    let mut bench = Bench::new();
    offload(&mut bench, "a", || 1);
    drop(bench.world.take_job());
    bench.settle();
    assert_eq!(
        bench.told(),
        ["a panicked: the job was dropped before it had run"]
    );
    assert_eq!(bench.reactor.offloaded(), 0);
}

#[test]
fn as_many_jobs_wait_as_may_and_no_more() {
    let builder = Reactor::builder().offload_threads(2);
    let mut bench = Bench::built(builder.offload_waiting_max(3));
    for _ in 0..5 {
        offload(&mut bench, "a", || 1);
    }
    let refused = bench.with(|cx| cx.offload(|| 1, told("b")));
    let refused = refused.expect_err("the bound is reached");
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(refused.to_string(), "5 jobs wait for 2 threads already");
    bench.world.take_job().run();
    let refused = bench.with(|cx| cx.offload(|| 1, told("b")));
    assert!(refused.is_err(), "its closure has not been called yet");
    bench.settle();
    offload(&mut bench, "b", || 1);
    assert_eq!(bench.world.jobs(), 5);
}

#[test]
fn without_threads_nothing_is_offloaded_and_nothing_is_left_behind() {
    let mut bench = Bench::new();
    bench.world.has_no_threads();
    let refused = bench.with(|cx| cx.offload(|| 1, told("a")));
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::Unsupported)
    );
    assert_eq!(bench.reactor.offloaded(), 0);
    bench.settle();
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn a_result_wakes_a_poll_that_would_sleep_for_ever() {
    let mut bench = Bench::new();
    let bell = bench.world.waits_for_wakes();
    let stop = |cx: &mut Cx<'_>, _: Result<(), Panic>| cx.stop();
    let taken = bench.with(|cx| cx.offload(|| (), stop));
    taken.expect("there is room");
    let job = bench.world.take_job();
    let worker = thread::spawn(move || {
        bell.until_asleep();
        job.run();
    });
    bench.run();
    worker.join().expect("a job does not panic");
}

#[test]
fn a_connection_that_waits_is_answered_and_one_that_has_gone_is_not() {
    let mut bench = Bench::new();
    let ask = || {
        Probe::new("a").on_input(|cx, input| {
            let (key, text) = (cx.key(), input.take().to_ascii_uppercase());
            let taken = cx.offload(
                || text,
                move |cx, text| {
                    let sent = cx.io.send(key, text.expect("it does not panic"));
                    cx.state.add(|| format!("sent {sent}"));
                },
            );
            taken.expect("there is room");
        })
    };
    let (stays, goes) = (bench.client(ask()), bench.client(ask()));
    stays.send(b"one");
    goes.send(b"two");
    bench.settle();
    goes.reset();
    bench.settle();
    bench.log();
    // Whoever has the slot now is not to get it.
    let other = bench.client(Probe::new("b"));
    while bench.world.jobs() > 0 {
        bench.world.take_job().run();
    }
    bench.settle();
    assert_eq!(bench.told(), ["sent true", "sent false"]);
    assert_eq!((stays.text(), other.text()), ("ONE".into(), String::new()));
}

#[test]
fn the_end_drops_what_waits_and_runs_none_of_it() {
    let mut bench = Bench::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let seen = Rc::new(RefCell::new(()));
    for _ in 0..3 {
        let (begun, seen) = (Arc::clone(&begun), Rc::clone(&seen));
        let work = move || begun.fetch_add(1, Ordering::SeqCst);
        let taken = bench.with(|cx| cx.offload(work, move |_, _| drop(seen)));
        taken.expect("there is room");
    }
    bench.client(Probe::new("a").on_close(|cx| {
        let late = cx.offload(|| 1, told("late"));
        let kind = late.map_err(|error| error.kind());
        cx.state.add(|| format!("late {kind:?}"));
    }));
    // One is finished, and its closure has not been called.
    bench.world.take_job().run();
    bench.with(|cx| cx.io.stop());
    let remaining: Vec<OffloadJob> = (0..2).map(|_| bench.world.take_job()).collect();
    bench.reactor.run().expect("the scripted poll never fails");
    assert_eq!(
        bench.told(),
        ["a close: reactor stopped", "late Err(BrokenPipe)"]
    );
    assert_eq!(Rc::strong_count(&seen), 1, "a closure is still kept");
    assert_eq!(bench.reactor.offloaded(), 0);
    remaining.into_iter().for_each(OffloadJob::run);
    assert_eq!(begun.load(Ordering::SeqCst), 1, "nobody wants them done");
    assert_eq!(Arc::strong_count(&begun), 1, "a job is still kept");
}

#[test]
fn an_address_needs_no_lookup_and_its_closure_still_comes_later() {
    let mut bench = Bench::new();
    bench.with(|cx| {
        cx.resolve("::1", 80, |cx, found| cx.state.add(|| format!("{found:?}")));
        cx.state.add(|| "first".to_owned());
    });
    bench.settle();
    assert_eq!(bench.log(), ["first", "Ok([[::1]:80])"]);
}

#[test]
fn what_a_lookup_finds_comes_in_the_systems_order() {
    let mut bench = Bench::new();
    let addrs =
        ["10.0.0.2:7", "[::1]:7", "10.0.0.1:7"].map(|addr| addr.parse().expect("it is one"));
    bench.with(|cx| cx.resolve("db", 7, |cx, found| cx.state.add(|| format!("{found:?}"))));
    assert_eq!(bench.reactor.offloaded(), 1);
    bench.world.found("db", Ok(addrs.to_vec()));
    bench.settle();
    assert_eq!(
        bench.log(),
        ["lookup db", "Ok([10.0.0.2:7, [::1]:7, 10.0.0.1:7])"]
    );
    assert_eq!(bench.reactor.offloaded(), 0);
}

#[test]
fn every_failure_of_a_lookup_comes_to_its_closure_and_names_the_name() {
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench, name| {
        bench.with(|cx| {
            cx.resolve(name, 7, |cx, found| {
                let error = found.expect_err("there is no such name");
                cx.state.add(|| error.to_string());
            });
        });
    };
    ask(&mut bench, "");
    ask(&mut bench, "nobody");
    bench.world.found("nobody", Ok(Vec::new()));
    ask(&mut bench, "wrong");
    bench.world.found("wrong", Err(ErrorKind::TimedOut.into()));
    bench.settle();
    bench.with(|cx| {
        // At least one.
        cx.set_offload_threads(0);
        cx.set_offload_waiting_max(0);
    });
    offload(&mut bench, "job", || 1);
    ask(&mut bench, "toomany");
    bench.settle();
    bench.world.take_job().run();
    bench.settle();
    bench.world.has_no_threads();
    ask(&mut bench, "unsupported");
    bench.settle();
    assert_eq!(
        bench.calls("cannot"),
        [
            "cannot resolve \"nobody\": no address",
            "cannot resolve \"wrong\": timed out",
            "cannot resolve \"\": invalid input parameter",
            "cannot resolve \"toomany\": 1 jobs wait for 1 threads already",
            "cannot resolve \"unsupported\": unsupported",
        ]
    );
    assert_eq!(bench.reactor.offloaded(), 0);
}
