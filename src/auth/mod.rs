//! Who a client is: what it presents, held against the settings. Pure, and nothing here waits.
//!
//! ```text
//! check ──▶ Login      who the client is
//!       ──▶ Refused
//!       ──▶ Pending    an inquiry (`inquiry.rs`) that is worked out elsewhere and ends in a verdict too
//!       ──▶ CallOut    somebody else decides, who is asked by a message (`callout/`), and his answer is a verdict too
//! ```
//!
//! | field of [`Login`] | comes from |
//! | --- | --- |
//! | `account` | the user in the settings; without one it is the global account |
//! | `user` | the user in the settings; where nothing is asked for, what the client says |
//! | `ground` | what was held against what; [`check_again`] holds it against settings that come later |
//! | `permissions` | the user in the settings, or else what those say of its account, or of users without any |
//! | `limits` | the smaller ones of the server and of the account |
//! | all of them | where a callout has decided: the JWT of its answer |
//! | `until` | the token of the user or of its account; what stands in the settings is good until they change |
//!
//! [`Login::named`] is the one place that fills them; [`Login::limit`] is for limits that change while the login
//! lasts. What a client has presented is not needed after it was let in, and is forgotten.

pub(crate) mod callout;
pub(crate) mod certificate;
pub(crate) mod failures;
pub(crate) mod inquiry;
pub(crate) mod permissions;
pub(crate) mod signature;
pub(crate) mod tokens;
pub(crate) mod verdicts;

use crate::config::{
    AccountLimits, Auth, COMPARED_MAX, Config, GLOBAL, Proof, Secret, User, is_hash,
};
use crate::door::{Door, Entrance};
use callout::Granted;
use certificate::Names;
use midge_protocol::{ConnectOptions, Violation};
use midge_reactor::Time;
use permissions::Permissions;
use signature::Nonce;
use std::sync::Arc;
use tokens::{Over, Proven, Refusal};

/// Who a client is, and what it may therefore do. All else reads this and decides nothing about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Login {
    /// The name of the account whose subjects it sees.
    pub(crate) account: Box<str>,
    /// The user, as monitoring shows it: empty without one, and never a token.
    pub(crate) user: Box<str>,
    /// Why it was let in.
    ground: Ground,
    pub(crate) permissions: Permissions,
    pub(crate) limits: Limits,
    /// The instant from which it is no longer good, in the reactor's time; `None` if it is good until it is
    /// looked at again.
    pub(crate) until: Option<Time>,
}

/// Why a client was let in.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Ground {
    /// Nothing was asked for.
    Open,
    /// It presented nothing, and is the user for such clients.
    Default,
    /// It knew the token: this, as it stands in the settings.
    Token(Secret),
    /// It knew the password of its user: this, as it stands in the settings.
    Password(Secret),
    /// Its certificate is that of its user, and it knew the password that the user has besides, or presented none
    /// where there is none: this, as it stands in the settings.
    Certificate(Secret),
    /// It has the key of its user.
    Signature,
    /// It has a token, and the key that this is about.
    Jwt(Box<Proven>),
    /// A callout of the settings has let it in.
    Callout(Box<Granted>),
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
    /// Those of the clients of an account.
    fn of(config: &Config, account: &str) -> Limits {
        let own = config.account_limits(account);
        let payload = own.payload_bytes_max.unwrap_or(usize::MAX);
        let subscriptions = [config.subscriptions_max, own.subscriptions_max];
        Limits {
            payload_bytes_max: config.payload_bytes_max.min(payload),
            subscriptions_max: subscriptions.into_iter().flatten().min(),
        }
    }
}

impl Login {
    /// The login of a client that is one of several users.
    fn of(config: &Config, user: &User, ground: Ground) -> Login {
        let account = user.account_name();
        let default = config.default_permissions_of(user);
        Login {
            account: account.into(),
            permissions: callout::reserve(config, account, user.permissions.as_ref().or(default)),
            limits: Limits::of(config, account),
            ..Login::named(config, &user.name, ground)
        }
    }

    /// The login of a client of which there is only a name in the settings, or none.
    fn named(config: &Config, name: &str, ground: Ground) -> Login {
        Login {
            account: GLOBAL.into(),
            user: name.into(),
            ground,
            permissions: callout::reserve(config, GLOBAL, config.default_permissions.as_ref()),
            limits: Limits::of(config, GLOBAL),
            until: None,
        }
    }

    /// The user, if that is one that was proved: not a name that anybody may take.
    pub(crate) fn proved_user(&self) -> Option<&str> {
        let is_proved = match &self.ground {
            Ground::Open => false,
            // Without a name of its own it is shown as what it says.
            Ground::Callout(granted) => granted.is_named(),
            _ => !self.user.is_empty(),
        };
        is_proved.then_some(&self.user)
    }

    /// Takes over the limits of settings that have changed since.
    pub(crate) fn limit(&mut self, config: &Config) {
        self.limits = match &self.ground {
            Ground::Jwt(proven) => proven.limits(config),
            Ground::Callout(granted) => granted.limits(config, &self.account),
            _ => Limits::of(config, &self.account),
        };
    }

    /// What a client is told when its time is over.
    pub(crate) fn expiry(&self) -> Violation<'static> {
        match &self.ground {
            Ground::Jwt(proven) if proven.ends_with_account() => Violation::AccountExpired,
            _ => Violation::AuthenticationExpired,
        }
    }

    /// Whether its token lets it have no subscription at all: as in nats-server it does not come in then.
    pub(crate) fn may_subscribe_to_nothing(&self) -> bool {
        match &self.ground {
            Ground::Jwt(proven) => proven.may_subscribe_to_nothing(),
            Ground::Callout(granted) => granted.may_subscribe_to_nothing(),
            _ => false,
        }
    }

    /// Whether it may not have so many subscriptions and stay, by its token or its account.
    pub(crate) fn ends_with(&self, subscriptions: usize, account: &AccountLimits) -> bool {
        match &self.ground {
            // As in nats-server, one that has all that it may have is closed as well.
            Ground::Jwt(proven) => proven
                .subscriptions_max()
                .is_some_and(|max| subscriptions >= max),
            Ground::Callout(_) => self
                .limits
                .subscriptions_max
                .is_some_and(|max| subscriptions > max),
            _ => account
                .subscriptions_max
                .is_some_and(|max| subscriptions > max),
        }
    }
}

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

/// As which user [`check`] would let a client in, if it has what that takes: it looks in this order. Empty if it is
/// nobody's name.
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
        // What it presented is forgotten, so nobody can be asked about it.
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
mod tests {
    use super::*;
    use crate::config::ConnectionType;

    fn users(users: &[(&str, &str)], no_auth_user: Option<&str>) -> Config {
        let users = users.iter().map(|(name, pass)| User {
            name: (*name).to_owned(),
            proof: (*pass).into(),
            ..User::default()
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

    fn presents(user: &str, pass: &str) -> ConnectOptions {
        ConnectOptions {
            user: user.to_owned(),
            pass: pass.into(),
            ..ConnectOptions::default()
        }
    }

    fn look(config: &Config, options: &ConnectOptions) -> Verdict {
        let presented = Presented {
            options,
            nonce: None,
            certificate: None,
            by: Door::Main.into(),
        };
        check(config, presented)
    }

    #[track_caller]
    fn login(verdict: Verdict) -> Login {
        let Verdict::Login(login) = verdict else {
            panic!("{verdict:?}");
        };
        login
    }

    /// A hash of some password, in form.
    const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    const OTHER_HASH: &str = "$2a$04$abcdefghijklmnopqrstuuyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

    #[test]
    fn beside_a_callout_the_settings_decide_about_its_users_by_the_name_that_they_look_at() {
        let config = |no_auth_user: Option<&str>| Config {
            auth_callout: Some(crate::config::AuthCallout {
                auth_users: vec!["auth".to_owned()],
                ..Default::default()
            }),
            ..users(&[("auth", "a"), ("ann", "b")], no_auth_user)
        };
        let plain = config(None);
        assert_eq!(*login(look(&plain, &presents("auth", "a"))).user, *"auth");
        assert!(matches!(
            look(&plain, &presents("auth", "b")),
            Verdict::Refused
        ));
        let as_another = ConnectOptions {
            nkey: "auth".to_owned(),
            ..presents("ann", "b")
        };
        for options in [
            presents("ann", "b"),
            presents("joe", ""),
            presents("", "a"),
            ConnectOptions::default(),
            as_another,
        ] {
            for config in [&plain, &config(Some("ann"))] {
                let verdict = look(config, &options);
                assert!(matches!(verdict, Verdict::CallOut(_)), "{options:?}");
                assert!(before_connect(config, Door::Main.into()).is_none());
                assert!(config.terms(Door::Main).want_credentials());
            }
        }
        let default = config(Some("auth"));
        let nothing = ConnectOptions::default();
        assert_eq!(*login(look(&default, &nothing)).user, *"auth");
        assert!(before_connect(&default, Door::Main.into()).is_some());
        assert!(!default.terms(Door::Main).want_credentials());
        // One whom nothing was asked is none of them, whatever it calls itself.
        let open = Login::named(&Config::default(), "auth", Ground::Open);
        let again = |config: &Config| check_again(config, &open, None, Door::Main.into());
        assert!(matches!(again(&plain), Verdict::Refused));
        let with_ann = config(Some("ann"));
        assert!(matches!(again(&with_ann), Verdict::Refused));
        assert_eq!(*login(again(&default)).user, *"auth");
    }

    #[test]
    fn the_settings_and_the_core_call_the_global_account_the_same() {
        assert_eq!(GLOBAL, crate::core::accounts::Accounts::GLOBAL);
    }

    #[test]
    fn a_login_names_the_account_the_user_and_the_limits_of_the_settings() {
        let config = Config {
            payload_bytes_max: 1000,
            subscriptions_max: Some(7),
            ..users(&[("ann", "a")], None)
        };
        let ann = login(look(&config, &presents("ann", "a")));
        let limits = Limits {
            payload_bytes_max: 1000,
            subscriptions_max: Some(7),
        };
        assert_eq!((&*ann.account, &*ann.user), ("$G", "ann"));
        assert_eq!(ann.limits, limits);
        assert_eq!(before_connect(&config, Door::Main.into()), None);
        let open = before_connect(&Config::default(), Door::Main.into());
        assert_eq!(open.map(|login| login.user), Some("".into()));
    }

    #[test]
    fn who_presents_nothing_is_the_user_for_such_clients() {
        let config = users(&[("ann", "a"), ("bob", "b")], Some("bob"));
        let without = login(look(&config, &ConnectOptions::default()));
        assert_eq!(&*without.user, "bob");
        assert_eq!(before_connect(&config, Door::Main.into()), Some(without));
        for options in [presents("bob", ""), presents("", "b"), presents("eve", "b")] {
            let verdict = look(&config, &options);
            assert!(matches!(verdict, Verdict::Refused), "{options:?}");
        }
    }

    #[test]
    fn a_user_comes_in_by_the_connections_that_it_may_have_and_by_no_other() {
        let mut config = users(&[("ann", "a")], Some("ann"));
        let options = presents("ann", "a");
        let is_in = |config: &Config, door: Door| {
            let presented = Presented {
                options: &options,
                nonce: None,
                certificate: None,
                by: door.into(),
            };
            let ways = [
                matches!(check(config, presented), Verdict::Login(_)),
                before_connect(config, door.into()).is_some(),
            ];
            assert_eq!(ways[0], ways[1], "{door:?}");
            ways[0]
        };
        assert!(is_in(&config, Door::Main) && is_in(&config, Door::WebSocket));
        let Auth::Users { users, .. } = &mut config.auth else {
            unreachable!("made above");
        };
        let only = User {
            connections: vec![ConnectionType::Mqtt, ConnectionType::WebSocket],
            ..users[0].clone()
        };
        *users = vec![only].into();
        assert!(!is_in(&config, Door::Main) && is_in(&config, Door::WebSocket));
    }

    #[test]
    fn a_certificate_tells_which_user_a_client_is_and_a_password_counts_beside_it() {
        let config = users(&[("ann@acme.test", ""), ("bob@acme.test", "b")], None);
        let is_in = |email: &str, options: &ConnectOptions| {
            let names = Names {
                emails: vec![email.to_owned()],
                ..Names::default()
            };
            let presented = Presented {
                options,
                nonce: None,
                certificate: Some(&names),
                by: Door::Main.into(),
            };
            match check(&config, presented) {
                Verdict::Login(login) => Some(login.user),
                _ => None,
            }
        };
        let (ann, bob) = ("ann@acme.test", "bob@acme.test");
        assert_eq!(is_in(ann, &presents("eve", "")).as_deref(), Some(ann));
        assert_eq!(is_in(ann, &presents("", "x")), None);
        assert_eq!(is_in(bob, &presents("", "b")).as_deref(), Some(bob));
        assert_eq!(is_in(bob, &presents("", "")), None);
        assert_eq!(is_in("eve@acme.test", &presents(ann, "")), None);
    }

    /// Settings where certificates tell which of these users a client is.
    fn mapping(of: &[(&str, &str)]) -> Config {
        let mut config = users(of, None);
        config.tls.get_or_insert_default().verify_and_map = true;
        config
    }

    #[test]
    fn a_name_is_no_proof_of_a_user_that_is_known_by_its_certificate() {
        let config = mapping(&[("ann", ""), ("bob", "b")]);
        let is_in = |config: &Config, user: &str, pass: &str| {
            let presented = Presented {
                options: &presents(user, pass),
                nonce: None,
                certificate: None,
                by: Door::WebSocket.into(),
            };
            matches!(check(config, presented), Verdict::Login(_))
        };
        assert!(!is_in(&config, "ann", "") && is_in(&config, "bob", "b"));
        // Where certificates tell nothing anywhere, it is as much as such a user has.
        assert!(is_in(&users(&[("ann", "")], None), "ann", ""));
    }

    #[test]
    fn whoever_came_before_certificates_counted_is_who_its_certificate_says_or_goes() {
        let mail = |name: &str| Names {
            emails: vec![format!("{name}@acme.test")],
            ..Names::default()
        };
        let former = users(
            &[("ann@acme.test", ""), ("bob@acme.test", "b"), ("eve", "e")],
            Some("eve"),
        );
        let options = [
            presents("ann@acme.test", ""),
            presents("bob@acme.test", "b"),
            presents("eve", "e"),
            ConnectOptions::default(),
        ];
        let logins = options.map(|options| login(look(&former, &options)));
        let open = login(look(&Config::default(), &presents("eve", "e")));
        let config = Config {
            no_auth_user: Some("eve".to_owned()),
            ..mapping(&[("ann@acme.test", ""), ("bob@acme.test", "b"), ("eve", "e")])
        };
        let again = |login: &Login, names: &Names| {
            let verdict = check_again(&config, login, Some(names), Door::Main.into());
            match verdict {
                Verdict::Login(login) => login.user.into_string(),
                _ => String::new(),
            }
        };
        let (ann, bob) = ("ann@acme.test", "bob@acme.test");
        let seen = |names: &Names| logins.each_ref().map(|login| again(login, names));
        assert_eq!(seen(&Names::default()), ["", "", "", ""]);
        // A password that is not that of the user counts against it, and none at all is what a user without one has.
        assert_eq!(seen(&mail("ann")), [ann, "", "", ann]);
        assert_eq!(seen(&mail("bob")), ["", bob, "", ""]);
        assert_eq!(
            [again(&open, &mail("ann")), again(&open, &mail("bob"))],
            [ann, ""]
        );
        // By its certificate, and then certificates count no longer.
        let by_certificate = |names: &Names, options: &ConnectOptions| {
            let presented = Presented {
                options,
                nonce: None,
                certificate: Some(names),
                by: Door::Main.into(),
            };
            login(check(&config, presented))
        };
        let ann = by_certificate(&mail("ann"), &ConnectOptions::default());
        let bob = by_certificate(&mail("bob"), &presents("", "b"));
        let after = |login| {
            matches!(
                check_again(&former, login, None, Door::Main.into()),
                Verdict::Login(_)
            )
        };
        assert_eq!([after(&ann), after(&bob)], [true, true]);
        assert!(!is_same(&former, &config));
    }

    #[test]
    fn a_token_is_not_shown_as_a_user_name() {
        let options = ConnectOptions {
            auth_token: "secret".into(),
            ..ConnectOptions::default()
        };
        assert_eq!(claimed_user(&options), TOKEN);
        let config = Config {
            auth: Auth::Token("secret".into()),
            ..Config::default()
        };
        assert_eq!(&*login(look(&config, &options)).user, TOKEN);
    }

    #[test]
    fn a_client_is_touched_by_a_change_of_what_it_was_let_in_by_and_of_nothing_else() {
        let former = users(&[("ann", "a"), ("bob", "b")], Some("bob"));
        let ann = login(look(&former, &presents("ann", "a")));
        let without = login(look(&former, &ConnectOptions::default()));
        for (config, expected) in [
            (former.clone(), [Some("ann"), Some("bob")]),
            (users(&[("ann", "a")], None), [Some("ann"), None]),
            (
                users(&[("ann", "a2"), ("bob", "b2")], Some("bob")),
                [None, Some("bob")],
            ),
            (
                users(&[("bob", "b"), ("ann", "a")], Some("ann")),
                [Some("ann"), Some("ann")],
            ),
            (users(&[("bob", "b")], None), [None, None]),
            (Config::default(), [Some("ann"), Some("bob")]),
        ] {
            let again = |login| match check_again(&config, login, None, Door::Main.into()) {
                Verdict::Login(login) => Some(login.user),
                _ => None,
            };
            let found = [again(&ann), again(&without)];
            assert_eq!(
                found.each_ref().map(Option::as_deref),
                expected,
                "{config:?}"
            );
        }
        // What was proved counts after a time in which nothing was asked for.
        let meanwhile = login(check_again(
            &Config::default(),
            &ann,
            None,
            Door::Main.into(),
        ));
        let verdict = check_again(
            &users(&[("ann", "a")], None),
            &meanwhile,
            None,
            Door::Main.into(),
        );
        assert_eq!(&*login(verdict).user, "ann");
        // One that had to present nothing has nothing to show when it must.
        let open = login(look(&Config::default(), &presents("ann", "a")));
        let verdict = check_again(&former, &open, None, Door::Main.into());
        assert_eq!(&*login(verdict).user, "bob");
        let verdict = check_again(
            &users(&[("ann", "a")], None),
            &open,
            None,
            Door::Main.into(),
        );
        assert!(matches!(verdict, Verdict::Refused));
    }

    #[test]
    fn a_hash_is_computed_where_it_takes_the_place_of_a_password_or_leaves_it_and_nowhere_else() {
        let of = |pass: &str| users(&[("ann", pass)], None);
        let known = |pass: &str| {
            let ground = Ground::Password(pass.into());
            Login::named(&of(pass), "ann", ground)
        };
        let again = |from, to| check_again(&of(to), &known(from), None, Door::Main.into());
        assert!(matches!(again(HASH, HASH), Verdict::Login(_)));
        assert!(matches!(again("a", "b"), Verdict::Refused));
        assert!(matches!(again(HASH, OTHER_HASH), Verdict::Refused));
        for (from, to) in [("a", HASH), (HASH, "a")] {
            let Verdict::Pending(inquiry) = again(from, to) else {
                panic!("{from} {to}");
            };
            assert!(inquiry.hash.is(HASH) && inquiry.guess.is("a"));
            // The next time it is held against what stands in the settings now.
            let after = check_again(&of(to), &inquiry.login, None, Door::Main.into());
            assert!(matches!(after, Verdict::Login(_)));
        }
    }
}
