//! The subscription by which a requester is told that nobody took its request.
//!
//! It is one of the requester's own that matches the reply subject. It is looked for where fewer are to
//! be looked at: among all of its own, or among all that match.

use super::{Allowance, PIECE_PLACES_MAX, PIECE_SUBSCRIPTIONS_MAX, Scratch};
use crate::state::State;
use crate::sublist::{ReceiverId, Set, SubId, Sublist};
use midge_protocol::subject;

/// Of one's own subscriptions, so many are looked at before it is asked who else matches.
const FEW: usize = 8;

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
    /// Goes on, as long as `allowance` has work left.
    pub(crate) fn go_on(
        mut self: Box<Asking>,
        state: &mut State,
        own: ReceiverId,
        reply: &[u8],
        allowance: Allowance,
    ) -> Own {
        let account = state.receiver(own).account;
        let sublist = &state.accounts[account.0].sublist;
        let rest = &self.candidates[self.next..];
        let piece = &rest[..rest
            .len()
            .min(allowance.work.max(PIECE_SUBSCRIPTIONS_MAX / 4))];
        state.scratch.tally.work += piece.len();
        self.next += piece.len();
        match find(sublist, piece, own, reply) {
            Some(id) => Own::Found(id),
            None if self.next == self.candidates.len() => Own::None,
            None => Own::Among(self),
        }
    }
}

/// A subscription of `own`'s, outside of any queue group, that matches `reply`.
pub(crate) fn find_own(state: &mut State, own: ReceiverId, reply: &[u8]) -> Own {
    let State {
        accounts,
        receivers,
        scratch: Scratch { found, tally, .. },
        ..
    } = state;
    let receiver = &receivers[own.0 as usize];
    let (account, sids) = (receiver.account, &receiver.sids);
    let sublist = &mut accounts[account.0].sublist;
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
    if candidates.len() > PIECE_SUBSCRIPTIONS_MAX {
        tally.work += candidates.len() / 32;
        return Own::Among(Box::new(Asking {
            candidates,
            next: 0,
        }));
    }
    tally.work += candidates.len();
    find(sublist, &candidates, own, reply).map_or(Own::None, Own::Found)
}

/// The one of these that is it; some may have ended.
fn find(sublist: &Sublist, among: &[SubId], own: ReceiverId, reply: &[u8]) -> Option<SubId> {
    among.iter().copied().find(|id| {
        sublist.get(*id).is_some_and(|subscription| {
            subscription.receiver == own
                && !subscription.is_queued()
                && subject::matches(sublist.subject(*id), reply)
        })
    })
}
