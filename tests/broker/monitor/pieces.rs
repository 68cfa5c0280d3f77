//! A scrape of very many connections and subscriptions never makes a turn of the loop long, and
//! messages go on meanwhile. Counted in turns and bytes; no clock is looked at.

use crate::raw;
use midge::{Broker, Config, Monitor, State};
use midge_reactor::Reactor;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::MutexGuard;
use std::time::Duration;

/// Connections: each is a file here and one in the broker, which is in this process.
const CONNECTIONS: usize = 2000;

/// Subscriptions of one of them.
const SUBSCRIPTIONS: usize = 20_000;

/// Most that a turn may write of an answer, in bytes: a piece of a thousand places looked at, of which
/// writing a connection costs sixteen and a subscription four, and its share of the head.
const TURN_BYTES_MAX: u64 = 128 * 1024;

/// A broker that this test turns by hand. One at a time: there are not files for more.
struct World {
    _turn: MutexGuard<'static, ()>,
    reactor: Reactor<State>,
    addr: SocketAddr,
    monitor: SocketAddr,
    clients: Vec<TcpStream>,
}

impl World {
    fn new() -> World {
        let turn = crate::thousands_of_files(CONNECTIONS);
        let config = Config {
            monitor: Some(Monitor::default()),
            ping_interval: Duration::from_secs(1000),
            ..raw::config()
        };
        let state = State::new(config).expect("the settings make sense");
        let mut reactor = Reactor::new(state).expect("there is a selector");
        let listener = reactor.with(|cx| {
            let listener = Broker::listen(cx)?;
            Ok::<_, midge::StartError>(cx.listening_on(listener))
        });
        let addr = listener.expect("a port is free").expect("it listens");
        let port = reactor.state.monitor_port().expect("monitoring is on");
        let mut world = World {
            _turn: turn,
            reactor,
            addr,
            monitor: SocketAddr::new(addr.ip(), port),
            clients: Vec::new(),
        };
        while world.clients.len() < CONNECTIONS {
            for _ in 0..50 {
                let stream = TcpStream::connect(world.addr).expect("it listens");
                stream.set_nonblocking(true).expect("the socket is open");
                world.clients.push(stream);
            }
            while world.reactor.state.stats().clients < world.clients.len() {
                world.turn();
            }
        }
        let mut lines = Vec::new();
        for number in 0..SUBSCRIPTIONS {
            lines.extend(format!("SUB s.{number} {number}\r\n").into_bytes());
        }
        world.say(0, &lines);
        while world.reactor.state.stats().subscriptions < SUBSCRIPTIONS {
            world.turn();
        }
        world
    }

    /// One turn that waits for nothing; answers the bytes that it has written.
    fn turn(&mut self) -> u64 {
        let before = self.reactor.stats().written_bytes;
        self.reactor
            .turn(Some(Duration::ZERO))
            .expect("the loop turns");
        self.reactor.stats().written_bytes - before
    }

    /// Has a client say something, turning while its socket is full.
    fn say(&mut self, client: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.clients[client].write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => drop(self.turn()),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes what has come to a client.
    fn hear(&mut self, client: usize) -> Vec<u8> {
        drain(&mut self.clients[client]).0
    }
}

/// All that can be read now, and whether the stream has ended.
fn drain(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let (mut all, mut buf) = (Vec::new(), [0; 64 * 1024]);
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return (all, true),
            Ok(len) => all.extend_from_slice(&buf[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (all, false),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Asks, and turns until the answer is there. `each_turn` sees the world after each turn of it.
fn scrape(
    world: &mut World,
    target: &str,
    mut each_turn: impl FnMut(&mut World),
) -> (String, usize) {
    let mut http = TcpStream::connect(world.monitor).expect("monitoring is served");
    http.set_nonblocking(true).expect("the socket is open");
    // It ends with the connection.
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    http.write_all(request.as_bytes())
        .expect("the socket is empty");
    let (mut answer, mut turns) = (Vec::new(), 0);
    loop {
        let written = world.turn();
        assert!(
            written <= TURN_BYTES_MAX,
            "{written} bytes in a turn of {target}"
        );
        let (more, is_over) = drain(&mut http);
        answer.extend(more);
        if is_over {
            break;
        }
        turns += 1;
        each_turn(world);
    }
    (String::from_utf8(answer).expect("it is text"), turns)
}

#[test]
fn a_scrape_of_thousands_is_made_in_many_small_turns_while_messages_pass() {
    let mut world = World::new();
    world.say(1, b"SUB ball 1\r\n");
    while world.reactor.state.stats().subscriptions == SUBSCRIPTIONS {
        world.turn();
    }
    world.hear(1);

    // All connections: looked at a thousand a turn, written some sixty a turn.
    let mut passed = 0;
    let (answer, turns) = scrape(&mut world, "/connz?limit=100000&sort=subs", |world| {
        // A message that is published now is there when the turn is over.
        world.say(2, b"PUB ball 2\r\nhi\r\n");
        let mut heard = Vec::new();
        for _ in 0..3 {
            let written = world.turn();
            assert!(written <= TURN_BYTES_MAX);
            heard.extend(world.hear(1));
            if !heard.is_empty() {
                break;
            }
        }
        assert_eq!(String::from_utf8_lossy(&heard), "MSG ball 1 2\r\nhi\r\n");
        passed += 1;
    });
    let told = answer.matches("\"cid\"").count();
    assert_eq!(told, CONNECTIONS);
    assert!(answer.contains(&format!("\"num_connections\": {CONNECTIONS}")));
    assert!(
        turns >= 10 && passed == turns,
        "{turns} turns, {passed} messages"
    );

    // A page is short, and still all are looked at.
    let (answer, _) = scrape(&mut world, "/connz?limit=1&sort=subs&subs=1", |_| {});
    assert_eq!(answer.matches("\"s.").count(), SUBSCRIPTIONS);

    // All subscriptions; and what walks over everybody to tell little.
    let (answer, turns) = scrape(&mut world, "/subsz?subs=1&limit=100000", |_| {});
    assert_eq!(answer.matches("\"subject\"").count(), SUBSCRIPTIONS + 1);
    assert!(turns >= 20 + SUBSCRIPTIONS * 4 / 1000, "{turns} turns");
    for (target, least) in [
        ("/subsz", 20),
        ("/accountz?acc=$G", 20),
        ("/metrics", 20),
        ("/memz", 1),
        ("/topz", 2),
    ] {
        let (answer, turns) = scrape(&mut world, target, |_| {});
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(turns >= least, "{turns} turns of {target}");
    }
}

#[test]
fn many_who_ask_at_once_share_what_a_turn_has() {
    let mut world = World::new();
    let mut crowd: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut http = TcpStream::connect(world.monitor).expect("monitoring is served");
            http.set_nonblocking(true).expect("the socket is open");
            let request = "GET /varz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20)
                + "GET /connz?limit=100000&sort=last HTTP/1.0\r\n\r\n";
            http.write_all(request.as_bytes())
                .expect("the socket is empty");
            http
        })
        .collect();
    let mut answers = vec![Vec::new(); crowd.len()];
    let mut open = crowd.len();
    while open > 0 {
        let written = world.turn();
        assert!(written <= TURN_BYTES_MAX, "{written} bytes in a turn");
        open = 0;
        for (http, answer) in crowd.iter_mut().zip(&mut answers) {
            let (more, is_over) = drain(http);
            answer.extend(more);
            open += usize::from(!is_over);
        }
    }
    for answer in answers {
        let text = String::from_utf8(answer).expect("it is text");
        assert_eq!(text.matches("200 OK\r\n").count(), 21);
        assert_eq!(text.matches("\"cid\"").count(), CONNECTIONS);
    }
}

#[test]
fn connections_that_close_while_they_are_told_are_told_as_they_were() {
    let mut world = World::new();
    let mut closing = CONNECTIONS;
    let (answer, _) = scrape(&mut world, "/connz?limit=100000", |world| {
        for _ in 0..20.min(closing.saturating_sub(CONNECTIONS / 2)) {
            closing -= 1;
            world.clients.pop();
        }
    });
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head ends");
    let connz: serde_json::Value = serde_json::from_str(body).expect("it is still JSON");
    let told = connz["connections"].as_array().expect("a list").len();
    assert_eq!(connz["num_connections"], told);
    assert!(closing < CONNECTIONS, "some have closed meanwhile");
}

#[test]
fn whoever_asks_and_does_not_read_makes_no_more_than_the_queue_holds() {
    let mut world = World::new();
    let mut http = TcpStream::connect(world.monitor).expect("monitoring is served");
    let request = "GET /connz?limit=100000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    http.write_all(request.as_bytes())
        .expect("the socket is empty");
    // Until nothing happens any more: the answers, some 80 MB, wait to be asked on.
    let mut quiet = 0;
    let mut written = 0;
    while quiet < 100 {
        let now = world.turn();
        written += now;
        quiet = if now == 0 { quiet + 1 } else { 0 };
    }
    assert!(written < 40 * 1024 * 1024, "{written} bytes went somewhere");
    let (_, turns) = scrape(&mut world, "/healthz", |_| {});
    assert!(turns < 10, "others are answered at once");
}

#[test]
fn the_heaviest_connections_are_found_once_wherever_a_turn_ends() {
    let mut world = World::new();
    // With these the last connection takes the last of what a turn may look at.
    for count in [1875, 875] {
        world.clients.truncate(count);
        while world.reactor.state.stats().clients > count {
            world.turn();
        }
        let mut turns = 0;
        let (answer, _) = scrape(&mut world, "/topz?limit=2000", |_| {
            turns += 1;
            assert!(turns < 1000, "it looks for ever");
        });
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let topz: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let connections = topz["connections"].as_array().expect("a list");
        let mut cids: Vec<_> = connections.iter().map(|one| one["cid"].as_u64()).collect();
        cids.sort_unstable();
        cids.dedup();
        assert_eq!((cids.len(), connections.len()), (count, count));
    }
}
