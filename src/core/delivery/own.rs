//! The subscription by which a requester is told that no client took its request.
//!
//! It is one of the requester's own that matches the reply subject. It is looked for where fewer are to
//! be looked at: among all of its own, or among all that match.

use super::{PIECE_PLACES_MAX, PIECE_SUBSCRIPTIONS_MAX, Quota, Scratch, Tally};
use crate::core::Core;
use crate::core::origin::Origin;
use crate::core::sublist::{ReceiverId, Set, SubId, Sublist, Subscription};
use midge_protocol::subject;

/// Number of its own subscriptions that are looked at before it is asked which others match.
const FEW: usize = 8;

/// Bytes of subjects that are compared at the cost of one place looked at.
const COMPARED: usize = 64;

/// What came of looking for it.
#[derive(Debug)]
pub(crate) enum Own {
    Found(SubId),
    None,
    /// It is one of these, or none, and they are too many for one piece.
    Among(Box<Asking>),
}

/// A look for it in pieces.
#[derive(Debug)]
pub(crate) struct Asking {
    candidates: Vec<SubId>,
    next: usize,
}

impl Asking {
    /// Goes on, as long as `quota` has work left.
    pub(crate) fn go_on(
        mut self: Box<Asking>,
        core: &mut Core,
        own: &Origin,
        reply: &[u8],
        quota: Quota,
        tally: &mut Tally,
    ) -> Own {
        let sublist = &core.accounts[own.account].sublist;
        let work_max = quota.work.max(PIECE_SUBSCRIPTIONS_MAX / 4);
        let (found, work) = self.look(sublist, own.receiver, reply, work_max);
        tally.work += work;
        match found {
            Some(id) => Own::Found(id),
            None if self.is_over() => Own::None,
            None => Own::Among(self),
        }
    }

    fn is_over(&self) -> bool {
        self.next == self.candidates.len()
    }

    /// Looks at the next ones until so much work is done, or it is found; answers how much was. Some of
    /// them may have ended.
    fn look(
        &mut self,
        sublist: &Sublist,
        own: ReceiverId,
        reply: &[u8],
        work_max: usize,
    ) -> (Option<SubId>, usize) {
        let mut work = 0;
        while work < work_max
            && let Some(id) = self.candidates.get(self.next).copied()
        {
            self.next += 1;
            work += 1;
            let subscription = sublist.get(id).filter(|one| one.receiver == own);
            if subscription.is_none_or(Subscription::is_queued) {
                continue;
            }
            let subject = sublist.subject(id);
            work += (subject.len() + reply.len()) / COMPARED;
            if subject::matches(subject, reply) {
                return (Some(id), work);
            }
        }
        (None, work)
    }
}

/// A subscription of `own`'s, outside of any queue group, that matches `reply`.
pub(crate) fn find_own(core: &mut Core, own: &Origin, reply: &[u8], tally: &mut Tally) -> Own {
    let Core {
        accounts,
        receivers,
        scratch: Scratch { found, .. },
        ..
    } = core;
    let sids = &receivers[own.receiver.0 as usize].sids;
    let sublist = &mut accounts[own.account].sublist;
    let (mut matching, mut is_known) = (usize::MAX, false);
    if sids.len() > FEW {
        found.clear();
        match sublist.matches_within(reply, PIECE_PLACES_MAX, found) {
            Ok(places) => {
                tally.work += places;
                matching = found
                    .iter()
                    .map(|set| sublist.set(*set).0.plain().len())
                    .sum();
                is_known = true;
            }
            Err(places) => tally.work += places,
        }
    }
    let candidates: Vec<SubId> = if is_known && matching <= sids.len() {
        let plain = found.iter().filter_map(|set| sublist.set_of(*set));
        plain.flat_map(Set::plain).copied().collect()
    } else {
        sids.first(usize::MAX)
    };
    tally.work += candidates.len() / 32;
    let mut asking = Asking {
        candidates,
        next: 0,
    };
    let (found, work) = asking.look(sublist, own.receiver, reply, PIECE_SUBSCRIPTIONS_MAX);
    tally.work += work;
    match found {
        Some(id) => Own::Found(id),
        None if asking.is_over() => Own::None,
        None => Own::Among(Box::new(asking)),
    }
}
