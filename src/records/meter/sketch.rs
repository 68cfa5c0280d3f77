//! `Sketch`: the heaviest subjects of a stream, in bounded memory.
//!
//! The algorithm is Space-Saving (Metwally, Agrawal and El Abbadi, 2005): a subject that is not kept
//! takes the place of the lightest one that is, and from then on could have had as much before as that
//! one weighed. With `k` places and a stream that weighs `W`, of each subject
//!
//! ```text
//! counted <= true <= counted + error          error <= W / k
//! ```
//!
//! and each subject whose true weight is above `W / k` is kept. What was `counted` begins at zero with
//! the subject; only `error` is inherited. Weights are those of [`Counts`]: a subject that has many
//! messages and one that has many bytes are both heavy, and the one bound holds for both, as `error /
//! MESSAGE_WEIGHT` messages and as `error` bytes.
//!
//! One sketch for both costs half of two, which would also disagree. A list is sorted by what was counted: by
//! upper bounds it would show inboxes that were used once.
//!
//! Two sketches become one by [`Sketch::merge`], with the same bounds for both streams together.
//!
//! ```text
//! table: hash ──▶ place        entries[place]: account, subject, counts, error
//! heap:  (rank as it was, place), the lightest on top
//! ```
//!
//! Ranks only grow, so the heap is put right when the lightest is looked for and not when something is
//! counted: counting is one look at the table.

use super::counts::Counts;
use crate::core::accounts::Born;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hasher as _;

/// Most subjects that are kept.
pub(crate) const SUBJECTS_MAX: usize = 512;

/// Of a longer subject only the beginning is kept, and told; it is known by its hash nevertheless.
pub(crate) const SUBJECT_BYTES_MAX: usize = 120;

/// The heaviest subjects. Takes no memory until something is counted, and then no more than
/// [`SUBJECTS_MAX`] entries with their table.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    seed: SharedSeed,
    entries: Vec<Entry>,
    table: HashTable<u16>,
    /// What each weighed when it was last looked at.
    heap: BinaryHeap<Reverse<(u64, u16)>>,
    /// What a subject may weigh that is not kept.
    floor: u64,
}

/// One subject.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    hash: u64,
    /// The account that it is one of; `None` where clients are kept and not subjects.
    pub(crate) account: Option<Born>,
    /// Bytes of the subject, of which the first are kept.
    len: u32,
    text: [u8; SUBJECT_BYTES_MAX],
    /// What was counted since it is kept.
    pub(crate) counts: Counts,
    /// What it may weigh beside that.
    pub(crate) error: u64,
}

impl Entry {
    fn new(hash: u64, account: Option<Born>, subject: &[u8], counts: &Counts, error: u64) -> Entry {
        let mut text = [0; SUBJECT_BYTES_MAX];
        let kept = subject.len().min(SUBJECT_BYTES_MAX);
        text[..kept].copy_from_slice(&subject[..kept]);
        Entry {
            hash,
            account,
            len: u32::try_from(subject.len()).unwrap_or(u32::MAX),
            text,
            counts: *counts,
            error,
        }
    }

    /// The subject, or its beginning.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.text[..SUBJECT_BYTES_MAX.min(self.len as usize)]
    }

    /// The cid, where clients are kept and not subjects.
    pub(crate) fn cid(&self) -> u64 {
        let bytes = self.subject().first_chunk();
        bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// Whether the subject is longer.
    pub(crate) fn is_cut(&self) -> bool {
        self.len as usize > SUBJECT_BYTES_MAX
    }

    /// What it weighs at most.
    fn rank(&self) -> u64 {
        self.counts.weight() + self.error
    }

    fn is(&self, hash: u64, account: Option<Born>, subject: &[u8]) -> bool {
        let kept = subject.len().min(SUBJECT_BYTES_MAX);
        self.hash == hash
            && self.account == account
            && self.len as usize == subject.len()
            && self.text[..kept] == subject[..kept]
    }

    fn is_same(&self, other: &Entry) -> bool {
        self.hash == other.hash
            && self.account == other.account
            && self.len == other.len
            && self.text == other.text
    }
}

impl Sketch {
    /// One that has counted nothing. Those that are to be merged must have the same seed.
    pub(super) fn new(seed: &SharedSeed) -> Sketch {
        Sketch {
            seed: seed.clone(),
            entries: Vec::new(),
            table: HashTable::new(),
            heap: BinaryHeap::new(),
            floor: 0,
        }
    }

    /// Counts what was published to a subject of an account.
    pub(super) fn add(&mut self, account: Option<Born>, subject: &[u8], counts: &Counts) {
        let number = account.map_or(0, |account| account.number);
        let mut hasher = FoldHasher::with_seed(number, &self.seed);
        hasher.write(subject);
        let hash = hasher.finish();
        let is_it = |place: &u16| self.entries[usize::from(*place)].is(hash, account, subject);
        match self.table.find(hash, is_it) {
            Some(place) => self.entries[usize::from(*place)].counts.add(counts),
            None if self.entries.len() < SUBJECTS_MAX => {
                self.insert(Entry::new(hash, account, subject, counts, 0));
            }
            None => self.replace_lightest(Entry::new(hash, account, subject, counts, 0)),
        }
    }

    /// All subjects that are kept, in no order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What a subject may weigh at most that is not kept.
    #[cfg(test)]
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.table.clear();
        self.heap.clear();
        self.floor = 0;
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: &Sketch) {
        for entry in &mut self.entries {
            match other.find(entry) {
                Some(same) => {
                    entry.counts.add(&same.counts);
                    entry.error += same.error;
                }
                None => entry.error += other.floor,
            }
        }
        let fresh = other
            .entries
            .iter()
            .filter(|entry| self.find(entry).is_none());
        let fresh: Vec<Entry> = fresh
            .map(|entry| Entry {
                error: entry.error + self.floor,
                ..entry.clone()
            })
            .collect();
        let mut entries = std::mem::take(&mut self.entries);
        entries.extend(fresh);
        let mut floor = self.floor + other.floor;
        entries.sort_unstable_by_key(|entry| Reverse(entry.rank()));
        if let Some(lost) = entries.get(SUBJECTS_MAX) {
            floor = floor.max(lost.rank());
        }
        entries.truncate(SUBJECTS_MAX);
        self.clear();
        self.floor = floor;
        for entry in entries {
            self.insert(entry);
        }
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.heap.capacity() * size_of::<(u64, u16)>()
            + self.table.allocation_size()
    }

    fn find(&self, entry: &Entry) -> Option<&Entry> {
        let is_it = |place: &u16| self.entries[usize::from(*place)].is_same(entry);
        let place = self.table.find(entry.hash, is_it)?;
        Some(&self.entries[usize::from(*place)])
    }

    /// Adds an entry, for which there is room, of a subject that is not kept yet.
    fn insert(&mut self, entry: Entry) {
        let place = u16::try_from(self.entries.len()).expect("there are few");
        self.heap.push(Reverse((entry.rank(), place)));
        self.point_to(entry.hash, place);
        self.entries.push(entry);
    }

    fn point_to(&mut self, hash: u64, place: u16) {
        let entries = &self.entries;
        self.table
            .insert_unique(hash, place, |place| entries[usize::from(*place)].hash);
    }

    /// A subject takes the place of the lightest, and may have had as much before.
    #[inline(never)]
    fn replace_lightest(&mut self, mut fresh: Entry) {
        let Some((place, rank)) = self.lightest() else {
            return;
        };
        fresh.error = rank;
        let hash = fresh.hash;
        if let Some(mut top) = self.heap.peek_mut() {
            *top = Reverse((fresh.rank(), place));
        }
        let former = std::mem::replace(&mut self.entries[usize::from(place)], fresh);
        if let Ok(found) = self.table.find_entry(former.hash, |one| *one == place) {
            found.remove();
        }
        self.point_to(hash, place);
        self.floor = rank;
    }

    /// Who weighs least, and how much: then on top of the heap, if anybody is kept.
    fn lightest(&mut self) -> Option<(u16, u64)> {
        loop {
            let mut top = self.heap.peek_mut()?;
            let Reverse((known, place)) = *top;
            let rank = self.entries[usize::from(place)].rank();
            if rank == known {
                return Some((place, rank));
            }
            // It has grown since it was looked at.
            *top = Reverse((rank, place));
        }
    }
}

#[cfg(test)]
mod tests;
