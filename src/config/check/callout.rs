//! What is wrong with an authorization callout.

use super::Faults;
use crate::config::callout::xkey;
use crate::config::operators::is_account_key;
use crate::config::{Auth, Config};

impl Faults {
    /// Who decides about clients. The texts are nats-server's as far as it has them.
    pub(super) fn of_callout(&mut self, config: &Config) {
        let Some(callout) = &config.auth_callout else {
            return;
        };
        let mut wrong = |text: &str| self.add("auth_callout", text);
        if cfg!(not(feature = "nkeys")) {
            wrong(
                "an authorization callout is known by signatures, which this build cannot check; \
                 build midge with its feature \"nkeys\"",
            );
        }
        if config.operators().is_some() {
            return wrong(
                "operators do not allow authorization callouts to be configured directly; \
                 remove auth_callout, and name auth_users in the JWT of the account",
            );
        }
        if callout.issuer.is_empty() {
            wrong(
                "Authorization callouts require an issuer to be specified; it is the public key of an account, \
                 whose owner answers",
            );
        } else if !is_account_key(&callout.issuer) {
            wrong(&format!(
                "Expected callout user to be a valid public account nkey, got {:?}; that is the issuer",
                callout.issuer
            ));
        }
        if let Some(text) = &callout.xkey
            && xkey(text).is_none()
        {
            wrong(&format!(
                "Expected callout xkey to be a valid public xkey, got {text:?}; it is the one of 56 letters that \
                 begins with X"
            ));
        }
        if !config.has_account(&callout.account) {
            wrong(&format!(
                "auth_callout: the account {:?} is not there, so nobody could be asked; add it to accounts",
                callout.account
            ));
        }
        if let Some(name) = (callout.allowed_accounts.iter()).find(|name| !config.has_account(name))
        {
            wrong(&format!(
                "auth_callout: {name:?} in allowed_accounts is not there; add it to accounts"
            ));
        }
        if callout.auth_users.is_empty() {
            return wrong(
                "Authorization callouts require authorized users to be specified; name in auth_users the user that \
                 the service comes in as",
            );
        }
        let is_known = |name: &String| match &config.auth {
            Auth::User { user, .. } => user == name,
            auth => auth.user_named(name).is_some(),
        };
        if let Some(name) = callout.auth_users.iter().find(|name| !is_known(name)) {
            wrong(&format!(
                "auth_callout: {name:?} in auth_users is no user of the settings, so no service could come in as that; \
                 add it to users"
            ));
        }
    }
}
