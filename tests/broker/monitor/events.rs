//! What clients of the system account are told without asking, and that clients of other accounts are not.

use super::asker::{Asker, start, with_accounts};
use crate::raw::{self, Raw};
use midge::{Auth, Broker, Config, State, User, Users};
use midge_protocol::ServerOp;
use midge_reactor::Reactor;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One who listens to these subjects.
pub(super) fn listen(addr: SocketAddr, user: &str, subjects: &[&str]) -> Raw {
    let mut raw = Asker::join(addr, user).0;
    for (sid, subject) in subjects.iter().enumerate() {
        raw.sub(subject, None, &(100 + sid).to_string());
    }
    raw.sync();
    raw
}

/// The next event, and its subject.
pub(super) fn next(raw: &mut Raw) -> (String, Value) {
    let event = raw.message(|message| {
        let subject = String::from_utf8_lossy(message.subject).into_owned();
        let event = serde_json::from_slice(message.payload).expect("an event is JSON");
        (subject, event)
    });
    event.expect("the connection is open")
}

/// The next event, to a subject that is known.
#[track_caller]
fn next_to(raw: &mut Raw, subject: &str) -> Value {
    let (found, event) = next(raw);
    assert_eq!(found, subject, "{event}");
    event
}

/// The names of an object's fields, in the order in which they stand.
fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

const OF_ACCOUNTS: &[&str] = &["$SYS.ACCOUNT.>", "$SYS.SERVER.ACCOUNT.>"];

#[test]
fn a_client_that_comes_and_goes_is_told_with_the_connections_of_its_account() {
    let broker = start(raw::config());
    let mut sys = listen(broker.addr(), "sys", OF_ACCOUNTS);
    let json = r#"{"verbose":false,"pedantic":false,"user":"ann","pass":"","name":"app","lang":"test","version":"1.2"}"#;
    let mut ann = Raw::join_with(broker.addr(), json);
    let old = next_to(&mut sys, "$SYS.SERVER.ACCOUNT.A.CONNS");
    let new = next_to(&mut sys, "$SYS.ACCOUNT.A.SERVER.CONNS");
    let connect = next_to(&mut sys, "$SYS.ACCOUNT.A.CONNECT");
    assert_eq!(
        old["type"],
        "io.nats.server.advisory.v1.account_connections"
    );
    assert_eq!(
        (&old["acc"], &old["conns"], &old["total_conns"]),
        (&json!("A"), &json!(1), &json!(1))
    );
    assert_eq!(old["id"], new["id"]);
    assert_ne!(new["id"], connect["id"]);
    assert_eq!(old["id"].as_str().map(str::len), Some(22));
    let seq = [&old, &new, &connect].map(|event| event["server"]["seq"].as_u64());
    assert!(seq.is_sorted_by(|one, other| one < other), "{seq:?}");
    assert_eq!(connect["type"], "io.nats.server.advisory.v1.client_connect");
    assert_eq!(connect["server"]["name"], "one");
    let client = &connect["client"];
    assert_eq!(
        fields(client),
        [
            "acc",
            "client_type",
            "host",
            "id",
            "kind",
            "lang",
            "name",
            "start",
            "user",
            "ver"
        ]
    );
    for (field, value) in [
        ("acc", "A"),
        ("client_type", "nats"),
        ("host", "127.0.0.1"),
        ("kind", "Client"),
        ("lang", "test"),
        ("name", "app"),
        ("user", "ann"),
        ("ver", "1.2"),
    ] {
        assert_eq!(client[field], value, "{field}");
    }
    ann.sub("a", None, "1");
    ann.publish("a", b"hello");
    ann.publish("b", b"x");
    ann.sync();
    ann.leave();
    let old = next_to(&mut sys, "$SYS.SERVER.ACCOUNT.A.CONNS");
    next_to(&mut sys, "$SYS.ACCOUNT.A.SERVER.CONNS");
    let disconnect = next_to(&mut sys, "$SYS.ACCOUNT.A.DISCONNECT");
    assert_eq!(old["conns"], 0);
    assert_eq!(
        disconnect["type"],
        "io.nats.server.advisory.v1.client_disconnect"
    );
    assert_eq!(disconnect["reason"], "Client Closed");
    assert_eq!(disconnect["sent"], json!({"msgs": 2, "bytes": 6}));
    assert_eq!(disconnect["received"], json!({"msgs": 1, "bytes": 5}));
    let gone = &disconnect["client"];
    assert_eq!(
        (&gone["id"], &gone["start"]),
        (&client["id"], &client["start"])
    );
    assert!(gone["rtt"].as_u64().is_some_and(|rtt| rtt > 0), "{gone}");
    assert!(gone["stop"].as_str() >= gone["start"].as_str(), "{gone}");
}

#[test]
fn one_that_is_not_let_in_is_told_as_one_of_no_account() {
    let broker = start(raw::config());
    let subjects = ["$SYS.SERVER.*.CLIENT.AUTH.ERR", "$SYS.ACCOUNT.>"];
    let mut sys = listen(broker.addr(), "sys", &subjects);
    for words in [
        &br#"CONNECT {"verbose":false,"user":"zoe","pass":"x","name":"app"}"#[..],
        b"GARBAGE",
    ] {
        let mut zoe = Raw::connect(broker.addr());
        zoe.send(&[words, b"\r\n"].concat());
        while zoe.try_next(|_| ()).is_ok_and(|op| op.is_some()) {}
        let (subject, event) = next(&mut sys);
        let id = event["server"]["id"].as_str().expect("it has an id");
        assert_eq!(subject, format!("$SYS.SERVER.{id}.CLIENT.AUTH.ERR"));
        assert_eq!(
            event["type"],
            "io.nats.server.advisory.v1.client_disconnect"
        );
        assert_eq!(event["reason"], "Authentication Failure");
        assert_eq!(event["client"]["acc"], "$G");
        let names = words.starts_with(b"CONNECT");
        assert_eq!(event["client"]["user"].as_str(), names.then_some("zoe"));
    }
    // What is told of others comes behind that: nothing else was told of those.
    let _ann = Asker::join(broker.addr(), "ann");
    next_to(&mut sys, "$SYS.ACCOUNT.A.SERVER.CONNS");
}

#[test]
fn who_listens_in_the_account_of_one_that_was_not_let_in_hears_of_it() {
    let mut config = with_accounts(raw::config());
    let user = |name: &str, account: Option<&str>| User {
        name: name.to_owned(),
        account: account.map(str::to_owned),
        ..User::default()
    };
    config.auth = Auth::Users {
        users: Users::from(vec![
            user("sys", Some("$SYS")),
            user("gus", None),
            user("ann", Some("A")),
        ]),
        token: None,
    };
    let broker = raw::start(config);
    let subjects = ["$SYS.ACCOUNT.CLIENT.AUTH.ERR"];
    // The system account need not listen itself, but somebody must be there.
    let _sys = Asker::join(broker.addr(), "sys");
    let mut gus = listen(broker.addr(), "gus", &subjects);
    let mut ann = listen(broker.addr(), "ann", &subjects);
    let mut zoe = Raw::connect(broker.addr());
    zoe.send(b"CONNECT {\"user\":\"zoe\",\"pass\":\"x\"}\r\n");
    while zoe.try_next(|_| ()).is_ok_and(|op| op.is_some()) {}
    let event = next_to(&mut gus, subjects[0]);
    assert_eq!(event["client"]["user"], "zoe");
    assert_eq!(ann.sync_counting().expect("it is connected"), 0);
}

#[test]
fn clients_of_other_accounts_hear_of_nothing_and_nothing_is_told_of_the_global_account() {
    let mut config = with_accounts(raw::config());
    let user = |name: &str, account: Option<&str>| User {
        name: name.to_owned(),
        account: account.map(str::to_owned),
        ..User::default()
    };
    config.auth = Auth::Users {
        users: Users::from(vec![
            user("sys", Some("$SYS")),
            user("gus", None),
            user("ann", Some("A")),
        ]),
        token: None,
    };
    let broker = raw::start(config);
    let mut sys = listen(broker.addr(), "sys", OF_ACCOUNTS);
    let mut spies = ["gus", "ann"].map(|user| listen(broker.addr(), user, &["$SYS.>"]));
    for subject in [
        "$SYS.SERVER.ACCOUNT.A.CONNS",
        "$SYS.ACCOUNT.A.SERVER.CONNS",
        "$SYS.ACCOUNT.A.CONNECT",
    ] {
        next_to(&mut sys, subject);
    }
    // Of gus nothing was told, neither before nor now.
    Asker::join(broker.addr(), "gus").0.leave();
    Asker::join(broker.addr(), "sys").0.leave();
    next_to(&mut sys, "$SYS.SERVER.ACCOUNT.$SYS.CONNS");
    for spy in &mut spies {
        assert_eq!(spy.sync_counting().expect("it is connected"), 0);
    }
}

#[test]
fn the_counters_are_told_from_time_to_time_and_when_somebody_asks_for_all() {
    let broker = start(raw::config());
    let mut sys = listen(broker.addr(), "sys", &["$SYS.SERVER.*.STATSZ"]);
    let (subject, first) = next(&mut sys);
    assert_eq!(fields(&first), ["server", "statsz"]);
    assert_eq!(first["statsz"]["connections"], 1);
    assert!(subject.ends_with(".STATSZ"), "{subject}");
    let mut other = Asker::join(broker.addr(), "sys");
    // Without a reply subject it is for all.
    other.0.publish("$SYS.REQ.SERVER.PING.STATSZ", b"");
    other.0.sync();
    let mut told = next(&mut sys);
    while told.1["statsz"]["connections"] != 2 {
        told = next(&mut sys);
    }
    assert_eq!(told.0, subject);
}

#[test]
fn lame_duck_mode_is_told_before_clients_are_sent_away_and_the_end_before_it_comes() {
    let broker = start(Config {
        lame_duck_grace_period: Duration::from_secs(60),
        ..raw::config()
    });
    let mut sys = listen(
        broker.addr(),
        "sys",
        &["$SYS.SERVER.*.LAMEDUCK", "$SYS.SERVER.*.SHUTDOWN"],
    );
    broker.handle().lame_duck();
    let (subject, told) = next(&mut sys);
    let id = told["id"].as_str().expect("it has an id").to_owned();
    assert_eq!(subject, format!("$SYS.SERVER.{id}.LAMEDUCK"));
    assert_eq!(told["name"], "one");
    broker.handle().shutdown();
    let told = next_to(&mut sys, &format!("$SYS.SERVER.{id}.SHUTDOWN"));
    assert_eq!(told["id"], id);
    assert!(sys.message(|_| ()).is_none());
}

#[test]
fn a_burst_of_connections_is_told_over_many_turns_and_of_their_number_not_for_each() {
    let state = State::new(with_accounts(raw::config())).expect("the settings make sense");
    let mut reactor = Reactor::new(state).expect("there is a selector");
    let addr = reactor.with(|cx| {
        let listener = Broker::listen(cx).expect("a port is free");
        cx.listening_on(listener).expect("it listens")
    });
    let connect = |words: &str| {
        let mut stream = TcpStream::connect(addr).expect("it listens");
        stream.set_nonblocking(true).expect("the socket is open");
        stream
            .write_all(words.as_bytes())
            .expect("the socket has room");
        stream
    };
    let mut sys = connect(
        "CONNECT {\"verbose\":false,\"user\":\"sys\",\"pass\":\"\"}\r\nSUB $SYS.ACCOUNT.> 1\r\nSUB $SYS.SERVER.ACCOUNT.> 2\r\nPING\r\n",
    );
    let count = |heard: &[u8], text: &str| {
        let found = heard
            .windows(text.len())
            .filter(|words| *words == text.as_bytes());
        found.count()
    };
    let mut heard = Vec::new();
    let turn = Some(Duration::from_millis(10));
    while count(&heard, "PONG\r\n") == 0 {
        reactor.turn(turn).expect("the selector works");
        let _ = sys.read_to_end(&mut heard);
    }
    heard.clear();
    const COME: usize = 300;
    let ann = "CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"\"}\r\n";
    let clients: Vec<TcpStream> = (0..COME).map(|_| connect(ann)).collect();
    let connected = "MSG $SYS.ACCOUNT.A.CONNECT ";
    while count(&heard, connected) < COME {
        reactor.turn(turn).expect("the selector works");
        let _ = sys.read_to_end(&mut heard);
    }
    let counted = count(&heard, "MSG $SYS.ACCOUNT.A.SERVER.CONNS ");
    assert!((1..COME).contains(&counted), "{counted}");
    // They come a few in a turn, and all go in one.
    drop(clients);
    let sent = |reactor: &Reactor<State>| reactor.state.stats().sent.messages;
    let mut most = 0;
    while count(&heard, "MSG $SYS.ACCOUNT.A.DISCONNECT ") < COME {
        let before = sent(&reactor);
        reactor.turn(turn).expect("the selector works");
        most = most.max(sent(&reactor) - before);
        let _ = sys.read_to_end(&mut heard);
    }
    // Half of a thousand places in a turn, and an event takes 16. One of connections is two messages.
    assert!(most <= 40, "{most} messages in one turn");
}

#[test]
fn without_a_system_account_nothing_is_told() {
    let broker = raw::start(raw::config());
    let mut spy = Raw::join(broker.addr());
    spy.sub("$SYS.>", None, "1");
    spy.sync();
    Raw::join(broker.addr()).leave();
    assert_eq!(spy.sync_counting().expect("it is connected"), 0);
    broker.handle().shutdown();
    while let Some(is_message) = spy.next(|op| matches!(op, ServerOp::Msg(_))) {
        assert!(!is_message);
    }
}

#[test]
fn a_client_for_which_publishers_wait_is_told_when_it_begins_and_when_it_is_over() {
    let broker = start(Config {
        pending_bytes_max: 1 << 20,
        ..raw::config()
    });
    let mut sys = listen(broker.addr(), "sys", &["$SYS.SERVER.*.MIDGE.SLOW"]);
    let ann = br#"CONNECT {"verbose":false,"name":"laggard","user":"ann","pass":""}"#;
    let mut slow = Raw::narrow(broker.addr());
    slow.send(&[ann, &b"\r\nSUB a 7\r\n"[..]].concat());
    slow.sync();
    let addr = broker.addr();
    const MESSAGES: usize = 400;
    const BYTES: usize = 32 * 1024;
    let publishing = std::thread::spawn(move || {
        let mut publisher = Asker::join(addr, "ann").0;
        for _ in 0..MESSAGES {
            publisher.publish("a", &[b'x'; BYTES]);
        }
        publisher.sync();
    });
    let (subject, event) = next(&mut sys);
    assert!(subject.ends_with(".MIDGE.SLOW"), "{subject}");
    assert_eq!(event["type"], "midge.advisory.v1.slow");
    let told = &event["slow"];
    assert_eq!(
        (&told["state"], &told["name"]),
        (&json!("behind"), &json!("laggard"))
    );
    assert_eq!((&told["subject"], &told["sid"]), (&json!("a"), &json!("7")));
    assert!(slow.skim(MESSAGES * BYTES, |_| {}), "it is not closed");
    publishing.join().expect("it has published");
    let mut state = next(&mut sys).1["slow"]["state"].clone();
    while state == "behind" {
        state = next(&mut sys).1["slow"]["state"].clone();
    }
    assert_eq!(state, "caught up");
}

#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_has_ended_is_told() {
    use crate::tls::papers::{Authority, NAME, with};
    let authority = Authority::new();
    authority.show(&authority.paper(NAME));
    let config = Config {
        allow_non_tls: true,
        ..with_accounts(with(authority.tls()))
    };
    let broker = raw::start(config);
    let mut sys = listen(broker.addr(), "sys", &["$SYS.SERVER.*.MIDGE.CERTIFICATE"]);
    authority.show(&authority.paper_until(NAME, 2020));
    let event = next(&mut sys).1;
    assert_eq!(event["type"], "midge.advisory.v1.certificate");
    let told = &event["certificate"];
    assert!(
        told["name"]
            .as_str()
            .is_some_and(|name| name.contains("cert.pem")),
        "{told}"
    );
    assert!(
        told["not_after"]
            .as_str()
            .is_some_and(|date| date.starts_with("20")),
        "{told}"
    );
    assert!(told["text"].is_string(), "{told}");
}
