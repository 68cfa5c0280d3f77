//! What the secrets in the settings are: passwords and tokens as they stand, hashes of them, or public keys.

use super::users::Kinds;
use super::{Auth, Config, Operators, Proof, Secret, User};

/// How a hash of bcrypt begins; so do no passwords that anybody has in the open.
const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// Whether a secret is a hash of one.
pub(crate) fn is_hash(secret: &str) -> bool {
    BCRYPT.iter().any(|begin| secret.starts_with(begin))
}

/// Whether a hash begins as one and is none, which no password agrees with: a part of it was lost, mostly.
#[cfg(feature = "bcrypt")]
pub(super) fn is_broken(secret: &str) -> bool {
    let parts = secret.parse::<bcrypt::HashParts>();
    is_hash(secret) && !parts.is_ok_and(|parts| (4..=31).contains(&parts.get_cost()))
}

/// A build that cannot check hashes refuses all of them.
#[cfg(not(feature = "bcrypt"))]
pub(super) fn is_broken(_: &str) -> bool {
    false
}

impl Config {
    /// A line for each place where a secret begins as a hash and is none.
    pub(crate) fn broken_hashes(&self) -> Vec<String> {
        let websocket = self.websocket.as_ref();
        let places = [
            ("", Some(&self.auth)),
            ("in websocket, ", websocket.map(|own| &own.auth)),
        ];
        let told = places.into_iter().filter_map(|(place, auth)| {
            let whose = auth?.broken_hashes();
            (!whose.is_empty()).then(|| {
                format!(
                    "{place}what begins as a bcrypt hash and is none lets nobody in: that of {}; a hash has 60 \
                     characters, make it again with midge passwd",
                    whose.join(", ")
                )
            })
        });
        told.collect()
    }
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
            (Auth::Operators(one), Auth::Operators(other)) => one.are_known_to_be(other),
            _ => self == other,
        }
    }

    /// The operators that vouch for accounts, if tokens are asked for.
    pub(crate) fn operators(&self) -> Option<&Operators> {
        match self {
            Auth::Operators(operators) => Some(operators),
            _ => None,
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
            Auth::None | Auth::Token(_) | Auth::Operators(_) => false,
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
            Auth::None | Auth::Operators(_) => false,
            Auth::Token(token) => is_hash(token),
            Auth::User { pass, .. } => is_hash(pass),
            Auth::Users { users, token } => {
                let has_hashed_token = token.as_deref().is_some_and(is_hash);
                users.kinds().hashed || has_hashed_token
            }
        }
    }

    /// Whose secrets begin as hashes and are none, by name.
    fn broken_hashes(&self) -> Vec<String> {
        let named = |name: &str| format!("user {name:?}");
        let token = |token: &str| is_broken(token).then(|| "the token".to_owned());
        match self {
            Auth::None | Auth::Operators(_) => Vec::new(),
            Auth::Token(secret) => token(secret).into_iter().collect(),
            Auth::User { user, pass } if is_broken(pass) => vec![named(user)],
            Auth::User { .. } => Vec::new(),
            Auth::Users { users, token: own } => {
                let users = users.broken().map(|user| named(&user.name));
                users.chain(own.as_deref().and_then(token)).collect()
            }
        }
    }

    /// Whether any user has a key.
    pub(crate) fn has_key(&self) -> bool {
        self.operators().is_some() || self.kinds().is_some_and(|kinds| kinds.keyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "bcrypt")]
    use crate::config::WebSocket;

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

    #[cfg(feature = "bcrypt")]
    #[test]
    fn a_hash_that_is_not_whole_is_told_with_whose_it_is() {
        const WHOLE: &str = "$2a$11$V1qrpBt8/SLfEBr4NJq4T.2mg8chx8.MTblUiTBOLV3MKDeAy.f7u";
        for (secret, expected) in [
            (WHOLE, false),
            ("", false),
            ("s3cret", false),
            (&WHOLE[..59], true),
            (&format!("{WHOLE}u"), true),
            (&WHOLE.replace("$11$", "$03$"), true),
            (&WHOLE.replace("$11$", "$99$"), true),
            (&WHOLE.replace('V', "!"), true),
            ("$2y$", true),
        ] {
            assert_eq!(is_broken(secret), expected, "{secret}");
        }
        let user = |name: &str, pass: &str| User {
            name: name.to_owned(),
            proof: pass.into(),
            ..User::default()
        };
        let users = [
            user("ann", "$2a$11$"),
            user("bob", WHOLE),
            user("eve", "$2a$11$"),
        ];
        let mut config = Config {
            auth: Auth::Users {
                users: users.to_vec().into(),
                token: Some("$2b$".into()),
            },
            ..Config::default()
        };
        let end = "; a hash has 60 characters, make it again with midge passwd";
        let begin = "what begins as a bcrypt hash and is none lets nobody in: that of";
        let told = format!("{begin} user \"ann\", user \"eve\", the token{end}");
        assert_eq!(config.broken_hashes(), [told]);
        config.auth = Auth::User {
            user: "ann".to_owned(),
            pass: WHOLE.into(),
        };
        config.websocket = Some(WebSocket {
            auth: Auth::Token("$2a$11$".into()),
            ..WebSocket::default()
        });
        let told = format!("in websocket, {begin} the token{end}");
        assert_eq!(config.broken_hashes(), [told]);
    }
}
