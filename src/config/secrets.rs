//! What the secrets in the settings are: passwords and tokens as they stand, hashes of them, or public keys.

use super::users::Kinds;
use super::{Auth, Proof, Secret, User};

/// How a hash of bcrypt begins; so do no passwords that anybody has in the open.
const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// Whether a secret is a hash of one.
pub(crate) fn is_hash(secret: &str) -> bool {
    BCRYPT.iter().any(|begin| secret.starts_with(begin))
}

impl User {
    /// What its password is, or a hash of what it is; `None` if it has another proof.
    pub(crate) fn password(&self) -> Option<&Secret> {
        match &self.proof {
            Proof::Password(secret) => Some(secret),
            Proof::Signature => None,
        }
    }
}

impl Auth {
    /// Those who may come in as one of several.
    pub(crate) fn users(&self) -> &[User] {
        match self {
            Auth::Users { users, .. } => users,
            _ => &[],
        }
    }

    /// Whether both ask for the same, as far as that is known without looking at very many users.
    pub(crate) fn is_known_to_be(&self, other: &Auth) -> bool {
        match (self, other) {
            (
                Auth::Users { users, token },
                Auth::Users {
                    users: others,
                    token: other_token,
                },
            ) => users.are_known_to_be(others) && token == other_token,
            _ => self == other,
        }
    }

    /// What kinds of them there are.
    pub(crate) fn kinds(&self) -> Option<&Kinds> {
        match self {
            Auth::Users { users, .. } => Some(users.kinds()),
            _ => None,
        }
    }

    /// The one of them that has this name.
    pub(crate) fn user_named(&self, name: &str) -> Option<&User> {
        match self {
            Auth::Users { users, .. } => users.named(name),
            _ => None,
        }
    }

    /// Whether any password stands in the settings as it is.
    pub(crate) fn has_plain_password(&self) -> bool {
        match self {
            Auth::None | Auth::Token(_) => false,
            Auth::User { pass, .. } => !pass.is_empty() && !is_hash(pass),
            Auth::Users { users, .. } => users.kinds().plain,
        }
    }

    /// Users that need no password, by their names.
    pub(crate) fn without_password(&self) -> Vec<&str> {
        match self {
            Auth::User { user, pass } if pass.is_empty() => vec![user],
            Auth::Users { users, .. } => users.bare().map(|user| user.name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether any secret is a hash of one.
    pub(crate) fn has_hash(&self) -> bool {
        match self {
            Auth::None => false,
            Auth::Token(token) => is_hash(token),
            Auth::User { pass, .. } => is_hash(pass),
            Auth::Users { users, token } => {
                let has_hashed_token = token.as_deref().is_some_and(is_hash);
                users.kinds().hashed || has_hashed_token
            }
        }
    }

    /// Whether any user has a key.
    pub(crate) fn has_key(&self) -> bool {
        self.kinds().is_some_and(|kinds| kinds.keyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn users_that_need_no_password_are_known_by_name() {
        let users = [
            ("ann", Proof::from("")),
            ("bob", "b".into()),
            ("U", Proof::Signature),
        ];
        let users = users.map(|(name, proof)| User {
            name: name.to_owned(),
            proof,
            ..User::default()
        });
        let several = Auth::Users {
            users: users.to_vec().into(),
            token: None,
        };
        assert_eq!(several.without_password(), ["ann"]);
        let one = |pass: &str| Auth::User {
            user: "eve".to_owned(),
            pass: pass.into(),
        };
        assert_eq!(one("").without_password(), ["eve"]);
        assert!(one("e").without_password().is_empty());
        assert!(Auth::Token("t".into()).without_password().is_empty());
    }

    #[test]
    fn a_hash_is_found_wherever_a_secret_may_stand() {
        let user = |pass: &str| Auth::User {
            user: "$2a$".to_owned(),
            pass: pass.into(),
        };
        let users = [("ann", "a"), ("bob", "$2b$11$b")].map(|(name, pass)| User {
            name: name.to_owned(),
            proof: pass.into(),
            ..User::default()
        });
        let several = |users: &[User], token: Option<&str>| Auth::Users {
            users: users.to_vec().into(),
            token: token.map(Secret::from),
        };
        for (auth, expected) in [
            (Auth::None, false),
            (Auth::Token("$1$".into()), false),
            (Auth::Token("$2y$11$t".into()), true),
            (user("pass"), false),
            (user("$2a$11$p"), true),
            (several(&users[..1], Some("t")), false),
            (several(&users[..1], Some("$2x$11$t")), true),
            (several(&users, None), true),
        ] {
            assert_eq!(auth.has_hash(), expected, "{auth:?}");
            let config = Config {
                auth,
                ..Config::default()
            };
            let is_refused = cfg!(not(feature = "bcrypt")) && expected;
            assert_eq!(
                !crate::config::check::faults(&config).is_empty(),
                is_refused
            );
        }
    }
}
