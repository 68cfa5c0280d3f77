//! `Sids`: the subscriptions of one receiver, by its own names for them.

use super::index::{Index, Numbers};
use super::{SubId, Sublist};

/// The subscriptions of one receiver, by its own names for them. The names stand in the sublist,
/// and only there; so it is asked along, always the same one.
///
/// Client libraries count from 1. A name that is such a number, and not far beyond what counting
/// would have come to, is a place in a vector; the others stand in a hash table.
#[derive(Debug, Default)]
pub struct Sids {
    /// Subscriptions by number, or `NONE`.
    counted: Vec<u32>,
    /// How many of these there are.
    count: usize,
    others: Index,
}

const NONE: u32 = u32::MAX;

impl Sids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count + self.others.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are reserved.
    pub fn bytes(&self) -> usize {
        self.counted.capacity() * size_of::<u32>() + self.others.bytes()
    }

    /// The subscription with that name.
    pub fn get(&self, sid: &[u8], sublist: &Sublist) -> Option<SubId> {
        let counted = number(sid).and_then(|number| self.counted.get(number));
        if let Some(id) = counted.filter(|id| **id != NONE) {
            return Some(SubId(*id));
        }
        if self.others.len() == 0 {
            return None;
        }
        let named = |id| sublist.subscription(SubId(id)).sid.as_slice() == sid;
        self.others.get(sublist.hashing.of(sid), named).map(SubId)
    }

    /// Adds a subscription, whose name must be free.
    pub fn insert(&mut self, id: SubId, sublist: &Sublist) {
        let sid = sublist.subscription(id).sid.as_slice();
        match number(sid).filter(|number| *number < self.counted_max()) {
            Some(number) => {
                if number >= self.counted.len() {
                    self.counted.resize(number + 1, NONE);
                }
                self.counted[number] = id.0;
                self.count += 1;
            }
            None => self.others.insert(sublist.hashing.of(sid), id.0),
        }
    }

    /// Removes a subscription, which must be there; the sublist may have forgotten it already.
    pub fn remove(&mut self, id: SubId, sid: &[u8], sublist: &Sublist) {
        let place = number(sid).and_then(|number| self.counted.get_mut(number));
        let Some(place) = place.filter(|place| **place == id.0) else {
            return self.others.remove(sublist.hashing.of(sid), id.0);
        };
        *place = NONE;
        self.count -= 1;
        // Not before it pays: a place at the end that comes and goes must not move all of them.
        if self.counted.len() > 2 * self.counted_max() {
            while self.counted.last() == Some(&NONE) {
                self.counted.pop();
            }
            self.counted.shrink_to(self.counted.len() * 2);
        }
    }

    /// All of them, one by one. The same ones come in the same order in each run with one seed.
    pub fn into_rest(self) -> SidsRest {
        SidsRest {
            len: self.len(),
            counted: self.counted,
            others: self.others.into_numbers(),
        }
    }

    /// `max` of them, or all if there are fewer.
    pub fn first(&self, max: usize) -> Vec<SubId> {
        self.numbers().take(max).map(SubId).collect()
    }

    /// Each name leads to a subscription of the receiver with that number, which bears it.
    pub(crate) fn invariants(&self, receiver: usize, sublist: &Sublist) {
        let counted = self.counted.iter().filter(|id| **id != NONE);
        assert_eq!(self.count, counted.count());
        self.others.invariants();
        for id in self.numbers().map(SubId) {
            let subscription = sublist.get(id).expect("what has a name has not ended");
            assert_eq!(subscription.receiver.0 as usize, receiver);
            let sid = subscription.sid.as_slice();
            assert_eq!(self.get(sid, sublist), Some(id), "{subscription:?}");
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        let counted = self.counted.iter().copied().filter(|id| *id != NONE);
        counted.chain(self.others.numbers())
    }

    /// Numbers below this get a place: at least half of the places were in use when the last was
    /// made, or there are only a few.
    fn counted_max(&self) -> usize {
        2 * self.count + 64
    }
}

/// What is left of the subscriptions of a receiver that has left.
#[derive(Debug)]
pub struct SidsRest {
    len: usize,
    counted: Vec<u32>,
    others: Numbers,
}

impl Iterator for SidsRest {
    type Item = SubId;

    fn next(&mut self) -> Option<SubId> {
        self.len = self.len.saturating_sub(1);
        while let Some(id) = self.counted.pop() {
            if id != NONE {
                return Some(SubId(id));
            }
        }
        self.others.next().map(SubId)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl ExactSizeIterator for SidsRest {}

/// The number that `sid` is the usual way to write.
fn number(sid: &[u8]) -> Option<usize> {
    const DIGITS_MAX: usize = 8;
    if sid.is_empty() || sid.len() > DIGITS_MAX || sid[0] == b'0' {
        return None;
    }
    sid.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + usize::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::ReceiverId;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_the_usual_way_to_write_a_number_is_one() {
        for (sid, expected) in [
            ("1", Some(1)),
            ("10", Some(10)),
            ("99999999", Some(99_999_999)),
            ("100000000", None),
            ("", None),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("1a", None),
            ("a", None),
        ] {
            assert_eq!(number(sid.as_bytes()), expected, "{sid}");
        }
    }

    #[test]
    fn sids_are_told_apart_whatever_they_look_like_and_however_they_come_and_go() {
        let mut sublist = Sublist::seeded(1);
        let mut sids = Sids::default();
        let mut twin: BTreeMap<String, SubId> = BTreeMap::new();
        for round in 0..20_000_u64 {
            let drawn = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let sid = match drawn % 4 {
                0 => format!("{}", drawn / 4 % 100),
                1 => format!("0{}", drawn / 4 % 100),
                2 => format!("x{}", drawn / 4 % 100),
                // As requests do: each time another, and ever greater.
                _ => format!("{}", round / 10),
            };
            assert_eq!(sids.get(sid.as_bytes(), &sublist), twin.get(&sid).copied());
            if let Some(id) = twin.remove(&sid) {
                sublist.remove(id);
                sids.remove(id, sid.as_bytes(), &sublist);
            } else {
                let id = sublist.insert(b"a", None, sid.as_bytes(), ReceiverId(0));
                sids.insert(id, &sublist);
                twin.insert(sid.clone(), id);
            }
            assert_eq!(sids.len(), twin.len());
            let expected = twin.get(&sid).copied();
            assert_eq!(sids.get(sid.as_bytes(), &sublist), expected, "sid {sid}");
        }
        assert!(
            !sids.counted.is_empty() && sids.others.len() > 0,
            "one is unused"
        );
        let mut expected: Vec<SubId> = twin.into_values().collect();
        let mut rest: Vec<SubId> = sids.into_rest().collect();
        for ids in [&mut expected, &mut rest] {
            ids.sort_unstable_by_key(|id| id.0);
        }
        assert_eq!(rest, expected);
    }

    #[test]
    fn ever_greater_numbers_of_few_subscriptions_take_little_memory() {
        let mut sublist = Sublist::seeded(1);
        let mut sids = Sids::default();
        for number in 1..100_000 {
            let sid = number.to_string();
            let id = sublist.insert(b"a", None, sid.as_bytes(), ReceiverId(0));
            sids.insert(id, &sublist);
            sublist.remove(id);
            sids.remove(id, sid.as_bytes(), &sublist);
        }
        assert!(sids.is_empty());
        assert!(sids.counted.capacity() <= 128);
    }
}
