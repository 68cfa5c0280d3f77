use super::*;
use crate::core::accounts::AccountId;
use crate::core::crossing::{About, ImportKind, MEASURED_MAX, Outcome, ResponseTerms, Wanted};
use crate::mapping::{Mapping, Mappings, Transform};
use midge_reactor::Time;
use std::time::Duration;

/// What an account imports of another one, by the subject there and its own.
struct Imported<'a> {
    exporter: AccountId,
    there: &'a str,
    here: &'a str,
    kind: ImportKind,
    is_told: bool,
    measuring: Option<(u8, &'a str)>,
}

const SINGLE: ImportKind = ImportKind::Service(ResponseTerms {
    is_single: true,
    threshold: Duration::from_secs(120),
});

const SEVERAL: ImportKind = ImportKind::Service(ResponseTerms {
    is_single: false,
    threshold: Duration::from_secs(10),
});

impl Bench {
    fn account(&mut self, name: &str) -> AccountId {
        self.core.accounts.open(name)
    }

    fn client_of(&mut self, account: AccountId) -> ReceiverId {
        let id = self.client(true, true);
        assert!(self.core.enter(id, account));
        id
    }

    fn import(&mut self, importer: AccountId, all: &[Imported<'_>]) {
        let made = all.iter().map(|one| {
            let (from, to) = match one.kind {
                ImportKind::Stream => (one.there, one.here),
                ImportKind::Service(_) => (one.here, one.there),
            };
            // Wildcards stand for each other in order.
            let mut number = 0;
            let destination: Vec<String> = to
                .split('.')
                .map(|token| match token {
                    "*" => {
                        number += 1;
                        format!("${number}")
                    }
                    token => token.to_owned(),
                })
                .collect();
            let transform = (from != to).then(|| Transform::new(from, &destination.join(".")));
            (one, from, transform.map(|made| made.expect("it is valid")))
        });
        let made: Vec<_> = made.collect();
        let wanted = made.iter().map(|(one, from, transform)| Wanted {
            exporter: one.exporter,
            subject: from.as_bytes(),
            transform: transform.as_ref(),
            kind: one.kind,
            is_told: one.is_told,
            measuring: one.measuring,
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        self.core.import(importer, &wanted);
        self.core.invariants();
    }
}

fn service<'a>(exporter: AccountId, there: &'a str, here: &'a str) -> Imported<'a> {
    Imported {
        exporter,
        there,
        here,
        kind: SINGLE,
        is_told: false,
        measuring: None,
    }
}

fn stream<'a>(exporter: AccountId, there: &'a str, here: &'a str) -> Imported<'a> {
    Imported {
        exporter,
        there,
        here,
        kind: ImportKind::Stream,
        is_told: false,
        measuring: None,
    }
}

/// The reply subject of a message that somebody got, and the frame with `R` in its place.
fn with_reply(frame: &str) -> (String, String) {
    let reply = frame.split(' ').find(|word| word.starts_with("_R_."));
    let reply = reply.expect("it asks for an answer").to_owned();
    assert_eq!(reply.len(), "_R_.123456.123456".len());
    let shown = frame.replace(&reply, "R");
    (reply, shown)
}

const INFO_OF_B: &str = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"B\"}\r\n\r\n";

#[test]
fn a_request_crosses_to_the_account_that_serves_it_and_one_answer_comes_back() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, asker) = (bench.client_of(a), bench.client_of(b));
    bench.import(b, &[service(a, "svc.*", "ask.*.now")]);
    bench.subscribe(server, "svc.>", None, "1");
    bench.subscribe(asker, "inbox.*", None, "2");
    let size = INFO_OF_B.len();
    assert_eq!(bench.publish(asker, "PUB ask.x.now inbox.1 2\r\nhi\r\n"), 1);
    let (reply, shown) = with_reply(&bench.got(server));
    let expected = format!("HMSG svc.x 1 R {size} {}\r\n{INFO_OF_B}hi\r\n", size + 2);
    assert_eq!(shown, expected);
    // Its sender gets nothing but the answer, once.
    assert_eq!(bench.got(asker), "");
    assert_eq!(
        bench.publish(server, &format!("PUB {reply} 3\r\nyes\r\n")),
        1
    );
    assert_eq!(bench.got(asker), "MSG inbox.1 2 3\r\nyes\r\n");
    assert_eq!(
        bench.publish(server, &format!("PUB {reply} 3\r\nyes\r\n")),
        0
    );
    assert_eq!(bench.got(asker), "");
    // What else is said in either account stays there.
    assert_eq!(bench.publish(server, "PUB ask.x.now 0\r\n\r\n"), 0);
    assert_eq!(bench.publish(asker, "PUB svc.x 0\r\n\r\n"), 0);
    assert_eq!(bench.publish(server, "PUB inbox.1 0\r\n\r\n"), 0);
    let sent = |bench: &Bench, account| bench.core.accounts[account].traffic.sent.messages;
    assert_eq!((sent(&bench, a), sent(&bench, b)), (1, 1));
}

#[test]
fn each_answer_of_several_comes_until_an_empty_one_or_until_none_came_for_so_long() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, asker) = (bench.client_of(a), bench.client_of(b));
    let kind = SEVERAL;
    let many = Imported {
        kind,
        ..service(a, "many", "many")
    };
    bench.import(b, &[many]);
    bench.subscribe(server, "many", None, "1");
    bench.subscribe(asker, "inbox", None, "2");
    let ask = |bench: &mut Bench| {
        assert_eq!(bench.publish(asker, "PUB many inbox 0\r\n\r\n"), 1);
        with_reply(&bench.got(server)).0
    };
    let answer = |bench: &mut Bench, reply: &str, body: &str| {
        let frame = format!("PUB {reply} {}\r\n{body}\r\n", body.len());
        let copies = bench.publish(server, &frame);
        assert_eq!(!bench.got(asker).is_empty(), copies > 0);
        copies
    };
    let reply = ask(&mut bench);
    let copies = ["a", "b", "", "c"].map(|body| answer(&mut bench, &reply, body));
    assert_eq!(copies, [1, 1, 1, 0]);
    let reply = ask(&mut bench);
    let after = |bench: &mut Bench, seconds: u64| {
        let now = bench.core.clock.now() + Duration::from_secs(seconds);
        bench.core.clock.set(now);
        answer(bench, &reply, "a")
    };
    assert_eq!(
        [9, 9, 10, 0].map(|seconds| after(&mut bench, seconds)),
        [1, 1, 0, 0]
    );
}

#[test]
fn a_stream_comes_under_another_name_and_goes_no_further() {
    let mut bench = Bench::new();
    let (a, b, c) = (bench.account("A"), bench.account("B"), bench.account("C"));
    let (source, taker, other) = (bench.client_of(a), bench.client_of(b), bench.client_of(c));
    let group = [bench.client_of(b), bench.client_of(b)];
    bench.import(b, &[stream(a, "pub.*", "from.a.*")]);
    bench.import(
        c,
        &[stream(b, "from.>", "from.>"), service(b, "pub.1", "pub.1")],
    );
    bench.subscribe(taker, "from.>", None, "1");
    bench.subscribe(other, ">", None, "1");
    for one in group {
        bench.subscribe(one, "from.a.1", Some("q"), "1");
    }
    assert_eq!(bench.publish(source, "PUB pub.1 r 2\r\nhi\r\n"), 2);
    assert_eq!(bench.got(taker), "MSG from.a.1 1 r 2\r\nhi\r\n");
    let got = group.map(|one| bench.got(one)).concat();
    assert_eq!(got, "MSG from.a.1 1 r 2\r\nhi\r\n");
    assert_eq!(bench.got(other), "");
    // Nothing comes back by it.
    bench.subscribe(source, ">", None, "1");
    assert_eq!(bench.publish(taker, "PUB from.a.1 0\r\n\r\n"), 3);
    assert_eq!(bench.publish(taker, "PUB pub.1 0\r\n\r\n"), 0);
    assert_eq!(bench.got(source), "");
}

#[test]
fn a_request_goes_on_to_further_accounts_and_its_answer_all_the_way_back() {
    let mut bench = Bench::new();
    let (a, b, c) = (bench.account("A"), bench.account("B"), bench.account("C"));
    let (server, between, asker) = (bench.client_of(c), bench.client_of(b), bench.client_of(a));
    bench.import(b, &[service(c, "deep", "mid")]);
    bench.import(a, &[service(b, "mid", "top")]);
    bench.core.accounts[c].mappings =
        Mappings::new(&[Mapping::to("deep", "deeper").expect("valid")], None);
    bench.subscribe(server, "deeper", None, "1");
    bench.subscribe(between, "mid", None, "1");
    bench.subscribe(asker, "inbox", None, "1");
    assert_eq!(bench.publish(asker, "PUB top inbox 0\r\n\r\n"), 2);
    assert!(bench.got(between).contains("{\"acc\":\"A\"}"));
    let got = bench.got(server);
    assert!(
        got.starts_with("HMSG deeper 1 ") && got.contains(r#"{"acc":"A","svc":"B"}"#),
        "{got}"
    );
    let (reply, _) = with_reply(&got);
    // The answer asks for another one, which comes all the way too.
    assert_eq!(
        bench.publish(server, &format!("PUB {reply} more 3\r\nyes\r\n")),
        1
    );
    let (back, shown) = with_reply(&bench.got(asker));
    assert_eq!(shown, "MSG inbox 1 R 3\r\nyes\r\n");
    bench.subscribe(server, "more", None, "2");
    assert_eq!(bench.publish(asker, &format!("PUB {back} 2\r\nok\r\n")), 1);
    assert_eq!(bench.got(server), "MSG more 2 2\r\nok\r\n");
}

#[test]
fn a_request_that_nobody_gets_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let asker = bench.client_of(b);
    bench.import(b, &[service(a, "svc", "svc")]);
    for _ in 0..3 {
        assert_eq!(
            bench.try_to_publish(asker, "PUB svc inbox 0\r\n\r\n"),
            Published::NOBODY
        );
    }
    assert_eq!(bench.core.awaited_answers(a), 0);
    let server = bench.client_of(a);
    bench.subscribe(server, "svc", None, "1");
    assert_eq!(bench.publish(asker, "PUB svc inbox 0\r\n\r\n"), 1);
    assert_eq!(bench.core.awaited_answers(a), 1);
    // The import goes, and what was awaited by it.
    bench.import(b, &[]);
    assert_eq!(bench.publish(asker, "PUB svc inbox 0\r\n\r\n"), 0);
    assert_eq!(bench.core.awaited_answers(a), 0);
    assert_eq!(bench.core.accounts[b].sublist.len(), 0);
    assert_eq!(bench.core.accounts[a].sublist.len(), 1);
}

#[test]
fn who_is_far_behind_in_another_account_is_waited_for_and_nobody_gets_it_twice() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (slow, asker, near) = (bench.client_of(a), bench.client_of(b), bench.client_of(b));
    bench.import(b, &[service(a, "svc", "svc")]);
    bench.subscribe(slow, "svc", None, "1");
    bench.subscribe(near, "svc", None, "1");
    let key = bench.key(slow);
    bench.out.congested.insert(key);
    let (mut publisher, message) = (bench.publisher(asker), message("PUB svc 2\r\nhi\r\n"));
    assert_eq!(
        bench.begin(&mut publisher, &message),
        Published::WaitFor(key)
    );
    assert!(publisher.has_begun());
    assert_eq!(
        bench.go_on(&mut publisher, &message, ALL),
        Published::WaitFor(key)
    );
    assert_eq!((bench.got(slow).len(), bench.got(near).len()), (0, 17));
    bench.out.congested.clear();
    assert_eq!(bench.go_on(&mut publisher, &message, ALL), taken(2));
    assert!(!publisher.has_begun() && bench.got(slow).ends_with("hi\r\n"));
    assert_eq!(bench.got(near), "");
}

#[test]
fn who_answers_or_feeds_a_stream_waits_for_nobody_in_the_account_that_imports() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let slow = bench.client_of(b);
    bench.import(b, &[stream(a, "told", "told"), service(a, "svc", "svc")]);
    bench.subscribe(slow, "told", None, "1");
    bench.subscribe(slow, "inbox", None, "2");
    let (client, part) = (bench.client_of(a), bench.core.join_part(Kind::Service, a));
    bench.subscribe(client, "svc", None, "1");
    bench.publish(slow, "PUB svc inbox 0\r\n\r\n");
    let (reply, _) = with_reply(&bench.got(client));
    let key = bench.key(slow);
    bench.out.congested.insert(key);
    for (from, frame) in [
        (part, "PUB told 0\r\n\r\n"),
        (client, "PUB told 0\r\n\r\n"),
        (client, &format!("PUB {reply} 0\r\n\r\n")),
    ] {
        assert_eq!(bench.try_to_publish(from, frame), taken(1), "{frame}");
    }
    assert_eq!(bench.got(slow).matches("MSG ").count(), 3);
}

#[test]
fn what_is_too_much_for_one_piece_there_goes_in_pieces() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (source, counted) = (bench.client_of(a), bench.client_of(b));
    bench.import(b, &[stream(a, "news", "news")]);
    let many = PIECE_SUBSCRIPTIONS_MAX + 10;
    for number in 0..many {
        bench.subscribe(counted, "news", None, &format!("s{number}"));
    }
    let (mut publisher, message) = (bench.publisher(source), message("PUB news 0\r\n\r\n"));
    let mut published = bench.begin(&mut publisher, &message);
    let quota = Quota {
        messages: 1,
        work: 100,
        bytes: usize::MAX,
    };
    let mut pieces = 0;
    while published == Published::InPieces {
        published = bench.go_on(&mut publisher, &message, quota);
        pieces += 1;
    }
    assert_eq!(published, taken(many));
    assert!(pieces > 5, "{pieces}");
    assert_eq!(bench.got(counted).matches("MSG news").count(), many);
    // One that is closed meanwhile gets no more, whoever is in its place.
    bench.begin(&mut publisher, &message);
    assert_eq!(
        bench.go_on(&mut publisher, &message, quota),
        Published::InPieces
    );
    bench.import(b, &[]);
    bench.got(counted);
    bench.core.leave(counted);
    while bench.core.clear_a_piece() {}
    while bench
        .core
        .accounts
        .retain(0, 100, |name| name == "A")
        .is_some()
    {}
    let c = bench.account("C");
    assert_eq!(c, b);
    let next = bench.client_of(c);
    bench.subscribe(next, "news", None, "1");
    assert_eq!(
        bench.go_on(&mut publisher, &message, ALL),
        Published::NOBODY
    );
    assert_eq!(bench.got(next), "");
}

#[test]
fn a_message_goes_no_further_than_through_so_many_accounts() {
    let mut bench = Bench::new();
    let a = bench.account("A");
    let client = bench.client_of(a);
    // From one to itself, which settings refuse.
    bench.import(a, &[service(a, "x", "x")]);
    bench.subscribe(client, "x", None, "1");
    let copies = bench.publish(client, "PUB x 0\r\n\r\n");
    assert_eq!(copies, 1 + usize::from(crate::core::crossing::CROSSED_MAX));
}

#[test]
fn an_answer_comes_to_no_account_in_the_place_of_the_one_that_has_asked() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, asker) = (bench.client_of(a), bench.client_of(b));
    let other = bench.account("Other");
    bench.import(other, &[service(a, "svc", "svc")]);
    bench.import(b, &[service(a, "svc", "svc")]);
    bench.subscribe(server, "svc", None, "1");
    bench.publish(asker, "PUB svc inbox 0\r\n\r\n");
    let (reply, _) = with_reply(&bench.got(server));
    bench.core.leave(asker);
    bench.import(b, &[]);
    bench
        .core
        .accounts
        .retain(0, 100, |name| name == "A" || name == "Other");
    let c = bench.account("C");
    assert_eq!(c, b);
    let next = bench.client_of(c);
    bench.subscribe(next, "inbox", None, "1");
    assert_eq!(bench.publish(server, &format!("PUB {reply} 0\r\n\r\n")), 0);
    assert_eq!(bench.got(next), "");
    assert_eq!(Time::ZERO, bench.core.clock.now());
}

#[test]
fn what_is_imported_as_before_is_not_touched_when_the_rest_changes() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, asker) = (bench.client_of(a), bench.client_of(b));
    let all = ["one", "two", "three"];
    let import = |bench: &mut Bench, names: &[&str]| {
        let all: Vec<_> = names.iter().map(|name| service(a, name, name)).collect();
        bench.import(b, &all);
    };
    import(&mut bench, &all);
    bench.subscribe(server, ">", None, "1");
    let born = |bench: &Bench| bench.core.accounts[b].sublist.version();
    let before = born(&bench);
    import(&mut bench, &all);
    assert_eq!(born(&bench), before);
    import(&mut bench, &["one", "three", "four"]);
    assert_ne!(born(&bench), before);
    let copies = ["one", "two", "three", "four"].map(|name| {
        let frame = format!("PUB {name} 0\r\n\r\n");
        bench.publish(asker, &frame)
    });
    assert_eq!(copies, [1, 0, 1, 1]);
    // One of the same name that does something else is another one.
    bench.import(b, &[service(a, "five", "one")]);
    bench.got(server);
    assert_eq!(bench.publish(asker, "PUB one 0\r\n\r\n"), 1);
    assert!(bench.got(server).starts_with("HMSG five "));
    bench.import(b, &[]);
    assert!(bench.core.accounts[b].sublist.is_empty());
}

/// What the next request tells of who asks.
fn requester(frame: &str) -> String {
    let line = frame
        .lines()
        .find_map(|line| line.strip_prefix("Nats-Request-Info: "));
    line.expect("it tells who asks").to_owned()
}

fn about(id: u64) -> About {
    About {
        first: format!("\"id\":{id},").into(),
        middle: "".into(),
        last: "".into(),
    }
}

#[test]
fn who_asks_is_told_as_far_as_each_account_on_the_way_shares_it() {
    let mut bench = Bench::new();
    let (a, b, c) = (bench.account("A"), bench.account("B"), bench.account("C"));
    let (server, asker) = (bench.client_of(a), bench.client_of(c));
    bench.subscribe(server, "deep", None, "1");
    for (first, second, expected) in [
        (false, false, r#"{"acc":"C","svc":"B"}"#),
        (true, false, r#"{"acc":"C","svc":"B"}"#),
        (false, true, r#"{"acc":"C","svc":"B"}"#),
        (true, true, r#"{"id":7,"acc":"C","svc":"B"}"#),
    ] {
        let import = |is_told, exporter, there, here| Imported {
            is_told,
            ..service(exporter, there, here)
        };
        bench.import(c, &[import(first, b, "mid", "top")]);
        bench.import(b, &[import(second, a, "deep", "mid")]);
        assert_eq!(bench.core.tells_of_clients(c), first);
        bench.core.set_about(asker, about(7));
        assert_eq!(bench.publish(asker, "PUB top 0\r\n\r\n"), 1);
        assert_eq!(requester(&bench.got(server)), expected, "{first} {second}");
    }
    let round_trip = Duration::from_nanos(5);
    bench.core.receiver_mut(asker).answered_in(round_trip);
    assert_eq!(bench.publish(asker, "PUB top 0\r\n\r\n"), 1);
    let expected = r#"{"id":7,"acc":"C","svc":"B","rtt":5}"#;
    assert_eq!(requester(&bench.got(server)), expected);
    // Nothing of it is kept when it has gone.
    bench.core.leave(asker);
    while bench.core.clear_a_piece() {}
    bench.core.invariants();
}

#[test]
fn a_plain_request_tells_the_round_trip_of_its_client_as_it_is() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, first, second) = (bench.client_of(a), bench.client_of(b), bench.client_of(b));
    bench.import(b, &[service(a, "svc", "svc")]);
    bench.subscribe(server, "svc", None, "1");
    for (client, nanoseconds, expected) in [
        (first, 9, r#"{"acc":"B","rtt":9}"#),
        (first, 10_000_000_000, r#"{"acc":"B","rtt":4294967295}"#),
        (second, 0, r#"{"acc":"B","rtt":1}"#),
    ] {
        let round_trip = Duration::from_nanos(nanoseconds);
        bench.core.receiver_mut(client).answered_in(round_trip);
        assert_eq!(bench.publish(client, "PUB svc 0\r\n\r\n"), 1);
        assert_eq!(requester(&bench.got(server)), expected);
    }
}

#[test]
fn each_request_that_is_measured_has_one_outcome_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let (server, asker) = (bench.client_of(a), bench.client_of(b));
    let measured = Imported {
        measuring: Some((100, "took")),
        ..service(a, "svc", "svc")
    };
    bench.import(b, &[measured]);
    assert!(bench.core.tells_of_clients(a) && !bench.core.tells_of_clients(b));
    bench.core.set_about(server, about(3));
    let outcomes = |bench: &mut Bench| {
        let all = bench.core.requests.measured.drain(..);
        all.map(|one| one.outcome).collect::<Vec<_>>()
    };
    assert_eq!(bench.publish(asker, "PUB svc r 0\r\n\r\n"), 0);
    assert_eq!(bench.publish(asker, "PUB svc 0\r\n\r\n"), 0);
    assert_eq!(
        outcomes(&mut bench),
        [Outcome::NoResponder, Outcome::NoReply]
    );
    bench.subscribe(server, "svc", None, "1");
    bench.subscribe(asker, "r", None, "2");
    assert_eq!(bench.publish(asker, "PUB svc r 0\r\n\r\n"), 1);
    let (reply, _) = with_reply(&bench.got(server));
    assert!(bench.core.requests.is_timing && bench.core.imports.timed() == 1);
    let began = bench.core.clock.now();
    bench.core.clock.set(began + Duration::from_secs(1));
    let answer = format!("PUB {reply} 0\r\n\r\n");
    assert_eq!(bench.publish(server, &answer), 1);
    let expected = Outcome::Answered {
        responder: (*br#"{"id":3,"acc":"A"}"#).into(),
        round_trip: Duration::ZERO,
        at: began + Duration::from_secs(1),
    };
    assert_eq!(outcomes(&mut bench), [expected]);
    assert_eq!(bench.core.imports.timed(), 0);
    // One that is answered too late is told of when its time is over, and not again.
    assert_eq!(bench.publish(asker, "PUB svc r 0\r\n\r\n"), 1);
    let (reply, _) = with_reply(&bench.got(server));
    let end = bench.core.clock.now() + Duration::from_secs(120);
    let begun = bench.core.clock.now();
    assert_eq!(bench.core.end_late_samples(begun), Some(end));
    assert_eq!(bench.core.end_late_samples(end), None);
    bench.core.clock.set(end);
    assert_eq!(bench.publish(server, &format!("PUB {reply} 0\r\n\r\n")), 0);
    assert_eq!(outcomes(&mut bench), [Outcome::TooLate]);
    // So is one whose answer comes when its time is over, before anybody was woken.
    assert_eq!(bench.publish(asker, "PUB svc r 0\r\n\r\n"), 1);
    let (reply, _) = with_reply(&bench.got(server));
    bench.core.clock.set(end + Duration::from_secs(120));
    assert_eq!(bench.publish(server, &format!("PUB {reply} 0\r\n\r\n")), 0);
    assert_eq!(outcomes(&mut bench), [Outcome::TooLate]);
    assert_eq!(bench.core.imports.timed(), 0);
    // Of very many at once some are counted only.
    for _ in 0..MEASURED_MAX + 7 {
        bench.publish(asker, "PUB svc 0\r\n\r\n");
    }
    assert_eq!(bench.core.requests.unmeasured, 7);
    assert_eq!(outcomes(&mut bench).len(), MEASURED_MAX);
    // What is measured no longer costs nothing any more.
    bench.import(b, &[service(a, "svc", "svc")]);
    assert!(!bench.core.tells_of_clients(a));
    assert_eq!(bench.publish(asker, "PUB svc r 0\r\n\r\n"), 1);
    assert_eq!(
        (outcomes(&mut bench).len(), bench.core.imports.timed()),
        (0, 0)
    );
}

#[test]
fn what_the_broker_itself_publishes_is_not_measured() {
    let mut bench = Bench::new();
    let (a, b) = (bench.account("A"), bench.account("B"));
    let asker = bench.client_of(b);
    let measured = Imported {
        measuring: Some((100, "took")),
        ..service(a, "svc", "svc")
    };
    bench.import(b, &[measured]);
    for (role, samples) in [(Role::Client, 1), (Role::Broker, 0)] {
        let of_client = bench.core.receiver(asker).origin(asker);
        let mut publisher = Publisher::new(Origin { role, ..of_client });
        let mut buffer = Vec::new();
        let message = Publish::compose(&mut buffer, b"svc", None, b"", b"");
        assert_eq!(bench.begin(&mut publisher, &message), Published::NOBODY);
        assert_eq!(bench.core.requests.measured.drain(..).count(), samples);
    }
}

#[test]
fn who_answers_is_not_told_to_those_whom_the_answer_comes_to() {
    let mut bench = Bench::new();
    let (a, b, c) = (bench.account("A"), bench.account("B"), bench.account("C"));
    let (server, asker, third) = (bench.client_of(a), bench.client_of(b), bench.client_of(c));
    bench.subscribe(server, "svc", None, "1");
    bench.subscribe(third, "x", None, "1");
    let shared = Imported {
        is_told: true,
        ..service(c, "x", "x")
    };
    bench.import(b, &[service(a, "svc", "svc"), shared]);
    bench.core.set_about(server, about(7));
    assert_eq!(bench.publish(asker, "PUB svc x 0\r\n\r\n"), 1);
    let (reply, _) = with_reply(&bench.got(server));
    assert_eq!(bench.publish(server, &format!("PUB {reply} 1\r\ny\r\n")), 1);
    assert_eq!(requester(&bench.got(third)), r#"{"acc":"A","svc":"B"}"#);
}
