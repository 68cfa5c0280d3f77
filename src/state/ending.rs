//! Connections that are about to end. Each is an open file still: where too many come, they give way.

use midge_reactor::{Io, Key};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// Connections that may be about to end beside those that `connections_max` allows, if there are files.
pub(crate) const ENDING_MAX: usize = 1024;

/// Those whose conversation is over and whose socket is not closed, by what each was told when it was added.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// Those that were sent away in front: their last words are an error, which they may not have seen
    /// yet. Behind them those that have ended their own side, and may still take what is queued for them.
    /// Among each the first that was over comes first.
    keys: BTreeMap<Place, Key>,
    added: u64,
}

/// Where one stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place(NonZeroU64);

/// What the place of one has in it that was not sent away.
const LEFT: u64 = 1 << 63;

impl Ending {
    /// Adds one; answers its place, by which it is to be removed.
    pub(crate) fn add(&mut self, key: Key, is_sent_away: bool) -> Option<Place> {
        self.added += 1;
        let order = if is_sent_away { 0 } else { LEFT };
        let place = NonZeroU64::new(order | self.added).map(Place)?;
        self.keys.insert(place, key);
        Some(place)
    }

    /// The one at this place is closed.
    pub(crate) fn remove(&mut self, place: Place) {
        self.keys.remove(&place);
    }

    /// Closes the one that has had most time, of those sent away first; answers whether there was one.
    pub(crate) fn close_one(&mut self, io: &mut Io<'_>) -> bool {
        while let Some((_, key)) = self.keys.pop_first() {
            if io.close(key) {
                return true;
            }
        }
        false
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_sent_away_go_first_and_one_is_removed_wherever_it_stands() {
        let mut ending = Ending::default();
        let key = |index| Key::new(index, 1);
        let places: Vec<_> = (0..40_000)
            .map(|index| ending.add(key(index), index % 2 == 1).expect("a place"))
            .collect();
        // The last of them first, at which a list would look through all others.
        for place in places[4..].iter().rev() {
            ending.remove(*place);
            ending.remove(*place);
        }
        let left: Vec<_> = ending.keys.values().copied().collect();
        assert_eq!(left, [key(1), key(3), key(0), key(2)]);
        assert_eq!(ending.len(), 4);
    }
}
