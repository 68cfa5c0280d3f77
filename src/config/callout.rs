//! `AuthCallout`: who decides about clients in place of the settings.

use super::Auth;
use midge_protocol::nkey::{Kind, public_key};
use std::fmt;

/// Who decides about clients, of whom the settings then know no more than those who decide: a service that is asked by
/// messages, and answers with the JWT of a user (`auth_callout` in `authorization`).
///
/// The service is a client as well, and it alone comes in by what the settings say.
///
/// ```
/// use midge::{Auth, AuthCallout, Config, User};
///
/// let service = User { name: "auth".into(), proof: "its password".into(), ..User::default() };
/// let config = Config {
///     auth: Auth::Users { users: vec![service].into(), token: None },
///     auth_callout: Some(AuthCallout {
///         issuer: "ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA".into(),
///         auth_users: vec!["auth".into()],
///         ..AuthCallout::default()
///     }),
///     ..Config::default()
/// };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthCallout {
    /// The public key of an account: it signs the answers, and the JWTs in them (`issuer`).
    pub issuer: String,
    /// The account in which the service is asked (`account`). Default: the global one, `$G`.
    pub account: String,
    /// The users that the service comes in as, by name or key (`auth_users`). It is not asked about them.
    pub auth_users: Vec<String>,
    /// The public xkey of the service, to which requests are sealed (`xkey`). Default: they are not.
    pub xkey: Option<String>,
    /// The accounts about whose users the service is asked, of those that stand in the settings (`allowed_accounts`).
    /// Users of other ones come in by what the settings say. Users in no account, and clients that are no users, the
    /// service is asked about in any case. Default: none, and that is all accounts.
    pub allowed_accounts: Vec<String>,
}

impl Default for AuthCallout {
    fn default() -> AuthCallout {
        AuthCallout {
            issuer: String::new(),
            account: super::GLOBAL.to_owned(),
            auth_users: Vec::new(),
            xkey: None,
            allowed_accounts: Vec::new(),
        }
    }
}

impl AuthCallout {
    /// Whether the settings decide about a user of `auth`, and not the service. A client that names no user has the empty name.
    pub(crate) fn leaves(&self, name: &str, auth: &Auth) -> bool {
        let is_named = || self.auth_users.iter().any(|own| own == name);
        let is_elsewhere = || {
            let user = auth.user_named(name);
            let account = user.and_then(|user| user.account.as_ref());
            account.is_some_and(|name| !self.allowed_accounts.contains(name))
        };
        !name.is_empty() && (is_named() || !self.allowed_accounts.is_empty() && is_elsewhere())
    }
}

/// The key of which a text is the public xkey.
pub(crate) fn xkey(text: &str) -> Option<[u8; 32]> {
    public_key(Kind::Curve, text)
}

/// As in a configuration file. None of it is secret.
impl fmt::Display for AuthCallout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuthCallout {
            issuer,
            account,
            auth_users,
            xkey,
            allowed_accounts,
        } = self;
        let users = auth_users.join(", ");
        write!(
            f,
            "{{issuer: {issuer}, account: {account}, auth_users: [{users}]"
        )?;
        if let Some(xkey) = xkey {
            write!(f, ", xkey: {xkey}")?;
        }
        if !allowed_accounts.is_empty() {
            write!(f, ", allowed_accounts: [{}]", allowed_accounts.join(", "))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::User;

    #[test]
    fn the_service_is_left_to_the_settings_and_so_are_users_of_accounts_that_are_not_allowed() {
        let user = |name: &str, account: Option<&str>| User {
            name: name.to_owned(),
            account: account.map(str::to_owned),
            ..User::default()
        };
        let users = [
            user("auth", Some("AUTH")),
            user("ann", Some("A")),
            user("bob", Some("B")),
            user("global", None),
        ];
        let auth = Auth::Users {
            users: users.into_iter().collect(),
            token: None,
        };
        let mut callout = AuthCallout {
            auth_users: vec!["auth".to_owned()],
            ..AuthCallout::default()
        };
        let names = ["auth", "ann", "bob", "global", "nobody", ""];
        let left = |callout: &AuthCallout| names.map(|name| callout.leaves(name, &auth));
        assert_eq!(left(&callout), [true, false, false, false, false, false]);
        callout.allowed_accounts = vec!["A".to_owned()];
        assert_eq!(left(&callout), [true, false, true, false, false, false]);
        callout.auth_users.push(String::new());
        assert!(!callout.leaves("", &auth), "it presents nothing");
    }
}
