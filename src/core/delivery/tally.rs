//! `Tally`: what the messages of a publisher's turn come to.
//!
//! Counted here, next to each other, and added to the counters of the publisher and of the broker when the
//! turn is over. There is one for each turn, and nothing is published, subscribed to or ended without one.

use crate::core::receiver::Traffic;

/// What a publisher's turn has come to so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Places in the sublist and subscriptions that were looked at: what messages have cost,
    /// with or without receivers.
    pub(super) work: usize,
    /// How much of it there was when the clock was last looked at.
    looked: usize,
    /// What was published.
    pub(super) received: Traffic,
    /// What was delivered.
    pub(super) sent: Traffic,
    /// What was published and delivered when it was last measured.
    measured: (Traffic, u64),
}

impl Tally {
    /// Counts work that is not a message's.
    pub(crate) fn charge(&mut self, work: usize) {
        self.work += work;
    }

    /// Counts messages of `bytes` each, their copies, and the work that they were.
    #[inline(always)]
    pub(super) fn count(&mut self, messages: usize, copies: usize, work: usize, bytes: usize) {
        self.work += work;
        self.received.add(Traffic::of(messages, bytes));
        self.sent.add(Traffic::of(copies, bytes));
    }

    /// Counts one message of `bytes`, with a copy if it was taken.
    #[inline(always)]
    pub(super) fn count_one(&mut self, taken: bool, bytes: usize) {
        self.work += 1;
        self.received.add(Traffic::of(1, bytes));
        if taken {
            self.sent.add(Traffic::of(1, bytes));
        }
    }

    /// The work done in the turn.
    pub(crate) fn work(&self) -> usize {
        self.work
    }

    /// The work since the clock was last looked at.
    #[inline]
    pub(crate) fn work_since_look(&self) -> usize {
        self.work - self.looked
    }

    /// The clock is being looked at.
    pub(crate) fn look(&mut self) {
        self.looked = self.work;
    }

    /// What was published since this was last asked, and how many copies of it were delivered.
    pub(crate) fn measure(&mut self) -> (Traffic, u64) {
        let now = (self.received, self.sent.messages);
        let (received, copies) = std::mem::replace(&mut self.measured, now);
        (now.0.since(received), now.1 - copies)
    }

    /// Whether nothing was published.
    pub(crate) fn is_empty(&self) -> bool {
        self.received.messages == 0
    }

    /// Whether nothing was published since it was last measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.measured.0 == self.received
    }

    /// What was published and what was delivered.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        (self.received, self.sent)
    }

    /// One of messages of `bytes` each, and of their copies.
    #[cfg(test)]
    pub(crate) fn of_test(messages: u64, copies: u64, bytes: u64) -> Tally {
        let mut tally = Tally::default();
        tally.count(messages as usize, copies as usize, 0, bytes as usize);
        tally
    }
}
