//! Who is closed for not keeping up, who is waited for, and that no other client notices.
//!
//! Time passes here by events: a publisher whose socket takes nothing for a moment knows that it
//! is being held back, and tells the slow reader to go on reading.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::raw::{self, Raw, config, start, until_nobody_listens};
use midge::Config;
use midge_protocol::{ServerOp, encode};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A write that takes longer means that the broker does not read.
const HELD: Duration = Duration::from_millis(50);

/// More bytes than the sockets of one publisher and one narrow receiver and a queue hold together,
/// in messages: a publisher that is held back notices.
const MESSAGES_MANY: usize = 80_000;

/// Bytes of one payload: its number, then filling that depends on it.
const PAYLOAD_BYTES: usize = 1000;

fn payload(number: usize, payload: &mut [u8; PAYLOAD_BYTES]) {
    payload.fill(number as u8);
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
}

/// Sees that messages come whole, in order, each once.
#[derive(Debug, Default)]
struct Counter {
    next: usize,
}

impl Counter {
    #[track_caller]
    fn see(&mut self, got: &[u8]) {
        let mut expected = [0; PAYLOAD_BYTES];
        payload(self.next, &mut expected);
        assert!(
            got == expected,
            "message {} is not what was sent",
            self.next
        );
        self.next += 1;
    }
}

/// What a publisher on a thread of its own tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    /// Its socket has taken nothing for [`HELD`].
    Held,
    /// All have left, and the broker has answered a `PING` after them.
    Done,
}

/// A publisher of `count` messages to `subject`.
struct Publisher {
    told: Receiver<Told>,
    thread: JoinHandle<Raw>,
}

impl Publisher {
    fn start(client: Raw, subject: &'static str, count: usize) -> Publisher {
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || publish_all(client, subject, count, &tell));
        Publisher { told, thread }
    }

    /// Waits until it is held back for the first time.
    fn until_held(&self) {
        match self.next() {
            Told::Held => {}
            Told::Done => panic!("it was never held back"),
        }
    }

    /// What it tells next; `None` if it tells nothing for [`HELD`].
    fn now(&self) -> Option<Told> {
        self.told.recv_timeout(HELD).ok()
    }

    fn next(&self) -> Told {
        let told = self.told.recv_timeout(raw::PATIENCE);
        told.expect("the publisher is alive and not held for ever")
    }

    /// Waits until all is published; answers how often it was held back meanwhile.
    fn until_done(&self) -> usize {
        let mut held = 0;
        while self.next() != Told::Done {
            held += 1;
        }
        held
    }

    fn end(self) -> Raw {
        self.thread.join().expect("the publisher was not closed")
    }
}

fn publish_all(mut client: Raw, subject: &str, count: usize, tell: &Sender<Told>) -> Raw {
    let timeout = client.stream.set_write_timeout(Some(HELD));
    timeout.expect("the socket is open");
    let mut chunk = Vec::new();
    let mut body = [0; PAYLOAD_BYTES];
    for number in 0..count {
        payload(number, &mut body);
        encode::publish(&mut chunk, subject.as_bytes(), None, &body);
        if chunk.len() >= 64 * KIB || number + 1 == count {
            let held = || {
                // The test may have seen enough.
                let _ = tell.send(Told::Held);
            };
            write_patiently(&mut client, &chunk, held);
            chunk.clear();
        }
    }
    write_patiently(&mut client, encode::PING, || {
        let _ = tell.send(Told::Held);
    });
    client.stream.set_write_timeout(None).expect("it is open");
    loop {
        let pong = client.next(|op| matches!(op, ServerOp::Pong));
        if pong.expect("the publisher is not closed") {
            break;
        }
    }
    let _ = tell.send(Told::Done);
    client
}

/// Writes all of `bytes`, and calls `held` each time that nothing has left for [`HELD`].
fn write_patiently(client: &mut Raw, mut bytes: &[u8], held: impl Fn()) {
    while !bytes.is_empty() {
        match client.stream.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => held(),
                ErrorKind::Interrupted => {}
                _ => panic!("the broker has closed a publisher: {error}"),
            },
        }
    }
}

/// A client that has subscribed to `subject` and, to be found, to `found`.
fn subscriber(mut client: Raw, subject: &str, found: &str) -> Raw {
    client.sub(subject, None, "1");
    client.sub(found, None, "2");
    client.sync();
    client
}

/// A thread that reads `count` messages of `subject` as fast as they come.
fn reader(addr: SocketAddr, subject: &'static str, count: usize) -> JoinHandle<Raw> {
    let mut client = subscriber(Raw::join(addr), subject, "reader");
    thread::spawn(move || {
        let mut counter = Counter::default();
        while counter.next < count {
            let more = client.message(|message| counter.see(message.payload));
            more.expect("a reader that keeps up is not closed");
        }
        client
    })
}

#[test]
fn slow_consumer_is_closed_and_others_still_receive() {
    const MESSAGES: usize = 24_000;
    let broker = start(Config {
        pending_bytes_max: MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut never = subscriber(Raw::join_narrow(addr), "flood", "never");
    let readers = [(); 3].map(|()| reader(addr, "flood", MESSAGES));
    let publisher = Publisher::start(Raw::join(addr), "flood", MESSAGES);
    publisher.until_done();
    until_nobody_listens(addr, "never");
    for reader in readers {
        reader.join().expect("the others receive everything").sync();
    }
    publisher.end().sync();
    // It is told nothing: what had left for it comes, and then the end.
    assert!(never.count_to_the_end() < MESSAGES);
    broker.shutdown().expect("the broker ends well");
}

#[test]
fn what_a_slow_consumer_gets_before_it_is_closed_is_in_order() {
    let broker = start(Config {
        pending_bytes_max: MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut never = subscriber(Raw::join_narrow(addr), "flood", "never");
    let publisher = Publisher::start(Raw::join(addr), "flood", 16_000);
    publisher.until_done();
    until_nobody_listens(addr, "never");
    let mut counter = Counter::default();
    while never
        .message(|message| counter.see(message.payload))
        .is_some()
    {}
    assert!(counter.next > 0);
}

#[test]
fn a_queue_that_does_not_leave_within_the_write_deadline_closes_its_client() {
    const MESSAGES: usize = 6000;
    let deadline = Duration::from_millis(300);
    let broker = start(Config {
        write_deadline: deadline,
        ..config()
    });
    let addr = broker.addr();
    // Far below the limit on pending bytes, and below the mark where publishers are held back.
    let mut never = subscriber(Raw::join_narrow(addr), "some", "never");
    let reader = reader(addr, "some", MESSAGES);
    let begun = Instant::now();
    let publisher = Publisher::start(Raw::join(addr), "some", MESSAGES);
    publisher.until_done();
    until_nobody_listens(addr, "never");
    assert!(begun.elapsed() >= deadline);
    assert!(never.count_to_the_end() < MESSAGES);
    reader.join().expect("the other receives everything").sync();
    publisher.end().sync();
}

#[test]
fn a_fast_publisher_waits_for_a_slow_reader_and_nothing_is_lost() {
    const MESSAGES: usize = MESSAGES_MANY;
    const STEP_BYTES: usize = MIB;
    /// What may be on its way: in the broker's queue, and in the two sockets behind it.
    const LAG_BYTES_MAX: usize = 16 * MIB;
    let broker = start(Config {
        pending_bytes_max: 4 * MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut slow = subscriber(Raw::join_narrow(addr), "flow", "slow");
    let publisher = Publisher::start(Raw::join(addr), "flow", MESSAGES);
    let mut counter = Counter::default();
    let mut lag_at_end = None;
    while counter.next < MESSAGES {
        // The reader is slow by its own clock, and steady.
        let told = publisher.now();
        let left = (MESSAGES - counter.next) * PAYLOAD_BYTES;
        if told == Some(Told::Done) {
            lag_at_end = Some(left);
        }
        let open = slow.skim(STEP_BYTES.min(left), |message| counter.see(message.payload));
        assert!(open, "a reader that reads steadily was cut");
    }
    slow.sync();
    if lag_at_end.is_none() {
        publisher.until_done();
    }
    publisher.end().sync();
    // The broker took the last message only when nearly all before it had been read: the queue was
    // bounded, and the publisher was made to wait.
    let lag = lag_at_end.unwrap_or(0);
    assert!(lag <= LAG_BYTES_MAX, "{lag} bytes behind");
}

#[test]
fn a_stalled_receiver_holds_its_publisher_for_a_while_and_is_then_cut() {
    const MESSAGES: usize = MESSAGES_MANY;
    let broker = start(Config {
        pending_bytes_max: 2 * MIB,
        // What it is waited for ends long before that.
        write_deadline: Duration::from_secs(600),
        ..config()
    });
    let addr = broker.addr();
    let mut stalled = subscriber(Raw::join_narrow(addr), "flood", "stalled");
    let publisher = Publisher::start(Raw::join(addr), "flood", MESSAGES);
    publisher.until_held();
    publisher.until_done();
    until_nobody_listens(addr, "stalled");
    assert!(stalled.count_to_the_end() < MESSAGES);
    publisher.end().sync();
}

#[test]
fn all_queues_together_are_bounded_and_only_the_longest_go() {
    const NEVER: usize = 8;
    const MESSAGES: usize = 8000;
    let broker = start(Config {
        // None of them comes to this.
        pending_bytes_max: 16 * MIB,
        pending_total_bytes_max: Some(16 * MIB),
        write_deadline: Duration::from_secs(600),
        ..config()
    });
    let addr = broker.addr();
    let never = [(); NEVER].map(|()| subscriber(Raw::join_narrow(addr), "flood", "never"));
    let other = reader(addr, "other", 100);
    Publisher::start(Raw::join(addr), "flood", MESSAGES).until_done();
    Publisher::start(Raw::join(addr), "other", 100).until_done();
    other.join().expect("who has a short queue stays").sync();
    let closed = broker.stats().expect("it runs").slow_consumers;
    assert!((1..NEVER as u64).contains(&closed), "{closed} closed");
    drop(never);
}

#[test]
fn a_publisher_that_feeds_itself_gets_all_that_it_publishes() {
    const MESSAGES: usize = 64_000;
    let broker = start(Config {
        pending_bytes_max: 2 * MIB,
        ..config()
    });
    let mut client = subscriber(Raw::join(broker.addr()), "self", "found");
    let writer = client.stream.try_clone().expect("a descriptor is free");
    let sending = thread::spawn(move || {
        let mut writer = writer;
        let mut chunk = Vec::new();
        let mut body = [0; PAYLOAD_BYTES];
        for number in 0..MESSAGES {
            payload(number, &mut body);
            encode::publish(&mut chunk, b"self", None, &body);
            if chunk.len() >= 64 * KIB || number + 1 == MESSAGES {
                writer.write_all(&chunk).expect("the broker reads");
                chunk.clear();
            }
        }
    });
    let mut counter = Counter::default();
    while counter.next < MESSAGES {
        let more = client.message(|message| counter.see(message.payload));
        more.expect("a client that reads is not closed");
    }
    sending.join().expect("all was sent");
    client.sync();
}

#[test]
fn a_publisher_that_feeds_itself_and_does_not_read_harms_only_itself() {
    let broker = start(Config {
        pending_bytes_max: MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut deaf = subscriber(Raw::join_narrow(addr), "self", "deaf");
    let mut frame = Vec::new();
    encode::publish(&mut frame, b"self", None, &[b'x'; 60 * KIB]);
    // It is not read while it is waited for, and closed when the wait is over.
    while deaf.stream.write_all(&frame).is_ok() {}
    until_nobody_listens(addr, "deaf");
    let reader = reader(addr, "other", 1000);
    Publisher::start(Raw::join(addr), "other", 1000).until_done();
    reader.join().expect("others are served").sync();
}

#[test]
fn what_a_held_publisher_sent_before_it_left_is_delivered() {
    let broker = start(config());
    let addr = broker.addr();
    let mut slow = subscriber(Raw::join_narrow(addr), "flow", "slow");
    let mut publisher = Raw::join(addr);
    let sent = publish_until_held(&mut publisher, "flow");
    publisher.half_close();
    let mut counter = Counter::default();
    while counter.next < sent {
        let more = slow.message(|message| counter.see(message.payload));
        more.expect("the receiver is not closed");
    }
    assert_eq!(publisher.count_to_the_end(), 0);
    slow.sync();
}

#[test]
fn a_held_publisher_that_vanishes_leaves_nothing_behind() {
    let broker = start(config());
    let addr = broker.addr();
    let mut slow = subscriber(Raw::join_narrow(addr), "flow", "slow");
    let mut publisher = Raw::join(addr);
    publisher.sub("held", None, "1");
    publisher.sync();
    let sent = publish_until_held(&mut publisher, "flow");
    publisher.vanish();
    let mut last = Raw::join(addr);
    last.publish("flow", b"last");
    // What had arrived of it comes in order, then what the next publisher says.
    let mut counter = Counter::default();
    loop {
        let ended = slow.message(|message| {
            let ended = message.payload == b"last";
            if !ended {
                counter.see(message.payload);
            }
            ended
        });
        if ended.expect("the receiver is not closed") {
            break;
        }
    }
    assert!(counter.next <= sent);
    until_nobody_listens(addr, "held");
    slow.sync();
    last.sync();
}

/// Publishes until the broker reads no more, maybe in the middle of a message; answers how many
/// were sent whole.
fn publish_until_held(publisher: &mut Raw, subject: &str) -> usize {
    const FRAMES: usize = 64;
    let timeout = publisher.stream.set_write_timeout(Some(HELD));
    timeout.expect("the socket is open");
    let mut chunk = Vec::new();
    let mut body = [0; PAYLOAD_BYTES];
    let mut sent = 0;
    loop {
        chunk.clear();
        for number in sent..sent + FRAMES {
            payload(number, &mut body);
            encode::publish(&mut chunk, subject.as_bytes(), None, &body);
        }
        let mut left = &chunk[..];
        while !left.is_empty() {
            match publisher.stream.write(left) {
                Ok(len) => left = &left[len..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    let frame_bytes = chunk.len() / FRAMES;
                    return sent + (chunk.len() - left.len()) / frame_bytes;
                }
                Err(error) => panic!("the broker has closed a publisher: {error}"),
            }
        }
        sent += FRAMES;
    }
}

#[test]
fn a_receiver_that_leaves_releases_those_who_wait_for_it() {
    const MESSAGES: usize = MESSAGES_MANY;
    let broker = start(config());
    let addr = broker.addr();
    for abruptly in [true, false] {
        let stalled = subscriber(Raw::join_narrow(addr), "flood", "stalled");
        let publisher = Publisher::start(Raw::join(addr), "flood", MESSAGES);
        publisher.until_held();
        let open = if abruptly {
            stalled.vanish();
            None
        } else {
            stalled.half_close();
            Some(stalled)
        };
        publisher.until_done();
        publisher.end().sync();
        until_nobody_listens(addr, "stalled");
        drop(open);
    }
}

#[test]
fn several_publishers_outrun_one_reader_and_all_go_on() {
    const MESSAGES: usize = 20_000;
    const PUBLISHERS: usize = 3;
    let broker = start(Config {
        pending_bytes_max: 2 * MIB,
        ..config()
    });
    let addr = broker.addr();
    let subjects = ["many.0", "many.1", "many.2"];
    let mut slow = subscriber(Raw::join_narrow(addr), "many.*", "slow");
    let publishers = subjects.map(|subject| Publisher::start(Raw::join(addr), subject, MESSAGES));
    let mut counters = [(); PUBLISHERS].map(|()| Counter::default());
    for _ in 0..PUBLISHERS * MESSAGES {
        let more = slow.message(|message| {
            let at = usize::from(message.subject[message.subject.len() - 1] - b'0');
            counters[at].see(message.payload);
        });
        more.expect("a reader that reads steadily is not closed");
    }
    for publisher in publishers {
        publisher.until_done();
        publisher.end().sync();
    }
    slow.sync();
}

#[test]
fn a_receiver_that_refills_its_own_queue_does_not_hold_its_publisher_for_good() {
    // Small, so that the mark is soon reached: what this client asks for is what fills its queue.
    let broker = start(Config {
        pending_bytes_max: 4 * MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut greedy = Raw::join_narrow(addr);
    greedy.sub("flow", None, "1");
    greedy.sync();
    // Questions without end, and no answer read: the broker must leave off reading them.
    let questions = b"PING\r\n".repeat(10_000);
    let timeout = greedy.stream.set_write_timeout(Some(HELD));
    timeout.expect("the socket is open");
    let error = loop {
        if let Err(error) = greedy.stream.write(&questions) {
            break error;
        }
    };
    let held = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(held, "it was closed and not held: {error}");
    // Whoever publishes to it goes on all the same: at the latest when it is given up.
    let mut publisher = Raw::join(addr);
    publisher.publish("flow", &[b'x'; KIB]);
    publisher.sync();
}

#[test]
fn many_publishers_of_large_messages_do_not_overrun_one_reader() {
    const PUBLISHERS: usize = 40;
    const PAYLOAD_BYTES: usize = MIB;
    // Half of the publishers' first messages together are more than the queue may hold.
    let broker = start(Config {
        pending_bytes_max: 20 * MIB,
        ..config()
    });
    let addr = broker.addr();
    let mut slow = subscriber(Raw::join_narrow(addr), "large", "slow");
    let threads: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Raw::join(addr);
                let payload = vec![b'x'; PAYLOAD_BYTES];
                for _ in 0..2 {
                    client.publish("large", &payload);
                }
                client.sync();
            })
        })
        .collect();
    for _ in 0..2 * PUBLISHERS {
        let whole = slow.message(|message| assert_eq!(message.payload.len(), PAYLOAD_BYTES));
        whole.expect("a reader that reads steadily is not closed");
    }
    for thread in threads {
        thread.join().expect("no publisher fails");
    }
    slow.sync();
}

#[test]
fn a_held_publisher_is_not_declared_stale() {
    const MESSAGES: usize = MESSAGES_MANY;
    /// What the reader takes at a time while it is slow: much less than what has to leave before
    /// the publisher is read again.
    const STEP_BYTES: usize = 256 * KIB;
    /// A second of waiting, many times what makes a silent client stale.
    const HELD_TIMES: usize = 20;
    let broker = start(Config {
        ping_interval: Duration::from_millis(100),
        ..config()
    });
    let addr = broker.addr();
    let mut slow = subscriber(Raw::join_narrow(addr), "flow", "slow");
    let mut client = Raw::join(addr);
    // It answers the first `PING`, as everyone does who is not held back yet.
    while client.line_or_ping().expect("it is not closed") != "PING" {
        // The reader is a client in good health, who answers before it is asked.
        slow.send(b"PONG\r\nPING\r\n");
    }
    client.send(encode::PONG);
    client.sync();
    let publisher = Publisher::start(client, "flow", MESSAGES);
    let mut counter = Counter::default();
    let mut held = 0;
    while held < HELD_TIMES {
        match publisher.now() {
            Some(Told::Held) => held += 1,
            Some(Told::Done) => panic!("it was held back {held} times only"),
            None => {}
        }
        slow.skim(STEP_BYTES, |message| counter.see(message.payload));
        slow.send(b"PONG\r\nPING\r\n");
    }
    while counter.next < MESSAGES {
        let left = (MESSAGES - counter.next) * PAYLOAD_BYTES;
        slow.skim(MIB.min(left), |message| counter.see(message.payload));
        slow.send(b"PONG\r\nPING\r\n");
    }
    // It would have been closed, and would not have heard the `PONG` to its last `PING`.
    publisher.end().leave();
}
