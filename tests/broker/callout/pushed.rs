//! Callouts by the JWT of an account that is another meanwhile, or gone: what becomes of those who came in, and of those who
//! wait.

use super::operators::{
    answer, bearer, callout, come, operator, other, sentinel, service_user, target,
};
use super::service::{Asked, Service, is_in, is_refused, is_told_and_closed};
use crate::accounts::{UPDATE, outcome};
use crate::raw::{PATIENCE, Raw, config, start};
use crate::tokens::{Signer, account_body};
use midge::{
    AccountToken, Auth, Config, Deletes, Directory, OperatorToken, Operators, Resolver, Running,
};
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn system() -> Signer {
    Signer::new(Kind::Account, 50)
}

/// The token of an account, issued in this second.
fn token(account: &Signer, issued_at: i64, change: impl Fn(&mut Value)) -> String {
    let mut claims = json!({"sub": account.public, "iat": issued_at, "nats": account_body()});
    change(&mut claims);
    operator().token(claims)
}

/// Its callout may put clients into the account `target`.
fn decides(claims: &mut Value) {
    claims["nats"]["authorization"] =
        json!({"auth_users": [service_user().public], "allowed_accounts": [target().public]});
}

/// A broker that keeps accounts in a directory, its operator, and the service of the account `callout`, which may put clients
/// into the account `target`.
struct World {
    directory: PathBuf,
    broker: Running,
    system: Raw,
    service: Service,
    pushed: i64,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl World {
    fn new(name: &str) -> World {
        let name = format!("midge-callouts-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let nats = json!({"type": "operator", "version": 2, "system_account": system().public});
        let trusted = operator().token(json!({"sub": operator().public, "nats": nats}));
        let accounts = [
            token(&system(), 1, |_| {}),
            token(&callout(), 1, decides),
            token(&target(), 1, |_| {}),
            token(&other(), 1, decides),
        ];
        let accounts = accounts.map(|token| AccountToken::parse(&token).expect("it is good"));
        let operators = Operators {
            tokens: vec![OperatorToken::parse(&trusted).expect("it is good")],
            preload: accounts.into_iter().collect(),
            resolver: Resolver::Directory(Directory {
                path: directory.clone(),
                deletes: Deletes::Remove,
                accounts_max: None,
            }),
            ..Operators::default()
        };
        let broker = start(Config {
            auth: Auth::Operators(Arc::new(operators)),
            system_account: Some(system().public),
            // A place that is never free again is found by a test that waits for it.
            auth_timeout: Some(10 * PATIENCE),
            ..config()
        });
        let join = |account: &Signer, user: &str| {
            let jwt = bearer(account, user);
            let connect = json!({"verbose": false, "headers": true, "jwt": jwt});
            Raw::join_with(broker.addr(), &connect.to_string())
        };
        let system = join(&system(), &service_user().public);
        let service = Service::of(join(&callout(), &service_user().public));
        World {
            directory,
            system,
            service,
            broker,
            pushed: 1,
        }
    }

    /// Brings another token of the account of the service.
    #[track_caller]
    fn push(&mut self, change: impl Fn(&mut Value)) {
        self.pushed += 1;
        let token = token(&callout(), self.pushed, |claims| {
            decides(claims);
            change(claims);
        });
        assert_eq!(outcome(&mut self.system, UPDATE, &token), "jwt updated");
    }

    #[track_caller]
    fn delete(&mut self, account: &Signer) {
        let key = operator().public;
        let request = json!({"sub": key, "nats": {"accounts": [account.public], "version": 2}});
        let request = operator().token(request);
        let told = outcome(&mut self.system, "$SYS.REQ.CLAIMS.DELETE", &request);
        assert_eq!(told, "deleted 1 accounts");
    }

    /// A client that has sent its token, and the question about it.
    fn ask(&mut self) -> (Raw, Asked) {
        let client = come(&self.broker, &sentinel());
        let asked = self.service.asked();
        (client, asked)
    }

    /// Answers that a client is a user of an account.
    fn put(&mut self, asked: &Asked, into: &Signer) {
        let text = answer(asked, &callout(), into, |_| {});
        self.service.answer(asked, text.as_bytes());
    }

    /// A client whom the service has put into an account.
    #[track_caller]
    fn let_in(&mut self, into: &Signer) -> Raw {
        let (mut client, asked) = self.ask();
        self.put(&asked, into);
        is_in(&mut client);
        client
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs() as i64
}

#[track_caller]
fn stays(client: &mut Raw) {
    client.send(b"PING\r\n");
    is_in(client);
}

#[test]
fn who_was_put_into_another_account_goes_when_a_push_allows_it_no_longer() {
    let mut world = World::new("pushed");
    let user = Signer::new(Kind::User, 10).public;
    let mut neighbour = come(&world.broker, &bearer(&target(), &user));
    is_in(&mut neighbour);
    let changes: [fn(&mut Value); 3] = [
        |authorization| authorization["allowed_accounts"] = json!([other().public]),
        |authorization| *authorization = json!({"auth_users": []}),
        |authorization| *authorization = json!({}),
    ];
    for change in changes {
        let mut client = world.let_in(&target());
        // One that says the same.
        world.push(|_| {});
        stays(&mut client);
        world.push(|claims| change(&mut claims["nats"]["authorization"]));
        is_told_and_closed(&mut client, "User Authentication Revoked");
        world.push(|_| {});
    }
    stays(&mut neighbour);
    world.service.0.sync();
}

#[test]
fn a_push_reaches_whom_its_callout_has_let_in_behind_hundreds_of_others() {
    let mut world = World::new("hundreds");
    let user = Signer::new(Kind::User, 10).public;
    // More than are looked at in one turn.
    let neighbours = (0..300).map(|_| come(&world.broker, &bearer(&target(), &user)));
    let mut neighbours: Vec<Raw> = neighbours.collect();
    neighbours.iter_mut().for_each(is_in);
    let mut client = world.let_in(&target());
    world.push(|claims| claims["nats"]["authorization"] = json!({}));
    is_told_and_closed(&mut client, "User Authentication Revoked");
    neighbours.iter_mut().for_each(stays);
}

#[test]
fn who_was_put_into_another_account_goes_with_the_account_that_has_put_it_there() {
    let told = "Account Authentication Expired";
    let mut world = World::new("deleted");
    let mut client = world.let_in(&target());
    world.delete(&callout());
    is_told_and_closed(&mut client, told);
    // And in the second in which that account is over.
    let mut world = World::new("over");
    let mut before = world.let_in(&target());
    let end = now() + 3;
    world.push(|claims| claims["exp"] = json!(end));
    let mut after = world.let_in(&target());
    for client in [&mut before, &mut after] {
        is_told_and_closed(client, told);
    }
    assert!(now() >= end);
}

/// The token of the account `target`, in which this is revoked until the second of its user's token.
fn revoking(issued_at: i64, user: &str) -> String {
    token(&target(), issued_at, |claims| {
        claims["nats"]["revocations"] = json!({user: 5});
    })
}

#[test]
fn who_came_in_by_a_callout_goes_when_its_own_token_is_revoked_in_the_account_that_was_asked() {
    let mut world = World::new("own");
    let user = Signer::new(Kind::User, 9).public;
    for into in [target(), callout()] {
        let mut client = world.let_in(&into);
        // One that was made before, and one of somebody else.
        let stranger = Signer::new(Kind::User, 10).public;
        world.push(|claims| claims["nats"]["revocations"] = json!({&user: 4, &stranger: 5}));
        stays(&mut client);
        world.push(|claims| claims["nats"]["revocations"] = json!({&user: 5}));
        is_told_and_closed(&mut client, "User Authentication Revoked");
        // At a login it is the same.
        is_refused(&mut come(&world.broker, &sentinel()));
        world.push(|_| {});
    }
    let mut client = world.let_in(&target());
    world.push(|claims| claims["nats"]["revocations"] = json!({"*": 5}));
    is_told_and_closed(&mut client, "User Authentication Revoked");
}

#[test]
fn the_user_of_an_answer_is_revoked_by_its_key_and_not_by_its_name() {
    let mut world = World::new("answered");
    let (mut client, asked) = world.ask();
    world.put(&asked, &target());
    is_in(&mut client);
    let stranger = Signer::new(Kind::User, 10).public;
    for (number, user) in [(2, "joe"), (3, stranger.as_str())] {
        let told = outcome(&mut world.system, UPDATE, &revoking(number, user));
        assert_eq!(told, "jwt updated");
        stays(&mut client);
    }
    let told = outcome(&mut world.system, UPDATE, &revoking(4, asked.user_key()));
    assert_eq!(told, "jwt updated");
    is_told_and_closed(&mut client, "User Authentication Revoked");
    let (mut client, asked) = world.ask();
    let told = outcome(&mut world.system, UPDATE, &revoking(5, asked.user_key()));
    assert_eq!(told, "jwt updated");
    world.put(&asked, &target());
    is_refused(&mut client);
}

#[test]
fn who_waits_for_an_answer_comes_in_only_if_its_own_token_is_still_good() {
    let mut world = World::new("waits");
    let user = Signer::new(Kind::User, 9).public;
    let revoked = |claims: &mut Value| claims["nats"]["revocations"] = json!({&user: 5});
    let (mut client, asked) = world.ask();
    world.push(revoked);
    world.put(&asked, &target());
    is_refused(&mut client);
    world.push(|_| {});
    // And if another token says the same of it.
    let (mut client, asked) = world.ask();
    world.push(|_| {});
    world.put(&asked, &target());
    is_in(&mut client);
}

/// As many as one address may have asked about.
const ASKED_MAX: usize = 128;

#[test]
fn a_client_about_whom_nobody_can_be_asked_leaves_its_place_to_the_next() {
    let mut world = World::new("places");
    let mut first: Vec<(Raw, Asked)> = (0..ASKED_MAX).map(|_| world.ask()).collect();
    // Two wait. The newest comes first, and in its account there is no service.
    let user = Signer::new(Kind::User, 10).public;
    let tokens = [sentinel(), bearer(&other(), &user)];
    let [mut next, _other] = tokens.map(|token| {
        let client = come(&world.broker, &token);
        // What was sent before is read with it, or before it.
        world.service.0.sync();
        client
    });
    let (mut client, asked) = first.pop().expect("there are some");
    world.put(&asked, &target());
    is_in(&mut client);
    let asked = world.service.asked();
    world.put(&asked, &target());
    is_in(&mut next);
}
