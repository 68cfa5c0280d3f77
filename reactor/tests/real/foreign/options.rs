//! How sockets are set, as the system sees them.

use super::{Cx, Echo, Tell, Told, reactor, settle, until};
use crate::no_fork;
use midge_reactor::{
    ConnectOptions, Handler, Input, Keepalive, Key, ListenOptions, Reactor, SocketOption,
};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const LOOPBACK: &str = "127.0.0.1:0";

/// What a socket of the reactor says of itself.
fn asked<R>(
    reactor: &mut Reactor<Told>,
    key: Key,
    ask: impl FnOnce(&SockRef<'_>) -> io::Result<R>,
) -> R {
    reactor.with(|cx| {
        let fd = cx.io.as_fd(key).expect("it is a socket");
        ask(&SockRef::from(&fd)).expect("the system knows")
    })
}

/// A connection made with `options`, open, and its far end.
fn connected(reactor: &mut Reactor<Told>, options: &ConnectOptions) -> (Key, TcpStream) {
    let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let key = reactor.with(|cx| cx.connect_with(addr, options, Tell("client")));
    until(reactor, |told| told.has("client open"));
    (key, listener.accept().expect("it has connected").0)
}

#[test]
fn small_packets_are_sent_at_once_in_both_directions_unless_told_otherwise() {
    let mut reactor = reactor();
    let listener = reactor.with(|cx| cx.listen(LOOPBACK, |_: &mut Cx<'_>| Tell("server")));
    let listener = listener.expect("a port is free");
    let keys = reactor.with(|cx| {
        let addr = cx.listening_on(listener).expect("it listens");
        let plain = cx.connect(addr, Tell("plain"));
        let slow = cx.connect_with(
            addr,
            &ConnectOptions::default().nodelay(false),
            Tell("slow"),
        );
        (plain, slow)
    });
    until(&mut reactor, |told| told.lines.len() == 4);
    assert!(asked(&mut reactor, keys.0, |socket| socket.tcp_nodelay()));
    assert!(!asked(&mut reactor, keys.1, |socket| socket.tcp_nodelay()));
    reactor
        .with(|cx| cx.io.set_option(keys.0, SocketOption::NoDelay(false)))
        .expect("it is open");
    assert!(!asked(&mut reactor, keys.0, |socket| socket.tcp_nodelay()));
}

#[test]
fn accepted_connections_send_small_packets_at_once() {
    let mut reactor = reactor();
    let accept = |cx: &mut Cx<'_>| {
        let fd = cx.as_fd().expect("it is a socket");
        let nodelay = SockRef::from(&fd).tcp_nodelay().expect("the system knows");
        cx.state.lines.push(format!("nodelay {nodelay}"));
        Echo
    };
    let listener = reactor
        .with(|cx| cx.listen(LOOPBACK, accept))
        .expect("a port is free");
    let addr = reactor
        .with(|cx| cx.listening_on(listener))
        .expect("it listens");
    let _client = TcpStream::connect(addr).expect("it listens");
    until(&mut reactor, |told| told.has("nodelay true"));
}

#[test]
fn keepalive_and_its_three_numbers_are_set_and_switched_off() {
    let keepalive = Keepalive::after(Duration::from_secs(33))
        .interval(Duration::from_secs(7))
        .probes(4);
    let mut reactor = reactor();
    let options = ConnectOptions::default().keepalive(keepalive);
    let (key, _far) = connected(&mut reactor, &options);
    assert!(asked(&mut reactor, key, |socket| socket.keepalive()));
    assert_eq!(
        asked(&mut reactor, key, |socket| socket.tcp_keepalive_time()).as_secs(),
        33
    );
    assert_eq!(
        asked(&mut reactor, key, |socket| socket.tcp_keepalive_interval()).as_secs(),
        7
    );
    assert_eq!(
        asked(&mut reactor, key, |socket| socket.tcp_keepalive_retries()),
        4
    );
    reactor
        .with(|cx| cx.io.set_option(key, SocketOption::Keepalive(None)))
        .expect("it is open");
    assert!(!asked(&mut reactor, key, |socket| socket.keepalive()));
    let shorter = Keepalive::after(Duration::from_secs(5));
    let set = reactor.with(|cx| {
        cx.io
            .set_option(key, SocketOption::Keepalive(Some(shorter)))
    });
    set.expect("it is open");
    assert!(asked(&mut reactor, key, |socket| socket.keepalive()));
    assert_eq!(
        asked(&mut reactor, key, |socket| socket.tcp_keepalive_time()).as_secs(),
        5
    );
}

#[test]
fn keepalive_is_off_unless_asked_for() {
    let mut reactor = reactor();
    let (key, _far) = connected(&mut reactor, &ConnectOptions::default());
    assert!(!asked(&mut reactor, key, |socket| socket.keepalive()));
}

#[test]
fn buffers_and_timeouts_reach_the_socket_and_a_fresh_one_has_no_error() {
    let mut reactor = reactor();
    let (key, _far) = connected(&mut reactor, &ConnectOptions::default());
    let set = |reactor: &mut Reactor<Told>, option| {
        reactor
            .with(|cx| cx.io.set_option(key, option))
            .expect("it is open");
    };
    set(&mut reactor, SocketOption::SendBuffer(20_000));
    set(&mut reactor, SocketOption::ReceiveBuffer(30_000));
    // Linux doubles them.
    let size = asked(&mut reactor, key, |socket| socket.send_buffer_size());
    assert!((20_000..=40_000).contains(&size), "{size}");
    let size = asked(&mut reactor, key, |socket| socket.recv_buffer_size());
    assert!((30_000..=60_000).contains(&size), "{size}");
    if cfg!(target_os = "linux") {
        set(
            &mut reactor,
            SocketOption::UserTimeout(Some(Duration::from_millis(1500))),
        );
        let timeout = asked(&mut reactor, key, |socket| socket.tcp_user_timeout());
        assert_eq!(timeout, Some(Duration::from_millis(1500)));
    }
    assert!(reactor.with(|cx| cx.io.take_error(key)).is_none());
    reactor.with(|cx| cx.io.close(key));
    settle(&mut reactor);
    reactor.with(|cx| {
        let gone = cx.io.set_option(key, SocketOption::NoDelay(true));
        assert_eq!(
            gone.expect_err("it has gone").kind(),
            ErrorKind::NotConnected
        );
        assert!(cx.io.take_error(key).is_none());
        assert!(cx.io.as_fd(key).is_none());
    });
}

#[test]
fn a_pipe_has_no_socket_options() {
    let (input, _writer) = io::pipe().expect("descriptors are free");
    let mut reactor = reactor();
    let key = reactor
        .with(|cx| cx.adopt(input, Tell("pipe")))
        .expect("it can be watched");
    for option in [SocketOption::NoDelay(true), SocketOption::SendBuffer(1)] {
        let error = reactor.with(|cx| cx.io.set_option(key, option));
        assert_eq!(
            error.expect_err("it is no socket").kind(),
            ErrorKind::Unsupported
        );
    }
    assert!(reactor.with(|cx| cx.io.take_error(key)).is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn the_peer_sees_the_local_address_that_was_asked_for() {
    let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let mut reactor = reactor();
    let from = SocketAddr::from(([127, 0, 0, 77], 0));
    let key = reactor.with(|cx| {
        let options = ConnectOptions::default().local_addr(from);
        cx.connect_with(addr, &options, Tell("client"))
    });
    until(&mut reactor, |told| told.has("client open"));
    let (_far, peer) = listener.accept().expect("it has connected");
    assert_eq!(peer.ip(), from.ip());
    assert_eq!(reactor.with(|cx| cx.io.local_addr(key)), Some(peer));
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_to_a_name_is_made_as_its_options_say() {
    let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let mut reactor = reactor();
    let from = SocketAddr::from(([127, 0, 0, 77], 0));
    // The name may have an address of IPv6 too, which cannot be reached from this one of IPv4.
    let options = ConnectOptions::default()
        .local_addr(from)
        .nodelay(false)
        .keepalive(Keepalive::after(Duration::from_secs(5)));
    let host = format!("localhost:{port}");
    let key = reactor.with(|cx| cx.connect_host_with(&host, &options, Tell("client")));
    until(&mut reactor, |told| told.has("client open"));
    let (_far, peer) = listener.accept().expect("it has connected");
    assert_eq!(peer.ip(), from.ip());
    assert!(asked(&mut reactor, key, |socket| socket.keepalive()));
    assert!(!asked(&mut reactor, key, |socket| socket.tcp_nodelay()));
}

#[test]
fn a_local_address_that_is_not_this_machines_ends_the_connect_and_fails_no_call() {
    let mut reactor = reactor();
    // A block kept for documentation: nobody has it.
    let from = SocketAddr::from(([192, 0, 2, 1], 0));
    reactor.with(|cx| {
        let options = ConnectOptions::default().local_addr(from);
        let addr = SocketAddr::from(([127, 0, 0, 1], 9));
        cx.connect_with(addr, &options, Tell("client"));
        assert!(cx.state.lines.is_empty(), "nothing is told inside the call");
    });
    until(&mut reactor, |told| !told.lines.is_empty());
    let told = &reactor.state.lines[0];
    assert!(
        told.starts_with(
            "client close: connect failed: 127.0.0.1:9 from 192.0.2.1:0: Cannot assign"
        ),
        "{told}"
    );
    assert_eq!(reactor.connections(), 0);
}

#[test]
fn a_listener_stops_and_starts_again_on_its_port() {
    let mut reactor = reactor();
    let mut addr: SocketAddr = LOOPBACK.parse().expect("it is an address");
    for _ in 0..3 {
        let listener = reactor.with(|cx| cx.listen(addr, |_: &mut Cx<'_>| Tell("server")));
        let listener = listener.expect("the port is free");
        addr = reactor
            .with(|cx| cx.listening_on(listener))
            .expect("it listens");
        let mut client = TcpStream::connect(addr).expect("it listens");
        client.write_all(b"x").expect("the kernel takes it");
        let before = reactor.state.bytes.len();
        until(&mut reactor, |told| told.bytes.len() > before);
        let turn = no_fork();
        reactor.with(|cx| cx.io.close(listener));
        settle(&mut reactor);
        let refused = TcpStream::connect(addr).expect_err("nobody listens");
        drop(turn);
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // What was accepted lives on.
        client.write_all(b"y").expect("it is open");
        until(&mut reactor, |told| told.bytes.len() > before + 1);
    }
}

/// Serves `addr` with echoes in a thread of its own, until told to stop; counts what it accepts.
fn serve(addr: SocketAddr, accepted: mpsc::Sender<usize>, number: usize) -> io::Result<Served> {
    let (ready, started) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut reactor = reactor();
        let options = ListenOptions::default().reuse_port(true);
        let accept = move |_: &mut Cx<'_>| {
            // The test may have gone.
            let _ = accepted.send(number);
            Echo
        };
        let bound = reactor.with(|cx| {
            let listener = cx.listen_with(addr, &options, accept)?;
            Ok::<_, io::Error>(cx.listening_on(listener).expect("it listens"))
        });
        let bound = bound.map(|addr| (addr, reactor.remote()));
        ready.send(bound).expect("the test waits for this");
        let _ = reactor.run();
    });
    let (addr, remote) = started.recv().expect("it says so")?;
    Ok(Served {
        addr,
        remote,
        thread,
    })
}

struct Served {
    addr: SocketAddr,
    remote: midge_reactor::Remote<Told>,
    thread: thread::JoinHandle<()>,
}

#[test]
fn two_reactors_on_two_threads_share_a_port() {
    let (tell, accepted) = mpsc::channel();
    let first = serve(LOOPBACK.parse().expect("an address"), tell.clone(), 0);
    let first = first.expect("a port is free");
    let second = serve(first.addr, tell, 1).expect("the port can be shared");
    assert_eq!(first.addr, second.addr);
    let alone = TcpListener::bind(first.addr).expect_err("it must be asked for");
    assert_eq!(alone.kind(), ErrorKind::AddrInUse);
    let mut counts = [0; 2];
    // The kernel chooses by a hash of the client's port: soon it has chosen both.
    while counts.contains(&0) {
        let mut client = TcpStream::connect(first.addr).expect("they listen");
        client.write_all(b"ping").expect("the kernel takes it");
        let mut echoed = [0; 4];
        client.read_exact(&mut echoed).expect("it is served");
        counts[accepted.recv().expect("one has accepted")] += 1;
        assert!(
            counts[0] + counts[1] < 1000,
            "one alone is served: {counts:?}"
        );
    }
    for served in [first, second] {
        served.remote.stop().expect("it runs");
        served.thread.join().expect("it does not panic");
    }
}

#[test]
fn an_ipv6_connection_echoes_and_knows_its_addresses() {
    let mut reactor = reactor();
    let options = ListenOptions::default().only_v6(true);
    let listener = reactor.with(|cx| cx.listen_with("[::1]:0", &options, |_: &mut Cx<'_>| Echo));
    let listener = listener.expect("this machine has the loopback address of IPv6");
    assert!(asked(&mut reactor, listener, |socket| socket.only_v6()));
    let key = reactor.with(|cx| {
        let addr = cx.listening_on(listener).expect("it listens");
        assert!(addr.is_ipv6());
        let key = cx.connect(addr, Tell("client"));
        assert_eq!(cx.io.peer_addr(key), Some(addr));
        cx.io.send(key, b"hello");
        key
    });
    until(&mut reactor, |told| told.bytes == b"hello");
    let local = reactor
        .with(|cx| cx.io.local_addr(key))
        .expect("it is open");
    assert!(local.is_ipv6() && local.ip().is_loopback());
}

/// Whether this machine has IPv6 on its loopback interface.
fn has_v6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn one_listener_takes_both_families_and_several_addresses() {
    if !has_v6() {
        return;
    }
    let mut reactor = reactor();
    let both = ListenOptions::default().both_families(true);
    let each = ["127.0.0.1:0", "[::1]:0"].map(|addr| addr.parse::<SocketAddr>().expect("one"));
    for listener in [
        reactor.with(|cx| cx.listen_with("0.0.0.0:0", &both, |_: &mut Cx<'_>| Peer)),
        reactor.with(|cx| cx.listen_with("[::]:0", &both, |_: &mut Cx<'_>| Peer)),
        reactor.with(|cx| cx.listen(each, |_: &mut Cx<'_>| Peer)),
    ] {
        let listener = listener.expect("there is a free port");
        let bound = reactor.with(|cx| cx.listening_on_all(listener).to_vec());
        let port = bound[0].port();
        assert_eq!(bound.len(), 2);
        assert_eq!(bound[1].port(), port);
        for (host, shown) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
            reactor.state.bytes.clear();
            reactor
                .with(|cx| cx.connect((host.parse::<IpAddr>().expect("one"), port).into(), Hears));
            until(&mut reactor, |told| told.bytes.ends_with(b"\n"));
            let wanted = format!("peer {shown} at {shown}\n");
            assert_eq!(String::from_utf8_lossy(&reactor.state.bytes), wanted);
        }
        reactor.with(|cx| cx.io.close(listener));
        reactor.turn(Some(Duration::ZERO)).expect("it polls");
        for host in ["127.0.0.1", "::1"] {
            TcpListener::bind((host, port)).expect("all of it is closed");
        }
    }
}

/// Tells both ends of a connection, as they are known where it was accepted.
struct Peer;

impl Handler<Told> for Peer {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let peer = cx.peer_addr().expect("it was accepted").ip();
        let local = cx.local_addr().expect("it is open").ip();
        cx.send(format!("peer {peer} at {local}\n").as_bytes());
    }

    fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {}
}

struct Hears;

impl Handler<Told> for Hears {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.bytes.extend(input.take());
    }
}
