//! Posting from other threads.

use crate::support::{Bench, Log};
use midge_reactor::{Context, Ended, Remote};
use std::sync::{Arc, Mutex};
use std::thread;

/// Posts `count` jobs that write down who posted them; the last one of all threads stops.
fn post_numbers(remote: &Remote<Log>, seen: &Arc<Mutex<Vec<(usize, usize)>>>, thread: usize) {
    for number in 0..1000 {
        let seen = Arc::clone(seen);
        let job = move |cx: &mut Context<'_, Log>| {
            let mut seen = seen.lock().expect("no test panics here");
            seen.push((thread, number));
            if seen.len() == 4000 {
                cx.stop();
            }
        };
        remote.post(job).expect("it runs until all have come");
    }
}

#[test]
fn jobs_of_several_threads_all_run_and_those_of_one_in_order() {
    let mut bench = Bench::new();
    bench.reactor.state.quiet();
    bench.world.waits_for_wakes();
    let seen = Arc::default();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (remote, seen) = (bench.reactor.remote(), Arc::clone(&seen));
            thread::spawn(move || post_numbers(&remote, &seen, thread))
        })
        .collect();
    bench.run();
    for thread in threads {
        thread.join().expect("posting does not panic");
    }
    let seen = seen.lock().expect("no test panics here");
    for thread in 0..4 {
        let of_thread = seen.iter().filter(|(by, _)| *by == thread);
        assert!(of_thread.map(|(_, number)| *number).eq(0..1000));
    }
}

#[test]
fn a_post_wakes_a_poll_that_would_sleep_for_ever() {
    let mut bench = Bench::new();
    let bell = bench.world.waits_for_wakes();
    let remote = bench.reactor.remote();
    let waker = thread::spawn(move || {
        bell.until_asleep();
        remote.stop()
    });
    bench.run();
    assert_eq!(waker.join().expect("stop does not panic"), Ok(()));
}

#[test]
fn what_a_job_posts_runs_in_the_next_turn() {
    let mut bench = Bench::new();
    let remote = bench.reactor.remote();
    let again = remote.clone();
    let first = move |cx: &mut Context<'_, Log>| {
        cx.state.add(|| "first".to_owned());
        let second = |cx: &mut Context<'_, Log>| cx.state.add(|| "second".to_owned());
        again.post(second).expect("it runs");
    };
    remote.post(first).expect("it runs");
    bench.settle();
    assert_eq!(
        bench.full_log(),
        ["poll 0ns", "first", "poll 0ns", "second", "poll for ever"]
    );
}

#[test]
fn a_post_after_the_end_is_answered_with_ended() {
    let mut bench = Bench::new();
    let remote = bench.reactor.remote();
    bench.with(|cx| cx.io.stop());
    remote
        .post(|_| panic!("it has stopped"))
        .expect("it has not ended yet");
    bench.run();
    assert_eq!(remote.post(|_| {}), Err(Ended));
    assert_eq!(remote.stop(), Err(Ended));
}

#[test]
fn a_post_to_a_reactor_that_was_dropped_is_answered_with_ended() {
    let bench = Bench::new();
    let remote = bench.reactor.remote();
    drop(bench);
    assert_eq!(remote.post(|_| {}), Err(Ended));
}
