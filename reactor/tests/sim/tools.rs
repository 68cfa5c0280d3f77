//! What a simulation offers beside the world: chance on purpose, sizes, a record of every call.

use crate::actors::{Caller, Cx, Manner, PORT, Seen, echo_host, idle_host};
use midge_reactor::sim::{self, Faults, Sim};
use midge_reactor::{Context, Reactor};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(900);

fn taken(sim: &mut Sim, site: &'static str) -> usize {
    let host = idle_host(sim, "host");
    sim.with(host, |cx| {
        (0..1000).filter(|_| cx.io.chance(site, 0.25)).count()
    })
}

fn with_sites(seed: u64, on: f64) -> Sim {
    let mut faults = Faults::none();
    faults.sites = on;
    Sim::with_faults(seed, faults)
}

#[test]
fn a_site_is_on_in_some_runs_and_taken_as_often_as_it_asks() {
    let counts: Vec<usize> = (0..100)
        .map(|seed| taken(&mut with_sites(seed, 0.5), "a site"))
        .collect();
    let on = counts.iter().filter(|count| **count > 0).count();
    assert!((30..70).contains(&on), "on in {on} of 100 runs");
    let in_range = |count: &usize| *count == 0 || (180..320).contains(count);
    assert!(counts.iter().all(in_range), "{counts:?}");
    let again = taken(&mut with_sites(7, 0.5), "a site");
    assert_eq!(again, counts[7], "the seed decides");
}

#[test]
fn one_more_site_leaves_the_others_as_they_were() {
    let draws = |also: bool| {
        let mut sim = with_sites(1, 1.0);
        let host = idle_host(&mut sim, "host");
        sim.with(host, |cx| {
            let draw = |_| {
                if also {
                    cx.io.chance("another", 0.5);
                }
                cx.io.chance("this", 0.5)
            };
            (0..100).map(draw).collect::<Vec<_>>()
        })
    };
    assert_eq!(draws(true), draws(false));
}

#[test]
fn nothing_is_taken_without_faults_nor_over_real_sockets() {
    assert_eq!(taken(&mut Sim::new(1), "a site"), 0);
    let mut sim = with_sites(1, 1.0);
    sim.calm();
    assert_eq!(taken(&mut sim, "a site"), 0);
    let mut reactor = Reactor::new(()).expect("a selector can be opened");
    reactor.with(|cx: &mut Context<'_>| assert!(!cx.io.chance("a site", 1.0)));
}

#[test]
fn a_branch_that_is_taken_stands_in_the_history_by_its_name() {
    let mut sim = with_sites(1, 1.0);
    let hash = sim.history_hash();
    let host = idle_host(&mut sim, "host");
    let taken = sim.with(host, |cx| cx.io.chance("the cache is dropped", 1.0));
    assert!(taken);
    assert!(sim.history().contains("host the cache is dropped"));
    assert_ne!(sim.history_hash(), hash);
}

#[test]
fn the_history_has_every_call_of_a_handler() {
    let mut sim = Sim::new(1);
    let server = echo_host(&mut sim, Manner::default());
    let client = idle_host(&mut sim, "client");
    let (addr, goes) = (sim.addr(server, PORT), vec![b"x".to_vec()]);
    sim.with(client, |cx| {
        cx.connect(addr, Caller::new(goes, true));
        cx.after(Duration::from_secs(1), |_| ());
    });
    sim.run_for(Duration::from_secs(10));
    let history = sim.history();
    let count = |line: &str| history.lines().filter(|found| found.contains(line)).count();
    assert_eq!(count(" accept Key"), 2, "the call and the system call");
    for line in [" on_open ", " on_input ", " on_eof ", " on_close "] {
        assert_eq!(count(line), 2, "{line}in\n{history}");
    }
    assert!(count("client closure") >= 2, "the setup and the timer");
}

#[test]
fn two_runs_that_differ_in_a_call_alone_are_found_out() {
    let hash = |calls: u64| {
        let mut sim = Sim::new(1);
        let host = sim.host("host", Seen::default(), |_| Ok(()));
        for _ in 0..calls {
            sim.with(host, |_: &mut Cx<'_>| ());
        }
        sim.history_hash()
    };
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_size_depends_on_its_name_and_the_seed_and_keeps_its_bounds() {
    let size = |seed, name| Sim::new(seed).size(name, 10);
    let drawn: Vec<usize> = (0..200).map(|seed| size(seed, "clients")).collect();
    assert!(drawn.iter().all(|size| (1..=10).contains(size)));
    assert!((1..=10).all(|size| drawn.contains(&size)));
    assert!((0..200).any(|seed| size(seed, "clients") != size(seed, "rounds")));
    let mut sim = Sim::new(3);
    assert_eq!(sim.size("clients", 10), drawn[3]);
    assert_eq!(sim.size("clients", 10), drawn[3], "asked twice");
    assert_eq!(sim.size("nothing", 0), 1);
}

#[test]
fn connections_outlive_links_that_break_and_mend_by_themselves() {
    sim::check(0..100, |sim| {
        let mut faults = Faults::none();
        (faults.partition, faults.partition_max) = (0.05, Duration::from_secs(2));
        sim.set_faults(faults);
        let server = echo_host(sim, Manner::default());
        let client = idle_host(sim, "client");
        let addr = sim.addr(server, PORT);
        let rounds = sim.size("rounds", 40);
        let goes: Vec<_> = (0..rounds).map(|round| vec![round as u8; 100]).collect();
        let sent = goes.concat();
        let key = sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| assert!(cx.state.heard[&key] == sent));
    });
}

#[test]
fn a_link_that_is_cut_stays_so_when_a_break_of_it_mends() {
    let mut faults = Faults::none();
    (faults.partition, faults.partition_max) = (1.0, Duration::from_millis(1));
    let mut sim = Sim::with_faults(5, faults);
    let server = echo_host(&mut sim, Manner::default());
    let client = idle_host(&mut sim, "client");
    let addr = sim.addr(server, PORT);
    sim.partition(client, server);
    sim.with(client, |cx| {
        cx.connect(addr, Caller::new(vec![b"x".to_vec()], true))
    });
    sim.run_for(Duration::from_secs(10));
    assert_eq!(sim.with(client, |cx| cx.state.opened), 0);
    sim.heal(client, server);
    sim.calm();
    sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
    assert_eq!(sim.with(client, |cx| cx.state.opened), 1);
}

#[test]
#[ignore = "fails on purpose: the test below runs it"]
fn it_fails_where_events_are_shuffled() {
    sim::check(0..1, |sim| {
        let server = echo_host(sim, Manner::default());
        let client = idle_host(sim, "client");
        let addr = sim.addr(server, PORT);
        let goes: Vec<_> = (0..sim.size("rounds", 40)).map(|_| vec![1; 100]).collect();
        sim.with(client, |cx| cx.connect(addr, Caller::new(goes, true)));
        sim.run_for(Duration::from_secs(10));
        assert!(sim.faults().shuffle == 0.0, "events were shuffled");
    });
}

#[test]
fn a_run_that_makes_a_failure_small_prints_nothing_but_its_result() {
    let seed = (0..).find(|seed| Faults::swarm(*seed).shuffle > 0.0);
    let seed = seed.expect("half of all seeds have it").to_string();
    let this = std::env::current_exe().expect("a test is a program");
    let name = "tools::it_fails_where_events_are_shuffled";
    let run = Command::new(this)
        .args(["--ignored", "--exact", name, "--nocapture"])
        .envs([
            ("SIM_SEED", &*seed),
            ("SIM_SHRINK", "1"),
            ("RUST_BACKTRACE", "0"),
        ])
        .output()
        .expect("it is a program");
    assert!(!run.status.success());
    let told = String::from_utf8_lossy(&run.stderr);
    let count = |words: &str| told.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count("runs to make it small"), 1, "{told}");
    assert_eq!(count("events were shuffled"), 1, "{told}");
    assert_eq!(count("the simulation of seed"), 1, "{told}");
    assert_eq!(count("    rounds: 1"), 1, "{told}");
    // One kind of fault, one size, and what happened last.
    let before = told.split("the last that happened").next();
    let lines = before.map_or(0, |before| before.lines().count());
    assert!(lines <= 12 && told.lines().count() < 80, "{told}");
}
