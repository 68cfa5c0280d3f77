use super::*;
use crate::Config;
use crate::outbox::fake::FakeOutbox;
use midge_protocol::{ClientOp, Info, Parser, Rules, Step};

/// A broker without sockets: clients are numbers, queues are vectors.
struct Bench {
    state: State,
    out: FakeOutbox,
}

impl Bench {
    fn new() -> Bench {
        let mut state = State::announcing(Config::default(), Info::default());
        state.random = 43;
        Bench {
            state,
            out: FakeOutbox::default(),
        }
    }

    fn client(&mut self, headers: bool, echo: bool) -> ReceiverId {
        let cid = self.state.next_cid();
        let key = Key::new(usize::try_from(cid).expect("few"), 1);
        let peer = ([127, 0, 0, 1], 1).into();
        let id = self.state.join(key, peer, cid);
        self.state.receiver_mut(id).kind = Kind::Client { headers, echo };
        id
    }

    fn subscribe(&mut self, id: ReceiverId, subject: &str, queue: Option<&str>, sid: &str) {
        let queue = queue.map(str::as_bytes);
        self.state
            .subscribe(id, subject.as_bytes(), queue, sid.as_bytes());
    }

    fn key(&self, id: ReceiverId) -> Key {
        self.state.receiver(id).key
    }

    fn got(&mut self, id: ReceiverId) -> String {
        let key = self.key(id);
        self.out.take(key)
    }

    /// Publishes a frame as it stands on the wire.
    fn publish(&mut self, from: ReceiverId, frame: &str) -> usize {
        publish(
            &mut self.state,
            from,
            &message(frame),
            &mut Route::default(),
            &mut self.out,
        )
    }

    fn must_wait_for(&mut self, from: ReceiverId, frame: &str) -> Option<Key> {
        must_wait_for(&mut self.state, from, &message(frame), &self.out)
    }
}

fn message(frame: &str) -> Publish<'_> {
    let rules = Rules {
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
        .state
        .subscription_of(client, b"1")
        .expect("subscribed");
    bench
        .state
        .sublist(crate::state::GLOBAL)
        .subscription_mut(id)
        .end_after(2);
    let taken = [(); 3].map(|()| bench.publish(client, "PUB a 0\r\n\r\n"));
    assert_eq!(taken, [1, 1, 0]);
    assert!(bench.state.receiver(client).sids.is_empty());
    assert!(bench.state.accounts[0].sublist.is_empty());
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
    let id = bench
        .state
        .subscription_of(ended, b"1")
        .expect("subscribed");
    bench
        .state
        .sublist(crate::state::GLOBAL)
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
        .extend([well].map(|id| bench.state.receiver(id).key));
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
    assert_eq!(bench.must_wait_for(publisher, "PUB a 0\r\n\r\n"), None);
    bench.out.congested.insert(key);
    assert_eq!(bench.must_wait_for(publisher, "PUB a 0\r\n\r\n"), Some(key));
    assert_eq!(bench.must_wait_for(publisher, "PUB b 0\r\n\r\n"), None);
    bench.out.stalled.insert(key);
    assert_eq!(bench.must_wait_for(publisher, "PUB a 0\r\n\r\n"), None);
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
    assert_eq!(bench.must_wait_for(mute, "PUB a 0\r\n\r\n"), None);
    assert_eq!(bench.must_wait_for(loud, "PUB a 0\r\n\r\n"), Some(mute_key));
    bench.out.congested.insert(loud_key);
    assert_eq!(bench.must_wait_for(mute, "PUB a 0\r\n\r\n"), Some(loud_key));
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
        assert_eq!(bench.must_wait_for(publisher, "PUB a 0\r\n\r\n"), None);
        assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), 1);
    }
    assert_eq!(bench.got(one), "");
    assert_eq!(bench.got(other).matches("MSG").count(), 20);
    let key = bench.key(other);
    bench.out.congested.insert(key);
    assert!(bench.must_wait_for(publisher, "PUB a 0\r\n\r\n").is_some());
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
    bench.state.leave(leaves);
    assert_eq!(bench.publish(stays, "PUB a.1.x 0\r\n\r\n"), 1);
    assert_eq!(bench.state.accounts[0].sublist.len(), 1);
}
