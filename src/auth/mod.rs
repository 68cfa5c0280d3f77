//! Whether what a client presents is what it must present. Pure, but for `inquiry.rs`: passwords that are looked at
//! on other threads.

pub(crate) mod inquiry;

use crate::config::{Auth, Config, is_hash};
use midge_protocol::ConnectOptions;

/// What there is to say at once.
#[derive(Debug)]
pub(crate) enum Verdict {
    Welcome,
    Refused,
    /// It takes a computation of some tenths of a second to say.
    Pending(Inquiry),
}

/// Whether a guess is what a hash was made of.
pub(crate) struct Inquiry {
    hash: String,
    guess: String,
}

impl std::fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inquiry([REDACTED])")
    }
}

impl Inquiry {
    pub(crate) fn new(hash: String, guess: String) -> Inquiry {
        Inquiry { hash, guess }
    }

    /// The answer. Takes as long as whoever made the hash has wanted: some tenths of a second, mostly.
    pub(crate) fn answer(&self) -> bool {
        // bcrypt looks at 72 bytes; Go refuses longer passwords, so none was ever set.
        self.guess.len() <= 72 && verify(&self.guess, &self.hash)
    }
}

#[cfg(feature = "bcrypt")]
fn verify(guess: &str, hash: &str) -> bool {
    bcrypt::verify(guess, hash).unwrap_or(false)
}

/// No broker starts with a hash: the [check](crate::config::check::faults) of its settings refuses it.
#[cfg(not(feature = "bcrypt"))]
fn verify(_: &str, _: &str) -> bool {
    false
}

/// What decides whether a client is welcome.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ground<'a> {
    /// Nothing: everyone is, or everyone who presents nothing.
    Open,
    /// This secret, and what the client has presented for it.
    Secret { secret: &'a str, guess: &'a str },
    /// Nobody is known by such a name.
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

/// Holds what a client presents against what it must.
pub(crate) fn check(config: &Config, options: &ConnectOptions) -> Verdict {
    match Ground::of(config, options) {
        Ground::Open => Verdict::Welcome,
        Ground::Secret { secret, guess } => compare(secret, guess),
        Ground::Unknown => Verdict::Refused,
    }
}

/// Whether a client that was welcome under `former` settings is so under `config` for the same
/// reason, so that nothing has to be computed once more.
pub(crate) fn is_untouched(former: &Config, config: &Config, options: &ConnectOptions) -> bool {
    let ground = Ground::of(config, options);
    ground != Ground::Unknown && ground == Ground::of(former, options)
}

fn compare(secret: &str, guess: &str) -> Verdict {
    if is_hash(secret) {
        Verdict::Pending(Inquiry::new(secret.to_owned(), guess.to_owned()))
    } else if same(secret, guess) {
        Verdict::Welcome
    } else {
        Verdict::Refused
    }
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
    use crate::User;

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
