//! Callouts by the JWT of an account.

use super::service::{self, Asked, Service, is_in, is_refused, is_told_and_closed, xkey_text};
use crate::operator::resolver;
use crate::raw::{Raw, config, start};
use crate::tokens::{Signer, account_body, user_body};
use midge::{AccountToken, Auth, Config, OperatorToken, Operators, Preload, Resolver, Running};
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn operator() -> Signer {
    Signer::new(Kind::Operator, 1)
}

/// The account of the service, a signing key of it, one into which it may put clients, and one into which it may not.
pub(super) fn callout() -> Signer {
    Signer::new(Kind::Account, 2)
}

pub(super) fn signing() -> Signer {
    Signer::new(Kind::Account, 3)
}

pub(super) fn target() -> Signer {
    Signer::new(Kind::Account, 4)
}

pub(super) fn other() -> Signer {
    Signer::new(Kind::Account, 5)
}

/// The service's user.
pub(super) fn service_user() -> Signer {
    Signer::new(Kind::User, 6)
}

fn settings(change: impl Fn(&mut Value)) -> Config {
    let operator = operator();
    let token =
        operator.token(json!({"sub": operator.public, "nats": {"type": "operator", "version": 2}}));
    let account = |key: &Signer, authorization: Option<Value>| {
        let mut nats = account_body();
        if let Some(authorization) = authorization {
            nats["authorization"] = authorization;
            nats["signing_keys"] = json!([signing().public]);
        }
        let token = operator.token(json!({"sub": key.public, "name": "A", "nats": nats}));
        AccountToken::parse(&token).expect("it is good")
    };
    let mut authorization =
        json!({"auth_users": [service_user().public], "allowed_accounts": [target().public]});
    change(&mut authorization);
    let preload = [
        account(&callout(), Some(authorization)),
        account(&target(), None),
        account(&other(), None),
    ];
    let operators = Operators {
        tokens: vec![OperatorToken::parse(&token).expect("it is good")],
        preload: preload.into_iter().collect(),
        ..Operators::default()
    };
    Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config()
    }
}

/// The token of a user who has to sign nothing.
pub(super) fn bearer(account: &Signer, user: &str) -> String {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    account.token(json!({"sub": user, "name": "sentinel", "iat": 5, "nats": nats}))
}

pub(super) fn sentinel() -> String {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    nats["pub"] = json!({"deny": [">"]});
    nats["sub"] = json!({"deny": [">"]});
    nats["tags"] = json!(["a:b"]);
    let user = Signer::new(Kind::User, 9).public;
    callout().token(json!({"sub": user, "name": "sentinel", "iat": 5, "nats": nats}))
}

fn service(broker: &Running) -> Service {
    let token = bearer(&callout(), &service_user().public);
    let connect = json!({"verbose": false, "pedantic": false, "headers": true, "jwt": token});
    Service::join(broker, &connect.to_string())
}

pub(super) fn come(broker: &Running, token: &str) -> Raw {
    let connect = json!({"verbose": false, "jwt": token, "user": "joe", "pass": "his password"});
    service::come(broker, &connect)
}

/// An answer by one key, with a user's token by another.
pub(super) fn answer(
    asked: &Asked,
    by: &Signer,
    user_by: &Signer,
    change: impl Fn(&mut Value),
) -> String {
    let user = asked.user_by(user_by, "", change);
    asked.response(by, json!({"jwt": user}))
}

#[test]
fn a_user_whose_own_token_is_good_is_asked_about_and_put_into_an_account_that_is_allowed() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut client = come(&broker, &sentinel());
    let asked = service.asked();
    assert_eq!(asked.claims["sub"], json!(callout().public));
    let told = asked.told();
    assert_eq!(told["connect_opts"]["jwt"], json!(sentinel()));
    assert_eq!(told["connect_opts"]["pass"], json!("his password"));
    let who = &told["client_info"];
    assert_eq!(who["user"], json!(Signer::new(Kind::User, 9).public));
    assert_eq!(
        (&who["name_tag"], &who["tags"]),
        (&json!("sentinel"), &json!(["a:b"]))
    );
    // What the sentinel may not, it may.
    let text = answer(&asked, &callout(), &target(), |user| {
        user["nats"]["pub"] = json!({"allow": ["a"]});
    });
    service.answer(&asked, text.as_bytes());
    is_in(&mut client);
    client.send(b"SUB a 1\r\nPUB b 1\r\nx\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"b\"'";
    assert_eq!(client.line().as_deref(), Some(denied));
    is_in(&mut client);
    // The service is not asked about others of that account.
    let joe = bearer(&target(), &Signer::new(Kind::User, 10).public);
    let mut neighbour = come(&broker, &joe);
    is_in(&mut neighbour);
    neighbour.send(b"PUB a 1\r\nx\r\n");
    assert_eq!(client.line().as_deref(), Some("MSG a: x"));
    // Nor about one whose own token is no good.
    is_refused(&mut come(
        &broker,
        &bearer(&signing(), &Signer::new(Kind::User, 9).public),
    ));
    is_refused(&mut come(&broker, ""));
    service.0.sync();
}

#[test]
fn the_answer_is_by_the_account_or_a_signing_key_of_it_and_the_users_token_by_an_account_that_is_allowed()
 {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let nothing = |_: &mut Value| {};
    let of_account =
        |key: Signer| move |user: &mut Value| user["nats"]["issuer_account"] = json!(key.public);
    let stranger = || Signer::new(Kind::Account, 66);
    type Answer = Box<dyn Fn(&Asked) -> String>;
    let cases: Vec<(bool, Answer)> = vec![
        (
            true,
            Box::new(move |asked| answer(asked, &callout(), &callout(), nothing)),
        ),
        (
            true,
            Box::new(move |asked| answer(asked, &signing(), &target(), nothing)),
        ),
        (
            true,
            Box::new(move |asked| answer(asked, &signing(), &signing(), of_account(callout()))),
        ),
        (
            false,
            Box::new(move |asked| answer(asked, &stranger(), &target(), nothing)),
        ),
        (
            false,
            Box::new(move |asked| answer(asked, &target(), &target(), nothing)),
        ),
        (
            false,
            Box::new(move |asked| answer(asked, &callout(), &other(), nothing)),
        ),
        (
            false,
            Box::new(move |asked| answer(asked, &callout(), &stranger(), nothing)),
        ),
        (
            false,
            Box::new(move |asked| answer(asked, &callout(), &stranger(), of_account(target()))),
        ),
        // A signing key alone does not tell whose it is.
        (
            false,
            Box::new(move |asked| answer(asked, &callout(), &signing(), nothing)),
        ),
        // Another's word for whom it signs does not make it known.
        (
            false,
            Box::new(move |asked| {
                let user = asked.user_by(&target(), "", nothing);
                asked.response(
                    &stranger(),
                    json!({"jwt": user, "issuer_account": callout().public}),
                )
            }),
        ),
    ];
    for (number, (comes_in, answer)) in cases.iter().enumerate() {
        let mut client = come(&broker, &sentinel());
        let asked = service.asked();
        service.answer(&asked, answer(&asked).as_bytes());
        let told = client.line();
        assert_eq!(
            told.as_deref() == Some("PONG"),
            *comes_in,
            "case {number}: {told:?}"
        );
    }
}

#[test]
fn the_account_may_have_its_questions_sealed_and_allow_all_accounts() {
    let broker = start(settings(|authorization| {
        authorization["xkey"] = json!(xkey_text());
        authorization["allowed_accounts"] = json!(["*"]);
    }));
    let mut service = service(&broker);
    let mut client = come(&broker, &sentinel());
    let asked = service.asked();
    let text = answer(&asked, &callout(), &other(), |_| {});
    let sealed = asked.sealed(&text);
    service.answer(&asked, &sealed);
    is_in(&mut client);
}

#[test]
fn who_was_put_into_an_account_goes_when_that_is_allowed_no_longer() {
    let broker = start(settings(|_| {}));
    let mut service = service(&broker);
    let mut come_in = |by: fn() -> Signer| {
        let mut client = come(&broker, &sentinel());
        let asked = service.asked();
        service.answer(&asked, answer(&asked, &callout(), &by(), |_| {}).as_bytes());
        is_in(&mut client);
        client
    };
    let (mut there, mut here) = (come_in(target), come_in(callout));
    let reloaded = broker.handle().reload(settings(|authorization| {
        authorization["allowed_accounts"] = json!([other().public]);
    }));
    reloaded.expect("it is possible");
    is_told_and_closed(&mut there, "User Authentication Revoked");
    here.send(b"PING\r\n");
    is_in(&mut here);
    // In the account of the service it hears and answers nothing.
    here.send(b"SUB $SYS.REQ.USER.AUTH 1\r\nPING\r\n");
    assert!(
        here.next(|op| matches!(op, ServerOp::Err { .. }))
            .is_some_and(|is| is)
    );
    is_in(&mut here);
}

#[test]
fn an_account_that_is_not_known_is_asked_for_and_then_the_service_once_more() {
    let config = settings(|authorization| authorization["allowed_accounts"] = json!(["*"]));
    let Auth::Operators(operators) = &config.auth else {
        unreachable!("made so")
    };
    let elsewhere = operators
        .preload
        .iter()
        .filter(|(key, _)| *key != other().public);
    let elsewhere = elsewhere.map(|(key, token)| (key.to_owned(), token.text().to_owned()));
    let (url, _asked) = resolver(elsewhere.collect());
    let operators = Operators {
        preload: Preload::default(),
        resolver: Resolver::Url(url),
        ..(**operators).clone()
    };
    let broker = start(Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config
    });
    let mut service = service(&broker);
    let mut client = come(&broker, &sentinel());
    for _ in 0..2 {
        let asked = service.asked();
        let text = answer(&asked, &callout(), &target(), |_| {});
        service.answer(&asked, text.as_bytes());
    }
    is_in(&mut client);
    // One that is nowhere is asked for once.
    let mut client = come(&broker, &sentinel());
    let asked = service.asked();
    let text = answer(&asked, &callout(), &other(), |_| {});
    service.answer(&asked, text.as_bytes());
    is_refused(&mut client);
    assert_eq!(service.0.sync_counting().expect("the broker is there"), 0);
}
