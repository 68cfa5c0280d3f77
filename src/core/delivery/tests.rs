use super::*;
use crate::core::filter::Filter;
use crate::core::origin::Role;
use crate::core::outbox::fake::FakeOutbox;
use crate::core::random::Random;
use crate::core::receiver::Kind;
use crate::core::sublist::ReceiverId;
use midge_protocol::{ClientOp, Parser, Rules, Step, Subjects};
use std::sync::Arc;

mod across_tests;
mod fanout_tests;

/// A broker without sockets: clients are numbers, queues are vectors.
struct Bench {
    core: Core,
    tally: Tally,
    out: FakeOutbox,
}

impl Bench {
    fn new() -> Bench {
        let mut core = Core::new(usize::MAX);
        core.seed(43);
        Bench {
            core,
            tally: Tally::default(),
            out: FakeOutbox::default(),
        }
    }

    fn client(&mut self, headers: bool, echo: bool) -> ReceiverId {
        let cid = self.core.receivers.len() as u64 + 1;
        let key = Key::new(usize::try_from(cid).expect("few"), 1);
        let peer = ([127, 0, 0, 1], 1).into();
        let id = self.core.join(self.core.accounts.global(), key, peer, cid);
        self.core
            .receiver_mut(id)
            .set_kind(Kind::Client { headers, echo });
        id
    }

    fn subscribe(&mut self, id: ReceiverId, subject: &str, queue: Option<&str>, sid: &str) {
        let queue = queue.map(str::as_bytes);
        self.core
            .subscribe(id, subject.as_bytes(), queue, sid.as_bytes());
    }

    fn key(&self, id: ReceiverId) -> Key {
        self.core.receiver(id).key
    }

    fn got(&mut self, id: ReceiverId) -> String {
        let key = self.key(id);
        self.out.take(key)
    }

    fn publisher(&self, id: ReceiverId) -> Publisher {
        Publisher::new(self.core.receiver(id).origin(id))
    }

    /// Publishes a message by itself; it may have begun then.
    fn begin(&mut self, publisher: &mut Publisher, message: &Publish<'_>) -> Published {
        let run = Run::from(*message);
        let (core, tally, out) = (&mut self.core, &mut self.tally, &mut self.out);
        publish(core, publisher, &run, ALL, tally, |_| {}, out)
    }

    /// Goes on with one that has begun.
    fn go_on(
        &mut self,
        publisher: &mut Publisher,
        message: &Publish<'_>,
        quota: Quota,
    ) -> Published {
        let (core, tally, out) = (&mut self.core, &mut self.tally, &mut self.out);
        publisher.go_on(core, message, quota, tally, out)
    }

    /// Publishes a frame as it stands on the wire.
    fn try_to_publish(&mut self, from: ReceiverId, frame: &str) -> Published {
        let message = message(frame);
        let mut publisher = self.publisher(from);
        match self.begin(&mut publisher, &message) {
            Published::InPieces => self.go_on(&mut publisher, &message, ALL),
            published => published,
        }
    }

    fn publish(&mut self, from: ReceiverId, frame: &str) -> usize {
        match self.try_to_publish(from, frame) {
            Published::Taken { copies, .. } => copies,
            other => panic!("{frame:?}: {other:?}"),
        }
    }

    /// Makes one queue group or many plain subscriptions too much for one piece.
    fn crowd(&mut self, subject: &str, queue: Option<&str>) -> Vec<ReceiverId> {
        (0..=PIECE_SUBSCRIPTIONS_MAX)
            .map(|_| {
                let id = self.client(false, true);
                self.subscribe(id, subject, queue, "1");
                id
            })
            .collect()
    }
}

const ALL: Quota = Quota {
    messages: 1,
    work: usize::MAX,
    bytes: usize::MAX,
};

/// What is said of a single message in this number of copies.
fn taken(copies: usize) -> Published {
    Published::Taken {
        messages: 1,
        copies,
    }
}

fn message(frame: &str) -> Publish<'_> {
    let rules = Rules {
        control_line_bytes_max: 1 << 20,
        headers: true,
        pedantic: false,
        ..Rules::default()
    };
    match Parser::default().next(frame.as_bytes(), &rules) {
        Ok(Step::Op {
            op: ClientOp::Publish(message),
            ..
        }) => message,
        step => panic!("{frame:?} is not one whole publish: {step:?}"),
    }
}

/// Keeps `subject` from what a client has subscribed to under the sid 1.
fn deny(bench: &mut Bench, client: ReceiverId, subject: &str) {
    let denied = Arc::new(Subjects::new([subject]));
    let id = bench.core.subscription_of(client, b"1");
    let filter = Filter::of([denied].into_iter());
    bench
        .core
        .filter(client, id.expect("it is subscribed"), filter);
}

#[test]
fn what_is_kept_from_a_subscription_is_not_delivered_and_not_waited_for() {
    let mut bench = Bench::new();
    let [publisher, subscriber] = [(); 2].map(|()| bench.client(true, true));
    bench.subscribe(subscriber, "a.*", None, "1");
    deny(&mut bench, subscriber, "a.no");
    assert_eq!(bench.publish(publisher, "PUB a.no 0\r\n\r\n"), 0);
    assert_eq!(bench.publish(publisher, "PUB a.b 0\r\n\r\n"), 1);
    assert_eq!(bench.got(subscriber), "MSG a.b 1 0\r\n\r\n");
    let key = bench.key(subscriber);
    bench.out.congested.insert(key);
    assert_eq!(
        bench.try_to_publish(publisher, "PUB a.no 0\r\n\r\n"),
        taken(0)
    );
    assert_eq!(
        bench.try_to_publish(publisher, "PUB a.b 0\r\n\r\n"),
        Published::WaitFor(key)
    );
    // One that ends leaves no filter to the next with its number.
    bench.out.congested.clear();
    let id = bench
        .core
        .subscription_of(subscriber, b"1")
        .expect("it is there");
    bench.core.unsubscribe(subscriber, id);
    bench.subscribe(subscriber, "a.*", None, "2");
    assert_eq!(bench.publish(publisher, "PUB a.no 0\r\n\r\n"), 1);
}

#[test]
fn one_of_very_many_does_not_get_what_is_kept_from_it() {
    let mut bench = Bench::new();
    let publisher = bench.client(true, true);
    let crowd = bench.crowd("a.*", None);
    deny(&mut bench, crowd[7], "a.no");
    assert_eq!(
        bench.publish(publisher, "PUB a.no 0\r\n\r\n"),
        crowd.len() - 1
    );
    assert_eq!(bench.got(crowd[7]), "");
    assert_eq!(bench.got(crowd[8]), "MSG a.no 1 0\r\n\r\n");
}

#[test]
fn the_frame_is_the_same_whether_or_not_the_publishers_line_can_be_copied() {
    let plain = ("MSG a 7 r 2\r\nhi\r\n", "MSG a 7 r 2\r\nhi\r\n");
    let header = (
        "HMSG a 7 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        "MSG a 7 r 2\r\nhi\r\n",
    );
    for (frame, (with_headers, without)) in [
        ("PUB a r 2\r\nhi\r\n", plain),
        ("pub  a\tr  2 \r\nhi\r\n", plain),
        ("PUB a r 2\nhi\r\n", plain),
        ("HPUB a r 0 2\r\nhi\r\n", plain),
        ("HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", header),
        ("HPub a  r 12 14 \r\nNATS/1.0\r\n\r\nhi\r\n", header),
    ] {
        let mut bench = Bench::new();
        let [publisher, yes, no] = [false, true, false].map(|headers| bench.client(headers, true));
        bench.subscribe(yes, "a", None, "7");
        bench.subscribe(no, "*", None, "7");
        assert_eq!(bench.publish(publisher, frame), 2);
        assert_eq!(bench.got(yes), with_headers, "published {frame:?}");
        assert_eq!(bench.got(no), without, "published {frame:?}");
    }
}

#[test]
fn sizes_are_repeated_as_they_were_sent() {
    let mut bench = Bench::new();
    let client = bench.client(true, true);
    bench.subscribe(client, "a", None, "1");
    bench.publish(client, "PUB a 002\r\nhi\r\n");
    assert_eq!(bench.got(client), "MSG a 1 002\r\nhi\r\n");
}

#[test]
fn a_client_without_echo_gets_others_messages_and_not_its_own() {
    let mut bench = Bench::new();
    let [mute, other] = [false, true].map(|echo| bench.client(false, echo));
    bench.subscribe(mute, "a", None, "1");
    assert_eq!(bench.publish(mute, "PUB a 1\r\nx\r\n"), 0);
    assert_eq!(bench.publish(other, "PUB a 1\r\ny\r\n"), 1);
    assert_eq!(bench.got(mute), "MSG a 1 1\r\ny\r\n");
}

#[test]
fn a_subscription_ends_with_its_last_message_and_frees_its_sid() {
    let mut bench = Bench::new();
    let client = bench.client(false, true);
    bench.subscribe(client, "a", None, "1");
    let id = bench
        .core
        .subscription_of(client, b"1")
        .expect("subscribed");
    bench
        .core
        .global_sublist_mut()
        .subscription_mut(id)
        .end_after(2);
    let taken = [(); 3].map(|()| bench.publish(client, "PUB a 0\r\n\r\n"));
    assert_eq!(taken, [1, 1, 0]);
    assert!(bench.core.receiver(client).sids.is_empty());
    assert!(bench.core.global_sublist().is_empty());
}

#[test]
fn a_queue_group_is_one_group_over_all_subjects_and_chooses_evenly() {
    let mut bench = Bench::new();
    let publisher = bench.client(false, true);
    let members: Vec<ReceiverId> = ["job.x", "job.*", "job.>", "job.x", ">"]
        .map(|subject| {
            let member = bench.client(false, true);
            bench.subscribe(member, subject, Some("workers"), "1");
            member
        })
        .to_vec();
    let rounds = 10_000;
    for _ in 0..rounds {
        assert_eq!(bench.publish(publisher, "PUB job.x 0\r\n\r\n"), 1);
    }
    let share = rounds / members.len();
    for member in members {
        let got = bench.got(member).matches("MSG").count();
        assert!(
            got.abs_diff(share) < share / 5,
            "{got} messages where {share} are fair"
        );
    }
}

#[test]
fn each_queue_group_and_each_plain_subscription_gets_a_copy() {
    let mut bench = Bench::new();
    let client = bench.client(false, true);
    for (queue, sid) in [
        (Some("q"), "1"),
        (Some("q"), "2"),
        (Some("r"), "3"),
        (None, "4"),
    ] {
        bench.subscribe(client, "a", queue, sid);
    }
    assert_eq!(bench.publish(client, "PUB a 0\r\n\r\n"), 3);
}

#[test]
fn what_a_member_cannot_take_goes_to_another() {
    let mut bench = Bench::new();
    let publisher = bench.client(false, false);
    let [gone, ended, well] = [true; 3].map(|echo| bench.client(false, echo));
    for member in [publisher, gone, ended, well] {
        bench.subscribe(member, "a", Some("q"), "1");
    }
    let key = bench.key(gone);
    bench.out.closed.insert(key);
    let id = bench.core.subscription_of(ended, b"1").expect("subscribed");
    bench
        .core
        .global_sublist_mut()
        .subscription_mut(id)
        .end_after(1);
    for _ in 0..50 {
        assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), 1);
    }
    let got = [publisher, gone, ended, well].map(|id| bench.got(id).matches("MSG").count());
    assert_eq!(got, [0, 0, 1, 49]);
    bench
        .out
        .closed
        .extend([well].map(|id| bench.core.receiver(id).key));
    assert_eq!(
        bench.publish(publisher, "PUB a 0\r\n\r\n"),
        0,
        "nobody is left"
    );
}

#[test]
fn a_publisher_waits_for_a_congested_receiver_unless_it_has_stalled() {
    let mut bench = Bench::new();
    let [publisher, slow] = [true; 2].map(|echo| bench.client(false, echo));
    bench.subscribe(slow, "a", None, "1");
    let key = bench.key(slow);
    let (frame, other) = ("PUB a 0\r\n\r\n", "PUB b 0\r\n\r\n");
    assert_eq!(bench.try_to_publish(publisher, frame), taken(1));
    bench.out.congested.insert(key);
    let wait = Published::WaitFor(key);
    assert_eq!(bench.try_to_publish(publisher, frame), wait);
    assert_eq!(bench.try_to_publish(publisher, other), taken(0));
    bench.out.stalled.insert(key);
    assert_eq!(bench.try_to_publish(publisher, frame), taken(1));
    assert_eq!(bench.got(slow).matches("MSG").count(), 2);
}

#[test]
fn a_publisher_without_echo_does_not_wait_for_itself() {
    let mut bench = Bench::new();
    let [mute, loud] = [false, true].map(|echo| bench.client(false, echo));
    for client in [mute, loud] {
        bench.subscribe(client, "a", None, "1");
    }
    let [mute_key, loud_key] = [mute, loud].map(|id| bench.key(id));
    bench.out.congested.insert(mute_key);
    let frame = "PUB a 0\r\n\r\n";
    let wait = Published::WaitFor;
    assert_eq!(bench.try_to_publish(mute, frame), taken(1));
    assert_eq!(bench.try_to_publish(loud, frame), wait(mute_key));
    bench.out.congested.insert(loud_key);
    assert_eq!(bench.try_to_publish(mute, frame), wait(loud_key));
}

#[test]
fn a_queue_group_spares_its_congested_members_and_is_waited_for_when_all_are() {
    let mut bench = Bench::new();
    let publisher = bench.client(false, true);
    let [one, other] = [true; 2].map(|echo| bench.client(false, echo));
    for member in [one, other] {
        bench.subscribe(member, "a", Some("q"), "1");
    }
    let key = bench.key(one);
    bench.out.congested.insert(key);
    for _ in 0..20 {
        assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), 1);
    }
    assert_eq!(bench.got(one), "");
    assert_eq!(bench.got(other).matches("MSG").count(), 20);
    let key = bench.key(other);
    bench.out.congested.insert(key);
    let published = bench.try_to_publish(publisher, "PUB a 0\r\n\r\n");
    assert!(matches!(published, Published::WaitFor(_)));
    bench.out.stalled.insert(key);
    assert_eq!(
        bench.publish(publisher, "PUB a 0\r\n\r\n"),
        1,
        "better late than never"
    );
}

#[test]
fn whoever_leaves_takes_all_its_subscriptions_along() {
    let mut bench = Bench::new();
    let [stays, leaves] = [true; 2].map(|echo| bench.client(false, echo));
    for sid in 0..100 {
        bench.subscribe(leaves, &format!("a.{sid}.*"), None, &sid.to_string());
    }
    bench.subscribe(stays, "a.1.x", None, "1");
    bench.core.leave(leaves);
    assert_eq!(bench.publish(stays, "PUB a.1.x 0\r\n\r\n"), 1);
    assert_eq!(bench.core.global_sublist().len(), 1);
}

#[test]
fn one_that_takes_nothing_any_more_is_waited_for_by_nobody_although_it_is_behind() {
    for (queue, many) in [
        (None, false),
        (None, true),
        (Some("q"), false),
        (Some("q"), true),
    ] {
        let mut bench = Bench::new();
        let [publisher, retired, other] = [true; 3].map(|echo| bench.client(false, echo));
        for number in 0..2000 {
            bench.subscribe(retired, "b", None, &format!("b{number}"));
        }
        for number in 0..if many { 2000 } else { 10 } {
            bench.subscribe(retired, "a", queue, &number.to_string());
        }
        bench.subscribe(other, "a", queue, "1");
        // It is sent away: it gets what is queued for it, and nothing more.
        bench.core.unsubscribe_all(retired);
        let key = bench.key(retired);
        bench.out.congested.insert(key);
        bench.out.closed.insert(key);
        assert!(bench.core.receiver(retired).is_clearing);
        let published = bench.publish(publisher, "PUB a 0\r\n\r\n");
        assert_eq!(published, 1, "{queue:?} {many}");
    }
}

#[test]
fn whom_a_publisher_waits_for_is_known_by_its_subscription() {
    for many in [false, true] {
        for queue in [None, Some("q")] {
            let mut bench = Bench::new();
            let [publisher, other, slow] = [true; 3].map(|echo| bench.client(false, echo));
            for number in 0..if many { 2000 } else { 3 } {
                bench.subscribe(other, "b", None, &number.to_string());
                bench.subscribe(slow, "x", None, &format!("x{number}"));
            }
            bench.subscribe(slow, "*", queue, "7");
            if many {
                for number in 0..2000 {
                    bench.subscribe(other, "a", None, &format!("a{number}"));
                }
            }
            let key = bench.key(slow);
            bench.out.congested.insert(key);
            let published = bench.try_to_publish(publisher, "PUB a 0\r\n\r\n");
            assert_eq!(published, Published::WaitFor(key));
            let fed = bench.core.scratch.take_behind();
            let (account, id) = fed.expect("it is fed by a subscription");
            let subscription = bench.core.accounts[account].sublist.subscription(id);
            assert_eq!(subscription.sid.as_slice(), b"7");
            assert_eq!(subscription.receiver, slow);
            assert_eq!(bench.core.scratch.take_behind(), None);
        }
    }
}

#[test]
fn what_a_publisher_reached_in_one_account_is_not_what_it_reaches_in_another() {
    let mut bench = Bench::new();
    let [publisher, here, there] = [true; 3].map(|echo| bench.client(false, echo));
    let (global, other) = (bench.core.accounts.global(), bench.core.accounts.add("A"));
    assert!(bench.core.enter(there, other));
    // The same changes make equal versions, and equal numbers of sets.
    bench.subscribe(here, "a", None, "1");
    bench.subscribe(there, "a", None, "1");
    let version = |account| bench.core.accounts[account].sublist.version();
    assert_eq!(version(global), version(other));
    let input = "PUB a 2\r\nhi\r\n".repeat(20);
    let (mut parser, rules) = (Parser::default(), Rules::default());
    let mut one = bench.publisher(publisher);
    let mut rest = input.as_bytes();
    for (account, receiver) in [(global, here), (other, there), (global, here)] {
        assert!(bench.core.enter(publisher, account));
        one.moved(&bench.core);
        let run = parser.next_run(rest, &rules, 1).expect("it is plain");
        rest = &rest[run.bytes()..];
        assert_eq!(run.first().repeats(), rest.len() < 19 * run.bytes());
        assert_eq!(bench.begin(&mut one, run.first()), taken(1));
        let got = [here, there].map(|id| bench.got(id));
        let expected = [here, there].map(|id| match id == receiver {
            true => "MSG a 1 2\r\nhi\r\n",
            false => "",
        });
        assert_eq!(got, expected);
    }
}

#[test]
fn a_message_of_the_brokers_own_is_delivered_as_any_other() {
    let mut bench = Bench::new();
    let [from, plain, member] = [true; 3].map(|headers| bench.client(headers, true));
    bench.subscribe(plain, "$SYS.>", None, "7");
    bench.subscribe(member, "$SYS.>", Some("q"), "8");
    let (mut buffer, mut publisher) = (Vec::new(), bench.publisher(from));
    let message = Publish::compose(&mut buffer, b"$SYS.x", Some(b"r"), b"", b"{}");
    assert_eq!(bench.begin(&mut publisher, &message), taken(2));
    assert_eq!(bench.got(plain), "MSG $SYS.x 7 r 2\r\n{}\r\n");
    assert_eq!(bench.got(member), "MSG $SYS.x 8 r 2\r\n{}\r\n");
}

#[test]
fn another_broker_is_not_held_for_a_slow_receiver_and_a_group_still_spares_it() {
    for role in [Role::Route, Role::Spoke, Role::Hub] {
        for many in [false, true] {
            let mut bench = Bench::new();
            let [peer, slow, well] = [true; 3].map(|echo| bench.client(false, echo));
            bench.subscribe(slow, "a", None, "1");
            for member in [slow, well] {
                bench.subscribe(member, "a", Some("q"), "2");
            }
            if many {
                for number in 0..2000 {
                    bench.subscribe(well, "a", None, &format!("a{number}"));
                }
            }
            let key = bench.key(slow);
            bench.out.congested.insert(key);
            let origin = Origin {
                role,
                is_held: role.is_held(),
                ..bench.core.receiver(peer).origin(peer)
            };
            let (mut publisher, message) = (Publisher::new(origin), message("PUB a 0\r\n\r\n"));
            let mut published = bench.begin(&mut publisher, &message);
            if many {
                assert_eq!(published, Published::InPieces);
                published = bench.go_on(&mut publisher, &message, ALL);
            }
            assert_eq!(published, taken(if many { 2002 } else { 2 }), "{role:?}");
            assert_eq!(bench.got(slow), "MSG a 1 0\r\n\r\n");
            assert!(bench.got(well).contains("MSG a 2 0\r\n"));
        }
    }
}
