use super::super::{Published, Publisher, Tally, publish};
use super::*;
use crate::core::Core;
use crate::core::filter::Filter;
use crate::core::outbox::fake::FakeOutbox;
use crate::core::receiver::{Kind, Traffic};
use crate::core::replies::Bounds;
use crate::core::sublist::ReceiverId;
use midge_protocol::{ClientOp, Parser, Rules, Run, Step, Subjects};
use midge_reactor::Key;
use std::sync::Arc;

const ALL: Quota = Quota {
    messages: usize::MAX,
    work: 1_000_000,
    bytes: 1_000_000,
};

/// What may be out of the ordinary, beside two ordinary subscribers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Odd {
    /// The publisher has subscribed too and wants no echo.
    Mute,
    /// Someone has subscribed under a long name.
    LongSid,
    /// Someone has reached its bound, or is closed.
    Closed,
    /// Someone's queue is about to reach its mark.
    NearlyFull,
    /// Someone takes nothing and is not waited for.
    Stalled,
    /// Someone has subscribed twice.
    Twice,
    /// Someone's subscription ends after two messages.
    Ends,
    /// Someone takes no headers.
    NoHeaders,
    /// There is a queue group.
    Queue,
    /// Someone does not get all that it has subscribed to, and of someone it is noted what it may respond to.
    Guarded,
    /// Someone has gone, and what it was subscribed to is not removed yet.
    Gone,
    /// Likewise, and it was in the queue group too.
    GoneMember,
}

const ODD: [Odd; 12] = [
    Odd::Mute,
    Odd::LongSid,
    Odd::Closed,
    Odd::NearlyFull,
    Odd::Stalled,
    Odd::Twice,
    Odd::Ends,
    Odd::NoHeaders,
    Odd::Queue,
    Odd::Guarded,
    Odd::Gone,
    Odd::GoneMember,
];

struct World {
    core: Core,
    tally: Tally,
    out: FakeOutbox,
    publisher: ReceiverId,
    keys: Vec<Key>,
    /// Messages that did not come one by one.
    together: usize,
}

impl World {
    fn with(odd: &[Odd]) -> World {
        let mut core = Core::new(usize::MAX);
        let global = core.accounts.global();
        core.accounts[global].random = Random::seeded(43);
        let mut world = World {
            core,
            tally: Tally::default(),
            out: FakeOutbox::default(),
            publisher: ReceiverId(0),
            keys: Vec::new(),
            together: 0,
        };
        world.publisher = world.client(true, false);
        for sid in ["1", "2"] {
            let client = world.client(true, true);
            world.subscribe(client, None, sid);
        }
        for odd in odd {
            world.add(*odd);
        }
        world
    }

    fn add(&mut self, odd: Odd) {
        let client = match odd {
            Odd::Mute => self.publisher,
            _ => self.client(odd != Odd::NoHeaders, true),
        };
        let key = self.core.receiver(client).key;
        match odd {
            Odd::LongSid => self.subscribe(client, None, &"sid".repeat(10)),
            Odd::Queue | Odd::GoneMember => self.subscribe(client, Some("q"), "1"),
            _ => self.subscribe(client, None, "1"),
        }
        match odd {
            Odd::Closed => _ = self.out.closed.insert(key),
            Odd::NearlyFull => _ = self.out.nearly_full.insert(key),
            Odd::Stalled => {
                self.out.congested.insert(key);
                self.out.stalled.insert(key);
            }
            Odd::Queue => {
                for sid in ["2", "3"] {
                    let other = self.client(true, true);
                    self.subscribe(other, Some("q"), sid);
                }
            }
            Odd::Twice => self.subscribe(client, None, "2"),
            Odd::Guarded => self.guard(client),
            Odd::GoneMember => {
                let other = self.client(true, true);
                self.subscribe(other, Some("q"), "2");
                self.leave(client);
            }
            Odd::Gone => {
                self.subscribe(client, None, "2");
                self.leave(client);
            }
            Odd::Ends => {
                let id = self.core.subscription_of(client, b"1").expect("subscribed");
                self.core
                    .global_sublist_mut()
                    .subscription_mut(id)
                    .end_after(2);
            }
            _ => {}
        }
    }

    /// Some of what `client` has subscribed to is kept from it.
    fn guard(&mut self, client: ReceiverId) {
        let denied = Arc::new(Subjects::new(["a.b"]));
        let id = self.core.subscription_of(client, b"1").expect("subscribed");
        self.core
            .filter(client, id, Filter::of([denied].into_iter()));
        let bounds = Bounds {
            max: Some(1),
            expires: None,
        };
        let responder = self.client(true, true);
        self.subscribe(responder, None, "1");
        self.core.bound_replies(responder, Some(bounds));
    }

    /// It has more subscriptions than are removed at once.
    fn leave(&mut self, client: ReceiverId) {
        for sid in 3..800 {
            let sid = sid.to_string();
            self.core.subscribe(client, b"b.b", None, sid.as_bytes());
        }
        self.core.leave(client);
        let one = self.core.receiver(client);
        assert!(one.is_clearing && one.key == Key::NONE);
    }

    fn client(&mut self, headers: bool, echo: bool) -> ReceiverId {
        let cid = self.core.receivers.len() as u64 + 1;
        let key = Key::new(usize::try_from(cid).expect("few"), 1);
        let id = self.core.join(
            self.core.accounts.global(),
            key,
            ([127, 0, 0, 1], 1).into(),
            cid,
        );
        self.core
            .receiver_mut(id)
            .set_kind(Kind::Client { headers, echo });
        self.keys.push(key);
        id
    }

    fn subscribe(&mut self, id: ReceiverId, queue: Option<&str>, sid: &str) {
        let queue = queue.map(str::as_bytes);
        self.core.subscribe(id, b"a.*", queue, sid.as_bytes());
    }

    /// Publishes all that stands in `input`, up to `count_max` at once.
    fn publish(&mut self, input: &[u8], count_max: usize, quota: Quota) {
        let rules = Rules {
            headers: true,
            pedantic: false,
            ..Rules::default()
        };
        let (mut parser, mut publisher, mut rest) = (Parser::default(), self.one(), input);
        while !rest.is_empty() {
            let Some(mut run) = parser.next_run(rest, &rules, count_max) else {
                let Ok(Step::Op { op, len }) = parser.next_of_any(rest, &rules) else {
                    break;
                };
                if let ClientOp::Publish(message) = op {
                    let count = self.publish_run(&mut publisher, &Run::from(message), quota);
                    assert_eq!(count, 1);
                }
                rest = &rest[len..];
                continue;
            };
            rest = &rest[run.bytes()..];
            loop {
                let count = self.publish_run(&mut publisher, &run, quota);
                self.together += if count > 1 { count } else { 0 };
                if !run.advance(count) {
                    break;
                }
            }
        }
    }

    fn one(&self) -> Publisher {
        Publisher::new(self.core.receiver(self.publisher).origin(self.publisher))
    }

    fn publish_run(&mut self, publisher: &mut Publisher, run: &Run<'_>, quota: Quota) -> usize {
        let (core, tally, out) = (&mut self.core, &mut self.tally, &mut self.out);
        match publish(core, publisher, run, quota, tally, |_| {}, out) {
            Published::Taken { messages, .. } => messages,
            published => panic!("{published:?}"),
        }
    }

    /// All that anyone can see of it.
    fn outcome(&mut self) -> impl PartialEq + std::fmt::Debug + use<> {
        let queues: Vec<String> = self.keys.iter().map(|key| self.out.take(*key)).collect();
        let (received, taken) = self.tally.traffic();
        let sent: Vec<Traffic> = self.core.receivers.iter().map(|(_, to)| to.sent).collect();
        let len = self.core.global_sublist().len();
        let ids = (0..self.keys.len() as u32).map(ReceiverId);
        let may_respond: Vec<bool> = ids.map(|id| self.core.may_respond(id, b"reply")).collect();
        (queues, received, taken, sent, len, may_respond)
    }
}

/// Some messages of each kind, and something behind them.
fn input() -> Vec<u8> {
    let long = format!("PUB a.{} 2\r\nhi\r\n", "l".repeat(80));
    let frames = [
        "PUB a.b 2\r\nhi\r\n",
        "PUB a.b reply 2\r\nho\r\n",
        "HPUB a.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        "PUB b 2\r\nno\r\n",
        "PUB  a.b 2\r\nhi\r\n",
        &long,
    ];
    let frames: String = frames.iter().map(|frame| frame.repeat(7)).collect();
    [frames.as_bytes(), &[b'.'; 100]].concat()
}

#[test]
fn together_comes_to_the_same_as_one_by_one() {
    let input = input();
    for odd in 0..1 << ODD.len() {
        let odd: Vec<Odd> = (0..ODD.len())
            .filter(|bit| odd >> bit & 1 == 1)
            .map(|bit| ODD[bit])
            .collect();
        let (mut together, mut one_by_one) = (World::with(&odd), World::with(&odd));
        together.publish(&input, 100, ALL);
        one_by_one.publish(&input, 1, ALL);
        assert_eq!(together.outcome(), one_by_one.outcome(), "{odd:?}");
    }
}

#[test]
fn only_who_makes_a_difference_is_a_reason_to_go_one_by_one() {
    // Of seven messages the first is new. Six stay for each of two kinds without header, one with
    // header and one that reaches no subscription; neither two blanks nor a long subject are taken together.
    for (odd, expected) in [
        (None, 24),
        (Some(Odd::Mute), 24),
        (Some(Odd::LongSid), 24),
        (Some(Odd::Closed), 6),
        (Some(Odd::NearlyFull), 6),
        (Some(Odd::Stalled), 24),
        (Some(Odd::Gone), 24),
        (Some(Odd::GoneMember), 6),
        (Some(Odd::Twice), 6),
        // The second message is its last, and must be seen to be.
        (Some(Odd::Ends), 24 - 1),
        (Some(Odd::NoHeaders), 24 - 6),
        (Some(Odd::Queue), 24),
        (Some(Odd::Guarded), 24),
    ] {
        let mut world = World::with(odd.as_slice());
        world.publish(&input(), 100, ALL);
        assert_eq!(world.together, expected, "{odd:?}");
    }
}

#[test]
fn no_more_is_done_than_is_allowed() {
    let input = ["PUB a.b 2\r\nhi\r\n".repeat(50).as_bytes(), &[b'.'; 100]].concat();
    for (work, bytes, most) in [
        (0, 0, 1),
        (9, 1_000_000, 2),
        (1_000_000, 200, 5),
        (1_000_000, 0, 1),
    ] {
        let mut world = World::with(&[]);
        let (mut parser, mut publisher) = (Parser::default(), world.one());
        let rules = Rules::default();
        let first = parser.next_run(&input, &rules, 100).expect("it is plain");
        assert_eq!(world.publish_run(&mut publisher, &first, ALL), 1);
        let run = parser
            .next_run(&input[first.bytes()..], &rules, 100)
            .expect("it is plain");
        let quota = Quota {
            messages: usize::MAX,
            work,
            bytes,
        };
        let count = world.publish_run(&mut publisher, &run, quota);
        assert_eq!(count, most, "{quota:?}");
    }
}
