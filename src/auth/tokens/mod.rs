//! Logins by token: a user's JWT, held against the account that vouches for it, and that against the operators.
//!
//! ```text
//! user's token ──issuer──▶ account's token ──issuer──▶ key that an operator trusts
//!  its time, its form       found by key                its time, its form
//!  scope or limits          signing keys, revocations
//!  sig over the nonce, or a bearer; how, whence, when
//! ```
//!
//! The order in which it is looked at is nats-server's. It decides what the log tells, and nothing else: whoever
//! presents what is no good is told `Authorization Violation`.
//!
//! Where an account has somebody else decide about its users, he is asked when all this is so, and the token in his answer is
//! looked at in the same way ([`called_out`]), but that the client has signed nothing with its key.
//!
//! What a client has proved ([`Proven`]) is kept, and its token only to be shown ([`TokenFacts`]). It is held [again](check_again) against what is
//! known when the account's token is another, or the settings are.
//!
//! * `known`: accounts; `refusal`: why one may not come in; `times`: the parts of the day

pub(crate) mod known;
mod refusal;
#[cfg(all(test, feature = "nkeys"))]
mod tests;
mod times;

pub(crate) use known::Known;
pub(crate) use refusal::Refusal;

use super::callout::{self, Fault};
use super::login::{Ground, Limits, Login};
use super::permissions::Permissions;
use super::signature::Nonce;
use super::{CallOut, Verdict};
use crate::config::{AccountToken, Config, ConnectionType, Grant, Operators, Trust, grant};
use crate::jwt::{self, Account, Claims, Names, Scope, User};
use ipnet::IpNet;
use jiff::Timestamp;
use midge_protocol::nkey::{self, Kind, public_key};
use midge_protocol::{ConnectOptions, Secret};
use midge_reactor::Time;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The present, by the clock that tokens go by and by the reactor's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) turn: Time,
}

impl Now {
    /// That of a turn of the reactor. Asks the system for the date.
    pub(crate) fn at(turn: Time) -> Now {
        let wall = Timestamp::now();
        Now { wall, turn }
    }

    /// When a date comes, by the reactor's clock; the present if it has come.
    fn time_of(&self, date: Timestamp) -> Time {
        let left = date.duration_since(self.wall);
        self.turn + Duration::try_from(left).unwrap_or_default()
    }

    /// When a second since 1970 begins; `None` if that is 0, or too far away.
    pub(crate) fn time_of_second(&self, second: i64) -> Option<Time> {
        let date = Timestamp::from_second(second).ok().filter(|_| second > 0)?;
        Some(self.time_of(date))
    }
}

/// What a client presents, and how it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) options: &'a ConnectOptions,
    /// What it had to sign.
    pub(crate) nonce: Option<&'a Nonce>,
    pub(crate) connection: ConnectionType,
    /// Where it comes from; `None` if that is no address.
    pub(crate) address: Option<IpAddr>,
}

/// What a client has proved by its token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Proven {
    /// What is told of its token. The issuer in it vouches for the user: the account's own key, or a signing key of it.
    facts: TokenFacts,
    issued_at: i64,
    /// It has signed nothing.
    is_bearer: bool,
    /// The scope of the signing key.
    scope: Option<Arc<Scope>>,
    /// What it may do by its token or its scope; `None` if these say nothing, and the account decides.
    permissions: Option<Grant>,
    /// Most bytes of a message, and subscriptions, by its token or its scope.
    payload: i64,
    subscriptions: i64,
    /// Until when its token is good, or the part of the day in which it may be connected.
    until: Option<Time>,
    /// Those of its token and of its account.
    limits: TokenLimits,
    /// Whether it is the account that ends first, or that whose callout has let it in.
    ends_with_account: bool,
    /// Who has let it in beside its account, if a callout has.
    callout: Option<Box<ByCallout>>,
}

/// What a callout has let in is held against two revocations: of the user that the answer names, in the account in which it is,
/// and of the user by its own token, in the account that was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
struct ByCallout {
    /// The account whose callout has answered.
    account: Box<str>,
    /// The user of the answer, by key. Its name is what the client is called by.
    user: Box<str>,
    /// The user of the token that the client has presented, by key, and when that was made.
    presented: Box<str>,
    presented_at: i64,
}

/// What monitoring tells of the token by which a client has come in. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TokenFacts {
    pub(crate) issuer: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) tags: Arc<[String]>,
    /// Empty where the mere text would let others in, where the client has not presented it, and where it is shown to no one.
    pub(crate) text: Arc<str>,
}

impl TokenFacts {
    fn of(user: &Claims<User>, text: &str) -> TokenFacts {
        TokenFacts {
            issuer: user.issuer.as_str().into(),
            name: user.name.as_str().into(),
            tags: user.tags.as_slice().into(),
            text: text.into(),
        }
    }
}

/// Limits that stand in tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct TokenLimits {
    payload_bytes_max: Option<usize>,
    subscriptions_max: Option<usize>,
}

impl Proven {
    /// What a token proves, of which all is good; under these terms, by this scope and account, and until then.
    fn of(
        user: &Claims<User>,
        terms: &User,
        scope: Option<&Arc<Scope>>,
        account: &Claims<Account>,
        until: Option<Time>,
    ) -> Proven {
        Proven {
            facts: TokenFacts::of(user, ""),
            issued_at: user.issued_at,
            is_bearer: false,
            scope: scope.cloned(),
            permissions: grant(&terms.permissions),
            payload: terms.payload,
            subscriptions: terms.subs,
            until,
            limits: limits_of(terms.payload, terms.subs, &account.body),
            ends_with_account: false,
            callout: None,
        }
    }

    /// Those, where they are less than what the settings let any client have.
    pub(super) fn limits(&self, config: &Config) -> Limits {
        let TokenLimits {
            payload_bytes_max,
            subscriptions_max,
        } = self.limits;
        let subscriptions = [config.subscriptions_max, subscriptions_max];
        Limits {
            payload_bytes_max: payload_bytes_max.map_or(config.payload_bytes_max, |max| {
                max.min(config.payload_bytes_max)
            }),
            subscriptions_max: subscriptions.into_iter().flatten().min(),
        }
    }

    /// What is told of its token.
    pub(super) fn facts(&self) -> &TokenFacts {
        &self.facts
    }

    /// Whether the login ends because the account does.
    pub(super) fn ends_with_account(&self) -> bool {
        self.ends_with_account
    }

    /// The account whose callout has let it in, if one has.
    pub(super) fn decider(&self) -> Option<&str> {
        Some(&self.callout.as_ref()?.account)
    }

    /// It was asked about with this token.
    pub(super) fn presented(&mut self, about: &CallOut) {
        if let Some(callout) = &mut self.callout {
            callout.presented = about.user.clone();
            callout.presented_at = about.issued_at;
        }
    }

    /// Whether its token lets it have no subscription at all.
    pub(super) fn may_subscribe_to_nothing(&self) -> bool {
        self.subscriptions == 0
    }

    /// Subscriptions that its token and its account let it have.
    pub(super) fn subscriptions_max(&self) -> Option<usize> {
        self.limits.subscriptions_max
    }
}

/// Why a client that was let in may not stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// Its account is good no longer, or is gone.
    Account,
    /// The user was revoked, or may be in its account no longer by the callout that has let it in.
    Revoked,
    /// The key that vouches for the user is the account's no longer, or has another scope.
    Unsigned,
}

/// Holds what a client presents against what is known of accounts.
pub(crate) fn check(config: &Config, known: &Known, shown: &Shown<'_>, now: &Now) -> Verdict {
    let Some(operators) = config.operators() else {
        return Verdict::Refused;
    };
    let system = config.system_account.as_deref();
    let login = Checking {
        config,
        operators,
        known,
        system,
        now,
    };
    match login.check(shown) {
        // Its own token is good. Who decides beside that is asked.
        Ok(Good::AsFarAs(callout)) => Verdict::CallOut(callout),
        Ok(Good::Login(login)) => Verdict::Login(login),
        Err(refusal) => Verdict::Denied(refusal),
    }
}

/// Holds what a client has proved against what is known by this time of its account, and of that whose callout has let it in.
pub(crate) fn check_again(config: &Config, known: &Known, login: &Login, now: &Now) -> Verdict {
    let (Some(operators), Ground::Jwt(proven)) = (config.operators(), &login.ground) else {
        return Verdict::Refused;
    };
    let standing = |key: &str| standing(config, operators, known, key, now);
    let (account, trust) = match standing(&login.account) {
        Ok(standing) => standing,
        Err(verdict) => return verdict,
    };
    let claims = account.claims();
    if proven.is_bearer && claims.body.limits.disallow_bearer {
        return Verdict::Denied(Refusal::NoBearer);
    }
    let user = match &proven.callout {
        Some(callout) => &callout.user,
        None => &login.user,
    };
    if is_revoked(&claims.body, user, proven.issued_at) {
        return Verdict::Over(Over::Revoked);
    }
    match signing(claims, &proven.facts.issuer, trust) {
        Ok(scope) if scope == proven.scope.as_ref() => {}
        _ => return Verdict::Over(Over::Unsigned),
    }
    let decider = match &proven.callout {
        // What it presented is forgotten, so the service cannot be asked about it.
        None if !is_user_of_account(&claims.body, &login.user) => return Verdict::Refused,
        None => None,
        Some(by) => match standing(&by.account) {
            Ok((decider, _))
                if is_revoked(&decider.claims().body, &by.presented, by.presented_at) =>
            {
                return Verdict::Over(Over::Revoked);
            }
            Ok((decider, _)) if decides_about(decider, &login.account) => Some(decider),
            Ok(_) => return Verdict::Over(Over::Revoked),
            Err(verdict) => return verdict,
        },
    };
    let login = login_of(config, (account, decider), &login.user, proven, now);
    Verdict::Login(login)
}

/// The token of an account by which a client is there, and how it is vouched for; or what becomes of the client.
fn standing<'a>(
    config: &Config,
    operators: &'a Operators,
    known: &'a Known,
    key: &str,
    now: &Now,
) -> Result<(&'a AccountToken, Trust), Verdict> {
    if !operators.admit(key, config.system_account.as_deref()) {
        return Err(Verdict::Denied(Refusal::NotPinned(key.into())));
    }
    let found = known.find(operators, key);
    let account = found.ok_or(Verdict::Over(Over::Account))?;
    match trusted(operators, account, now) {
        Ok(trust) => Ok((account, trust)),
        Err(Refusal::AccountExpired(_)) => Err(Verdict::Over(Over::Account)),
        Err(refusal) => Err(Verdict::Denied(refusal)),
    }
}

/// Whether the callout of an account may put clients into another one, or into its own.
fn decides_about(decider: &AccountToken, account: &str) -> bool {
    let own = &decider.claims().body.authorization;
    !own.auth_users.is_empty() && own.allows(decider.key(), account)
}

/// A login by token that is being checked.
struct Checking<'a> {
    config: &'a Config,
    operators: &'a Operators,
    known: &'a Known,
    system: Option<&'a str>,
    now: &'a Now,
}

/// A token that is good.
enum Good {
    Login(Login),
    /// Somebody else decides beside it.
    AsFarAs(Box<CallOut>),
}

impl Checking<'_> {
    fn check(&self, shown: &Shown<'_>) -> Result<Good, Refusal> {
        let text = &shown.options.jwt;
        if text.is_empty() {
            return Err(Refusal::NoToken);
        }
        let user = jwt::user(text).map_err(Refusal::Invalid)?;
        let second = self.now.wall.as_second();
        user.is_timely(second)
            .map_err(|issue| Refusal::NotGood(vec![issue]))?;
        let issues = user.issues();
        if !issues.is_empty() {
            return Err(Refusal::NotGood(issues));
        }
        times::zone(&user.body).map_err(Refusal::Zone)?;
        let key = match user.body.issuer_account.as_str() {
            "" => &user.issuer,
            account => account,
        };
        if !self.operators.admit(key, self.system) {
            return Err(Refusal::NotPinned(key.into()));
        }
        let found = self.known.find(self.operators, key);
        let account = found.ok_or_else(|| Refusal::AccountMissing(key.into()))?;
        let trust = trusted(self.operators, account, self.now)?;
        let claims = account.claims();
        let scope = signing(claims, &user.issuer, trust)?;
        let terms = match scope {
            Some(scope) => scoped(&user, scope, claims)?,
            None => user.body.clone(),
        };
        if terms.bearer_token && claims.body.limits.disallow_bearer {
            return Err(Refusal::NoBearer);
        }
        check_connection(&terms, shown.connection)?;
        if !terms.bearer_token {
            check_signature(&user.subject, shown.nonce, &shown.options.sig)?;
        }
        if is_revoked(&claims.body, &user.subject, user.issued_at) {
            return Err(Refusal::Revoked);
        }
        let until = until(&user, &terms, shown, self.now)?;
        if !is_user_of_account(&claims.body, &user.subject) {
            return Ok(Good::AsFarAs(Box::new(CallOut {
                account: key.into(),
                user: user.subject.into(),
                issued_at: user.issued_at,
                name: user.name.into(),
                tags: user.tags,
            })));
        }
        let is_shown = self.config.monitor.is_some() || self.system.is_some();
        let text = match is_shown && !terms.bearer_token {
            true => text.trim_end(),
            false => "",
        };
        let proven = Proven {
            facts: TokenFacts::of(&user, text),
            is_bearer: terms.bearer_token,
            ..Proven::of(&user, &terms, scope, claims, until)
        };
        let login = login_of(
            self.config,
            (account, None),
            &user.subject,
            &proven,
            self.now,
        );
        Ok(Good::Login(login))
    }
}

/// Holds where and when a user may come in against where it comes from and when; answers until when it may stay.
fn until(
    user: &Claims<User>,
    terms: &User,
    shown: &Shown<'_>,
    now: &Now,
) -> Result<Option<Time>, Refusal> {
    check_address(terms, shown.address)?;
    if terms.proxy_required || user.body.proxy_required {
        return Err(Refusal::Proxy);
    }
    let by_day = times::until(terms, now.wall)?;
    let ends = [
        now.time_of_second(user.expires),
        by_day.map(|date| now.time_of(date)),
    ];
    Ok(ends.into_iter().flatten().min())
}

/// What a user's token lets it do, as somebody has answered who decides about it.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) permissions: Option<Grant>,
    pub(super) until: Option<Time>,
}

impl Terms {
    /// Those of a token without a scope.
    ///
    /// # Errors
    /// It may come in otherwise, from elsewhere, or at another time.
    pub(super) fn of(user: &Claims<User>, shown: &Shown<'_>, now: &Now) -> Result<Terms, Refusal> {
        check_connection(&user.body, shown.connection)?;
        Ok(Terms {
            until: until(user, &user.body, shown, now)?,
            permissions: grant(&user.body.permissions),
        })
    }
}

/// Who a client is by the token in the answer of a callout, which is that of the account `own`. Nothing is asked of the client
/// itself any more.
///
/// # Errors
/// Why it does not come in.
pub(super) fn called_out(
    config: &Config,
    known: &Known,
    own: &str,
    user: &Claims<User>,
    shown: &Shown<'_>,
    now: &Now,
) -> Result<Login, Fault> {
    let operators = config.operators().ok_or(Fault::Withdrawn)?;
    let callout = known.find(operators, own).ok_or(Fault::Withdrawn)?;
    let key = match user.body.issuer_account.as_str() {
        "" => &user.issuer,
        account => account,
    };
    // It was good when the client came, whose own token is of it.
    trusted(operators, callout, now).map_err(|_| Fault::Withdrawn)?;
    if !callout.claims().body.authorization.allows(own, key) {
        return Err(Fault::NotAllowed {
            account: user.issuer.clone(),
            own: own.to_owned(),
        });
    }
    if !operators.admit(key, config.system_account.as_deref()) {
        return Err(Fault::Terms(Refusal::NotPinned(key.into())));
    }
    let found = known.find(operators, key);
    let account = found.ok_or_else(|| Fault::NoAccount {
        account: key.to_owned(),
        own: own.to_owned(),
        told: "account missing".to_owned(),
    })?;
    let proven = vouched(operators, account, user, shown, now);
    let proven = proven.map_err(|refusal| match refusal.unknown_account() {
        // As one that is not there, it is asked for where that can be.
        Some(key) => Fault::NoAccount {
            account: key.to_owned(),
            own: own.to_owned(),
            told: refusal.to_string(),
        },
        None => Fault::Terms(refusal),
    })?;
    let proven = Proven {
        callout: Some(Box::new(ByCallout {
            account: own.into(),
            user: user.subject.as_str().into(),
            presented: Box::default(),
            presented_at: 0,
        })),
        ..proven
    };
    let name = match user.name.as_str() {
        "" => &user.subject,
        name => name,
    };
    Ok(login_of(
        config,
        (account, Some(callout)),
        name,
        &proven,
        now,
    ))
}

/// What is proved by the token of a user for whom an account vouches, and who has to sign nothing.
fn vouched(
    operators: &Operators,
    account: &AccountToken,
    user: &Claims<User>,
    shown: &Shown<'_>,
    now: &Now,
) -> Result<Proven, Refusal> {
    let trust = trusted(operators, account, now)?;
    let claims = account.claims();
    let scope = signing(claims, &user.issuer, trust)?;
    let terms = match scope {
        Some(scope) => scoped(user, scope, claims)?,
        None => user.body.clone(),
    };
    check_connection(&terms, shown.connection)?;
    if is_revoked(&claims.body, &user.subject, user.issued_at) {
        return Err(Refusal::Revoked);
    }
    let until = until(user, &terms, shown, now)?;
    Ok(Proven::of(user, &terms, scope, claims, until))
}

/// What a client is that has proved this, with what its account says at present, and that whose callout has decided: what ends
/// first ends the login.
fn login_of(
    config: &Config,
    (account, decider): (&AccountToken, Option<&AccountToken>),
    user: &str,
    proven: &Proven,
    now: &Now,
) -> Login {
    let claims = account.claims();
    let accounts = [Some(account), decider].into_iter().flatten();
    let ends = accounts.filter_map(|one| now.time_of_second(one.claims().expires));
    let of_account = ends.min();
    let until = [proven.until, of_account].into_iter().flatten().min();
    let proven = Proven {
        limits: limits_of(proven.payload, proven.subscriptions, &claims.body),
        ends_with_account: until.is_some() && until == of_account && until != proven.until,
        ..proven.clone()
    };
    let permissions = proven.permissions.as_ref();
    let permissions = permissions.or(account.default_permissions());
    let has_callout = !claims.body.authorization.auth_users.is_empty();
    let permissions = match (has_callout, &proven.callout) {
        (false, _) => Permissions::of(permissions),
        (true, None) => callout::without_asking(permissions),
        (true, Some(_)) => callout::without_deciding(permissions),
    };
    Login {
        account: claims.subject.as_str().into(),
        user: user.into(),
        permissions,
        limits: proven.limits(config),
        until,
        ground: Ground::Jwt(proven.into()),
    }
}

/// The smaller limits of a user and of its account; less than 0 is none.
fn limits_of(payload: i64, subscriptions: i64, account: &Account) -> TokenLimits {
    let smaller = |one: i64, other: i64| {
        let limits = [one, other]
            .into_iter()
            .filter_map(|max| usize::try_from(max).ok());
        limits.min()
    };
    TokenLimits {
        payload_bytes_max: smaller(payload, account.limits.payload),
        subscriptions_max: smaller(subscriptions, account.limits.subs),
    }
}

/// How an account is vouched for, if it is at this time.
fn trusted(operators: &Operators, account: &AccountToken, now: &Now) -> Result<Trust, Refusal> {
    let claims = account.claims();
    let trust = operators.trust(&claims.issuer);
    let trust = trust.ok_or(Refusal::AccountInvalid)?;
    let second = now.wall.as_second();
    // In its last second its clients are sent away, and no other may come.
    if claims.expires > 0 && second >= claims.expires {
        return Err(Refusal::AccountExpired(account.key().into()));
    }
    match claims.is_early(second) || !account.issues().is_empty() {
        true => Err(Refusal::AccountInvalid),
        false => Ok(trust),
    }
}

/// The scope of a key that vouches for users of an account, if it has one.
fn signing<'a>(
    account: &'a Claims<Account>,
    issuer: &str,
    trust: Trust,
) -> Result<Option<&'a Arc<Scope>>, Refusal> {
    if issuer == account.subject && !trust.is_strict {
        return Ok(None);
    }
    let mut keys = account.body.signing_keys.iter();
    let key = keys.find(|key| key.key == issuer);
    key.map(|key| key.scope.as_ref())
        .ok_or(Refusal::IssuerUnknown)
}

/// What a scope comes to for a user.
fn scoped(user: &Claims<User>, scope: &Scope, account: &Claims<Account>) -> Result<User, Refusal> {
    if !user.body.is_bare() {
        return Err(Refusal::ScopedWithTerms);
    }
    let names = Names {
        name: &user.name,
        subject: &user.subject,
        tags: &user.tags,
        account_name: &account.name,
        account_subject: &account.subject,
        account_tags: &account.tags,
    };
    let filled = jwt::expand(&scope.template.permissions, &names);
    let permissions = filled.filter(|all| all.issues().is_empty());
    let terms = User {
        permissions: permissions.ok_or(Refusal::InvalidPermissions)?,
        ..scope.template.clone()
    };
    times::zone(&terms).map_err(Refusal::Zone)?;
    Ok(terms)
}

/// Whether a token that was made in this second is revoked.
fn is_revoked(account: &Account, user: &str, issued_at: i64) -> bool {
    let entries = ["*", user]
        .into_iter()
        .filter_map(|key| account.revocations.get(key));
    entries.into_iter().any(|second| *second >= issued_at)
}

/// Whether the account alone decides about a user. Otherwise somebody else does beside it.
fn is_user_of_account(account: &Account, user: &str) -> bool {
    let own = &account.authorization.auth_users;
    own.is_empty() || own.iter().any(|key| key == user)
}

fn check_connection(terms: &User, connection: ConnectionType) -> Result<(), Refusal> {
    let names = &terms.allowed_connection_types;
    if names.is_empty() {
        return Ok(());
    }
    let known: Vec<ConnectionType> = names
        .iter()
        .filter_map(|name| ConnectionType::named(name))
        .collect();
    match known.contains(&connection) {
        true => Ok(()),
        false if known.is_empty() => Err(Refusal::ConnectionTypes(names.clone())),
        false => Err(Refusal::Connection),
    }
}

fn check_signature(user: &str, nonce: Option<&Nonce>, sig: &Secret) -> Result<(), Refusal> {
    if sig.is_empty() {
        return Err(Refusal::NoSignature);
    }
    let bytes = nkey::signature(sig).ok_or(Refusal::SignatureForm)?;
    let key = public_key(Kind::User, user);
    let is_good = key
        .zip(nonce)
        .is_some_and(|(key, nonce)| jwt::is_signed(&key, nonce.text().as_bytes(), &bytes));
    is_good.then_some(()).ok_or(Refusal::Signature)
}

fn check_address(terms: &User, address: Option<IpAddr>) -> Result<(), Refusal> {
    let contains = |text: &String| {
        let network = text.parse::<IpNet>();
        network
            .ok()
            .zip(address)
            .is_some_and(|(network, address)| network.contains(&address))
    };
    match terms.src.is_empty() || terms.src.iter().any(contains) {
        true => Ok(()),
        false => Err(Refusal::Address(address)),
    }
}
