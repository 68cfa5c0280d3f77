//! What monitoring may ask of a sublist: reads that change nothing, each of one place, so that a walk
//! over very many can stop anywhere. All interest there is can be told at once.

use super::{QueueId, Set, SubId, Sublist, Subscription};

impl Sublist {
    /// A subscription, if there is one with that id.
    pub fn get(&self, id: SubId) -> Option<&Subscription> {
        self.subscriptions.get(id.index())
    }

    /// The queue group of a subscription, which must exist.
    pub fn queue(&self, id: SubId) -> Option<&[u8]> {
        let queue = self.subscription(id).queue()?;
        Some(self.queues.name(queue))
    }

    /// The name of a queue group, which must exist.
    pub fn queue_name(&self, queue: QueueId) -> &[u8] {
        self.queues.name(queue)
    }

    /// Places of subscriptions, some of them empty.
    pub fn places(&self) -> usize {
        self.subscriptions.places()
    }

    /// The subscription at a place, if it is not empty.
    pub fn id_at(&self, place: usize) -> Option<SubId> {
        let id = SubId(u32::try_from(place).ok()?);
        self.get(id).map(|_| id)
    }

    /// Places of sets, some of them empty.
    pub fn set_places(&self) -> usize {
        self.sets.places()
    }

    /// The set at a place, if it is not empty.
    pub fn set_at(&self, place: usize) -> Option<&Set> {
        self.sets.get(place)
    }

    /// What there is interest in: each subject, with how many have subscribed outside of queue groups, and
    /// for each of its groups with the group's name and members.
    pub fn interest(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>, usize)> {
        let sets = (0..self.set_places()).filter_map(|place| self.set_at(place));
        sets.flat_map(|set| {
            let plain = (None, set.plain().len());
            let groups = set.groups().iter();
            let groups = groups.map(|one| (Some(self.queues.name(one.queue)), one.members.len()));
            let parts = [plain].into_iter().chain(groups);
            let parts = parts.filter(|(_, members)| *members > 0);
            parts.map(|(queue, members)| (set.subject(), queue, members))
        })
    }

    /// Places of the cache.
    pub fn cache_places(&self) -> usize {
        self.cache.pairs()
    }

    /// Subjects whose answer is known at a place of the cache.
    pub fn cached_at(&self, place: usize) -> usize {
        self.cache.known_by(place)
    }

    /// Bytes that are reserved for sets, subscriptions, tables and trie: without long subjects, and the
    /// lists of sets that many share.
    pub fn bytes(&self) -> usize {
        self.sets.bytes() + self.subscriptions.bytes() + self.literals.bytes() + self.trie.bytes()
    }

    /// Bytes that are reserved for the cache.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Subscriptions that were ever made.
    pub fn inserts(&self) -> u64 {
        self.inserts
    }

    /// How often a subject was looked for in the trie, since neither the publisher nor the cache knew
    /// what it reaches.
    pub fn searches(&self) -> u64 {
        self.searches
    }
}
