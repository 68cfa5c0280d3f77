//! What accounts let each other have, as settings change and as monitoring tells it. `dialogue/imports.txt` has what is
//! said on the wire.

use crate::http::get;
use crate::raw::{self, Raw, start};
use midge::{
    Account, Auth, Config, Export, ExportKind, Import, ImportKind, Latency, Monitor, Response,
    Running, Sampling, Service, User,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Two accounts with a user each, `A` and `B`, who have the password `p`.
fn two(exports: Vec<Export>, imports: Vec<Import>) -> Config {
    let user = |name: &str| User {
        name: name.to_lowercase(),
        proof: "p".into(),
        account: Some(name.to_owned()),
        ..User::default()
    };
    let a = Account {
        exports,
        ..Account::default()
    };
    let b = Account {
        imports,
        ..Account::default()
    };
    Config {
        auth: Auth::Users {
            users: vec![user("A"), user("B")].into(),
            token: None,
        },
        accounts: Arc::new([("A".to_owned(), a), ("B".to_owned(), b)].into()),
        monitor: Some(Monitor::default()),
        ..raw::config()
    }
}

fn service(subject: &str) -> Export {
    Export::service(subject).expect("it is right")
}

fn from_a(subject: &str) -> Import {
    Import::service("A", subject).expect("it is right")
}

fn client(broker: &Running, user: &str) -> Raw {
    let json = format!(
        "{{\"user\":\"{user}\",\"pass\":\"p\",\"verbose\":false,\"headers\":true,\"no_responders\":true}}"
    );
    Raw::join_with(broker.addr(), &json)
}

/// The reply subject of the next message.
fn asked(server: &mut Raw) -> String {
    let reply = server.message(|message| message.reply.map(<[u8]>::to_vec));
    let reply = reply.flatten().expect("it asks for an answer");
    String::from_utf8(reply).expect("it is text")
}

/// Answers the next request.
fn answer(server: &mut Raw, payload: &[u8]) {
    let reply = asked(server);
    server.publish(&reply, payload);
}

/// The payload of the next message, or its status.
fn answered(client: &mut Raw) -> String {
    let seen = client.message(|message| [message.header, message.payload].concat());
    String::from_utf8(seen.expect("it stays")).expect("it is text")
}

const NOBODY: &str = "NATS/1.0 503\r\n\r\n";

#[test]
fn a_reload_changes_what_is_imported_and_leaves_the_rest_as_it_is() {
    let exports = || vec![service("one"), service("two")];
    let broker = start(two(exports(), vec![from_a("one")]));
    let [mut server, mut asker] = ["a", "b"].map(|user| client(&broker, user));
    server.sub("*", None, "1");
    server.sync();
    asker.sub("inbox", None, "1");
    asker.send(b"PUB one inbox 0\r\n\r\nPUB two inbox 0\r\n\r\n");
    let waiting = asked(&mut server);
    assert_eq!(answered(&mut asker), NOBODY);
    let both = two(exports(), vec![from_a("one"), from_a("two")]);
    broker.handle().reload(both).expect("they are good");
    // The answer to a request of before still comes.
    server.publish(&waiting, b"1");
    assert_eq!(answered(&mut asker), "1");
    asker.send(b"PUB two inbox 0\r\n\r\n");
    answer(&mut server, b"2");
    assert_eq!(answered(&mut asker), "2");
    let second = two(exports(), vec![from_a("two")]);
    broker.handle().reload(second).expect("they are good");
    asker.send(b"PUB one inbox 0\r\n\r\nPUB two inbox 0\r\n\r\n");
    assert_eq!(answered(&mut asker), NOBODY);
    answer(&mut server, b"3");
    assert_eq!(answered(&mut asker), "3");
    // An import that the exporter does not allow is refused, and what was stays.
    let wrong = two(vec![service("one")], vec![from_a("two")]);
    let error = broker
        .handle()
        .reload(wrong)
        .expect_err("it is not exported");
    assert!(error.to_string().contains("not authorized"), "{error}");
    asker.send(b"PUB two inbox 0\r\n\r\n");
    answer(&mut server, b"4");
    assert_eq!(answered(&mut asker), "4");
    // Without any, the accounts are alone.
    broker
        .handle()
        .reload(two(vec![], vec![]))
        .expect("they are good");
    asker.send(b"PUB two inbox 0\r\n\r\n");
    assert_eq!(answered(&mut asker), NOBODY);
    [server, asker].into_iter().for_each(Raw::leave);
}

#[test]
fn other_terms_of_a_service_hold_after_a_reload() {
    let export = |response| {
        let service = Service {
            response,
            ..Service::default()
        };
        let export = Export::new("svc", ExportKind::Service(service));
        vec![export.expect("it is right")]
    };
    let broker = start(two(export(Response::Singleton), vec![from_a("svc")]));
    let [mut server, mut asker] = ["a", "b"].map(|user| client(&broker, user));
    server.sub("svc", None, "1");
    server.sync();
    asker.sub("inbox", None, "1");
    let mut answers = |count: usize| {
        asker.send(b"PUB svc inbox 0\r\n\r\n");
        let reply = asked(&mut server);
        for _ in 0..3 {
            server.publish(&reply, b"x");
        }
        server.sync();
        (0..count).for_each(|_| assert_eq!(answered(&mut asker), "x"));
        asker.sync();
    };
    answers(1);
    let several = two(export(Response::Stream), vec![from_a("svc")]);
    broker.handle().reload(several).expect("they are good");
    answers(3);
    [server, asker].into_iter().for_each(Raw::leave);
}

#[test]
fn accounts_and_their_counters_are_told_as_messages_cross() {
    let many = ExportKind::Service(Service {
        response: Response::Stream,
        threshold: Some(Duration::from_secs(5)),
        ..Service::default()
    });
    let timed = ExportKind::Service(Service {
        latency: Some(Latency {
            sampling: Sampling::Headers,
            subject: "took".to_owned(),
        }),
        ..Service::default()
    });
    let exports = vec![
        Export::stream("pub.>").expect("it is right"),
        service("svc.*").only_for(["B"]).expect("it is right"),
        Export::new("many", many).expect("it is right"),
        Export::new("timed", timed).expect("it is right"),
    ];
    let stream = Import::stream("A", "pub.>").expect("it is right");
    let imports = vec![
        stream.with_prefix("a").expect("it is right"),
        from_a("svc.x").to("ask").expect("it is right"),
        from_a("timed"),
    ];
    let broker = start(two(exports, imports));
    let http = broker.monitor_addr().expect("it is served");
    let [mut server, mut asker] = ["a", "b"].map(|user| client(&broker, user));
    server.sub("svc.*", None, "1");
    server.sync();
    asker.sub(">", None, "1");
    asker.sync();
    server.publish("pub.1", b"12345");
    assert_eq!(answered(&mut asker), "12345");
    asker.send(b"PUB ask a.reply 2\r\nhi\r\n");
    assert_eq!(answered(&mut asker), "hi");
    answer(&mut server, b"yes");
    assert_eq!(answered(&mut asker), "yes");
    server.sync();

    let detail =
        |name: &str| get(http, &format!("/accountz?acc={name}")).json()["account_detail"].take();
    // As nats-server 2.10.29 answers, but for what it imports by itself, and the threshold, which it leaves out.
    assert_eq!(
        detail("A")["exports"],
        json!([
            {"subject": "pub.>", "type": "stream"},
            {"subject": "svc.*", "type": "service", "response_type": "Singleton", "approved_accounts": ["B"]},
            {"subject": "many", "type": "service", "response_type": "Streamed", "response_threshold": 5_000_000_000_u64},
            {"subject": "timed", "type": "service", "response_type": "Singleton",
             "service_latency": {"sampling": "headers", "results": "took"}},
        ])
    );
    assert_eq!(
        detail("B")["imports"],
        json!([
            {"subject": "pub.>", "account": "A", "local_subject": "a.pub.>", "type": "stream",
             "invalid": false, "share": false, "tracking": false},
            {"subject": "svc.x", "account": "A", "to": "ask", "local_subject": "ask", "type": "service",
             "invalid": false, "share": false, "tracking": false},
            {"subject": "timed", "account": "A", "to": "timed", "local_subject": "timed", "type": "service",
             "invalid": false, "share": false, "tracking": false,
             "latency": {"sampling": "headers", "results": "took"}},
        ])
    );
    let stats = get(http, "/accstatz?unused=1").json();
    let of = |name: &str| {
        let all = stats["account_statz"].as_array().expect("a list");
        let one = all
            .iter()
            .find(|one| one["acc"] == name)
            .expect("it is there");
        let messages = |way: &str| one[way]["msgs"].as_u64().expect("a number");
        (messages("received"), messages("sent"))
    };
    // What was published counts where it was published, what was delivered where it was delivered.
    assert_eq!(of("A"), (2, 1));
    assert_eq!(of("B"), (1, 3));
    [server, asker].into_iter().for_each(Raw::leave);
}

/// Settings in which requests to `svc` of A are measured, and B tells who asks.
fn measured(response_threshold: Option<Duration>, sampling: Sampling, share: bool) -> Config {
    let service = Service {
        threshold: response_threshold,
        latency: Some(Latency {
            sampling,
            subject: "took".to_owned(),
        }),
        ..Service::default()
    };
    let export = Export::new("svc", ExportKind::Service(service)).expect("it is right");
    let import = Import::new("A", "svc", ImportKind::Service { share });
    two(vec![export], vec![import.expect("it is right")])
}

/// The next message as JSON: the value of `Nats-Request-Info`, or else the payload.
#[track_caller]
fn told(client: &mut Raw) -> Value {
    let text = answered(client);
    let header = text.split_once("Nats-Request-Info: ");
    let json = header.map_or(text.as_str(), |(_, rest)| {
        rest.lines().next().unwrap_or_default()
    });
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The fields of an object, in their order.
fn fields(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("it is one");
    object.keys().map(String::as_str).collect()
}

#[test]
fn who_asks_is_told_as_far_as_its_account_shares_that_also_after_a_reload() {
    let broker = start(measured(None, Sampling::Headers, true));
    let mut server = client(&broker, "a");
    server.sub("svc", None, "1");
    server.sync();
    let named = r#"{"user":"b","pass":"p","verbose":false,"headers":true,"name":"my \"name","lang":"test","version":"7"}"#;
    let mut asker = Raw::join_with(broker.addr(), named);
    let mut ask = |asker: &mut Raw| {
        asker.send(b"PUB svc inbox 0\r\n\r\n");
        asker.sync();
        told(&mut server)
    };
    let mut whole = ask(&mut asker);
    let mut expected = [
        "acc",
        "client_type",
        "host",
        "id",
        "kind",
        "lang",
        "name",
        "server",
        "start",
        "user",
        "ver",
    ];
    expected.sort_unstable();
    let mut seen = fields(&whole);
    seen.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(
        (&whole["acc"], &whole["user"], &whole["name"], &whole["ver"]),
        (&json!("B"), &json!("b"), &json!("my \"name"), &json!("7"))
    );
    let reload = |share| {
        let config = measured(None, Sampling::Headers, share);
        broker.handle().reload(config).expect("they are good");
    };
    reload(false);
    let mut seen = ask(&mut asker);
    assert_eq!(seen["acc"], "B");
    assert_eq!(fields(&seen).len(), 1, "{seen}");
    // It is there already when its account begins to share.
    reload(true);
    seen = ask(&mut asker);
    // Its beginning is reckoned from its age, each time anew.
    let starts = [&mut seen, &mut whole].map(|one| one["start"].take());
    assert!(starts.iter().all(Value::is_string), "{starts:?}");
    assert_eq!(seen, whole);
    [server, asker].into_iter().for_each(Raw::leave);
}

#[test]
fn how_long_a_service_takes_is_told_whatever_becomes_of_a_request() {
    let threshold = Some(Duration::from_millis(100));
    let broker = start(measured(threshold, Sampling::Percent(100), false));
    let [mut watcher, mut asker] = ["a", "b"].map(|user| client(&broker, user));
    watcher.sub("took", None, "1");
    watcher.sync();
    asker.sub("inbox", None, "1");
    asker.send(b"PUB svc inbox 0\r\n\r\n");
    assert_eq!(answered(&mut asker), NOBODY);
    let nobody = told(&mut watcher);
    asker.send(b"PUB svc 0\r\n\r\n");
    let no_reply = told(&mut watcher);
    let mut server = client(&broker, "a");
    server.sub("svc", None, "1");
    server.sync();
    asker.send(b"PUB svc inbox 0\r\n\r\n");
    let late = told(&mut watcher);
    let reply = asked(&mut server);
    // What comes behind that answers no request.
    server.publish(&reply, b"late");
    for (event, status, text) in [
        (&nobody, 503, "Service Unavailable"),
        (&no_reply, 400, "Bad Request"),
        (&late, 504, "Service Timeout"),
    ] {
        assert_eq!(event["type"], "io.nats.server.metric.v1.service_latency");
        assert_eq!(
            (&event["status"], &event["description"]),
            (&json!(status), &json!(text))
        );
        assert_eq!(event["requestor"]["acc"], "B");
        assert!(event.get("responder").is_none(), "{event}");
        let times = ["service", "system", "total"].map(|name| event[name].as_u64());
        assert_eq!(times, [Some(0); 3]);
    }
    let patient = measured(None, Sampling::Percent(100), false);
    broker.handle().reload(patient).expect("they are good");
    asker.send(b"PUB svc inbox 0\r\n\r\n");
    answer(&mut server, b"yes");
    assert_eq!(answered(&mut asker), "yes");
    let event = told(&mut watcher);
    assert_eq!(event["status"], 200, "{event}");
    // No round trip was measured.
    assert_eq!(fields(&event["requestor"]), ["acc"], "{event}");
    let responder = &event["responder"];
    assert_eq!(
        (&responder["acc"], &responder["user"]),
        (&json!("A"), &json!("a"))
    );
    let nanoseconds = |name: &str| event[name].as_u64().expect("a number");
    assert_eq!(nanoseconds("service"), nanoseconds("total"));
    [watcher, server, asker].into_iter().for_each(Raw::leave);
}

#[test]
fn a_request_tells_the_round_trip_of_its_client_from_the_first_answer_to_a_ping_on() {
    let broker = start(Config {
        ping_interval: Duration::from_millis(1),
        pings_out_max: u32::MAX,
        ..measured(None, Sampling::Headers, false)
    });
    let [mut server, mut asker] = ["a", "b"].map(|user| client(&broker, user));
    server.sub("svc", None, "1");
    server.sync();
    while asker.line_or_ping().as_deref() != Some("PING") {}
    for (words, expected) in [("", ["acc"].as_slice()), ("PONG\r\n", &["acc", "rtt"])] {
        asker.send(format!("{words}PUB svc inbox 0\r\n\r\n").as_bytes());
        let seen = told(&mut server);
        assert_eq!(fields(&seen), expected, "{seen}");
    }
    [server, asker].into_iter().for_each(Raw::leave);
}
