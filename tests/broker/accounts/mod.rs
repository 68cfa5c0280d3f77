//! Tokens of accounts while the broker runs: those that are brought (`pushed.rs`), and those that others are asked for
//! (`cached.rs`, and by HTTP `fetched.rs`).

mod cached;
mod fetched;
mod pushed;

use crate::raw::{Raw, config, start};
use crate::tokens::{Signer, account_body, user_body};
use midge::{
    AccountToken, Auth, Config, Deletes, Directory, OperatorToken, Operators, Resolver, Running,
};
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";

/// The keys, and the directory, if there is one.
struct World {
    operator: Signer,
    system: Signer,
    account: Signer,
    directory: Option<PathBuf>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

impl World {
    fn in_memory() -> World {
        World {
            operator: Signer::new(Kind::Operator, 1),
            system: Signer::new(Kind::Account, 2),
            account: Signer::new(Kind::Account, 3),
            directory: None,
        }
    }

    fn kept(name: &str) -> World {
        let name = format!("midge-accounts-{name}-{}", std::process::id());
        let mut world = World::in_memory();
        world.directory = Some(std::env::temp_dir().join(name));
        world
    }

    /// The token of an account, issued in this second.
    fn token(&self, key: &Signer, issued_at: i64, change: impl Fn(&mut Value)) -> String {
        let mut claims = json!({"sub": key.public, "iat": issued_at, "nats": account_body()});
        change(&mut claims);
        self.operator.token(claims)
    }

    /// A broker that knows both accounts, of which the second is issued in the second 100.
    fn broker(&self, accounts_max: Option<usize>) -> Running {
        let resolver = match &self.directory {
            None => Resolver::Memory,
            Some(path) => Resolver::Directory(Directory {
                path: path.clone(),
                deletes: Deletes::Rename,
                accounts_max,
            }),
        };
        let account = self.token(&self.account, 100, |_| {});
        self.broker_with(resolver, &[account])
    }

    /// A broker that knows the system account and these; with a resolver by HTTP it has to ask for all.
    fn broker_with(&self, resolver: Resolver, accounts: &[String]) -> Running {
        let nats = json!({"type": "operator", "version": 2, "system_account": self.system.public});
        let operator = json!({"sub": self.operator.public, "nats": nats});
        let operator = OperatorToken::parse(&self.operator.token(operator)).expect("it is good");
        let system = self.token(&self.system, 1, |_| {});
        let tokens = accounts.iter().chain([&system]);
        let preload = tokens.map(|token| AccountToken::parse(token).expect("it is good"));
        let is_elsewhere = matches!(resolver, Resolver::Url(_));
        let operators = Operators {
            tokens: vec![operator],
            preload: preload.filter(|_| !is_elsewhere).collect(),
            resolver,
            ..Operators::default()
        };
        start(Config {
            auth: Auth::Operators(Arc::new(operators)),
            system_account: Some(self.system.public.clone()),
            ..config()
        })
    }

    /// The token of a user of an account that signs nothing.
    fn bearer(&self, account: &Signer) -> String {
        let user = Signer::new(Kind::User, 9);
        let mut nats = user_body();
        nats["bearer_token"] = json!(true);
        account.token(json!({"sub": user.public, "iat": 50, "nats": nats}))
    }

    /// What is said to a client of an account, to its `PING`; and the client.
    fn join(&self, broker: &Running, account: &Signer) -> (Option<String>, Raw) {
        let token = self.bearer(account);
        let mut client = Raw::connect(broker.addr());
        let connect = json!({"verbose": false, "jwt": token});
        client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
        (client.line(), client)
    }

    fn joined(&self, broker: &Running, account: &Signer) -> Raw {
        let (told, client) = self.join(broker, account);
        assert_eq!(told.as_deref(), Some("PONG"));
        client
    }
}

/// What is answered to a request.
fn ask(client: &mut Raw, subject: &str, payload: &str) -> String {
    let len = payload.len();
    client.send(format!("SUB inbox 1\r\nUNSUB 1 1\r\nPUB {subject} inbox {len}\r\n").as_bytes());
    client.send(format!("{payload}\r\n").as_bytes());
    loop {
        let said = client.next(|op| match op {
            ServerOp::Msg(message) => Some(String::from_utf8_lossy(message.payload).into_owned()),
            ServerOp::Err { text } => panic!("{}", String::from_utf8_lossy(text)),
            _ => None,
        });
        if let Some(said) = said.expect("the broker is there") {
            return said;
        }
    }
}

/// What became of a request: the message, or why it was refused.
pub(crate) fn outcome(client: &mut Raw, subject: &str, payload: &str) -> String {
    let answer: Value = serde_json::from_str(&ask(client, subject, payload)).expect("it is JSON");
    let text = answer["data"]["message"].as_str();
    let text = text.or_else(|| answer["error"]["description"].as_str());
    text.expect("it is one of them").to_owned()
}

/// The keys of the accounts that are kept.
fn keys(system: &mut Raw) -> Vec<String> {
    let list: Value = serde_json::from_str(&ask(system, "$SYS.REQ.CLAIMS.LIST", "")).expect("JSON");
    let keys = list["data"].as_array().expect("a list").iter();
    keys.map(|key| key.as_str().expect("a key").to_owned())
        .collect()
}
