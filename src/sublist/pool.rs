//! `Pool`: things by number, in a memory that grows without moving them.

use super::index;
use std::ops::{Index, IndexMut};

/// Things by number; a number is used again after its thing has gone. As a slab, but in chunks:
/// growing allocates the next one, and neither copies what is there nor holds it twice meanwhile.
#[derive(Debug)]
pub struct Pool<T> {
    chunks: Vec<Vec<Slot<T>>>,
    /// The slot that was left last, or the first that was never used.
    next: usize,
    len: usize,
}

#[derive(Debug)]
pub(super) enum Slot<T> {
    /// And the slot that was left before it, or the first that was never used.
    Vacant(usize),
    Occupied(T),
}

/// Slots of a chunk.
const CHUNK: usize = 1024;

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool {
            chunks: Vec::new(),
            next: 0,
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
        self.chunks.len() * CHUNK * size_of::<Slot<T>>()
    }

    /// How many numbers there ever were: each thing's is below.
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

    /// The number that the next thing will get.
    pub(super) fn vacant(&self) -> u32 {
        index(self.next)
    }

    /// Keeps a thing.
    pub(super) fn insert(&mut self, thing: T) -> u32 {
        let number = self.next;
        let (chunk, slot) = (number / CHUNK, number % CHUNK);
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = &mut self.chunks[chunk];
        match chunk.get_mut(slot) {
            None => {
                chunk.push(Slot::Occupied(thing));
                self.next += 1;
            }
            Some(slot) => match std::mem::replace(slot, Slot::Occupied(thing)) {
                Slot::Vacant(next) => self.next = next,
                Slot::Occupied(_) => unreachable!("the next slot is vacant"),
            },
        }
        self.len += 1;
        index(number)
    }

    /// Takes out a thing, which must be there.
    pub(super) fn remove(&mut self, number: u32) -> T {
        let number = number as usize;
        let slot = &mut self.chunks[number / CHUNK][number % CHUNK];
        match std::mem::replace(slot, Slot::Vacant(self.next)) {
            Slot::Occupied(thing) => {
                self.next = number;
                self.len -= 1;
                thing
            }
            Slot::Vacant(_) => panic!("nothing has the number {number}"),
        }
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
        assert!(pool.chunks.len() > 2);
        for (number, thing) in &twin {
            assert_eq!(pool[*number as usize], *thing);
        }
        let highest = twin.last_key_value().map_or(0, |(number, _)| *number);
        assert!((highest as usize) < pool.chunks.len() * CHUNK);
    }
}
