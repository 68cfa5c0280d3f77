//! `/topz`: which subjects and connections carry the traffic.

use super::asker::with_accounts;
use super::{monitored, named, start};
use crate::http::{Http, get};
use crate::raw::Raw;
use midge::Monitor;
use midge_protocol::encode;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The names of a list, as it stands.
fn names(topz: &Value, list: &str, name: &str) -> Vec<String> {
    let list = topz[list].as_array().expect("a list");
    let name = |one: &Value| one[name].as_str().unwrap_or_default().to_owned();
    list.iter().map(name).collect()
}

fn subjects(addr: SocketAddr, query: &str) -> Vec<String> {
    names(
        &get(addr, &format!("/topz?{query}")).json(),
        "subjects",
        "subject",
    )
}

/// What is told of one subject.
fn of(topz: &Value, subject: &str) -> Value {
    let list = topz["subjects"].as_array().expect("a list");
    let found = list.iter().find(|one| one["subject"] == subject);
    found
        .unwrap_or_else(|| panic!("no {subject} in {topz}"))
        .clone()
}

/// Publishes so many messages of so many bytes.
fn publish(client: &mut Raw, subject: &str, messages: usize, bytes: usize) {
    let mut frame = Vec::new();
    encode::publish(&mut frame, subject.as_bytes(), None, &vec![b'x'; bytes]);
    client.send(&frame.repeat(messages));
    client.sync();
}

/// Three subjects: the most messages, the most bytes, and the most that nobody receives.
fn traffic(addr: SocketAddr) -> (Raw, Raw) {
    let (mut one, mut two) = (named(addr, "one"), named(addr, "two"));
    one.sub("many.*", None, "1");
    one.sub("many.small", None, "2");
    one.sub("large", None, "3");
    one.sync();
    publish(&mut two, "many.small", 500, 10);
    publish(&mut two, "large", 3, 200_000);
    publish(&mut two, "lost", 20, 2);
    let mut third = named(addr, "third");
    publish(&mut third, "lost", 5, 2);
    drop(third);
    one.sync();
    (one, two)
}

#[test]
fn subjects_are_counted_to_the_message_while_few_come_at_once() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = traffic(broker.addr());
    for period in ["start", "now"] {
        let topz = get(addr, &format!("/topz?period={period}")).json();
        assert_eq!(topz["period"], period);
        for (subject, msgs, bytes, unrouted) in [
            ("many.small", 500, 5000, 0),
            ("large", 3, 600_000, 0),
            ("lost", 25, 50, 25),
        ] {
            let told = of(&topz, subject);
            assert_eq!(
                (&told["msgs"], &told["bytes"], &told["unrouted"]),
                (&json!(msgs), &json!(bytes), &json!(unrouted)),
                "{told}"
            );
            for field in ["error", "error_bytes", "deviation"] {
                assert_eq!(told[field], 0, "{told}");
            }
            assert!(told["msgs_rate"].as_f64() > Some(0.0), "{told}");
        }
        assert_eq!(
            topz["totals"],
            json!({"msgs": 528, "bytes": 605_050, "unrouted": 25})
        );
        assert_eq!(
            (&topz["sampled"], &topz["num_subjects"]),
            (&json!(false), &json!(3))
        );
    }
}

#[test]
fn lists_are_sorted_filtered_and_cut_in_pages() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = traffic(broker.addr());
    for (query, expected) in [
        ("", &["many.small", "lost", "large"][..]),
        ("sort=msgs", &["many.small", "lost", "large"]),
        ("sort=bytes", &["large", "many.small", "lost"]),
        ("sort=unrouted", &["lost", "large", "many.small"]),
        ("limit=1", &["many.small"]),
        ("limit=1&offset=2", &["large"]),
        ("offset=7", &[]),
        ("subject=many.*", &["many.small"]),
        ("subject=%3E&limit=2", &["many.small", "lost"]),
        ("subject=nothing.%3E", &[]),
        ("period=now&sort=bytes&subject=l*", &[]),
        ("period=now&sort=bytes", &["large", "many.small", "lost"]),
    ] {
        assert_eq!(subjects(addr, query), expected, "{query}");
    }
    for (query, text) in [
        ("sort=cid", "invalid sorting option: cid"),
        ("period=then", "invalid period: then, must be start or now"),
        (
            "subject=a..b",
            "invalid subject, must be one that can be subscribed to: a..b",
        ),
        (
            "limit=x",
            "Error decoding int for 'limit': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
    ] {
        let answer = get(addr, &format!("/topz?{query}"));
        assert_eq!((answer.status, answer.body.as_str()), (400, text));
    }
}

#[test]
fn connections_are_those_with_most_traffic_and_now_those_that_publish() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let (_one, mut two) = traffic(broker.addr());
    let told = |query: &str| {
        let topz = get(addr, &format!("/topz?{query}")).json();
        names(&topz, "connections", "name")
    };
    // Each message of `many.small` came to the first client twice.
    assert_eq!(told("period=start"), ["one", "two"]);
    assert_eq!(told("period=start&offset=1"), ["two"]);
    // One that has left is among those who have published.
    assert_eq!(told("period=now&sort=bytes"), ["two", "third"]);
    two.sync();
    let topz = get(addr, "/topz?period=now").json();
    let (second, third) = (&topz["connections"][0], &topz["connections"][1]);
    assert_eq!(
        (&second["in_msgs"], &second["in_bytes"], &second["out_msgs"]),
        (&json!(523), &json!(605_040), &json!(0))
    );
    assert!(second["in_msgs_rate"].as_f64() > Some(0.0), "{second}");
    assert_eq!(
        (&second["kind"], &second["closed"]),
        (&json!("Client"), &Value::Null)
    );
    assert_eq!(third["closed"], true);
}

#[test]
fn of_very_many_subjects_at_once_estimates_are_told_as_such() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let mut client = named(broker.addr(), "one");
    let mut input = Vec::new();
    let rounds = 100_000_u64;
    for number in 0..rounds {
        encode::publish(&mut input, b"busy", None, b"hi");
        encode::publish(
            &mut input,
            format!("once.{number}").as_bytes(),
            None,
            b"hello",
        );
    }
    client.send(&input);
    client.sync();
    let topz = get(addr, "/topz?limit=1000").json();
    assert_eq!(topz["totals"]["msgs"], 2 * rounds, "totals are counted");
    assert_eq!(
        (&topz["sampled"], &topz["sample_every"]),
        (&json!(true), &json!(64))
    );
    let list = topz["subjects"].as_array().expect("a list");
    assert_eq!(list.len(), 512);
    assert_eq!(topz["num_subjects"], 512);
    let busy = &list[0];
    let number = |name: &str| busy[name].as_u64().expect("a number");
    assert_eq!(busy["subject"], "busy");
    assert!(number("deviation") > 0);
    let off = number("msgs").abs_diff(rounds);
    assert!(off <= 5 * number("deviation"), "{busy}");
    // It came among the first: nothing of it can have been missed before.
    assert_eq!(number("error"), 0);
    let others = list[1..].iter();
    let most = others
        .map(|one| one["msgs"].as_u64().expect("a number"))
        .max();
    assert!(
        most <= Some(64),
        "one that was used once stands for few: {most:?}"
    );
    assert!(
        list[1]["error"].as_u64() <= Some(2 * rounds / 512 * 2),
        "{}",
        list[1]
    );
}

#[test]
fn a_long_subject_is_told_by_its_beginning() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let mut client = named(broker.addr(), "one");
    let long = format!("long.{}", "x".repeat(1000));
    for end in ["", ".a", ".a", ".b"] {
        client.publish(&format!("{long}{end}"), b"");
    }
    client.sync();
    let topz = get(addr, "/topz").json();
    let list = topz["subjects"].as_array().expect("a list");
    let told: Vec<_> = list.iter().map(|one| &one["msgs"]).collect();
    assert_eq!(told, [2, 1, 1], "they are different ones");
    for one in list {
        let subject = one["subject"].as_str().expect("a text");
        assert_eq!((subject, &one["cut"]), (&long[..120], &json!(true)));
    }
}

#[test]
fn it_is_dressed_as_the_others_and_asking_changes_nothing() {
    let monitor = Monitor {
        base_path: "/watch".to_owned(),
        ..Monitor::default()
    };
    let (broker, addr) = start(monitored(monitor));
    let _clients = traffic(broker.addr());
    assert_eq!(get(addr, "/topz").status, 404);
    let mut http = Http::connect(addr);
    let first = http.get("/watch/topz");
    assert_eq!(first.field("content-type"), Some("application/json"));
    assert_eq!(first.field("access-control-allow-origin"), Some("*"));
    let called = http.get("/watch/topz?callback=show");
    assert_eq!(called.field("content-type"), Some("application/javascript"));
    assert!(called.body.starts_with("show({") && called.body.ends_with("})"));
    let counts = |answer: &Value| {
        let list = answer["subjects"].as_array().expect("a list").clone();
        let counts = list
            .iter()
            .map(|one| (one["subject"].clone(), one["msgs"].clone()));
        counts.collect::<Vec<_>>()
    };
    let again = http.get("/watch/topz");
    assert_eq!(counts(&first.json()), counts(&again.json()));
    assert!(http.get("/watch").body.contains("\"./watch/topz\""));
}

#[test]
fn an_account_has_subjects_and_clients_of_its_own_also_where_they_are_called_alike() {
    let config = with_accounts(monitored(Monitor::default()));
    let (broker, addr) = start(config);
    let join = |user: &str| {
        let connect = json!({"verbose": false, "user": user, "pass": "", "name": user});
        Raw::join_with(broker.addr(), &connect.to_string())
    };
    let (mut sys, mut ann) = (join("sys"), join("ann"));
    ann.sub("many", None, "1");
    publish(&mut ann, "many", 30, 10);
    publish(&mut ann, "own", 1, 5);
    publish(&mut sys, "many", 7, 100);
    // A login and what follows it in one piece.
    let mut late = Raw::connect(broker.addr());
    late.send(b"CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"\",\"name\":\"late\"}\r\nPUB many 10\r\n0123456789\r\n");
    late.sync();
    for period in ["start", "now"] {
        let topz = |acc: &str| get(addr, &format!("/topz?period={period}&{acc}")).json();
        let all = topz("");
        assert_eq!(all["num_subjects"], 3, "{all}");
        assert_eq!(all["totals"]["msgs"], 39, "{all}");
        let of_ann = topz("acc=A");
        assert_eq!(names(&of_ann, "subjects", "subject"), ["many", "own"]);
        assert_eq!(names(&of_ann, "subjects", "account"), ["A", "A"]);
        assert_eq!(of(&of_ann, "many")["msgs"], 31);
        assert_eq!(
            of_ann["totals"],
            json!({"msgs": 32, "bytes": 315, "unrouted": 1})
        );
        assert_eq!(names(&of_ann, "connections", "name"), ["ann", "late"]);
        let of_sys = topz("acc=$SYS&subject=many");
        assert_eq!(of(&of_sys, "many")["msgs"], 7);
        assert_eq!(of_sys["num_subjects"], 1);
        assert_eq!(names(&of_sys, "connections", "name"), ["sys"]);
        let nothing = topz("acc=B");
        assert_eq!(
            (&nothing["num_subjects"], &nothing["connections"]),
            (&json!(0), &json!([]))
        );
    }
}
