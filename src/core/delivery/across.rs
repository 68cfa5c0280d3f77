//! `Across`: one message on its way into other accounts, when it has been delivered in its own.
//!
//! ```text
//! message ──▶ delivered in its account ──▶ crossings noted ──▶ hop ──▶ delivered there ──▶ crossings noted ──▶ ...
//!                                                              made anew, with a publisher of its own
//! ```
//!
//! On the other side it is delivered as any message is: it waits for who is far behind, and goes in pieces where it is
//! too much for one. Meanwhile the op of the first one stays unread. What the hops have delivered counts for the accounts
//! in which it was.

use super::{Published, Publisher, Quota, Tally, publish_one};
use crate::core::Core;
use crate::core::accounts::Born;
use crate::core::crossing::Token;
use crate::core::origin::Origin;
use crate::core::outbox::Outbox;
use midge_protocol::{Publish, Redirected, Run};

/// Hops whose memory is kept for the next.
const HOPS_KEPT: usize = 4;

/// Most bytes that each keeps.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The crossings of one message.
#[derive(Debug, Default)]
pub(super) struct Across {
    /// Their numbers, that of the next one last.
    numbers: Vec<u64>,
    /// The one that is under way.
    hop: Option<Box<Hop>>,
    /// What was delivered, the message's own account included.
    copies: usize,
}

/// A message on the other side.
#[derive(Debug)]
pub(super) struct Hop {
    message: Redirected,
    publisher: Publisher,
    /// The account that it has come to.
    account: Born,
    awaited: Option<Token>,
    /// Whether it was begun to be delivered.
    has_begun: bool,
}

impl Across {
    /// Takes over the crossings that were noted while a message was delivered.
    pub(super) fn note(&mut self, core: &mut Core) {
        let noted = &mut core.requests.crossings;
        // The first to be noted is the next.
        noted.reverse();
        noted.append(&mut self.numbers);
        std::mem::swap(noted, &mut self.numbers);
    }

    /// Copies of the message itself.
    pub(super) fn count(&mut self, copies: usize) {
        self.copies += copies;
    }

    /// Goes on with `message`, which comes from `from`, as far as `quota` goes.
    pub(super) fn go_on<O: Outbox>(
        &mut self,
        core: &mut Core,
        from: &Origin,
        message: &Publish<'_>,
        quota: Quota,
        tally: &mut Tally,
        out: &mut O,
    ) -> Published {
        loop {
            if let Some(hop) = &mut self.hop {
                let published = hop.go_on(core, quota, tally, out);
                let Published::Taken { copies, .. } = published else {
                    return published;
                };
                self.copies += copies;
                if let Some(hop) = self.hop.take() {
                    hop.end(core, copies);
                }
            }
            let Some(number) = self.numbers.pop() else {
                // The memory is used again for the next message.
                debug_assert!(core.requests.crossings.is_empty());
                std::mem::swap(&mut self.numbers, &mut core.requests.crossings);
                return Published::Taken {
                    messages: 1,
                    copies: self.copies,
                };
            };
            tally.charge(1);
            self.hop = Hop::begin(core, from, number, message);
        }
    }

    /// It ends before it is over.
    pub(super) fn abandon(&mut self, core: &mut Core, tally: &mut Tally) {
        if let Some(mut hop) = self.hop.take() {
            hop.abandon(core, tally);
        }
    }
}

impl Hop {
    fn begin(
        core: &mut Core,
        from: &Origin,
        number: u64,
        message: &Publish<'_>,
    ) -> Option<Box<Hop>> {
        let mut hop = core.scratch.hops.pop().unwrap_or_else(|| {
            Box::new(Hop {
                message: Redirected::default(),
                publisher: Publisher::new(*from),
                account: core.accounts.born(from.account),
                awaited: None,
                has_begun: false,
            })
        });
        let Some(arrival) = core.cross(from, number, message, &mut hop.message) else {
            core.scratch.hops.push(hop);
            return None;
        };
        hop.account = core.accounts.born(arrival.origin.account);
        hop.publisher.come_from(arrival.origin);
        hop.awaited = arrival.awaited;
        hop.has_begun = false;
        Some(hop)
    }

    fn go_on<O: Outbox>(
        &mut self,
        core: &mut Core,
        quota: Quota,
        tally: &mut Tally,
        out: &mut O,
    ) -> Published {
        if !core.accounts.is_open(self.account) {
            // It was closed meanwhile.
            self.abandon(core, tally);
            return Published::NOBODY;
        }
        let (message, mut own) = (self.message.message(), Tally::default());
        let publisher = &mut self.publisher;
        let published = match self.has_begun {
            true => publisher.go_on(core, &message, quota, &mut own, out),
            false => {
                let run = Run::from(message);
                publish_one(core, publisher, &run, &mut own, nothing, out)
            }
        };
        self.has_begun = self.publisher.has_begun();
        self.settle(core, &own, tally);
        published
    }

    /// What was delivered counts for the account in which it was, and nothing was published there.
    fn settle(&self, core: &mut Core, own: &Tally, tally: &mut Tally) {
        tally.charge(own.work());
        let (_, sent) = own.traffic();
        if core.accounts.is_open(self.account) {
            core.accounts.count_sent(self.account.id, sent);
        }
    }

    fn abandon(&mut self, core: &mut Core, tally: &mut Tally) {
        let mut own = Tally::default();
        self.publisher.abandon(core, &mut own);
        self.settle(core, &own, tally);
    }

    /// It is over, with this number of copies.
    fn end(mut self: Box<Hop>, core: &mut Core, copies: usize) {
        if let Some(token) = self.awaited.take()
            && copies == 0
        {
            core.await_none(self.account.id, token);
        }
        if core.scratch.hops.len() < HOPS_KEPT && self.message.capacity() <= KEPT_BYTES_MAX {
            core.scratch.hops.push(self);
        }
    }
}

fn nothing<O>(_: &mut O) {}
