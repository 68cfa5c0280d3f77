//! A message costs no allocation once the broker is warm.
//!
//! The broker runs on the thread of the test, where a counting allocator counts, and the clients on
//! another, where it does not. Few messages and many are compared: what starting, connecting and
//! warming cost falls out.

use std::net::SocketAddr;
use std::thread;

use crate::raw::{QUIET, Raw, config};
use midge::{Broker, Config, Mapping, Stop};
use midge_protocol::{ServerOp, encode};

const FEW: usize = 2_000;
const MANY: usize = 202_000;

/// Messages on their way at once: so few that a batch is one read, so many that buffers are used.
const BATCH: usize = 100;

/// Allocations that the further messages may cost altogether. Not zero, because now and then the
/// kernel cuts a batch in two, and the piece that waits for the rest gets a buffer for it.
const SPARE: u64 = 100;

/// Allocations of a broker from its start to its end while `clients` do their work.
fn allocations(clients: impl FnOnce(SocketAddr) + Send) -> u64 {
    allocations_with(config(), clients)
}

fn allocations_with(config: Config, clients: impl FnOnce(SocketAddr) + Send) -> u64 {
    let broker = Broker::bind(config).expect("a broker starts on a free port");
    let (addr, handle) = (broker.addr(), broker.handle());
    thread::scope(|scope| {
        let clients = scope.spawn(move || {
            // The broker ends in any case, so that a client that panics fails the test.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clients(addr)));
            handle.shutdown();
            outcome
        });
        let info = allocation_counter::measure(|| {
            assert_eq!(broker.run().expect("the broker ends well"), Stop::Requested);
        });
        if let Err(panic) = clients.join().expect("panics are caught above") {
            std::panic::resume_unwind(panic);
        }
        info.count_total
    })
}

/// That `work`, told how many messages to send, allocates no more for many than for few.
#[track_caller]
fn check(work: impl Fn(SocketAddr, usize) + Sync) {
    check_with(config, work);
}

#[track_caller]
fn check_with(config: impl Fn() -> Config, work: impl Fn(SocketAddr, usize) + Sync) {
    let few = allocations_with(config(), |addr| work(addr, FEW));
    let many = allocations_with(config(), |addr| work(addr, MANY));
    let more = MANY - FEW;
    println!("{few} allocations for {FEW} messages, {many} for {MANY}");
    assert!(
        many <= few + SPARE,
        "{} allocations for {more} more messages",
        many - few
    );
}

/// Sends `count` copies of `frame` in batches; each batch is answered, and has been received by
/// `receivers` (`each` messages for each frame), before the next.
fn exchange(sender: &mut Raw, receivers: &mut [Raw], frame: &[u8], count: usize, each: usize) {
    let batch = frame.repeat(BATCH);
    for _ in 0..count / BATCH {
        sender.send(&batch);
        sender.sync();
        for receiver in &mut *receivers {
            for _ in 0..BATCH * each {
                receiver.message(|_| ()).expect("it is not closed");
            }
        }
    }
}

fn frame(subject: &str, reply: Option<&str>) -> Vec<u8> {
    let mut frame = Vec::new();
    encode::publish(
        &mut frame,
        subject.as_bytes(),
        reply.map(str::as_bytes),
        b"sixteen bytes...",
    );
    frame
}

fn frame_with_header(subject: &str) -> Vec<u8> {
    let header = b"NATS/1.0\r\nKey: value\r\n\r\n";
    let mut frame = Vec::new();
    encode::hpublish(&mut frame, subject.as_bytes(), None, header, b"payload");
    frame
}

const HEADERS: &str = r#"{"verbose":false,"pedantic":false,"headers":true}"#;

/// `count` clients with the given `CONNECT` that have subscribed to `subject`.
fn subscribers(
    addr: SocketAddr,
    json: &str,
    subject: &str,
    queue: Option<&str>,
    count: usize,
) -> Vec<Raw> {
    let subscriber = |_| {
        let mut client = Raw::join_with(addr, json);
        client.sub(subject, queue, "1");
        client.sync();
        client
    };
    (0..count).map(subscriber).collect()
}

#[test]
fn publishing_to_nobody_allocates_nothing() {
    check(|addr, count| {
        let mut publisher = Raw::join(addr);
        exchange(&mut publisher, &mut [], &frame("a.b", None), count, 0);
    });
}

#[test]
fn one_to_one_allocates_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, QUIET, "a.b", None, 1);
        let mut publisher = Raw::join(addr);
        let frame = frame("a.b", None);
        exchange(&mut publisher, &mut receivers, &frame, count, 1);
    });
}

#[test]
fn mapped_messages_allocate_nothing() {
    let check = |source: &str, destination: &str| {
        let mapped = || Config {
            mappings: vec![Mapping::to(source, destination).expect("it is right")],
            ..config()
        };
        check_with(mapped, |addr, count| {
            let mut receivers = subscribers(addr, QUIET, "x.b", None, 1);
            let mut publisher = Raw::join(addr);
            let frame = frame("a.b", None);
            exchange(&mut publisher, &mut receivers, &frame, count, 1);
        });
    };
    check("a.b", "x.b");
    check("a.*", "x.{{splitFromLeft(1,5)}}");
}

#[test]
fn one_to_eight_allocates_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, QUIET, "a.b", None, 8);
        let mut publisher = Raw::join(addr);
        let frame = frame("a.b", None);
        exchange(&mut publisher, &mut receivers, &frame, count, 1);
    });
}

#[test]
fn wildcards_allocate_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, QUIET, "a.*", None, 1);
        receivers[0].sub("a.>", None, "2");
        receivers[0].sub("*.b", None, "3");
        receivers[0].sync();
        let mut publisher = Raw::join(addr);
        let frame = frame("a.b", None);
        exchange(&mut publisher, &mut receivers, &frame, count, 3);
    });
}

#[test]
fn queue_groups_allocate_nothing() {
    check(|addr, count| {
        // Both members of each group on one connection, so that it gets every message.
        let mut receivers = subscribers(addr, QUIET, "a.b", Some("one"), 1);
        for (subject, queue, sid) in [
            ("a.b", "one", "2"),
            ("a.b", "two", "3"),
            ("a.*", "two", "4"),
        ] {
            receivers[0].sub(subject, Some(queue), sid);
        }
        receivers[0].sync();
        let mut publisher = Raw::join(addr);
        let frame = frame("a.b", None);
        exchange(&mut publisher, &mut receivers, &frame, count, 2);
    });
}

#[test]
fn request_and_reply_allocate_nothing() {
    check(|addr, count| {
        let mut responder = subscribers(addr, QUIET, "service", None, 1).remove(0);
        let json = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
        let mut requester = subscribers(addr, json, "inbox.*", None, 1).remove(0);
        let request = frame("service", Some("inbox.7")).repeat(BATCH);
        let answer = frame("inbox.7", None).repeat(BATCH);
        for _ in 0..count / BATCH {
            requester.send(&request);
            for _ in 0..BATCH {
                let reply = responder.message(|message| message.reply == Some(b"inbox.7"));
                assert_eq!(reply, Some(true));
            }
            responder.send(&answer);
            for _ in 0..BATCH {
                requester.message(|_| ()).expect("it is not closed");
            }
        }
    });
}

#[test]
fn headers_allocate_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, HEADERS, "a.b", None, 1);
        let mut publisher = Raw::join_with(addr, HEADERS);
        let frame = frame_with_header("a.b");
        exchange(&mut publisher, &mut receivers, &frame, count, 1);
    });
}

#[test]
fn stripping_headers_allocates_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, QUIET, "a.b", None, 1);
        let mut publisher = Raw::join_with(addr, HEADERS);
        let frame = frame_with_header("a.b");
        exchange(&mut publisher, &mut receivers, &frame, count, 1);
    });
}

#[test]
fn unusual_spelling_allocates_nothing() {
    check(|addr, count| {
        let mut receivers = subscribers(addr, QUIET, "a.b", None, 1);
        let mut publisher = Raw::join(addr);
        let frame = b"pub\ta.b  reply\t005 \nhello\r\n";
        exchange(&mut publisher, &mut receivers, frame, count, 1);
    });
}

#[test]
fn verbose_answers_allocate_nothing() {
    check(|addr, count| {
        let mut publisher = Raw::join_with(addr, r#"{"verbose":true,"pedantic":true}"#);
        exchange(&mut publisher, &mut [], &frame("a.b", None), count, 0);
    });
}

#[test]
fn pings_allocate_nothing() {
    check(|addr, count| {
        let mut client = Raw::join(addr);
        let batch = encode::PING.repeat(BATCH);
        for _ in 0..count / BATCH {
            client.send(&batch);
            let mut left = BATCH;
            while left > 0 {
                let pong = client.next(|op| matches!(op, ServerOp::Pong));
                left -= usize::from(pong.expect("it is not closed"));
            }
        }
    });
}

#[test]
fn subscribing_and_leaving_allocates_nothing() {
    check(|addr, count| subscribe_and_leave(addr, count, "a.b"));
}

/// The control: a long subject has to be remembered, and the counter sees it.
#[test]
fn a_long_subject_allocates_and_is_counted() {
    let subject = "a".repeat(100);
    let few = allocations(|addr| subscribe_and_leave(addr, FEW, &subject));
    let many = allocations(|addr| subscribe_and_leave(addr, 10 * FEW, &subject));
    // What begins only once differs by one or two.
    assert!(many - few > 8 * FEW as u64, "{few}, then {many}");
}

fn subscribe_and_leave(addr: SocketAddr, count: usize, subject: &str) {
    let mut client = Raw::join(addr);
    let batch = format!("SUB {subject} 1\r\nUNSUB 1\r\n").repeat(BATCH);
    for _ in 0..count / BATCH {
        client.send(batch.as_bytes());
        client.sync();
    }
}
