//! What clients of the system account are told when they ask by messages, and that clients of other accounts are not.

use super::asker::{Asker, start, with_accounts};
use crate::raw;
use midge::{Auth, Broker, State, User, Users};
use midge_protocol::encode;
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
        "$SYS.REQ.SERVER.PING.CONNZ",
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
