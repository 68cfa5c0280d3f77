//! Echo: what comes back is what was sent, whatever happens on the way.

use crate::actors::{
    Caller, LONG, Manner, PORT, Seen, assert_released, bytes, echo_host, goes, idle_host, no_losses,
};
use midge_reactor::sim::{self, HostId, Sim};
use std::time::Duration;

const CALLERS: u64 = 3;

/// Three callers on one host; answers what each is to hear.
fn calls(sim: &mut Sim, client: HostId<Seen>, server: HostId<Seen>) {
    let (seed, addr) = (sim.seed(), sim.addr(server, PORT));
    for caller in 0..CALLERS {
        let ends = (seed + caller) % 3 > 0;
        let goes = goes(seed + caller, 1 + (seed + caller) % 4);
        sim.with(client, move |cx| cx.connect(addr, Caller::new(goes, ends)));
    }
}

fn manner(seed: u64) -> Manner {
    Manner {
        piece: [0, 1, 7, 64][(seed % 4) as usize],
        pauses: seed.is_multiple_of(3),
        yields: seed.is_multiple_of(5),
        at_end: false,
    }
}

fn sent(seed: u64) -> Vec<Vec<u8>> {
    (0..CALLERS)
        .map(|caller| goes(seed + caller, 1 + (seed + caller) % 4).concat())
        .collect()
}

/// Plays an echo to its end.
fn echo(sim: &mut Sim) -> (HostId<Seen>, HostId<Seen>) {
    let mut faults = sim.faults();
    if faults.window_bytes_max < 100 {
        // Through a small window and with long rests a queue does not leave within `LINGER`.
        (faults.pause, faults.stall) = (0.0, 0.0);
        faults.latency_max = faults.latency_max.min(Duration::from_millis(1));
        sim.set_faults(faults);
    }
    let mut manner = manner(sim.seed());
    // What is left over from whole pieces at the end would never come back.
    manner.piece = manner.piece.min(1);
    let server = echo_host(sim, manner);
    let client = idle_host(sim, "client");
    calls(sim, client, server);
    sim.eventually(LONG, |sim| {
        sim.with(client, |cx| cx.state.closed + cx.state.refused == 3)
            && sim.connections(server) == 0
            && sim.connections(client) == 0
    });
    (client, server)
}

#[test]
fn what_comes_back_is_the_beginning_of_what_was_sent_and_all_of_it_without_resets() {
    sim::check(0..400, |sim| {
        let (client, server) = echo(sim);
        let sent = sent(sim.seed());
        let heard = sim.with(client, |cx| std::mem::take(&mut cx.state.heard));
        for heard in heard.values() {
            let is_beginning = sent.iter().any(|sent| sent.starts_with(heard));
            assert!(is_beginning, "heard what nobody sent");
        }
        if sim.resets() == 0 && sim.faults().all_connect() {
            let mut heard: Vec<_> = heard.into_values().collect();
            let mut sent = sent;
            heard.sort();
            sent.sort();
            assert!(heard == sent, "something was lost");
        }
        assert_released(sim, &[client, server]);
    });
}

#[test]
fn all_comes_back_where_nothing_is_reset_and_the_server_takes_pieces() {
    sim::check(0..300, |sim| {
        no_losses(sim);
        let manner = Manner {
            piece: 7,
            ..manner(sim.seed())
        };
        let (server, client) = (echo_host(sim, manner), idle_host(sim, "client"));
        let (addr, sent) = (sim.addr(server, PORT), bytes(sim.seed(), 7 * 700));
        let goes = sent.chunks(1_234).map(<[u8]>::to_vec).collect();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
        sim.run_for(Duration::from_secs(60));
        assert_released(sim, &[client, server]);
    });
}

#[test]
fn a_reply_that_is_sent_at_the_end_of_the_input_arrives_whole() {
    sim::check(0..200, |sim| {
        no_losses(sim);
        let manner = Manner {
            at_end: true,
            ..Manner::default()
        };
        let (server, client) = (echo_host(sim, manner), idle_host(sim, "client"));
        let (addr, sent) = (sim.addr(server, PORT), bytes(sim.seed(), 2_000));
        let goes = vec![sent.clone()];
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| {
            assert!(cx.state.heard[&key] == sent);
            assert_eq!(cx.state.ended, 1);
        });
    });
}

#[test]
fn more_than_one_read_takes_all_arrives() {
    sim::check(0..30, |sim| {
        let mut faults = no_losses(sim);
        (faults.window_bytes_min, faults.window_bytes_max) = (200_000, 400_000);
        (faults.short_read, faults.short_write) = (0.0, 0.0);
        sim.set_faults(faults);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let (addr, sent) = (sim.addr(server, PORT), bytes(sim.seed(), 1_000_000));
        let goes = vec![sent.clone()];
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
    });
}

#[test]
fn a_seed_tells_all_that_happens() {
    for seed in 0..20 {
        sim::check_deterministic(seed, |sim| {
            echo(sim);
        });
    }
    let hash = |seed| {
        let mut sim = Sim::new(seed);
        echo(&mut sim);
        sim.history_hash()
    };
    assert_ne!(hash(1), hash(2));
}

#[test]
#[should_panic(expected = "two runs of seed 1 differ")]
fn a_handler_with_a_source_of_chance_of_its_own_is_found_out() {
    let runs = std::cell::Cell::new(0);
    sim::check_deterministic(1, |sim| {
        runs.set(runs.get() + 1);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let (addr, goes) = (sim.addr(server, PORT), vec![bytes(runs.get(), 10)]);
        sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.run_for(LONG);
    });
}
