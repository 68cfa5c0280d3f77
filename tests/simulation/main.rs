//! The broker over a simulated network, with clients in clear, by TLS and by WebSocket that do all sorts of things: what
//! must hold whatever goes wrong, over a thousand seeds.

mod causes;
mod client;
mod events;
mod framed;
mod held;
mod hostile;
mod isolated;
mod limited;
mod listening;
mod model;
mod revised;
mod rogue;
mod scenarios;
#[cfg(feature = "tls")]
mod secured;
mod stopped;
mod talker;
mod told;

use client::{Log, Manner, Peers};
use midge::{
    Auth, Broker, Config, Mirror, Permission, Permissions, State, Subjects, Subscriptions, User,
    WebSocket,
};
use midge_reactor::sim::{self, HostId, Sim};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const PORT: u16 = 4222;
const WEBSOCKET_PORT: u16 = 8080;
/// How often the broker's parts are looked at in each round.
const CHECKS: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

fn broker(sim: &mut Sim, config: Config) -> HostId<State> {
    let config = Config {
        host: "0.0.0.0".to_owned(),
        port: PORT,
        ..config
    };
    let state = State::new(config).expect("the settings make sense");
    sim.host("broker", state, |cx| {
        Broker::listen(cx).map(drop).map_err(std::io::Error::other)
    })
}

fn random(sim: &mut Sim, broker: HostId<State>, below: u64) -> u64 {
    sim.with(broker, |cx| cx.io.random()) % below
}

/// Waits until `wanted` answers true; the virtual time that may take is generous, and bounded.
fn wait(sim: &mut Sim, what: &str, mut wanted: impl FnMut(&mut Sim) -> bool) {
    let end = sim.now() + 20 * MINUTE;
    while !wanted(sim) {
        assert!(sim.now() < end && sim.step(), "{what}: not within {end}");
    }
}

/// All that clients do, in one world, from the first connect to the last close.
fn play(sim: &mut Sim) {
    // What is too slow for a deadline is not what this is about, nor is a byte at a time for long.
    let mut faults = sim.faults();
    faults.window_bytes_min = faults.window_bytes_min.max(64);
    faults.window_bytes_max = faults.window_bytes_max.max(64);
    sim.set_faults(faults);
    let pending_bytes_max = [8 << 20, 128 << 10][usize::from(sim.seed().is_multiple_of(3))];
    let roomy = pending_bytes_max > 1 << 20;
    let connections_max = if sim.seed().is_multiple_of(5) { 3 } else { 100 };
    let config = Config {
        payload_bytes_max: rogue::PAYLOAD_BYTES_MAX,
        control_line_bytes_max: rogue::CONTROL_LINE_BYTES_MAX,
        subscriptions_max: Some(rogue::SUBSCRIPTIONS_MAX),
        pending_bytes_max,
        connections_max,
        write_deadline: if roomy {
            100 * MINUTE
        } else {
            10 * Duration::from_secs(1)
        },
        ping_interval: if roomy {
            100 * MINUTE
        } else {
            Duration::from_secs(3)
        },
        websocket: Some(WebSocket {
            port: WEBSOCKET_PORT,
            no_tls: true,
            compression: true,
            // What becomes of those that are late is not what this is about.
            handshake_timeout: 100 * MINUTE,
            ..WebSocket::default()
        }),
        ..Config::default()
    };
    // A PING of the broker may cross the first words of a handshake that comes late, and spoil it: none is due in a
    // roomy world.
    let has_tls = cfg!(feature = "tls") && roomy && sim.seed() % 10 == 3;
    #[cfg(feature = "tls")]
    let config = Config {
        tls: has_tls.then(secured::settings),
        allow_non_tls: true,
        ..config
    };
    causes::listen();
    let broker = broker(sim, config.clone());
    let timers_at_start = sim.timers(broker);
    let mut mirror = Mirror::default();
    let stamp = Rc::new(Cell::new(0));
    let manner = Manner {
        broker: sim.addr(broker, PORT),
        websocket: None,
        secure: false,
        acts: 1,
        payload_max: [20, 300, 4_096][random(sim, broker, 3) as usize],
        batch_max: 1 + random(sim, broker, 8),
        echo: true,
        stalls: sim.seed().is_multiple_of(2),
        leaves: false,
    };
    let mut hosts = Vec::new();
    let mut next_id = 0;
    for name in ["one", "two", "three"] {
        let peers = Peers {
            stamp: Rc::clone(&stamp),
            logs: Default::default(),
        };
        let host = sim.host(name, peers, |_| Ok(()));
        hosts.push(host);
    }
    let rogues = sim.host("rogues", talker::Notes::new(), |_| Ok(()));
    let peers = Peers {
        stamp: Rc::clone(&stamp),
        logs: Default::default(),
    };
    let hostiles = sim.host("hostile", peers, |_| Ok(()));
    let hostiles_max = [0, 2, 4][sim.seed() as usize % 3];
    let mut next_rogue = random(sim, broker, rogue::MISDEEDS);
    // Clients come and go while links break and hosts sleep, and are somebody else meanwhile.
    for round in 0..4 {
        if sim.seed() % 4 == 3 {
            let config = identified(&config, round);
            let reloaded = sim.with(broker, |cx| Broker::reload(cx, config));
            reloaded.expect("the settings make sense");
        }
        for host in &hosts {
            let comes_framed = random(sim, broker, 3) == 0;
            let manner = Manner {
                websocket: comes_framed.then(|| sim.addr(broker, WEBSOCKET_PORT)),
                secure: has_tls && !comes_framed && random(sim, broker, 2) == 0,
                acts: 4 + random(sim, broker, 20) as u32,
                echo: random(sim, broker, 4) > 0,
                leaves: random(sim, broker, 3) == 0,
                ..manner.clone()
            };
            next_id += 1;
            sim.with(*host, |cx| client::dial(cx, next_id, manner));
        }
        for _ in 0..random(sim, broker, 3) {
            next_rogue += 1;
            sim.with(rogues, |cx| rogue::dial(cx, next_rogue, manner.broker));
        }
        for _ in 0..random(sim, broker, hostiles_max + 1) {
            let kind = hostile::KINDS[random(sim, broker, 6) as usize];
            let acts = 1 + random(sim, broker, 12);
            next_id += 1;
            let (payload_max, broker) = (manner.payload_max, manner.broker);
            sim.with(hostiles, |cx| {
                hostile::dial(cx, next_id, (kind, acts), payload_max, broker);
            });
        }
        let host = hosts[random(sim, broker, 3) as usize];
        match random(sim, broker, 8) {
            0 => sim.partition(host, broker),
            1 => sim.hold(broker, host),
            2 => sim.pause(host, Duration::from_secs(2)),
            3 => sim.pause(broker, Duration::from_secs(1)),
            4 => {
                let peers = sim.with(host, |cx| {
                    for log in cx.state.logs.values_mut() {
                        (log.ended, log.left) = (true, true);
                    }
                    Peers {
                        stamp: Rc::clone(&cx.state.stamp),
                        logs: std::mem::take(&mut cx.state.logs),
                    }
                });
                sim.crash(host);
                sim.restart(host, peers, |_| Ok(()));
            }
            _ => {}
        }
        let time = 50 + random(sim, broker, 1_000 * (1 + round));
        for _ in 0..CHECKS {
            sim.run_for(Duration::from_millis(time) / CHECKS);
            sim.with(broker, |cx| cx.state.check(&mut mirror));
        }
        sim.heal(host, broker);
        sim.release(broker, host);
        let (stats, longest) = sim.with(broker, |cx| {
            cx.state.check(&mut mirror);
            (cx.state.stats(), cx.state.longest_queue_bytes(&cx.io))
        });
        assert!(stats.clients <= connections_max, "{stats:?}");
        assert!(longest <= pending_bytes_max, "{longest} bytes in a queue");
    }
    settle(sim, broker, &hosts);
    let stats = sim.with(broker, |cx| cx.state.stats());
    let mut logs = model::Logs::new();
    let all_hosts = [hosts.clone(), vec![hostiles]].concat();
    for host in &all_hosts {
        let blank = |(id, log): (&u64, &mut Log)| (*id, std::mem::take(log));
        logs.extend(sim.with(*host, |cx| {
            cx.state.logs.iter_mut().map(blank).collect::<Vec<_>>()
        }));
    }
    let delivered = logs.values().flat_map(|log| &log.subscriptions);
    let delivered: usize = delivered.map(|one| one.got.len()).sum();
    assert!(delivered as u64 <= stats.sent.messages);
    model::check(&logs);
    if roomy {
        let is_cut = |log: &&Log| {
            let cause = log.cid.map(causes::of).unwrap_or_default();
            log.hostile && cause.starts_with("Slow Consumer")
        };
        let cut = logs.values().filter(is_cut).count() as u64;
        assert_eq!((stats.slow_consumers, stats.stale), (cut, 0));
    }
    let (resets, may_be_cut) = (sim.resets(), !roomy);
    let broken = check_causes(&logs, resets, may_be_cut)
        + sim.with(rogues, |cx| rogue::check(cx.state, resets, may_be_cut));
    assert!(broken <= resets, "{broken} cut by {resets} resets");

    // A fresh pair can talk, and when all have gone nothing is left of them.
    for host in &all_hosts {
        let keys: Vec<_> = logs.values().filter_map(|log| log.key).collect();
        sim.with(*host, |cx| {
            for key in &keys {
                cx.io.close(*key);
            }
        });
    }
    sim.with(rogues, |cx| {
        for heard in cx.state.values() {
            cx.io.close(heard.key);
        }
    });
    wait(sim, "the last goes", |sim| sim.connections(broker) == 0);
    for (host, pattern) in [(hosts[0], "fresh.*"), (hosts[1], "fresh.>")] {
        let addr = manner.broker;
        sim.with(host, |cx| fresh(cx, addr, pattern));
    }
    wait(sim, "a fresh pair", |sim| {
        hosts[..2].iter().all(|host| sim.connections(*host) == 0)
    });
    wait(sim, "the fresh pair goes", |sim| {
        sim.connections(broker) == 0
    });
    let (stats, kept) = sim.with(broker, |cx| {
        cx.state.check(&mut mirror);
        (cx.state.stats(), cx.state.retained())
    });
    assert_eq!((stats.clients, stats.subscriptions, kept), (0, 0, 0));
    assert_eq!(sim.timers(broker), timers_at_start);
}

/// Settings under which a client without credentials is a user, with a permission that denies nothing here and another one
/// in each round; in the first and the last one nothing is asked for.
fn identified(config: &Config, round: u64) -> Config {
    if round.is_multiple_of(3) {
        return config.clone();
    }
    let permissions = Permissions {
        publish: Permission {
            allow: Some(Subjects::new([">"])),
            deny: Subjects::new([format!("denied.{round}")]),
        },
        subscribe: Permission {
            deny: Subscriptions::parse(["denied.>"]).expect("it is a subject"),
            ..Permission::default()
        },
        responses: None,
    };
    let anybody = User {
        name: "anybody".to_owned(),
        proof: "unknown".into(),
        permissions: Some(permissions.into()),
        ..User::default()
    };
    Config {
        auth: Auth::Users {
            users: vec![anybody].into(),
            token: None,
        },
        no_auth_user: Some("anybody".to_owned()),
        ..config.clone()
    }
}

/// No connection of a client that behaves was cut without a cause, which the broker names for each;
/// answers how many were cut by a fault.
fn check_causes(logs: &model::Logs, resets: u64, may_be_cut: bool) -> u64 {
    let mut broken = 0;
    for (id, log) in logs {
        let Some(cid) = log.cid.filter(|_| log.ended && !log.left) else {
            continue;
        };
        match causes::of(cid).as_str() {
            // As the broker sees it when a fault has reset the connection.
            "Client Closed" | "Read Error" | "TLS Handshake Failure" => broken += 1,
            "Stale Connection" if may_be_cut => {}
            cause if cause.starts_with("Slow Consumer") && (may_be_cut || log.hostile) => {}
            "Maximum Connections Exceeded" => assert!(!log.errors.is_empty() || resets > 0),
            other => panic!("client {id} was cut: {other}"),
        }
    }
    broken
}

/// Ends all faults, lets the clients finish, and has each that is up answered.
fn settle(sim: &mut Sim, broker: HostId<State>, hosts: &[HostId<Peers>]) {
    sim.calm();
    // Acts, stalls and late connects end by themselves.
    sim.run_for(MINUTE);
    for host in hosts {
        sim.with(*host, |cx| {
            let up: Vec<u64> = cx
                .state
                .logs
                .iter()
                .filter(|(_, log)| !log.ended)
                .map(|(id, _)| *id)
                .collect();
            for id in up {
                client::ping(cx.state, &mut cx.io, id);
            }
        });
    }
    wait(sim, "an answer to each PING", |sim| {
        hosts.iter().all(|host| {
            sim.with(*host, |cx| {
                let mut up = cx.state.logs.values().filter(|log| !log.ended && !log.left);
                up.all(|log| log.pings_out.is_empty())
            })
        })
    });
    let held = sim.with(broker, |cx| cx.state.longest_queue_bytes(&cx.io));
    assert_eq!(held, 0, "bytes are left in a queue");
}

/// Publishes to itself and to the other until both have heard.
fn fresh(cx: &mut midge_reactor::Context<'_, Peers>, addr: SocketAddr, pattern: &'static str) {
    use midge_reactor::{Context, Handler, Input};
    struct Fresh(&'static str, bool, u32);
    impl Handler<Peers> for Fresh {
        fn on_open(&mut self, cx: &mut Context<'_, Peers>) {
            let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\n", self.0);
            cx.send(hello.as_bytes());
            cx.set_interval(Duration::from_secs(1), 1);
        }
        fn on_timer(&mut self, cx: &mut Context<'_, Peers>, _: u64) {
            self.2 += 1;
            cx.send(format!("PUB fresh.air 7\r\n{}\r\n", self.0).as_bytes());
            if self.1 && self.2 > 5 {
                cx.close_after_write();
            }
        }
        fn on_input(&mut self, _: &mut Context<'_, Peers>, input: &mut Input<'_>) {
            // Nothing is taken out: it all stays together until both have talked.
            let text = String::from_utf8_lossy(input.peek()).into_owned();
            let other = if self.0 == "fresh.*" {
                "fresh.>"
            } else {
                "fresh.*"
            };
            if text.contains(&format!("MSG fresh.air 1 7\r\n{other}\r\n")) {
                self.1 = true;
            }
        }
    }
    cx.connect(addr, Fresh(pattern, false, 0));
}

#[test]
fn each_gets_what_it_must_whatever_goes_wrong() {
    sim::check(0..1_000, play);
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in [1, 5, 42] {
        sim::check_deterministic(seed, play);
    }
}

/// Not the same bytes, since keys are of the system.
#[cfg(feature = "tls")]
#[test]
fn a_seed_with_tls_is_the_same_run_but_for_what_the_bytes_are() {
    let run = |seed| {
        let mut sim = Sim::new(seed);
        play(&mut sim);
        (sim.now(), sim.history())
    };
    for seed in [13, 103] {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
}
