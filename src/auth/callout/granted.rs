//! `Granted`: what a callout of the settings has let in, as far as it is needed when the settings are others.

use super::super::login::{Ground, Limits, Login};
use super::super::permissions::Permissions;
use super::super::tokens::Terms;
use super::{Fault, without_deciding};
use crate::config::{Config, Grant};
use crate::jwt::{Claims, User};

/// What the JWT of an answer has said of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Granted {
    /// Who has vouched for it.
    issuer: Box<str>,
    is_named: bool,
    /// What it may do; `None` if the JWT says nothing, and the account decides.
    permissions: Option<Grant>,
    payload_bytes_max: Option<usize>,
    subscriptions_max: Option<usize>,
}

impl Granted {
    /// Whether the JWT has told its name.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    /// The smallest limits of the JWT, the account and the server.
    pub(crate) fn limits(&self, config: &Config, account: &str) -> Limits {
        let of_account = Limits::of(config, account);
        let own = self.payload_bytes_max.unwrap_or(usize::MAX);
        let subscriptions = [self.subscriptions_max, of_account.subscriptions_max];
        Limits {
            payload_bytes_max: of_account.payload_bytes_max.min(own),
            subscriptions_max: subscriptions.into_iter().flatten().min(),
        }
    }

    pub(crate) fn may_subscribe_to_nothing(&self) -> bool {
        self.subscriptions_max == Some(0)
    }

    /// Who the client is under settings that have come since: as before, where the same issuer decides and its account is
    /// there.
    pub(crate) fn check_again(&self, config: &Config, login: &Login) -> Option<Login> {
        let callout = config.auth_callout.as_ref()?;
        let is_good = *callout.issuer == *self.issuer && config.has_account(&login.account);
        is_good.then(|| Login {
            until: login.until,
            ..login_of(config, &login.account, &login.user, self.clone())
        })
    }
}

/// Holds the JWT of an answer against the settings, and makes of it who the client is. `claimed` is what it says itself.
///
/// # Errors
/// Why it does not come in.
pub(super) fn login(
    config: &Config,
    user: &Claims<User>,
    terms: Terms,
    claimed: &str,
) -> Result<Login, Fault> {
    let callout = config.auth_callout.as_ref().ok_or(Fault::Withdrawn)?;
    let own = || callout.account.clone();
    if !user.body.issuer_account.is_empty() {
        return Err(Fault::IssuerAccount { own: own() });
    }
    if user.issuer != callout.issuer {
        return Err(Fault::WrongIssuer {
            own: own(),
            expected: callout.issuer.clone(),
            got: user.issuer.clone(),
        });
    }
    if !config.has_account(&user.audience) {
        return Err(Fault::NoAccount {
            account: user.audience.clone(),
            own: own(),
            told: "account missing".to_owned(),
        });
    }
    let max = |limit: i64| usize::try_from(limit).ok();
    let granted = Granted {
        issuer: user.issuer.as_str().into(),
        is_named: !user.name.is_empty(),
        permissions: terms.permissions,
        payload_bytes_max: max(user.body.payload),
        subscriptions_max: max(user.body.subs),
    };
    let name = match granted.is_named {
        true => &user.name,
        false => claimed,
    };
    Ok(Login {
        until: terms.until,
        ..login_of(config, &user.audience, name, granted)
    })
}

fn login_of(config: &Config, account: &str, user: &str, granted: Granted) -> Login {
    let default = config.default_permissions_in(account);
    let grant = granted.permissions.as_ref().or(default);
    let callout = config.auth_callout.as_ref();
    let permissions = match callout.is_some_and(|callout| callout.account == account) {
        true => without_deciding(grant),
        false => Permissions::of(grant),
    };
    Login {
        account: account.into(),
        user: user.into(),
        permissions,
        limits: granted.limits(config, account),
        until: None,
        ground: Ground::Callout(granted.into()),
    }
}
