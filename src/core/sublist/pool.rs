//! `Pool`: things by number, in a memory that grows and shrinks without moving them.

use super::index;
use std::ops::{Index, IndexMut};

/// Things by number; a number is used again after its thing has gone. As a slab, but in chunks:
/// growing allocates the next one, and neither copies what is there nor holds it twice meanwhile. Only the first one
/// grows by itself, so that a pool of few things is small.
///
/// A new thing goes to the first chunk that has room, so that the last ones become empty when many
/// things go; the memory of a chunk without things is given back. One such chunk keeps it: what comes
/// and goes at the edge must not allocate each time.
#[derive(Debug)]
pub struct Pool<T> {
    /// The last one is not without memory.
    chunks: Vec<Vec<Slot<T>>>,
    /// What is used of each chunk.
    uses: Vec<Use>,
    /// The chunks that have room, a bit for each.
    roomy: Vec<u64>,
    /// None of the words before this one has a bit.
    roomy_from: usize,
    /// The empty chunk that keeps its memory.
    spare: Option<usize>,
    len: usize,
}

#[derive(Debug)]
pub(super) enum Slot<T> {
    /// And the slot of the chunk that was left before it, or the first that was never used.
    Vacant(usize),
    Occupied(T),
}

#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// The slot that was left last, or the first that was never used.
    next: usize,
    /// Things there are.
    len: usize,
}

/// Slots of a chunk.
const CHUNK: usize = 1024;

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool {
            chunks: Vec::new(),
            uses: Vec::new(),
            roomy: Vec::new(),
            roomy_from: 0,
            spare: None,
            len: 0,
        }
    }
}

impl<T> Pool<T> {
    /// Things there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that are reserved for things, without what they own elsewhere.
    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.chunks.iter().map(Vec::capacity).sum();
        slots * size_of::<Slot<T>>()
    }

    /// Each thing's number is below this.
    pub(super) fn places(&self) -> usize {
        let last = self.chunks.last().map_or(0, Vec::len);
        self.chunks.len().saturating_sub(1) * CHUNK + last
    }

    /// A thing, if there is one with that number.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        match self.chunks.get(number / CHUNK)?.get(number % CHUNK)? {
            Slot::Occupied(thing) => Some(thing),
            Slot::Vacant(_) => None,
        }
    }

    /// All things, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = 0..self.places();
        places.filter_map(|place| Some((index(place), self.get(place)?)))
    }

    /// What each chunk holds is counted; its vacant slots hang together, up to the first that was never used;
    /// those that have room are known; one empty chunk at most has memory, and the last one has.
    pub(super) fn invariants(&self) {
        assert_eq!(self.chunks.len(), self.uses.len());
        assert!(self.chunks.last().is_none_or(|last| last.capacity() > 0));
        for (number, (chunk, used)) in self.chunks.iter().zip(&self.uses).enumerate() {
            let is_there = |slot: &&Slot<T>| matches!(slot, Slot::Occupied(_));
            assert_eq!(used.len, chunk.iter().filter(is_there).count());
            let mut next = used.next;
            for _ in used.len..chunk.len() {
                let Some(Slot::Vacant(then)) = chunk.get(next) else {
                    panic!("{next} is not vacant in chunk {number}");
                };
                next = *then;
            }
            assert_eq!(next, chunk.len(), "in chunk {number}");
            let is_roomy = self.roomy[number / 64] >> (number % 64) & 1 == 1;
            assert_eq!(is_roomy, used.len < CHUNK, "chunk {number}");
            assert!(!is_roomy || self.roomy_from <= number / 64);
            let is_spare = used.len == 0 && chunk.capacity() > 0;
            assert!(!is_spare || self.spare == Some(number), "chunk {number}");
        }
        let roomy: u32 = self.roomy.iter().map(|word| word.count_ones()).sum();
        let uses = self.uses.iter().filter(|used| used.len < CHUNK);
        assert_eq!(roomy as usize, uses.count());
        let len: usize = self.uses.iter().map(|used| used.len).sum();
        assert_eq!(self.len, len);
    }

    /// The number that the next thing will get.
    pub(super) fn vacant(&self) -> u32 {
        let chunk = self.first_roomy();
        let slot = self.uses.get(chunk).map_or(0, |used| used.next);
        index(chunk * CHUNK + slot)
    }

    /// Keeps a thing.
    pub(super) fn insert(&mut self, thing: T) -> u32 {
        let number = self.first_roomy();
        if number == self.chunks.len() {
            self.chunks.push(Vec::new());
            self.uses.push(Use::default());
            self.mark_roomy(number);
        }
        self.roomy_from = number / 64;
        let (chunk, used) = (&mut self.chunks[number], &mut self.uses[number]);
        if used.len == 0 {
            // The first one grows: of ten thousand accounts each may have a few things.
            chunk.reserve_exact(if number == 0 { 1 } else { CHUNK });
            if self.spare == Some(number) {
                self.spare = None;
            }
        }
        let slot = used.next;
        match chunk.get_mut(slot) {
            None => {
                chunk.push(Slot::Occupied(thing));
                used.next += 1;
            }
            Some(place) => match std::mem::replace(place, Slot::Occupied(thing)) {
                Slot::Vacant(next) => used.next = next,
                Slot::Occupied(_) => unreachable!("the next slot is vacant"),
            },
        }
        used.len += 1;
        if used.len == CHUNK {
            self.roomy[number / 64] &= !(1 << (number % 64));
        }
        self.len += 1;
        index(number * CHUNK + slot)
    }

    /// Takes out a thing, which must be there.
    pub(super) fn remove(&mut self, number: u32) -> T {
        let (number, slot) = (number as usize / CHUNK, number as usize % CHUNK);
        let used = &mut self.uses[number];
        let place = &mut self.chunks[number][slot];
        let Slot::Occupied(thing) = std::mem::replace(place, Slot::Vacant(used.next)) else {
            panic!("nothing has the number {}", number * CHUNK + slot)
        };
        used.next = slot;
        used.len -= 1;
        self.len -= 1;
        let (was_full, is_empty) = (used.len == CHUNK - 1, used.len == 0);
        if was_full {
            self.mark_roomy(number);
        }
        if is_empty {
            self.empty(number);
        }
        thing
    }

    /// A chunk has become empty: it, or the one that was empty before, gives its memory back.
    fn empty(&mut self, number: usize) {
        self.chunks[number].clear();
        self.uses[number] = Use::default();
        let kept = self.spare.map_or(number, |spare| spare.min(number));
        if let Some(spare) = self.spare.replace(kept) {
            self.chunks[spare.max(number)] = Vec::new();
        }
        while self.chunks.last().is_some_and(|last| last.capacity() == 0) {
            self.chunks.pop();
            self.uses.pop();
            let last = self.chunks.len();
            self.roomy[last / 64] &= !(1 << (last % 64));
        }
    }

    fn mark_roomy(&mut self, chunk: usize) {
        let word = chunk / 64;
        if word >= self.roomy.len() {
            self.roomy.resize(word + 1, 0);
        }
        self.roomy[word] |= 1 << (chunk % 64);
        self.roomy_from = self.roomy_from.min(word);
    }

    /// The first chunk that has room, or the next one.
    fn first_roomy(&self) -> usize {
        let words = self.roomy.iter().enumerate().skip(self.roomy_from);
        let found = words.into_iter().find(|(_, word)| **word != 0);
        found.map_or(self.chunks.len(), |(place, word)| {
            place * 64 + word.trailing_zeros() as usize
        })
    }
}

impl<T> Index<usize> for Pool<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        match &self.chunks[number / CHUNK][number % CHUNK] {
            Slot::Occupied(thing) => thing,
            Slot::Vacant(_) => panic!("nothing has the number {number}"),
        }
    }
}

impl<T> IndexMut<usize> for Pool<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        match &mut self.chunks[number / CHUNK][number % CHUNK] {
            Slot::Occupied(thing) => thing,
            Slot::Vacant(_) => panic!("nothing has the number {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn numbers_are_used_again_and_name_what_they_named() {
        let mut pool = Pool::default();
        let mut twin = BTreeMap::new();
        for round in 0..20_000_u64 {
            let drawn = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            // It grows to some chunks, shrinks, and grows again.
            let growing = round / 4000 % 2 == 0;
            if drawn % 4 == 0 || (drawn % 4 == 1) == growing || twin.is_empty() {
                let vacant = pool.vacant();
                assert_eq!(pool.insert(round), vacant);
                assert_eq!(twin.insert(vacant, round), None);
            } else {
                let (number, thing) = twin.pop_first().expect("not empty");
                assert_eq!(pool.remove(number), thing);
            }
            assert_eq!(pool.len(), twin.len());
        }
        for (number, thing) in &twin {
            assert_eq!(pool[*number as usize], *thing);
        }
        let highest = twin.last_key_value().map_or(0, |(number, _)| *number);
        assert!((highest as usize) < pool.chunks.len() * CHUNK);
    }

    #[test]
    fn memory_is_given_back_when_things_have_gone_and_numbers_stay_low() {
        let mut pool = Pool::default();
        let numbers: Vec<u32> = (0..100 * CHUNK).map(|thing| pool.insert(thing)).collect();
        let all = pool.bytes();
        // One thing of each tenth chunk stays.
        let (stay, go): (Vec<u32>, Vec<u32>) = numbers
            .into_iter()
            .partition(|number| *number as usize % (10 * CHUNK) == 7);
        go.iter().for_each(|number| _ = pool.remove(*number));
        assert!(pool.bytes() <= all / 10 + all / 100);
        assert!(pool.places() <= 91 * CHUNK);
        for number in &stay {
            assert_eq!(pool[*number as usize], *number as usize);
        }
        // What comes next fills the first ones, where there is memory and where there is none.
        for thing in 0..11 * CHUNK - 2 {
            assert_eq!(pool.vacant(), pool.insert(thing));
        }
        assert!(pool.bytes() <= all / 5 + all / 100, "{}", pool.bytes());
        assert_eq!(pool.vacant() as usize / CHUNK, 11);
        for number in 0..pool.places() {
            if pool.get(number).is_some() {
                pool.remove(index(number));
            }
        }
        assert_eq!((pool.len(), pool.chunks.len()), (0, 1));
        assert_eq!(pool.vacant(), 0);
    }

    #[test]
    fn what_comes_and_goes_at_the_edge_of_a_chunk_allocates_nothing() {
        let mut pool = Pool::default();
        (0..CHUNK).for_each(|thing| _ = pool.insert(thing));
        let last = pool.insert(0);
        let bytes = pool.bytes();
        for _ in 0..3 {
            pool.remove(last);
            assert_eq!(pool.bytes(), bytes);
            assert_eq!(pool.insert(0), last);
        }
    }
}
