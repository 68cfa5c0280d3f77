//! What a token says of an account: what its users may have, and which keys vouch for them.
//!
//! A number that is missing is 0, and 0 of something is nothing: an account without limits lets nobody in. -1 is any
//! number.

use super::user::User;
use super::{Export, Import, Permissions};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An account, whose users see a space of subjects of its own.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Account {
    /// What its clients may have.
    pub limits: AccountLimits,
    /// Keys that vouch for users as its own does.
    pub signing_keys: Vec<SigningKey>,
    /// Users, by key or all as `*`, whose tokens are no good if they were made in this second or before.
    pub revocations: BTreeMap<String, i64>,
    /// What users may do that have no permissions at all.
    pub default_permissions: Permissions,
    /// Where what is published goes instead, by subject.
    pub mappings: BTreeMap<String, Vec<MappingTo>>,
    /// What others may import.
    pub exports: Vec<Export>,
    /// What it takes from others.
    pub imports: Vec<Import>,
    /// Who decides about its users beside their tokens.
    pub authorization: Authorization,
}

/// What the clients of an account may have.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct AccountLimits {
    /// Connections at once, of all its users together.
    pub conn: i64,
    /// Leaf nodes at once.
    pub leaf: i64,
    /// Subscriptions of each connection.
    pub subs: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// How many imports the claims may have.
    pub imports: i64,
    /// How many exports the claims may have.
    pub exports: i64,
    /// Whether exports may have wildcards. Asked only where `exports` is a limit.
    pub wildcards: bool,
    /// Whether users must sign a nonce, and the mere token is not enough.
    pub disallow_bearer: bool,
}

/// One of the subjects that a mapping leads to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct MappingTo {
    /// The subject.
    pub subject: String,
    /// Percent of the messages; 0 is all.
    pub weight: u8,
    /// The cluster in which it holds, if not in all.
    pub cluster: String,
}

/// A key that vouches for users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKey {
    /// The public key.
    pub key: String,
    /// What its users may do, if that is settled by the key. Shared by all who came in by it.
    pub scope: Option<Arc<Scope>>,
}

/// What the users of one signing key may do: their own tokens say nothing about it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Scope {
    /// What people call it.
    pub role: String,
    /// What takes the place of what a user's token says. Its subjects may have templates.
    pub template: User,
}

/// Who decides about users beside their tokens.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Authorization {
    /// Users who need no further decision, by key. With none nobody else decides.
    pub auth_users: Vec<String>,
    /// Accounts, by key, into which the others may be put beside this one; `*` is all.
    pub allowed_accounts: Vec<String>,
    /// The public xkey to which questions about them are sealed. None is in clear.
    pub xkey: String,
}

impl Authorization {
    /// Whether who decides may put clients of `own` into an account.
    pub fn allows(&self, own: &str, account: &str) -> bool {
        let mut allowed = self.allowed_accounts.iter();
        own == account || allowed.any(|key| key == account || key == "*")
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    /// A text is a key without a scope; an object has both.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SigningKey, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Plain(String),
            Scoped {
                kind: String,
                key: String,
                #[serde(flatten)]
                scope: Box<Scope>,
            },
        }
        match Written::deserialize(deserializer)? {
            Written::Plain(key) => Ok(SigningKey { key, scope: None }),
            Written::Scoped { kind, key, scope } if kind == "user_scope" => Ok(SigningKey {
                key,
                scope: Some(scope.into()),
            }),
            Written::Scoped { kind, .. } => {
                Err(D::Error::custom(format!("unknown scope kind {kind:?}")))
            }
        }
    }
}
