//! A cache of accounts: others are asked, in the system account, for those that it does not know; what it is told is kept, up to
//! a number and a time.

use super::{UPDATE, World, keys, outcome};
use crate::raw::Raw;
use crate::tokens::{Signer, account_body, user_body};
use midge::{Cache, Resolver, Running};
use midge_protocol::ServerOp;
use midge_protocol::nkey::{Kind, text};
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A broker that is a cache and knows the system account alone, and a client of that.
fn cache(world: &World, change: impl Fn(&mut Cache)) -> (Running, Raw) {
    let mut cache = Cache {
        path: world.directory.clone().expect("it has one"),
        ..Cache::default()
    };
    change(&mut cache);
    let broker = world.broker_with(Resolver::Cache(cache), &[]);
    let system = world.joined(&broker, &world.system);
    (broker, system)
}

fn account(byte: u8) -> Signer {
    Signer::new(Kind::Account, byte)
}

/// A client of the system account that answers for others: it hears what is asked.
fn answering(world: &World, broker: &Running) -> Raw {
    let mut others = world.joined(broker, &world.system);
    others.sub("$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", None, "1");
    others.sync();
    others
}

/// Answers the next question; tells which account it was about.
fn answer(others: &mut Raw, text: &str) -> String {
    let asked = others.message(|message| {
        let reply = message.reply.expect("an answer is wanted").to_vec();
        (message.subject.to_vec(), reply)
    });
    let (subject, reply) = asked.expect("the broker is there");
    let (subject, reply) = [subject, reply]
        .map(|text| String::from_utf8(text).expect("it is text"))
        .into();
    others.publish(&reply, text.as_bytes());
    let key = subject.split('.').nth(3).expect("the account");
    key.to_owned()
}

/// A client of an account that has sent `CONNECT` and waits.
fn connecting(world: &World, broker: &Running, account: &Signer) -> Raw {
    let mut client = Raw::connect(broker.addr());
    let connect = json!({"verbose": false, "jwt": world.bearer(account)});
    client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
    client
}

/// Lets a client of an account in, of which others are asked for; answers it.
fn let_in(world: &World, broker: &Running, others: &mut Raw, account: &Signer) -> Raw {
    let mut client = connecting(world, broker, account);
    let token = world.token(account, 5, |_| {});
    assert_eq!(answer(others, &token), account.public);
    assert_eq!(client.line().as_deref(), Some("PONG"));
    client
}

const DENIED: Option<&str> = Some("-ERR 'Authorization Violation'");

#[test]
fn an_account_that_is_not_known_is_asked_for_once_and_kept() {
    let world = World::kept("asked");
    let (broker, mut system) = cache(&world, |_| {});
    let mut others = answering(&world, &broker);
    let mut client = let_in(&world, &broker, &mut others, &world.account);
    // It is known, and so is not asked for.
    world.joined(&broker, &world.account);
    others.sync();
    let mut keys_now = keys(&mut system);
    keys_now.sort();
    let mut both = vec![world.account.public.clone(), world.system.public.clone()];
    both.sort();
    assert_eq!(keys_now, both);
    let file = format!("{}.jwt", world.account.public);
    let file = world.directory.as_ref().expect("it has one").join(file);
    let kept = fs::read_to_string(&file).expect("it is there");
    assert_eq!(kept, world.token(&world.account, 5, |_| {}));
    client.sync();
    // Another process finds it there, and does not ask.
    drop((client, system, others));
    broker.shutdown().expect("it ends");
    let (broker, _system) = cache(&world, |_| {});
    world.joined(&broker, &world.account);
}

#[test]
fn what_others_answer_counts_only_if_the_operator_has_signed_it_for_that_account() {
    let world = World::kept("answers");
    let (broker, mut system) = cache(&world, |_| {});
    let mut others = answering(&world, &broker);
    let stranger = Signer::new(Kind::Operator, 7);
    let foreign = json!({"sub": world.account.public, "iat": 5, "nats": account_body()});
    let over = world.token(&world.account, 5, |claims| claims["exp"] = json!(7));
    let wrong = [
        String::new(),
        "a.b".to_owned(),
        stranger.token(foreign),
        world.token(&account(9), 5, |_| {}),
        over,
    ];
    for text in wrong {
        let mut client = connecting(&world, &broker, &world.account);
        assert_eq!(answer(&mut others, &text), world.account.public);
        assert_eq!(client.line().as_deref(), DENIED, "{text}");
    }
    assert_eq!(keys(&mut system), [&*world.system.public]);
    // None of them stands in the way of the right one.
    let_in(&world, &broker, &mut others, &world.account);
}

#[test]
fn a_client_is_refused_when_nobody_answers_at_once_or_in_time() {
    let world = World::kept("silent");
    let (broker, _system) = cache(&world, |cache| {
        cache.timeout = Duration::from_millis(50);
    });
    let mut client = connecting(&world, &broker, &world.account);
    assert_eq!(client.line().as_deref(), DENIED);
    let mut others = answering(&world, &broker);
    let mut client = connecting(&world, &broker, &world.account);
    assert_eq!(client.line().as_deref(), DENIED);
    // The answer that comes too late counts for nothing, and the next question is another one.
    let token = world.token(&world.account, 5, |_| {});
    answer(&mut others, &token);
    others.sync();
    let mut client = connecting(&world, &broker, &world.account);
    answer(&mut others, "");
    assert_eq!(client.line().as_deref(), DENIED);
}

#[test]
fn who_waits_for_another_account_goes_when_its_former_login_is_over() {
    let world = World::kept("former");
    let (broker, _system) = cache(&world, |cache| cache.timeout = Duration::from_secs(3600));
    let mut others = answering(&world, &broker);
    let_in(&world, &broker, &mut others, &world.account);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let end = since.expect("it is later than 1970").as_secs() + 2;
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 9).public;
    let token = json!({"sub": user, "iat": 50, "exp": end, "nats": nats});
    let own = json!({"verbose": false, "jwt": world.account.token(token)});
    let other = json!({"verbose": false, "jwt": world.bearer(&account(9))});
    let mut client = Raw::connect(broker.addr());
    client.send(format!("CONNECT {own}\r\nSUB a 1\r\nPING\r\n").as_bytes());
    assert_eq!(client.line().as_deref(), Some("PONG"));
    client.send(format!("CONNECT {other}\r\n").as_bytes());
    let asked = others.message(|message| message.subject.to_vec());
    let asked = String::from_utf8(asked.expect("it is asked for")).expect("it is text");
    assert!(asked.contains(&account(9).public), "{asked}");
    let expired = "-ERR 'User Authentication Expired'";
    assert_eq!(client.line().as_deref(), Some(expired));
    assert_eq!(client.line(), None);
}

#[test]
fn so_many_accounts_are_asked_for_at_once_and_a_further_one_when_one_is_answered() {
    const ASKED_MAX: usize = 256;
    let world = World::kept("many");
    let (broker, _system) = cache(&world, |cache| cache.timeout = Duration::from_secs(3600));
    let mut others = answering(&world, &broker);
    let user = Signer::new(Kind::User, 9);
    let waiting: Vec<Raw> = (0..ASKED_MAX + 44)
        .map(|number| {
            let mut nats = user_body();
            let mut account = [7; 32];
            account[..8].copy_from_slice(&number.to_be_bytes());
            nats["issuer_account"] = json!(text(Kind::Account, account));
            let token = json!({"sub": user.public, "iat": 50, "nats": nats});
            let connect = json!({"verbose": false, "jwt": world.account.token(token)});
            let mut client = Raw::connect(broker.addr());
            client.send(format!("CONNECT {connect}\r\n").as_bytes());
            client
        })
        .collect();
    let ask = |others: &mut Raw| {
        let reply = others.message(|message| message.reply.map(<[u8]>::to_vec));
        String::from_utf8(reply.flatten().expect("an answer is wanted")).expect("it is text")
    };
    let replies: Vec<String> = (0..ASKED_MAX).map(|_| ask(&mut others)).collect();
    // Whoever has come is looked at within a few turns.
    for _ in 0..10 {
        assert_eq!(others.sync_counting().expect("it stays"), 0);
    }
    others.publish(&replies[0], b"");
    ask(&mut others);
    assert_eq!(others.sync_counting().expect("it stays"), 0);
    drop(waiting);
}

#[test]
fn an_account_that_is_open_has_what_its_renewed_token_says() {
    let world = World::kept("renewed");
    let (broker, _system) = cache(&world, |_| {});
    let mut others = answering(&world, &broker);
    let mut client = connecting(&world, &broker, &world.account);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let second = since.expect("it is later than 1970").as_secs() + 3;
    let over = world.token(&world.account, 5, |claims| claims["exp"] = json!(second));
    answer(&mut others, &over);
    assert_eq!(client.line().as_deref(), Some("PONG"));
    let ended = "-ERR 'Account Authentication Expired'";
    assert_eq!(client.line().as_deref(), Some(ended));
    let mut client = connecting(&world, &broker, &world.account);
    let renewed = world.token(&world.account, 6, |claims| {
        claims["nats"]["mappings"] = json!({"mapped": [{"subject": "other"}]});
    });
    answer(&mut others, &renewed);
    assert_eq!(client.line().as_deref(), Some("PONG"));
    client.sub("other", None, "1");
    client.publish("mapped", b"");
    let subject = client.message(|message| message.subject.to_vec());
    assert_eq!(subject.as_deref(), Some(&b"other"[..]));
}

#[test]
fn of_too_many_accounts_the_one_goes_that_was_not_used_for_longest() {
    let world = World::kept("limit");
    let (broker, mut system) = cache(&world, |cache| cache.accounts_max = 3);
    let mut others = answering(&world, &broker);
    let accounts = [10, 11, 12].map(account);
    let mut clients: Vec<Raw> = accounts
        .iter()
        .map(|account| let_in(&world, &broker, &mut others, account))
        .collect();
    // The system account was used first of all.
    let mut kept = keys(&mut system);
    kept.sort();
    let mut expected = accounts.each_ref().map(|account| account.public.clone());
    expected.sort();
    assert_eq!(kept, expected);
    // What is kept no longer counts as long as the broker runs, since it is in use.
    let_in(&world, &broker, &mut others, &account(13));
    assert!(!keys(&mut system).contains(&accounts[0].public));
    clients.iter_mut().for_each(Raw::sync);
    world.joined(&broker, &accounts[0]);
}

#[test]
fn what_is_not_used_for_the_time_that_is_set_is_removed() {
    let world = World::kept("ttl");
    let (broker, mut system) = cache(&world, |cache| cache.ttl = Some(Duration::from_millis(1)));
    let mut others = answering(&world, &broker);
    let mut client = let_in(&world, &broker, &mut others, &world.account);
    while !keys(&mut system).is_empty() {
        system.sync();
    }
    client.sync();
    let left = fs::read_dir(world.directory.as_ref().expect("it has one"));
    assert_eq!(left.expect("it is there").count(), 0);
}

#[test]
fn a_push_reaches_what_a_cache_knows_and_nothing_else_is_kept() {
    let world = World::kept("pushed");
    let (broker, mut system) = cache(&world, |_| {});
    let mut others = answering(&world, &broker);
    let mut client = let_in(&world, &broker, &mut others, &world.account);
    let revoked = |issued_at| {
        world.token(&world.account, issued_at, |claims| {
            claims["nats"]["revocations"] = json!({"*": 50});
        })
    };
    let begin = "jwt update cache resulted in error - ";
    assert_eq!(
        outcome(&mut system, UPDATE, &revoked(4)),
        format!("{begin}a jwt that was issued later is stored")
    );
    assert_eq!(
        outcome(&mut system, UPDATE, &revoked(6)),
        "jwt updated cache"
    );
    assert_eq!(
        client.line().as_deref(),
        Some("-ERR 'User Authentication Revoked'")
    );
    let other = world.token(&account(9), 5, |_| {});
    assert_eq!(
        outcome(&mut system, UPDATE, &other),
        "jwt update cache skipped"
    );
    assert_eq!(keys(&mut system).len(), 2);
    // It has not all accounts, so it lists none.
    system.send(b"SUB inbox 7\r\nPUB $SYS.REQ.CLAIMS.PACK inbox 0\r\n\r\nPING\r\n");
    system
        .next(|op| assert!(matches!(op, ServerOp::Pong), "{op:?}"))
        .expect("the broker is there");
}
