//! The same answers of a service, given to a nats-server: whom it lets in, midge lets in, and it is asked the same.
//!
//! Both read the same text of a file. Plays against the nats-server whose executable is in `NATS_SERVER`, or in `PATH`, if it
//! knows callouts: from 2.10 on; says so if not. Left out is what 2.10 lets pass and midge does not: answers that a stranger has
//! signed, and ways, addresses and limits in the JWT of an answer.

use super::operators::{
    answer, bearer, callout, operator, other, sentinel, service_user, signing, target,
};
use super::service::{Asked, Service, come_to, issuer, xkey_text};
use crate::monitor::reference::{Reference, reference_with};
use crate::raw::{Raw, start};
use crate::tokens::{Signer, account_body};
use midge::config::{language, options};
use midge::{Config, Running};
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

/// What a service answers, by what it is asked.
type Answer = Box<dyn Fn(&Asked) -> Vec<u8>>;

/// Whether a nats-server knows callouts. What cannot be run does not.
fn knows_callouts() -> bool {
    let program = std::env::var_os("NATS_SERVER").unwrap_or_else(|| OsString::from("nats-server"));
    let said = Command::new(&program).arg("--version").output();
    let said = said.map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let told = said.split_once(": v").map_or("", |(_, told)| told.trim());
    let mut numbers = told.split('.').map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok);
    let is_known = number().zip(number()).is_some_and(|own| own >= (2, 10));
    if !is_known {
        println!("skipped: {} knows no callouts: {said}", program.display());
    }
    is_known
}

/// A nats-server and midge that have read this text; `None` if there is no nats-server that can.
fn both(name: &str, text: &str) -> Option<(Reference, Running)> {
    if !knows_callouts() {
        return None;
    }
    let name = format!("midge-callouts-{name}-{}.conf", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, text).expect("there is room");
    let reference = reference_with(&["-c", file.to_str().expect("the path is text")]);
    // It has read it when it is ready.
    std::fs::remove_file(&file).expect("it is there");
    let document = language::parse("callouts".as_ref(), text.as_bytes(), &language::System);
    let settings = options::settings(&document.expect("it is a configuration"));
    assert!(settings.report.errors.is_empty(), "{:?}", settings.report);
    let broker = start(Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        ..settings.options.config
    });
    Some((reference?, broker))
}

/// What clients with this `CONNECT` are told when the service gives these answers; and the shape of the first question.
fn told(
    addr: SocketAddr,
    service: &Value,
    connect: &Value,
    answers: &[Answer],
) -> (Vec<Option<String>>, BTreeSet<String>) {
    let mut service = Service::of(Raw::join_with(addr, &service.to_string()));
    let mut shape = BTreeSet::new();
    let told = answers.iter().map(|answer| {
        let mut client = come_to(addr, connect);
        let asked = service.asked();
        if shape.is_empty() {
            put_shape(&asked.claims, "", &mut shape);
        }
        service.answer(&asked, &answer(&asked));
        client.line()
    });
    let told = told.collect();
    (told, shape)
}

/// Where which kind of value stands.
fn put_shape(value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                put_shape(value, &format!("{path}.{name}"), shape);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| put_shape(value, &format!("{path}[]"), shape)),
        Value::String(_) => drop(shape.insert(format!("{path} text"))),
        Value::Number(_) => drop(shape.insert(format!("{path} number"))),
        _ => drop(shape.insert(format!("{path} {value}"))),
    }
}

/// Both tell clients the same, and ask the same.
fn are_alike(name: &str, text: &str, [service, connect]: [&Value; 2], answers: &[Answer]) {
    let Some((reference, broker)) = both(name, text) else {
        return;
    };
    let (their, their_shape) = told(reference.clients, service, connect, answers);
    let (own, own_shape) = told(broker.addr(), service, connect, answers);
    for (number, (their, own)) in their.iter().zip(&own).enumerate() {
        assert_eq!(their, own, "answer {number}");
    }
    // Some come in, and some do not.
    assert_eq!(own[0].as_deref(), Some("PONG"));
    assert!(own.iter().any(|told| told.as_deref() != Some("PONG")));
    assert_eq!(their_shape, own_shape);
}

fn by_settings(xkey: &str) -> String {
    format!(
        "accounts {{ AUTH {{ users: [ {{user: auth, password: secret}} ] }}, A {{}} }}
         authorization {{
           timeout: 30
           auth_callout {{ issuer: {}, account: AUTH, auth_users: [ auth ] {xkey} }}
         }}",
        issuer().public
    )
}

fn auth() -> Value {
    json!({"verbose": false, "headers": true, "user": "auth", "pass": "secret"})
}

fn joe() -> Value {
    json!({
        "verbose": false, "user": "joe", "pass": "his password", "name": "app", "lang": "rust", "version": "1", "protocol": 1,
    })
}

#[test]
fn by_the_settings_nats_server_and_midge_ask_the_same_and_take_the_same_answers() {
    let user = |change: fn(&mut Value)| -> Answer {
        Box::new(move |asked| {
            let user = asked.user("A", change);
            asked.response(&issuer(), json!({"jwt": user})).into()
        })
    };
    let response = |change: fn(&mut Value)| -> Answer {
        Box::new(move |asked| {
            let said = json!({"jwt": asked.user("A", |_| {})});
            asked.response_with(&issuer(), said, change).into()
        })
    };
    let answers: Vec<Answer> = vec![
        user(|_| {}),
        Box::new(|_| Vec::new()),
        Box::new(|_| b"no token".to_vec()),
        Box::new(|asked| {
            let said = json!({"error": "no way"});
            asked.response(&issuer(), said).into()
        }),
        Box::new(|asked| asked.user("A", |_| {}).into()),
        Box::new(|asked| {
            let user = asked.user_by(&Signer::new(Kind::Account, 66), "A", |_| {});
            asked.response(&issuer(), json!({"jwt": user})).into()
        }),
        response(|claims| claims["aud"] = json!("NOTHERE")),
        response(|claims| claims["sub"] = json!(Signer::new(Kind::User, 9).public)),
        response(|claims| claims["exp"] = json!(7)),
        user(|claims| claims["aud"] = json!("NOPE")),
        user(|claims| claims["aud"] = Value::Null),
        user(|claims| claims["sub"] = json!(Signer::new(Kind::User, 9).public)),
        user(|claims| claims["exp"] = json!(7)),
        user(|claims| claims["nats"]["issuer_account"] = json!(issuer().public)),
        user(|claims| claims["name"] = Value::Null),
    ];
    are_alike("settings", &by_settings(""), [&auth(), &joe()], &answers);
}

#[test]
fn a_question_that_is_sealed_is_answered_to_nats_server_as_to_midge() {
    let good = |asked: &Asked| asked.response(&issuer(), json!({"jwt": asked.user("A", |_| {})}));
    let answers: Vec<Answer> = vec![
        Box::new(move |asked| asked.sealed(&good(asked))),
        Box::new(move |asked| good(asked).into()),
        Box::new(|_| b"xkv1 and no more".to_vec()),
        Box::new(|asked| asked.sealed("no token")),
    ];
    let text = by_settings(&format!(", xkey: {}", xkey_text()));
    are_alike("sealed", &text, [&auth(), &joe()], &answers);
}

#[test]
fn with_an_operator_nats_server_and_midge_ask_the_same_and_take_the_same_answers() {
    let system = Signer::new(Kind::Account, 50);
    let nats = json!({"type": "operator", "version": 2, "system_account": system.public});
    let trusted =
        operator().token(json!({"sub": operator().public, "name": "O", "iat": 5, "nats": nats}));
    let account = |key: &Signer| {
        let mut nats = account_body();
        if key.public == callout().public {
            nats["authorization"] = json!({
                "auth_users": [service_user().public], "allowed_accounts": [target().public],
            });
            nats["signing_keys"] = json!([signing().public]);
        }
        let token =
            operator().token(json!({"sub": key.public, "name": "A", "iat": 5, "nats": nats}));
        format!("{}: {token}\n", key.public)
    };
    let accounts = [system, callout(), target(), other()].map(|key| account(&key));
    let text = format!(
        "operator: {trusted}\nresolver: MEMORY\nresolver_preload {{\n{}}}\nauthorization {{ timeout: 30 }}",
        accounts.concat()
    );
    let nothing = |_: &mut Value| {};
    let of_account = |user: &mut Value| user["nats"]["issuer_account"] = json!(callout().public);
    let of_target = |user: &mut Value| user["nats"]["issuer_account"] = json!(target().public);
    let stranger = || Signer::new(Kind::Account, 66);
    let answers: Vec<Answer> = vec![
        Box::new(move |asked| answer(asked, &callout(), &callout(), nothing).into()),
        Box::new(move |asked| answer(asked, &signing(), &target(), nothing).into()),
        Box::new(move |asked| answer(asked, &signing(), &signing(), of_account).into()),
        Box::new(move |asked| answer(asked, &stranger(), &target(), nothing).into()),
        Box::new(move |asked| answer(asked, &target(), &target(), nothing).into()),
        Box::new(move |asked| answer(asked, &callout(), &other(), nothing).into()),
        Box::new(move |asked| answer(asked, &callout(), &stranger(), nothing).into()),
        Box::new(move |asked| answer(asked, &callout(), &stranger(), of_target).into()),
        Box::new(move |asked| answer(asked, &callout(), &signing(), nothing).into()),
    ];
    let service = json!({
        "verbose": false, "headers": true, "jwt": bearer(&callout(), &service_user().public),
    });
    let mut connect = joe();
    connect["jwt"] = json!(sentinel());
    are_alike("operator", &text, [&service, &connect], &answers);
}
