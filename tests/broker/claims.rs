//! What accounts that come by tokens let each other have: exports, imports and mappings of their claims, as other tokens
//! come and activations end. `imports.rs` has the same for accounts of the settings.

use crate::operator::serve;
use crate::raw::{Raw, config, start};
use crate::tokens::{Signer, account_body, user_body};
use midge::{AccountToken, Auth, Config, OperatorToken, Operators, Preload, Resolver, Running};
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

fn operator() -> Signer {
    Signer::new(Kind::Operator, 1)
}

/// The account of this number: 1 is the system account.
fn key(number: u8) -> Signer {
    Signer::new(Kind::Account, 10 + number)
}

fn name(number: u8) -> String {
    key(number).public
}

/// The token of an account, which has this beside what lets everything in.
fn token(number: u8, issued_at: i64, has: &Value) -> String {
    let mut nats = account_body();
    for (name, value) in has.as_object().expect("it is one") {
        nats[name] = value.clone();
    }
    operator().token(json!({"sub": name(number), "iat": issued_at, "nats": nats}))
}

/// An activation by which `exporter` lets `importer` have something.
fn activation(exporter: u8, importer: u8, subject: &str, change: impl Fn(&mut Value)) -> String {
    let nats = json!({"type": "activation", "version": 2, "subject": subject, "kind": "service"});
    let mut claims = json!({"sub": name(importer), "iat": 100, "nats": nats});
    change(&mut claims);
    key(exporter).token(claims)
}

fn service(subject: &str) -> Value {
    json!({"subject": subject, "type": "service"})
}

/// An import of a service, which is called `local`.
fn from(exporter: u8, subject: &str, local: &str) -> Value {
    json!({"account": name(exporter), "subject": subject, "type": "service", "local_subject": local})
}

/// A broker that knows these accounts from the start, and the system account.
fn broker(accounts: &[(u8, Value)], resolver: Resolver) -> Running {
    let nats = json!({"type": "operator", "version": 2, "system_account": name(1)});
    let trusted = operator().token(json!({"sub": operator().public, "nats": nats}));
    let system = (1, json!({}));
    let preload: Preload = [&system]
        .into_iter()
        .chain(accounts)
        .map(|(number, has)| AccountToken::parse(&token(*number, 100, has)).expect("it is good"))
        .collect();
    let is_elsewhere = matches!(resolver, Resolver::Url(_));
    let operators = Operators {
        tokens: vec![OperatorToken::parse(&trusted).expect("it is good")],
        preload: if is_elsewhere {
            Preload::default()
        } else {
            preload
        },
        resolver,
        ..Operators::default()
    };
    start(Config {
        auth: Auth::Operators(Arc::new(operators)),
        system_account: Some(name(1)),
        ..config()
    })
}

/// A client of an account.
fn client(broker: &Running, number: u8) -> Raw {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 9).public;
    let jwt = key(number).token(json!({"sub": user, "iat": 50, "nats": nats}));
    let connect = json!({"verbose": false, "headers": true, "no_responders": true, "jwt": jwt});
    Raw::join_with(broker.addr(), &connect.to_string())
}

/// Brings a token, as an operator does.
fn push(system: &mut Raw, number: u8, issued_at: i64, has: &Value) {
    let token = token(number, issued_at, has);
    let (subject, len) = (
        format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", name(number)),
        token.len(),
    );
    system.send(
        format!("SUB pushed 1\r\nUNSUB 1 1\r\nPUB {subject} pushed {len}\r\n{token}\r\n")
            .as_bytes(),
    );
    let answer = answered(system);
    assert!(answer.contains("jwt updated"), "{answer}");
}

/// The payload of the next message, or its status.
#[track_caller]
fn answered(client: &mut Raw) -> String {
    let seen = client.message(|message| [message.header, message.payload].concat());
    String::from_utf8(seen.expect("it stays")).expect("it is text")
}

/// One who serves `svc.>` and answers with the subject, and one who asks.
struct Pair {
    server: Raw,
    asker: Raw,
}

impl Pair {
    fn new(broker: &Running, exporter: u8, importer: u8) -> Pair {
        let (mut server, mut asker) = (client(broker, exporter), client(broker, importer));
        server.sub("svc.>", None, "1");
        server.sync();
        asker.sub("inbox", None, "1");
        asker.sync();
        Pair { server, asker }
    }

    /// The subject under which a request comes to the one who serves; `None` if there is no responder.
    #[track_caller]
    fn ask(&mut self, subject: &str) -> Option<String> {
        self.asker
            .send(format!("PUB {subject} inbox 0\r\n\r\nPING\r\n").as_bytes());
        // That there is no responder is told before the PONG.
        match self.asker.line()?.as_str() {
            "PONG" => {}
            other => {
                // It has a header alone.
                assert_eq!(other, "MSG inbox: ");
                assert_eq!(self.asker.line().as_deref(), Some("PONG"));
                return None;
            }
        }
        let seen = self.server.message(|message| {
            let texts = [message.subject, message.reply.unwrap_or_default()];
            texts.map(|text| String::from_utf8_lossy(text).into_owned())
        });
        let [subject, reply] = seen.expect("the broker is there");
        self.server.publish(&reply, subject.as_bytes());
        Some(answered(&mut self.asker))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs() as i64
}

const A: u8 = 2;
const B: u8 = 3;
const C: u8 = 4;

#[test]
fn exports_and_imports_of_tokens_hold_in_either_form() {
    let exports = json!([
        service("svc.one"), service("svc.two.*.*"), service("svc.old.*"),
        {"subject": "svc.own.*", "type": "service", "account_token_position": 3},
        {"subject": "pub.>", "type": "stream"},
    ]);
    let own = format!("svc.own.{}", name(B));
    let imports = json!([
        from(A, "svc.one", ""),
        from(A, "svc.two.*.*", "two.$2.$1"),
        // The older form has the subjects the other way round.
        {"account": name(A), "subject": "old.*", "to": "svc.old.*", "type": "service"},
        from(A, &own, "own"),
        {"account": name(A), "subject": "pub.>", "to": "before", "type": "stream"},
        {"account": name(A), "subject": "pub.*.x", "local_subject": "x.$1", "type": "stream"},
        // It is under the name of another account, and is left out.
        from(A, &format!("svc.own.{}", name(C)), "others"),
    ]);
    let accounts = [
        (A, json!({"exports": exports})),
        (B, json!({"imports": imports})),
    ];
    let broker = broker(&accounts, Resolver::Memory);
    let mut pair = Pair::new(&broker, A, B);
    for (subject, expected) in [
        ("svc.one", Some("svc.one")),
        ("two.a.b", Some("svc.two.b.a")),
        ("old.a", Some("svc.old.a")),
        ("own", Some(own.as_str())),
        ("others", None),
        ("svc.two.a.b", None),
    ] {
        assert_eq!(pair.ask(subject).as_deref(), expected, "{subject}");
    }
    pair.asker.sub("*.>", None, "2");
    pair.asker.sync();
    pair.server.publish("pub.a.x", b"hi");
    let mut subjects = [(); 2].map(|()| {
        let subject = pair.asker.message(|message| message.subject.to_vec());
        String::from_utf8(subject.expect("it stays")).expect("it is text")
    });
    subjects.sort();
    assert_eq!(subjects, ["before.pub.a.x", "x.a"]);
}

#[test]
fn mappings_of_a_token_hold_for_what_its_clients_publish_and_for_what_they_serve() {
    let mappings = json!({
        "a.*": [{"subject": "svc.b.$1"}],
        "svc.one": [{"subject": "svc.mapped", "weight": 100}],
        "c": [{"subject": "svc.elsewhere", "cluster": "other"}, {"subject": "svc.here"}],
        // No subject can be made of this, and the others hold.
        "d.*": [{"subject": "svc.$2"}],
    });
    let accounts = [
        (
            A,
            json!({"exports": [service("svc.one")], "mappings": mappings}),
        ),
        (B, json!({"imports": [from(A, "svc.one", "")]})),
    ];
    let broker = broker(&accounts, Resolver::Memory);
    let mut pair = Pair::new(&broker, A, B);
    assert_eq!(pair.ask("svc.one").as_deref(), Some("svc.mapped"));
    for (subject, expected) in [("a.x", "svc.b.x"), ("c", "svc.here")] {
        pair.server.publish(subject, b"");
        let seen = pair.server.message(|message| message.subject.to_vec());
        assert_eq!(seen.as_deref(), Some(expected.as_bytes()));
    }
    let mut system = client(&broker, 1);
    let without = json!({"exports": [service("svc.one")]});
    push(&mut system, A, 200, &without);
    assert_eq!(pair.ask("svc.one").as_deref(), Some("svc.one"));
}

#[test]
fn tokens_that_come_add_and_remove_imports_and_leave_the_others_as_they_are() {
    let both = json!({"exports": [service("svc.one"), service("svc.two")]});
    let of = |imports: Value| json!({"imports": imports});
    let accounts = [(A, both.clone()), (B, of(json!([from(A, "svc.one", "")])))];
    let broker = broker(&accounts, Resolver::Memory);
    let mut pair = Pair::new(&broker, A, B);
    let mut system = client(&broker, 1);
    // A request that waits while all of it changes.
    pair.asker.send(b"PUB svc.one inbox 0\r\n\r\n");
    let waiting = pair
        .server
        .message(|message| message.reply.map(<[u8]>::to_vec));
    let waiting = String::from_utf8(waiting.flatten().expect("it asks")).expect("it is text");
    assert_eq!(pair.ask("svc.two"), None);
    let imports = json!([from(A, "svc.one", ""), from(A, "svc.two", "")]);
    push(&mut system, B, 200, &of(imports));
    assert_eq!(pair.ask("svc.two").as_deref(), Some("svc.two"));
    // The exporter offers less, and then as much as before.
    push(
        &mut system,
        A,
        200,
        &json!({"exports": [service("svc.one")]}),
    );
    assert_eq!(pair.ask("svc.two"), None);
    assert_eq!(pair.ask("svc.one").as_deref(), Some("svc.one"));
    push(&mut system, A, 300, &both);
    assert_eq!(pair.ask("svc.two").as_deref(), Some("svc.two"));
    push(&mut system, B, 300, &of(json!([from(A, "svc.two", "")])));
    assert_eq!(pair.ask("svc.one"), None);
    // The way back of a request is that of its import, which is there no longer; that of the other one is.
    assert_eq!(pair.ask("svc.two").as_deref(), Some("svc.two"));
    pair.server.publish(&waiting, b"late");
    pair.server.sync();
    assert_eq!(answered(&mut pair.asker), "late");
}

#[test]
fn an_activation_lets_its_account_in_until_it_is_revoked() {
    let private = |revocations: Value| {
        json!({"exports": [{"subject": "svc.priv", "type": "service",
        "token_req": true, "revocations": revocations}]})
    };
    let mut import = from(A, "svc.priv", "");
    let bare = json!({"imports": [import]});
    import["token"] = json!(activation(A, B, "svc.*", |_| {}));
    let allowed = json!({"imports": [import]});
    let accounts = [(A, private(json!({}))), (B, allowed), (C, bare.clone())];
    let broker = broker(&accounts, Resolver::Memory);
    let mut pair = Pair::new(&broker, A, B);
    let mut other = client(&broker, C);
    other.sub("inbox", None, "1");
    let mut system = client(&broker, 1);
    assert_eq!(pair.ask("svc.priv").as_deref(), Some("svc.priv"));
    other.send(b"PUB svc.priv inbox 0\r\n\r\n");
    assert!(answered(&mut other).contains("503"));
    let mut issued_at = 200;
    for (revocations, is_served) in [
        (json!({name(B): 100}), false),
        (json!({}), true),
        (json!({"*": 100}), false),
        (json!({"*": 99, name(C): 500}), true),
    ] {
        push(&mut system, A, issued_at, &private(revocations.clone()));
        issued_at += 100;
        assert_eq!(pair.ask("svc.priv").is_some(), is_served, "{revocations}");
    }
    // What needs no activation any more is for all.
    push(
        &mut system,
        A,
        issued_at,
        &json!({"exports": [service("svc.priv")]}),
    );
    std::mem::swap(&mut pair.asker, &mut other);
    assert_eq!(pair.ask("svc.priv").as_deref(), Some("svc.priv"));
}

#[test]
fn an_activation_that_begins_or_is_over_changes_imports_in_that_second() {
    let exports = json!({"exports": [{"subject": "svc.*", "type": "service", "token_req": true}]});
    let timed = |subject: &str, field: &str, second: i64| {
        let mut import = from(A, subject, "");
        import["token"] = json!(activation(A, B, subject, |claims| claims[field] = json!(second)));
        import
    };
    let second = now() + 2;
    let imports = json!({"imports": [
        timed("svc.ends", "exp", second), timed("svc.begins", "nbf", second)]});
    let broker = broker(&[(A, exports), (B, imports)], Resolver::Memory);
    let mut pair = Pair::new(&broker, A, B);
    let (mut ends, mut begins) = (Vec::new(), Vec::new());
    // Asked without a pause until both have changed: what comes to pass is the order, whenever that is.
    loop {
        ends.push(pair.ask("svc.ends").is_some());
        begins.push(pair.ask("svc.begins").is_some());
        if ends.last() == Some(&false) && begins.last() == Some(&true) {
            break;
        }
        assert!(now() < second + 30, "nothing has changed");
    }
    // Unless the machine was so busy that the second had come before.
    let changes = |seen: &[bool]| seen.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(
        changes(&ends) <= 1 && changes(&begins) <= 1,
        "{ends:?} {begins:?}"
    );
}

#[test]
fn what_would_lead_back_is_left_out_and_comes_when_the_other_way_is_gone() {
    let export = json!([service("svc.>")]);
    let both = |exporter| json!({"exports": export, "imports": [from(exporter, "svc.x", "")]});
    let broker = broker(&[(A, both(B)), (B, both(A))], Resolver::Memory);
    // B comes first, so it is the import of A that would close the ring.
    let mut pair = Pair::new(&broker, B, A);
    assert_eq!(pair.ask("svc.x"), None);
    let mut system = client(&broker, 1);
    push(&mut system, B, 200, &json!({"exports": export}));
    assert_eq!(pair.ask("svc.x").as_deref(), Some("svc.x"));
}

/// A server of HTTP with these accounts, by key, which are given out when it is told so.
fn resolver(accounts: HashMap<String, String>) -> (String, Sender<()>) {
    let (gate, opened) = channel();
    // Each account waits until the test says so.
    let may_answer = move |path: &str| path.ends_with('/') || opened.recv().is_ok();
    let find = move |key: &str| accounts.get(key).cloned();
    (serve(find, may_answer, |_| true), gate)
}

#[test]
fn an_exporter_that_has_to_be_asked_for_is_imported_from_when_it_has_come() {
    let accounts = [
        (1, json!({})),
        (A, json!({"exports": [service("svc.>")]})),
        (B, json!({"imports": [from(A, "svc.x", "")]})),
    ];
    let known = accounts
        .iter()
        .map(|(number, has)| (name(*number), token(*number, 100, has)));
    let (url, gate) = resolver(known.collect());
    gate.send(()).expect("it waits");
    let broker = broker(&[], Resolver::Url(url));
    // The importer comes, and its exporter is asked for, of which no client has come yet.
    let mut asker = client(&broker, B);
    asker.sub("inbox", None, "1");
    asker.send(b"PUB svc.x inbox 0\r\n\r\n");
    assert!(answered(&mut asker).contains("503"));
    gate.send(()).expect("it waits");
    // Its server waits for the same answer, and behind it the import is there.
    let mut server = client(&broker, A);
    server.sub("svc.>", None, "1");
    server.sync();
    asker.send(b"PUB svc.x inbox 0\r\n\r\nPING\r\n");
    assert_eq!(asker.line().as_deref(), Some("PONG"));
    let subject = server.message(|message| message.subject.to_vec());
    assert_eq!(subject.as_deref(), Some(&b"svc.x"[..]));
}

/// A broker that asks a server of HTTP for these accounts, by number, and what that is asked for from here on.
fn asking(accounts: &[(u8, String)]) -> (Running, Receiver<String>) {
    let system = (1, token(1, 100, &json!({})));
    let all = accounts.iter().chain([&system]);
    let known = all.map(|(number, token)| (name(*number), token.clone()));
    let (url, asked) = crate::operator::resolver(known.collect());
    let broker = broker(&[], Resolver::Url(url));
    assert_eq!(asked.recv().as_deref(), Ok("/accounts/"));
    (broker, asked)
}

/// Waits until the server was asked for an account that it does not have: what was wanted before was asked for too.
fn ask_in_vain(broker: &Running, number: u8) {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 9).public;
    let jwt = key(number).token(json!({"sub": user, "iat": 50, "nats": nats}));
    let mut stranger = Raw::connect(broker.addr());
    stranger.send(format!("CONNECT {}\r\nPING\r\n", json!({"jwt": jwt})).as_bytes());
    let denied = "-ERR 'Authorization Violation'";
    assert_eq!(stranger.line().as_deref(), Some(denied));
}

#[test]
fn exporters_whose_tokens_are_no_good_are_each_asked_for_once() {
    let over = |number: u8| {
        let nats = account_body();
        let claims = json!({"sub": name(number), "iat": 100, "exp": 7, "nats": nats});
        (number, operator().token(claims))
    };
    let imports = json!([from(A, "svc.a", ""), from(C, "svc.c", "")]);
    let importer = |issued_at| token(B, issued_at, &json!({"imports": imports}));
    let (broker, asked) = asking(&[over(A), over(C), (B, importer(100))]);
    let _importer = client(&broker, B);
    let mut system = client(&broker, 1);
    for number in 0..3 {
        ask_in_vain(&broker, 20 + number);
    }
    // They are wanted again, and rest.
    push(&mut system, B, 200, &json!({"imports": imports}));
    for number in 0..3 {
        ask_in_vain(&broker, 30 + number);
    }
    let mut counts = HashMap::new();
    for path in asked.try_iter() {
        *counts.entry(path).or_insert(0) += 1;
    }
    for number in [A, C] {
        let path = format!("/accounts/{}", name(number));
        assert_eq!(counts.get(&path), Some(&1), "{counts:?}");
    }
    assert_eq!(counts.len(), 2 + 2 + 6, "{counts:?}");
}

#[test]
fn an_account_that_is_open_has_what_its_renewed_token_says() {
    let (sender, asked) = channel();
    // The exporter's is over soon after it was asked for, and the next one is another.
    let is_renewed = AtomicBool::new(false);
    let find = move |key: &str| {
        let number = [1, A, B].into_iter().find(|number| name(*number) == key)?;
        let has = match number {
            B => json!({"imports": [from(A, "svc.x", "")]}),
            A if is_renewed.swap(true, Relaxed) => {
                json!({"mappings": {"mapped": [{"subject": "other"}]}})
            }
            A => {
                let mut nats = account_body();
                nats["exports"] = json!([service("svc.>")]);
                let claims = json!({"sub": key, "iat": 100, "exp": now() + 3, "nats": nats});
                return Some(operator().token(claims));
            }
            _ => json!({}),
        };
        Some(token(number, 200, &has))
    };
    let url = serve(find, |_| true, move |path| sender.send(path).is_ok());
    let broker = broker(&[], Resolver::Url(url));
    let mut importer = client(&broker, B);
    let mut server = client(&broker, A);
    server.sub("svc.>", None, "1");
    server.sync();
    // Its import keeps the exporter open.
    importer.send(b"PUB svc.x 0\r\n\r\n");
    let subject = server.message(|message| message.subject.to_vec());
    assert_eq!(subject.as_deref(), Some(&b"svc.x"[..]));
    let over = "-ERR 'Account Authentication Expired'";
    assert_eq!(server.line().as_deref(), Some(over));
    let mut server = client(&broker, A);
    server.sub("other", None, "1");
    server.sync();
    server.publish("mapped", b"");
    let subject = server.message(|message| message.subject.to_vec());
    assert_eq!(subject.as_deref(), Some(&b"other"[..]));
    importer.sub("inbox", None, "1");
    importer.send(b"PUB svc.x inbox 0\r\n\r\n");
    assert!(answered(&mut importer).contains("503"));
    let of_exporter = |path: &String| path.ends_with(&name(A));
    assert_eq!(asked.try_iter().filter(of_exporter).count(), 2);
}
