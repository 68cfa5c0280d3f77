//! Callouts by the settings.

use super::service::{Asked, Service, come, is_in, is_refused, issuer, xkey_text};
use crate::raw::{PATIENCE, Raw, config, start};
use crate::tokens::Signer;
use midge::{Account, Auth, AuthCallout, Config, Permission, Permissions, Running, Subjects, User};
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Users `auth`, which is the service's, and `ann`, in accounts of their own, beside an account that has no users.
fn settings(change: impl Fn(&mut AuthCallout)) -> Config {
    let user = |name: &str, account: &str| User {
        name: name.to_owned(),
        proof: "secret".into(),
        account: Some(account.to_owned()),
        ..User::default()
    };
    let mut callout = AuthCallout {
        issuer: issuer().public,
        account: "AUTH".to_owned(),
        auth_users: vec!["auth".to_owned()],
        ..AuthCallout::default()
    };
    change(&mut callout);
    let accounts = ["AUTH", "A", "B"].map(|name| (name.to_owned(), Account::default()));
    Config {
        auth: Auth::Users {
            users: vec![user("auth", "AUTH"), user("ann", "A")].into(),
            token: None,
        },
        accounts: std::sync::Arc::new(accounts.into()),
        auth_callout: Some(callout),
        ..config()
    }
}

const SERVICE: &str =
    r#"{"verbose":false,"pedantic":false,"headers":true,"user":"auth","pass":"secret"}"#;

fn service(broker: &Running) -> Service {
    Service::join(broker, SERVICE)
}

fn joe() -> Value {
    json!({"verbose": false, "pedantic": false, "user": "joe", "pass": "his password"})
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs() as i64
}

#[test]
fn the_service_is_told_all_of_a_client_and_its_answer_lets_it_in() {
    let broker = start(Config {
        server_name: Some("here".to_owned()),
        server_tags: vec!["a".to_owned()],
        auth_timeout: Some(Duration::from_secs(60)),
        ..settings(|_| {})
    });
    let mut service = service(&broker);
    let mut client = Raw::dial(broker.addr()).expect("the broker listens");
    let info: Option<Value> = client.next(|op| match op {
        ServerOp::Info { json } => serde_json::from_slice(json).expect("it is JSON"),
        other => panic!("{other:?}"),
    });
    let info = info.expect("the broker is there");
    assert_eq!(
        (&info["auth_required"], &info["nonce"]),
        (&json!(true), &Value::Null)
    );
    let connect = json!({
        "verbose": false, "user": "joe", "pass": "his password", "auth_token": "t", "nkey": "UKEY", "sig": "s",
        "jwt": "a.b", "name": "test", "lang": "rust", "version": "1.2", "protocol": 1,
    });
    // What follows waits with it.
    client.send(format!("CONNECT {connect}\r\nSUB a 1\r\nPING\r\n").as_bytes());
    let asked = service.asked();
    let claims = &asked.claims;
    assert_eq!(claims["aud"], json!("nats-authorization-request"));
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&info["server_id"], &json!(issuer().public))
    );
    let (issued, expires) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    assert_eq!(
        expires.zip(issued).map(|(end, begin)| end - begin),
        Some(60)
    );
    assert!(issued.is_some_and(|issued| (now() - issued).abs() < 60));
    let told = asked.told();
    assert_eq!(
        (&told["type"], &told["version"]),
        (&json!("authorization_request"), &json!(2))
    );
    let server = json!({
        "name": "here", "host": "127.0.0.1", "id": info["server_id"], "version": info["version"], "tags": ["a"],
    });
    assert_eq!(told["server_id"], server);
    let who = json!({
        "host": "127.0.0.1", "id": info["client_id"], "user": "UKEY", "name": "test", "kind": "Client", "type": "nats",
    });
    assert_eq!(told["client_info"], who);
    let options = json!({
        "jwt": "a.b", "nkey": "UKEY", "sig": "s", "auth_token": "t", "user": "joe", "pass": "his password",
        "name": "test", "lang": "rust", "version": "1.2", "protocol": 1,
    });
    assert_eq!(told["connect_opts"], options);
    assert!(
        told["user_nkey"]
            .as_str()
            .is_some_and(|key| key.starts_with('U'))
    );
    service.let_in(&asked, "A", |_| {});
    is_in(&mut client);
    // It is in that account, with a user of the settings.
    let mut ann = come(
        &broker,
        &json!({"verbose": false, "user": "ann", "pass": "secret"}),
    );
    let asked = service.asked();
    service.let_in(&asked, "A", |_| {});
    is_in(&mut ann);
    ann.send(b"PUB a 1\r\nx\r\n");
    assert_eq!(client.line().as_deref(), Some("MSG a: x"));
}

#[test]
fn the_service_itself_comes_in_by_the_settings_alone() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut wrong = come(
        &broker,
        &json!({"verbose": false, "user": "auth", "pass": "guess"}),
    );
    is_refused(&mut wrong);
    // It may answer, and not ask.
    service.0.send(b"PUB $SYS.REQ.USER.AUTH 1\r\nx\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"$SYS.REQ.USER.AUTH\"'";
    assert_eq!(service.0.line().as_deref(), Some(denied));
    assert_eq!(service.0.line().as_deref(), Some("PONG"));
    // About one that presents nothing it is asked too.
    let mut silent = come(&broker, &json!({"verbose": false}));
    let asked = service.asked();
    assert_eq!(asked.told()["connect_opts"], json!({"protocol": 0}));
    service.answer(&asked, b"");
    is_refused(&mut silent);
    // And not about one that says nothing it could be let in by.
    let mut hasty = Raw::connect(broker.addr());
    hasty.send(b"SUB a 1\r\n");
    is_refused(&mut hasty);
}

#[test]
fn only_an_answer_that_is_right_in_all_lets_a_client_in() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let stranger = || Signer::new(Kind::Account, 66);
    type Answer = Box<dyn Fn(&Asked) -> String>;
    let wrong_user = |change: fn(&mut Value)| -> Answer {
        Box::new(move |asked| {
            let user = asked.user("A", change);
            asked.response(&issuer(), json!({"jwt": user}))
        })
    };
    let wrong_answer = |change: fn(&mut Value)| -> Answer {
        Box::new(move |asked| {
            let said = json!({"jwt": asked.user("A", |_| {})});
            asked.response_with(&issuer(), said, change)
        })
    };
    let answers: Vec<Answer> = vec![
        Box::new(|_| String::new()),
        Box::new(|_| "no token".to_owned()),
        Box::new(|asked| asked.response(&issuer(), json!({"error": "no way"}))),
        Box::new(|asked| asked.user("A", |_| {})),
        // By a stranger, whole or in part.
        Box::new(move |asked| {
            let user = asked.user("A", |_| {});
            asked.response(&stranger(), json!({"jwt": user}))
        }),
        Box::new(move |asked| {
            let user = asked.user_by(&stranger(), "A", |_| {});
            asked.response(&issuer(), json!({"jwt": user}))
        }),
        wrong_answer(|claims| claims["aud"] = json!("NOTHERE")),
        wrong_answer(|claims| claims["sub"] = json!(Signer::new(Kind::User, 9).public)),
        wrong_answer(|claims| claims["exp"] = json!(7)),
        wrong_user(|claims| claims["aud"] = json!("NOPE")),
        wrong_user(|claims| claims["aud"] = Value::Null),
        wrong_user(|claims| claims["sub"] = json!(Signer::new(Kind::User, 9).public)),
        wrong_user(|claims| claims["exp"] = json!(7)),
        wrong_user(|claims| claims["nats"]["issuer_account"] = json!(issuer().public)),
        wrong_user(|claims| claims["nats"]["allowed_connection_types"] = json!(["WEBSOCKET"])),
        wrong_user(|claims| claims["nats"]["src"] = json!(["10.0.0.0/8"])),
        wrong_user(|claims| claims["nats"]["pub"] = json!({"allow": ["a b"]})),
    ];
    for (number, answer) in answers.iter().enumerate() {
        let mut client = come(&broker, &joe());
        let asked = service.asked();
        service.answer(&asked, answer(&asked).as_bytes());
        let told = client.line();
        assert_eq!(
            told.as_deref(),
            Some("-ERR 'Authorization Violation'"),
            "answer {number}"
        );
        assert_eq!(client.line(), None);
    }
    // An answer to another question is none to this one.
    let mut client = come(&broker, &joe());
    let first = service.asked();
    let old = first.response(&issuer(), json!({"jwt": first.user("A", |_| {})}));
    service.answer(&first, old.as_bytes());
    is_in(&mut client);
    let mut client = come(&broker, &joe());
    let second = service.asked();
    assert_ne!(first.told()["user_nkey"], second.told()["user_nkey"]);
    service.answer(&first, old.as_bytes());
    service.answer(&second, old.as_bytes());
    is_refused(&mut client);
}

#[test]
fn permissions_limits_and_the_end_are_those_of_the_jwt() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    service.let_in(&asked, "A", |user| {
        user["nats"]["pub"] = json!({"allow": ["ok"]});
        user["nats"]["subs"] = json!(1);
        user["nats"]["payload"] = json!(5);
        user["exp"] = json!(now() + 2);
    });
    is_in(&mut client);
    client.send(b"PUB no 1\r\nx\r\nSUB a 1\r\nSUB b 2\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"no\"'";
    assert_eq!(client.line().as_deref(), Some(denied));
    let too_many = "-ERR 'maximum subscriptions exceeded'";
    assert_eq!(client.line().as_deref(), Some(too_many));
    is_in(&mut client);
    let over = "-ERR 'User Authentication Expired'";
    assert_eq!(client.line().as_deref(), Some(over));
    assert_eq!(client.line(), None);
    // One byte more than it may send.
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    service.let_in(&asked, "A", |user| user["nats"]["payload"] = json!(5));
    is_in(&mut client);
    client.send(b"PUB a 6\r\n");
    assert_eq!(
        client.line().as_deref(),
        Some("-ERR 'Maximum Payload Violation'")
    );
}

#[test]
fn who_is_let_into_the_account_of_the_service_hears_and_answers_nothing_there() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    service.let_in(&asked, "AUTH", |_| {});
    is_in(&mut client);
    client.send(
        b"SUB $SYS.REQ.USER.AUTH 1\r\nSUB > 2\r\nPUB $SYS._INBOX.a.b 1\r\nx\r\nPUB $SYS.REQ.USER.AUTH 1\r\nx\r\nPING\r\n",
    );
    for denied in [
        "Subscription to \"$SYS.REQ.USER.AUTH\"",
        "Publish to \"$SYS._INBOX.a.b\"",
        "Publish to \"$SYS.REQ.USER.AUTH\"",
    ] {
        let told = format!("-ERR 'Permissions Violation for {denied}'");
        assert_eq!(client.line(), Some(told));
    }
    is_in(&mut client);
    let mut next = come(&broker, &joe());
    let asked = service.asked();
    service.let_in(&asked, "A", |_| {});
    is_in(&mut next);
    // It has subscribed to all, and heard neither the question nor the answer.
    client.send(b"PING\r\n");
    is_in(&mut client);
}

#[test]
fn a_request_that_is_sealed_is_answered_sealed_or_in_clear() {
    let broker = start(settings(|callout| callout.xkey = Some(xkey_text())));
    let mut service = service(&broker);
    for is_sealed in [true, false] {
        let mut client = come(&broker, &joe());
        let asked = service.asked();
        assert!(asked.sealed_from.is_some());
        assert!(asked.told()["server_id"]["xkey"].is_string());
        assert_eq!(asked.told()["connect_opts"]["pass"], json!("his password"));
        let answer = asked.response(&issuer(), json!({"jwt": asked.user("A", |_| {})}));
        match is_sealed {
            true => service.answer(&asked, &asked.sealed(&answer)),
            false => service.answer(&asked, answer.as_bytes()),
        }
        is_in(&mut client);
    }
    // Who has sealed it is not who has signed it.
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    let stranger = Signer::new(Kind::Account, 66);
    let user = asked.user("A", |_| {});
    let answer = asked.sealed(&asked.response(&stranger, json!({"jwt": user})));
    service.answer(&asked, &answer);
    is_refused(&mut client);
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    service.answer(&asked, b"xkv1 and no more");
    is_refused(&mut client);
}

#[test]
fn without_an_answer_a_client_is_refused_in_time_and_nobody_else_waits() {
    let broker = start(Config {
        auth_timeout: Some(Duration::from_millis(300)),
        ..settings(|_| {})
    });
    // There is no service to ask.
    is_refused(&mut come(&broker, &joe()));
    let mut service = service(&broker);
    let mut waits = come(&broker, &joe());
    let asked = service.asked();
    // While it waits, another one comes in.
    let mut other = come(&broker, &joe());
    let second = service.asked();
    service.let_in(&second, "A", |_| {});
    is_in(&mut other);
    is_refused(&mut waits);
    // An answer that is late counts for nothing.
    service.let_in(&asked, "A", |_| {});
    other.send(b"PING\r\n");
    is_in(&mut other);
}

#[test]
fn clients_that_come_and_go_do_not_bring_more_to_the_service_than_it_has_room_for() {
    let broker = start(Config {
        auth_timeout: Some(PATIENCE),
        ..settings(|_| {})
    });
    let mut service = service(&broker);
    let gone: Vec<Raw> = (0..300).map(|_| come(&broker, &joe())).collect();
    let first = service.asked();
    for client in gone {
        client.vanish();
    }
    // As many as one address may have asked about; the first of them is known already.
    let all: Vec<Asked> = (1..128).map(|_| service.asked()).collect();
    let mut client = come(&broker, &joe());
    let more = service.0.sync_counting().expect("the broker is there");
    assert_eq!(more, 0, "no more are asked at once");
    service.answer(&first, b"");
    let mut asked = service.asked();
    while asked.told()["client_info"]["id"] != json!(302) {
        service.answer(&asked, b"");
        asked = service.asked();
    }
    service.let_in(&asked, "A", |_| {});
    is_in(&mut client);
    drop(all);
}

#[test]
fn users_of_accounts_that_are_not_allowed_come_in_by_the_settings() {
    let broker = start(settings(|callout| {
        callout.allowed_accounts = vec!["B".to_owned()];
    }));
    let mut service = service(&broker);
    let ann = |pass: &str| json!({"verbose": false, "user": "ann", "pass": pass});
    is_in(&mut come(&broker, &ann("secret")));
    is_refused(&mut come(&broker, &ann("guess")));
    let mut client = come(&broker, &joe());
    let asked = service.asked();
    service.let_in(&asked, "B", |_| {});
    is_in(&mut client);
}

#[test]
fn a_reload_with_another_callout_sends_those_away_who_came_in_by_the_former_one() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let come_in = |service: &mut Service| {
        let mut client = come(&broker, &joe());
        let asked = service.asked();
        service.let_in(&asked, "A", |_| {});
        is_in(&mut client);
        client
    };
    let reload = |config: Config| broker.handle().reload(config).expect("it is possible");
    let mut client = come_in(&mut service);
    // Others may be asked, and what is said is sealed: it was let in by the same issuer.
    reload(settings(|callout| callout.xkey = Some(xkey_text())));
    client.send(b"PING\r\n");
    is_in(&mut client);
    // Its permissions are those of its JWT, or else those of its account.
    let deny = Permissions {
        publish: Permission {
            deny: Subjects::new(["a"]),
            ..Permission::default()
        },
        ..Permissions::default()
    };
    let mut denying = settings(|_| {});
    let accounts = std::sync::Arc::make_mut(&mut denying.accounts);
    accounts
        .get_mut("A")
        .expect("it is there")
        .default_permissions = Some(deny.into());
    reload(denying);
    client.send(b"PUB a 1\r\nx\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"a\"'";
    assert_eq!(client.line().as_deref(), Some(denied));
    is_in(&mut client);
    reload(settings(|callout| {
        callout.issuer = Signer::new(Kind::Account, 66).public;
    }));
    is_refused(&mut client);
    reload(settings(|_| {}));
    let mut client = come_in(&mut service);
    // Without a callout, neither is it a user of the settings.
    reload(Config {
        auth_callout: None,
        ..settings(|_| {})
    });
    is_refused(&mut client);
    // Whom the settings have let in, the service would be asked about.
    let ann = json!({"verbose": false, "user": "ann", "pass": "secret"});
    let mut ann = come(&broker, &ann);
    is_in(&mut ann);
    reload(settings(|_| {}));
    is_refused(&mut ann);
    service.0.send(b"PING\r\n");
    assert_eq!(service.0.line().as_deref(), Some("PONG"));
}

#[test]
fn a_client_that_waits_when_settings_change_is_asked_about_anew() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut client = come(&broker, &joe());
    let first = service.asked();
    let reloaded = broker.handle().reload(settings(|callout| {
        callout.auth_users.push("ann".to_owned());
    }));
    reloaded.expect("it is possible");
    let second = service.asked();
    // The answer to the former question counts for nothing.
    service.let_in(&first, "B", |_| {});
    service.let_in(&second, "A", |_| {});
    is_in(&mut client);
    let mut ann = come(
        &broker,
        &json!({"verbose": false, "user": "ann", "pass": "secret"}),
    );
    is_in(&mut ann);
    client.send(b"SUB a 1\r\nPING\r\n");
    is_in(&mut client);
    ann.send(b"PUB a 1\r\nx\r\n");
    assert_eq!(client.line().as_deref(), Some("MSG a: x"));
}
