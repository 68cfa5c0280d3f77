//! `Room`: a bound on what all large fan-outs keep together.
//!
//! A fan-out keeps a list of those who are to get its message. A thousand publishers could each keep one
//! of a million subscriptions, for as long as slow receivers are waited for. So what is more than
//! [`KEPT_MAX`] is a share of a room that is bounded; who finds none is held until there is some.
//!
//! ```text
//! all shares <= ROOM_MAX, or there is one alone
//! ```
//!
//! The oldest share grows without asking. So its fan-out comes to its end, and then the next is the
//! oldest: no two wait for each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Numbers that a fan-out may keep without asking: 256 KiB, no more than a client's input may be.
pub(super) const KEPT_MAX: usize = 64 * 1024;

/// Numbers that all may keep together beyond that: 32 MiB where they are those of subscriptions.
const ROOM_MAX: usize = 8 * 1024 * 1024;

/// What all large fan-outs share.
#[derive(Debug)]
pub(crate) struct Room {
    /// Numbers that each may keep, the oldest first.
    shares: Vec<Weak<AtomicUsize>>,
    pub(super) max: usize,
    is_awaited: bool,
    is_freed: bool,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            shares: Vec::new(),
            max: ROOM_MAX,
            is_awaited: false,
            is_freed: false,
        }
    }
}

impl Room {
    /// Whether some wait for it.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Whether those who wait for it are to look again, since something has become free.
    #[inline]
    pub(crate) fn has_been_freed(&mut self) -> bool {
        std::mem::take(&mut self.is_freed)
    }
}

/// What one fan-out may keep; the room is free again when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Share(Option<Arc<AtomicUsize>>);

impl Share {
    /// Whether it is more than anyone may keep without asking.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    fn size(&self) -> usize {
        let size = self.0.as_ref().map(|size| size.load(Ordering::Relaxed));
        size.unwrap_or(KEPT_MAX)
    }

    /// Whether its fan-out may keep so many numbers. If not, it is to be held until there is room.
    pub(super) fn grow(&mut self, wanted: usize, room: &mut Room) -> bool {
        wanted <= self.size() || self.ask(wanted, room)
    }

    #[cold]
    fn ask(&mut self, wanted: usize, room: &mut Room) -> bool {
        // Not for each number.
        let wanted = wanted + KEPT_MAX;
        room.shares.retain(|share| share.strong_count() > 0);
        let is_own = |share: &Weak<AtomicUsize>| {
            let own = self.0.as_ref().map(Arc::as_ptr);
            own.is_some_and(|own| own == share.as_ptr())
        };
        let others = room.shares.iter().filter(|share| !is_own(share));
        let others: usize = others
            .filter_map(Weak::upgrade)
            .map(|size| size.load(Ordering::Relaxed))
            .sum();
        let is_oldest = room.shares.first().is_none_or(is_own);
        if !is_oldest && others + wanted > room.max {
            room.is_awaited = true;
            return false;
        }
        match &self.0 {
            Some(size) => size.store(wanted, Ordering::Relaxed),
            None => {
                let size = Arc::new(AtomicUsize::new(wanted));
                room.shares.push(Arc::downgrade(&size));
                self.0 = Some(size);
            }
        }
        true
    }

    /// Its fan-out has come to its end.
    pub(super) fn give_back(&mut self, room: &mut Room) {
        if self.0.take().is_some() && std::mem::take(&mut room.is_awaited) {
            room.is_freed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(max: usize) -> Room {
        Room {
            max,
            ..Room::default()
        }
    }

    #[test]
    fn all_shares_together_are_bounded_and_the_oldest_comes_to_its_end() {
        let mut room = room(6 * KEPT_MAX);
        let mut shares: Vec<Share> = (0..4).map(|_| Share::default()).collect();
        assert!(shares[0].grow(KEPT_MAX, &mut room) && !shares[0].is_some());
        assert!(shares[0].grow(KEPT_MAX + 1, &mut room));
        assert!(shares[1].grow(2 * KEPT_MAX, &mut room));
        assert!(!room.is_awaited());
        assert!(!shares[2].grow(2 * KEPT_MAX, &mut room));
        assert!(!shares[1].grow(4 * KEPT_MAX, &mut room));
        assert!(room.is_awaited() && !room.has_been_freed());
        assert!(shares[0].grow(100 * KEPT_MAX, &mut room));
        shares[0].give_back(&mut room);
        assert!(room.has_been_freed() && !room.has_been_freed());
        // The next is the oldest.
        assert!(shares[1].grow(100 * KEPT_MAX, &mut room));
        assert!(!shares[2].grow(2 * KEPT_MAX, &mut room));
        // One that is dropped is forgotten.
        shares.remove(1);
        assert!(shares[1].grow(2 * KEPT_MAX, &mut room));
        assert_eq!(room.shares.len(), 1);
    }
}
