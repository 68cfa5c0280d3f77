//! The block `authorization`: a token, one user, or a list of users.

use super::accounts::Placed;
use super::reader::Reader;
use crate::config::language::{Kind, Map, Pair, Position};
use crate::config::{Auth, ConnectionType, Proof, Secret, User};
use midge_protocol::nkey;
use std::time::Duration;

/// What the block says, until all of it is known.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    at: Option<Position>,
    user: Option<String>,
    pass: Option<Secret>,
    token: Option<Secret>,
    users: Option<Vec<Placed>>,
    /// Users that stand in accounts.
    pub(super) of_accounts: Vec<Placed>,
    timeout: Option<Duration>,
}

/// What a block asks of every client alike.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) user: Option<String>,
    pub(super) pass: Option<String>,
    pub(super) token: Option<String>,
}

impl Secrets {
    pub(super) const KEYS: [&str; 5] = ["user", "username", "pass", "password", "token"];

    /// Reads a pair that is one of them; answers whether it is.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, pair: &Pair) -> bool {
        let place = match pair.key.to_ascii_lowercase().as_str() {
            "user" | "username" => &mut self.user,
            "pass" | "password" => &mut self.pass,
            "token" => &mut self.token,
            _ => return false,
        };
        *place = reader.text(pair);
        true
    }
}

/// What is wrong with a block that has a password and no user, unless a flag brings one.
pub(crate) const LONE_PASSWORD: &str =
    "the block has a password and no user, so every client would be accepted; add user: NAME";

const KEYS: [&str; 18] = [
    "user",
    "username",
    "pass",
    "password",
    "token",
    "timeout",
    "users",
    "default_permissions",
    "default_permission",
    "permissions",
    "auth_callout",
    "auth_hook",
    "proxy_required",
    // Of a user:
    "nkey",
    "allowed_connection_types",
    "connection_types",
    "clients",
    "limits",
];

/// How many of [`KEYS`] the block itself may have.
const BLOCK_KEYS: usize = 13;

impl Reader<'_> {
    /// Reads the block. What it comes to is known once [`credentials_are`](Reader::credentials_are)
    /// is asked.
    pub(super) fn authorization(&mut self, pair: &Pair) {
        // Of two blocks the last counts, whole.
        *self.credentials = Credentials {
            at: Some(pair.at.clone()),
            of_accounts: std::mem::take(&mut self.credentials.of_accounts),
            ..Credentials::default()
        };
        self.options.config.default_permissions = None;
        self.options.config.auth_callout = None;
        let Some(map) = self.map(pair) else { return };
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "user" | "username" => self.credentials.user = self.present(pair, "a user name"),
                "pass" | "password" => self.credentials.pass = self.text(pair).map(Secret::from),
                "token" => {
                    self.credentials.token = self.present(pair, "a token").map(Secret::from);
                }
                "timeout" => self.credentials.timeout = self.seconds(pair, "authorization"),
                "users" => {
                    self.credentials.users = self.users(pair);
                    if self.credentials.users.as_ref().is_some_and(Vec::is_empty)
                        && pair.value.as_list().is_some_and(<[_]>::is_empty)
                    {
                        self.ignore(pair, "the list is empty, so every client is accepted");
                    }
                }
                "default_permissions" | "default_permission" | "permissions" => {
                    self.options.config.default_permissions = self.permissions(pair);
                }
                "auth_callout" | "auth_hook" => {
                    self.options.config.auth_callout = self.callout(pair);
                }
                "proxy_required" => self.proxy_required(pair),
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS[..BLOCK_KEYS].iter().copied()),
            }
        }
    }

    /// A text that must not be empty, or every client would be accepted.
    fn present(&mut self, pair: &Pair, what: &str) -> Option<String> {
        let text = self.text(pair)?;
        if text.is_empty() {
            let text = format!(
                "{} is empty, so every client would be accepted; set {what}, or leave the block out",
                pair.key
            );
            self.report.error(&pair.at, text);
        }
        Some(text)
    }

    /// Users, and where each stands.
    pub(super) fn users(&mut self, pair: &Pair) -> Option<Vec<Placed>> {
        let Some(list) = pair.value.as_list() else {
            let text = format!(
                "Expected users field to be an array, got {}; write users = [ {{user: NAME, password: \
                 SECRET}} ]",
                pair.value.kind
            );
            return self.wrong(pair, text);
        };
        let mut users = Vec::new();
        for value in list {
            let Kind::Map(map) = &value.kind else {
                let text = format!("Expected user entry to be a map/struct, got {}", value.kind);
                self.report.error(&value.at, text);
                continue;
            };
            let user = self.user(map, &value.at);
            users.extend(user.map(|user| (user, value.at.clone())));
        }
        Some(users)
    }

    fn user(&mut self, map: &Map, at: &Position) -> Option<User> {
        let (mut name, mut pass, mut key) = (None, None, None);
        let (mut connections, mut permissions, mut limits) = (Vec::new(), None, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "user" | "username" => name = self.text(pair),
                "pass" | "password" => pass = self.text(pair),
                "nkey" => key = Some(self.public_key(pair)),
                "permissions" | "permission" | "authorization" => {
                    permissions = self.permissions(pair);
                }
                "allowed_connection_types" | "connection_types" | "clients" => {
                    connections = self.connection_types(pair);
                }
                "limits" => limits = self.user_limits(pair),
                "proxy_required" => self.proxy_required(pair),
                _ if pair.used => {}
                _ => {
                    let of_user = KEYS.iter().filter(|key| {
                        !["token", "timeout", "users", "auth_callout", "auth_hook"].contains(key)
                    });
                    self.unknown(pair, "", of_user.copied());
                }
            }
        }
        let (name, proof) = match (key, name) {
            (Some(key), None) if pass.is_none() => (key?, Proof::Signature),
            (Some(_), _) => {
                let text = "Nkey users do not take usernames or passwords; make them two users";
                self.report.error(at, text);
                return None;
            }
            (None, Some(name)) if !name.is_empty() => {
                (name, Proof::Password(pass.unwrap_or_default().into()))
            }
            (None, _) => {
                self.report.error(at, "User entry requires a user");
                return None;
            }
        };
        Some(User {
            name,
            proof,
            account: None,
            connections,
            permissions,
            limits,
        })
    }

    /// The public key of a user.
    fn public_key(&mut self, pair: &Pair) -> Option<String> {
        let text = self.text(pair)?;
        if nkey::public_key(nkey::Kind::User, &text).is_some() {
            return Some(text);
        }
        self.wrong(
            pair,
            "Not a valid public nkey for a user; it is the one of 56 letters that begins with U",
        )
    }

    fn connection_types(&mut self, pair: &Pair) -> Vec<ConnectionType> {
        let names = self.texts(pair).unwrap_or_default();
        let known = names.iter().filter_map(|name| ConnectionType::named(name));
        let types: Vec<ConnectionType> = known.collect();
        if types.len() < names.len() {
            let unknown = names
                .iter()
                .filter(|name| ConnectionType::named(name).is_none());
            let text = format!(
                "invalid connection types {:?}; known are {}",
                unknown.collect::<Vec<_>>(),
                ConnectionType::ALL.map(ConnectionType::name).join(", ")
            );
            self.report.error(&pair.at, text);
        } else if !types.is_empty() && !types.iter().any(|one| one.is_served()) {
            let text = "midge has no connections of these types, so this user cannot come in";
            self.report.notice(&pair.at, text);
        }
        types
    }

    fn proxy_required(&mut self, pair: &Pair) {
        if self.switch(pair) == Some(true) {
            self.refuse(pair, "trusted proxies are not implemented");
        }
    }

    /// Puts together what the block has said; whether a timeout was in it.
    pub(super) fn credentials_are(&mut self) -> bool {
        let credentials = std::mem::take(self.credentials);
        let has_timeout = credentials.timeout.is_some();
        if let Some(at) = credentials.at.clone() {
            self.put_together(credentials, &at);
        } else if !credentials.of_accounts.is_empty() {
            self.options.config.auth = Auth::Users {
                users: self.without_duplicates(credentials.of_accounts).into(),
                token: None,
            };
        }
        has_timeout
    }

    fn put_together(&mut self, credentials: Credentials, at: &Position) {
        if let Some(timeout) = credentials.timeout {
            self.options.config.auth_timeout = Some(timeout);
        }
        let single = credentials.user.is_some() || credentials.pass.is_some();
        let mut users = credentials.users.unwrap_or_default();
        users.extend(credentials.of_accounts);
        let listed = !users.is_empty();
        if let (None, Some(pass)) = (&credentials.user, &credentials.pass) {
            // Its user may come by a flag.
            self.options.config.auth = Auth::User {
                user: String::new(),
                pass: pass.clone(),
            };
        }
        let wrong = if single && credentials.token.is_some() {
            "Cannot have a user/pass and token"
        } else if listed && single {
            "Can not have a single user/pass and a users array"
        } else if listed && credentials.token.is_some() {
            "Can not have a token and a users array"
        } else if single && credentials.user.is_none() {
            LONE_PASSWORD
        } else {
            ""
        };
        if !wrong.is_empty() {
            return self.report.error(at, wrong);
        }
        self.options.config.auth = if let Some(token) = credentials.token {
            Auth::Token(token)
        } else if let Some(user) = credentials.user {
            let pass = credentials.pass.unwrap_or_default();
            Auth::User { user, pass }
        } else if listed {
            Auth::Users {
                users: self.without_duplicates(users).into(),
                token: None,
            }
        } else {
            Auth::None
        };
    }
}
