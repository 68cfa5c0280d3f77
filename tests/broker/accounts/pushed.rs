//! Tokens of accounts that are brought while the broker runs: what is taken, whom it reaches, and what is kept.

use super::{UPDATE, World, ask, keys, outcome};
use crate::tokens::{Signer, account_body};
use midge::AccountToken;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};

const BEGIN: &str = "jwt update resulted in error - ";

#[test]
fn a_token_of_the_operator_takes_the_place_of_an_older_one_and_nothing_else_does() {
    let world = World::kept("taken");
    let broker = world.broker(None);
    let mut system = world.joined(&broker, &world.system);
    let mut push = |token: &str| outcome(&mut system, UPDATE, token);
    let account = |issued_at| world.token(&world.account, issued_at, |_| {});
    assert_eq!(push(&account(200)), "jwt updated");
    assert_eq!(push(&account(200)), "jwt updated");
    assert_eq!(
        push(&account(199)),
        format!("{BEGIN}a jwt that was issued later is stored")
    );
    let over = world.token(&world.account, 300, |claims| claims["exp"] = json!(7));
    assert_eq!(push(&over), format!("{BEGIN}claim is expired"));
    let stranger = Signer::new(Kind::Operator, 7);
    let foreign = json!({"sub": world.account.public, "iat": 300, "nats": account_body()});
    assert_eq!(
        push(&stranger.token(foreign)),
        format!("{BEGIN}no key of the operator has signed it")
    );
    assert_eq!(push("a.b"), format!("{BEGIN}expected 3 chunks"));
    let other = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", world.system.public);
    assert_eq!(
        outcome(&mut system, &other, &account(300)),
        format!("{BEGIN}subject does not match jwt content")
    );
    // Nobody else is listened to.
    let mut client = world.joined(&broker, &world.account);
    client.send(b"SUB inbox 1\r\nPUB $SYS.REQ.CLAIMS.LIST inbox 0\r\n\r\nPING\r\n");
    assert_eq!(client.line().as_deref(), Some("PONG"));
}

#[test]
fn what_is_pushed_reaches_the_clients_of_its_account_in_memory_too() {
    for world in [World::in_memory(), World::kept("reach")] {
        let broker = world.broker(None);
        let mut system = world.joined(&broker, &world.system);
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", world.account.public);
        let mut push = |issued_at: i64, change: &dyn Fn(&mut Value)| {
            let token = world.token(&world.account, issued_at, change);
            assert_eq!(outcome(&mut system, &subject, &token), "jwt updated");
        };
        let mut first = world.joined(&broker, &world.account);
        let mut second = world.joined(&broker, &world.account);
        push(200, &|claims| claims["nats"]["limits"]["conn"] = json!(1));
        let told = "-ERR 'maximum account active connections exceeded'";
        assert_eq!(second.line().as_deref(), Some(told));
        push(300, &|claims| {
            claims["nats"]["revocations"] = json!({"*": 50});
        });
        let told = "-ERR 'User Authentication Revoked'";
        assert_eq!(first.line().as_deref(), Some(told));
        assert_eq!(first.line(), None);
        let (told, _) = world.join(&broker, &world.account);
        assert_eq!(told.as_deref(), Some("-ERR 'Authorization Violation'"));
        push(400, &|_| {});
        world.joined(&broker, &world.account);
    }
}

#[test]
fn a_directory_keeps_what_was_pushed_and_forgets_what_was_deleted() {
    let world = World::kept("kept");
    let other = Signer::new(Kind::Account, 4);
    let broker = world.broker(Some(3));
    let mut system = world.joined(&broker, &world.system);
    let token = world.token(&other, 5, |_| {});
    assert_eq!(outcome(&mut system, UPDATE, &token), "jwt updated");
    let third = world.token(&Signer::new(Kind::Account, 5), 5, |_| {});
    assert_eq!(
        outcome(&mut system, UPDATE, &third),
        format!("{BEGIN}jwt store is full")
    );
    assert_eq!(keys(&mut system).len(), 3);
    let lookup = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", other.public);
    assert_eq!(ask(&mut system, &lookup, ""), token);
    broker.shutdown().expect("it ends");
    // Another process finds it there.
    let broker = world.broker(None);
    let mut system = world.joined(&broker, &world.system);
    let mut client = world.joined(&broker, &other);
    let request =
        json!({"sub": world.operator.public, "nats": {"accounts": [other.public], "version": 2}});
    let request = world.operator.token(request);
    let delete = "$SYS.REQ.CLAIMS.DELETE";
    assert_eq!(outcome(&mut system, delete, &request), "deleted 1 accounts");
    let told = "-ERR 'Account Authentication Expired'";
    assert_eq!(client.line().as_deref(), Some(told));
    assert_eq!(
        (keys(&mut system).len(), ask(&mut system, &lookup, "")),
        (2, String::new())
    );
    let (told, _) = world.join(&broker, &other);
    assert_eq!(told.as_deref(), Some("-ERR 'Authorization Violation'"));
    // Brought again, it is back.
    assert_eq!(outcome(&mut system, UPDATE, &token), "jwt updated");
    world.joined(&broker, &other);
}

#[test]
fn who_asks_for_all_tokens_gets_each_and_the_end() {
    let world = World::kept("pack");
    let broker = world.broker(None);
    let mut system = world.joined(&broker, &world.system);
    // More than are told in one turn.
    for byte in 20..120 {
        let token = world.token(&Signer::new(Kind::Account, byte), 5, |_| {});
        assert_eq!(outcome(&mut system, UPDATE, &token), "jwt updated");
    }
    system.send(b"SUB all 2\r\nPUB $SYS.REQ.CLAIMS.PACK all 0\r\n\r\n");
    let mut told = 0;
    loop {
        let payload = system.message(|message| message.payload.to_vec());
        let payload = payload.expect("the broker is there");
        if payload.is_empty() {
            break;
        }
        let text = String::from_utf8(payload).expect("it is text");
        let (key, token) = text.split_once('|').expect("a key and a token");
        let token = AccountToken::parse(token).expect("it is whole");
        assert_eq!(token.key(), key);
        told += 1;
    }
    assert_eq!(told, 102);
}
