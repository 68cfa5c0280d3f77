//! `Leaving`: subscriptions of clients that have left, removed in pieces.
//!
//! To remove half a million subjects of 24 tokens takes seconds. So what a client leaves behind is
//! removed a piece at a time, one in each turn, and the others have theirs. Meanwhile its receiver stays
//! in the table, under [`Key::NONE`], which takes nothing: to all others it has gone.
//!
//! A client that leaves little behind is gone at once, as long as not too many do so in one turn.

use crate::core::Core;
use crate::core::delivery::ending;
use crate::core::interest;
use crate::core::origin::Role;
use crate::core::receiver::{Receiver, Traffic};
use crate::core::sublist::{ReceiverId, SidsRest};
use midge_reactor::Key;
use slab::Slab;
use std::collections::{BTreeSet, VecDeque};

/// Most work done in a piece, in places of the sublist looked at: about a millisecond.
const PIECE_WORK_MAX: usize = 3000;

/// Places for receivers that are kept in any case.
const RECEIVERS_KEPT: usize = 1024;

/// What is left of clients that have left.
#[derive(Debug)]
pub(crate) struct Leaving {
    queue: VecDeque<Rest>,
    /// Subscriptions in it.
    pub(super) subscriptions: usize,
    /// Work that may be done at once until the next piece.
    allowance: usize,
    is_scheduled: bool,
    /// Work that is owed for what was subscribed meanwhile; below zero if more was done than that.
    owed: isize,
    /// Receivers that were taken out of the table since it was last made shorter.
    removed: usize,
}

/// What is left of one.
#[derive(Debug)]
struct Rest {
    id: ReceiverId,
    sids: SidsRest,
}

impl Default for Leaving {
    fn default() -> Leaving {
        Leaving {
            queue: VecDeque::new(),
            subscriptions: 0,
            allowance: PIECE_WORK_MAX,
            is_scheduled: false,
            owed: 0,
            removed: 0,
        }
    }
}

impl Leaving {
    /// A receiver in the queue is being cleared, the reverse is true, and it stands there once; all of them have
    /// `subscriptions` left.
    pub(super) fn invariants(&self, subscriptions: usize, receivers: &Slab<Receiver>) {
        let left: usize = self.queue.iter().map(|rest| rest.sids.len()).sum();
        assert_eq!((left, self.subscriptions), (subscriptions, subscriptions));
        let queued = self.queue.iter().map(|rest| rest.id.0 as usize);
        let queued: BTreeSet<usize> = queued.collect();
        let clearing = receivers.iter().filter(|(_, one)| one.is_clearing);
        let clearing: BTreeSet<usize> = clearing.map(|(place, _)| place).collect();
        assert_eq!(queued, clearing);
        assert_eq!(queued.len(), self.queue.len(), "one is queued twice");
    }

    /// Whether [pieces](Core::clear_a_piece) are to be done from now on, one in each turn.
    pub(crate) fn is_to_be_scheduled(&mut self) -> bool {
        let is_waiting = !self.queue.is_empty() || self.allowance == 0;
        is_waiting && !std::mem::replace(&mut self.is_scheduled, true)
    }
}

impl Core {
    /// Ends a receiver and all its subscriptions; answers what it has published, and what was delivered
    /// to it.
    pub(crate) fn leave(&mut self, id: ReceiverId) -> (Traffic, Traffic) {
        self.unsubscribe_all(id);
        let receiver = &mut self.receivers[id.0 as usize];
        let traffic = (receiver.received, receiver.sent);
        receiver.key = Key::NONE;
        let role = receiver.kind().role();
        receiver.takes_info = false;
        let is_clearing = receiver.is_clearing;
        let clients = usize::from(role == Role::Client);
        let account = receiver.account;
        self.accounts[account].clients -= clients;
        self.client_count -= clients;
        if !is_clearing {
            self.remove_receiver(id);
        }
        self.accounts.close_if_over(account);
        self.changed();
        traffic
    }

    /// Ends all subscriptions of a receiver, which takes nothing any more.
    pub(crate) fn unsubscribe_all(&mut self, id: ReceiverId) {
        let receiver = &mut self.receivers[id.0 as usize];
        let sids = std::mem::take(&mut receiver.sids);
        if sids.is_empty() {
            return;
        }
        receiver.is_clearing = true;
        self.accounts[receiver.account].left += sids.len();
        self.leaving.subscriptions += sids.len();
        let sids = sids.into_rest();
        self.leaving.queue.push_back(Rest { id, sids });
        let work = self.clear(self.leaving.allowance);
        self.leaving.allowance = self.leaving.allowance.saturating_sub(work);
    }

    /// Something was subscribed to, with so much work: removes twice as much of what is left, if anything
    /// is. Or clients that subscribe, leave and come again could leave more behind than is removed. Answers how
    /// much work that was.
    pub(crate) fn keep_up(&mut self, work: usize) -> usize {
        if self.leaving.queue.is_empty() {
            self.leaving.owed = 0;
            return 0;
        }
        self.leaving.owed += 2 * work as isize;
        let done = self.clear(usize::try_from(self.leaving.owed).unwrap_or(0));
        self.leaving.owed -= done as isize;
        done
    }

    /// Does a piece of what is left; answers whether there is more.
    pub(crate) fn clear_a_piece(&mut self) -> bool {
        self.clear(PIECE_WORK_MAX);
        self.changed();
        self.leaving.is_scheduled = !self.leaving.queue.is_empty();
        if !self.leaving.is_scheduled {
            self.leaving.allowance = PIECE_WORK_MAX;
        }
        self.leaving.is_scheduled
    }

    /// Removes what is left until so much work is done, or a little more; answers how much was.
    fn clear(&mut self, work_max: usize) -> usize {
        let mut work = 0;
        while let Some(Rest { id, sids }) = self.leaving.queue.front_mut() {
            let id = *id;
            let in_account = self.receivers[id.0 as usize].account;
            let account = &mut self.accounts[in_account];
            let (sublist, left) = (&mut account.sublist, &mut account.left);
            let (receivers, ledger) = (&mut self.receivers, &mut self.interest);
            loop {
                if work >= work_max {
                    return work;
                }
                let Some(subscription) = sids.next() else {
                    break;
                };
                work += ending(sublist, subscription);
                interest::remove(subscription, sublist, receivers, ledger);
                *left -= 1;
                self.leaving.subscriptions -= 1;
            }
            self.leaving.queue.pop_front();
            let receiver = self.receiver_mut(id);
            receiver.is_clearing = false;
            if receiver.key == Key::NONE {
                self.remove_receiver(id);
            }
            self.accounts.close_if_over(in_account);
        }
        self.leaving.queue.shrink_to(64);
        work
    }

    /// Takes a receiver that has gone out of the table.
    pub(super) fn remove_receiver(&mut self, id: ReceiverId) {
        self.receivers.remove(id.0 as usize);
        self.forget_about(id);
        self.leaving.removed += 1;
        let (len, capacity) = (self.receivers.len(), self.receivers.capacity());
        if len < capacity / 4 && self.leaving.removed > capacity / 2 + RECEIVERS_KEPT {
            // As far as the places at its end are free.
            self.receivers.shrink_to_fit();
            self.leaving.removed = 0;
        }
    }

    /// How many clients there are.
    pub(crate) fn client_count(&self) -> usize {
        self.client_count
    }

    /// The clients there are.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Receiver> {
        let receivers = self.receivers.iter().map(|(_, receiver)| receiver);
        receivers.filter(|one| is_client(one))
    }

    /// The client at a place in the table, if there is one. Who walks over the [places](Core::places) in pieces misses none
    /// that was there when it began.
    pub(crate) fn client_at(&self, place: usize) -> Option<&Receiver> {
        self.receivers.get(place).filter(|one| is_client(one))
    }

    /// How many places the table has.
    pub(crate) fn places(&self) -> usize {
        self.receivers.capacity()
    }
}

fn is_client(receiver: &Receiver) -> bool {
    receiver.key != Key::NONE && receiver.kind().role() == Role::Client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(core: &Core) -> usize {
        core.accounts[core.accounts.global()].left
    }

    fn client(core: &mut Core, subscriptions: usize) -> ReceiverId {
        let cid = core.client_count() as u64;
        let account = core.accounts.global();
        let key = Key::new(core.receivers.vacant_key(), 1);
        let id = core.join(account, key, ([127, 0, 0, 1], 1).into(), cid);
        for number in 0..subscriptions {
            let subject = format!("{cid}.*.{number}.a.b.c");
            // Some names are numbers, some are not.
            let sid = match number % 3 {
                0 => format!("x{number}"),
                _ => number.to_string(),
            };
            core.subscribe(id, subject.as_bytes(), None, sid.as_bytes());
        }
        id
    }

    fn told(core: &Core) -> (usize, usize) {
        (core.client_count(), core.subscription_count())
    }

    #[test]
    fn who_leaves_very_many_subscriptions_is_gone_at_once_and_they_go_in_pieces() {
        let mut core = Core::new(usize::MAX);
        let [big, other, retired] = [20_000, 100, 5000].map(|count| client(&mut core, count));
        core.leave(big);
        assert_eq!(told(&core), (2, 5100));
        assert!(core.leaving.is_to_be_scheduled());
        assert!(!core.leaving.is_to_be_scheduled(), "it is already");
        // Behind that, one that stays connected, and leaves before it is cleared.
        core.unsubscribe_all(retired);
        assert_eq!(told(&core), (2, 100));
        core.leave(retired);
        core.leave(other);
        assert_eq!(told(&core), (0, 0));
        assert_eq!(core.clients().count(), 0);
        let mut before = left(&core);
        let mut pieces = 1;
        while core.clear_a_piece() {
            let now = left(&core);
            assert!(before - now <= PIECE_WORK_MAX / 4);
            (before, pieces) = (now, pieces + 1);
        }
        assert!(pieces > 20, "{pieces}");
        assert_eq!(core.retained(), 0);
        assert!(core.receivers.is_empty());
        // The next ones with little are gone at once.
        let id = client(&mut core, 50);
        core.leave(id);
        assert!(core.receivers.is_empty());
        assert!(!core.leaving.is_to_be_scheduled());
    }

    #[test]
    fn who_subscribes_leaves_and_comes_again_leaves_no_more_behind_than_is_removed() {
        let mut core = Core::new(usize::MAX);
        let mut most = 0;
        for _ in 0..20 {
            let id = client(&mut core, 0);
            for number in 0..5000 {
                let subject = format!("a.b.{number}");
                core.subscribe(id, subject.as_bytes(), None, subject.as_bytes());
                core.keep_up(crate::core::delivery::subscribing(subject.as_bytes()));
            }
            core.leave(id);
            most = most.max(left(&core));
        }
        // Without a single piece.
        assert!(most <= 5000, "{most}");
        while core.clear_a_piece() {}
        assert_eq!(core.keep_up(100), 0);
        assert_eq!(core.retained(), 0);
    }

    #[test]
    fn a_name_is_used_again_only_when_all_that_was_subscribed_under_it_has_gone() {
        let mut core = Core::new(usize::MAX);
        let big = client(&mut core, 2000);
        core.leave(big);
        assert_ne!(client(&mut core, 0), big);
        while core.clear_a_piece() {}
        assert_eq!(client(&mut core, 0), big);
    }

    #[test]
    fn very_many_clients_that_leave_at_once_do_not_all_go_in_one_piece() {
        let mut core = Core::new(usize::MAX);
        let ids: Vec<ReceiverId> = (0..1000).map(|_| client(&mut core, 10)).collect();
        for id in ids {
            core.leave(id);
        }
        assert_eq!(told(&core), (0, 0));
        assert!(core.receivers.len() > 900);
        while core.clear_a_piece() {}
        assert!(core.receivers.is_empty());
        assert_eq!(core.retained(), 0);
    }
}
