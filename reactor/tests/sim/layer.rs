//! Layers that are not TLS, between simulated hosts: the same promises.

use crate::actors::{
    Caller, Cx, Echo, LONG, Manner, PORT, Seen, assert_released, bytes, goes, idle_host, no_losses,
};
use crate::layers::{Frames, Passed, Xor};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{Close, Eof, Handler, Input, Io, Key};
use std::time::Duration;

/// The layers that a seed has: one with a greeting and an end, one without, one that changes no byte, and each of them
/// over or under another.
fn start(io: &mut Io<'_>, key: Key, seed: u64) {
    let mut start = |number| {
        let begun = match number {
            0 => io.start_layer(key, Frames::default(), LONG),
            1 => io.start_layer(key, Xor(7), Duration::ZERO),
            2 => io.start_layer(key, Passed::default(), Duration::ZERO),
            _ => return,
        };
        begun.expect("it is open or connecting");
    };
    start(seed % 3);
    start(seed / 3 % 5);
}

fn echo_host(sim: &mut Sim) -> HostId<Seen> {
    let seed = sim.seed();
    let manner = Manner {
        piece: [0, 1][(seed % 3 % 2) as usize],
        pauses: seed.is_multiple_of(3),
        yields: seed.is_multiple_of(5),
        at_end: false,
    };
    sim.host("server", Seen::default(), |cx| {
        let accept = move |cx: &mut Cx<'_>| {
            let key = cx.key();
            start(&mut cx.io, key, seed);
            Echo::new(manner)
        };
        cx.listen(("0.0.0.0", PORT), accept).map(drop)
    })
}

fn call(sim: &mut Sim, client: HostId<Seen>, server: HostId<Seen>, goes: Vec<Vec<u8>>) -> Key {
    let (seed, addr) = (sim.seed(), sim.addr(server, PORT));
    sim.with(client, move |cx| {
        let key = cx.connect(addr, Caller::new(goes, true));
        start(&mut cx.io, key, seed);
        key
    })
}

#[test]
fn what_comes_back_through_a_layer_is_all_that_was_sent_or_its_beginning_where_it_is_lost() {
    sim::check(0..300, |sim| {
        let is_lossless = sim.seed() % 4 < 2;
        if is_lossless {
            no_losses(sim);
        }
        let server = echo_host(sim);
        let client = idle_host(sim, "client");
        let goes = goes(sim.seed(), 3);
        let key = call(sim, client, server, goes.clone());
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 1)
                && sim.connections(server) == 0
        });
        let heard = sim.with(client, |cx| cx.state.heard.remove(&key));
        let (heard, sent) = (heard.unwrap_or_default(), goes.concat());
        assert!(sent.starts_with(&heard), "heard what nobody sent");
        assert!(!is_lossless || heard == sent, "something was lost");
        assert_released(sim, &[client, server]);
    });
}

#[test]
fn a_seed_tells_each_byte_of_a_layer() {
    let run = |seed| {
        let mut sim = Sim::new(seed);
        let server = echo_host(&mut sim);
        let client = idle_host(&mut sim, "client");
        call(&mut sim, client, server, goes(seed, 2));
        sim.run_for(LONG);
        (sim.history(), sim.history_hash())
    };
    for seed in 0..20 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
}

/// Takes units of one length, each as a whole, in its own manner; sends back their bytes.
struct Whole {
    len: usize,
    manner: Manner,
    /// Whether it has said what it needs.
    has_said: bool,
}

impl Handler<Seen> for Whole {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.state.opened += 1;
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let is_whole = input.len() >= self.len;
        assert!(
            is_whole || !self.has_said,
            "called before the unit was there"
        );
        self.has_said = true;
        while input.len() >= self.len {
            cx.send(input.consume(self.len));
            if self.manner.pauses {
                cx.pause();
                cx.set_timer(Duration::from_millis(3), 1);
                break;
            }
            if self.manner.yields && input.len() >= self.len {
                cx.yield_now();
                break;
            }
        }
        input.need(self.len);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        assert!(cx.unread().len() < self.len, "a unit was not taken");
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.closed += 1;
        cx.state.why.push(why.to_string());
    }
}

#[test]
fn a_unit_that_needs_many_reads_through_a_layer_is_heard_when_it_is_whole() {
    sim::check(0..200, |sim| {
        no_losses(sim);
        let seed = sim.seed();
        // Of a few bytes, of a page and more, and of more than a read.
        let len = [3, 5_000, 30_000][(seed % 3) as usize];
        let manner = Manner {
            pauses: seed.is_multiple_of(4),
            yields: seed.is_multiple_of(5),
            ..Manner::default()
        };
        let server = sim.host("server", Seen::default(), |cx| {
            let accept = move |cx: &mut Cx<'_>| {
                let key = cx.key();
                start(&mut cx.io, key, seed);
                cx.io.input_max(key, 100_000);
                Whole {
                    len,
                    manner,
                    has_said: false,
                }
            };
            cx.listen(("0.0.0.0", PORT), accept).map(drop)
        });
        let client = idle_host(sim, "client");
        let sent = bytes(seed, 4 * len);
        let goes = sent.chunks(1 + len * 2 / 3).map(<[u8]>::to_vec).collect();
        let key = call(sim, client, server, goes);
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed == 1) && sim.connections(server) == 0
        });
        let heard = sim.with(client, |cx| cx.state.heard.remove(&key));
        assert!(heard.unwrap_or_default() == sent, "something was lost");
        assert_released(sim, &[client, server]);
    });
}
