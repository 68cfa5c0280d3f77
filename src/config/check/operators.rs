//! What is wrong with settings of operators.

use super::Faults;
use crate::ANNOUNCED_VERSION;
use crate::config::operators::is_account_key;
use crate::config::{Auth, Config, Operators};

impl Faults {
    /// Operators, and what cannot be beside them. Their texts are nats-server's as far as it has them.
    pub(super) fn of_operators(&mut self, config: &Config) {
        let Some(operators) = config.operators() else {
            return;
        };
        if cfg!(not(feature = "nkeys")) {
            self.add(
                "operator",
                "an operator is trusted by signatures, which this build cannot check; \
                 build midge with its feature \"nkeys\"",
            );
        }
        if !operators.trust_anybody() {
            self.add(
                "operator",
                "no key vouches for accounts, so nobody could log in: the operator has \
                 strict_signing_key_usage, and no signing key; add one to its token",
            );
        }
        if !operators.keys.is_empty() && !operators.tokens.is_empty() {
            self.add(
                "trusted_keys",
                "conflicting options for 'TrustedKeys' and 'TrustedOperators'; remove trusted_keys",
            );
        }
        if !config.accounts.is_empty() {
            self.add(
                "accounts",
                "operators do not allow Accounts to be configured directly; remove accounts, or the operator",
            );
        }
        if config.no_auth_user.is_some() {
            self.add(
                "no_auth_user",
                "no_auth_user not compatible with Trusted Operator; remove it",
            );
        }
        let own = config.websocket.as_ref();
        if own.is_some_and(|own| own.auth != Auth::None || own.no_auth_user.is_some()) {
            self.add(
                "websocket authorization",
                "websocket: users are not compatible with Trusted Operator: who comes in presents a JWT; \
                 remove authorization and no_auth_user",
            );
        }
        if config.default_permissions.is_some() {
            self.add(
                "default_permissions",
                "default_permissions are those of accounts, in their JWTs, where there is an operator; remove them",
            );
        }
        self.of_operators_versions(operators);
        self.of_operators_accounts(config, operators);
    }

    fn of_operators_versions(&mut self, operators: &Operators) {
        let parse = |text: &str| {
            let mut parts = text.split('.').map(str::parse);
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(Ok(major)), Some(Ok(minor)), Some(Ok(update)), None) => {
                    Some([major, minor, update])
                }
                _ => None,
            }
        };
        let own: [u32; 3] = parse(ANNOUNCED_VERSION).expect("it is a version");
        for token in &operators.tokens {
            let (key, wanted) = (
                &token.claims.subject,
                &token.claims.body.assert_server_version,
            );
            if wanted.is_empty() {
                continue;
            }
            let Some(wanted) = parse(wanted) else {
                let text = format!("operator {key} expects the version {wanted:?}, which is none");
                self.add("operator", &text);
                continue;
            };
            let names = ["major", "minor", "update"]
                .iter()
                .zip(wanted.iter().zip(own));
            let higher = names.clone().find(|(_, (wanted, own))| *wanted != own);
            if let Some((name, (wanted, own))) = higher
                && *wanted > own
            {
                let text = format!(
                    "operator {key} expected {name} version {wanted} > server {name} version {own}"
                );
                self.add("operator", &text);
            }
        }
    }

    fn of_operators_accounts(&mut self, config: &Config, operators: &Operators) {
        if let Some(url) = operators.url() {
            let is_secure = url.starts_with("https://");
            if !url.starts_with("http://") && !is_secure {
                let text = format!(
                    "resolver: {url:?} is no address that accounts can be asked for at; write URL(\"https://HOST/PATH/\")"
                );
                self.add("resolver", &text);
            }
            if is_secure && cfg!(not(feature = "tls")) {
                let text = "resolver: this build has no TLS; build midge with its feature \"tls\"";
                self.add("resolver", text);
            }
            if !operators.preload.is_empty() {
                self.add(
                    "resolver_preload",
                    "resolver preloads only available for writeable resolver types MEM/DIR/CACHE_DIR; remove them",
                );
            }
        }
        for key in &operators.pinned {
            if !is_account_key(key) {
                let text = format!("pinned account key {key:?} is not a valid public account nkey");
                self.add("resolver_pinned_accounts", &text);
            }
        }
        let of_operator = operators.system_account();
        if let (Some(set), Some(told)) = (&config.system_account, of_operator)
            && set != told
        {
            self.add(
                "system_account",
                "system_account in config and operator JWT must be identical",
            );
            return;
        }
        let is_kept = operators.store().is_some();
        let is_elsewhere = operators.url().is_some();
        let Some(system) = &config.system_account else {
            if is_kept {
                self.add(
                    "resolver",
                    "using nats based account resolver - the system account needs to be specified in configuration \
                     or the operator jwt",
                );
            }
            return;
        };
        if !is_account_key(system) {
            self.add(
                "system_account",
                "error resolving system account: will only fetch valid account keys; \
                 name it by its key, as A...",
            );
        } else if !is_kept && !is_elsewhere && operators.preload.get(system).is_none() {
            self.add(
                "system_account",
                "error resolving system account: account missing; add its JWT to resolver_preload",
            );
        }
    }
}
