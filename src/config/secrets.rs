//! What the secrets in the settings are: passwords and tokens as they stand, or hashes of them.

use super::Auth;

/// How a hash of bcrypt begins; so do no passwords that anybody has in the open.
const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// Whether a secret is a hash of one.
pub(crate) fn is_hash(secret: &str) -> bool {
    BCRYPT.iter().any(|begin| secret.starts_with(begin))
}

impl Auth {
    /// Whether any password stands in the settings as it is.
    pub(crate) fn has_plain_password(&self) -> bool {
        match self {
            Auth::None | Auth::Token(_) => false,
            Auth::User { pass, .. } => !pass.is_empty() && !is_hash(pass),
            Auth::Users { users, .. } => users.iter().any(|user| !is_hash(&user.pass)),
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
                users.iter().any(|user| is_hash(&user.pass)) || has_hashed_token
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, User};

    #[test]
    fn a_hash_is_found_wherever_a_secret_may_stand() {
        let user = |pass: &str| Auth::User {
            user: "$2a$".to_owned(),
            pass: pass.to_owned(),
        };
        let users = [("ann", "a"), ("bob", "$2b$11$b")].map(|(name, pass)| User {
            name: name.to_owned(),
            pass: pass.to_owned(),
        });
        let several = |users: &[User], token: Option<&str>| Auth::Users {
            users: users.to_vec(),
            token: token.map(str::to_owned),
        };
        for (auth, expected) in [
            (Auth::None, false),
            (Auth::Token("$1$".to_owned()), false),
            (Auth::Token("$2y$11$t".to_owned()), true),
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
