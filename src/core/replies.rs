//! `Replies`: the subjects that a client may publish responses to, since messages came to it that asked for them.
//!
//! ```text
//! oldest ── slot ── slot ── slot ── newest     a table finds the number of a slot by its subject
//!
//! slots <= REPLIES_MAX, bytes of their subjects <= BYTES_MAX
//! ```
//!
//! A slot is over when it has been answered as often as it may be, or asked for again. The oldest slots go when
//! they are over, when they have expired, and when there is no room for a new one: of a client that is sent requests
//! without end and answers none, the last ones are known.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use midge_reactor::Time;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Requests that a client may leave unanswered, and then answer all of. A turn of some publishers brings thousands.
const REPLIES_MAX: usize = 64 * 1024;

/// Bytes of their subjects: 64 for each of them.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Room for slots that is kept in any case.
const KEPT: usize = 256;

/// How many responses there may be to one message, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Bounds {
    /// `None` is any number.
    pub(crate) max: Option<u32>,
    /// `None` is for ever.
    pub(crate) expires: Option<Duration>,
}

/// The instant at which the present turn began, for all that must know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// A turn begins.
    pub(crate) fn set(&self, now: Time) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When it began.
    pub(crate) fn now(&self) -> Time {
        Time::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What one client may respond to.
#[derive(Debug)]
pub(super) struct Replies {
    pub(super) bounds: Bounds,
    clock: Clock,
    slots: VecDeque<Slot>,
    /// The number of the oldest slot.
    first: u64,
    /// Of those that are not over.
    numbers: HashTable<u64>,
    hashing: RandomState,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    /// Empty if it is over.
    subject: Box<[u8]>,
    noted: Time,
    /// Responses that there were.
    used: u32,
}

impl Replies {
    pub(super) fn new(bounds: Bounds, clock: Clock) -> Replies {
        Replies {
            bounds,
            clock,
            slots: VecDeque::new(),
            first: 0,
            numbers: HashTable::new(),
            hashing: RandomState::default(),
            bytes: 0,
        }
    }

    /// A message has come that asks for responses to `subject`.
    pub(super) fn note(&mut self, subject: &[u8]) {
        let now = self.clock.now();
        if let Some(newest) = self.slots.back_mut()
            && *newest.subject == *subject
        {
            (newest.noted, newest.used) = (now, 0);
            return;
        }
        if let Some(number) = self.find(subject) {
            self.end(number);
        }
        while self.slots.front().is_some_and(|oldest| {
            let is_over = oldest.subject.is_empty();
            let is_crowded =
                self.slots.len() >= REPLIES_MAX || self.bytes + subject.len() > BYTES_MAX;
            is_over || is_crowded || self.has_expired(oldest)
        }) {
            self.end(self.first);
            self.slots.pop_front();
            self.first += 1;
        }
        self.shrink();
        self.bytes += subject.len();
        self.slots.push_back(Slot {
            subject: subject.into(),
            noted: now,
            used: 0,
        });
        let (slots, first, hashing) = (&self.slots, self.first, &self.hashing);
        let hash = |number: &u64| hashing.hash_one(&*slots[(number - first) as usize].subject);
        let number = first + slots.len() as u64 - 1;
        self.numbers.insert_unique(hash(&number), number, hash);
    }

    /// Whether there may be a response to `subject` now.
    pub(super) fn allow(&self, subject: &[u8]) -> bool {
        let found = self.find(subject);
        found.is_some_and(|number| !self.has_expired(self.slot(number)))
    }

    /// There was one.
    pub(super) fn respond(&mut self, subject: &[u8]) {
        let Some(number) = self.find(subject) else {
            return;
        };
        let slot = &mut self.slots[(number - self.first) as usize];
        slot.used = slot.used.saturating_add(1);
        if self.bounds.max.is_some_and(|max| slot.used >= max) {
            self.end(number);
        }
    }

    fn slot(&self, number: u64) -> &Slot {
        &self.slots[(number - self.first) as usize]
    }

    fn find(&self, subject: &[u8]) -> Option<u64> {
        let hash = self.hashing.hash_one(subject);
        let is = |number: &u64| *self.slot(*number).subject == *subject;
        self.numbers.find(hash, is).copied()
    }

    fn has_expired(&self, slot: &Slot) -> bool {
        let age = self.clock.now() - slot.noted;
        self.bounds.expires.is_some_and(|expires| age > expires)
    }

    /// A slot is over.
    fn end(&mut self, number: u64) {
        let slot = &mut self.slots[(number - self.first) as usize];
        let subject = std::mem::take(&mut slot.subject);
        if subject.is_empty() {
            return;
        }
        self.bytes -= subject.len();
        let hash = self.hashing.hash_one(&*subject);
        if let Ok(entry) = self.numbers.find_entry(hash, |one| *one == number) {
            entry.remove();
        }
    }

    /// Gives back room, where requests have become few.
    fn shrink(&mut self) {
        let len = self.slots.len();
        if self.slots.capacity() > KEPT && len < self.slots.capacity() / 8 {
            self.slots.shrink_to(KEPT.max(2 * len));
            let (slots, first, hashing) = (&self.slots, self.first, &self.hashing);
            let hash = |number: &u64| hashing.hash_one(&*slots[(number - first) as usize].subject);
            self.numbers.shrink_to(KEPT.max(2 * len), hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(max: Option<u32>, seconds: Option<u64>) -> (Replies, Clock) {
        let clock = Clock::default();
        let bounds = Bounds {
            max,
            expires: seconds.map(Duration::from_secs),
        };
        (Replies::new(bounds, clock.clone()), clock)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_message_is_answered_as_often_as_it_may_be_and_anew_when_it_comes_again() {
        let (mut replies, _) = replies(Some(2), None);
        assert!(!replies.allow(b"r"));
        replies.note(b"r");
        replies.note(b"s");
        for _ in 0..2 {
            assert!(replies.allow(b"r"));
            replies.respond(b"r");
        }
        assert!(!replies.allow(b"r") && replies.allow(b"s"));
        replies.respond(b"r");
        replies.note(b"r");
        replies.respond(b"r");
        replies.note(b"r");
        replies.respond(b"r");
        assert!(replies.allow(b"r"));
        replies.respond(b"r");
        assert!(!replies.allow(b"r"));
    }

    #[test]
    fn without_a_bound_it_is_answered_for_ever() {
        let (mut replies, clock) = replies(None, None);
        replies.note(b"r");
        (0..100).for_each(|_| replies.respond(b"r"));
        clock.set(at(1_000_000));
        assert!(replies.allow(b"r"));
    }

    #[test]
    fn it_expires_after_its_time_which_begins_anew_when_it_comes_again() {
        let (mut replies, clock) = replies(Some(9), Some(10));
        replies.note(b"r");
        clock.set(at(10));
        assert!(replies.allow(b"r"));
        replies.note(b"r");
        clock.set(at(20));
        assert!(replies.allow(b"r"));
        clock.set(at(21));
        assert!(!replies.allow(b"r"));
        replies.note(b"s");
        assert_eq!(
            (replies.slots.len(), replies.bytes),
            (1, 1),
            "what has expired is dropped"
        );
    }

    #[test]
    fn memory_is_bounded_and_the_last_requests_are_known() {
        let (mut replies, clock) = replies(Some(1), Some(60));
        let subject = |number: usize| format!("_INBOX.{number}").into_bytes();
        for number in 0..2 * REPLIES_MAX {
            replies.note(&subject(number));
        }
        assert_eq!(
            (replies.slots.len(), replies.numbers.len()),
            (REPLIES_MAX, REPLIES_MAX)
        );
        assert!(!replies.allow(&subject(REPLIES_MAX - 1)) && replies.allow(&subject(REPLIES_MAX)));
        let long = |number: usize| format!("{number}.{}", "x".repeat(4000)).into_bytes();
        for number in 0..2000 {
            replies.note(&long(number));
            assert!(replies.bytes <= BYTES_MAX);
        }
        assert!(replies.allow(&long(1999)) && !replies.allow(&long(0)));
        clock.set(at(61));
        replies.note(b"r");
        assert_eq!(replies.slots.len(), 1);
        assert!(
            replies.slots.capacity() <= 2 * KEPT,
            "{}",
            replies.slots.capacity()
        );
    }

    #[test]
    fn those_that_are_answered_leave_nothing_behind() {
        let (mut replies, _) = replies(Some(1), None);
        for number in 0..10_000 {
            let subject = format!("_INBOX.{number}").into_bytes();
            replies.note(&subject);
            replies.respond(&subject);
            assert!(replies.slots.len() <= 1 && replies.numbers.is_empty());
        }
        assert_eq!(replies.bytes, 0);
    }
}
