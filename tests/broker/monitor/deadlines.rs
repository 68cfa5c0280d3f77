//! How long a connection that asks may take for what, over a simulated clock and network; and that any
//! faults of that network leave nothing behind.

use midge::{Broker, Config, Monitor, State};
use midge_reactor::sim::{self, Faults, HostId, Sim};
use midge_reactor::{Close, Context, Handler, Input, Time};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What one connection that asks has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) heard: Vec<u8>,
    opened: Option<Time>,
    ended: Option<Time>,
}

/// Says some bytes, each at its time after the opening, and then listens.
struct Asks(Vec<(Duration, &'static str)>);

impl Handler<Seen> for Asks {
    fn on_open(&mut self, cx: &mut Context<'_, Seen>) {
        cx.state.opened = Some(cx.now());
        for (number, (delay, _)) in (0..).zip(&self.0) {
            cx.set_timer(*delay, number);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Seen>, number: u64) {
        cx.send(self.0[number as usize].1.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Seen>, input: &mut Input<'_>) {
        cx.state.heard.extend(input.take());
    }

    fn on_close(&mut self, cx: &mut Context<'_, Seen>, _: &Close) {
        cx.state.ended = Some(cx.now());
    }
}

pub(crate) fn broker(sim: &mut Sim) -> HostId<State> {
    let config = Config {
        port: 4222,
        monitor: Some(Monitor {
            port: 8222,
            ..Monitor::default()
        }),
        ..Config::default()
    };
    let state = State::new(config).expect("the settings make sense");
    sim.host("broker", state, |cx| {
        Broker::listen(cx).map(drop).map_err(std::io::Error::other)
    })
}

pub(crate) fn ask(
    sim: &mut Sim,
    broker: HostId<State>,
    words: &[(Duration, &'static str)],
) -> HostId<Seen> {
    let (addr, words) = (sim.addr(broker, 8222), words.to_vec());
    sim.host("visitor", Seen::default(), |cx| {
        cx.connect(addr, Asks(words));
        Ok(())
    })
}

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// What was answered (status lines) and after how many seconds the connection ended.
#[track_caller]
fn check(words: &[(Duration, &'static str)], statuses: &[&str], seconds: u64) {
    let mut sim = Sim::with_faults(1, Faults::none());
    let broker = broker(&mut sim);
    let timers = sim.timers(broker);
    let visitor = ask(&mut sim, broker, words);
    sim.run_for(400 * SECOND);
    let (heard, lasted) = sim.with(visitor, |cx| {
        let heard = String::from_utf8_lossy(&cx.state.heard).into_owned();
        let lasted = cx
            .state
            .ended
            .zip(cx.state.opened)
            .map(|(end, open)| end - open);
        (heard, lasted.expect("it ends at last"))
    });
    let found: Vec<&str> = heard
        .lines()
        .filter_map(|line| line.split("HTTP/1.1 ").nth(1))
        .collect();
    assert_eq!(found, statuses, "{words:?}");
    // By the visitor's clock, which has seen the opening some microseconds after the broker's.
    let found = (lasted + Duration::from_millis(1)).as_secs();
    assert_eq!(found, seconds, "{words:?}: {lasted:?}");
    assert_eq!((sim.connections(broker), sim.timers(broker)), (0, timers));
}

#[test]
fn a_request_must_come_in_time_and_between_two_there_is_patience() {
    // Nothing at all, and the beginning only.
    check(&[], &["408 Request Timeout"], 10);
    check(&[(SECOND, "GET /hea")], &["408 Request Timeout"], 10);
    // A byte now and then does not help.
    let slow = [1, 3, 5, 7, 9, 11, 13].map(|at| (at * SECOND, "X"));
    check(&slow, &["408 Request Timeout"], 10);
    // One that is answered may be silent for two minutes, or begin the next and not end it.
    check(&[(SECOND, REQUEST)], &["200 OK"], 121);
    let second = [(SECOND, REQUEST), (60 * SECOND, "GET /")];
    check(&second, &["200 OK", "408 Request Timeout"], 70);
    let two = [(SECOND, REQUEST), (100 * SECOND, REQUEST)];
    check(&two, &["200 OK", "200 OK"], 220);
}

#[test]
fn whatever_the_network_does_an_answer_is_whole_or_cut_and_nothing_stays_behind() {
    sim::check(0..60, |sim| {
        let broker = broker(sim);
        let timers = sim.timers(broker);
        let words = [
            (
                Duration::ZERO,
                "GET /connz HTTP/1.1\r\nHost: a\r\n\r\nGET /varz HT",
            ),
            (SECOND, "TP/1.1\r\nHost: a\r\n\r\n"),
            (
                2 * SECOND,
                "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            ),
        ];
        let visitor = ask(sim, broker, &words);
        sim.run_for(1000 * SECOND);
        sim.calm();
        sim.run_for(1000 * SECOND);
        let heard = sim.with(visitor, |cx| {
            String::from_utf8_lossy(&cx.state.heard).into_owned()
        });
        assert!(
            heard.is_empty() || "HTTP/1.1 ".starts_with(&heard[..heard.len().min(9)]),
            "{heard}"
        );
        if heard.ends_with("# EOF\n") {
            assert_eq!(heard.matches("200 OK\r\n").count(), 3, "{heard}");
        }
        assert_eq!((sim.connections(broker), sim.timers(broker)), (0, timers));
    });
}
