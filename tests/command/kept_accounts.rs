//! Tokens of accounts in a directory: whatever ends the process, what is there is whole, and what was answered is there. What
//! somebody puts there by hand counts after a reload.

use crate::process::{Broker, signal};
use crate::raw::Raw;
use crate::tokens::{Signer, account_body, user_body};
use midge::AccountToken;
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A directory of this test, with the configuration in it, and the keys.
struct World {
    directory: PathBuf,
    operator: Signer,
    system: Signer,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl World {
    /// Settings of a broker that knows the system account.
    fn new(name: &str) -> World {
        let name = format!("midge-{name}-{}", std::process::id());
        let world = World {
            directory: std::env::temp_dir().join(name),
            operator: Signer::new(Kind::Operator, 1),
            system: Signer::new(Kind::Account, 2),
        };
        fs::create_dir_all(&world.directory).expect("there is room");
        let key = &world.system.public;
        let nats = json!({"type": "operator", "version": 2, "system_account": key});
        let operator = (world.operator).token(json!({"sub": world.operator.public, "nats": nats}));
        let text = format!(
            "operator: {operator}\nresolver {{ type: full, dir: {:?} }}\nresolver_preload {{ {key}: {} }}\n",
            world.kept().display().to_string(),
            world.token(&world.system, 1, |_| {})
        );
        fs::write(world.file(), text).expect("there is room");
        world
    }

    fn file(&self) -> PathBuf {
        self.directory.join("midge.conf")
    }

    /// Where tokens are kept.
    fn kept(&self) -> PathBuf {
        self.directory.join("jwt")
    }

    /// The file of an account.
    fn place(&self, account: &Signer) -> PathBuf {
        self.kept().join(format!("{}.jwt", account.public))
    }

    fn start(&self) -> Broker {
        Broker::start(&["-c", self.file().to_str().expect("it is text")])
    }

    fn token(&self, account: &Signer, issued_at: usize, change: impl Fn(&mut Value)) -> String {
        let mut claims = json!({"sub": account.public, "iat": issued_at, "nats": account_body()});
        change(&mut claims);
        self.operator.token(claims)
    }
}

/// A client of an account, once it is in; or what it was told.
fn join(broker: &Broker, account: &Signer) -> Result<Raw, String> {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 4).public;
    let token = account.token(json!({"sub": user, "iat": 1, "nats": nats}));
    let connect = json!({"verbose": false, "jwt": token});
    let mut client = Raw::connect(broker.addr());
    client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
    match client.line().expect("it is told") {
        told if told == "PONG" => Ok(client),
        told => Err(told),
    }
}

#[test]
fn a_process_that_is_killed_in_the_midst_of_pushes_leaves_each_token_whole_and_those_it_has_answered()
 {
    let world = World::new("kept");
    let account = Signer::new(Kind::Account, 3);
    let mut issued = 0;
    for answered in [0, 1, 3, 8, 20] {
        let mut broker = world.start();
        let mut client = join(&broker, &world.system).expect("it is let in");
        let pushes: Vec<String> = (0..40)
            .map(|_| {
                issued += 1;
                // Long enough that a write may be cut.
                let text = "x".repeat(issued * 50);
                world.token(&account, issued, |claims| {
                    claims["nats"]["description"] = json!(text);
                })
            })
            .collect();
        client.send(b"SUB answers 1\r\n");
        for push in &pushes {
            let head = format!("PUB $SYS.REQ.CLAIMS.UPDATE answers {}\r\n", push.len());
            client.send(format!("{head}{push}\r\n").as_bytes());
        }
        let mut left = answered;
        while left > 0 {
            let is_answer = client.next(|op| match op {
                ServerOp::Msg(message) => {
                    let text = String::from_utf8_lossy(message.payload);
                    assert!(text.contains("jwt updated"), "{text}");
                    true
                }
                _ => false,
            });
            left -= usize::from(is_answer.expect("the broker is there"));
        }
        broker.child.kill().expect("it runs");
        broker.child.wait().expect("it has ended");
        let text = fs::read_to_string(world.place(&account)).unwrap_or_default();
        let place = pushes.iter().position(|push| *push == text);
        assert!(
            place.map_or(0, |place| place + 1) >= answered || answered == 0,
            "{answered} were answered, {place:?} is kept"
        );
        if answered > 0 {
            AccountToken::parse(&text).expect("it is whole");
        }
    }
    // What was left behind beside it does not stay, and what counts is what is there.
    let broker = world.start();
    let names = fs::read_dir(world.kept()).expect("it is there");
    let names: Vec<String> = names
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .into_string()
                .expect("it is text")
        })
        .collect();
    assert!(names.iter().all(|name| name.ends_with(".jwt")), "{names:?}");
    let mut client = join(&broker, &world.system).expect("it is let in");
    let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.public);
    client.send(format!("SUB answers 1\r\nPUB {subject} answers 0\r\n\r\n").as_bytes());
    let told = client.message(|message| message.payload.to_vec());
    let stored = fs::read(world.place(&account)).expect("it is there");
    assert_eq!(told, Some(stored));
}

#[test]
fn what_is_put_into_the_directory_by_hand_counts_after_a_reload_and_reaches_clients() {
    let world = World::new("by-hand");
    let [revoked, steady, fresh, gone] = [3, 4, 5, 6].map(|byte| Signer::new(Kind::Account, byte));
    fs::create_dir_all(world.kept()).expect("there is room");
    let put = |account: &Signer, token: String| {
        fs::write(world.place(account), token).expect("there is room");
    };
    for account in [&revoked, &steady, &gone] {
        put(account, world.token(account, 20, |_| {}));
    }
    let mut broker = world.start();
    let [mut first, mut second] =
        [&revoked, &steady].map(|account| join(&broker, account).expect("it is let in"));
    let denied = Some("-ERR 'Authorization Violation'".to_owned());
    assert_eq!(join(&broker, &fresh).err(), denied);
    // Issued before what is there: who puts it there means it.
    let revokes = |claims: &mut Value| claims["nats"]["revocations"] = json!({"*": 1});
    put(&revoked, world.token(&revoked, 10, revokes));
    let stranger = Signer::new(Kind::Operator, 9);
    let foreign = json!({"sub": steady.public, "iat": 30, "nats": account_body()});
    put(&steady, stranger.token(foreign));
    put(&fresh, world.token(&fresh, 10, |_| {}));
    fs::remove_file(world.place(&gone)).expect("it is there");
    signal(broker.child.id(), "HUP");
    let told = "-ERR 'User Authentication Revoked'";
    assert_eq!(first.line().as_deref(), Some(told));
    let stays = format!(
        "Account {} stays as it was: no key of the operator",
        steady.public
    );
    broker.position(&stays);
    broker.position(&format!("Account {} has another JWT", fresh.public));
    broker.position(&format!(
        "Account {} is no longer in the directory",
        gone.public
    ));
    second.sync();
    join(&broker, &fresh).expect("it is let in");
    join(&broker, &steady).expect("it is let in");
    assert_eq!(join(&broker, &gone).err(), denied);
    assert_eq!(join(&broker, &revoked).err(), denied);
}
