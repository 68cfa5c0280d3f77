//! Who speaks first and who stops first: connections that are opened and closed at awkward moments.

use crate::actors::{
    Caller, Cx, LONG, Manner, Order, PORT, Seen, assert_released, bytes, echo_host, idle_host,
    no_losses,
};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{Close, Eof, Handler, Input};
use std::time::Duration;

/// Keeps what it hears and never says anything of its own accord.
#[derive(Debug, Default)]
struct Listener {
    order: Order,
    says: usize,
}

impl Handler<Seen> for Listener {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        if self.says > 0 {
            cx.set_timer(Duration::ZERO, 1);
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        let key = cx.key();
        let heard = cx.state.heard.entry(key).or_default();
        heard.extend(input.take());
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.order.other();
        if cx.send(b"and another thing") && self.says > 0 {
            self.says -= 1;
            cx.set_timer(Duration::from_millis(1), 1);
        }
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.order.eof(cx);
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
    }
}

const REPLY_BYTES: usize = 1_500;

/// Says all it has to say, at once or when it is first spoken to, and closes.
#[derive(Debug, Default)]
struct Curt {
    order: Order,
    speaks_first: bool,
}

impl Curt {
    fn speak(&mut self, cx: &mut Cx<'_>) {
        cx.send(bytes(0, REPLY_BYTES));
        self.order.close_after_write(cx);
        assert!(!cx.send(b"too late"));
    }
}

impl Handler<Seen> for Curt {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        if self.speaks_first {
            self.speak(cx);
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        input.consume(1);
        self.speak(cx);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
    }
}

fn curt_host(sim: &mut Sim, speaks_first: bool) -> HostId<Seen> {
    sim.host("server", Seen::default(), move |cx| {
        cx.listen("0.0.0.0:7", move |_: &mut Cx<'_>| Curt {
            speaks_first,
            ..Curt::default()
        })
        .map(drop)
    })
}

/// Connects a listener that says something so often; answers the world after it.
fn hear_out(sim: &mut Sim, server: HostId<Seen>, says: usize) {
    let client = idle_host(sim, "client");
    let addr = sim.addr(server, PORT);
    let listener = Listener {
        says,
        ..Listener::default()
    };
    let key = sim.with(client, |cx| cx.connect(addr, listener));
    sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
    sim.with(client, |cx| {
        assert!(cx.state.heard[&key] == bytes(0, REPLY_BYTES));
    });
    sim.run_for(60 * Duration::from_secs(1));
    assert_released(sim, &[client, server]);
}

#[test]
fn a_greeting_that_comes_with_the_opening_is_heard() {
    sim::check(0..150, |sim| {
        let mut faults = no_losses(sim);
        // Nothing but the first event tells of the greeting.
        (faults.extra_edge, faults.spurious) = (0.0, 0.0);
        sim.set_faults(faults);
        let server = curt_host(sim, true);
        hear_out(sim, server, 0);
    });
}

#[test]
fn a_last_word_reaches_a_peer_that_goes_on_talking() {
    sim::check(0..150, |sim| {
        let mut faults = no_losses(sim);
        // The peer is heard out for some milliseconds and no longer.
        (faults.stall, faults.pause) = (0.0, 0.0);
        faults.latency_max = faults.latency_max.min(Duration::from_millis(5));
        (faults.window_bytes_min, faults.window_bytes_max) = (2_000, 4_000);
        sim.set_faults(faults);
        let server = curt_host(sim, false);
        hear_out(sim, server, 100);
    });
}

/// Takes one byte at a time and rests after it, whatever else is there.
#[derive(Debug, Default)]
struct Slow(Order);

impl Handler<Seen> for Slow {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
        cx.send(input.consume(1));
        cx.pause();
        cx.set_timer(Duration::from_micros(500), 1);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.0.other();
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.0.close(cx, why);
    }
}

#[test]
fn what_is_left_unread_at_a_pause_comes_again_when_it_is_over() {
    sim::check(0..100, |sim| {
        no_losses(sim);
        let server = sim.host("server", Seen::default(), |cx| {
            cx.listen("0.0.0.0:7", |_: &mut Cx<'_>| Slow::default())
                .map(drop)
        });
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(server, PORT), bytes(sim.seed(), 50));
        // The peer waits for the last byte before it ends.
        let caller = Caller::new(vec![sent.clone()], false);
        let key = sim.with(client, |cx| cx.connect(addr, caller));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
    });
}

#[test]
fn nothing_waits_for_a_timer_when_all_goes_well() {
    for seed in 0..50 {
        let mut sim = Sim::new(seed);
        let (server, client) = (
            echo_host(&mut sim, Manner::default()),
            idle_host(&mut sim, "client"),
        );
        let addr = sim.addr(server, PORT);
        for ends in [true, false] {
            let caller = Caller::new(vec![bytes(seed, 3_000)], ends);
            sim.with(client, |cx| cx.connect(addr, caller));
        }
        sim.eventually(Duration::from_millis(100), |sim| {
            sim.with(client, |cx| cx.state.closed == 2)
                && sim.connections(server) + sim.connections(client) == 0
        });
        assert_released(&mut sim, &[client, server]);
        for host in [client, server] {
            sim.with(host, |cx| assert_eq!(cx.io.connections(), 0));
        }
    }
}

/// Sends something and changes its mind.
#[derive(Debug, Default)]
struct Fickle(Order);

impl Handler<Seen> for Fickle {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
        cx.send(b"never mind");
        cx.close();
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
        unreachable!("it is closed");
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        assert_eq!(cx.queued(), 10);
        self.0.close(cx, why);
    }
}

#[test]
fn what_is_queued_at_a_close_is_not_sent() {
    sim::check(0..50, |sim| {
        no_losses(sim);
        let server = sim.host("server", Seen::default(), |cx| {
            cx.listen("0.0.0.0:7", |_: &mut Cx<'_>| Fickle::default())
                .map(drop)
        });
        let client = idle_host(sim, "client");
        let addr = sim.addr(server, PORT);
        sim.with(client, |cx| cx.connect(addr, Listener::default()));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard.is_empty()));
    });
}

#[test]
fn what_is_sent_before_the_opening_arrives_after_it_and_so_does_the_end() {
    sim::check(0..100, |sim| {
        no_losses(sim);
        let server = echo_host(sim, Manner::default());
        let client = idle_host(sim, "client");
        let (addr, sent) = (
            sim.addr(server, PORT),
            bytes(0, (sim.seed() % 3 * 200) as usize),
        );
        let early = sent.clone();
        let key = sim.with(client, move |cx| {
            let key = cx.connect(addr, Listener::default());
            if !early.is_empty() {
                assert!(cx.io.send(key, &early));
            }
            cx.io.shutdown_write(key);
            assert!(!cx.io.send(key, b"too late"));
            key
        });
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| {
            assert_eq!(cx.state.ended, 1);
            assert!(cx.state.heard.remove(&key).unwrap_or_default() == sent);
        });
    });
}

/// Talks all the time, and listens.
#[derive(Debug, Default)]
struct Talker(Order);

impl Handler<Seen> for Talker {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
        cx.set_interval(Duration::from_micros(30), 1);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
        let key = cx.key();
        let heard = cx.state.heard.entry(key).or_default();
        heard.extend(input.take());
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.0.other();
        if cx.queued() < 1_000 {
            cx.send(b"and so on ");
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.0.close(cx, why);
    }
}

/// Hears nothing, has a last word, and hangs up.
#[derive(Debug, Default)]
struct Weary(Order);

impl Handler<Seen> for Weary {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
        cx.pause();
        cx.set_timer(Duration::from_millis(5), 1);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
        unreachable!("it is paused");
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        self.0.other();
        match timer {
            1 => {
                cx.send(b"the last word");
                cx.set_timer(Duration::from_micros(1), 2);
            }
            _ => {
                assert_eq!(cx.queued(), 0);
                cx.close();
            }
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.0.close(cx, why);
    }
}

#[test]
fn a_peer_that_hangs_up_unread_is_heard_to_its_last_word() {
    sim::check(0..400, |sim| {
        let mut faults = no_losses(sim);
        faults.reset_discards = 0.0;
        (faults.short_write, faults.pause) = (0.0, 0.0);
        sim.set_faults(faults);
        let server = sim.host("server", Seen::default(), |cx| {
            cx.listen("0.0.0.0:7", |_: &mut Cx<'_>| Talker::default())
                .map(drop)
        });
        let client = idle_host(sim, "client");
        let addr = sim.addr(server, PORT);
        sim.with(client, |cx| cx.connect(addr, Weary::default()));
        sim.eventually(LONG, |sim| sim.with(server, |cx| cx.state.closed == 1));
        sim.with(server, |cx| {
            let heard: Vec<_> = cx.state.heard.values().collect();
            assert_eq!(heard, [b"the last word"]);
        });
        assert_released(sim, &[client, server]);
    });
}
