//! Hosts that crash, links that are cut, descriptors that run out, signals and other threads.

use crate::actors::{
    Caller, Cx, LONG, Manner, PORT, Seen, assert_released, bytes, echo_host, idle_host, listen,
    no_losses,
};
use midge_reactor::sim::{self, Sim};
use midge_reactor::{CONNECT_TIMEOUT, Datagram, Handler, Input, Reactor};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn one_call(sim: &mut Sim, ends: bool) -> impl Handler<Seen> + use<> {
    Caller::new(vec![bytes(sim.seed(), 2_000)], ends)
}

#[test]
fn what_was_sent_into_a_partition_arrives_when_it_heals() {
    sim::check(0..100, |sim| {
        no_losses(sim);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let addr = sim.addr(server, PORT);
        let sent: Vec<Vec<u8>> = (0..5).map(|go| bytes(go, 500)).collect();
        let caller = Caller::new(sent.clone(), true);
        let key = sim.with(client, |cx| cx.connect(addr, caller));
        let moment = Duration::from_micros(sim.seed() * 997 % 9_000);
        sim.run_for(moment);
        if sim.seed() % 2 == 0 {
            sim.partition(client, server);
        } else {
            sim.partition_one_way(server, client);
        }
        let heard = |sim: &mut Sim| {
            sim.with(client, |cx| {
                cx.state.heard.get(&key).cloned().unwrap_or_default()
            })
        };
        // What is read already may still be told.
        sim.run_for(5 * SECOND);
        let before = heard(sim);
        sim.run_for(5 * SECOND);
        assert!(heard(sim) == before, "something came through");
        sim.heal(client, server);
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        assert!(heard(sim) == sent.concat());
        sim.run_for(60 * SECOND);
        assert_released(sim, &[client, server]);
    });
}

#[test]
fn nothing_crosses_a_link_that_is_held_until_it_is_released() {
    let mut sim = Sim::new(1);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let addr = sim.addr(server, PORT);
    sim.hold(client, server);
    let caller = one_call(&mut sim, true);
    sim.with(client, |cx| cx.connect(addr, caller));
    sim.run_for(10 * SECOND);
    assert_eq!(sim.connections(server), 0);
    sim.release(client, server);
    sim.run_for(10 * SECOND);
    sim.with(client, |cx| assert_eq!(cx.state.closed, 1));
}

#[test]
fn a_connect_into_a_partition_gives_up_in_time() {
    let mut sim = Sim::new(3);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let addr = sim.addr(server, PORT);
    sim.partition(client, server);
    let caller = one_call(&mut sim, true);
    sim.with(client, |cx| cx.connect(addr, caller));
    sim.run_for(CONNECT_TIMEOUT - SECOND);
    sim.with(client, |cx| assert!(cx.state.why.is_empty()));
    sim.run_for(2 * SECOND);
    sim.with(client, |cx| {
        assert_eq!(cx.state.why, ["connect timed out"]);
        assert_eq!((cx.state.opened, cx.state.refused), (0, 1));
    });
    sim.heal(client, server);
    sim.run_for(LONG);
    assert_released(&mut sim, &[client, server]);
}

#[test]
fn a_server_that_crashed_and_came_back_serves_again() {
    sim::check(0..100, |sim| {
        no_losses(sim);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let addr = sim.addr(server, PORT);
        let caller = one_call(sim, false);
        sim.with(client, |cx| cx.connect(addr, caller));
        let moment = Duration::from_micros(sim.seed() * 991 % 9_000);
        sim.run_for(moment);
        let power_cut = sim.seed() % 2 == 0;
        if power_cut {
            sim.cut_power(server);
        } else {
            sim.crash(server);
        }
        assert!(!sim.is_running(server));
        sim.run_for(2 * SECOND);
        sim.restart(server, Seen::default(), |cx| listen(cx, Manner::default()));
        sim.run_for(2 * SECOND);
        let caller = one_call(sim, true);
        let again = sim.with(client, |cx| cx.connect(addr, caller));
        sim.eventually(LONG, |sim| sim.with(client, |cx| !cx.io.is_open(again)));
        sim.with(client, |cx| {
            assert!(cx.state.heard[&again] == bytes(0, 0) || cx.state.heard[&again].len() == 2_000);
        });
        sim.calm();
        sim.with(client, |cx| {
            // A server that vanished after it had heard all owes nobody a word: nothing will tell.
            for key in cx.state.heard.keys().copied().collect::<Vec<_>>() {
                cx.io.close(key);
            }
        });
        sim.run_for(LONG);
        if !power_cut {
            assert_released(sim, &[client, server]);
        }
    });
}

#[test]
fn nobody_listens_after_a_crash_and_nobody_answers_without_power() {
    let mut sim = Sim::new(2);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let addr = sim.addr(server, PORT);
    for power_cut in [false, true] {
        if power_cut {
            sim.cut_power(server);
        } else {
            sim.crash(server);
        }
        let caller = one_call(&mut sim, true);
        sim.with(client, |cx| cx.connect(addr, caller));
        sim.run_for(30 * SECOND);
    }
    sim.with(client, |cx| {
        assert_eq!(cx.state.why.len(), 2);
        assert!(cx.state.why[0].contains("refused"), "{:?}", cx.state.why);
        assert_eq!(cx.state.why[1], "connect timed out");
    });
}

#[test]
fn callers_without_descriptors_wait_and_are_all_served() {
    sim::check(0..100, |sim| {
        no_losses(sim);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        // The listener and two connections.
        sim.sockets_max(server, 3);
        let addr = sim.addr(server, PORT);
        for _ in 0..8 {
            let caller = one_call(sim, true);
            sim.with(client, |cx| cx.connect(addr, caller));
        }
        sim.eventually(LONG, |sim| {
            assert!(sim.connections(server) <= 2);
            sim.with(client, |cx| cx.state.closed == 8)
        });
        sim.with(client, |cx| {
            assert!(cx.state.heard.values().all(|heard| heard.len() == 2_000));
        });
    });
}

#[test]
fn more_callers_than_one_turn_accepts_are_all_served() {
    let mut sim = Sim::new(5);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let addr = sim.addr(server, PORT);
    sim.pause(server, SECOND);
    for _ in 0..200 {
        sim.with(client, |cx| {
            cx.connect(addr, Caller::new(vec![b"x".to_vec()], true))
        });
    }
    sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 200));
    sim.run_for(60 * SECOND);
    assert_released(&mut sim, &[client, server]);
}

#[test]
fn signals_reach_whoever_watches_them() {
    let mut sim = Sim::new(1);
    let host = sim.host("host", Seen::default(), |cx| {
        cx.on_signals(&[15], |cx, signal| {
            cx.state.signals.push(signal);
            cx.stop();
        })
    });
    sim.signal(host, 1);
    sim.run_until_idle();
    assert!(sim.is_running(host));
    sim.signal(host, 15);
    sim.run_until_idle();
    assert!(!sim.is_running(host));
    sim.with(host, |cx| assert_eq!(cx.state.signals, [15]));
}

#[test]
fn a_program_that_stops_tells_its_handlers_and_its_peers() {
    sim::check(0..50, |sim| {
        no_losses(sim);
        let (server, client) = (echo_host(sim, Manner::default()), idle_host(sim, "client"));
        let addr = sim.addr(server, PORT);
        sim.with(client, |cx| {
            cx.connect(addr, Caller::new(vec![b"x".to_vec()], false));
            cx.connect(addr, Caller::new(vec![b"y".to_vec(); 2], true));
        });
        sim.post_within(server, Duration::from_millis(5), |cx| cx.io.stop());
        sim.eventually(LONG, |sim| {
            !sim.is_running(server) && sim.connections(client) == 0
        });
        assert_released(sim, &[server, client]);
    });
}

#[test]
fn jobs_posted_from_outside_run_once_each_and_need_nothing_else_to_happen() {
    sim::check(0..50, |sim| {
        let host = idle_host(sim, "host");
        for job in 0..20 {
            sim.post_within(host, SECOND, move |cx| {
                let now = cx.now();
                cx.state.fired.push((now, job));
            });
        }
        let remote = sim.remote(host);
        // Looking would wake it.
        sim.run_for(30 * SECOND);
        let mut jobs: Vec<u64> = sim.with(host, |cx| {
            cx.state.fired.iter().map(|(_, job)| *job).collect()
        });
        jobs.sort_unstable();
        assert!(jobs.into_iter().eq(0..20));
        sim.crash(host);
        assert!(remote.post(|_| unreachable!("it is gone")).is_err());
    });
}

/// Sends more than its peer reads.
#[derive(Debug)]
struct Flood;

impl Handler<Seen> for Flood {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        cx.io.write_timeout(key, Some(5 * SECOND));
        cx.send(bytes(0, 300_000));
    }

    fn on_input(&mut self, _: &mut Cx<'_>, input: &mut Input<'_>) {
        input.take();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &midge_reactor::Close) {
        cx.state.why.push(why.to_string());
    }
}

#[test]
fn a_write_into_a_partition_times_out() {
    let mut sim = Sim::new(4);
    let (server, client) = (
        echo_host(&mut sim, Manner::default()),
        idle_host(&mut sim, "client"),
    );
    let addr = sim.addr(server, PORT);
    sim.with(client, |cx| cx.connect(addr, Flood));
    sim.run_for(Duration::from_micros(900));
    sim.partition(client, server);
    sim.run_for(20 * SECOND);
    sim.with(client, |cx| assert_eq!(cx.state.why, ["write timed out"]));
    sim.heal(client, server);
    sim.run_for(60 * SECOND);
    assert_eq!(sim.connections(server), 0);
}

#[test]
fn a_restarted_program_may_have_settings_of_its_own() {
    let mut sim = Sim::new(1);
    let few = || Reactor::builder().max_timers(1);
    let host = sim.host_with("host", few(), Seen::default(), |_| Ok(()));
    sim.crash(host);
    sim.restart_with(host, few(), Seen::default(), |_| Ok(()));
    let armed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sim.with(host, |cx| {
            cx.after(SECOND, |_| {});
            cx.after(SECOND, |_| {});
        });
    }));
    assert!(armed.is_err(), "it has the settings of another program");
    assert_eq!(sim.timers(host), 1);
}

#[test]
fn a_port_that_the_system_picks_is_one_that_nobody_has() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    sim.with(host, |cx| {
        // The ports that are picked begin there.
        for port in [49_152, 49_153, 49_155] {
            let addr = format!("0.0.0.0:{port}");
            let taken = cx.listen(&*addr, |_: &mut Cx<'_>| Caller::new(vec![], false));
            taken.expect("nobody has it yet");
            cx.udp(&*addr, Deaf).expect("nobody has it yet");
        }
        let mut ports: Vec<u16> = Vec::new();
        for _ in 0..3 {
            let accept = |_: &mut Cx<'_>| Caller::new(vec![], false);
            let listener = cx.listen("0.0.0.0:0", accept).expect("there is one");
            ports.extend(cx.listening_on(listener).map(|addr| addr.port()));
            let udp = cx.udp("0.0.0.0:0", Deaf).expect("there is one");
            ports.extend(cx.io.local_addr(udp).map(|addr| addr.port()));
        }
        assert_eq!(ports.len(), 6);
        assert!(
            ports
                .iter()
                .all(|port| ![49_152, 49_153, 49_155].contains(port))
        );
    });
}

/// Takes packets and tells nobody.
struct Deaf;

impl Datagram<Seen> for Deaf {
    fn on_packet(&mut self, _: &mut Cx<'_>, _: SocketAddr, _: &[u8]) {}
}
