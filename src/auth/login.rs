//! `Login`: who a client is, by what, and how much it may therefore have.
//!
//! | field | comes from |
//! | --- | --- |
//! | `account` | the user in the settings; without one it is the global account |
//! | `user` | the user in the settings; where nothing is asked for, what the client says |
//! | `ground` | what was held against what; [`check_again`](super::check_again) holds it against settings that come later |
//! | `permissions` | the user in the settings, or else what those say of its account, or of users without any |
//! | `limits` | the smaller ones of the server and of the account |
//! | all of them | where a callout has decided: the JWT of its answer |
//! | `until` | the token of the user or of its account; what stands in the settings is good until they change |
//!
//! [`Login::named`] fills them for the settings; [`Login::limit`] is for limits that change while the login lasts.

use super::CallOut;
use super::callout::{self, Granted};
use super::permissions::Permissions;
use super::tokens::{Proven, TokenFacts};
use crate::config::{AccountLimits, Config, GLOBAL, Secret, User};
use midge_protocol::Violation;
use midge_reactor::Time;

/// Who a client is, and what it may therefore do. All else reads this and decides nothing about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Login {
    /// The name of the account whose subjects it sees.
    pub(crate) account: Box<str>,
    /// The user, as monitoring shows it: empty without one, and never a token.
    pub(crate) user: Box<str>,
    /// Why it was let in.
    pub(super) ground: Ground,
    pub(crate) permissions: Permissions,
    pub(crate) limits: Limits,
    /// The instant from which it is no longer good, in the reactor's time; `None` if it is good until it is
    /// looked at again.
    pub(crate) until: Option<Time>,
}

/// Why a client was let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ground {
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
    pub(super) fn of(config: &Config, account: &str) -> Limits {
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
    pub(super) fn of(config: &Config, user: &User, ground: Ground) -> Login {
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
    pub(super) fn named(config: &Config, name: &str, ground: Ground) -> Login {
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

    /// The account whose callout, by its token, has let it in.
    pub(crate) fn decider(&self) -> Option<&str> {
        match &self.ground {
            Ground::Jwt(proven) => proven.decider(),
            _ => None,
        }
    }

    /// A callout has let it in, which was asked about it as this tells.
    pub(crate) fn called_out(mut self, about: &CallOut) -> Login {
        if let Ground::Jwt(proven) = &mut self.ground {
            proven.presented(about);
        }
        self
    }

    /// Takes over the limits of settings that have changed since.
    pub(crate) fn limit(&mut self, config: &Config) {
        self.limits = match &self.ground {
            Ground::Jwt(proven) => proven.limits(config),
            Ground::Callout(granted) => granted.limits(config, &self.account),
            _ => Limits::of(config, &self.account),
        };
    }

    /// What is told of the token by which it has come in, if it has come in by one.
    pub(crate) fn token(&self) -> Option<&TokenFacts> {
        match &self.ground {
            Ground::Jwt(proven) => Some(proven.facts()),
            _ => None,
        }
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

    /// Whether a client with this number of subscriptions has to go, by its token or its account.
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
