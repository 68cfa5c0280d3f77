//! A broker whose process is stopped for a while blames nobody for it; and how long it waits for those
//! it sends away.

use crate::scenarios::{has_all, join, messages, stage_with};
use crate::talker::{self, Habit};
use crate::{random, wait};
use midge::{Auth, Broker, Config};
use midge_reactor::sim;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HELLO: &str = "CONNECT {\"verbose\":false}\r\n";

#[test]
fn a_client_that_logs_in_while_the_broker_is_stopped_is_in_time() {
    sim::check(0..40, |sim| {
        let config = Config {
            auth: Auth::Token("secret".into()),
            auth_timeout: Some(SECOND),
            ..Config::default()
        };
        let at = stage_with(sim, config);
        let addr = sim.addr(at.0, crate::PORT);
        sim.with(at.1, |cx| {
            talker::dial(cx, 1, addr, Vec::new(), Habit::Listens);
        });
        wait(sim, "INFO", |sim| {
            sim.with(at.1, |cx| cx.state[&1].cid.is_some())
        });
        let time = Duration::from_millis(1_200 + random(sim, at.0, 5_000));
        sim.pause(at.0, time);
        sim.run_for(SECOND / 5);
        sim.with(at.1, |cx| {
            talker::say(
                cx,
                1,
                b"CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\nPING\r\n",
            );
        });
        wait(sim, "an answer", |sim| {
            sim.with(at.1, |cx| cx.state[&1].pongs > 0 || cx.state[&1].ended)
        });
        sim.with(at.1, |cx| assert_eq!(cx.state[&1].errors, [""; 0]));
    });
}

#[test]
fn clients_that_answer_are_not_stale_however_often_the_broker_is_stopped() {
    sim::check(0..20, |sim| {
        let config = Config {
            ping_interval: SECOND,
            pings_out_max: 1,
            ..Config::default()
        };
        let at = stage_with(sim, config);
        for id in 1..=20 {
            join(sim, at, id, HELLO, Habit::Listens);
        }
        for _ in 0..10 {
            let time = Duration::from_millis(random(sim, at.0, 10_000));
            sim.pause(at.0, time);
            let time = Duration::from_millis(random(sim, at.0, 10_000));
            sim.run_for(time);
        }
        sim.run_for(20 * SECOND);
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert_eq!((stats.clients, stats.stale), (20, 0));
    });
}

#[test]
fn a_reader_that_takes_all_it_gets_is_no_slow_consumer_after_a_stop() {
    const COUNT: usize = 60;
    const LEN: usize = 5_000;
    sim::check(0..10, |sim| {
        let config = Config {
            write_deadline: SECOND,
            pending_bytes_max: 4 << 20,
            ..Config::default()
        };
        let at = stage_with(sim, config);
        join(sim, at, 1, &format!("{HELLO}SUB a 1\r\n"), Habit::Listens);
        join(sim, at, 2, HELLO, Habit::Listens);
        sim.with(at.1, |cx| talker::say(cx, 2, &messages("a", 0..COUNT, LEN)));
        for _ in 0..4 {
            let time = Duration::from_micros(random(sim, at.0, 10_000));
            sim.run_for(time);
            sim.pause(at.0, 5 * SECOND);
            sim.run_for(5 * SECOND);
        }
        wait(sim, "all messages", |sim| {
            sim.with(at.1, |cx| has_all(cx.state, 1, COUNT, LEN))
        });
        let stats = sim.with(at.0, |cx| cx.state.stats());
        assert_eq!(stats.slow_consumers, 0);
    });
}

#[test]
fn clients_that_keep_their_end_open_hardly_delay_a_shutdown() {
    sim::check(0..20, |sim| {
        let at = stage_with(sim, Config::default());
        for id in 1..=20 {
            join(sim, at, id, HELLO, Habit::Stays);
        }
        let begun = sim.now();
        sim.with(at.0, |cx| cx.io.shutdown(2 * SECOND));
        wait(sim, "the broker's end", |sim| !sim.is_running(at.0));
        let took = sim.now() - begun;
        assert!(took < SECOND / 5, "{took:?}");
    });
}

#[test]
fn a_client_that_logs_in_after_it_was_sent_away_is_awaited_no_more() {
    sim::check(0..20, |sim| {
        let config = Config {
            auth: Auth::Token("secret".into()),
            auth_timeout: Some(3 * SECOND),
            lame_duck_grace_period: SECOND / 100,
            lame_duck_duration: SECOND / 10,
            ..Config::default()
        };
        let at = stage_with(sim, config);
        let addr = sim.addr(at.0, crate::PORT);
        sim.with(at.1, |cx| {
            talker::dial(cx, 1, addr, Vec::new(), Habit::Stays);
        });
        wait(sim, "INFO", |sim| {
            sim.with(at.1, |cx| cx.state[&1].cid.is_some())
        });
        let begun = sim.now();
        sim.with(at.0, Broker::lame_duck);
        sim.run_for(SECOND / 2);
        let login = b"CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\n";
        sim.with(at.1, |cx| talker::say(cx, 1, login));
        while sim.connections(at.0) > 0 {
            sim.with(at.1, |cx| talker::say(cx, 1, b"PUB a 1\r\nx\r\n"));
            sim.run_for(SECOND * 3 / 10);
        }
        let waited = sim.now() - begun;
        assert!(waited > 4 * SECOND, "{waited:?}");
    });
}

#[test]
fn a_client_that_ignores_the_end_is_waited_for_by_what_it_says() {
    // How often it says something, and how long the broker waits for it after the grace period.
    for (every, least, most) in [(None, 1_000, 1_020), (Some(300), 5_000, 7_100)] {
        sim::check(0..20, |sim| {
            let config = Config {
                lame_duck_grace_period: SECOND,
                lame_duck_duration: 2 * SECOND,
                ..Config::default()
            };
            let at = stage_with(sim, config);
            join(sim, at, 1, HELLO, Habit::Stays);
            let begun = sim.now();
            sim.with(at.0, Broker::lame_duck);
            while sim.connections(at.0) > 0 {
                let before = sim.with(at.0, |cx| cx.state.stats().received.messages);
                if every.is_some() {
                    sim.with(at.1, |cx| talker::say(cx, 1, b"PUB a 1\r\nx\r\n"));
                }
                sim.run_for(Duration::from_millis(every.unwrap_or(10)));
                if every.is_some() && sim.connections(at.0) > 0 {
                    let now = sim.with(at.0, |cx| cx.state.stats().received.messages);
                    assert_eq!(now, before + 1, "it is carried out");
                }
            }
            let waited = (sim.now() - begun - SECOND).as_millis();
            assert!((least..=most).contains(&waited), "{waited} ms");
        });
    }
}
