//! Timers: never early, in order, whatever the clocks do.

use crate::actors::{Seen, idle_host};
use midge_reactor::Time;
use midge_reactor::sim::{self, Sim};
use std::time::Duration;

#[test]
fn timers_are_never_early_and_fire_in_the_order_of_their_deadlines() {
    sim::check(0..100, |sim| {
        let host = idle_host(sim, "host");
        sim.with(host, |cx| {
            for _ in 0..50 {
                let delay = Duration::from_micros(cx.io.random() % 2_000_000);
                let deadline = cx.now() + delay;
                cx.after(delay, move |cx| {
                    assert!(cx.now() >= deadline, "early");
                    let now = cx.now();
                    cx.state.fired.push((now, deadline.as_nanos()));
                });
            }
        });
        sim.run_for(Duration::from_millis(500));
        sim.pause(host, Duration::from_millis(700));
        sim.change_clock(host, Duration::from_millis(300), -900);
        sim.run_for(Duration::from_secs(10));
        let fired = sim.with(host, |cx| std::mem::take(&mut cx.state.fired));
        assert_eq!(fired.len(), 50);
        assert!(fired.is_sorted_by_key(|(now, _)| *now));
        assert!(fired.is_sorted_by_key(|(_, deadline)| *deadline));
    });
}

#[test]
fn a_period_neither_drifts_nor_makes_up_for_what_a_pause_has_left_out() {
    let mut sim = Sim::new(1);
    let host = sim.host("host", Seen::default(), |cx| {
        cx.every(Duration::from_secs(1), |cx| {
            let now = cx.now();
            cx.state.fired.push((now, 0));
        });
        Ok(())
    });
    let second = |second: u64| Time::ZERO + Duration::from_secs(second);
    sim.run_until(second(5) + Duration::from_millis(1));
    sim.pause(host, Duration::from_millis(3_500));
    sim.run_until(second(12) + Duration::from_millis(1));
    let fired: Vec<u64> = sim.with(host, |cx| {
        let seconds = cx.state.fired.iter();
        seconds
            .map(|(at, _)| (*at - Time::ZERO).as_millis() as u64)
            .collect()
    });
    assert_eq!(
        fired,
        [
            1000, 2000, 3000, 4000, 5000, 8501, 9000, 10_000, 11_000, 12_000
        ]
    );
}

#[test]
fn an_hour_takes_no_time_when_nothing_happens() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    assert!(!sim.step());
    sim.with(host, |cx| {
        cx.after(Duration::from_secs(3_600), |cx| cx.state.drained += 1);
    });
    sim.run_until_idle();
    assert_eq!(sim.now(), Time::ZERO, "timers are left where they are");
    assert!(sim.step());
    assert!(sim.step());
    sim.with(host, |cx| assert_eq!(cx.state.drained, 1));
    assert!(sim.now() >= Time::ZERO + Duration::from_secs(3_600));
}

#[test]
#[should_panic(expected = "spinner turns and turns without a cause")]
fn a_host_that_spins_is_found_out() {
    fn again(cx: &mut crate::actors::Cx<'_>) {
        cx.defer(again);
    }
    let mut sim = Sim::new(1);
    sim.host("spinner", Seen::default(), |cx| {
        cx.defer(again);
        Ok(())
    });
    sim.run_until_idle();
}
