//! The block `auth_callout` in `authorization`: who decides about clients in place of the settings.
//!
//! ```text
//! auth_callout { issuer: A..., account: AUTH, auth_users: [ auth ], xkey: X... }
//! ```
//!
//! What it must have, and what contradicts other settings, is told by the [check](crate::config::check) between them.

use super::reader::Reader;
use crate::config::language::{Kind, Pair};
use crate::config::{AuthCallout, GLOBAL};

const KEYS: [&str; 8] = [
    "issuer",
    "account",
    "acc",
    "auth_users",
    "users",
    "xkey",
    "key",
    "allowed_accounts",
];

/// What a block of authorization calls a callout.
pub(super) const NAMES: [&str; 2] = ["auth_callout", "auth_hook"];

/// The callout that counts in a block of authorization, with its place.
pub(super) fn pair_of(authorization: &Pair) -> Option<&Pair> {
    let pairs = authorization.value.as_map()?.iter();
    let is_callout = |pair: &&Pair| {
        NAMES
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&pair.key))
    };
    pairs.filter(is_callout).last()
}

impl Reader<'_> {
    pub(super) fn callout(&mut self, pair: &Pair) -> Option<AuthCallout> {
        let Kind::Map(map) = &pair.value.kind else {
            let text = format!(
                "Expected authorization callout to be a map/struct, got {}; write auth_callout {{ issuer: A..., \
                 auth_users: [ NAME ] }}",
                pair.value.kind
            );
            return self.wrong(pair, text);
        };
        let mut callout = AuthCallout::default();
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "issuer" => callout.issuer = self.text(pair)?,
                "account" | "acc" => {
                    callout.account = match self.text(pair)? {
                        name if name.is_empty() => GLOBAL.to_owned(),
                        name => name,
                    };
                }
                "auth_users" | "users" => callout.auth_users = self.list_of_names(pair)?,
                "xkey" | "key" => callout.xkey = Some(self.text(pair)?),
                "allowed_accounts" => callout.allowed_accounts = self.list_of_names(pair)?,
                _ if pair.used => {}
                _ => self.unknown(pair, "", KEYS.iter().copied()),
            }
        }
        Some(callout)
    }

    fn list_of_names(&mut self, pair: &Pair) -> Option<Vec<String>> {
        if pair.value.as_list().is_none() {
            let text = format!(
                "Expected {} field to be an array, got {}; write {}: [ NAME ]",
                pair.key, pair.value.kind, pair.key
            );
            return self.wrong(pair, text);
        }
        self.texts(pair)
    }
}
