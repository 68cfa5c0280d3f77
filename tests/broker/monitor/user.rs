//! What a client of any account is told of itself and of its own account when it asks the broker, and that it is told
//! nothing of others.

use super::asker::{Asker, start, with_accounts};
use crate::raw::{self, Raw};
use midge::{
    Auth, Config, Permission, Permissions, Responses, Subjects, Subscriptions, User, Users,
};
use midge_protocol::encode;
use serde_json::{Value, json};
use std::time::Duration;

const INFO: &str = "$SYS.REQ.USER.INFO";

/// What an account may be asked by its own clients.
const OF_ACCOUNT: &[&str] = &[
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.SERVER.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.PING.STATZ",
];

/// Two accounts, of which one has a user with permissions.
fn with_permissions() -> Config {
    let mut config = with_accounts(raw::config());
    let user = |name: &str, account: &str| User {
        name: name.to_owned(),
        account: Some(account.to_owned()),
        ..User::default()
    };
    let permissions = Permissions {
        publish: Permission {
            allow: Some(Subjects::new(["$SYS.REQ.>", "a"])),
            deny: Subjects::new(["$SYS.REQ.ACCOUNT.>"]),
        },
        subscribe: Permission {
            allow: None,
            deny: Subscriptions::parse(["secret"]).expect("a subject"),
        },
        responses: Some(Responses {
            max: Some(5),
            expires: Some(Duration::from_secs(60)),
        }),
    };
    let tom = User {
        permissions: Some(permissions.into()),
        ..user("tom", "A")
    };
    config.auth = Auth::Users {
        users: Users::from(vec![
            user("sys", "$SYS"),
            user("ann", "A"),
            user("bob", "B"),
            tom,
        ]),
        token: None,
    };
    let accounts = std::sync::Arc::make_mut(&mut config.accounts);
    accounts.insert("B".to_owned(), midge::Account::default());
    config
}

#[test]
fn a_client_is_told_who_it_is_and_what_it_may_do() {
    let broker = raw::start(with_permissions());
    for (user, account) in [("ann", "A"), ("bob", "B"), ("sys", "$SYS")] {
        let mut asker = Asker::join(broker.addr(), user);
        let told = asker.ask(INFO, "");
        assert_eq!(told["data"], json!({"user": user, "account": account}));
        assert_eq!(told["server"]["name"], "one");
        // Also when it asks with a payload that is no JSON, and once more.
        assert_eq!(asker.ask(INFO, "{x")["data"]["user"], user);
    }
    let mut tom = Asker::join(broker.addr(), "tom");
    assert_eq!(
        tom.ask(INFO, "")["data"]["permissions"],
        json!({
            "publish": {"allow": ["$SYS.REQ.>", "a"], "deny": ["$SYS.REQ.ACCOUNT.>"]},
            "subscribe": {"deny": ["secret"]},
            "responses": {"max": 5, "ttl": 60_000_000_000_u64},
        })
    );
    // What it may not publish, it does not ask.
    tom.say("$SYS.REQ.ACCOUNT.PING.STATZ", "");
    let line = tom.0.line().expect("it is connected");
    assert!(
        line.starts_with("-ERR 'Permissions Violation for Publish"),
        "{line}"
    );
}

#[test]
fn without_a_system_account_a_client_is_told_who_it_is_and_no_more() {
    let broker = raw::start(raw::config());
    let mut asker = Asker::join(broker.addr(), "zoe");
    let told = asker.ask(INFO, "");
    assert_eq!(told["data"], json!({"user": "zoe", "account": "$G"}));
    assert!(told["server"]["time"].is_string());
    for subject in OF_ACCOUNT {
        assert_eq!(asker.ask(subject, ""), Value::Null, "{subject}");
    }
}

#[test]
fn an_account_is_told_of_itself_whatever_its_clients_ask_for() {
    let broker = raw::start(with_permissions());
    let mut ann = Asker::join(broker.addr(), "ann");
    let mut bob = Asker::join(broker.addr(), "bob");
    let _others = ["ann", "sys", "sys"].map(|user| Asker::join(broker.addr(), user));
    bob.0.publish("a", b"four");
    bob.0.sync();
    for options in [
        "",
        r#"{"acc":"B"}"#,
        r#"{"account":"B","auth":true}"#,
        r#"{"acc":"$SYS","state":2,"subscriptions":true}"#,
        r#"{"accounts":["B"],"acc":"B&acc=B"}"#,
        r#"{"user":"ann"}"#,
    ] {
        for subject in &OF_ACCOUNT[..2] {
            let told = ann.ask(subject, options);
            let data = &told["data"];
            assert_eq!(
                (&data["total"], &data["num_connections"]),
                (&json!(2), &json!(2)),
                "{options}"
            );
            let connections = data["connections"].as_array().expect("a list");
            assert_eq!(connections.len(), 2, "{options}: {told}");
            let text = told.to_string();
            assert!(
                !text.contains("\"bob\"") && !text.contains("\"sys\""),
                "{options}: {text}"
            );
        }
        let told = ann.ask(OF_ACCOUNT[2], options);
        let figures = told["data"]["account_statz"].as_array().expect("a list");
        assert_eq!(figures.len(), 1, "{options}: {told}");
        assert_eq!(
            (&figures[0]["acc"], &figures[0]["conns"]),
            (&json!("A"), &json!(2))
        );
    }
    // One connection of another, by its number.
    let told = ann.ask(OF_ACCOUNT[0], r#"{"cid":2}"#);
    assert_eq!(told["data"]["connections"], json!([]), "{told}");
    for subject in [
        "$SYS.REQ.ACCOUNT.A.CONNZ",
        "$SYS.REQ.ACCOUNT.B.STATZ",
        "$SYS.REQ.ACCOUNT.PING.INFO",
        "$SYS.REQ.ACCOUNT.NSUBS",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.SERVER.PING.STATSZ",
        "$SYS.DEBUG.SUBSCRIBERS",
    ] {
        assert_eq!(ann.ask(subject, ""), Value::Null, "{subject}");
    }
}

#[test]
fn who_listens_to_the_question_gets_it_too_and_the_answer_comes_all_the_same() {
    let broker = start(raw::config());
    let mut ann = Asker::join(broker.addr(), "ann");
    let mut spy = Raw::join_with(broker.addr(), r#"{"verbose":false,"user":"ann","pass":""}"#);
    spy.sub(">", None, "1");
    spy.sync();
    // Twice, of which the second repeats the first.
    ann.say(INFO, "");
    ann.say(INFO, "");
    for _ in 0..2 {
        assert_eq!(ann.hear()["data"]["user"], "ann");
    }
    let heard: Vec<String> = (0..4)
        .map(|_| {
            let subject =
                spy.message(|message| String::from_utf8_lossy(message.subject).into_owned());
            subject.expect("it is connected")
        })
        .collect();
    assert_eq!(heard.iter().filter(|subject| *subject == INFO).count(), 2);
    assert_eq!(
        heard.iter().filter(|subject| *subject == "answer").count(),
        2
    );
}

#[test]
fn a_flood_of_questions_is_answered_or_refused_and_those_of_others_are_answered() {
    let broker = raw::start(with_permissions());
    let mut ann = Asker::join(broker.addr(), "ann");
    const ASKED: usize = 5000;
    let mut frames = Vec::new();
    for _ in 0..ASKED {
        encode::publish(&mut frames, INFO.as_bytes(), Some(b"answer"), b"");
    }
    ann.0.send(&frames);
    let mut bob = Asker::join(broker.addr(), "bob");
    assert_eq!(bob.ask(INFO, "")["data"]["user"], "bob");
    let (mut told, mut refused) = (0, 0);
    for _ in 0..ASKED {
        match ann.hear() {
            Value::Null => refused += 1,
            answer => told += usize::from(answer["data"]["user"] == "ann"),
        }
    }
    assert_eq!(told + refused, ASKED);
    assert!(
        told >= 64 && refused > 0,
        "{told} answers, {refused} refused"
    );
}
