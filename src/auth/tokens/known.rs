//! `Known`: the tokens of accounts, as far as they are known: those of the settings, and what has come since.
//!
//! What has come counts before what stands in the settings, until these are others about that account.

use crate::config::{AccountLimits, AccountToken, Config, GLOBAL, Operators};
use std::collections::HashMap;

/// Tokens of accounts that have come since the settings were read, by key.
#[derive(Debug, Default)]
pub(crate) struct Known {
    come: HashMap<Box<str>, AccountToken>,
}

impl Known {
    /// The account of this key.
    pub(crate) fn find<'a>(
        &'a self,
        operators: &'a Operators,
        key: &str,
    ) -> Option<&'a AccountToken> {
        self.come.get(key).or_else(|| operators.preload.get(key))
    }

    /// Whether there is an account of this name, used or not. Without operators it stands in the settings.
    pub(crate) fn has_account(&self, config: &Config, name: &str) -> bool {
        match config.operators() {
            Some(operators) => name == GLOBAL || self.find(operators, name).is_some(),
            None => config.has_account(name),
        }
    }

    /// What the clients of an account may have. Without operators that stands in the settings.
    pub(crate) fn account_limits(&self, config: &Config, name: &str) -> AccountLimits {
        let Some(operators) = config.operators() else {
            return config.account_limits(name);
        };
        let Some(account) = self.find(operators, name) else {
            return AccountLimits::default();
        };
        let limits = &account.claims().body.limits;
        let max = |limit: i64| usize::try_from(limit).ok();
        AccountLimits {
            connections_max: max(limits.conn),
            subscriptions_max: max(limits.subs),
            payload_bytes_max: max(limits.payload),
            leafnodes_max: max(limits.leaf),
        }
    }

    /// The settings are others: of accounts about which they say something else, what has come is forgotten.
    pub(crate) fn reloaded(&mut self, former: &Config, config: &Config) {
        let of = |config: &Config, key: &str| {
            let operators = config.operators()?;
            operators.preload.get(key).cloned()
        };
        self.come
            .retain(|key, _| of(former, key) == of(config, key));
        if config.operators().is_none() {
            self.come.clear();
        }
    }
}
