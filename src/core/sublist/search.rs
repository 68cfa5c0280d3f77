//! `Search`: which sets a subject reaches, found in pieces.
//!
//! Subjects that nearly match, under many wildcards, make a search look at each place of the trie.
//! So it can stop anywhere, and go on when others have had their turn. What is left to look at are
//! *branches*: a place, and where in the subject its children's token begins. A search visits each
//! place once at most; so it comes to its end whatever is subscribed to meanwhile.
//!
//! The sublist may have changed when it goes on. A place that has gone is passed over. One whose
//! number was used again is new, as is all below it: so the search may also find sets, which need
//! not match, but of which all subscriptions are younger than the search. Of the sets that it has
//! found, a delivery takes only the subscriptions that [were there](Sublist::was_there) when it began,
//! and so each of those once.

use super::trie::Walked;
use super::{SetId, SubId, Sublist};
use midge_protocol::subject;

/// A place of the trie, and where in the subject the next token begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    pub(super) place: u32,
    pub(super) offset: usize,
}

/// A search for the sets that one subject reaches.
#[derive(Debug)]
pub struct Search {
    branches: Vec<Branch>,
    found: Vec<SetId>,
    moment: Moment,
    /// The sublist's version when it began: the cache learns only what was true at one moment.
    version: u64,
    is_over: bool,
}

/// A moment in the life of a sublist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment(u64);

impl Search {
    /// When it began.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// Whether there is nothing left to look at.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What it has found; all of it, if it is over.
    pub fn found(&self) -> &[SetId] {
        &self.found
    }

    /// Things that it keeps.
    pub fn retained(&self) -> usize {
        self.branches.len() + self.found.len()
    }
}

impl Sublist {
    /// As [`matches`](Sublist::matches), if that takes no look at more than `places_max` places of
    /// the trie; else answers `Err` with how many it took, and appends nothing. Then [`search_on`] goes
    /// on from there.
    ///
    /// [`search_on`]: Sublist::search_on
    #[inline]
    pub fn matches_within(
        &mut self,
        subject: &[u8],
        places_max: usize,
        found: &mut Vec<SetId>,
    ) -> Result<usize, usize> {
        let hash = self.hashing.of(subject);
        if self.trie.is_empty() {
            // A subject with an empty token is not to be found here, since none can be subscribed to.
            found.extend(self.literal(hash, subject));
            return Ok(1);
        }
        if self.cache.get(hash, subject, found) {
            return Ok(1);
        }
        self.look(hash, subject, places_max, found)
    }

    /// For a subject that the cache does not know.
    #[inline(never)]
    fn look(
        &mut self,
        hash: u64,
        subject: &[u8],
        places_max: usize,
        found: &mut Vec<SetId>,
    ) -> Result<usize, usize> {
        let before = found.len();
        if self.cache.get_of_siblings(subject, found, &self.hashing) {
            self.learn(hash, subject, found, before);
            return Ok(1);
        }
        self.searches += 1;
        self.branches.clear();
        self.branches.push(Branch::ROOT);
        let Walked { places, is_for_all } = self.trie.walk(
            subject,
            &mut self.branches,
            places_max,
            found,
            &self.hashing,
        );
        if !self.branches.is_empty() {
            self.given_up.clear();
            self.given_up.extend(found.drain(before..));
            return Err(1 + places);
        }
        if subject::has_empty_token(subject) {
            found.truncate(before);
        } else if is_for_all {
            let (reached, sets) = (&found[before..], self.sets.len());
            self.cache
                .learn_of_siblings(subject, reached, sets, &self.hashing);
        }
        self.learn(hash, subject, found, before);
        Ok(1 + places)
    }

    /// What was found from `before` on is what a subject reaches in the trie: appends the literal set, and learns all.
    fn learn(&mut self, hash: u64, subject: &[u8], found: &mut Vec<SetId>, before: usize) {
        found.extend(self.literal(hash, subject));
        let reached = &found[before..];
        self.cache
            .learn(hash, subject, reached, self.sets.len(), &self.hashing);
    }

    /// Begins a search for the sets that a message to `subject` reaches.
    pub fn search(&mut self, subject: &[u8]) -> Search {
        let hash = self.hashing.of(subject);
        let is_over = self.trie.is_empty() || subject::has_empty_token(subject);
        let branches = if is_over {
            Vec::new()
        } else {
            vec![Branch::ROOT]
        };
        Search {
            branches,
            // Here and now: a literal one is not to be looked for when the others have been.
            found: self.literal(hash, subject).into_iter().collect(),
            moment: self.now(),
            version: self.version,
            is_over,
        }
    }

    /// As [`search`](Sublist::search), for a subject for which [`matches_within`](Sublist::matches_within)
    /// has just given up: what that has looked at is not looked at again.
    pub fn search_on(&mut self, subject: &[u8]) -> Search {
        let mut search = self.search(subject);
        if !search.is_over {
            search.branches.clone_from(&self.branches);
            search.found.append(&mut self.given_up);
        }
        search
    }

    /// A search that is over and has found these sets, just now.
    pub fn found(&self, found: &[SetId]) -> Search {
        Search {
            branches: Vec::new(),
            found: found.to_vec(),
            moment: self.now(),
            version: self.version,
            is_over: true,
        }
    }

    /// Goes on with a search for `subject` until it is over or has looked at `places_max` places;
    /// answers at how many.
    pub fn go_on(&mut self, search: &mut Search, subject: &[u8], places_max: usize) -> usize {
        if search.is_over {
            return 0;
        }
        let Search {
            branches, found, ..
        } = search;
        let walked = self
            .trie
            .walk(subject, branches, places_max, found, &self.hashing);
        search.is_over = search.branches.is_empty();
        if search.is_over && search.version == self.version {
            let hash = self.hashing.of(subject);
            self.cache
                .learn(hash, subject, &search.found, self.sets.len(), &self.hashing);
        }
        walked.places
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        Moment(self.inserts)
    }

    /// Whether there is a subscription with this id, which was made before that moment.
    pub fn was_there(&self, id: SubId, moment: Moment) -> bool {
        self.get(id)
            .is_some_and(|subscription| subscription.born <= moment.0)
    }
}
