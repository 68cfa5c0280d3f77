//! Connections to names, with lookups that are slow, fail, or find addresses where nobody is.

use crate::actors::{
    Caller, LONG, Manner, PORT, assert_released, bytes, echo_host, goes, idle_host, no_losses,
};
use midge_reactor::CONNECT_TIMEOUT;
use midge_reactor::sim::{self, Faults, Sim};
use std::net::IpAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Nobody has this address: what is sent there is lost, or refused by nobody.
const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 9, 9));

#[test]
fn a_connection_to_a_name_is_used_as_any_other_from_the_first_moment() {
    sim::check(0..300, |sim| {
        no_losses(sim);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let idle = idle_host(sim, "idle");
        // One host where nobody listens, and the server: the order is the seed's.
        let mut ips = [sim.addr(idle, 0).ip(), sim.addr(server, 0).ip()];
        ips.rotate_left((sim.seed() % 2) as usize);
        sim.name("db", &ips);
        let sent = bytes(sim.seed(), 1_000);
        let caller = Caller::new(goes(sim.seed(), 2), true);
        let wanted = [sent.clone(), goes(sim.seed(), 2).concat()].concat();
        let key = sim.with(client, |cx| {
            let key = cx.connect_host(&format!("db:{PORT}"), caller);
            assert!(cx.io.send(key, &sent), "it takes no bytes yet");
            key
        });
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 1)
        });
        let resolves = sim.faults().all_resolve();
        sim.with(client, |cx| {
            let heard = cx.state.heard.get(&key);
            if cx.state.closed == 1 {
                assert!(heard == Some(&wanted), "something was lost");
            } else {
                // A long pause on either side may eat up a share of the time.
                let why = &cx.state.why[0];
                assert!(heard.is_none());
                assert!(!resolves || why == "connect timed out", "{why}");
                assert!(why == "connect timed out" || why.contains("db:7"), "{why}");
            }
        });
        sim.run_for(60 * SECOND);
        assert_released(sim, &[server, client, idle]);
    });
}

#[test]
fn a_host_is_known_by_its_name_and_whoever_asks_as_localhost() {
    let mut sim = Sim::new(1);
    let server = echo_host(&mut sim, Manner::default());
    for (host, name) in [
        (idle_host(&mut sim, "client"), "server"),
        (server, "localhost"),
    ] {
        let text = format!("{name}:{PORT}");
        let before = sim.with(host, |cx| cx.state.heard.len());
        sim.with(host, |cx| {
            cx.connect_host(&text, Caller::new(vec![bytes(1, 100)], true));
        });
        sim.run_for(10 * SECOND);
        sim.with(host, |cx| {
            assert_eq!(cx.state.heard.len(), before + 1, "{name}");
        });
    }
}

#[test]
fn a_name_that_nobody_knows_is_told_in_the_reason() {
    let mut sim = Sim::new(1);
    let client = idle_host(&mut sim, "client");
    sim.name("gone", &[]);
    for host in ["nobody:1", "gone:1"] {
        sim.with(client, |cx| {
            cx.connect_host(host, Caller::new(Vec::new(), true))
        });
    }
    sim.run_for(SECOND);
    sim.with(client, |cx| {
        cx.state.why.sort_unstable();
        let why = |host, name| {
            format!("connect failed: {host}: cannot resolve \"{name}\": nobody knows this name")
        };
        assert_eq!(
            cx.state.why,
            [why("gone:1", "gone"), why("nobody:1", "nobody")]
        );
    });
}

#[test]
fn an_address_where_nobody_is_costs_its_share_and_not_the_whole_of_the_time() {
    let mut sim = Sim::new(1);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let ip = sim.addr(server, 0).ip();
    sim.name("db", &[NOWHERE, ip]);
    let began = sim.now();
    let key = sim.with(client, |cx| {
        cx.connect_host(
            &format!("db:{PORT}"),
            Caller::new(vec![bytes(1, 100)], true),
        )
    });
    sim.eventually(CONNECT_TIMEOUT, |sim| {
        sim.with(client, |cx| cx.state.closed == 1)
    });
    assert!(sim.now() - began >= CONNECT_TIMEOUT / 2 - SECOND);
    sim.with(client, |cx| assert!(cx.state.heard[&key] == bytes(1, 100)));
}

#[test]
fn lookups_that_are_slow_or_fail_are_so_as_often_as_the_profile_says() {
    let count = |faults: &Faults| {
        let mut sim = Sim::with_faults(5, faults.clone());
        let host = idle_host(&mut sim, "host");
        sim.with(host, |cx| {
            for _ in 0..100 {
                cx.resolve("host", 7, |cx, found| {
                    let now = cx.now();
                    cx.state.fired.push((now, u64::from(found.is_ok())));
                });
            }
        });
        let at_once = sim.now() + SECOND;
        sim.run_for(LONG);
        let late = at_once + sim.faults().clock_offset_max;
        sim.with(host, |cx| {
            assert_eq!(cx.state.fired.len(), 100);
            let found = cx
                .state
                .fired
                .iter()
                .filter(|(_, found)| *found == 1)
                .count();
            let slow = cx.state.fired.iter().filter(|(at, _)| *at > late).count();
            (found, slow)
        })
    };
    let mut faults = Faults::none();
    assert_eq!(count(&faults), (100, 0));
    faults.lookup_failed = 0.5;
    let (found, slow) = count(&faults);
    assert!((20..80).contains(&found) && slow == 0, "{found}, {slow}");
    (faults.lookup_failed, faults.lookup_slow) = (0.0, 0.5);
    let (found, slow) = count(&faults);
    assert!(found == 100 && slow > 20, "{found}, {slow}");
}

#[test]
fn connections_that_are_closed_at_any_moment_leave_nothing_behind() {
    sim::check(0..200, |sim| {
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let ip = sim.addr(server, 0).ip();
        sim.name("db", &[NOWHERE, ip]);
        let keys: Vec<_> = (0..10)
            .map(|_| {
                let caller = Caller::new(goes(sim.seed(), 3), true);
                sim.with(client, |cx| cx.connect_host(&format!("db:{PORT}"), caller))
            })
            .collect();
        for key in keys {
            let within = Duration::from_millis(sim.seed() * 257 % 15_000);
            sim.post_within(client, within, move |cx| {
                cx.io.close(key);
            });
        }
        sim.run_for(30 * SECOND);
        sim.calm();
        sim.run_for(LONG);
        assert_eq!(sim.connections(client), 0);
        sim.with(client, |cx: &mut crate::actors::Cx<'_>| {
            assert_eq!(cx.state.closed + cx.state.refused, 10);
            assert_eq!(cx.offloaded(), 0);
        });
    });
}

#[test]
fn a_seed_tells_what_becomes_of_lookups() {
    for seed in 0..20 {
        sim::check_deterministic(seed, |sim| {
            let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
            let ip = sim.addr(server, 0).ip();
            sim.name("db", &[NOWHERE, ip]);
            for _ in 0..5 {
                let caller = Caller::new(goes(seed, 2), true);
                sim.with(client, |cx| cx.connect_host(&format!("db:{PORT}"), caller));
            }
            sim.run_for(60 * SECOND);
        });
    }
}
