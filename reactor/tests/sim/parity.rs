//! The same program over the system's sockets and over simulated ones: what each handler is told.
//!
//! One reactor that talks to itself, so that nothing but the driver differs. What handlers are told
//! is kept for each by itself: between them there is no order that both would have to keep.

use midge_reactor::sim::Sim;
use midge_reactor::{
    Close, ConnectOptions, Context, Datagram, Eof, Handler, Input, Key, Reactor, UdpOptions,
};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a scenario may take before it has failed. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Less than is sent in one go, so that something is left unread in the socket.
const READ_BYTES: usize = 64;

#[derive(Debug, Default)]
struct Told {
    by: BTreeMap<&'static str, Vec<String>>,
    closed: usize,
    /// An end's own address and its peer's.
    ends: Option<(Option<SocketAddr>, Option<SocketAddr>)>,
}

type Cx<'a> = Context<'a, Told>;

impl Told {
    fn add(&mut self, name: &'static str, line: impl Into<String>) {
        self.by.entry(name).or_default().push(line.into());
    }
}

/// Plays `scenario` over both drivers, each until `ends` handlers have been closed; what was told
/// must be `wanted`.
fn check(ends: usize, scenario: fn(&mut Cx<'_>), wanted: &[(&'static str, &[&str])]) {
    let lines = |lines: &&[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let wanted = wanted.iter().map(|(name, told)| (*name, lines(told)));
    let wanted: BTreeMap<&'static str, Vec<String>> = wanted.collect();
    assert_eq!(over_the_system(ends, scenario), wanted, "over the system's");
    for seed in 0..50 {
        let told = over_the_simulation(seed, ends, scenario);
        assert_eq!(told, wanted, "in the simulation of seed {seed}");
    }
}

fn over_the_system(ends: usize, scenario: fn(&mut Cx<'_>)) -> BTreeMap<&'static str, Vec<String>> {
    let settings = Reactor::builder().read_bytes(READ_BYTES);
    let reactor = settings.build(Told::default());
    let mut reactor = reactor.expect("a selector is free");
    reactor.with(scenario);
    reactor.with(|cx| cx.after(PATIENCE, |cx| panic!("so far: {:?}", cx.state)));
    while reactor.state.closed < ends {
        reactor.turn(None).expect("polling does not fail");
    }
    std::mem::take(&mut reactor.state.by)
}

fn over_the_simulation(
    seed: u64,
    ends: usize,
    scenario: fn(&mut Cx<'_>),
) -> BTreeMap<&'static str, Vec<String>> {
    let mut sim = Sim::new(seed);
    let settings = Reactor::builder().read_bytes(READ_BYTES);
    let host = sim.host_with("host", settings, Told::default(), |cx| {
        scenario(cx);
        Ok(())
    });
    sim.eventually(PATIENCE, |sim| sim.with(host, |cx| cx.state.closed >= ends));
    sim.with(host, |cx| std::mem::take(&mut cx.state.by))
}

/// The end in words that do not depend on how an error was made.
fn end(why: &Close) -> String {
    match why {
        Close::ConnectFailed(error) => format!("connect failed: {:?}", error.kind()),
        Close::Error(error) => format!("error: {:?}", error.kind()),
        why => why.to_string(),
    }
}

/// Keeps what comes, tells it at the end of input or of all, and does what it was made with.
struct Side {
    name: &'static str,
    heard: Vec<u8>,
    open: fn(&mut Cx<'_>),
    input: fn(&mut Cx<'_>),
    eof: fn(&mut Cx<'_>) -> Eof,
}

impl Side {
    fn new(name: &'static str) -> Side {
        Side {
            name,
            heard: Vec::new(),
            open: |_| {},
            input: |_| {},
            eof: |_| Eof::Close,
        }
    }

    fn open(self, open: fn(&mut Cx<'_>)) -> Side {
        Side { open, ..self }
    }

    fn input(self, input: fn(&mut Cx<'_>)) -> Side {
        Side { input, ..self }
    }

    fn eof(self, eof: fn(&mut Cx<'_>) -> Eof) -> Side {
        Side { eof, ..self }
    }

    fn tell_heard(&mut self, cx: &mut Cx<'_>) {
        let heard = std::mem::take(&mut self.heard);
        match heard.len() {
            0 => {}
            len @ 50.. => cx.state.add(self.name, format!("heard {len} bytes")),
            _ => cx.state.add(self.name, String::from_utf8_lossy(&heard)),
        }
    }
}

impl Handler<Told> for Side {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.state.add(self.name, "open");
        (self.open)(cx);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.heard.extend(input.take());
        (self.input)(cx);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.tell_heard(cx);
        cx.state.add(self.name, "eof");
        (self.eof)(cx)
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.tell_heard(cx);
        cx.state.add(self.name, end(why));
        cx.state.closed += 1;
    }
}

/// Listens on a port that the system picks, and answers where that is.
fn listen(cx: &mut Cx<'_>, accept: impl FnMut(&mut Cx<'_>) -> Side + 'static) -> SocketAddr {
    let listener = cx.listen("127.0.0.1:0", accept);
    let listener = listener.expect("a port is free");
    cx.listening_on(listener).expect("it is open")
}

#[test]
fn an_answer_reaches_a_peer_that_has_ended_its_direction() {
    check(
        2,
        |cx| {
            let addr = listen(cx, |_| {
                Side::new("server").input(|cx| _ = cx.send(b"answer "))
            });
            let client = cx.connect(addr, Side::new("client"));
            assert!(cx.io.send(client, b"question"));
            cx.io.shutdown_write(client);
        },
        &[
            ("client", &["open", "answer ", "eof", "closed by the peer"]),
            ("server", &["open", "question", "eof", "closed by the peer"]),
        ],
    );
}

#[test]
fn a_half_closed_connection_still_carries_the_other_direction() {
    check(
        2,
        |cx| {
            let addr = listen(cx, |_| {
                Side::new("server").eof(|cx| {
                    cx.send(b"late");
                    cx.close_after_write();
                    Eof::KeepOpen
                })
            });
            let client = cx.connect(addr, Side::new("client").eof(|_| Eof::KeepOpen));
            cx.io.shutdown_write(client);
        },
        &[
            ("client", &["open", "late", "eof", "closed by the peer"]),
            ("server", &["open", "eof", "closed"]),
        ],
    );
}

#[test]
fn a_connection_with_unread_input_is_reset_by_its_close() {
    check(
        2,
        |cx| {
            let addr = listen(cx, |_| {
                Side::new("server").input(|cx| _ = cx.io.close(cx.key()))
            });
            let client = cx.connect(addr, Side::new("client"));
            assert!(cx.io.send(client, [7; 1_000]));
        },
        &[
            ("client", &["open", "closed by the peer"]),
            ("server", &["open", "heard 64 bytes", "closed"]),
        ],
    );
}

#[test]
fn last_words_arrive_also_where_input_is_left_unread() {
    check(
        2,
        |cx| {
            let addr = listen(cx, |_| {
                Side::new("server").input(|cx| {
                    cx.send(vec![8; 100_000]);
                    cx.close_after_write();
                })
            });
            let client = cx.connect(addr, Side::new("client"));
            assert!(cx.io.send(client, [7; 1_000]));
        },
        &[
            (
                "client",
                &["open", "heard 100000 bytes", "eof", "closed by the peer"],
            ),
            ("server", &["open", "heard 64 bytes", "closed"]),
        ],
    );
}

#[test]
fn connects_that_fail_say_why() {
    check(
        4,
        |cx| {
            let addr = listen(cx, |_| Side::new("nobody"));
            let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
            let from = ConnectOptions::default().local_addr(foreign);
            cx.connect_with(addr, &from, Side::new("from elsewhere"));
            cx.connect_host("127.0.0.1", Side::new("to no port"));
            cx.connect_unix("/nowhere/at/all", Side::new("to no path"));
            let listener = cx.listen(addr, |_: &mut Cx<'_>| Side::new("nobody"));
            assert_eq!(
                listener.map_err(|e| e.kind()),
                Err(io::ErrorKind::AddrInUse)
            );
            let listener = cx.listen(foreign, |_: &mut Cx<'_>| Side::new("nobody"));
            let kind = io::ErrorKind::AddrNotAvailable;
            assert_eq!(listener.map_err(|e| e.kind()), Err(kind));
            // Listened on and given up: a port that nobody has.
            let gone = cx.listen("127.0.0.1:0", |_: &mut Cx<'_>| Side::new("nobody"));
            let gone = gone.expect("a port is free");
            let addr = cx.listening_on(gone).expect("it is open");
            cx.io.close(gone);
            cx.after(Duration::from_millis(1), move |cx| {
                cx.connect(addr, Side::new("to nobody"));
            });
        },
        &[
            ("from elsewhere", &["connect failed: AddrNotAvailable"]),
            ("to no port", &["connect failed: InvalidInput"]),
            ("to no path", &["connect failed: NotFound"]),
            ("to nobody", &["connect failed: ConnectionRefused"]),
        ],
    );
}

#[test]
fn both_ends_know_each_other() {
    check(
        2,
        |cx| {
            let addr = listen(cx, |_| {
                Side::new("server").open(|cx| {
                    cx.state.ends = Some((cx.local_addr(), cx.peer_addr()));
                    cx.send(b"hello");
                    cx.close_after_write();
                })
            });
            let client = Side::new("client").input(|cx| {
                assert_eq!(cx.state.ends, Some((cx.peer_addr(), cx.local_addr())));
                assert!(cx.local_addr().is_some());
            });
            let client = cx.connect(addr, client);
            assert_eq!(cx.io.peer_addr(client), Some(addr));
        },
        &[
            ("client", &["open", "hello", "eof", "closed by the peer"]),
            ("server", &["open", "closed"]),
        ],
    );
}

/// Tells what comes, and closes after so many packets and errors.
struct Socket {
    name: &'static str,
    left: usize,
    answers: bool,
}

impl Socket {
    fn tell(&mut self, cx: &mut Cx<'_>, line: String) {
        cx.state.add(self.name, line);
        self.left -= 1;
        if self.left == 0 {
            cx.close_after_write();
        }
    }
}

impl Datagram<Told> for Socket {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.state.add(self.name, "open");
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, _: SocketAddr, packet: &[u8]) {
        if self.answers {
            assert!(cx.reply(packet));
        }
        self.tell(cx, format!("{} bytes", packet.len()));
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, error: &io::Error) {
        self.tell(cx, format!("error {:?}", error.kind()));
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.add(self.name, end(why));
        cx.state.closed += 1;
    }
}

fn socket(cx: &mut Cx<'_>, socket: Socket, peer: Option<SocketAddr>) -> (Key, SocketAddr) {
    let mut options = UdpOptions::default();
    options.peer = peer;
    let key = cx.udp_with("127.0.0.1:0", &options, socket);
    let key = key.expect("a port is free");
    (key, cx.io.local_addr(key).expect("it is open"))
}

fn asks(name: &'static str, left: usize) -> Socket {
    Socket {
        name,
        left,
        answers: false,
    }
}

fn answers(name: &'static str, left: usize) -> Socket {
    Socket {
        answers: true,
        ..asks(name, left)
    }
}

#[test]
fn packets_come_whole_the_empty_and_the_longest_too() {
    check(
        2,
        |cx| {
            let (_, to) = socket(cx, answers("server", 3), None);
            let (client, _) = socket(cx, asks("client", 3), Some(to));
            for len in [0, 1, midge_reactor::PACKET_BYTES_MAX] {
                assert!(cx.io.send_to(client, to, &vec![1; len]));
            }
            let here = SocketAddr::from(([127, 0, 0, 1], 1));
            assert!(!cx.io.send_to(client, here, b"not its peer"));
        },
        &[
            (
                "client",
                &["open", "0 bytes", "1 bytes", "65507 bytes", "closed"],
            ),
            (
                "server",
                &["open", "0 bytes", "1 bytes", "65507 bytes", "closed"],
            ),
        ],
    );
}

#[test]
fn a_port_that_nobody_has_is_an_error_to_whoever_has_it_as_peer_and_ends_nothing() {
    check(
        4,
        |cx| {
            // Open until it has had its packet: then nobody has the port.
            let (_, gone) = socket(cx, asks("server", 1), None);
            let (client, _) = socket(cx, asks("client", 2), Some(gone));
            assert!(cx.io.send_to(client, gone, b"heard"));
            cx.every(Duration::from_millis(1), move |cx| {
                cx.io.send_to(client, gone, b"unheard");
            });
            let (_, to) = socket(cx, answers("answers", 1), None);
            let (other, _) = socket(cx, asks("other", 1), Some(to));
            assert!(cx.io.send_to(other, to, b"still"));
        },
        &[
            (
                "client",
                &[
                    "open",
                    "error ConnectionRefused",
                    "error ConnectionRefused",
                    "closed",
                ],
            ),
            ("server", &["open", "5 bytes", "closed"]),
            ("answers", &["open", "5 bytes", "closed"]),
            ("other", &["open", "5 bytes", "closed"]),
        ],
    );
}

#[test]
fn addresses_that_cannot_be_bound_are_told_apart() {
    check(
        1,
        |cx| {
            let (key, addr) = socket(cx, asks("first", 1), None);
            let second = cx.udp(addr, asks("second", 1)).map_err(|e| e.kind());
            assert_eq!(second, Err(io::ErrorKind::AddrInUse));
            let any = SocketAddr::from(([0, 0, 0, 0], addr.port()));
            let second = cx.udp(any, asks("second", 1)).map_err(|e| e.kind());
            assert_eq!(second, Err(io::ErrorKind::AddrInUse));
            let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
            let second = cx.udp(foreign, asks("second", 1)).map_err(|e| e.kind());
            assert_eq!(second, Err(io::ErrorKind::AddrNotAvailable));
            cx.io.close(key);
        },
        &[("first", &["closed"])],
    );
}
