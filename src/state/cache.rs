//! `Cache`: which of the accounts that are kept in a cache goes next: the one whose time is over, or, where there are too
//! many, the one that was not used for longest.
//!
//! ```text
//! order   A3 ── A1 ── A2        the one used last comes first
//! ends    A2 10:00, A3 10:30    those whose time ends
//! ```
//!
//! What goes is removed from the directory. It counts as long as its account is open, as in nats-server: what has clients is
//! not looked up.

use crate::auth::tokens::Now;
use crate::config::AccountToken;
use crate::state::State;
use foldhash::fast::RandomState;
use lru::LruCache;
use midge_reactor::{Time, TimerId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The accounts that are kept.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Each, with its end.
    order: LruCache<Box<str>, Option<Time>, RandomState>,
    ends: BTreeSet<(Time, Box<str>)>,
    /// What looks for those that are over.
    pub(crate) timer: Option<TimerId>,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            order: LruCache::unbounded_with_hasher(RandomState::default()),
            ends: BTreeSet::new(),
            timer: None,
        }
    }
}

impl Cache {
    /// One is kept, up to its end: of all it was used last.
    pub(crate) fn keep(&mut self, key: &str, end: Option<Time>) {
        self.forget(key);
        self.order.put(key.into(), end);
        if let Some(end) = end {
            self.ends.insert((end, key.into()));
        }
    }

    /// One is used. If it is kept it is so for this time from now on, where a time is set.
    pub(crate) fn used(&mut self, key: &str, ttl: Option<Duration>, now: Time) {
        let Some(end) = self.order.get(key).copied() else {
            return;
        };
        self.keep(key, ttl.map(|ttl| now + ttl).or(end));
    }

    /// One is kept no longer.
    pub(crate) fn forget(&mut self, key: &str) {
        if let Some(Some(end)) = self.order.pop(key) {
            self.ends.remove(&(end, key.into()));
        }
    }

    /// Takes out those that are over.
    pub(crate) fn over(&mut self, now: Time) -> Vec<Box<str>> {
        let mut over = Vec::new();
        while let Some((end, key)) = self.ends.first()
            && *end <= now
        {
            let key = key.clone();
            self.forget(&key);
            over.push(key);
        }
        over
    }

    /// Takes out as many as make room for one within that limit.
    pub(crate) fn make_room(&mut self, key: &str, max: usize) -> Vec<Box<str>> {
        let mut surplus = Vec::new();
        while !self.order.contains(key)
            && self.order.len() >= max.max(1)
            && let Some((oldest, end)) = self.order.pop_lru()
        {
            if let Some(end) = end {
                self.ends.remove(&(end, oldest.clone()));
            }
            surplus.push(oldest);
        }
        surplus
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        assert!(self.ends.len() <= self.order.len());
        self.order.len()
    }
}

impl State {
    /// A token counts from here on, and is kept where accounts are.
    pub(crate) fn keep_account(&mut self, token: AccountToken, now: Time) {
        let cache = self.config.operators().and_then(|one| one.cache());
        if let Some(cache) = cache {
            let of_token = || Now::at(now).time_of_second(token.claims().expires);
            let end = cache.ttl.map(|ttl| now + ttl).or_else(of_token);
            self.cache.keep(token.key(), end);
        }
        self.known.put(token, now);
    }

    /// A token is no longer where accounts are kept.
    pub(crate) fn let_go_of_account(&mut self, key: &str) {
        self.cache.forget(key);
        let is_open = self.core.accounts.named(key).is_some();
        self.known.let_go(key, is_open);
    }

    /// A client comes into an account. Costs nothing but a look where that is open, or no cache is kept.
    pub(crate) fn use_account(&mut self, key: &str, now: Time) {
        let cache = self.config.operators().and_then(|one| one.cache());
        if let Some(cache) = cache
            && self.core.accounts.named(key).is_none()
        {
            self.cache.used(key, cache.ttl, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Time {
        Time::ZERO + seconds * SECOND
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_makes_room() {
        let mut cache = Cache::default();
        for key in ["A1", "A2", "A3"] {
            cache.keep(key, Some(at(9)));
        }
        cache.used("A1", None, at(1));
        cache.used("A9", None, at(1));
        assert_eq!(cache.make_room("A4", 4), []);
        assert_eq!(cache.make_room("A4", 3), ["A2".into()]);
        cache.keep("A4", None);
        // One that is there takes the place that it has.
        assert_eq!(cache.make_room("A3", 3), []);
        assert_eq!(cache.make_room("A5", 1), ["A3", "A1", "A4"].map(Box::from));
        assert_eq!((cache.len(), cache.over(at(99))), (0, Vec::new()));
    }

    #[test]
    fn one_is_over_when_its_time_is_and_that_begins_anew_with_each_use() {
        let mut cache = Cache::default();
        cache.keep("A1", Some(at(5)));
        cache.keep("A2", Some(at(5)));
        cache.keep("A3", None);
        cache.used("A1", Some(5 * SECOND), at(3));
        cache.used("A2", None, at(3));
        assert_eq!(cache.over(at(4)), []);
        assert_eq!(cache.over(at(5)), ["A2".into()]);
        assert_eq!(cache.over(at(7)), []);
        cache.forget("A3");
        assert_eq!(cache.over(at(8)), ["A1".into()]);
        assert_eq!((cache.len(), cache.over(at(99))), (0, Vec::new()));
    }
}
