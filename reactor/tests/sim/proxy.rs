//! A proxy of two connections: pause and resume carry the pressure from one to the other.

use crate::actors::{
    Caller, Cx, LONG, Manner, Order, PORT, Seen, assert_released, bytes, echo_host, idle_host,
    no_losses,
};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{Close, Eof, Handler, Input, Key};
use std::net::SocketAddr;
use std::time::Duration;

/// Most bytes that may be queued before the other side is paused.
const HIGH: usize = 600;

/// One read, at most, comes on top of the mark.
const QUEUED_MAX: usize = HIGH + 128 * 1024;

#[derive(Debug, Default)]
struct Half {
    order: Order,
    other: Option<Key>,
    dial: Option<SocketAddr>,
}

impl Handler<Seen> for Half {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        let me = cx.key();
        cx.io.watermarks(me, 100, HIGH, 1 << 30);
        if let Some(addr) = self.dial {
            let half = Half {
                other: Some(me),
                ..Half::default()
            };
            let other = cx.connect(addr, half);
            cx.io.watermarks(other, 100, HIGH, 1 << 30);
            self.other = Some(other);
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        let Some(other) = self.other else { return };
        cx.io.send(other, input.take());
        assert!(cx.io.queued(other) <= QUEUED_MAX, "the pause was ignored");
        if cx.io.congested(other) {
            cx.pause();
        }
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        self.order.other();
        cx.state.drained += 1;
        if let Some(other) = self.other {
            cx.io.resume(other);
        }
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.order.eof(cx);
        if let Some(other) = self.other {
            cx.io.shutdown_write(other);
        }
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
        if let Some(other) = self.other {
            cx.io.close_after_write(other);
        }
    }
}

/// A proxy in front of `server`.
fn proxy_host(sim: &mut Sim, server: HostId<Seen>) -> HostId<Seen> {
    let upstream = sim.addr(server, PORT);
    sim.host("proxy", Seen::default(), move |cx| {
        cx.listen("0.0.0.0:7", move |_: &mut Cx<'_>| Half {
            dial: Some(upstream),
            ..Half::default()
        })
        .map(drop)
    })
}

#[test]
fn all_that_is_sent_through_a_proxy_comes_back_through_it() {
    sim::check(0..200, |sim| {
        no_losses(sim);
        let server = echo_host(
            sim,
            Manner {
                pauses: sim.seed() % 2 == 0,
                ..Manner::default()
            },
        );
        let proxy = proxy_host(sim, server);
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(proxy, PORT), bytes(sim.seed(), 6_000));
        let goes = sent.chunks(2_500).map(<[u8]>::to_vec).collect();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
        sim.eventually(LONG, |sim| {
            sim.connections(proxy) + sim.connections(server) == 0
        });
        assert_released(sim, &[client, proxy, server]);
    });
}

#[test]
fn a_proxy_lets_go_of_both_sides_whatever_is_lost() {
    sim::check(0..200, |sim| {
        let server = echo_host(sim, Manner::default());
        let proxy = proxy_host(sim, server);
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(proxy, PORT), bytes(sim.seed(), 3_000));
        let goes = sent.chunks(1_000).map(<[u8]>::to_vec).collect();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 1)
        });
        sim.with(client, |cx| {
            let heard = cx.state.heard.remove(&key).unwrap_or_default();
            assert!(sent.starts_with(&heard));
        });
        sim.eventually(LONG, |sim| {
            sim.connections(proxy) + sim.connections(server) == 0
        });
        assert_released(sim, &[client, proxy, server]);
    });
}

/// Stops reading for good before anything can come.
#[derive(Debug, Default)]
struct Deaf(Order);

impl Handler<Seen> for Deaf {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
        cx.pause();
        cx.set_timer(Duration::from_secs(10), 1);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
        let key = cx.key();
        let heard = cx.state.heard.entry(key).or_default();
        heard.extend(input.take());
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.0.other();
        assert!(cx.state.heard.is_empty(), "read in spite of the pause");
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.0.close(cx, why);
    }
}

#[test]
fn what_came_during_a_pause_is_read_after_it_although_nothing_tells() {
    sim::check(0..100, |sim| {
        let mut faults = no_losses(sim);
        faults.extra_edge = 0.0;
        faults.spurious = 0.0;
        sim.set_faults(faults);
        let server = sim.host("server", Seen::default(), |cx| {
            cx.listen("0.0.0.0:7", |_: &mut Cx<'_>| Deaf::default())
                .map(drop)
        });
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(server, PORT), bytes(sim.seed(), 900));
        let goes = vec![sent.clone()];
        sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(server, |cx| cx.state.closed == 1));
        sim.with(server, |cx| {
            assert!(cx.state.heard.values().eq([&sent]));
        });
    });
}
