//! Accounts that are asked for at an address by HTTP: what is given out there, and what of it counts.

use super::World;
use crate::operator::serve;
use crate::tokens::{Signer, account_body};
use midge::{Resolver, Running};
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

/// A broker that asks a server of HTTP, which gives these out for each key, one after the other.
fn broker(world: &World, answers: &[(&Signer, Vec<String>)]) -> Running {
    let system = (&world.system, vec![world.token(&world.system, 1, |_| {})]);
    let answers = answers.iter().chain([&system]);
    let answers = answers.map(|(key, texts)| (key.public.clone(), texts.clone().into()));
    let answers: HashMap<String, VecDeque<String>> = answers.collect();
    let answers = RefCell::new(answers);
    let find = move |key: &str| answers.borrow_mut().get_mut(key)?.pop_front();
    world.broker_with(Resolver::Url(serve(find, |_| true, |_| true)), &[])
}

#[test]
fn what_is_given_out_counts_only_if_the_operator_has_signed_it_for_that_account() {
    let world = World::in_memory();
    let other = Signer::new(Kind::Account, 9);
    let (stranger, claims) = (
        Signer::new(Kind::Operator, 7),
        json!({"sub": other.public, "iat": 5, "nats": account_body()}),
    );
    let revoked = |claims: &mut Value| claims["nats"]["revocations"] = json!({"*": 50});
    let answers = vec![
        "a.b".to_owned(),
        stranger.token(claims),
        world.token(&other, 5, |claims| claims["exp"] = json!(7)),
        world.token(&world.account, 900, revoked),
        world.token(&other, 5, |_| {}),
    ];
    let known = vec![world.token(&world.account, 5, |_| {})];
    let broker = broker(&world, &[(&other, answers), (&world.account, known)]);
    let mut client = world.joined(&broker, &world.account);
    for number in 0..4 {
        let (told, _client) = world.join(&broker, &other);
        let denied = "-ERR 'Authorization Violation'";
        assert_eq!(told.as_deref(), Some(denied), "{number}");
    }
    // What was given out under another name has changed nothing, and none stands in the way of the right one.
    client.sync();
    world.joined(&broker, &other);
}
