//! Datagrams: whole or not at all, whatever the network does; and nobody else suffers.

use crate::actors::{self, Caller, Manner, PORT, echo_host};
use midge_reactor::sim::{self, Faults, HostId, Sim};
use midge_reactor::{Close, Context, Datagram, Key, UdpOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(900);
const MS: Duration = Duration::from_millis(1);

/// What the sockets of a host have seen.
#[derive(Debug, Default)]
struct Seen {
    opened: usize,
    closed: usize,
    packets: Vec<(SocketAddr, Vec<u8>)>,
    errors: Vec<ErrorKind>,
    /// What is still to be answered.
    open: BTreeMap<u32, Vec<u8>>,
    answers: usize,
    drains: usize,
}

type Cx<'a> = Context<'a, Seen>;

/// The order in which a handler may be called, checked.
#[derive(Debug, Default)]
struct Order {
    opened: bool,
    closed: bool,
}

impl Order {
    fn open(&mut self, cx: &mut Cx<'_>) {
        assert!(!self.closed && !std::mem::replace(&mut self.opened, true));
        cx.state.opened += 1;
    }

    fn other(&self, cx: &Cx<'_>) {
        assert!(self.opened, "called before on_open");
        assert!(!self.closed, "called after on_close");
        assert!(cx.io.is_open(cx.key()), "called after a close");
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        cx.state.closed += 1;
    }
}

/// Notes what comes, and sends it back if it is to.
#[derive(Debug, Default)]
struct Server {
    order: Order,
    answers: bool,
}

impl Datagram<Seen> for Server {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, from: SocketAddr, packet: &[u8]) {
        self.order.other(cx);
        if self.answers {
            cx.reply(packet);
        }
        cx.state.packets.push((from, packet.to_vec()));
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, error: &io::Error) {
        self.order.other(cx);
        cx.state.errors.push(error.kind());
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        self.order.close(cx);
    }
}

/// Asks each question of its host's state again and again until it is answered.
struct Asker {
    to: SocketAddr,
    order: Order,
}

impl Asker {
    fn ask(&self, cx: &mut Cx<'_>) {
        let key = cx.key();
        for question in cx.state.open.values() {
            cx.io.send_to(key, self.to, question);
        }
    }
}

impl Datagram<Seen> for Asker {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        self.ask(cx);
        cx.set_interval(300 * MS, 0);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, from: SocketAddr, packet: &[u8]) {
        self.order.other(cx);
        assert_eq!(from, self.to);
        cx.state.answers += 1;
        let id = number(packet);
        if let Some(question) = cx.state.open.remove(&id) {
            assert!(packet == question, "the answer was changed");
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.order.other(cx);
        self.ask(cx);
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, error: &io::Error) {
        self.order.other(cx);
        cx.state.errors.push(error.kind());
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        self.order.other(cx);
        cx.state.drains += 1;
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        self.order.close(cx);
    }
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[..4].try_into().expect("four bytes"))
}

/// Packet number `id` of a run: its number and a content that depends on it.
fn packet(seed: u64, id: u32) -> Vec<u8> {
    let lengths = [0, 1, 60, 1200, 9000, 65_000];
    let len = lengths[(seed as usize + id as usize * 7) % lengths.len()];
    let content = (0..len).map(|at| (at as u32).wrapping_mul(id + 3) as u8);
    id.to_be_bytes().into_iter().chain(content).collect()
}

fn host(sim: &mut Sim, name: &str) -> HostId<Seen> {
    sim.host(name, Seen::default(), |_| Ok(()))
}

fn server(sim: &mut Sim, answers: bool) -> (HostId<Seen>, SocketAddr) {
    let host = sim.host("server", Seen::default(), |cx| open(cx, answers));
    (host, sim.addr(host, PORT))
}

fn open(cx: &mut Cx<'_>, answers: bool) -> io::Result<()> {
    let server = Server {
        answers,
        ..Server::default()
    };
    cx.udp(("0.0.0.0", PORT), server).map(drop)
}

fn socket(sim: &mut Sim, host: HostId<Seen>, options: &UdpOptions) -> Key {
    let opened = sim.with(host, |cx| {
        cx.udp_with("0.0.0.0:0", options, Server::default())
    });
    opened.expect("a port is free")
}

fn ask(sim: &mut Sim, count: u32, to: SocketAddr) -> HostId<Seen> {
    let seed = sim.seed();
    let open = (0..count).map(|id| (id, packet(seed, id))).collect();
    let seen = Seen {
        open,
        ..Seen::default()
    };
    sim.host("asker", seen, |cx| {
        let order = Order::default();
        cx.udp("0.0.0.0:0", Asker { to, order }).map(drop)
    })
}

#[test]
fn without_faults_every_packet_arrives_once_whole_and_in_order() {
    for seed in 0..50 {
        let mut sim = Sim::new(seed);
        let (server, to) = server(&mut sim, true);
        let client = host(&mut sim, "client");
        let key = socket(&mut sim, client, &UdpOptions::default());
        for first in [0, 100, 200] {
            sim.with(client, |cx| {
                for id in first..first + 100 {
                    assert!(cx.io.send_to(key, to, &packet(seed, id)));
                }
            });
            sim.run_for(3 * MS);
        }
        sim.run_until_idle();
        for host in [server, client] {
            let packets = sim.with(host, |cx| std::mem::take(&mut cx.state.packets));
            let packets: Vec<_> = packets.into_iter().map(|(_, packet)| packet).collect();
            let sent: Vec<_> = (0..300).map(|id| packet(seed, id)).collect();
            assert!(packets == sent, "seed {seed}");
        }
        assert_eq!(sim.lost_packets(), 0);
    }
}

#[test]
fn whatever_goes_wrong_a_packet_that_arrives_is_one_that_was_sent() {
    sim::check(0..300, |sim| {
        let seed = sim.seed();
        let (server, to) = server(sim, false);
        let client = host(sim, "client");
        let key = socket(sim, client, &UdpOptions::default());
        let client_addr = sim.with(client, |cx| cx.io.local_addr(key)).expect("bound");
        let client_addr = sim.addr(client, client_addr.port());
        let mut sent = 0;
        for first in (0..400).step_by(40) {
            sim.with(client, |cx| {
                for id in first..first + 40 {
                    sent += usize::from(cx.io.send_to(key, to, &packet(seed, id)));
                }
            });
            sim.run_for(5 * MS);
        }
        sim.run_for(LONG);
        let packets = sim.with(server, |cx| std::mem::take(&mut cx.state.packets));
        let mut ids = BTreeSet::new();
        for (from, came) in &packets {
            assert_eq!(*from, client_addr);
            assert!(*came == packet(seed, number(came)), "a packet was changed");
            let first = ids.insert(number(came));
            assert!(first || sim.faults().packet_duplicate > 0.0, "repeated");
        }
        let in_order = packets.is_sorted_by_key(|(_, came)| number(came));
        let faults = sim.faults();
        assert!(in_order || faults.packet_reorder > 0.0 || faults.packet_duplicate > 0.0);
        if sim.lost_packets() == 0 {
            assert_eq!(ids.len(), sent, "a packet is gone and nobody lost it");
        }
        assert_eq!(sim.with(client, |cx| cx.io.queued_packets(key)), 0);
    });
}

#[test]
fn a_question_that_is_asked_again_is_answered_in_the_end() {
    sim::check(0..200, |sim| {
        let (server, to) = server(sim, true);
        let asker = ask(sim, 30, to);
        sim.run_for(Duration::from_secs(2));
        sim.partition_one_way(server, asker);
        sim.run_for(Duration::from_secs(2));
        sim.crash(server);
        sim.run_for(Duration::from_secs(2));
        sim.calm();
        sim.restart(server, Seen::default(), |cx| open(cx, true));
        sim.eventually(LONG, |sim| sim.with(asker, |cx| cx.state.open.is_empty()));
        sim.with(asker, |cx| {
            let told = &cx.state.errors;
            assert!(
                told.iter()
                    .all(|kind| *kind == ErrorKind::ConnectionRefused)
            );
            assert_eq!(cx.state.opened, 1);
        });
    });
}

#[test]
fn the_queue_keeps_its_bound_and_tells_when_there_is_room() {
    sim::check(0..100, |sim| {
        let mut faults = sim.faults();
        (faults.window_bytes_min, faults.window_bytes_max) = (1, 3_000);
        sim.set_faults(faults);
        let (_, to) = server(sim, false);
        let client = host(sim, "client");
        let mut options = UdpOptions::default();
        (options.queued_bytes_max, options.queued_packets_max) = (10_000, 50);
        let order = Order::default();
        let key = sim.with(client, |cx| {
            cx.udp_with("0.0.0.0:0", &options, Asker { to, order })
        });
        let key = key.expect("a port is free");
        let (mut accepted, mut refused) = (0_u64, 0);
        for _ in 0..50 {
            sim.with(client, |cx| {
                for len in [0, 10, 1000, 300] {
                    match cx.io.send_to(key, to, &vec![1; len]) {
                        true => accepted += 1,
                        false => refused += 1,
                    }
                    assert!(cx.io.queued(key) <= 10_000);
                    assert!(cx.io.queued_packets(key) <= 50);
                }
            });
            sim.step();
        }
        assert_eq!(sim.with(client, |cx| cx.io.dropped(key)), refused);
        assert!(refused > 0 && accepted > 0);
        sim.run_for(LONG);
        assert_eq!(sim.with(client, |cx| cx.io.queued_packets(key)), 0);
        assert!(
            sim.with(client, |cx| cx.state.drains > 0),
            "it has not been told"
        );
    });
}

#[test]
fn a_flood_of_packets_does_not_keep_connections_from_their_share() {
    sim::check(0..30, |sim| {
        sim.set_faults(Faults::none());
        let echo = echo_host(sim, Manner::default());
        let to = sim.addr(echo, PORT);
        sim.with(echo, |cx| cx.udp(("0.0.0.0", PORT), Deaf))
            .expect("the port is free");
        let flooder = sim.host("flooder", (), |cx| {
            let key = cx.udp("0.0.0.0:0", Deaf)?;
            cx.every(Duration::from_micros(50), move |cx| {
                while cx.io.send_to(key, to, b"flood") {}
            });
            Ok(())
        });
        sim.run_for(20 * MS);
        let caller = actors::idle_host(sim, "caller");
        let goes = vec![b"am I heard?".to_vec()];
        sim.with(caller, |cx| cx.connect(to, Caller::new(goes, true)));
        sim.eventually(200 * MS, |sim| sim.with(caller, |cx| cx.state.closed == 1));
        sim.with(caller, |cx| {
            assert_eq!(cx.state.heard.values().next().map(Vec::len), Some(11));
        });
        assert!(sim.is_running(flooder));
    });
}

/// Drops what comes.
struct Deaf;

impl<S> Datagram<S> for Deaf {
    fn on_packet(&mut self, _: &mut Context<'_, S>, _: SocketAddr, _: &[u8]) {}
}

#[test]
fn a_port_that_nobody_has_is_told_and_a_host_without_power_is_silent() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        let (server, to) = server(&mut sim, false);
        let client = host(&mut sim, "client");
        let key = socket(&mut sim, client, &UdpOptions::default());
        let said = |sim: &mut Sim, errors: usize, packets: usize| {
            sim.with(client, |cx| assert!(cx.io.send_to(key, to, b"hello")));
            sim.run_until_idle();
            let told = sim.with(client, |cx| std::mem::take(&mut cx.state.errors));
            assert_eq!(told, vec![ErrorKind::ConnectionRefused; errors]);
            if sim.is_running(server) {
                assert_eq!(sim.with(server, |cx| cx.state.packets.len()), packets);
            }
        };
        said(&mut sim, 0, 1);
        sim.crash(server);
        said(&mut sim, 1, 0);
        sim.restart(server, Seen::default(), |cx| open(cx, false));
        said(&mut sim, 0, 1);
        sim.cut_power(server);
        said(&mut sim, 0, 0);
        sim.restart(server, Seen::default(), |cx| open(cx, false));
        sim.partition_one_way(server, client);
        said(&mut sim, 0, 1);
        sim.heal(server, client);
        sim.hold(client, server);
        said(&mut sim, 0, 1);
        sim.release(client, server);
        sim.run_until_idle();
        assert_eq!(sim.with(server, |cx| cx.state.packets.len()), 2);
        assert_eq!(sim.lost_packets(), 2, "at the crash and without power");
    }
}

#[test]
fn a_broadcast_reaches_every_host_and_a_group_its_members() {
    let group = SocketAddr::from(([224, 0, 0, 9], 99));
    let everyone = SocketAddr::from(([255, 255, 255, 255], 99));
    let mut sim = Sim::new(1);
    let mut join = UdpOptions::default();
    join.groups = vec![group.ip()];
    let hosts: Vec<_> = (0..3)
        .map(|member| {
            let options = if member < 2 {
                join.clone()
            } else {
                UdpOptions::default()
            };
            sim.host("member", Seen::default(), |cx| {
                let addr = ("0.0.0.0", 99);
                cx.udp_with(addr, &options, Server::default()).map(drop)
            })
        })
        .collect();
    let source = host(&mut sim, "source");
    let mute = socket(&mut sim, source, &UdpOptions::default());
    let mut options = UdpOptions::default();
    options.broadcast = true;
    let loud = socket(&mut sim, source, &options);
    sim.with(source, |cx| {
        assert!(cx.io.send_to(mute, group, b"group"));
        assert!(cx.io.send_to(mute, everyone, b"not allowed"));
        assert!(cx.io.send_to(loud, everyone, b"all"));
    });
    sim.run_until_idle();
    let heard = |sim: &mut Sim, host: HostId<Seen>| {
        let packets = sim.with(host, |cx| std::mem::take(&mut cx.state.packets));
        packets
            .into_iter()
            .map(|(_, packet)| packet)
            .collect::<BTreeSet<_>>()
    };
    let both = BTreeSet::from([b"all".to_vec(), b"group".to_vec()]);
    assert_eq!(heard(&mut sim, hosts[0]), both);
    assert_eq!(heard(&mut sim, hosts[1]), both);
    assert_eq!(heard(&mut sim, hosts[2]), BTreeSet::from([b"all".to_vec()]));
    let errors = sim.with(source, |cx| std::mem::take(&mut cx.state.errors));
    assert_eq!(errors, [ErrorKind::PermissionDenied]);
}

#[test]
fn sockets_with_a_peer_have_their_packets_for_themselves() {
    let mut sim = Sim::new(3);
    let (server, to) = server(&mut sim, false);
    let client = host(&mut sim, "client");
    let key = socket(&mut sim, client, &UdpOptions::default());
    let port = sim
        .with(client, |cx| cx.io.local_addr(key))
        .expect("bound")
        .port();
    let mut options = UdpOptions::default();
    options.peer = Some(to);
    let pair = socket(&mut sim, client, &options);
    let pair_port = sim
        .with(client, |cx| cx.io.local_addr(pair))
        .expect("bound")
        .port();
    let stranger = host(&mut sim, "stranger");
    let strange = socket(&mut sim, stranger, &UdpOptions::default());
    let addr = sim.addr(client, pair_port);
    sim.with(stranger, |cx| cx.io.send_to(strange, addr, b"let me in"));
    sim.with(client, |cx| {
        assert!(cx.io.send_to(pair, to, b"from the pair"));
        assert!(cx.io.send_to(key, to, b"from the other"));
    });
    sim.run_until_idle();
    let errors = sim.with(stranger, |cx| std::mem::take(&mut cx.state.errors));
    assert_eq!(
        errors,
        [ErrorKind::ConnectionRefused],
        "that port is not for him"
    );
    let from: BTreeSet<u16> = sim.with(server, |cx| {
        cx.state
            .packets
            .iter()
            .map(|(from, _)| from.port())
            .collect()
    });
    assert_eq!(from, BTreeSet::from([port, pair_port]));
}

#[test]
fn datagrams_of_one_seed_are_the_same_in_every_run() {
    for seed in 0..20 {
        sim::check_deterministic(seed, |sim| {
            let (_, to) = server(sim, true);
            ask(sim, 20, to);
            sim.run_for(Duration::from_secs(5));
        });
    }
}
