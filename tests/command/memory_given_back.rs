//! That memory goes back to the system when those it was for have left, in whatever order they leave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Broker, Client, PATIENCE};
use socket2::{Domain, Socket, Type};

const MB: usize = 1_000_000;

/// Subscribers that never read.
const STALLED: usize = 100;

/// What is published to each. The system's own buffers take up to four megabytes of it.
const EACH_BYTES: usize = 6 * MB;

/// Publishers that begin a message of a megabyte and do not end it.
const BEGUN: usize = 150;

/// Subscriptions of one client.
const SUBSCRIPTIONS: usize = 500_000;

/// What may stay behind of all of it: pools, the room for their connections, and what is not worth a
/// call of the system.
const REST_BYTES: usize = 40 * MB;

/// Memory of the process that is in use, in bytes.
fn resident(broker: &Broker) -> usize {
    let path = format!("/proc/{}/status", broker.child.id());
    let status = std::fs::read_to_string(path).expect("it runs");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * kib.and_then(|kib| kib.parse::<usize>().ok()).expect("kB")
}

/// A subscriber that will not read, with as small a buffer as the system has.
fn stalled(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("it can be set");
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    socket.connect(&addr.into()).expect("the broker listens");
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it can be set");
    stream
        .write_all(b"CONNECT {\"verbose\":false}\r\nSUB s 1\r\nPING\r\n")
        .expect("the broker reads");
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the broker answers");
        said.push(byte[0]);
    }
    stream
}

fn sync(client: &mut Client) {
    client.say("PING\r\n");
    client.until("PONG");
}

/// Stalls many subscribers, has them leave in the order that `place` gives, and tells what is in use
/// when they are there, and in the end.
fn leave_in_order(name: &str, place: impl Fn(usize) -> usize) {
    let broker = Broker::start(&[]);
    let mut publisher = Client::connect(broker.port);
    publisher.say("CONNECT {\"verbose\":false}\r\n");
    sync(&mut publisher);
    let before = resident(&broker);
    let mut small = Vec::new();
    let mut subscribers: Vec<Option<TcpStream>> = Vec::new();
    for _ in 0..STALLED {
        subscribers.push(Some(stalled(broker.port)));
        small.push(Client::connect(broker.port));
    }
    let message = format!("PUB s 1000\r\n{}\r\n", "x".repeat(1000));
    for _ in 0..EACH_BYTES / message.len() {
        publisher.say(&message);
    }
    sync(&mut publisher);
    let full = resident(&broker) - before;
    assert!(
        full > 4 * REST_BYTES,
        "{name}: no more than {full} bytes wait, too few to tell what goes back"
    );
    for number in 0..STALLED {
        drop(subscribers[place(number)].take());
        // Those who come meanwhile get what is free first, wherever that is.
        small.push(Client::connect(broker.port));
    }
    assert!(subscribers.iter().all(Option::is_none), "all have left");
    goes_back(name, &broker, &mut publisher, before, full);
}

/// Waits until no more than [`REST_BYTES`] of `full` are in use.
fn goes_back(name: &str, broker: &Broker, client: &mut Client, before: usize, full: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        sync(client);
        let rest = resident(broker).saturating_sub(before);
        if rest <= REST_BYTES {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{name}: {rest} bytes of {full} stay, {REST_BYTES} may"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_waited_for_subscribers_goes_back_in_whatever_order_they_leave() {
    leave_in_order("as they came", |number| number);
    leave_in_order("the last first", |number| STALLED - 1 - number);
    // 37 and 100 have no common divisor, so each has its turn.
    leave_in_order("mixed", |number| number * 37 % STALLED);
}

#[test]
fn what_was_read_of_messages_goes_back_when_their_publishers_leave_before_the_end() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(broker.port);
    client.say("CONNECT {\"verbose\":false}\r\n");
    sync(&mut client);
    let before = resident(&broker);
    let begun = format!("PUB s {MB}\r\n{}", "x".repeat(MB - 1));
    let mut publishers = Vec::new();
    for _ in 0..BEGUN {
        let mut publisher = Client::connect(broker.port);
        publisher.say("CONNECT {\"verbose\":false}\r\n");
        publisher.say(&begun);
        publishers.push(Some(publisher));
    }
    let deadline = Instant::now() + PATIENCE;
    while resident(&broker).saturating_sub(before) < 100 * MB {
        assert!(Instant::now() < deadline, "it does not read them");
        sync(&mut client);
    }
    let full = resident(&broker) - before;
    let mut small = Vec::new();
    for number in 0..BEGUN {
        publishers[number * 37 % BEGUN] = None;
        small.push(Client::connect(broker.port));
    }
    goes_back("begun messages", &broker, &mut client, before, full);
}

#[test]
fn what_many_subscriptions_took_goes_back_when_their_client_leaves() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(broker.port);
    client.say("CONNECT {\"verbose\":false}\r\n");
    sync(&mut client);
    let before = resident(&broker);
    let mut subscriber = Client::connect(broker.port);
    subscriber.say("CONNECT {\"verbose\":false}\r\n");
    let numbers: Vec<usize> = (0..SUBSCRIPTIONS).collect();
    for some in numbers.chunks(10_000) {
        let lines = some
            .iter()
            .map(|sid| format!("SUB subject.{sid} {sid}\r\n"));
        subscriber.say(&lines.collect::<String>());
        sync(&mut subscriber);
    }
    let full = resident(&broker) - before;
    assert!(full > 3 * REST_BYTES / 2, "they take no more than {full}");
    drop(subscriber);
    goes_back("subscriptions", &broker, &mut client, before, full);
}
