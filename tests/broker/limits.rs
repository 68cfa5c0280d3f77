//! Who is closed for passing a limit, what it is told, and that no other client notices.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::raw::{QUIET, Raw, config, start};
use midge::{Auth, Config};
use midge_protocol::encode;

/// That a client in good health is served as ever.
fn all_is_well(addr: SocketAddr) {
    let (mut publisher, mut subscriber) = (Raw::join(addr), Raw::join(addr));
    subscriber.sub("well.*", None, "1");
    subscriber.sync();
    publisher.publish("well.being", b"all is well");
    let line = subscriber.line();
    assert_eq!(line.as_deref(), Some("MSG well.being: all is well"));
    publisher.leave();
    subscriber.leave();
}

/// The lines up to the end of the stream.
fn last_lines(client: &mut Raw) -> Vec<String> {
    std::iter::from_fn(|| client.line()).collect()
}

/// The same, each `PING` among them, of a client that says `CONNECT` and answers nothing.
fn lines_of_a_mute_one(addr: SocketAddr) -> Vec<String> {
    let mut mute = Raw::connect(addr);
    mute.send(format!("CONNECT {QUIET}\r\n").as_bytes());
    std::iter::from_fn(|| mute.line_or_ping()).collect()
}

/// What a client is told that says this at once and then waits. One that came too late, on a busy
/// machine, comes again.
fn told_in_time(addr: SocketAddr, words: &str) -> (Raw, Option<String>) {
    loop {
        let mut client = Raw::dial(addr).expect("the broker listens");
        if client.stream.write_all(words.as_bytes()).is_err() {
            continue;
        }
        assert_eq!(client.line().as_deref(), Some("INFO"));
        let told = client.line();
        if told.as_deref() != Some("-ERR 'Authentication Timeout'") {
            return (client, told);
        }
    }
}

#[test]
fn one_connection_too_many_is_told_so_and_closed() {
    let broker = start(Config {
        connections_max: 3,
        ..config()
    });
    let addr = broker.addr();
    let mut welcome: Vec<Raw> = (0..3).map(|_| Raw::join(addr)).collect();
    for _ in 0..10 {
        let mut turned_away = Raw::dial(addr).expect("the broker listens");
        let expected = ["INFO", "-ERR 'maximum connections exceeded'"];
        assert_eq!(last_lines(&mut turned_away), expected);
    }
    for client in &mut welcome {
        client.sync();
    }
}

#[test]
fn a_place_that_is_left_can_be_taken_at_once() {
    let broker = start(Config {
        connections_max: 2,
        ..config()
    });
    let addr = broker.addr();
    let mut stays = Raw::join(addr);
    for _ in 0..100 {
        let mut guest = Raw::join(addr);
        let mut turned_away = Raw::dial(addr).expect("the broker listens");
        assert_eq!(last_lines(&mut turned_away).len(), 2);
        guest.sync();
        guest.leave();
    }
    stays.sync();
}

#[test]
fn a_place_that_is_lost_can_be_taken_too() {
    let broker = start(Config {
        connections_max: 2,
        ..config()
    });
    let addr = broker.addr();
    let mut stays = Raw::join(addr);
    for _ in 0..20 {
        let mut guest = Raw::join(addr);
        // It is closed for what it says, and its place is free before it has hung up.
        guest.send(b"NONSENSE\r\n");
        let expected = ["-ERR 'Unknown Protocol Operation'"];
        assert_eq!(last_lines(&mut guest), expected);
        let mut next = Raw::join(addr);
        next.sync();
        next.leave();
        drop(guest);
    }
    stays.sync();
}

#[test]
fn last_words_reach_a_client_that_is_still_sending() {
    let broker = start(config());
    let addr = broker.addr();
    let megabytes = vec![b'x'; 8 * 1024 * 1024];
    let openings: [(&[u8], &str); 3] = [
        (b"PUB a 8388608\r\n", "-ERR 'Maximum Payload Violation'"),
        (b"SAY a 1\r\n", "-ERR 'Unknown Protocol Operation'"),
        (b"SUB ", "-ERR 'maximum control line exceeded'"),
    ];
    for (opening, told) in openings {
        for _ in 0..5 {
            let mut client = Raw::join(addr);
            client.send(opening);
            // It reads only when it has sent all, or can send no more: the broker takes little of it.
            let _ = client.stream.write_all(&megabytes);
            assert_eq!(client.line().as_deref(), Some(told));
        }
    }
    all_is_well(addr);
}

#[test]
fn a_client_that_never_stops_sending_is_closed_all_the_same() {
    let broker = start(config());
    let addr = broker.addr();
    let mut client = Raw::join(addr);
    client.send(b"PUB a 9999999\r\n");
    let chunk = vec![b'x'; 64 * 1024];
    let mut taken = 0;
    while client.stream.write_all(&chunk).is_ok() {
        taken += chunk.len();
    }
    // What the kernels hold; the broker itself takes next to nothing.
    assert!(taken < 64 << 20, "{taken} bytes were taken");
    all_is_well(addr);
}

#[test]
fn a_client_that_answers_no_ping_is_stale() {
    let broker = start(Config {
        ping_interval: Duration::from_millis(200),
        ..config()
    });
    let addr = broker.addr();
    let expected = ["PING", "PING", "-ERR 'Stale Connection'"];
    assert_eq!(lines_of_a_mute_one(addr), expected);
    // So is one that has never said a word.
    let mut silent = Raw::connect(addr);
    let lines: Vec<String> = std::iter::from_fn(|| silent.line_or_ping()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_busy_client_that_answers_no_ping_is_not_stale() {
    const INTERVAL: Duration = Duration::from_secs(1);
    let broker = start(Config {
        ping_interval: INTERVAL,
        pings_out_max: 2,
        ..config()
    });
    let mut client = Raw::join(broker.addr());
    client.sub("busy", None, "1");
    // Another one of the same manners, whose pace sets the time.
    let addr = broker.addr();
    let watch = thread::spawn(move || lines_of_a_mute_one(addr));
    let (mut pings, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
    while !watch.is_finished() {
        client.publish("busy", b"x");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        pings += usize::from(client.line_or_ping().expect("it is not closed") == "PING");
    }
    assert_eq!(
        watch.join().expect("it is closed"),
        ["PING", "PING", "-ERR 'Stale Connection'"]
    );
    // It was asked once, to measure the round trip.
    assert!(
        pings <= 1 || longest >= INTERVAL,
        "{pings} PINGs for one that is silent for {longest:?} at most"
    );
    let lines = last_lines(&mut client);
    let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
    assert!(
        matches!(&lines[..], [.., "-ERR 'Stale Connection'"]),
        "{lines:?}"
    );
    assert_eq!(broker.stats().expect("it runs").stale, 2);
}

#[test]
fn a_client_that_answers_is_not_stale() {
    let broker = start(Config {
        ping_interval: Duration::from_millis(200),
        // A minute of them. That one more than may be is too many is for the simulation, whose machine
        // is never busy.
        pings_out_max: 300,
        ..config()
    });
    let mut client = Raw::join(broker.addr());
    for _ in 0..5 {
        assert_eq!(client.line_or_ping().as_deref(), Some("PING"));
        client.send(encode::PONG);
    }
    client.sync();
}

#[test]
fn a_client_that_does_not_log_in_is_closed_in_time() {
    let broker = start(Config {
        auth: Auth::Token("secret".into()),
        auth_timeout: Some(Duration::from_millis(100)),
        ..config()
    });
    let addr = broker.addr();
    let connect =
        |token| format!("CONNECT {{\"verbose\":false,\"auth_token\":\"{token}\"}}\r\nPING\r\n");
    let (mut member, told) = told_in_time(addr, &connect("secret"));
    assert_eq!(told.as_deref(), Some("PONG"));
    let mut late = Raw::connect(addr);
    assert_eq!(last_lines(&mut late), ["-ERR 'Authentication Timeout'"]);
    // Half a `CONNECT` is none.
    let mut half = Raw::connect(addr);
    half.send(b"CONNECT {\"auth_token\":");
    assert_eq!(last_lines(&mut half), ["-ERR 'Authentication Timeout'"]);
    let (mut wrong, told) = told_in_time(addr, &connect("guess"));
    assert_eq!(told.as_deref(), Some("-ERR 'Authorization Violation'"));
    assert_eq!(wrong.line(), None);
    member.sync();
}

#[test]
fn two_thousand_connections_are_served_at_once() {
    const CONNECTIONS: usize = 2000;
    let _turn = crate::thousands_of_files(CONNECTIONS);
    let broker = start(config());
    let addr = broker.addr();
    let mut clients: Vec<Raw> = (0..CONNECTIONS)
        .map(|n| {
            let mut client = Raw::join(addr);
            client.sub("everyone", None, "1");
            client.sub(&format!("only.{n}"), None, "2");
            client
        })
        .collect();
    for client in &mut clients {
        client.sync();
    }
    let mut publisher = Raw::join(addr);
    publisher.publish("everyone", b"hello");
    for n in 0..CONNECTIONS {
        publisher.publish(&format!("only.{n}"), n.to_string().as_bytes());
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.line().as_deref(), Some("MSG everyone: hello"));
        assert_eq!(client.line(), Some(format!("MSG only.{n}: {n}")));
    }
    drop(clients);
    all_is_well(addr);
}

#[test]
fn storms_of_connections_that_close_at_once_do_no_harm() {
    const CONNECTIONS: usize = 2000;
    let broker = start(config());
    let addr = broker.addr();
    thread::scope(|scope| {
        for storm in 0..4 {
            scope.spawn(move || {
                for n in 0..CONNECTIONS / 4 {
                    let client = Raw::dial(addr).expect("the broker listens");
                    match (n + storm) % 4 {
                        0 => drop(client),
                        1 => client.vanish(),
                        2 => client.half_close(),
                        _ => {
                            let mut client = client;
                            // It may be gone before it could be read.
                            client.send(b"CONNECT {}\r\nSUB a 1\r\nPUB a 1\r\nx\r\n");
                        }
                    }
                }
            });
        }
    });
    all_is_well(addr);
    broker.shutdown().expect("the broker ends well");
}

#[test]
fn a_conversation_may_come_one_byte_at_a_time() {
    let broker = start(config());
    let addr = broker.addr();
    let mut slow = Raw::connect(addr);
    let script = b"CONNECT {\"verbose\":true,\"headers\":true}\r\n\
        sub  one.* \t 7 \r\nPUB one.two 11\r\nhello\r\nyou!\r\n\
        HPUB one.three 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 7\r\nPUB one.two 0\r\n\r\nPING\r\n";
    for byte in script {
        slow.send(&[*byte]);
    }
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "PONG") {
        lines.push(slow.line().expect("it is not closed"));
    }
    let expected = [
        "+OK",
        "+OK",
        "+OK",
        "MSG one.two: hello\r\nyou!",
        "+OK",
        "MSG one.three: hi",
        "+OK",
        "+OK",
        "PONG",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn many_slow_typists_do_not_keep_the_others_waiting() {
    let broker = start(config());
    let addr = broker.addr();
    let mut typists: Vec<Raw> = (0..100).map(|_| Raw::connect(addr)).collect();
    for byte in b"PUB a.long.subject 100000\r\nhalf a payload" {
        for typist in &mut typists {
            typist.send(&[*byte]);
        }
    }
    all_is_well(addr);
}

/// Small random numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `choices`.
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What no client would say: from pure noise to ops with one byte wrong.
fn garbage(random: &mut Random) -> Vec<u8> {
    const OPS: [&[u8]; 14] = [
        b"CONNECT {\"verbose\":false,\"headers\":true}\r\n",
        b"CONNECT {\"echo\":false,\"no_responders\":true,\"headers\":true}\r\n",
        b"PUB a.b 5\r\nhello\r\n",
        b"PUB a.b reply 0\r\n\r\n",
        b"HPUB a.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        b"HPUB a..b > 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        b"SUB a.* 1\r\n",
        b"SUB a.> queue 2\r\n",
        b"SUB > 3\r\n",
        b"UNSUB 1 2\r\n",
        b"UNSUB 3\r\n",
        b"PING\r\n",
        b"PONG\r\n",
        b"+OK\r\n",
    ];
    let mut bytes = Vec::new();
    match random.below(4) {
        0 => {
            let len = random.below(3000);
            bytes.extend((0..len).map(|_| random.next() as u8));
        }
        1 => {
            let len = random.below(3000);
            let letters = b"PUBSCONET 019.*>\t\r\n{}\"+-";
            bytes.extend((0..len).map(|_| random.of(letters)));
        }
        _ => {
            for _ in 0..random.below(40) {
                bytes.extend_from_slice(random.of(&OPS));
            }
            for _ in 0..random.below(4) {
                if !bytes.is_empty() {
                    let at = random.below(bytes.len());
                    match random.below(3) {
                        0 => bytes[at] = random.next() as u8,
                        1 => drop(bytes.remove(at)),
                        _ => bytes.insert(at, random.of(b"\r\n 9.\0")),
                    }
                }
            }
        }
    }
    bytes
}

#[test]
fn no_garbage_stops_the_broker() {
    const CONNECTIONS: u64 = 2000;
    const THREADS: u64 = 4;
    let broker = start(Config {
        // Half a message need not be waited for long, and large ones are soon too large.
        payload_bytes_max: 4096,
        ..config()
    });
    let addr = broker.addr();
    let talk = |seed: u64| {
        let mut random = Random(seed);
        let bytes = garbage(&mut random);
        let mut client = Raw::dial(addr).expect("the broker listens");
        if random.below(4) == 0 {
            client.send(b"CONNECT ");
            client.send(QUIET.as_bytes());
            client.send(b"\r\n");
        }
        // The broker may close, and reset, in the middle of it.
        let pieces = 1 + random.below(3);
        for piece in bytes.chunks(bytes.len() / pieces + 1) {
            let _ = client.stream.write_all(piece);
        }
        match random.below(4) {
            0 => client.vanish(),
            1 => drop(client),
            _ => {
                // Reads to the end, which must come, if only as a reset.
                let _ = client.stream.shutdown(Shutdown::Write);
                let end = loop {
                    match client.try_next(|_| ()) {
                        Ok(Some(())) => {}
                        Ok(None) => break None,
                        Err(error) => break Some(error.kind()),
                    }
                };
                let ended = end.is_none_or(|kind| kind == ErrorKind::ConnectionReset);
                assert!(ended, "{end:?} in place of an end");
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in (thread..CONNECTIONS).step_by(THREADS as usize) {
                    let outcome = std::panic::catch_unwind(|| talk(seed));
                    assert!(outcome.is_ok(), "seed {seed} of the garbage");
                }
            });
        }
    });
    all_is_well(addr);
    broker.shutdown().expect("the broker ends well");
}
