//! `Room`: a bound on what all large fan-outs keep together.
//!
//! A fan-out keeps a list of those who are to get its message. A thousand publishers could each keep one
//! of a million subscriptions, for as long as slow receivers are waited for. So what is more than
//! [`KEPT_MAX`] is a share of a room that is bounded; who finds none is held until there is some.
//!
//! ```text
//! all shares but the oldest <= ROOM_MAX
//! ```
//!
//! The oldest share grows without asking. So its fan-out comes to its end, and then the next is the
//! oldest: no two wait for each other. Those that wait for a share get one in the order in which they
//! asked first, and no other gets one before them: publishers without a pause keep none from its turn.

use std::collections::VecDeque;
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
    /// Those that wait for a share, the first to ask first.
    waiting: VecDeque<Weak<()>>,
    is_awaited: bool,
    is_freed: bool,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            shares: Vec::new(),
            max: ROOM_MAX,
            waiting: VecDeque::new(),
            is_awaited: false,
            is_freed: false,
        }
    }
}

impl Room {
    /// All shares but the oldest are no more than there is room for.
    fn invariants(&self) {
        let younger = self.shares.iter().skip(1).filter_map(Weak::upgrade);
        let sizes = younger.map(|size| size.load(Ordering::Relaxed));
        let all: usize = sizes.sum();
        assert!(all <= self.max, "{all} is more than there is room for");
    }

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
pub(super) struct Share {
    size: Option<Arc<AtomicUsize>>,
    /// Its place among those that wait.
    ticket: Option<Arc<()>>,
}

impl Share {
    /// Whether it is more than anyone may keep without asking.
    pub(super) fn is_some(&self) -> bool {
        self.size.is_some()
    }

    fn size(&self) -> usize {
        let size = self.size.as_ref().map(|size| size.load(Ordering::Relaxed));
        size.unwrap_or(KEPT_MAX)
    }

    /// Whether its fan-out may keep as many numbers. If not, it is to be held until there is room.
    pub(super) fn grow(&mut self, wanted: usize, room: &mut Room) -> bool {
        wanted <= self.size() || self.ask(wanted, room)
    }

    #[cold]
    fn ask(&mut self, wanted: usize, room: &mut Room) -> bool {
        // Not for each number.
        let wanted = wanted + KEPT_MAX;
        room.shares.retain(|share| share.strong_count() > 0);
        let is_own = |share: &Weak<AtomicUsize>| {
            let own = self.size.as_ref().map(Arc::as_ptr);
            own.is_some_and(|own| own == share.as_ptr())
        };
        let others = room.shares.iter().filter(|share| !is_own(share));
        let others: usize = others
            .filter_map(Weak::upgrade)
            .map(|size| size.load(Ordering::Relaxed))
            .sum();
        let is_oldest = room.shares.first().is_none_or(is_own);
        let is_its_turn = self.is_some() || self.is_first(room);
        if !is_its_turn || !is_oldest && others + wanted > room.max {
            self.wait(room);
            return false;
        }
        if self.ticket.take().is_some() {
            room.waiting.pop_front();
            // There may be room for the next one too.
            room.is_freed |= !room.waiting.is_empty();
        }
        match &self.size {
            Some(size) => size.store(wanted, Ordering::Relaxed),
            None => {
                let size = Arc::new(AtomicUsize::new(wanted));
                room.shares.push(Arc::downgrade(&size));
                self.size = Some(size);
            }
        }
        if cfg!(debug_assertions) {
            room.invariants();
        }
        true
    }

    /// Whether no other has waited for a share before it.
    fn is_first(&self, room: &mut Room) -> bool {
        while let Some(first) = room.waiting.front() {
            if first.strong_count() > 0 {
                let own = self.ticket.as_ref().map(Arc::as_ptr);
                return own.is_some_and(|own| own == first.as_ptr());
            }
            room.waiting.pop_front();
        }
        true
    }

    /// Waits, if it has no share in the order of asking.
    fn wait(&mut self, room: &mut Room) {
        room.is_awaited = true;
        if !self.is_some() && self.ticket.is_none() {
            let ticket = Arc::new(());
            room.waiting.push_back(Arc::downgrade(&ticket));
            self.ticket = Some(ticket);
        }
    }

    /// Its fan-out has come to its end, or waits no longer.
    pub(super) fn give_back(&mut self, room: &mut Room) {
        let (size, ticket) = (self.size.take(), self.ticket.take());
        if (size.is_some() || ticket.is_some()) && std::mem::take(&mut room.is_awaited) {
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

    #[test]
    fn those_that_wait_get_their_shares_in_order_also_where_others_ask_without_a_pause() {
        let mut room = room(3 * KEPT_MAX);
        let mut shares: Vec<Share> = (0..4).map(|_| Share::default()).collect();
        let wanted = 2 * KEPT_MAX;
        assert!(shares[0].grow(wanted, &mut room));
        assert!(!shares[1].grow(wanted, &mut room));
        assert!(!shares[2].grow(wanted, &mut room));
        // It ends, and its publisher has more to send at once.
        shares[0].give_back(&mut room);
        assert!(room.has_been_freed());
        assert!(!shares[0].grow(wanted, &mut room));
        assert!(!shares[2].grow(wanted, &mut room), "it came later");
        assert!(shares[1].grow(wanted, &mut room));
        shares[1].give_back(&mut room);
        assert!(room.has_been_freed());
        // Whose turn it is may have gone: the next looks again then.
        assert!(!shares[0].grow(wanted, &mut room));
        shares[2].give_back(&mut room);
        assert!(room.has_been_freed());
        assert!(shares[0].grow(wanted, &mut room));
        // One that is dropped keeps its place from none.
        assert!(!shares[1].grow(wanted, &mut room));
        assert!(!shares[3].grow(wanted, &mut room));
        shares.remove(1);
        shares[0].give_back(&mut room);
        assert!(shares[2].grow(wanted, &mut room));
        assert!(room.waiting.is_empty());
    }

    #[test]
    fn who_gets_a_share_lets_the_next_one_look_for_what_is_left() {
        let mut room = room(5 * KEPT_MAX);
        let mut shares: Vec<Share> = (0..3).map(|_| Share::default()).collect();
        assert!(shares[0].grow(4 * KEPT_MAX, &mut room));
        assert!(!shares[1].grow(KEPT_MAX + 1, &mut room));
        assert!(!shares[2].grow(KEPT_MAX + 1, &mut room));
        shares[0].give_back(&mut room);
        assert!(room.has_been_freed());
        assert!(shares[1].grow(KEPT_MAX + 1, &mut room) && room.has_been_freed());
        assert!(shares[2].grow(KEPT_MAX + 1, &mut room) && !room.has_been_freed());
    }

    #[test]
    #[should_panic = "more than there is room for"]
    fn shares_for_which_there_is_no_room_are_noticed() {
        let mut room = room(3 * KEPT_MAX);
        let mut shares: Vec<Share> = (0..2).map(|_| Share::default()).collect();
        assert!(shares[0].grow(KEPT_MAX + 1, &mut room));
        // The oldest alone is not bounded, two younger ones are.
        let sizes = [2 * KEPT_MAX, 2 * KEPT_MAX].map(|size| Arc::new(AtomicUsize::new(size)));
        room.shares.extend(sizes.iter().map(Arc::downgrade));
        shares[0].grow(100 * KEPT_MAX, &mut room);
    }
}
