//! A broker with a system account, and those who ask it.

use crate::raw::{self, Raw};
use midge::{Account, Auth, Config, Running, User, Users};
use midge_protocol::encode;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// A broker with a system account, and one of tenants; nothing is served over HTTP.
pub(super) fn start(config: Config) -> Running {
    raw::start(with_accounts(config))
}

/// Settings with both.
pub(super) fn with_accounts(config: Config) -> Config {
    let user = |name: &str, account: &str| User {
        name: name.to_owned(),
        account: Some(account.to_owned()),
        ..User::default()
    };
    let accounts = ["$SYS", "A"].map(|name| (name.to_owned(), Account::default()));
    Config {
        server_name: Some("one".to_owned()),
        auth: Auth::Users {
            users: Users::from(vec![user("sys", "$SYS"), user("ann", "A")]),
            token: None,
        },
        accounts: Arc::new(accounts.into()),
        ..config
    }
}

/// One who asks, with a subscription for answers.
pub(super) struct Asker(pub(super) Raw);

impl Asker {
    pub(super) fn join(addr: SocketAddr, user: &str) -> Asker {
        let json = format!(
            r#"{{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"user":"{user}","pass":""}}"#
        );
        let mut raw = Raw::join_with(addr, &json);
        raw.sub("answer", None, "1");
        Asker(raw)
    }

    pub(super) fn say(&mut self, subject: &str, payload: &str) {
        let mut frame = Vec::new();
        encode::publish(
            &mut frame,
            subject.as_bytes(),
            Some(b"answer"),
            payload.as_bytes(),
        );
        self.0.send(&frame);
    }

    /// The next answer; `Null` for status 503.
    pub(super) fn hear(&mut self) -> Value {
        let answer = self.0.message(|message| match message.payload {
            b"" => Value::Null,
            payload => serde_json::from_slice(payload).expect("an answer is JSON"),
        });
        answer.expect("the connection is open")
    }

    pub(super) fn ask(&mut self, subject: &str, payload: &str) -> Value {
        self.say(subject, payload);
        self.hear()
    }
}
