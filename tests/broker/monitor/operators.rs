//! What monitoring tells of accounts and users that come by tokens, over HTTP and by messages of the system account.

use super::events;
use crate::http::get;
use crate::raw::{self, Raw};
use crate::tokens::{Signer, account_body, user_body};
use midge::{AccountToken, Auth, Config, Monitor, OperatorToken, Operators, Running};
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// Keys, accounts and their tokens, of midge and of a nats-server alike.
pub(super) struct World {
    operator: Signer,
    system: Signer,
    exporter: Signer,
    importer: Signer,
    /// A key that vouches for users of the exporter.
    signing: Signer,
    user: Signer,
}

/// A user whose tokens are revoked, and when.
const REVOKED: (u8, i64) = (20, 1_600_000_000);

impl World {
    pub(super) fn new() -> World {
        World {
            operator: Signer::new(Kind::Operator, 1),
            system: Signer::new(Kind::Account, 9),
            exporter: Signer::new(Kind::Account, 2),
            importer: Signer::new(Kind::Account, 5),
            signing: Signer::new(Kind::Account, 7),
            user: Signer::new(Kind::User, 3),
        }
    }

    pub(super) fn exporter(&self) -> &str {
        &self.exporter.public
    }

    pub(super) fn importer(&self) -> &str {
        &self.importer.public
    }

    fn operator_token(&self) -> String {
        let nats = json!({"type": "operator", "version": 2, "system_account": self.system.public});
        let claims = json!({"sub": self.operator.public, "name": "OP", "iat": 5, "nats": nats});
        self.operator.token(claims)
    }

    fn account(&self, key: &Signer, name: &str, has: &Value) -> String {
        let mut nats = account_body();
        for (field, value) in has.as_object().expect("an object") {
            nats[field] = value.clone();
        }
        let claims = json!({"sub": key.public, "name": name, "iat": 5, "nats": nats});
        self.operator.token(claims)
    }

    fn exporter_token(&self) -> String {
        let revoked = Signer::new(Kind::User, REVOKED.0).public;
        let has = json!({
            "tags": ["team:red", "big"],
            "signing_keys": [self.signing.public],
            "revocations": {revoked: REVOKED.1},
            "mappings": {"m.a": [{"subject": "m.b", "weight": 20}]},
            "exports": [
                {"subject": "pub.>", "type": "stream"},
                {"subject": "svc", "type": "service", "service_latency": {"sampling": 50, "results": "lat"}},
                {"subject": "priv", "type": "service", "token_req": true, "revocations": {"*": 1_500_000_000}},
                {"subject": "many", "type": "service", "response_type": "Stream"},
            ],
        });
        self.account(&self.exporter, "acme", &has)
    }

    fn importer_token(&self) -> String {
        let from = &self.exporter.public;
        let has = json!({
            "limits": {"subs": 2, "data": -1, "payload": 100, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1},
            "imports": [
                {"subject": "pub.>", "account": from, "type": "stream", "local_subject": "x.>"},
                {"subject": "svc", "account": from, "type": "service", "local_subject": "my.svc", "share": true},
                {"subject": "many", "account": from, "type": "service"},
            ],
        });
        self.account(&self.importer, "bert", &has)
    }

    fn tokens(&self) -> [String; 3] {
        let system = self.account(&self.system, "SYS", &json!({}));
        [system, self.exporter_token(), self.importer_token()]
    }

    /// All of it in the words of a configuration file.
    pub(super) fn file(&self) -> String {
        let keys = [&self.system, &self.exporter, &self.importer];
        let lines = keys.iter().zip(self.tokens());
        let lines: String = lines
            .map(|(key, token)| format!("{}: {token}\n", key.public))
            .collect();
        let operator = self.operator_token();
        format!(
            "server_name: one\noperator: {operator}\nresolver: MEM\nresolver_preload {{\n{lines}}}\n"
        )
    }

    /// All of it as settings.
    fn config(&self) -> Config {
        let read = |text: String| AccountToken::parse(&text).expect("it is good");
        let operators = Operators {
            tokens: vec![OperatorToken::parse(&self.operator_token()).expect("it is good")],
            preload: self.tokens().map(read).into_iter().collect(),
            ..Operators::default()
        };
        Config {
            server_name: Some("one".to_owned()),
            auth: Auth::Operators(Arc::new(operators)),
            system_account: Some(self.system.public.clone()),
            monitor: Some(Monitor::default()),
            ..raw::config()
        }
    }

    pub(super) fn start(&self) -> Running {
        raw::start(self.config())
    }

    fn user_token(&self, signer: &Signer, name: &str, has: &Value) -> String {
        let mut nats = user_body();
        for (field, value) in has.as_object().expect("an object") {
            nats[field] = value.clone();
        }
        signer.token(json!({"sub": self.user.public, "name": name, "iat": 5, "nats": nats}))
    }

    /// Joe, of the exporter, who has come by its signing key.
    pub(super) fn joe(&self) -> String {
        let has = json!({"issuer_account": self.exporter.public, "tags": ["user:joe", "x"]});
        self.user_token(&self.signing, "joe", &has)
    }

    /// Bob, of the importer, who needs not sign.
    pub(super) fn bob(&self) -> String {
        self.user_token(&self.importer, "bob", &json!({"bearer_token": true}))
    }

    pub(super) fn operator_of_system(&self) -> String {
        self.user_token(&self.system, "sysop", &json!({}))
    }

    /// A client that has come in by this token, and has signed.
    pub(super) fn join(&self, addr: SocketAddr, token: &str) -> Raw {
        let mut client = Raw::dial(addr).expect("it listens");
        let info: Option<Value> = client.next(|op| match op {
            ServerOp::Info { json } => serde_json::from_slice(json).expect("it is JSON"),
            other => panic!("{other:?}"),
        });
        let info = info.expect("it greets");
        let nonce = info["nonce"].as_str().expect("there is something to sign");
        let connect = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
            "name": "app", "lang": "test", "version": "1",
            "jwt": token, "sig": self.user.signature(nonce.as_bytes()),
        });
        client.send(format!("CONNECT {connect}\r\n").as_bytes());
        client.sync();
        client
    }

    /// Takes out of what is told of an account what nats-server imports by itself, and orders the rest, which has no order there.
    pub(super) fn tidy(&self, detail: &mut Value) {
        for list in ["imports", "exports"] {
            let Some(all) = detail.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            all.retain(|one| one["account"] != json!(self.system.public));
            all.sort_by_key(|one| one["subject"].to_string());
            if all.is_empty() {
                detail.as_object_mut().expect("an object").remove(list);
            }
        }
    }

    /// One who hears what happens to clients of the exporter.
    pub(super) fn listen(&self, addr: SocketAddr) -> Raw {
        let mut system = self.join(addr, &self.operator_of_system());
        system.sub("answer", None, "1");
        system.sub(&format!("$SYS.ACCOUNT.{}.>", self.exporter()), None, "2");
        system.sync();
        system
    }
}

/// What the token of an account or of a user says, and what is made of it.
pub(super) const OF_ACCOUNT: &[&str] = &[
    "jwt",
    "issuer_key",
    "name_tag",
    "tags",
    "revoked_user",
    "expired",
    "complete",
    "mappings",
    "exports",
    "imports",
];
pub(super) const OF_USER: &[&str] = &["jwt", "issuer_key", "name_tag", "tags"];

/// What the system account is answered.
pub(super) fn ask(system: &mut Raw, subject: &str, payload: &str) -> Value {
    let len = payload.len();
    system.send(format!("PUB {subject} answer {len}\r\n{payload}\r\n").as_bytes());
    events::next(system).1
}

/// What is told of a client that comes or goes: its account's connections, and the client. With the last token of each subject.
pub(super) fn two(system: &mut Raw) -> Vec<(String, Value)> {
    let next = |_| {
        let (subject, event) = events::next(system);
        let last = subject.rsplit('.').next().unwrap_or_default().to_owned();
        (last, event)
    };
    (0..2).map(next).collect()
}

#[test]
fn an_account_is_told_with_what_its_token_says() {
    let world = World::new();
    let broker = world.start();
    let http = broker.monitor_addr().expect("it is on");
    let detail = |key: &str| {
        let mut answer = get(http, &format!("/accountz?acc={key}")).json();
        answer["account_detail"].take()
    };
    // Nobody has come in it, and it is known.
    let acme = detail(world.exporter());
    let revoked = Signer::new(Kind::User, REVOKED.0).public;
    let token = world.exporter_token();
    for (field, expected) in [
        ("name_tag", json!("acme")),
        ("issuer_key", json!(world.operator.public)),
        ("tags", json!(["team:red", "big"])),
        ("jwt", json!(token)),
        ("revoked_user", json!({revoked: "2020-09-13T12:26:40Z"})),
        ("expired", json!(false)),
        ("complete", json!(true)),
    ] {
        assert_eq!(acme[field], expected, "{field} {acme}");
    }
    assert_eq!(acme["decoded_jwt"]["sub"], json!(world.exporter()));
    assert_eq!(
        acme["decoded_jwt"]["nats"]["exports"][0]["subject"],
        "pub.>"
    );
    assert_eq!(
        acme["exports"],
        json!([
            {"subject": "pub.>", "type": "stream"},
            {"subject": "svc", "type": "service", "response_type": "Singleton",
             "service_latency": {"sampling": 50, "results": "lat"}},
            {"subject": "priv", "type": "service", "response_type": "Singleton", "token_req": true,
             "revoked_activations": {"*": "2017-07-14T02:40:00Z"}},
            {"subject": "many", "type": "service", "response_type": "Streamed"},
        ])
    );
    let _bob = world.join(broker.addr(), &world.bob());
    let bert = detail(world.importer());
    assert_eq!(
        bert["imports"],
        json!([
            {"subject": "pub.>", "account": world.exporter(), "local_subject": "x.>", "type": "stream",
             "invalid": false, "share": false, "tracking": false},
            {"subject": "svc", "account": world.exporter(), "to": "my.svc", "local_subject": "my.svc",
             "type": "service", "invalid": false, "share": true, "tracking": false,
             "latency": {"sampling": 50, "results": "lat"}},
            {"subject": "many", "account": world.exporter(), "to": "many", "local_subject": "many",
             "type": "service", "invalid": false, "share": false, "tracking": false},
        ])
    );
    let mut system = world.listen(broker.addr());
    let info = ask(
        &mut system,
        &format!("$SYS.REQ.ACCOUNT.{}.INFO", world.exporter()),
        "",
    );
    assert_eq!(info["data"], detail(world.exporter()));
    // The name stands beside the key.
    let statz = get(http, "/accstatz").json();
    let asked = ask(&mut system, "$SYS.REQ.ACCOUNT.PING.STATZ", "");
    for statz in [&statz, &asked["data"]] {
        let all = statz["account_statz"].as_array().expect("a list");
        let bert = all.iter().find(|one| one["acc"] == world.importer());
        assert_eq!(bert.expect("it is there")["name"], "bert");
    }
}

#[test]
fn an_account_whose_token_is_pushed_is_told_with_that_and_when_it_came() {
    let world = World::new();
    let broker = world.start();
    let http = broker.monitor_addr().expect("it is on");
    let detail = || {
        let path = format!("/accountz?acc={}", world.exporter());
        get(http, &path).json()["account_detail"].take()
    };
    let before = detail();
    let mut system = world.listen(broker.addr());
    let claims =
        json!({"sub": world.exporter(), "name": "other", "iat": 50, "nats": account_body()});
    let token = world.operator.token(claims);
    let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", world.exporter());
    let answer = ask(&mut system, &subject, &token);
    assert_eq!(answer["data"]["code"], 200, "{answer}");
    let after = detail();
    assert_eq!(
        (&after["name_tag"], &after["jwt"]),
        (&json!("other"), &json!(token))
    );
    let time = |detail: &Value| -> jiff::Timestamp {
        let text = detail["update_time"].as_str().expect("a text");
        text.parse().expect("a time")
    };
    assert!(time(&after) > time(&before), "{before} {after}");
    for gone in ["tags", "revoked_user", "exports"] {
        assert_eq!(after[gone], Value::Null, "{after}");
    }
}

#[test]
fn a_user_is_told_with_what_its_token_says_and_the_text_of_a_bearer_is_not() {
    let world = World::new();
    let broker = world.start();
    let http = broker.monitor_addr().expect("it is on");
    let mut system = world.listen(broker.addr());
    let joe = world.join(broker.addr(), &world.joe());
    let expected = json!({
        "jwt": world.joe(), "issuer_key": world.signing.public, "name_tag": "joe",
        "tags": ["user:joe", "x"],
    });
    let of = |told: &Value| {
        Value::Object(
            OF_USER
                .iter()
                .map(|field| ((*field).to_owned(), told[field].clone()))
                .collect(),
        )
    };
    let [conns, connect] = &two(&mut system)[..] else {
        panic!("there are two")
    };
    assert_eq!(
        (conns.0.as_str(), &conns.1["name"]),
        ("CONNS", &json!("acme"))
    );
    assert_eq!(connect.0, "CONNECT");
    assert_eq!(of(&connect.1["client"]), expected);
    let connz = |query: &str| {
        let path = format!("/connz?acc={}&{query}", world.exporter());
        get(http, &path).json()["connections"][0].take()
    };
    assert_eq!(of(&connz("auth=1")), expected);
    assert_eq!(
        of(&connz("")),
        json!({"jwt": null, "issuer_key": null, "name_tag": null, "tags": null})
    );
    joe.leave();
    let [_, disconnect] = &two(&mut system)[..] else {
        panic!("there are two")
    };
    assert_eq!(disconnect.0, "DISCONNECT");
    assert_eq!(of(&disconnect.1["client"]), expected);
    assert_eq!(of(&connz("state=closed")), expected);

    let bob = world.bob();
    let _bob = world.join(broker.addr(), &bob);
    let body = get(http, &format!("/connz?auth=1&acc={}", world.importer())).body;
    assert!(body.contains(r#""name_tag": "bob""#), "{body}");
    assert!(!body.contains(&bob) && !body.contains("\"jwt\""), "{body}");
}

#[test]
fn what_a_login_limits_counts_as_a_limit_of_its_account() {
    let world = World::new();
    let broker = world.start();
    let http = broker.monitor_addr().expect("it is on");
    let mut bob = world.join(broker.addr(), &world.bob());
    for sid in ["1", "2", "3", "4"] {
        bob.sub("a", None, sid);
    }
    let mut line = || {
        let mut lines = std::iter::from_fn(|| bob.line());
        lines.find(|line| !line.starts_with("INFO"))
    };
    for _ in 0..2 {
        let told = line();
        assert_eq!(
            told.as_deref(),
            Some("-ERR 'maximum subscriptions exceeded'")
        );
    }
    bob.send(b"PUB a 101\r\n");
    while bob.line().is_some() {}
    let limits = &get(http, "/varz").json()["limits"];
    assert_eq!(limits["account"]["refused_subscriptions"], 2, "{limits}");
    assert_eq!(limits["account"]["refused_payloads"], 1, "{limits}");
    let metrics = get(http, "/metrics").body;
    let line = |name: &str| {
        let name = format!("midge_limit_{name}_total{{");
        let of_account = |line: &&str| line.starts_with(&name) && line.contains("of=\"account\"");
        let line = metrics.lines().find(of_account).expect("it is there");
        line.rsplit(' ').next().map(str::to_owned)
    };
    assert_eq!(line("refused_subscriptions").as_deref(), Some("2"));
    assert_eq!(line("refused_payloads").as_deref(), Some("1"));
    // Bytes beyond what the server lets anybody send are no matter of the account.
    let mut joe = world.join(broker.addr(), &world.joe());
    joe.send(b"PUB a 2000000\r\n");
    while joe.line().is_some() {}
    let limits = &get(http, "/varz").json()["limits"];
    assert_eq!(limits["account"]["refused_payloads"], 1, "{limits}");
}
