//! Work on other threads, in virtual time: in any order, whatever becomes of the host meanwhile.

use crate::actors::{Seen, idle_host};
use midge_reactor::sim::{self, Sim};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Gives the host `count` jobs; each notes its number when its result is there.
fn offload(sim: &mut Sim, host: sim::HostId<Seen>, count: u64) {
    sim.with(host, |cx| {
        for number in 0..count {
            let begun = cx.now();
            let taken = cx.offload(
                move || number * 2,
                move |cx, twice| {
                    assert_eq!(twice, Ok(number * 2));
                    assert!(cx.now() >= begun);
                    let now = cx.now();
                    cx.state.fired.push((now, number));
                },
            );
            taken.expect("there is room");
        }
    });
}

fn numbers(sim: &mut Sim, host: sim::HostId<Seen>) -> Vec<u64> {
    sim.with(host, |cx| {
        cx.state.fired.drain(..).map(|(_, number)| number).collect()
    })
}

#[test]
fn every_job_has_its_result_once_and_the_host_is_woken_for_it() {
    sim::check(0..200, |sim| {
        let host = idle_host(sim, "host");
        offload(sim, host, 100);
        // Looking would wake it.
        sim.run_for(3_600 * SECOND);
        let mut done = numbers(sim, host);
        done.sort_unstable();
        assert!(done.into_iter().eq(0..100));
        sim.with(host, |cx| assert_eq!(cx.offloaded(), 0));
    });
}

#[test]
fn jobs_of_several_threads_finish_in_any_order_and_those_of_one_in_theirs() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut sim = Sim::new(seed);
        let host = idle_host(&mut sim, "host");
        offload(&mut sim, host, 10);
        sim.run_until_idle();
        orders.insert(numbers(&mut sim, host));
    }
    assert!(orders.len() > 40, "{} orders in 50 runs", orders.len());
    sim::check(0..50, |sim| {
        let host = idle_host(sim, "host");
        sim.with(host, |cx| cx.set_offload_threads(1));
        offload(sim, host, 10);
        sim.run_for(3_600 * SECOND);
        assert!(numbers(sim, host).into_iter().eq(0..10));
    });
}

#[test]
fn a_panic_in_virtual_time_is_a_result_as_well() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    sim.with(host, |cx| {
        let taken = cx.offload(
            || panic!("no luck"),
            |cx, result: Result<(), _>| {
                let panic = result.expect_err("it panics");
                cx.state.why.push(panic.message().to_owned());
            },
        );
        taken.expect("there is room");
    });
    sim.run_until_idle();
    sim.with(host, |cx| assert_eq!(cx.state.why, ["no luck"]));
}

#[test]
fn a_crash_takes_the_jobs_along_and_the_next_program_hears_of_none() {
    sim::check(0..100, |sim| {
        let mut faults = sim.faults();
        faults.job_max = 4 * SECOND;
        sim.set_faults(faults);
        let host = idle_host(sim, "host");
        let done = Arc::new(AtomicU64::new(0));
        sim.with(host, |cx| {
            for _ in 0..20 {
                let done = Arc::clone(&done);
                let work = move || done.fetch_add(1, Ordering::SeqCst);
                let then = |cx: &mut crate::actors::Cx<'_>, _| cx.state.drained += 1;
                cx.offload(work, then).expect("there is room");
            }
        });
        sim.run_for(2 * SECOND);
        let before = sim.with(host, |cx| cx.state.drained as u64);
        assert!(before <= done.load(Ordering::SeqCst));
        match sim.seed() % 3 {
            0 => sim.crash(host),
            1 => sim.cut_power(host),
            _ => {}
        }
        let dead = done.load(Ordering::SeqCst);
        sim.restart(host, Seen::default(), |_| Ok(()));
        assert_eq!(Arc::strong_count(&done), 1, "a dead process keeps its jobs");
        offload(sim, host, 10);
        sim.run_for(3_600 * SECOND);
        assert_eq!(done.load(Ordering::SeqCst), dead, "a dead process works");
        assert_eq!(numbers(sim, host).len(), 10);
        sim.with(host, |cx| assert_eq!(cx.state.drained, 0));
    });
}

#[test]
fn a_paused_host_finds_the_results_when_it_goes_on() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    offload(&mut sim, host, 10);
    sim.pause(host, 10 * SECOND);
    sim.run_for(9 * SECOND);
    sim.with(host, |cx| assert!(cx.state.fired.is_empty()));
    sim.run_for(2 * SECOND);
    assert_eq!(numbers(&mut sim, host).len(), 10);
}

#[test]
fn a_program_that_has_stopped_is_told_no_results() {
    sim::check(0..50, |sim| {
        let host = idle_host(sim, "host");
        offload(sim, host, 30);
        sim.with(host, |cx| cx.io.stop());
        sim.eventually(60 * SECOND, |sim| !sim.is_running(host));
        // What was there in its last turn it has heard.
        let heard = numbers(sim, host).len();
        assert!(heard < 30);
        sim.run_for(3_600 * SECOND);
        assert_eq!(numbers(sim, host).len(), 0);
        sim.with(host, |cx| assert_eq!(cx.offloaded(), 0));
    });
}

#[test]
fn a_seed_tells_in_which_order_jobs_finish() {
    for seed in 0..20 {
        sim::check_deterministic(seed, |sim| {
            let host = idle_host(sim, "host");
            offload(sim, host, 50);
            sim.run_for(60 * SECOND);
            let order = numbers(sim, host);
            sim.with(host, |cx| {
                for number in order {
                    cx.after(Duration::from_micros(number), |_| {});
                }
            });
            sim.run_for(SECOND);
        });
    }
}
