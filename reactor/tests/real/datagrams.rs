//! Datagrams over the system's sockets: what only a kernel can show.

use midge_reactor::{Close, Context, Datagram, Key, PACKET_BYTES_MAX, Reactor, Time, UdpOptions};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the sockets of one reactor have been told.
#[derive(Debug, Default)]
struct Told {
    packets: VecDeque<(Key, SocketAddr, Vec<u8>)>,
    errors: Vec<ErrorKind>,
    drains: usize,
    closes: Vec<(Key, usize)>,
}

type Cx<'a> = Context<'a, Told>;

struct Catcher {
    answers: bool,
}

impl Datagram<Told> for Catcher {
    fn on_packet(&mut self, cx: &mut Cx<'_>, from: SocketAddr, packet: &[u8]) {
        if self.answers {
            cx.reply(packet);
        }
        cx.state
            .packets
            .push_back((cx.key(), from, packet.to_vec()));
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, error: &io::Error) {
        cx.state.errors.push(error.kind());
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        cx.state.drains += 1;
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        let queued = cx.io.queued_packets(cx.key());
        cx.state.closes.push((cx.key(), queued));
    }
}

struct Loop {
    reactor: Reactor<Told>,
    give_up: Time,
}

impl Loop {
    fn new() -> Loop {
        let mut reactor = Reactor::new(Told::default()).expect("a selector can be opened");
        let give_up = reactor.with(|cx| cx.now()) + PATIENCE;
        Loop { reactor, give_up }
    }

    fn open(&mut self, addr: &str, options: &UdpOptions, answers: bool) -> (Key, SocketAddr) {
        self.reactor.with(|cx| {
            let key = cx.udp_with(addr, options, Catcher { answers });
            let key = key.expect("the port is free");
            (key, cx.io.local_addr(key).expect("it is bound"))
        })
    }

    fn send(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> bool {
        self.reactor.with(|cx| cx.io.send_to(key, to, packet))
    }

    /// Turns until `wanted` answers something.
    fn until<R>(&mut self, mut wanted: impl FnMut(&mut Told) -> Option<R>) -> R {
        loop {
            if let Some(found) = wanted(&mut self.reactor.state) {
                return found;
            }
            let now = self.reactor.with(|cx| cx.now());
            assert!(now < self.give_up, "{:?}", self.reactor.state);
            let turned = self.reactor.turn(Some(PATIENCE));
            turned.expect("polling does not fail");
        }
    }

    fn packet(&mut self) -> (Key, SocketAddr, Vec<u8>) {
        self.until(|told| told.packets.pop_front())
    }
}

fn any() -> UdpOptions {
    UdpOptions::default()
}

#[test]
fn packets_of_all_lengths_come_whole_and_are_answered() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let mut looped = Loop::new();
        let (echo, echo_addr) = looped.open(addr, &any(), true);
        let (caller, caller_addr) = looped.open(addr, &any(), false);
        for len in [0, 1, 1400, 9000, PACKET_BYTES_MAX] {
            let packet: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
            assert!(looped.send(caller, echo_addr, &packet));
            let came = looped.packet();
            assert!(
                came == (echo, caller_addr, packet.clone()),
                "{len} bytes to {addr}"
            );
            let came = looped.packet();
            assert!(came == (caller, echo_addr, packet), "{len} bytes back");
        }
        assert!(!looped.send(caller, echo_addr, &[0; PACKET_BYTES_MAX + 1]));
    }
}

#[test]
fn a_port_has_one_owner_unless_both_agree() {
    let mut looped = Loop::new();
    let (_, addr) = looped.open("127.0.0.1:0", &any(), false);
    let taken = looped
        .reactor
        .with(|cx| cx.udp(addr, Catcher { answers: false }));
    assert_eq!(taken.expect_err("it is taken").kind(), ErrorKind::AddrInUse);
    let mut shared = any();
    shared.reuse_address = true;
    let (_, addr) = looped.open("127.0.0.1:0", &shared, false);
    let (_, again) = looped.open(&addr.to_string(), &shared, false);
    assert_eq!(addr, again);
}

#[cfg(unix)]
#[test]
fn a_port_that_is_shared_for_balance_serves_with_each_socket() {
    let mut looped = Loop::new();
    let mut shared = any();
    shared.reuse_port = true;
    let (one, addr) = looped.open("127.0.0.1:0", &shared, false);
    let (two, _) = looped.open(&addr.to_string(), &shared, false);
    let (caller, _) = looped.open("127.0.0.1:0", &any(), false);
    assert!(looped.send(caller, addr, b"to one of them"));
    let (came, ..) = looped.packet();
    assert!(came == one || came == two);
}

#[test]
fn a_port_that_nobody_has_is_told_and_the_socket_goes_on() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let mut looped = Loop::new();
    let mut options = any();
    options.peer = Some(gone.local_addr().expect("it is bound"));
    let (caller, caller_addr) = looped.open("127.0.0.1:0", &options, false);
    let to = options.peer.expect("set above");
    drop(gone);
    assert!(looped.send(caller, to, b"is anybody there?"));
    let refused = looped.until(|told| told.errors.pop());
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    let back = UdpSocket::bind(to).expect("it was free a moment ago");
    back.set_read_timeout(Some(PATIENCE))
        .expect("seconds are valid");
    assert!(looped.send(caller, to, b"now?"));
    looped.reactor.turn(Some(Duration::ZERO)).expect("it polls");
    let mut buf = [0; 100];
    let (len, from) = back.recv_from(&mut buf).expect("it has been sent");
    assert_eq!((&buf[..len], from), (&b"now?"[..], caller_addr));
    back.send_to(b"yes", caller_addr)
        .expect("loopback takes it");
    assert_eq!(looped.packet(), (caller, to, b"yes".to_vec()));
}

#[test]
fn a_port_that_nobody_has_is_no_business_of_a_socket_without_a_peer() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let to = gone.local_addr().expect("it is bound");
    let mut looped = Loop::new();
    let (caller, caller_addr) = looped.open("127.0.0.1:0", &any(), false);
    let (echo, echo_addr) = looped.open("127.0.0.1:0", &any(), true);
    drop(gone);
    // The answer to each is an ICMP error, which on loopback is there before the next.
    for _ in 0..10 {
        assert!(looped.send(caller, to, b"is anybody there?"));
        assert!(looped.send(caller, echo_addr, b"hello"));
        assert_eq!(looped.packet(), (echo, caller_addr, b"hello".to_vec()));
        assert_eq!(looped.packet(), (caller, echo_addr, b"hello".to_vec()));
    }
    assert!(looped.reactor.with(|cx| cx.io.is_open(caller)));
    assert!(looped.reactor.state.closes.is_empty());
    // Some systems tell of it all the same, in which case nothing else has come of it.
    let errors = &looped.reactor.state.errors;
    let refused = |error: &ErrorKind| *error == ErrorKind::ConnectionRefused;
    assert!(errors.iter().all(refused), "{errors:?}");
    let dropped = looped.reactor.with(|cx| cx.io.dropped(caller));
    assert_eq!(dropped, 0, "somebody's packet was given up");
}

/// Whether this machine lets a packet for `group` come back to itself, as the system's own calls
/// find out; a reason why not otherwise.
fn multicast_comes_back(group: Ipv4Addr) -> Result<(), String> {
    let told = |call: &str, error: io::Error| format!("{call}: {error}");
    let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| told("bind", e))?;
    member
        .join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)
        .map_err(|error| told("joining a group", error))?;
    let port = member.local_addr().map_err(|e| told("asking", e))?.port();
    let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| told("bind", e))?;
    sender
        .send_to(b"anybody?", (group, port))
        .map_err(|error| told("sending to a group", error))?;
    // It comes back within the call that sends it, if at all.
    member
        .set_nonblocking(true)
        .map_err(|e| told("setting", e))?;
    let received = member.recv_from(&mut [0; 100]);
    received.map(drop).map_err(|e| told("receiving", e))
}

#[test]
fn a_packet_for_a_group_comes_to_all_who_have_joined_it() {
    // Of the block that stays within an organization.
    let group = Ipv4Addr::new(239, 255, 77, 1);
    if let Err(reason) = multicast_comes_back(group) {
        eprintln!("not tried: multicast does not work on this machine: {reason}");
        return;
    }
    let mut looped = Loop::new();
    let mut options = any();
    (options.reuse_address, options.groups) = (true, vec![IpAddr::V4(group)]);
    let (one, addr) = looped.open("0.0.0.0:0", &options, false);
    let again = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
    let (two, _) = looped.open(&again.to_string(), &options, false);
    let (caller, _) = looped.open("0.0.0.0:0", &any(), false);
    assert!(looped.send(caller, SocketAddr::from((group, addr.port())), b"all"));
    let mut came = [looped.packet(), looped.packet()].map(|(key, _, packet)| (key, packet));
    came.sort();
    let mut wanted = [(one, b"all".to_vec()), (two, b"all".to_vec())];
    wanted.sort();
    assert_eq!(came, wanted);
    assert_eq!(looped.reactor.with(|cx| cx.io.dropped(caller)), 0);
}

#[test]
fn a_socket_with_a_peer_hears_nobody_else() {
    let mut looped = Loop::new();
    let (peer, peer_addr) = looped.open("127.0.0.1:0", &any(), false);
    let (stranger, _) = looped.open("127.0.0.1:0", &any(), false);
    let mut options = any();
    options.peer = Some(peer_addr);
    let (key, addr) = looped.open("127.0.0.1:0", &options, false);
    assert!(!looped.send(key, addr, b"elsewhere"));
    assert!(looped.send(stranger, addr, b"from a stranger"));
    assert!(looped.send(peer, addr, b"from the peer"));
    assert_eq!(looped.packet(), (key, peer_addr, b"from the peer".to_vec()));
}

#[test]
fn a_packet_for_a_broadcast_address_is_an_error_unless_that_is_allowed() {
    let mut looped = Loop::new();
    let (key, _) = looped.open("127.0.0.1:0", &any(), false);
    let everyone = SocketAddr::from((Ipv4Addr::new(127, 255, 255, 255), 9));
    assert!(looped.send(key, everyone, b"hear, hear"));
    let error = looped.until(|told| told.errors.pop());
    assert_eq!(error, ErrorKind::PermissionDenied);
    assert_eq!(looped.reactor.with(|cx| cx.io.dropped(key)), 1);
    let mut options = any();
    options.broadcast = true;
    let (key, addr) = looped.open("127.0.0.1:0", &options, false);
    let (other, _) = looped.open("127.0.0.1:0", &any(), false);
    assert!(looped.send(key, everyone, b"hear, hear"));
    assert!(looped.send(other, addr, b"behind it"));
    assert_eq!(looped.packet().2, b"behind it");
    assert!(looped.reactor.state.errors.is_empty());
    assert_eq!(looped.reactor.with(|cx| cx.io.dropped(key)), 0);
}

#[test]
fn a_group_that_cannot_be_joined_is_an_error_that_leaves_nothing() {
    let mut looped = Loop::new();
    let mut options = any();
    options.groups = vec![IpAddr::from([127, 0, 0, 1])];
    let opened = looped
        .reactor
        .with(|cx| cx.udp_with("127.0.0.1:0", &options, Catcher { answers: false }));
    assert!(opened.is_err(), "that is no group");
    assert_eq!(looped.reactor.with(|cx| cx.io.counts().udp_sockets), 0);
}

#[test]
fn more_than_the_kernel_holds_waits_and_comes_in_order_from_a_sender_of_a_few_bytes() {
    const PACKETS: u32 = 20_000;
    // Of packets on their way, what fits the receiver's buffer, which the system may have made smaller.
    const UNDER_WAY_MAX: u32 = 128;
    let mut looped = Loop::new();
    let mut small = any();
    (small.send_buffer_bytes, small.queued_packets_max) = (Some(1), 64);
    let mut large = any();
    large.receive_buffer_bytes = Some(1 << 20);
    let (sink, sink_addr) = looped.open("127.0.0.1:0", &large, false);
    let (source, _) = looped.open("127.0.0.1:0", &small, false);
    let mut sent = 0;
    let mut came = 0;
    while came < PACKETS {
        // As many as may wait; then the loop has its turn.
        while sent < PACKETS.min(came + UNDER_WAY_MAX)
            && looped.send(source, sink_addr, &sent.to_be_bytes())
        {
            sent += 1;
        }
        let (key, _, packet) = looped.packet();
        assert_eq!((key, packet), (sink, came.to_be_bytes().to_vec()));
        came += 1;
    }
    assert!(
        looped.reactor.state.drains > 0,
        "the queue was full more than once"
    );
}

#[test]
fn a_close_is_told_once_with_what_was_not_sent() {
    let mut looped = Loop::new();
    let (key, addr) = looped.open("127.0.0.1:0", &any(), false);
    assert!(looped.send(key, addr, b"to itself"));
    looped.reactor.with(|cx| cx.io.close(key));
    let closed = looped.until(|told| told.closes.pop());
    assert_eq!(closed, (key, 1));
    let (_, again) = looped.open(&addr.to_string(), &any(), false);
    assert_eq!(again, addr, "the port is free");
    assert!(looped.reactor.state.packets.is_empty());
}

#[test]
fn a_socket_of_both_families_knows_an_ipv4_address_as_one() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let mut looped = Loop::new();
    let (echo, echo_addr) = looped.open("[::]:0", &any(), true);
    for host in ["127.0.0.1", "::1"] {
        let (caller, caller_addr) = looped.open(&format!("{}:0", bracketed(host)), &any(), false);
        let to: SocketAddr = format!("{}:{}", bracketed(host), echo_addr.port())
            .parse()
            .expect("an address");
        assert!(looped.send(caller, to, b"ping"));
        assert_eq!(looped.packet(), (echo, caller_addr, b"ping".to_vec()));
        assert_eq!(looped.packet(), (caller, to, b"ping".to_vec()));
    }
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}
