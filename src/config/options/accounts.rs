//! The block `accounts`: spaces of subjects, each with its users, limits and default permissions; and what the whole
//! file has to say of users.
//!
//! ```text
//! accounts {
//!   A { users: [ {user: ann, password: SECRET} ], limits { max_connections: 10 } }
//!   B { users: [ {nkey: U...} ], default_permissions { publish: "b.>" } }
//! }
//! ```
//!
//! `sharing` reads what accounts let each other have, `mappings` where else goes what is published in one.

use super::reader::Reader;
use super::sharing::Places;
use crate::config::language::{Kind, Map, Pair, Position, Value};
use crate::config::{Account, AccountLimits, GLOBAL, Proof, User};
use midge_protocol::nkey;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

const KEYS: [&str; 11] = [
    "nkey",
    "users",
    "default_permissions",
    "exports",
    "imports",
    "mappings",
    "maps",
    "limits",
    "msg_trace",
    "trace_dest",
    "jetstream",
];

/// A user, and where it stands.
pub(super) type Placed = (User, Position);

impl Reader<'_> {
    /// Reads the block.
    pub(super) fn accounts(&mut self, pair: &Pair) {
        // Of two blocks the last counts, whole.
        self.credentials.of_accounts.clear();
        *self.sharing = Places::default();
        let mut accounts = BTreeMap::new();
        match &pair.value.kind {
            Kind::Map(map) => {
                for pair in map.iter().filter(|pair| !pair.used) {
                    if self.may_be_account(&pair.key, &pair.at, &accounts) {
                        let account = self.account(pair);
                        accounts.insert(pair.key.clone(), account);
                    }
                }
            }
            Kind::List(names) => {
                for value in names {
                    self.account_name(value, &mut accounts);
                }
            }
            other => {
                let text = format!(
                    "Expected accounts to be a map or a list of names, got {other}; write accounts {{ A {{ }} }}"
                );
                self.report.error(&pair.at, text);
            }
        }
        self.options.config.accounts = Arc::new(accounts);
    }

    fn account_name(&mut self, value: &Value, accounts: &mut BTreeMap<String, Account>) {
        match value.as_text() {
            None => {
                let text = format!("Expected the name of an account, got {}", value.kind);
                self.report.error(&value.at, text);
            }
            Some(name) => {
                if self.may_be_account(name, &value.at, accounts) {
                    accounts.insert(name.to_owned(), Account::default());
                }
            }
        }
    }

    fn may_be_account(
        &mut self,
        name: &str,
        at: &Position,
        accounts: &BTreeMap<String, Account>,
    ) -> bool {
        let wrong = if name == GLOBAL {
            format!("{name:?} is a Reserved Account; its users stand in authorization")
        } else if accounts.contains_key(name) {
            format!("Duplicate Account Entry: {name}")
        } else {
            return true;
        };
        self.report.error(at, wrong);
        false
    }

    fn account(&mut self, pair: &Pair) -> Account {
        let mut account = Account::default();
        let name = &pair.key;
        let Kind::Map(map) = &pair.value.kind else {
            let text = "Expected map entries for accounts";
            self.report.error(&pair.at, text);
            return account;
        };
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "nkey" => account.nkey = self.account_key(pair),
                "users" => {
                    let users = self.users(pair).unwrap_or_default();
                    let bound = users.into_iter().map(|(user, at)| {
                        let account = Some(name.clone());
                        (User { account, ..user }, at)
                    });
                    self.credentials.of_accounts.extend(bound);
                }
                "default_permissions" => account.default_permissions = self.permissions(pair),
                "limits" => account.limits = self.account_limits(pair),
                "exports" => self.exports(pair, name, &mut account),
                "imports" => self.imports(pair, name, &mut account),
                "mappings" | "maps" => {
                    let mappings = self.mappings(pair).unwrap_or_default();
                    account.mappings.extend(mappings);
                }
                "msg_trace" | "trace_dest" => {
                    self.refuse(pair, "messages are not traced from broker to broker");
                }
                "jetstream" => self.jetstream(pair),
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS.iter().copied()),
            }
        }
        account
    }

    /// The public key of an account.
    fn account_key(&mut self, pair: &Pair) -> Option<String> {
        let text = self.text(pair)?;
        if nkey::public_key(nkey::Kind::Account, &text).is_some() {
            return Some(text);
        }
        let text = format!(
            "Not a valid public nkey for an account: {text:?}; it is the one of 56 letters that begins with A"
        );
        self.wrong(pair, text)
    }

    fn account_limits(&mut self, pair: &Pair) -> AccountLimits {
        let mut limits = AccountLimits::default();
        let Kind::Map(map) = &pair.value.kind else {
            let text = format!(
                "Expected account limits to be a map/struct, got {}",
                pair.value.kind
            );
            self.report.error(&pair.at, text);
            return limits;
        };
        let map: &Map = map;
        for pair in map.iter() {
            let limit = match pair.key.to_ascii_lowercase().as_str() {
                "max_connections" | "max_conn" => &mut limits.connections_max,
                "max_subscriptions" | "max_subs" => &mut limits.subscriptions_max,
                "max_payload" | "max_pay" => &mut limits.payload_bytes_max,
                "max_leafnodes" | "max_leafs" => &mut limits.leafnodes_max,
                _ if pair.used => continue,
                _ => {
                    let text = format!("Unknown field {:?} parsing account limits", pair.key);
                    self.report.error(&pair.at, text);
                    continue;
                }
            };
            *limit = self.account_limit(pair);
        }
        limits
    }

    /// A number of things, of which there may be none; -1 is any number.
    fn account_limit(&mut self, pair: &Pair) -> Option<usize> {
        match self.integer(pair)? {
            -1 => None,
            number => match usize::try_from(number) {
                Ok(number) => Some(number),
                Err(_) => self.wrong(
                    pair,
                    format!("{} is {number}; use -1 for no limit", pair.key),
                ),
            },
        }
    }

    /// Those of `users` that have a name of their own; tells of the others.
    pub(super) fn without_duplicates(&mut self, users: Vec<Placed>) -> Vec<User> {
        let mut names = HashSet::new();
        let mut kept = Vec::with_capacity(users.len());
        for (user, at) in users {
            if names.insert(user.name.clone()) {
                kept.push(user);
                continue;
            }
            let what = match user.proof {
                Proof::Signature => "nkey",
                _ => "user",
            };
            let text = format!("Duplicate {what} {:?} detected", user.name);
            self.report.error(&at, text);
        }
        kept
    }
}

#[cfg(test)]
mod tests;
