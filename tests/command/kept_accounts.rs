//! Tokens of accounts in a directory: whatever ends the process, what is there is whole, and what was answered is there.

use crate::process::Broker;
use crate::raw::Raw;
use crate::tokens::{Signer, account_body, user_body};
use midge::AccountToken;
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// A directory of this test, with the configuration in it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client of the system account.
fn join(broker: &Broker, system: &Signer) -> Raw {
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 4).public;
    let token = system.token(json!({"sub": user, "iat": 1, "nats": nats}));
    Raw::join_with(
        broker.addr(),
        &json!({"verbose": false, "jwt": token}).to_string(),
    )
}

#[test]
fn a_process_that_is_killed_in_the_midst_of_pushes_leaves_each_token_whole_and_those_it_has_answered()
 {
    let directory = std::env::temp_dir().join(format!("midge-kept-{}", std::process::id()));
    let scratch = Scratch(directory);
    let kept = scratch.0.join("jwt");
    fs::create_dir_all(&scratch.0).expect("there is room");
    let operator = Signer::new(Kind::Operator, 1);
    let [system, account] = [2, 3].map(|byte| Signer::new(Kind::Account, byte));
    let nats = json!({"type": "operator", "version": 2, "system_account": system.public});
    let token = operator.token(json!({"sub": operator.public, "nats": nats}));
    let of_system = operator.token(json!({"sub": system.public, "iat": 1, "nats": account_body()}));
    let file = scratch.0.join("midge.conf");
    let text = format!(
        "operator: {token}\nresolver {{ type: full, dir: {:?} }}\nresolver_preload {{ {}: {of_system} }}\n",
        kept.display().to_string(),
        system.public
    );
    fs::write(&file, text).expect("there is room");
    let file = file.to_str().expect("it is text").to_owned();
    let mut issued = 0;
    for answered in [0, 1, 3, 8, 20] {
        let mut broker = Broker::start(&["-c", &file]);
        let mut client = join(&broker, &system);
        let pushes: Vec<String> = (0..40)
            .map(|_| {
                issued += 1;
                // Long enough that a write may be cut.
                let mut nats = account_body();
                nats["description"] = json!("x".repeat(issued * 50));
                operator.token(json!({"sub": account.public, "iat": issued, "nats": nats}))
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
        let path = kept.join(format!("{}.jwt", account.public));
        let text = fs::read_to_string(&path).unwrap_or_default();
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
    let broker = Broker::start(&["-c", &file]);
    let names = fs::read_dir(&kept).expect("it is there");
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
    let mut client = join(&broker, &system);
    let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.public);
    client.send(format!("SUB answers 1\r\nPUB {subject} answers 0\r\n\r\n").as_bytes());
    let told = client.message(|message| message.payload.to_vec());
    let stored = fs::read(kept.join(format!("{}.jwt", account.public))).expect("it is there");
    assert_eq!(told, Some(stored));
}
