//! What of a sublist must hold: see [`crate::core::invariants`] for when that is looked at.
//!
//! ```text
//! set        found by its subject, not empty               subscription   at its place in its set's list
//! literals   those of the sets without a wildcard          queue group    as many users as subscriptions in it
//! cache      what a search finds now, as long as there is a wildcard
//! ```

use super::search::Branch;
use super::{SetId, SubId, Sublist, Subscription};
use midge_protocol::subject;

/// What the cache knows is compared with a search of no more places than this.
const PLACES_MAX: usize = 2048;

impl Sublist {
    /// Looks at everything.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn invariants(&self) {
        self.sets.invariants();
        self.subscriptions.invariants();
        self.literals.invariants();
        self.trie.invariants(&self.hashing);
        self.cache
            .invariants(&self.hashing, |subject| self.search_anew(subject));
        let (mut listed, mut detached, mut literals) = (0, 0, 0);
        for (number, set) in self.sets.iter() {
            set.invariants();
            self.is_found(SetId(number));
            listed += set.len();
            detached += set.detached();
            literals += usize::from(set.end().is_none());
        }
        assert_eq!(self.literals.len(), literals);
        assert_eq!(listed + detached, self.subscriptions.len());
        let (mut in_no_list, mut queued) = (0, 0);
        for (number, subscription) in self.subscriptions.iter() {
            self.stands_at_its_place(SubId(number), subscription);
            in_no_list += usize::from(subscription.is_detached());
            queued += usize::from(subscription.is_queued());
            assert!(subscription.born <= self.inserts);
        }
        assert_eq!(detached, in_no_list);
        self.queues.invariants(queued, &self.hashing);
    }

    /// Something has changed, and what has to do with this subscription, if with any: looks at that, and at
    /// everything if it is due.
    #[inline(always)]
    pub(super) fn changed(&mut self, id: Option<SubId>) {
        if cfg!(debug_assertions) {
            if let Some(id) = id {
                let subscription = self.subscription(id);
                self.stands_at_its_place(id, subscription);
                self.is_found(subscription.set);
                self.agrees(self.subject(id));
            }
            let things = self.retained() + self.len() + self.cache.pairs();
            if self.due.is_due(things) {
                self.invariants();
            }
        }
    }

    /// The set for a subject has gone.
    pub(super) fn has_gone(&self, subject: &[u8]) {
        assert_eq!(self.find(subject), None);
        self.agrees(subject);
    }

    fn stands_at_its_place(&self, id: SubId, subscription: &Subscription) {
        let set = &self.sets[subscription.set.0 as usize];
        let list = match subscription.queue() {
            None => set.plain(),
            Some(queue) => set.group(queue).map_or(&[][..], |group| &group.members),
        };
        let at = list.get(subscription.place as usize);
        let expected = (!subscription.is_detached()).then_some(id);
        assert_eq!(at.copied(), expected, "{subscription:?}");
    }

    fn is_found(&self, id: SetId) {
        let set = &self.sets[id.0 as usize];
        assert_eq!(self.find(set.subject()), Some(id), "{set:?}");
        assert_eq!(set.end().is_some(), subject::has_wildcard(set.subject()));
    }

    /// The set for just this subject.
    fn find(&self, subject: &[u8]) -> Option<SetId> {
        match subject::has_wildcard(subject) {
            true => self.trie.find(subject, &self.hashing),
            false => self.literal(self.hashing.of(subject), subject),
        }
    }

    fn agrees(&self, subject: &[u8]) {
        let search = |subject: &[u8]| self.search_anew(subject);
        self.cache.agrees(subject, &self.hashing, search);
    }

    /// What a message to `subject` reaches, without the cache; nothing if that takes too long, or if the cache
    /// is not asked: without a wildcard it learns nothing of what comes and goes.
    fn search_anew(&self, subject: &[u8]) -> Option<Vec<SetId>> {
        if self.trie.is_empty() {
            return None;
        }
        let mut found = Vec::new();
        let mut branches = vec![Branch::ROOT];
        self.trie.walk(
            subject,
            &mut branches,
            PLACES_MAX,
            &mut found,
            &self.hashing,
        );
        if subject::has_empty_token(subject) {
            found.clear();
        }
        found.extend(self.literal(self.hashing.of(subject), subject));
        branches.is_empty().then_some(found)
    }
}
