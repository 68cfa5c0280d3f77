//! A load that checks itself: millions of numbered messages, none lost, doubled, altered or out of
//! order, while other connections come and go.
//!
//! ```text
//! 4 publishers ──▶ load.0 .. load.3 ──┬─▶ literals    each subject by its name
//!                                     ├─▶ partial     load.*
//!                                     ├─▶ full        load.>
//!                                     └─▶ group       load.* for a queue group of four
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::raw::{Raw, config, start};
use midge_protocol::{Delivery, ServerOp, encode};

const PUBLISHERS: usize = 4;
const MEMBERS: usize = 4;
const MESSAGES: u64 = 1_000_000;

/// Most bytes of filling behind a message's number.
const FILLING_BYTES_MAX: usize = 48;

/// What payloads are filled with, from a place that depends on the message.
const FILLING: [u8; 256 + FILLING_BYTES_MAX] = {
    let mut filling = [0; 256 + FILLING_BYTES_MAX];
    let mut at = 0;
    while at < filling.len() {
        // CR LF among them.
        filling[at] = (at as u8).wrapping_mul(167).wrapping_add(13);
        at += 1;
    }
    filling
};

/// The filling of message `number` of a publisher: lengths and contents vary from one to the next.
fn filling(publisher: usize, number: u64) -> &'static [u8] {
    let seed = number as usize ^ (publisher << 5);
    let start = seed.wrapping_mul(31) % 256;
    &FILLING[start..start + seed % FILLING_BYTES_MAX]
}

fn subject(publisher: usize) -> String {
    format!("load.{publisher}")
}

/// Puts the payload of a message into `payload`: publisher, number, filling.
fn put_payload(payload: &mut Vec<u8>, publisher: usize, number: u64) {
    payload.clear();
    payload.push(publisher as u8);
    payload.extend_from_slice(&number.to_be_bytes());
    payload.extend_from_slice(filling(publisher, number));
}

/// What was wrong with what one subscriber, or one group of them, has received.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Faults {
    /// Never came.
    lost: u64,
    /// Came again.
    doubled: u64,
    /// Came after one that its publisher has sent later.
    reordered: u64,
    /// Nobody has sent it, or not like this, or not here.
    foreign: u64,
}

/// What one subscriber has received, checked as it comes.
#[derive(Clone, Debug)]
struct Checker {
    messages: u64,
    /// By publisher: a bit for each message that came.
    seen: Vec<Vec<u64>>,
    /// By publisher: the number after the highest that came.
    next: Vec<u64>,
    count: u64,
    bytes: u64,
    faults: Faults,
}

impl Checker {
    /// A checker of `messages` messages from each publisher.
    fn new(messages: u64) -> Checker {
        let words = messages.div_ceil(64) as usize;
        Checker {
            messages,
            seen: vec![vec![0; words]; PUBLISHERS],
            next: vec![0; PUBLISHERS],
            count: 0,
            bytes: 0,
            faults: Faults::default(),
        }
    }

    fn see(&mut self, subject: &[u8], payload: &[u8]) {
        self.count += 1;
        self.bytes += payload.len() as u64;
        let Some((publisher, number)) = self.read(subject, payload) else {
            self.faults.foreign += 1;
            return;
        };
        let word = &mut self.seen[publisher][number as usize / 64];
        let bit = 1 << (number % 64);
        if *word & bit != 0 {
            self.faults.doubled += 1;
            return;
        }
        *word |= bit;
        if number < self.next[publisher] {
            self.faults.reordered += 1;
        } else {
            self.next[publisher] = number + 1;
        }
    }

    /// Whose message it is and which; `None` if nobody has sent such a message to such a subject.
    fn read(&self, subject: &[u8], payload: &[u8]) -> Option<(usize, u64)> {
        let (&publisher, rest) = payload.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (publisher, number) = (usize::from(publisher), u64::from_be_bytes(*number));
        let right = publisher < PUBLISHERS
            && number < self.messages
            && subject.strip_prefix(b"load.") == Some(&[b'0' + publisher as u8])
            && rest == filling(publisher, number);
        right.then_some((publisher, number))
    }

    /// The faults of a group of subscribers that were to get each message once among them; of one
    /// subscriber that was to get all, if there is only one.
    fn verdict(members: &[Checker]) -> Faults {
        let mut faults = Faults::default();
        for member in members {
            faults.doubled += member.faults.doubled;
            faults.reordered += member.faults.reordered;
            faults.foreign += member.faults.foreign;
        }
        let messages = members[0].messages;
        for publisher in 0..PUBLISHERS {
            let (mut all, mut times) = (0, 0);
            for word in 0..members[0].seen[publisher].len() {
                let words = members.iter().map(|member| member.seen[publisher][word]);
                times += words.clone().map(u64::count_ones).sum::<u32>() as u64;
                all += u64::from(words.fold(0, |all, word| all | word).count_ones());
            }
            faults.lost += messages - all;
            faults.doubled += times - all;
        }
        faults
    }
}

/// Reads until the message that says that the load is over.
fn check(mut client: Raw) -> (Checker, Raw) {
    let mut checker = Checker::new(MESSAGES);
    loop {
        let over = client.message(|message: &Delivery<'_>| {
            let over = message.subject == b"over";
            if !over {
                checker.see(message.subject, message.payload);
            }
            over
        });
        if over.expect("a subscriber that reads is not closed") {
            return (checker, client);
        }
    }
}

fn publish(mut client: Raw, publisher: usize) -> Raw {
    let subject = subject(publisher);
    let mut chunk = Vec::new();
    let mut payload = Vec::new();
    for number in 0..MESSAGES {
        put_payload(&mut payload, publisher, number);
        encode::publish(&mut chunk, subject.as_bytes(), None, &payload);
        // Each chunk ends somewhere else in the broker's reads.
        if chunk.len() >= 30_000 + number as usize % 1000 {
            client.send(&chunk);
            chunk.clear();
        }
    }
    client.send(&chunk);
    client.sync();
    client
}

/// Small random numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Connections that subscribe to what the others do, read a little and go, until it is `over`.
/// Answers how many there were.
fn come_and_go(addr: SocketAddr, seed: u64, over: &AtomicBool) -> u64 {
    let mut random = Random(seed);
    let mut connections = 0;
    while !over.load(Ordering::Relaxed) {
        connections += 1;
        let mut client = Raw::join(addr);
        client.sub(
            &subject(random.below(PUBLISHERS as u64) as usize),
            None,
            "1",
        );
        client.sub("load.*", Some("passers-by"), "2");
        client.sub("load.>", None, "3");
        client.sub("go.home", None, "4");
        client.sync();
        // It may also leave before anything has come.
        for _ in 0..random.below(300) {
            if over.load(Ordering::Relaxed) {
                break;
            }
            client.next(|op| {
                if let ServerOp::Err { text } = op {
                    panic!("-ERR {}", String::from_utf8_lossy(text));
                }
            });
        }
        match random.below(4) {
            0 => client.vanish(),
            1 => drop(client),
            2 => client.leave(),
            _ => {
                client.send(b"UNSUB 1\r\nUNSUB 2\r\nUNSUB 3\r\nUNSUB 4\r\n");
                client.sync();
                // Nothing comes after the answer that follows `UNSUB`.
                assert_eq!(client.sync_counting().ok(), Some(0), "seed {seed}");
                client.leave();
            }
        }
    }
    connections
}

#[test]
fn millions_of_messages_arrive_each_once_and_in_order_while_others_come_and_go() {
    let begun = Instant::now();
    let broker = start(config());
    let addr = broker.addr();
    let join = |subjects: &[String], queue| {
        let mut client = Raw::join(addr);
        for (sid, subject) in subjects.iter().enumerate() {
            client.sub(subject, queue, &sid.to_string());
        }
        client.sub("over", None, "over");
        client.sync();
        thread::spawn(move || check(client))
    };
    let each: Vec<String> = (0..PUBLISHERS).map(subject).collect();
    let one = |subject: &str| [subject.to_owned()];
    let subscribers = [
        ("literals", vec![join(&each, None)]),
        ("partial", vec![join(&one("load.*"), None)]),
        ("full", vec![join(&one("load.>"), None)]),
        (
            "group",
            [(); MEMBERS]
                .map(|()| join(&one("load.*"), Some("group")))
                .into(),
        ),
    ];

    let over = AtomicBool::new(false);
    let passers_by: u64 = thread::scope(|scope| {
        let over = &over;
        let comers = [1, 2, 3, 4].map(|seed| scope.spawn(move || come_and_go(addr, seed, over)));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let client = Raw::join(addr);
                scope.spawn(move || publish(client, publisher))
            })
            .collect();
        for publisher in publishers {
            let client = publisher.join().expect("a publisher is not closed");
            client.leave();
        }
        over.store(true, Ordering::Relaxed);
        let mut last = Raw::join(addr);
        last.publish("go.home", b"");
        last.publish("over", b"");
        last.sync();
        let ended = comers.map(|comer| comer.join().expect("nobody is cut for coming and going"));
        ended.iter().sum()
    });

    let (mut deliveries, mut bytes) = (0, 0);
    for (name, threads) in subscribers {
        let received: Vec<_> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .expect("a subscriber that reads is not closed")
            })
            .collect();
        let checkers: Vec<_> = received
            .iter()
            .map(|(checker, _)| checker.clone())
            .collect();
        assert_eq!(Checker::verdict(&checkers), Faults::default(), "{name}");
        for checker in &checkers {
            deliveries += checker.count;
            bytes += checker.bytes;
            assert!(checker.count > 0, "a member of {name} has received nothing");
        }
        for (_, client) in received {
            client.leave();
        }
    }
    broker.shutdown().expect("the broker ends well");
    let published = PUBLISHERS as u64 * MESSAGES;
    assert_eq!(deliveries, 4 * published);
    println!(
        "{published} messages published, {deliveries} delivered with {bytes} bytes of payload, \
         {passers_by} connections came and went, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

/// The checker itself: what it must find, it finds.
mod checker {
    use super::*;

    const FEW: u64 = 100;

    /// What a subscriber gets from a broker without faults.
    fn all() -> Vec<(usize, u64)> {
        let numbers = 0..FEW;
        numbers
            .flat_map(|number| (0..PUBLISHERS).map(move |publisher| (publisher, number)))
            .collect()
    }

    fn checked(messages: impl IntoIterator<Item = (usize, u64)>) -> Checker {
        let mut checker = Checker::new(FEW);
        let mut payload = Vec::new();
        for (publisher, number) in messages {
            put_payload(&mut payload, publisher, number);
            checker.see(subject(publisher).as_bytes(), &payload);
        }
        checker
    }

    fn faults_of(messages: impl IntoIterator<Item = (usize, u64)>) -> Faults {
        Checker::verdict(&[checked(messages)])
    }

    #[test]
    fn finds_nothing_wrong_with_what_is_right() {
        assert_eq!(faults_of(all()), Faults::default());
        // Between publishers there is no order.
        let mut by_publisher = all();
        by_publisher.sort_unstable();
        assert_eq!(faults_of(by_publisher), Faults::default());
    }

    #[test]
    fn finds_what_was_lost() {
        for at in [0, 17, all().len() - 1] {
            let mut messages = all();
            messages.remove(at);
            let lost = Faults {
                lost: 1,
                ..Faults::default()
            };
            assert_eq!(faults_of(messages), lost, "without message {at}");
        }
    }

    #[test]
    fn finds_what_came_twice() {
        for again in [17, 18, all().len()] {
            let mut messages = all();
            messages.insert(again, messages[17]);
            let doubled = Faults {
                doubled: 1,
                ..Faults::default()
            };
            assert_eq!(faults_of(messages), doubled, "again at {again}");
        }
    }

    #[test]
    fn finds_what_came_too_late() {
        let mut messages = all();
        let early = messages.remove(20);
        messages.insert(20 + 2 * PUBLISHERS, early);
        let reordered = Faults {
            reordered: 1,
            ..Faults::default()
        };
        assert_eq!(faults_of(messages), reordered);
    }

    #[test]
    fn finds_what_nobody_has_sent() {
        let mut payload = Vec::new();
        put_payload(&mut payload, 1, 7);
        let mut altered = payload.clone();
        *altered.last_mut().expect("it has filling") ^= 1;
        let mut short = payload.clone();
        short.pop();
        let long = [&payload[..], b"x"].concat();
        let mut beyond = Vec::new();
        put_payload(&mut beyond, 1, FEW);
        let mut stranger = Vec::new();
        put_payload(&mut stranger, PUBLISHERS, 7);
        let wrong: [(&[u8], &[u8]); 8] = [
            (b"load.1", &altered),
            (b"load.1", &short),
            (b"load.1", &long),
            (b"load.1", &beyond),
            (b"load.4", &stranger),
            (b"load.1", b""),
            (b"load.2", &payload),
            (b"load", &payload),
        ];
        for (subject, payload) in wrong {
            let mut checker = checked(all());
            checker.see(subject, payload);
            let foreign = Faults {
                foreign: 1,
                ..Faults::default()
            };
            assert_eq!(Checker::verdict(&[checker]), foreign, "{payload:?}");
        }
    }

    #[test]
    fn a_group_shares_without_gaps_and_without_doubles() {
        let of = |member: usize| {
            let taken = all().into_iter().enumerate();
            taken
                .filter(move |(at, _)| at % MEMBERS == member)
                .map(|(_, message)| message)
        };
        let group: Vec<_> = (0..MEMBERS).map(|member| checked(of(member))).collect();
        assert_eq!(Checker::verdict(&group), Faults::default());

        let without_one = &group[1..];
        assert_eq!(Checker::verdict(without_one).lost, all().len() as u64 / 4);

        let mut twice = group.clone();
        // Member 1 gets one that member 0 has had: in order for itself, double for the group.
        twice[1] = checked(of(1).chain([all()[all().len() - MEMBERS]]));
        assert_eq!(Checker::verdict(&twice).doubled, 1);
    }
}
