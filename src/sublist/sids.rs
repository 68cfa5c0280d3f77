//! `Sids`: the subscriptions of one receiver, by its own names for them.

use super::index::Index;
use super::{SubId, Sublist};

/// The subscriptions of one receiver, by its own names for them. The names stand in the sublist,
/// and only there; so it is asked along, always the same one.
#[derive(Debug, Default)]
pub struct Sids {
    index: Index,
}

impl Sids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The subscription with that name.
    pub fn get(&self, sid: &[u8], sublist: &Sublist) -> Option<SubId> {
        let named = |id| sublist.subscription(SubId(id)).sid.as_slice() == sid;
        self.index.get(sublist.hashing.of(sid), named).map(SubId)
    }

    /// Adds a subscription, whose name must be free.
    pub fn insert(&mut self, id: SubId, sublist: &Sublist) {
        let sid = sublist.subscription(id).sid.as_slice();
        self.index.insert(sublist.hashing.of(sid), id.0);
    }

    /// Removes a subscription, which must be there; the sublist may have forgotten it already.
    pub fn remove(&mut self, id: SubId, sid: &[u8], sublist: &Sublist) {
        self.index.remove(sublist.hashing.of(sid), id.0);
    }

    /// All of them, in an order of their own: that of a hash table differs from run to run.
    pub fn into_sorted(self) -> Vec<SubId> {
        let mut ids: Vec<SubId> = self.index.numbers().map(SubId).collect();
        ids.sort_unstable_by_key(|id| id.0);
        ids
    }
}
