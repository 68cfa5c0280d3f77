//! A connection that is kept up, whatever happens to it.

use crate::actors::{LONG, Manner, PORT, Seen, idle_host, listen, no_losses};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::util::Reconnect;
use midge_reactor::{Close, Context, Handler, Input, Key, Time};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What a client that is kept connected has lived through.
#[derive(Debug, Default)]
struct Life {
    unwanted: bool,
    /// When it was tried, and after how many failures.
    attempts: Vec<(Time, u32)>,
    lost: Vec<String>,
    /// The connection that is open.
    open: Option<Key>,
    opened: usize,
    alive: usize,
    answered: usize,
}

type Cx<'a> = Context<'a, Life>;

/// Asks, and waits for the answer.
#[derive(Debug)]
struct Client;

impl Handler<Life> for Client {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        assert_eq!(cx.state.open, None, "two are open at once");
        cx.state.open = Some(cx.key());
        cx.state.opened += 1;
        cx.send(b"?");
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.answered += input.take().len();
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        cx.state.open = cx.state.open.filter(|key| *key != cx.key());
        cx.state.alive -= 1;
    }
}

fn keep(cx: &mut Cx<'_>, how: Reconnect) -> Option<Key> {
    how.start(cx, |cx, attempt| {
        assert_eq!(cx.state.alive, 0, "the one before is still there");
        assert_eq!(attempt.why.is_none(), cx.state.attempts.is_empty());
        let now = cx.now();
        cx.state.attempts.push((now, attempt.failures));
        cx.state.lost.extend(attempt.why.map(ToString::to_string));
        let wanted = !cx.state.unwanted;
        cx.state.alive += usize::from(wanted);
        wanted.then_some(Client)
    })
}

fn client(sim: &mut Sim, how: Reconnect) -> HostId<Life> {
    sim.host("client", Life::default(), |cx| {
        keep(cx, how);
        Ok(())
    })
}

fn to_server() -> Reconnect {
    Reconnect::to(format!("server:{PORT}"))
}

fn server(sim: &mut Sim) -> HostId<Seen> {
    sim.host("server", Seen::default(), |cx| {
        listen(cx, Manner::default())
    })
}

fn waits(attempts: &[(Time, u32)]) -> Vec<u128> {
    let pairs = attempts.windows(2);
    pairs
        .map(|pair| (pair[1].0 - pair[0].0).as_millis())
        .collect()
}

#[test]
fn whatever_happens_it_is_connected_again_when_all_is_calm() {
    sim::check(0..150, |sim| {
        let (server, client) = (server(sim), client(sim, to_server()));
        for round in 0..4 {
            sim.run_for(Duration::from_millis(sim.seed() * 613 % 20_000));
            match (sim.seed() + round) % 4 {
                0 => sim.crash(server),
                1 => sim.cut_power(server),
                2 => sim.partition(client, server),
                _ => {}
            }
            sim.run_for(Duration::from_millis(sim.seed() * 419 % 40_000));
            sim.heal(client, server);
            if !sim.is_running(server) {
                sim.restart(server, Seen::default(), |cx| listen(cx, Manner::default()));
            }
        }
        sim.calm();
        // The server it was connected to may be gone without a word: it does not ask for ever.
        sim.with(client, |cx| {
            if let Some(key) = cx.state.open {
                cx.io.fail(key, "it may be deaf");
            }
        });
        let answered = sim.with(client, |cx| cx.state.answered);
        sim.eventually(120 * SECOND, |sim| {
            sim.with(client, |cx| {
                cx.state.open.is_some() && cx.state.answered > answered
            })
        });
        sim.with(client, |cx| cx.state.unwanted = true);
        sim.crash(server);
        sim.run_for(LONG);
        let idle = sim.with(client, |cx| (cx.state.open, cx.state.alive, cx.offloaded()));
        assert_eq!(idle, (None, 0, 0));
    });
}

#[test]
fn waits_grow_from_the_shortest_to_the_longest() {
    let mut sim = Sim::new(1);
    // Its host is there, and nobody listens.
    idle_host(&mut sim, "server");
    let how = to_server().backoff(SECOND, 8 * SECOND).jitter(0.0);
    let client = client(&mut sim, how);
    sim.run_for(60 * SECOND);
    sim.with(client, |cx| {
        let failures: Vec<u32> = cx
            .state
            .attempts
            .iter()
            .map(|(_, failures)| *failures)
            .collect();
        assert!(failures.into_iter().eq(0..10));
        // A refusal takes its way and a little more.
        let waits: Vec<u128> = waits(&cx.state.attempts)
            .iter()
            .map(|wait| wait / 100)
            .collect();
        assert_eq!(waits, [10, 20, 40, 80, 80, 80, 80, 80, 80]);
        assert!(cx.state.lost.iter().all(|why| why.contains("refused")));
    });
}

#[test]
fn chance_keeps_many_clients_from_coming_back_in_one_moment() {
    let mut sim = Sim::new(1);
    idle_host(&mut sim, "server");
    let how = to_server().backoff(10 * SECOND, 10 * SECOND).jitter(1.0);
    let clients = [(); 20].map(|()| client(&mut sim, how.clone()));
    sim.run_for(11 * SECOND);
    let mut second: Vec<Time> = clients
        .iter()
        .map(|client| sim.with(*client, |cx| cx.state.attempts[1].0))
        .collect();
    second.sort_unstable();
    let spread = second[19] - second[0];
    assert!(spread > 5 * SECOND && spread < 11 * SECOND, "{spread:?}");
}

#[test]
fn one_that_has_lasted_begins_anew_with_the_shortest_wait() {
    let mut sim = Sim::new(1);
    let server = idle_host(&mut sim, "server");
    let how = to_server().backoff(SECOND, 64 * SECOND).jitter(0.0);
    let client = client(&mut sim, how);
    sim.run_for(40 * SECOND);
    sim.with(server, |cx| listen(cx, Manner::default()))
        .expect("the port is free");
    sim.run_for(200 * SECOND);
    let before = sim.with(client, |cx| {
        assert!(cx.state.open.is_some());
        cx.state.attempts.len()
    });
    sim.restart(server, Seen::default(), |cx| listen(cx, Manner::default()));
    sim.run_for(2 * SECOND);
    sim.with(client, |cx| {
        assert_eq!(cx.state.attempts[before].1, 1);
        assert!(cx.state.open.is_some(), "it waits for too long");
    });
}

/// Takes a connection and ends it at once.
#[derive(Debug)]
struct Rude;

impl Handler<Seen> for Rude {
    fn on_open(&mut self, cx: &mut crate::actors::Cx<'_>) {
        cx.close();
    }

    fn on_input(&mut self, _: &mut crate::actors::Cx<'_>, input: &mut Input<'_>) {
        input.take();
    }
}

#[test]
fn a_server_that_hangs_up_at_once_is_asked_less_and_less_often() {
    let mut sim = Sim::new(1);
    sim.host("server", Seen::default(), |cx| {
        let addr = std::net::SocketAddr::from(([0, 0, 0, 0], PORT));
        cx.listen(addr, |_: &mut crate::actors::Cx<'_>| Rude)
            .map(drop)
    });
    let how = to_server().backoff(SECOND, 8 * SECOND).jitter(0.0);
    let client = client(&mut sim, how);
    sim.run_for(60 * SECOND);
    sim.with(client, |cx| {
        assert_eq!(cx.state.attempts.len(), 10);
        assert_eq!(cx.state.opened, 10);
    });
}

#[test]
fn one_that_the_program_closes_is_over_and_one_that_fails_is_not() {
    let mut sim = Sim::new(1);
    server(&mut sim);
    let client = client(&mut sim, to_server());
    sim.run_for(SECOND);
    for (fails, attempts) in [(true, 2), (false, 2)] {
        sim.with(client, |cx| {
            let key = cx.state.open.expect("it is connected");
            match fails {
                true => cx.io.fail(key, "try again"),
                false => cx.io.close(key),
            }
        });
        sim.run_for(60 * SECOND);
        sim.with(client, |cx| assert_eq!(cx.state.attempts.len(), attempts));
    }
    sim.with(client, |cx| assert_eq!(cx.state.lost, ["try again"]));
}

#[test]
fn one_that_is_not_wanted_any_more_gives_up_and_so_does_one_that_never_was() {
    let mut sim = Sim::new(1);
    idle_host(&mut sim, "server");
    let client = client(&mut sim, to_server());
    sim.run_for(5 * SECOND);
    let tried = sim.with(client, |cx| {
        cx.state.unwanted = true;
        cx.state.attempts.len()
    });
    sim.run_for(LONG);
    sim.with(client, |cx| {
        assert_eq!(
            cx.state.attempts.len(),
            tried + 1,
            "asked once more, and no more"
        );
        cx.state.attempts.clear();
        assert_eq!(keep(cx, to_server()), None);
    });
    sim.run_for(LONG);
    sim.with(client, |cx| assert_eq!(cx.state.attempts.len(), 1));
}

#[test]
fn a_reactor_that_shuts_down_is_not_kept_from_it() {
    sim::check(0..50, |sim| {
        no_losses(sim);
        let (_, client) = (server(sim), client(sim, to_server()));
        // Open, on the way, or waiting between two attempts.
        sim.run_for(Duration::from_micros(sim.seed() * 97 % 3_000));
        sim.with(client, |cx| cx.io.shutdown(5 * SECOND));
        sim.eventually(60 * SECOND, |sim| !sim.is_running(client));
        sim.with(client, |cx| assert_eq!(cx.state.attempts.len(), 1));
    });
}

#[test]
fn a_seed_tells_when_it_connects_again() {
    for seed in 0..10 {
        sim::check_deterministic(seed, |sim| {
            let mut faults = sim.faults();
            faults.reset = 0.2;
            sim.set_faults(faults);
            let (server, client) = (server(sim), client(sim, to_server()));
            sim.run_for(20 * SECOND);
            sim.crash(server);
            sim.run_for(20 * SECOND);
            sim.with(client, |cx| assert!(!cx.state.attempts.is_empty()));
        });
    }
}

#[test]
fn a_wait_that_ends_while_others_are_still_closing_ends_without_an_attempt() {
    let mut sim = Sim::new(1);
    idle_host(&mut sim, "server");
    let far = sim.host("far", Seen::default(), |cx| listen(cx, Manner::default()));
    let client = client(&mut sim, to_server().backoff(SECOND, SECOND));
    let addr = sim.addr(far, PORT);
    sim.with(client, |cx| {
        cx.state.alive += 1;
        cx.connect(addr, Client)
    });
    sim.run_for(Duration::from_millis(100));
    sim.partition(client, far);
    sim.with(client, |cx| {
        assert_eq!(cx.state.attempts.len(), 1, "it does not wait yet");
        // What is queued cannot leave: this connection holds the end up.
        let key = cx.state.open.expect("the far one is open");
        assert!(cx.io.send(key, vec![b'x'; 1 << 20]));
        cx.io.shutdown(5 * SECOND);
    });
    sim.run_for(4 * SECOND);
    assert!(sim.is_running(client), "nothing has held the end up");
    sim.with(client, |cx| assert_eq!(cx.state.attempts.len(), 1));
}
