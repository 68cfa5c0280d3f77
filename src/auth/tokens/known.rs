//! `Known`: the tokens of accounts, as far as they are known: those of the settings, and what has come since.
//!
//! ```text
//! directory, pushes ──▶ come ──▶ goes before ──▶ preload, in the settings
//! ```
//!
//! What is kept in a directory is all here as well: to look an account up waits for nothing. What is there no longer counts as
//! long as its account is open. A reload that says something else of an account brings that in place of what has come, unless
//! that is kept in a directory and was issued later.

use super::{Now, trusted};
use crate::config::{AccountLimits, AccountToken, Config, Furnishing, GLOBAL, Operators};
use midge_reactor::Time;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Tokens of accounts that are known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What has come, by key, and when.
    come: BTreeMap<Box<str>, (Come, Time)>,
}

/// What has come of an account.
#[derive(Debug)]
enum Come {
    /// Its token, which is kept where accounts are.
    Kept(AccountToken),
    /// Its token, which is kept no longer.
    Left(AccountToken),
    /// It was deleted.
    Deleted,
}

impl Come {
    fn token(&self) -> Option<&AccountToken> {
        match self {
            Come::Kept(token) | Come::Left(token) => Some(token),
            Come::Deleted => None,
        }
    }
}

impl Known {
    /// The account of this key.
    pub(crate) fn find<'a>(
        &'a self,
        operators: &'a Operators,
        key: &str,
    ) -> Option<&'a AccountToken> {
        match self.come.get(key) {
            Some((come, _)) => come.token(),
            None => operators.preload.get(key),
        }
    }

    /// When the token of an account has come; `None` if it stands in the settings.
    pub(crate) fn came(&self, key: &str) -> Option<Time> {
        let (come, at) = self.come.get(key)?;
        come.token().map(|_| *at)
    }

    /// The token counts from here on.
    pub(crate) fn put(&mut self, token: AccountToken, now: Time) {
        self.come
            .insert(token.key().into(), (Come::Kept(token), now));
    }

    /// There is no account of this key from here on, whatever the settings say.
    pub(crate) fn delete(&mut self, key: &str) {
        self.come.insert(key.into(), (Come::Deleted, Time::ZERO));
    }

    /// The token is kept no longer: it counts only where its account is open.
    pub(crate) fn let_go(&mut self, key: &str, is_open: bool) {
        let Some((come, _)) = self.come.get_mut(key) else {
            return;
        };
        match (&*come, is_open) {
            (Come::Kept(token), true) => *come = Come::Left(token.clone()),
            (Come::Kept(_), false) => {
                self.come.remove(key);
            }
            (Come::Left(_) | Come::Deleted, _) => {}
        }
    }

    /// The account of this key, if it is kept.
    pub(crate) fn kept(&self, key: &str) -> Option<&AccountToken> {
        self.from(key).next().filter(|token| token.key() == key)
    }

    /// Those that have come and are kept, in the order of their keys from one on.
    pub(crate) fn from<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a AccountToken> {
        let rest = (Bound::Included(key), Bound::Unbounded);
        let all = self.come.range::<str, _>(rest);
        all.filter_map(|(_, (come, _))| match come {
            Come::Kept(token) => Some(token),
            Come::Left(_) | Come::Deleted => None,
        })
    }

    /// The accounts in the settings that were not deleted since.
    pub(crate) fn wanted(&self, operators: &Operators) -> Vec<AccountToken> {
        let is_deleted =
            |token: &AccountToken| matches!(self.come.get(token.key()), Some((Come::Deleted, _)));
        let wanted = preloaded(operators).filter(|token| !is_deleted(token));
        wanted.cloned().collect()
    }

    /// Whether there is an account of this name, used or not. Without operators it stands in the settings.
    pub(crate) fn has_account(&self, config: &Config, name: &str) -> bool {
        match config.operators() {
            Some(operators) => name == GLOBAL || self.find(operators, name).is_some(),
            None => config.has_account(name),
        }
    }

    /// What an account has that concerns its messages, if there is one of this name, and its token is good at this time.
    /// Without operators that stands in the settings.
    pub(crate) fn furnishing<'a>(
        &'a self,
        config: &'a Config,
        name: &str,
        now: &Now,
    ) -> Option<Furnishing<'a>> {
        let operators = match config.operators() {
            Some(operators) if name != GLOBAL => operators,
            _ => return config.furnishing(name),
        };
        let token = self.find(operators, name)?;
        let is_good = trusted(operators, token, now).is_ok();
        is_good.then(|| token.furnishing())
    }

    /// The same, whether its token is good or not.
    pub(crate) fn told<'a>(&'a self, config: &'a Config, name: &str) -> Option<Furnishing<'a>> {
        match config.operators() {
            Some(operators) if name != GLOBAL => Some(self.find(operators, name)?.furnishing()),
            _ => config.furnishing(name),
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
        if operators.store().is_some() {
            // They go into the directory, if they are newer than what is there, and count when that is read.
            return;
        }
        let before = former.operators();
        self.come.retain(|key, _| {
            let before = before.and_then(|before| before.preload.get(key));
            before == operators.preload.get(key)
        });
    }
}

/// The accounts in the settings that can be found there.
fn preloaded(operators: &Operators) -> impl Iterator<Item = &AccountToken> {
    let all = operators.preload.iter();
    all.filter_map(|(key, token)| (key == token.key()).then_some(token))
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
        known.put(later.clone(), Time::ZERO);
        known.put(other.clone(), Time::ZERO);
        assert_eq!(known.find(operators, stands.key()), Some(&later));
        assert!(known.has_account(&config, other.key()) && known.has_account(&config, "$G"));
        assert_eq!(known.from("").count(), 2);
        known.delete(stands.key());
        assert_eq!(known.find(operators, stands.key()), None);
        assert!(!known.has_account(&config, stands.key()));
        assert_eq!(known.from("").collect::<Vec<_>>(), [&other]);
    }

    #[test]
    fn what_is_kept_no_longer_counts_as_long_as_its_account_is_open() {
        let (one, other) = (token(2, 1), token(3, 1));
        let config = config(&[], true);
        let operators = config.operators().expect("there are some");
        let mut known = Known::default();
        for token in [&one, &other] {
            known.put(token.clone(), Time::ZERO);
        }
        assert_eq!(known.kept(one.key()), Some(&one));
        known.let_go(one.key(), true);
        known.let_go(other.key(), false);
        assert_eq!(known.find(operators, one.key()), Some(&one));
        assert_eq!(known.find(operators, other.key()), None);
        assert_eq!((known.kept(one.key()), known.from("").count()), (None, 0));
        known.delete(one.key());
        known.let_go(one.key(), true);
        assert_eq!(known.find(operators, one.key()), None);
    }

    #[test]
    fn a_reload_counts_where_it_says_something_else_of_an_account() {
        let (first, pushed, second) = (token(2, 1), token(2, 5), token(2, 3));
        for (is_kept, after) in [(false, &second), (true, &pushed)] {
            let (former, latter) = (config(&[&first], is_kept), config(&[&second], is_kept));
            let operators = latter.operators().expect("there are some");
            let mut known = Known::default();
            known.put(pushed.clone(), Time::ZERO);
            known.reloaded(&former, &former);
            assert_eq!(known.find(operators, first.key()), Some(&pushed));
            known.reloaded(&former, &latter);
            assert_eq!(known.find(operators, first.key()), Some(after), "{is_kept}");
            known.reloaded(&latter, &Config::default());
            assert_eq!(known.from("").count(), 0);
        }
    }
}
