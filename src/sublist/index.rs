//! `Index`: from the hash of a name to the number of what bears it, which keeps the name itself.

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::{HashTable, hash_table};
use std::hash::Hasher;

/// How bytes are hashed: seeded, so that nobody can choose names that fall together.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    shared: SharedSeed,
}

impl Hashing {
    /// The same seed makes the same hashes.
    pub(super) fn new(seed: u64) -> Hashing {
        let shared = SharedSeed::from_u64(seed);
        Hashing { shared }
    }

    /// Of a name.
    pub(super) fn of(&self, name: &[u8]) -> u64 {
        self.of_part(0, name)
    }

    /// Of a name that means something only together with a number.
    pub(super) fn of_part(&self, number: u32, name: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(u64::from(number), &self.shared);
        hasher.write(name);
        hasher.finish()
    }
}

/// Numbers by hash. Keeps half of each hash beside its number: one look at the table tells nearly
/// for certain whether the name is there, and growing looks at the table only.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    table: HashTable<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    number: u32,
}

impl Entry {
    /// A hash for the table, which looks at the lowest and at the highest bits.
    fn hash(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

impl Index {
    /// The least capacity that is given back.
    const SHRUNK_MIN: usize = 128;

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.table.allocation_size()
    }

    /// The number with this hash that `is` the one.
    pub(super) fn get(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = entry(hash, 0);
        let found = self.table.find(wanted.hash(), |entry| {
            entry.hash == wanted.hash && is(entry.number)
        });
        found.map(|entry| entry.number)
    }

    /// Adds a number, which must not be there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        let new = entry(hash, number);
        self.table.insert_unique(new.hash(), new, Entry::hash);
    }

    /// Removes a number, which must be there.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        let gone = entry(hash, number);
        let found = self
            .table
            .find_entry(gone.hash(), |entry| entry.number == number);
        found.expect("what is removed is there").remove();
        let (len, capacity) = (self.table.len(), self.table.capacity());
        if len < capacity / 8 && capacity > Index::SHRUNK_MIN {
            self.table.shrink_to(capacity / 4, Entry::hash);
        }
    }

    /// All numbers, one by one, in no particular order.
    pub(super) fn into_numbers(self) -> Numbers {
        Numbers(self.table.into_iter())
    }

    /// All numbers, in no particular order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.table.iter().map(|entry| entry.number)
    }
}

/// The numbers of an index that is used no more.
#[derive(Debug)]
pub(super) struct Numbers(hash_table::IntoIter<Entry>);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next().map(|entry| entry.number)
    }
}

/// The upper half of a hash: the cache takes its places from the lower one.
fn entry(hash: u64, number: u32) -> Entry {
    let hash = (hash >> 32) as u32;
    Entry { hash, number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_hash_and_names_with_one_hash_are_told_apart() {
        let names: Vec<String> = (0..3000).map(|number| format!("name {number}")).collect();
        for hashing in [Some(Hashing::new(1)), None] {
            let hash = |name: &str| match &hashing {
                Some(hashing) => hashing.of(name.as_bytes()),
                None => 7,
            };
            let names = &names[..if hashing.is_some() { 3000 } else { 50 }];
            let mut index = Index::default();
            for (number, name) in (0..).zip(names) {
                index.insert(hash(name), number);
            }
            let find = |index: &Index, name: &String| {
                index.get(hash(name), |number| names[number as usize] == *name)
            };
            for (number, name) in (0..).zip(names) {
                assert_eq!(find(&index, name), Some(number));
                index.remove(hash(name), number);
                assert_eq!(find(&index, name), None);
            }
            assert_eq!(index.len(), 0);
            assert!(index.table.capacity() <= Index::SHRUNK_MIN);
        }
    }
}
