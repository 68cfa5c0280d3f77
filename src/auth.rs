//! Whether what a client presents is what it must present.

use crate::config::{Auth, Config};
use midge_protocol::ConnectOptions;

/// How a hash of bcrypt begins; so do no passwords that anybody has in the open.
const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// What there is to say at once.
#[derive(Debug)]
pub(crate) enum Verdict {
    Welcome,
    Refused,
    /// It takes a computation of some tenths of a second to say.
    Hashed(Question),
}

/// Whether a guess is what a hash was made of.
pub(crate) struct Question {
    hash: String,
    guess: String,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question([REDACTED])")
    }
}

impl Question {
    /// The answer. Takes as long as whoever made the hash has wanted: some tenths of a second, mostly.
    pub(crate) fn answer(&self) -> bool {
        // bcrypt looks at 72 bytes; Go refuses longer passwords, so none was ever set.
        self.guess.len() <= 72 && bcrypt::verify(&self.guess, &self.hash).unwrap_or(false)
    }
}

/// Holds what a client presents against what it must.
pub(crate) fn check(config: &Config, options: &ConnectOptions) -> Verdict {
    let ConnectOptions {
        auth_token,
        user,
        pass,
        ..
    } = options;
    let presents_nothing = auth_token.is_empty() && user.is_empty() && pass.is_empty();
    match &config.auth {
        Auth::None => Verdict::Welcome,
        _ if presents_nothing && config.no_auth_user.is_some() => Verdict::Welcome,
        Auth::Token(token) => compare(token, auth_token),
        Auth::User {
            user: name,
            pass: secret,
        } => match same(name, user) {
            true => compare(secret, pass),
            false => Verdict::Refused,
        },
        Auth::Users { users, token } => match users.iter().find(|known| known.name == *user) {
            Some(known) => compare(&known.pass, pass),
            None => match token {
                Some(token) if user.is_empty() => compare(token, auth_token),
                _ => Verdict::Refused,
            },
        },
    }
}

/// Whether a secret is a hash of one.
pub(crate) fn is_hash(secret: &str) -> bool {
    BCRYPT.iter().any(|begin| secret.starts_with(begin))
}

/// Whether any password can be read by whoever reads the settings.
pub(crate) fn has_plain_password(auth: &Auth) -> bool {
    match auth {
        Auth::None | Auth::Token(_) => false,
        Auth::User { pass, .. } => !pass.is_empty() && !is_hash(pass),
        Auth::Users { users, .. } => users.iter().any(|user| !is_hash(&user.pass)),
    }
}

fn compare(secret: &str, guess: &str) -> Verdict {
    if is_hash(secret) {
        Verdict::Hashed(Question {
            hash: secret.to_owned(),
            guess: guess.to_owned(),
        })
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
