//! Who a client is: what it presents, held against the settings. Pure, and nothing here waits.
//!
//! ```text
//! check ──▶ Login      who the client is
//!       ──▶ Refused
//!       ──▶ Pending    an inquiry (`inquiry.rs`) that is worked out elsewhere and ends in a verdict too
//!       ──▶ CallOut    somebody else decides, who is asked by a message (`callout/`), and his answer is a verdict too
//! ```
//!
//! A [`Login`] is made in one place (`login.rs`), and all else reads it. What a client has presented is not needed after it
//! was let in, and is forgotten.

pub(crate) mod callout;
pub(crate) mod certificate;
pub(crate) mod failures;
pub(crate) mod inquiry;
mod login;
pub(crate) mod permissions;
pub(crate) mod signature;
pub(crate) mod tokens;
pub(crate) mod verdicts;

use crate::config::{Auth, COMPARED_MAX, Config, ConnectionType, Proof, Secret, User, is_hash};
use crate::door::{Door, Entrance};
use certificate::Names;
use login::Ground;
pub(crate) use login::Login;
use midge_protocol::ConnectOptions;
use signature::Nonce;
use std::sync::Arc;
use tokens::{Over, Refusal};

/// The user name shown for a client with a token.
const TOKEN: &str = "[REDACTED]";

/// Who a client says to be, proved or not. A token is not shown.
pub(crate) fn claimed_user(options: &ConnectOptions) -> &str {
    if !options.nkey.is_empty() {
        &options.nkey
    } else if options.user.is_empty() && !options.auth_token.is_empty() {
        TOKEN
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
    /// It may not come in by its token, for this reason.
    Denied(Refusal),
    /// It was let in by its token, and may not stay.
    Over(Over),
    /// It takes a computation of some tenths of a second to know.
    Pending(Inquiry),
    /// Somebody else is to be asked.
    CallOut(Box<CallOut>),
}

impl From<Option<Login>> for Verdict {
    fn from(login: Option<Login>) -> Verdict {
        login.map_or(Verdict::Refused, Verdict::Login)
    }
}

/// Where somebody is asked who decides about a client, and what is known of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CallOut {
    /// The name of the account.
    pub(crate) account: Box<str>,
    /// The user that it is by a token of its own, by key; empty without one.
    pub(crate) user: Box<str>,
    /// When that token was made.
    pub(crate) issued_at: i64,
    /// What people call that user.
    pub(crate) name: Box<str>,
    pub(crate) tags: Vec<String>,
}

/// Whether a guess is what a hash was made of, and who the client is if so.
#[derive(Debug)]
pub(crate) struct Inquiry {
    hash: Secret,
    guess: Secret,
    login: Login,
}

#[cfg(test)]
impl Inquiry {
    /// Who the client is if the guess is right.
    pub(crate) fn into_login(self) -> Login {
        self.login
    }
}

/// What a client presents, and how it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) options: &'a ConnectOptions,
    /// What it had to sign.
    pub(crate) nonce: Option<&'a Nonce>,
    /// Its certificate, where that tells which user it is.
    pub(crate) certificate: Option<&'a Names>,
    pub(crate) by: Entrance,
}

/// Who a client is before it has presented anything; `None` where it has to.
pub(crate) fn before_connect(config: &Config, by: Entrance) -> Option<Login> {
    if let Some(callout) = &config.auth_callout {
        let terms = config.terms_for(by);
        let user = terms.no_auth_user.filter(|_| !terms.map_certificates())?;
        return callout
            .leaves(user, terms.auth)
            .then(|| default_user(config, by))?;
    }
    match config.terms_for(by).auth {
        Auth::None => Some(Login::named(config, "", Ground::Open)),
        _ if config.terms_for(by).map_certificates() => None,
        _ => default_user(config, by),
    }
}

/// Holds what a client presents against what it must.
pub(crate) fn check(config: &Config, presented: Presented<'_>) -> Verdict {
    let Presented {
        options,
        nonce,
        certificate,
        by,
    } = presented;
    let ConnectOptions {
        auth_token,
        user,
        pass,
        nkey,
        sig,
        ..
    } = options;
    let auth = config.terms_for(by).auth;
    if let Some(callout) = &config.auth_callout
        && !callout.leaves(user_to_check(config, &presented), auth)
    {
        return Verdict::CallOut(Box::new(CallOut {
            account: callout.account.as_str().into(),
            ..CallOut::default()
        }));
    }
    if *auth == Auth::None {
        return Verdict::Login(Login::named(config, claimed_user(options), Ground::Open));
    }
    if let Auth::Operators(_) = auth {
        // Those are asked for tokens, and nothing else counts.
        return Verdict::Refused;
    }
    if !nkey.is_empty() && auth.has_key() {
        let login = with_key(config, nkey, by);
        let is_signed = || nonce.is_some_and(|nonce| signature::is_good(nkey, nonce, sig));
        return login.filter(|_| is_signed()).into();
    }
    if let Some(names) = certificate {
        return match with_certificate(config, names, by) {
            Some((secret, login)) => hold(secret, pass, login),
            None => Verdict::Refused,
        };
    }
    if presents_nothing(options) && config.terms_for(by).no_auth_user.is_some() {
        return default_user(config, by).into();
    }
    // Where there is a token and nothing else, it does not matter who the client says to be.
    let (found, guess) = match user.is_empty() || matches!(auth, Auth::Token(_)) {
        true => (with_token(config, auth), auth_token),
        false => (with_password(config, user, by), pass),
    };
    match found {
        Some((secret, login)) => hold(secret, guess, login),
        None => Verdict::Refused,
    }
}

/// Whether a client presents nothing that could tell who it is, but for a key or a certificate.
fn presents_nothing(options: &ConnectOptions) -> bool {
    let ConnectOptions {
        auth_token,
        user,
        pass,
        ..
    } = options;
    auth_token.is_empty() && user.is_empty() && pass.is_empty()
}

/// As which user [`check`] would let a client in, if it has what that takes: it looks in this order. Empty if it names
/// no user.
fn user_to_check<'a>(config: &'a Config, presented: &Presented<'a>) -> &'a str {
    let Presented {
        options,
        certificate,
        by,
        ..
    } = *presented;
    let terms = config.terms_for(by);
    if !options.nkey.is_empty() && terms.auth.has_key() {
        return &options.nkey;
    }
    if let Some(names) = certificate {
        let user = certificate::user(terms.auth.users(), names, terms.connection);
        return user.map_or("", |user| &user.name);
    }
    if presents_nothing(options) {
        return terms.no_auth_user.unwrap_or_default();
    }
    match terms.auth {
        Auth::Token(_) => "",
        _ => &options.user,
    }
}

/// Holds the login of a client against settings that are new since. Where it would be let in for the same reason,
/// nothing is computed.
///
/// What it knew is not known here, but only what that was held against. So of two hashes that differ it is not
/// known whether they are of one password: they are taken for two.
///
/// `certificate` has the names in its certificate, where that tells which user it is: then it is that user or none,
/// whatever it was let in by. One that was not asked for a certificate when it came has none.
pub(crate) fn check_again(
    config: &Config,
    login: &Login,
    certificate: Option<&Names>,
    by: Entrance,
) -> Verdict {
    let auth = config.terms_for(by).auth;
    if let Ground::Callout(granted) = &login.ground {
        return granted.check_again(config, login).into();
    }
    let as_user = match (&login.ground, certificate) {
        (_, Some(names)) => {
            let terms = config.terms_for(by);
            certificate::user(terms.auth.users(), names, terms.connection)
                .map_or("", |user| &user.name)
        }
        (Ground::Open | Ground::Default, None) => {
            config.terms_for(by).no_auth_user.unwrap_or_default()
        }
        _ => &login.user,
    };
    if let Some(callout) = &config.auth_callout
        && !callout.leaves(as_user, auth)
    {
        // What it presented is forgotten, so the service cannot be asked about it.
        return Verdict::Refused;
    }
    if *auth == Auth::None {
        // What it has proved counts again when it has to.
        let ground = login.ground.clone();
        return Verdict::Login(Login::named(config, &login.user, ground));
    }
    let nothing = Secret::default();
    let (found, known) = match (&login.ground, certificate) {
        // Here a token counts for nothing.
        (Ground::Jwt(_) | Ground::Callout(_), _) => return Verdict::Refused,
        (Ground::Signature, _) => return with_key(config, &login.user, by).into(),
        (ground, Some(names)) => {
            let found = with_certificate(config, names, by);
            match ground {
                Ground::Password(known) | Ground::Certificate(known) => (found, known),
                // What it presented was no password of a user.
                _ => (found, &nothing),
            }
        }
        (Ground::Open | Ground::Default, None) => return default_user(config, by).into(),
        (Ground::Token(known), None) => (with_token(config, auth), known),
        (Ground::Password(known) | Ground::Certificate(known), None) => {
            (with_password(config, &login.user, by), known)
        }
    };
    match found {
        Some((secret, login)) if secret == known => Verdict::Login(login),
        Some((secret, login)) => match (is_hash(secret), is_hash(known)) {
            (true, false) => hold(secret, known, login),
            (false, true) => hold(known, secret, login),
            _ => Verdict::Refused,
        },
        None => Verdict::Refused,
    }
}

/// What is asked of a client, and who it is if it knows.
type Asked<'a> = Option<(&'a Secret, Login)>;

fn with_token<'a>(config: &Config, auth: &'a Auth) -> Asked<'a> {
    let (Auth::Token(token)
    | Auth::Users {
        token: Some(token), ..
    }) = auth
    else {
        return None;
    };
    let ground = Ground::Token(token.clone());
    Some((token, Login::named(config, TOKEN, ground)))
}

fn with_password<'a>(config: &'a Config, name: &str, by: Entrance) -> Asked<'a> {
    if let Auth::User { user, pass } = config.terms_for(by).auth {
        let login = || Login::named(config, user, Ground::Password(pass.clone()));
        return (user == name).then(|| (pass, login()));
    }
    let user = user(config, name, by)?;
    let Proof::Password(secret) = &user.proof else {
        return None;
    };
    if secret.is_empty() && config.maps_certificates_somewhere() {
        // Its certificate is what it proves itself by, and a name is no proof.
        return None;
    }
    let ground = Ground::Password(secret.clone());
    Some((secret, Login::of(config, user, ground)))
}

/// Who a client is that has a certificate with these names.
fn with_certificate<'a>(config: &'a Config, names: &Names, by: Entrance) -> Asked<'a> {
    let terms = config.terms_for(by);
    let user = certificate::user(terms.auth.users(), names, terms.connection)?;
    let Proof::Password(secret) = &user.proof else {
        return None;
    };
    let ground = Ground::Certificate(secret.clone());
    Some((secret, Login::of(config, user, ground)))
}

/// Who a client is that has a key.
fn with_key(config: &Config, key: &str, by: Entrance) -> Option<Login> {
    let user = user(config, key, by)?;
    (user.proof == Proof::Signature).then(|| Login::of(config, user, Ground::Signature))
}

/// Who a client is that presents nothing.
fn default_user(config: &Config, by: Entrance) -> Option<Login> {
    let name = config.terms_for(by).no_auth_user?;
    let user = user(config, name, by)?;
    Some(Login::of(config, user, Ground::Default))
}

/// One of several users, if it may come in this way.
fn user<'a>(config: &'a Config, name: &str, by: Entrance) -> Option<&'a User> {
    let terms = config.terms_for(by);
    let user = terms.auth.user_named(name)?;
    let is_allowed = user.connections.is_empty() || user.connections.contains(&terms.connection);
    is_allowed.then_some(user)
}

/// The user as which a client would have come in, if that may not come in this way; and the ways by which it may.
pub(crate) fn user_of_other_ways<'a>(
    config: &'a Config,
    options: &ConnectOptions,
    certificate: Option<&Names>,
    by: Entrance,
) -> Option<&'a User> {
    let terms = config.terms_for(by);
    let found = match certificate {
        Some(names) => {
            let mut ways = ConnectionType::ALL.into_iter();
            ways.find_map(|way| certificate::user(terms.auth.users(), names, way))
        }
        None if !options.nkey.is_empty() && terms.auth.has_key() => {
            terms.auth.user_named(&options.nkey)
        }
        None if presents_nothing(options) => terms.auth.user_named(terms.no_auth_user?),
        None => terms.auth.user_named(&options.user),
    };
    let is_held = |user: &&User| {
        !user.connections.is_empty() && !user.connections.contains(&terms.connection)
    };
    found.filter(is_held)
}

/// Holds a guess against a secret, or asks for that if the secret is a hash.
fn hold(secret: &Secret, guess: &Secret, login: Login) -> Verdict {
    if is_hash(secret) {
        return Verdict::Pending(Inquiry {
            hash: secret.clone(),
            guess: guess.clone(),
            login,
        });
    }
    (secret == guess).then_some(login).into()
}

/// Whether clients must present the same under both, and may do the same then. Of very many users or accounts that is
/// known only if both settings share them: to look at each client again costs the loop less than to compare those.
pub(crate) fn is_same(one: &Config, other: &Config) -> bool {
    let is_same_for = |door: Door| {
        let (one, other) = (one.terms(door), other.terms(door));
        one.auth.is_known_to_be(other.auth)
            && (one.no_auth_user, one.unix) == (other.no_auth_user, other.unix)
            && one.map_certificates() == other.map_certificates()
    };
    let (accounts, others) = (&one.accounts, &other.accounts);
    let are_shared = Arc::ptr_eq(accounts, others);
    one.default_permissions == other.default_permissions
        && one.auth_callout == other.auth_callout
        && (are_shared || accounts.len() <= COMPARED_MAX && accounts == others)
        && one.doors().all(is_same_for)
}

#[cfg(test)]
mod tests;
