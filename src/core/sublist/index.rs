//! `Index`: from the hash of a name to the number of what bears it, which keeps the name itself.

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashTable;
use std::hash::Hasher;
use std::iter::Flatten;
use std::vec;

/// How bytes are hashed: seeded, so that clients cannot choose names that fall together. One seed is for all
/// hashes of a sublist, and in a broker it is the reactor's. The cost of a search depends on what the cache
/// has dropped, so on the hashes, and a client's turn ends by that cost: a simulated broker must repeat it.
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
///
/// To grow or shrink a table of millions takes too long for one piece. So from some size on there are
/// many tables, each for a part of the hashes; and the parts differ in size, up to twofold, so that not
/// all tables grow at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    table: HashTable<Entry>,
    /// None as long as all are in the one above, which then is empty.
    parts: Vec<HashTable<Entry>>,
    len: usize,
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

    /// The part that it is in: the share of hashes falls from the first to the last, to a half.
    fn part(&self) -> usize {
        // Of 1: bits in the middle, which the tables hardly look at.
        let share = u64::from(self.hash >> 9 & 0xffff);
        let part = (share * ((4 << 16) - share) / 3) >> 24;
        // Below the number of parts, since the share is below 1.
        part as usize
    }
}

/// Parts there are, if there are any.
const PARTS: usize = 256;

impl Index {
    /// The least capacity that is given back.
    const SHRUNK_MIN: usize = 128;

    /// From the first number on there are parts, and below the second there are none any more.
    const PARTED_FROM: usize = 32 * 1024;
    const JOINED_BELOW: usize = 4 * 1024;

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(HashTable::allocation_size).sum();
        self.table.allocation_size() + parts
    }

    /// The number with this hash that `is` the one.
    pub(super) fn get(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = entry(hash, 0);
        let table = if self.parts.is_empty() {
            &self.table
        } else {
            &self.parts[wanted.part()]
        };
        let found = table.find(wanted.hash(), |entry| {
            entry.hash == wanted.hash && is(entry.number)
        });
        found.map(|entry| entry.number)
    }

    /// Adds a number, which must not be there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        let new = entry(hash, number);
        if self.parts.is_empty() && self.len >= Index::PARTED_FROM {
            self.part();
        }
        self.len += 1;
        let table = self.table_of(&new);
        table.insert_unique(new.hash(), new, Entry::hash);
    }

    /// Removes a number, which must be there.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        let gone = entry(hash, number);
        self.len -= 1;
        let table = self.table_of(&gone);
        let found = table.find_entry(gone.hash(), |entry| entry.number == number);
        found.expect("what is removed is there").remove();
        let (len, capacity) = (table.len(), table.capacity());
        if len < capacity / 8 && capacity > Index::SHRUNK_MIN {
            table.shrink_to(capacity / 4, Entry::hash);
        }
        if self.len < Index::JOINED_BELOW && !self.parts.is_empty() {
            self.join();
        }
    }

    /// All numbers, one by one, in no particular order.
    pub(super) fn into_numbers(self) -> Numbers {
        let mut tables = self.parts;
        tables.push(self.table);
        Numbers(tables.into_iter().flatten())
    }

    /// All numbers, in no particular order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        let parts = self.parts.iter().flatten();
        self.table.iter().chain(parts).map(|entry| entry.number)
    }

    /// All are in one table as long as they are not too many, then each in the table of its part.
    pub(super) fn invariants(&self) {
        let mut len = self.table.len();
        for (place, part) in self.parts.iter().enumerate() {
            assert!(part.iter().all(|entry| entry.part() == place));
            len += part.len();
        }
        assert_eq!(self.len, len);
        match self.parts.len() {
            0 => assert!(len <= Index::PARTED_FROM),
            parts => {
                assert_eq!((parts, self.table.len()), (PARTS, 0));
                assert!(len >= Index::JOINED_BELOW);
            }
        }
    }

    fn table_of(&mut self, entry: &Entry) -> &mut HashTable<Entry> {
        if self.parts.is_empty() {
            &mut self.table
        } else {
            &mut self.parts[entry.part()]
        }
    }

    fn part(&mut self) {
        self.parts = (0..PARTS).map(|_| HashTable::new()).collect();
        for entry in std::mem::take(&mut self.table) {
            self.parts[entry.part()].insert_unique(entry.hash(), entry, Entry::hash);
        }
    }

    fn join(&mut self) {
        for entry in std::mem::take(&mut self.parts).into_iter().flatten() {
            self.table.insert_unique(entry.hash(), entry, Entry::hash);
        }
    }
}

/// The numbers of an index that is used no more.
#[derive(Debug)]
pub(super) struct Numbers(Flatten<vec::IntoIter<HashTable<Entry>>>);

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

    /// The numbers below `count`, which have hashes of their own.
    fn filled(count: u32, hashing: &Hashing) -> Index {
        let mut index = Index::default();
        (0..count).for_each(|number| index.insert(hashing.of_part(number, b""), number));
        index
    }

    #[test]
    fn a_large_index_is_of_many_tables_of_which_few_grow_at_a_time() {
        let hashing = Hashing::new(1);
        let mut index = filled(3 * Index::PARTED_FROM as u32, &hashing);
        let capacities = |index: &Index| -> Vec<usize> {
            let tables = index.parts.iter().map(HashTable::capacity);
            tables.chain([index.table.capacity()]).collect()
        };
        let mut before = capacities(&index);
        let mut number = 3 * Index::PARTED_FROM as u32;
        let mut all = 0;
        while number < 12 * Index::PARTED_FROM as u32 {
            for _ in 0..1000 {
                index.insert(hashing.of_part(number, b""), number);
                number += 1;
            }
            let now = capacities(&index);
            let grown = now
                .iter()
                .zip(&before)
                .filter(|(now, before)| now != before);
            let moved: usize = grown.map(|(_, before)| before).sum();
            assert!(moved < 20_000, "{moved} numbers moved at {number}");
            (before, all) = (now, all + moved);
        }
        assert!(all > 0);
        let mut numbers: Vec<u32> = index.numbers().collect();
        numbers.sort_unstable();
        assert!((0..number).eq(numbers));
    }

    #[test]
    fn memory_is_given_back_as_numbers_go() {
        let hashing = Hashing::new(1);
        let count = 4 * Index::PARTED_FROM as u32;
        let mut index = filled(count, &hashing);
        let full = index.bytes();
        for number in 0..count {
            let hash = hashing.of_part(number, b"");
            assert_eq!(index.get(hash, |found| found == number), Some(number));
            index.remove(hash, number);
            if number == count / 20 * 19 {
                assert!(index.bytes() < full / 4, "{} of {full}", index.bytes());
            }
        }
        assert_eq!((index.len(), index.parts.len()), (0, 0));
        assert!(index.table.capacity() <= Index::SHRUNK_MIN);
        let mut rest: Vec<u32> = filled(count, &hashing).into_numbers().collect();
        rest.sort_unstable();
        assert!((0..count).eq(rest));
    }
}
