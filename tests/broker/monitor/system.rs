//! What clients of the system account are told when they ask by messages, and that clients of other accounts are not.

use super::asker::{Asker, start, with_accounts};
use crate::raw;
use midge::{Auth, Broker, State, User, Users};
use midge_protocol::{ServerOp, encode};
use midge_reactor::Reactor;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn the_system_account_is_told_what_http_tells() {
    let broker = start(raw::config());
    let mut sys = Asker::join(broker.addr(), "sys");
    let ping = sys.ask("$SYS.REQ.SERVER.PING", "");
    assert_eq!(ping["server"]["name"], "one");
    assert_eq!(ping["statsz"]["connections"], 1);
    assert_eq!(ping["statsz"]["active_accounts"], 1);
    let id = ping["server"]["id"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    assert_eq!(
        sys.ask("$SYS.REQ.SERVER.PING.IDZ", ""),
        json!({"name": "one", "host": "127.0.0.1", "id": id})
    );
    let before = ping["server"]["seq"].as_u64();
    for name in [
        "VARZ",
        "SUBSZ",
        "CONNZ",
        "ROUTEZ",
        "GATEWAYZ",
        "LEAFZ",
        "ACCOUNTZ",
        "JSZ",
        "HEALTHZ",
        "IPQUEUESZ",
    ] {
        for whose in ["PING", &id] {
            let told = sys.ask(&format!("$SYS.REQ.SERVER.{whose}.{name}"), "");
            assert!(told["data"].is_object(), "{name}: {told}");
            assert_eq!(told["server"]["id"], *id, "{name}");
            assert!(told["server"]["seq"].as_u64() > before, "{name}");
        }
    }
    assert_eq!(
        sys.ask("$SYS.REQ.SERVER.PING.HEALTHZ", "")["data"],
        json!({"status": "ok", "status_code": 200})
    );
    let varz = sys.ask("$SYS.REQ.SERVER.PING.VARZ", "");
    assert_eq!(varz["data"]["system_account"], "$SYS");
    assert_eq!(varz["data"]["http_port"], 0);
}

#[test]
fn what_is_asked_of_an_account_is_told_of_that_account() {
    let broker = start(raw::config());
    let mut ann = Asker::join(broker.addr(), "ann");
    ann.0.sub("work.*", None, "7");
    ann.0.sync();
    let mut sys = Asker::join(broker.addr(), "sys");
    let connz = sys.ask("$SYS.REQ.ACCOUNT.A.CONNZ", r#"{"subscriptions":true}"#);
    let connections = connz["data"]["connections"].as_array().expect("a list");
    assert_eq!(connections.len(), 1, "{connz}");
    assert_eq!(connections[0]["subscriptions"], 2);
    let listed = connections[0]["subscriptions_list"]
        .as_array()
        .map(Vec::len);
    assert_eq!(listed, Some(2));
    let subsz = sys.ask("$SYS.REQ.ACCOUNT.A.SUBSZ", "");
    assert_eq!(
        subsz["data"]["subscriptions_list"].as_array().map(Vec::len),
        Some(2)
    );
    let info = sys.ask("$SYS.REQ.ACCOUNT.A.INFO", "");
    assert_eq!(info["data"]["account_name"], "A");
    assert_eq!(info["data"]["client_connections"], 1);
    let statz = sys.ask("$SYS.REQ.ACCOUNT.A.STATZ", "");
    assert_eq!(statz["data"]["account_statz"][0]["conns"], 1);
    let all = sys.ask("$SYS.REQ.ACCOUNT.PING.STATZ", "");
    assert_eq!(
        all["data"]["account_statz"].as_array().map(Vec::len),
        Some(2)
    );
    let unknown = sys.ask("$SYS.REQ.ACCOUNT.B.INFO", "");
    assert_eq!(
        unknown["error"],
        json!({"code": 500, "description": "Account B does not exist"})
    );
}

#[test]
fn options_choose_what_is_told_and_whom_a_question_is_for() {
    let broker = start(raw::config());
    let mut sys = Asker::join(broker.addr(), "sys");
    let ann = Asker::join(broker.addr(), "ann");
    let limited = sys.ask("$SYS.REQ.SERVER.PING.CONNZ", r#"{"limit":1,"sort":"cid"}"#);
    assert_eq!(limited["data"]["total"], 2);
    assert_eq!(
        limited["data"]["connections"].as_array().map(Vec::len),
        Some(1)
    );
    ann.0.leave();
    let closed = sys.ask("$SYS.REQ.SERVER.PING.CONNZ", r#"{"state":1}"#);
    assert_eq!(closed["data"]["connections"][0]["reason"], "Client Closed");
    // Who is not meant says nothing: the answer that comes is that to the next question.
    for payload in [
        r#"{"server_name":"two"}"#,
        r#"{"cluster":"east"}"#,
        r#"{"host":"10.0.0.1"}"#,
        r#"{"tags":["red"]}"#,
        r#"{"domain":"hub"}"#,
    ] {
        sys.say("$SYS.REQ.SERVER.PING.VARZ", payload);
    }
    let meant = sys.ask(
        "$SYS.REQ.SERVER.PING.IDZ",
        r#"{"server_name":"on","tags":[]}"#,
    );
    assert_eq!(meant["name"], "one");
    let wrong = sys.ask("$SYS.REQ.SERVER.PING.VARZ", "{x");
    assert_eq!(wrong["error"]["code"], 400, "{wrong}");
    let wrong = sys.ask("$SYS.REQ.SERVER.PING.CONNZ", r#"{"limit":"many"}"#);
    assert!(wrong["error"]["description"].is_string(), "{wrong}");
}

#[test]
fn what_is_not_there_has_no_responder_and_other_accounts_reach_nothing() {
    let broker = start(raw::config());
    let mut sys = Asker::join(broker.addr(), "sys");
    let mut ann = Asker::join(broker.addr(), "ann");
    for subject in [
        "$SYS.REQ.SERVER.PING.NOPE",
        "$SYS.REQ.SERVER.NANOTHER.VARZ",
        "$SYS.REQ.ACCOUNT.A.NOPE",
    ] {
        assert_eq!(sys.ask(subject, ""), Value::Null, "{subject}");
    }
    for subject in [
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.SERVER.PING.VARZ",
        "$SYS.REQ.ACCOUNT.A.INFO",
    ] {
        assert_eq!(ann.ask(subject, ""), Value::Null, "{subject}");
    }
    // Without a reply subject there is no answer; one in the middle is no end of those behind it.
    sys.0.publish("$SYS.REQ.SERVER.PING.VARZ", b"");
    assert!(sys.ask("$SYS.REQ.SERVER.PING.VARZ", "")["data"].is_object());
}

#[test]
fn many_questions_at_once_are_answered_in_their_order() {
    let broker = start(raw::config());
    let addr = broker.addr();
    let others: Vec<Asker> = (0..300).map(|_| Asker::join(addr, "ann")).collect();
    let mut sys = Asker::join(addr, "sys");
    for _ in 0..20 {
        // Of several pieces, and of one.
        sys.say("$SYS.REQ.SERVER.PING.CONNZ", r#"{"subscriptions":true}"#);
        sys.say("$SYS.REQ.SERVER.PING.IDZ", "");
    }
    for _ in 0..20 {
        let connz = sys.hear();
        assert_eq!(connz["data"]["total"], others.len() + 1);
        assert_eq!(sys.hear()["name"], "one");
    }
}

#[test]
fn more_questions_than_may_wait_have_no_responder_and_the_service_goes_on() {
    let broker = start(raw::config());
    let addr = broker.addr();
    let others: Vec<Asker> = (0..300).map(|_| Asker::join(addr, "ann")).collect();
    let mut sys = Asker::join(addr, "sys");
    const ASKED: usize = 3000;
    let mut frames = Vec::new();
    for _ in 0..ASKED {
        let payload = br#"{"subscriptions":true,"limit":1}"#;
        encode::publish(
            &mut frames,
            b"$SYS.REQ.SERVER.PING.CONNZ",
            Some(b"answer"),
            payload,
        );
    }
    sys.0.send(&frames);
    let (mut told, mut refused) = (0, 0);
    for _ in 0..ASKED {
        match sys.hear() {
            Value::Null => refused += 1,
            answer => told += usize::from(answer["data"].is_object()),
        }
    }
    assert_eq!(told + refused, ASKED);
    assert!(
        told >= 1024 && refused > 0,
        "{told} answers, {refused} refused"
    );
    drop(others);
    assert_eq!(sys.ask("$SYS.REQ.SERVER.PING.IDZ", "")["name"], "one");
}

#[test]
fn an_answer_that_would_be_too_long_is_an_error() {
    let broker = start(raw::config());
    let mut ann = Asker::join(broker.addr(), "ann");
    let long = "l".repeat(1000);
    for sid in 0..17_000 {
        ann.0.sub(&format!("{sid}.{long}"), None, &sid.to_string());
    }
    ann.0.sync();
    let mut sys = Asker::join(broker.addr(), "sys");
    let told = sys.ask("$SYS.REQ.ACCOUNT.A.CONNZ", r#"{"subscriptions":true}"#);
    let description = told["error"]["description"].as_str().unwrap_or_default();
    assert!(description.contains("limit and offset"), "{description}");
    let told = sys.ask("$SYS.REQ.ACCOUNT.A.CONNZ", "");
    assert_eq!(told["data"]["total"], 1);
}

#[test]
fn a_burst_of_questions_is_answered_over_many_turns() {
    let state = State::new(with_accounts(raw::config())).expect("the settings make sense");
    let mut reactor = Reactor::new(state).expect("there is a selector");
    let addr = reactor.with(|cx| {
        let listener = Broker::listen(cx).expect("a port is free");
        cx.listening_on(listener).expect("it listens")
    });
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_nonblocking(true).expect("the socket is open");
    let mut words =
        b"CONNECT {\"verbose\":false,\"user\":\"sys\",\"pass\":\"\"}\r\nSUB answer 1\r\n".to_vec();
    const ASKED: usize = 200;
    for _ in 0..ASKED {
        encode::publish(
            &mut words,
            b"$SYS.REQ.SERVER.PING.VARZ",
            Some(b"answer"),
            b"",
        );
    }
    stream.write_all(&words).expect("the socket has room");
    let (mut heard, mut answers) = (Vec::new(), 0);
    let mut most = 0;
    while answers < ASKED {
        reactor
            .turn(Some(Duration::from_millis(10)))
            .expect("the selector works");
        let _ = stream.read_to_end(&mut heard);
        let all = heard
            .windows(11)
            .filter(|words| words == b"MSG answer ")
            .count();
        most = most.max(all - answers);
        answers = all;
    }
    // A turn has a thousand places to look at, and an answer in one piece takes 125.
    assert!(most <= 8, "{most} answers in one turn");
}

#[test]
fn a_reload_that_takes_the_system_account_away_ends_the_service() {
    let broker = start(raw::config());
    let mut sys = Asker::join(broker.addr(), "sys");
    assert_eq!(sys.ask("$SYS.REQ.SERVER.PING.IDZ", "")["name"], "one");
    let mut config = with_accounts(raw::config());
    config.port = broker.addr().port();
    Arc::make_mut(&mut config.accounts).remove("$SYS");
    let ann = User {
        name: "ann".to_owned(),
        account: Some("A".to_owned()),
        ..User::default()
    };
    config.auth = Auth::Users {
        users: Users::from(vec![ann]),
        token: None,
    };
    broker
        .handle()
        .reload(config)
        .expect("the settings make sense");
    while sys.0.next(|_| ()).is_some() {}
    let mut ann = Asker::join(broker.addr(), "ann");
    assert_eq!(ann.ask("$SYS.REQ.SERVER.PING", ""), Value::Null);
}

#[test]
fn the_number_of_subscriptions_that_a_subject_has_is_counted() {
    let broker = start(raw::config());
    let mut ann = Asker::join(broker.addr(), "ann").0;
    for (sid, (subject, queue)) in [
        ("a.b", None),
        ("a.*", None),
        ("a.*", Some("q")),
        ("a.b.c", Some("q")),
    ]
    .into_iter()
    .enumerate()
    {
        ann.sub(subject, queue, &(10 + sid).to_string());
    }
    ann.sync();
    let mut sys = Asker::join(broker.addr(), "sys");
    for (subject, count) in [
        ("a.b", 3),
        ("a.x", 2),
        ("b", 0),
        ("a.*", 3),
        ("a.>", 4),
        ("*", 1),
    ] {
        let options = json!({"acc": "A", "subject": subject}).to_string();
        assert_eq!(
            sys.ask("$SYS.REQ.ACCOUNT.NSUBS", &options),
            count,
            "{subject}"
        );
    }
    let options = json!({"acc": "A", "subject": "a.>", "queue": "q"}).to_string();
    assert_eq!(sys.ask("$SYS.REQ.ACCOUNT.NSUBS", &options), 2);
    let options = json!({"acc": "B", "subject": ">"}).to_string();
    assert_eq!(sys.ask("$SYS.REQ.ACCOUNT.NSUBS", &options), 0);
    // That of the system account itself.
    assert_eq!(sys.ask("$SYS.DEBUG.SUBSCRIBERS", "a.b"), 0);
    assert_eq!(sys.ask("$SYS.DEBUG.SUBSCRIBERS", "answer"), 1);
}

#[test]
fn a_connection_is_closed_and_a_client_told_to_go_elsewhere_by_a_request() {
    let broker = start(raw::config());
    let mut sys = Asker::join(broker.addr(), "sys");
    let id = sys.ask("$SYS.REQ.SERVER.PING.IDZ", "")["id"].clone();
    let ask = |sys: &mut Asker, what: &str, options: &str| {
        let id = id.as_str().expect("an id");
        sys.ask(&format!("$SYS.REQ.SERVER.{id}.{what}"), options)
    };
    let error = |told: &Value| {
        (
            told["error"]["code"].clone(),
            told["error"]["description"].clone(),
        )
    };
    // It is the second to come.
    let mut ann = raw::Raw::connect(broker.addr());
    ann.send(b"CONNECT {\"verbose\":false,\"protocol\":1,\"user\":\"ann\",\"pass\":\"\"}\r\n");
    let told = ask(&mut sys, "LDM", r#"{"cid":2}"#);
    assert_eq!(error(&told).0, 500, "it had no PONG yet: {told}");
    ann.sync();
    let told = ask(&mut sys, "LDM", r#"{"cid":2}"#);
    assert!(
        told["server"].is_object() && told["error"].is_null(),
        "{told}"
    );
    let info = ann.next(|op| match op {
        ServerOp::Info { json } => serde_json::from_slice::<Value>(json).ok(),
        _ => None,
    });
    assert_eq!(info.flatten().expect("it is INFO")["ldm"], true);
    for (what, options, code) in [
        ("LDM", r#"{"cid":99}"#, 500),
        ("KICK", r#"{"cid":99}"#, 500),
        ("KICK", r#"{"cid":"2"}"#, 400),
        ("KICK", "", 400),
        ("RELOAD", "", 500),
    ] {
        let told = ask(&mut sys, what, options);
        assert_eq!(error(&told).0, code, "{what} {options}: {told}");
    }
    let told = ask(&mut sys, "KICK", r#"{"cid":2}"#);
    assert!(told["error"].is_null(), "{told}");
    // Without a word.
    assert_eq!(ann.line(), None);
    let closed = sys.ask("$SYS.REQ.SERVER.PING.CONNZ", r#"{"state":1}"#);
    assert_eq!(closed["data"]["connections"][0]["reason"], "Kicked");
    // Nobody else may, nor may all servers be told at once.
    let mut ann = Asker::join(broker.addr(), "ann");
    assert_eq!(ask(&mut ann, "KICK", r#"{"cid":1}"#), Value::Null);
    assert_eq!(
        sys.ask("$SYS.REQ.SERVER.PING.KICK", r#"{"cid":1}"#),
        Value::Null
    );
}
