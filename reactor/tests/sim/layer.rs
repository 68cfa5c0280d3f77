//! Layers that are not TLS, between simulated hosts: the same promises.

use crate::actors::{
    Caller, Cx, Echo, LONG, Manner, PORT, Seen, assert_released, goes, idle_host, no_losses,
};
use crate::layers::{Frames, Passed, Xor};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{Io, Key};
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
