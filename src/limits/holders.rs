//! `Holders`: those who have limits, addresses or users: what each has at present, and had lately.
//!
//! ```text
//! live    one for each address or user with a client
//! past    those that had one lately, the last first; PAST_MAX at most
//! ```
//!
//! What is missing in the buckets of one whose last client has left is kept, or a client could have a new burst by
//! coming again. Where more than `PAST_MAX` come and go in a second, the oldest are forgotten.

use super::bucket::Bucket;
use super::told::Told;
use crate::config::Limits;
use foldhash::fast::RandomState;
use lru::LruCache;
use midge_reactor::{Key, Time};
use slab::Slab;
use std::collections::{BTreeMap, HashMap};

/// Those without a client that are kept: some 400 KiB, and with what was told of each of them a MiB.
const PAST_MAX: usize = 4096;

/// What outlasts the last client of a holder.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) arrivals: Bucket,
    pub(super) messages: Bucket,
    pub(super) bytes: Bucket,
    /// Nothing was told of nearly all.
    pub(super) told: Option<Box<Told>>,
}

impl Past {
    fn is_of_use(&self, now: Time) -> bool {
        let buckets = [self.arrivals, self.messages, self.bytes];
        self.told.is_some() || buckets.iter().any(|one| !one.is_full(now))
    }
}

/// An address or a user with clients.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) name: Box<str>,
    pub(super) limits: Limits,
    pub(super) past: Past,
    /// Its clients, in the order in which they came.
    pub(super) members: BTreeMap<u64, Key>,
    /// Subscriptions that it may make before all that it has are counted again.
    pub(super) headroom: usize,
    /// How many of its clients are not read until the buckets have filled.
    pub(super) waiting: usize,
}

impl Holder {
    /// Its newest clients, which are too many.
    pub(super) fn surplus(&self) -> impl Iterator<Item = Key> {
        let max = self.limits.connections_max.unwrap_or(usize::MAX);
        let newest = self.members.values().rev();
        newest.take(self.members.len().saturating_sub(max)).copied()
    }
}

#[derive(Debug)]
pub(super) struct Holders {
    places: HashMap<Box<str>, usize, RandomState>,
    live: Slab<Holder>,
    past: LruCache<Box<str>, Past, RandomState>,
}

impl Holders {
    pub(super) fn new() -> Holders {
        Holders {
            places: HashMap::default(),
            live: Slab::new(),
            past: LruCache::unbounded_with_hasher(RandomState::default()),
        }
    }

    pub(super) fn get(&self, place: usize) -> &Holder {
        &self.live[place]
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut Holder {
        &mut self.live[place]
    }

    /// The one of this name, if it has a client.
    pub(super) fn named(&self, name: &str) -> Option<&Holder> {
        self.places.get(name).map(|place| &self.live[*place])
    }

    /// Those with clients.
    pub(super) fn live(&self) -> impl Iterator<Item = &Holder> {
        self.live.iter().map(|(_, holder)| holder)
    }

    /// What is kept of the one of this name, from here on.
    pub(super) fn past(&mut self, name: &str) -> &mut Past {
        if let Some(place) = self.places.get(name) {
            return &mut self.live[*place].past;
        }
        if !self.past.contains(name) {
            self.keep(name.into(), Past::default());
        }
        self.past.get_mut(name).expect("it was just put there")
    }

    /// A client of the one of this name has come, which has these limits from here on; answers its place.
    pub(super) fn enter(&mut self, name: &str, limits: &Limits, cid: u64, key: Key) -> usize {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                let past = self.past.pop(name).unwrap_or_default();
                let place = self.live.insert(Holder {
                    name: name.into(),
                    limits: *limits,
                    past,
                    members: BTreeMap::new(),
                    headroom: 0,
                    waiting: 0,
                });
                self.places.insert(name.into(), place);
                place
            }
        };
        let holder = &mut self.live[place];
        holder.limits = *limits;
        // It may have brought subscriptions along.
        holder.headroom = 0;
        holder.members.insert(cid, key);
        place
    }

    /// A client has left.
    pub(super) fn leave(&mut self, place: usize, cid: u64, now: Time) {
        let members = &mut self.live[place].members;
        members.remove(&cid);
        if members.is_empty() {
            let Holder { name, past, .. } = self.live.remove(place);
            self.places.remove(&name);
            if past.is_of_use(now) {
                self.keep(name, past);
            }
        }
    }

    fn keep(&mut self, name: Box<str>, past: Past) {
        self.past.put(name, past);
        while self.past.len() > PAST_MAX {
            self.past.pop_lru();
        }
    }

    /// Forgets those without a client.
    pub(super) fn forget_past(&mut self) {
        self.past.clear();
    }

    /// How many are kept that have a client.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_and_goes_is_kept_while_something_is_missing_and_so_many_at_most() {
        let mut holders = Holders::new();
        let limits = Limits::default();
        let now = Time::from_nanos(1);
        for number in 0..3 * PAST_MAX as u64 {
            let name = number.to_string();
            let place = holders.enter(&name, &limits, number, Key::NONE);
            if number % 3 > 0 {
                holders.get_mut(place).past.messages.take(1, 1, now);
            }
            holders.leave(place, number, now);
        }
        assert_eq!(holders.len(), 0);
        assert_eq!(holders.past.len(), PAST_MAX);
    }

    #[test]
    fn what_was_missing_is_missing_when_a_client_comes_again() {
        let mut holders = Holders::new();
        let (limits, now) = (Limits::default(), Time::from_nanos(1));
        assert!(holders.past("a").arrivals.take_one(1, now));
        let first = holders.enter("a", &limits, 1, Key::NONE);
        let second = holders.enter("a", &limits, 2, Key::NONE);
        assert_eq!(first, second);
        assert!(!holders.past("a").arrivals.take_one(1, now));
        holders.leave(first, 1, now);
        assert_eq!(holders.named("a").map(|one| one.members.len()), Some(1));
        holders.leave(first, 2, now);
        assert!(holders.named("a").is_none());
        assert!(!holders.past("a").arrivals.take_one(1, now));
    }
}
