//! `Known`: the tokens of accounts, as far as they are known: those of the settings, and what has come since.
//!
//! ```text
//! directory, pushes ──▶ come ──▶ goes before ──▶ preload, in the settings
//! ```
//!
//! What is kept in a directory is all here as well: to look an account up waits for nothing. A reload that says something
//! else of an account brings that in place of what has come, unless that is kept in a directory and was issued later.

use crate::config::{AccountLimits, AccountToken, Config, GLOBAL, Operators};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Tokens of accounts that are known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What has come, by key; `None` is an account that was deleted.
    come: BTreeMap<Box<str>, Option<AccountToken>>,
}

impl Known {
    /// The account of this key.
    pub(crate) fn find<'a>(
        &'a self,
        operators: &'a Operators,
        key: &str,
    ) -> Option<&'a AccountToken> {
        match self.come.get(key) {
            Some(come) => come.as_ref(),
            None => operators.preload.get(key),
        }
    }

    /// The token counts from here on.
    pub(crate) fn put(&mut self, token: AccountToken) {
        self.come.insert(token.key().into(), Some(token));
    }

    /// There is no account of this key from here on, whatever the settings say.
    pub(crate) fn delete(&mut self, key: &str) {
        self.come.insert(key.into(), None);
    }

    /// Those that have come, and were not deleted, in the order of their keys from one on.
    pub(crate) fn from<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a AccountToken> {
        let rest = (Bound::Included(key), Bound::Unbounded);
        let all = self.come.range::<str, _>(rest);
        all.filter_map(|(_, token)| token.as_ref())
    }

    /// Of the accounts in the settings those that are to be put here: what is here was issued no later.
    pub(crate) fn newer(&self, operators: &Operators) -> Vec<AccountToken> {
        let is_newer = |token: &AccountToken| match self.come.get(token.key()) {
            Some(Some(come)) => token.claims().issued_at > come.claims().issued_at,
            Some(None) => false,
            None => true,
        };
        let found = operators
            .preload
            .iter()
            .filter(|(key, token)| *key == token.key());
        let newer = found
            .map(|(_, token)| token)
            .filter(|token| is_newer(token));
        newer.cloned().collect()
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

    /// The settings are others: what they say of an account counts, where that is something else than before.
    pub(crate) fn reloaded(&mut self, former: &Config, config: &Config) {
        let Some(operators) = config.operators() else {
            return self.come.clear();
        };
        if operators.directory().is_some() {
            for token in self.newer(operators) {
                self.put(token);
            }
            return;
        }
        let before = former.operators();
        self.come.retain(|key, _| {
            let before = before.and_then(|before| before.preload.get(key));
            before == operators.preload.get(key)
        });
    }
}

#[cfg(all(test, feature = "nkeys"))]
mod tests {
    use super::*;
    use crate::config::operators::made_for_tests as token;
    use crate::config::{Auth, Directory, Resolver};
    use std::sync::Arc;

    fn config(preload: &[&AccountToken], is_kept: bool) -> Config {
        let operators = Operators {
            preload: preload.iter().copied().cloned().collect(),
            resolver: match is_kept {
                true => Resolver::Directory(Directory::default()),
                false => Resolver::Memory,
            },
            ..Operators::default()
        };
        Config {
            auth: Auth::Operators(Arc::new(operators)),
            ..Config::default()
        }
    }

    #[test]
    fn what_has_come_goes_before_the_settings_also_where_it_is_a_deletion() {
        let (stands, later, other) = (token(2, 1), token(2, 2), token(3, 1));
        let config = config(&[&stands], false);
        let operators = config.operators().expect("there are some");
        let mut known = Known::default();
        assert_eq!(known.find(operators, stands.key()), Some(&stands));
        known.put(later.clone());
        known.put(other.clone());
        assert_eq!(known.find(operators, stands.key()), Some(&later));
        assert!(known.has_account(&config, other.key()) && known.has_account(&config, "$G"));
        assert_eq!(known.from("").count(), 2);
        known.delete(stands.key());
        assert_eq!(known.find(operators, stands.key()), None);
        assert!(!known.has_account(&config, stands.key()));
        assert_eq!(known.from("").collect::<Vec<_>>(), [&other]);
    }

    #[test]
    fn a_reload_counts_where_it_says_something_else_of_an_account() {
        let (first, pushed, second) = (token(2, 1), token(2, 5), token(2, 3));
        for (is_kept, after) in [(false, &second), (true, &pushed)] {
            let (former, latter) = (config(&[&first], is_kept), config(&[&second], is_kept));
            let operators = latter.operators().expect("there are some");
            let mut known = Known::default();
            known.put(pushed.clone());
            known.reloaded(&former, &former);
            assert_eq!(known.find(operators, first.key()), Some(&pushed));
            known.reloaded(&former, &latter);
            assert_eq!(known.find(operators, first.key()), Some(after), "{is_kept}");
            known.reloaded(&latter, &Config::default());
            assert_eq!(known.from("").count(), 0);
        }
    }
}
