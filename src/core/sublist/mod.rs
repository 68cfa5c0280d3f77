//! Which subscriptions a published subject reaches.
//!
//! Subscriptions with one subject share a [`Set`]. A subject without wildcards is found in a hash
//! table; the others in a trie by token, which is walked only when there is a wildcard at all, and
//! whose answers are then kept in a cache.
//! After `SUB c`, `SUB a.b`, `SUB a.*` and `SUB a.>` (`[n]` subscriptions end there):
//!
//! ```text
//! literals   c [1]   a.b [1]
//! trie       root ── a ─┬─ * [1]
//!                       └─ > [1]
//! cache      a.b: a.b, a.*, a.>   x: nothing
//! ```
//!
//! A match is a list of sets, so that its cost does not grow with the number of subscribers, and so
//! that a caller may change subscriptions while it walks the sets. Sets keep their subscriptions in
//! lists; each subscription knows its place there, so that its removal moves one other and searches
//! nothing. No socket, no clock, no lock.
//!
//! | to read of | file |
//! | --- | --- |
//! | a subscription and its sid, those that share a subject, queue groups, the sids of a client | `subscription.rs`, `set.rs`, `queues.rs`, `sids.rs` |
//! | the sets that a subject reaches: in the trie, in the cache, in pieces | `trie.rs`, `cache.rs`, `search.rs` |
//! | memory: numbers for things, a hash table of numbers | `pool.rs`, `index.rs` |
//! | what monitoring asks, and what must hold | `inspect.rs`, `invariants.rs` |
//!
//! With very many subscriptions the cost is that of fetching memory, so all is laid out in lines of
//! a cache: a message to a literal subject with one subscriber touches the table, one line for the
//! set and one for the subscription. Every name stands in memory once: tables hold numbers.

mod cache;
mod index;
mod inspect;
mod invariants;
mod pool;
mod queues;
mod search;
mod set;
mod sids;
mod subscription;
#[cfg(test)]
mod tests;
mod trie;

pub use pool::Pool;
pub use queues::{Group, QueueId};
pub use search::{Moment, Search};
pub use set::Set;
pub use sids::{Sids, SidsRest};
pub use subscription::{Sid, Subscription};

use crate::core::invariants::Due;
use cache::Cache;
use foldhash::quality::RandomState;
use index::{Hashing, Index};
use midge_protocol::subject;
use queues::Queues;
use search::Branch;
use std::hash::BuildHasher;
use trie::Trie;

/// A subscription of this sublist. Used again after it has ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SubId(u32);

impl SubId {
    /// Its place among the subscriptions that [`Sublist::set`] lends.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of this sublist: all subscriptions with one subject.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct SetId(u32);

/// The receiver of what a subscription matches. Opaque here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ReceiverId(pub u32);

/// Bytes that are kept when the last subscription has gone: room for a few of them, so that one that comes and goes
/// allocates nothing.
const EMPTY_BYTES_MAX: usize = 768;

/// All subscriptions of one account.
#[derive(Debug)]
pub struct Sublist {
    /// Sets whose subject has no wildcard.
    literals: Index,
    /// The others.
    trie: Trie,
    /// What subjects have reached; kept while there is a wildcard.
    cache: Cache,
    sets: Pool<Set>,
    subscriptions: Pool<Subscription>,
    queues: Queues,
    hashing: Hashing,
    version: u64,
    /// Subscriptions that were made.
    inserts: u64,
    /// Subjects that were looked for in the trie.
    searches: u64,
    /// What is left of a walk; used again for each.
    branches: Vec<Branch>,
    /// What the last one has found that was given up.
    given_up: Vec<SetId>,
    /// When all of it is to be looked at again.
    due: Due,
}

impl Default for Sublist {
    /// With a seed of its own.
    fn default() -> Sublist {
        Sublist::seeded(RandomState::default().hash_one(0))
    }
}

impl Sublist {
    /// One without subscriptions. `seed` goes into all hashes: a client that does not know it cannot
    /// choose subjects that fall together.
    pub fn seeded(seed: u64) -> Sublist {
        Sublist {
            literals: Index::default(),
            trie: Trie::default(),
            cache: Cache::default(),
            sets: Pool::default(),
            subscriptions: Pool::default(),
            queues: Queues::default(),
            hashing: Hashing::new(seed),
            version: 0,
            inserts: 0,
            searches: 0,
            branches: Vec::new(),
            given_up: Vec::new(),
            due: Due::default(),
        }
    }

    /// Gives back the memory of one that has no subscriptions: what stays is a few numbers.
    pub(crate) fn give_back(&mut self) {
        debug_assert!(self.is_empty());
        let fresh = Sublist::seeded(0);
        (self.literals, self.trie) = (fresh.literals, fresh.trie);
        (self.sets, self.subscriptions) = (fresh.sets, fresh.subscriptions);
        self.queues = fresh.queues;
        (self.branches, self.given_up) = (Vec::new(), Vec::new());
        self.cache.empty();
        // Sets begin with the first number again, and are others.
        self.version += 1;
    }

    /// Subscribes `receiver` to `subject`, which must be
    /// [subscribable](midge_protocol::subject::is_subscribable).
    pub fn insert(
        &mut self,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        receiver: ReceiverId,
    ) -> SubId {
        let set_id = self.set_for(subject);
        let queue = queue.map(|name| self.queues.acquire(name, &self.hashing));
        let id = SubId(self.subscriptions.vacant());
        let place = self.sets[set_id.0 as usize].join(queue, id);
        self.inserts += 1;
        let born = self.inserts;
        let subscription = Subscription::new(receiver, sid, set_id, queue, place, born);
        self.subscriptions.insert(subscription);
        self.changed(Some(id));
        id
    }

    /// Ends a subscription, which must exist.
    pub fn remove(&mut self, id: SubId) -> Subscription {
        let subscription = self.subscriptions.remove(id.0);
        let set = &mut self.sets[subscription.set.0 as usize];
        let mut moved = None;
        if subscription.is_detached() {
            set.forget_detached();
        } else {
            moved = set.leave(subscription.queue(), subscription.place);
        }
        if let Some(moved) = moved {
            self.subscriptions[moved.0 as usize].place = subscription.place;
        }
        if let Some(queue) = subscription.queue() {
            self.queues.release(queue, &self.hashing);
        }
        if set.is_empty() {
            self.forget(subscription.set);
        }
        self.changed(moved);
        if self.is_empty() && self.bytes() > EMPTY_BYTES_MAX {
            self.give_back();
        }
        subscription
    }

    /// Takes a subscription, which must exist, out of the lists of those that get messages: a walk over them
    /// comes to it no more. It stays until it is [removed](Sublist::remove).
    pub fn detach(&mut self, id: SubId) {
        let subscription = &mut self.subscriptions[id.0 as usize];
        let (set, queue) = (subscription.set, subscription.queue());
        let Some(place) = subscription.detach() else {
            return;
        };
        if let Some(moved) = self.sets[set.0 as usize].detach(queue, place) {
            self.subscriptions[moved.0 as usize].place = place;
        }
        self.changed(Some(id));
    }

    /// Appends to `found` the sets that a message to `subject` reaches, in no particular order;
    /// answers how many places it looked at, which is what the search has cost.
    ///
    /// Wildcards in `subject` are ordinary tokens; a subject with an empty token reaches nothing.
    pub fn matches(&mut self, subject: &[u8], found: &mut Vec<SetId>) -> usize {
        let all = self.matches_within(subject, usize::MAX, found);
        all.unwrap_or_else(|places| places)
    }

    /// A number that changes whenever the answer of [`matches`](Sublist::matches) to some subject
    /// may have: when a set appears or disappears, not when a subscription joins one.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A set, and the subscriptions that its ids name.
    pub fn set(&mut self, id: SetId) -> (&Set, &mut Pool<Subscription>) {
        (&self.sets[id.0 as usize], &mut self.subscriptions)
    }

    /// A set, if there is one with that id.
    pub fn set_of(&self, id: SetId) -> Option<&Set> {
        self.sets.get(id.0 as usize)
    }

    /// A subscription, which must exist.
    pub fn subscription(&self, id: SubId) -> &Subscription {
        &self.subscriptions[id.0 as usize]
    }

    /// A subscription, which must exist, for changing its limits.
    pub fn subscription_mut(&mut self, id: SubId) -> &mut Subscription {
        &mut self.subscriptions[id.0 as usize]
    }

    /// How many stand in the list that a subscription, which must exist, stands in, or stood before it was
    /// detached: those outside of queue groups that share its subject, or the members of its group there.
    pub fn members_with(&self, id: SubId) -> usize {
        let subscription = self.subscription(id);
        let set = &self.sets[subscription.set.0 as usize];
        match subscription.queue() {
            None => set.plain().len(),
            Some(queue) => set.group(queue).map_or(0, |group| group.members.len()),
        }
    }

    /// What a subscription is for.
    pub fn subject(&self, id: SubId) -> &[u8] {
        self.sets[self.subscription(id).set.0 as usize].subject()
    }

    /// Subscriptions there are.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Subjects, places of the trie and names of queue groups that are kept: none, if there is no
    /// subscription.
    pub fn retained(&self) -> usize {
        self.sets.len() + self.literals.len() + self.trie.len() + self.queues.len()
    }

    fn literal(&self, hash: u64, subject: &[u8]) -> Option<SetId> {
        let is = |set: u32| self.sets[set as usize].subject() == subject;
        self.literals.get(hash, is).map(SetId)
    }

    /// The set for `subject`, made if need be.
    fn set_for(&mut self, subject: &[u8]) -> SetId {
        let new = SetId(self.sets.vacant());
        let end = if subject::has_wildcard(subject) {
            let was_empty = self.trie.is_empty();
            let (set, end) = self.trie.enter(subject, new, &self.hashing);
            if set != new {
                return set;
            }
            if was_empty {
                // Literals have come and gone since the cache was last asked.
                self.cache.forget_all();
            } else {
                self.cache.forget_like(subject, &self.hashing);
            }
            Some(end)
        } else {
            let hash = self.hashing.of(subject);
            if let Some(set) = self.literal(hash, subject) {
                return set;
            }
            self.literals.insert(hash, new.0);
            if !self.trie.is_empty() {
                self.cache.forget(hash);
            }
            None
        };
        self.version += 1;
        self.sets.insert(Set::new(subject, end));
        new
    }

    /// Removes a set that is empty.
    fn forget(&mut self, id: SetId) {
        self.version += 1;
        let set = self.sets.remove(id.0);
        if let Some(end) = set.end() {
            self.trie.leave(id, end, &self.hashing);
            self.cache.forget_like(set.subject(), &self.hashing);
        } else {
            let hash = self.hashing.of(set.subject());
            self.literals.remove(hash, id.0);
            if !self.trie.is_empty() {
                self.cache.forget(hash);
            }
        }
        match self.trie.is_empty() {
            // It is not asked then.
            true => self.cache.empty(),
            false => self.cache.shrink(self.sets.len()),
        }
        if cfg!(debug_assertions) {
            self.has_gone(set.subject());
        }
    }
}

/// Gives back the room of a list that has become short.
fn shrink<T>(list: &mut Vec<T>) {
    const KEPT: usize = 64;
    if list.len() < list.capacity() / 4 && list.capacity() > KEPT {
        list.shrink_to(2 * list.len());
    }
}

/// A place in a list, as the numbers here are kept.
fn index(place: usize) -> u32 {
    u32::try_from(place).expect("2^32 subscriptions do not fit in memory")
}
