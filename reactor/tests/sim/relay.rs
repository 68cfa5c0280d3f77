//! Relays over hosts that fail: what goes in comes out, queues stay bounded, nothing is left behind.

use crate::actors::{
    Caller, Cx, LONG, Manner, Order, PORT, Seen, assert_released, bytes, echo_host, idle_host,
    no_losses,
};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{
    Close, Eof, Handler, Input, Key, ProxyEnd, ProxyOptions, StreamEnd, StreamOptions,
};
use std::net::SocketAddr;

/// Most bytes queued for either side: a relay never passes the mark.
const HIGH: usize = 300;

/// One side of a pipe through the loop; the accepted side dials the other.
#[derive(Debug, Default)]
struct Side {
    order: Order,
    other: Option<Key>,
    dial: Option<SocketAddr>,
    ended: bool,
}

impl Handler<Seen> for Side {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        let Some(addr) = self.dial else { return };
        let me = cx.key();
        let far = Side {
            other: Some(me),
            ..Side::default()
        };
        let other = cx.connect(addr, far);
        self.other = Some(other);
        for (from, to) in [(me, other), (other, me)] {
            cx.io.watermarks(to, 100, HIGH, HIGH);
            let begun = cx.proxy(from, to, &ProxyOptions::default());
            begun.expect("both are open, and neither is relayed");
        }
        // Looks at the queues now and then: nobody else does.
        cx.set_interval(std::time::Duration::from_millis(1), 1);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.order.other();
        for key in [Some(cx.key()), self.other].into_iter().flatten() {
            assert!(cx.io.queued(key) <= HIGH, "a relay has passed the mark");
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        let gone = self.other.is_none_or(|other| !cx.io.is_open(other));
        assert!(gone || self.ended, "input went past the relay");
        input.take();
    }

    fn on_proxy(&mut self, cx: &mut Cx<'_>, end: ProxyEnd) {
        self.order.other();
        assert!(!std::mem::replace(&mut self.ended, true), "ended twice");
        match end {
            ProxyEnd::TargetClosed => cx.close(),
            ProxyEnd::SourceEof => {}
            ProxyEnd::Complete => panic!("it has no limit"),
        }
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.order.eof(cx);
        assert!(self.ended, "the end went past the relay");
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
        if let Some(other) = self.other
            && !matches!(why, Close::Peer)
        {
            cx.io.close(other);
        } else if let Some(other) = self.other {
            // Ended in good order if both directions have; then the other has all but its last bytes.
            cx.io.close_after_write(other);
        }
    }
}

fn pipe_host(sim: &mut Sim, server: HostId<Seen>) -> HostId<Seen> {
    let upstream = sim.addr(server, PORT);
    sim.host("pipe", Seen::default(), move |cx| {
        cx.listen("0.0.0.0:7", move |_: &mut Cx<'_>| Side {
            dial: Some(upstream),
            ..Side::default()
        })
        .map(drop)
    })
}

#[test]
fn all_that_is_sent_through_a_relay_comes_back_through_it() {
    sim::check(0..200, |sim| {
        no_losses(sim);
        let manner = Manner {
            pauses: sim.seed() % 2 == 0,
            ..Manner::default()
        };
        let server = echo_host(sim, manner);
        let pipe = pipe_host(sim, server);
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(pipe, PORT), bytes(sim.seed(), 6_000));
        let goes = sent.chunks(2_500).map(<[u8]>::to_vec).collect();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
        sim.eventually(LONG, |sim| {
            sim.connections(pipe) + sim.connections(server) == 0
        });
        assert_released(sim, &[client, pipe, server]);
    });
}

#[test]
fn a_relay_lets_go_of_all_three_whoever_is_lost_first() {
    sim::check(0..300, |sim| {
        let server = echo_host(sim, Manner::default());
        let pipe = pipe_host(sim, server);
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(pipe, PORT), bytes(sim.seed(), 3_000));
        let goes = sent.chunks(1_000).map(<[u8]>::to_vec).collect();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        let moment = std::time::Duration::from_micros(sim.seed() * 37 % 20_000);
        match sim.seed() % 4 {
            0 => {
                sim.run_for(moment);
                sim.crash(server);
            }
            1 => {
                sim.run_for(moment);
                sim.with(client, |cx| cx.io.close(key));
            }
            2 => {
                sim.run_for(moment);
                sim.crash(pipe);
            }
            _ => {}
        }
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 1)
        });
        sim.with(client, |cx| {
            let heard = cx.state.heard.remove(&key).unwrap_or_default();
            assert!(sent.starts_with(&heard));
        });
        sim.eventually(LONG, |sim| {
            sim.connections(pipe) + sim.connections(server) == 0
        });
    });
}

/// Streams so many bytes to whoever connects, then closes.
#[derive(Debug)]
struct Library(Order, usize, bool);

impl Handler<Seen> for Library {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.0.open(cx);
        let key = cx.key();
        cx.io.watermarks(key, 200, 1000, 1000);
        let reader = std::io::Cursor::new(bytes(7, self.1));
        let options = StreamOptions {
            piece: 333,
            ..StreamOptions::default()
        };
        cx.stream(reader, &options).expect("it is open");
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.input(cx, input);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        assert!(!std::mem::replace(&mut self.2, true), "ended twice");
        self.0.other();
        let _ = cx;
        Eof::KeepOpen
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        self.0.other();
        let whole = matches!(end, StreamEnd::Complete { bytes } if bytes == self.1 as u64);
        if whole {
            cx.state.ended += 1;
            self.0.close_after_write(cx);
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.0.close(cx, why);
    }
}

#[test]
fn a_stream_arrives_whole_unless_the_connection_is_lost_and_leaves_nothing_behind() {
    sim::check(0..200, |sim| {
        let lossless = sim.seed() % 2 == 0;
        if lossless {
            no_losses(sim);
        }
        let server = sim.host("server", Seen::default(), |cx| {
            cx.listen("0.0.0.0:7", |_: &mut Cx<'_>| {
                Library(Order::default(), 5_000, false)
            })
            .map(drop)
        });
        let client = idle_host(sim, "client");
        let addr = sim.addr(server, PORT);
        // It says nothing, and waits for the end.
        let caller = Caller::new(vec![Vec::new()], true);
        let key = sim.with(client, |cx| cx.connect(addr, caller));
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 1)
                && sim.connections(server) == 0
        });
        let heard = sim.with(client, |cx| cx.state.heard.remove(&key));
        let (heard, sent) = (heard.unwrap_or_default(), bytes(7, 5_000));
        assert!(sent.starts_with(&heard), "heard what nobody sent");
        if lossless {
            assert!(heard == sent, "something was lost");
            sim.with(server, |cx| assert_eq!(cx.state.ended, 1));
        }
        assert_released(sim, &[client, server]);
    });
}
