//! Who a client is: what it presents, held against the settings. Pure, and nothing here waits.
//!
//! ```text
//! check ──▶ Login      who the client is
//!       ──▶ Refused
//!       ──▶ Pending    an inquiry (`inquiry.rs`) that is worked out elsewhere and ends in a verdict too
//! ```
//!
//! | field of [`Login`] | comes from |
//! | --- | --- |
//! | `account` | nothing names one yet, so it is the global one; the user in the settings will |
//! | `user` | what the client has presented: its nkey or its name |
//! | `permissions` | what is refused to every user; the user in the settings will have some of its own |
//! | `limits` | the settings of the server; the smaller of those and the user's, once users have some |
//! | `until` | nothing yet: what stands in the settings is good until they change |
//!
//! [`Login::of`] is the one place that fills them; [`Login::limit`] is for limits that change while the login lasts.

pub(crate) mod inquiry;
pub(crate) mod permissions;

use crate::config::{Auth, Config, is_hash};
use crate::core::accounts::Accounts;
use midge_protocol::ConnectOptions;
use midge_reactor::Time;
use permissions::Permissions;

/// Who a client is, and what it may therefore do. All else reads this and decides nothing about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Login {
    /// The name of the account whose subjects it sees.
    pub(crate) account: Box<str>,
    /// The user, as monitoring shows it: empty without one, and never a token.
    pub(crate) user: Box<str>,
    pub(crate) permissions: Permissions,
    pub(crate) limits: Limits,
    /// The instant from which it is no longer good, in the reactor's time; `None` if it is good until it is
    /// looked at again.
    pub(crate) until: Option<Time>,
}

/// How much of it a client may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Bytes of one message, headers included.
    pub(crate) payload_bytes_max: usize,
    /// Subscriptions at once; `None` is any number.
    pub(crate) subscriptions_max: Option<usize>,
}

impl Limits {
    fn of(config: &Config) -> Limits {
        Limits {
            payload_bytes_max: config.payload_bytes_max,
            subscriptions_max: config.subscriptions_max,
        }
    }
}

impl Login {
    /// The login of a client that has proved what it says in `options`, or need prove nothing.
    fn of(config: &Config, options: &ConnectOptions) -> Login {
        Login {
            account: Accounts::GLOBAL.into(),
            user: claimed_user(options).into(),
            permissions: Permissions,
            limits: Limits::of(config),
            until: None,
        }
    }

    /// Takes over the limits of settings that have changed since.
    pub(crate) fn limit(&mut self, config: &Config) {
        self.limits = Limits::of(config);
    }
}

/// Who a client says to be, proved or not. A token is not shown.
pub(crate) fn claimed_user(options: &ConnectOptions) -> &str {
    if !options.nkey.is_empty() {
        &options.nkey
    } else if options.user.is_empty() && !options.auth_token.is_empty() {
        "[REDACTED]"
    } else {
        &options.user
    }
}

/// What is known about who a client is.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is this.
    Login(Login),
    /// It may not come in.
    Refused,
    /// It takes a computation of some tenths of a second to know.
    Pending(Inquiry),
}

/// Whether a guess is what a hash was made of, and who the client is if so.
pub(crate) struct Inquiry {
    hash: String,
    guess: String,
    login: Login,
}

#[cfg(test)]
impl Inquiry {
    /// Who the client is if the guess is right.
    pub(crate) fn into_login(self) -> Login {
        self.login
    }
}

impl std::fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inquiry([REDACTED])")
    }
}

/// What decides whether a client is let in.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ground<'a> {
    /// Nothing: every client is, or every client that presents nothing.
    Open,
    /// This secret, and what the client has presented for it.
    Secret { secret: &'a str, guess: &'a str },
    /// There is no user of such a name.
    Unknown,
}

impl<'a> Ground<'a> {
    fn of(config: &'a Config, options: &'a ConnectOptions) -> Ground<'a> {
        let ConnectOptions {
            auth_token,
            user,
            pass,
            ..
        } = options;
        let presents_nothing = auth_token.is_empty() && user.is_empty() && pass.is_empty();
        let by = |secret, guess| Ground::Secret { secret, guess };
        match &config.auth {
            Auth::None => Ground::Open,
            _ if presents_nothing && config.no_auth_user.is_some() => Ground::Open,
            Auth::Token(token) => by(token, auth_token),
            Auth::User {
                user: name,
                pass: secret,
            } => match same(name, user) {
                true => by(secret, pass),
                false => Ground::Unknown,
            },
            Auth::Users { users, token } => match users.iter().find(|known| known.name == *user) {
                Some(known) => by(&known.pass, pass),
                None => match token {
                    Some(token) if user.is_empty() => by(token, auth_token),
                    _ => Ground::Unknown,
                },
            },
        }
    }
}

/// Who a client is before it has presented anything; `None` where it has to.
pub(crate) fn before_connect(config: &Config, options: &ConnectOptions) -> Option<Login> {
    (!config.wants_credentials()).then(|| Login::of(config, options))
}

/// Holds what a client presents against what it must.
pub(crate) fn check(config: &Config, options: &ConnectOptions) -> Verdict {
    match Ground::of(config, options) {
        Ground::Open => Verdict::Login(Login::of(config, options)),
        Ground::Unknown => Verdict::Refused,
        Ground::Secret { secret, guess } if is_hash(secret) => Verdict::Pending(Inquiry {
            hash: secret.to_owned(),
            guess: guess.to_owned(),
            login: Login::of(config, options),
        }),
        Ground::Secret { secret, guess } => match same(secret, guess) {
            true => Verdict::Login(Login::of(config, options)),
            false => Verdict::Refused,
        },
    }
}

/// As [`check`], for a client that was let in under `former` settings. Where it would be let in for the
/// same reason, nothing is computed again.
pub(crate) fn check_again(former: &Config, config: &Config, options: &ConnectOptions) -> Verdict {
    match is_untouched(former, config, options) {
        true => Verdict::Login(Login::of(config, options)),
        false => check(config, options),
    }
}

fn is_untouched(former: &Config, config: &Config, options: &ConnectOptions) -> bool {
    let ground = Ground::of(config, options);
    ground != Ground::Unknown && ground == Ground::of(former, options)
}

/// Whether clients must present the same under both.
pub(crate) fn is_same(one: &Config, other: &Config) -> bool {
    one.auth == other.auth && one.no_auth_user == other.no_auth_user
}

/// Compares secrets in a time that does not tell how much of a guess was right.
pub(crate) fn same(secret: &str, guess: &str) -> bool {
    let differences = secret
        .bytes()
        .zip(guess.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    (secret.len() == guess.len()) & (std::hint::black_box(differences) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::User;

    fn users(users: &[(&str, &str)], no_auth_user: Option<&str>) -> Config {
        let users = users.iter().map(|(name, pass)| User {
            name: (*name).to_owned(),
            pass: (*pass).to_owned(),
        });
        Config {
            auth: Auth::Users {
                users: users.collect(),
                token: None,
            },
            no_auth_user: no_auth_user.map(str::to_owned),
            ..Config::default()
        }
    }

    /// A hash of some password, in form.
    const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    #[test]
    fn a_login_names_the_account_the_user_and_the_limits_of_the_settings() {
        let config = Config {
            payload_bytes_max: 1000,
            subscriptions_max: Some(7),
            ..users(&[("ann", "a")], None)
        };
        let options = ConnectOptions {
            user: "ann".to_owned(),
            pass: "a".to_owned(),
            ..ConnectOptions::default()
        };
        let Verdict::Login(login) = check(&config, &options) else {
            panic!("the password is right");
        };
        let limits = Limits {
            payload_bytes_max: 1000,
            subscriptions_max: Some(7),
        };
        assert_eq!((&*login.account, &*login.user), ("$G", "ann"));
        assert_eq!(login.limits, limits);
        assert_eq!(before_connect(&config, &ConnectOptions::default()), None);
        let open = before_connect(&Config::default(), &ConnectOptions::default());
        assert_eq!(open.map(|login| login.user), Some("".into()));
    }

    #[test]
    fn a_token_is_the_name_of_nobody() {
        let options = ConnectOptions {
            auth_token: "secret".to_owned(),
            ..ConnectOptions::default()
        };
        assert_eq!(claimed_user(&options), "[REDACTED]");
    }

    #[test]
    fn a_hash_is_not_computed_again_where_it_has_not_changed() {
        let (one, other) = (users(&[("ann", HASH)], None), users(&[("ann", "a")], None));
        let options = ConnectOptions {
            user: "ann".to_owned(),
            pass: "a".to_owned(),
            ..ConnectOptions::default()
        };
        assert!(matches!(check(&one, &options), Verdict::Pending(_)));
        let again = |former| check_again(former, &one, &options);
        assert!(matches!(again(&one), Verdict::Login(_)));
        assert!(matches!(again(&other), Verdict::Pending(_)));
    }

    #[test]
    fn a_client_is_touched_by_a_change_of_what_it_was_let_in_by_and_of_nothing_else() {
        let former = users(&[("ann", "a"), ("bob", "b")], Some("bob"));
        let (ann, nobody) = (
            ConnectOptions {
                user: "ann".to_owned(),
                pass: "a".to_owned(),
                ..ConnectOptions::default()
            },
            ConnectOptions::default(),
        );
        for (config, ann_stays, nobody_stays) in [
            (users(&[("ann", "a")], None), true, false),
            (
                users(&[("ann", "a2"), ("bob", "b2")], Some("bob")),
                false,
                true,
            ),
            (
                users(&[("bob", "b"), ("ann", "a")], Some("ann")),
                true,
                true,
            ),
            (users(&[("bob", "b")], None), false, false),
            (Config::default(), false, true),
        ] {
            let stays = |options| is_untouched(&former, &config, options);
            assert_eq!(
                (stays(&ann), stays(&nobody)),
                (ann_stays, nobody_stays),
                "{config:?}"
            );
        }
    }
}
