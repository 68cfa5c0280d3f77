//! `invariants()`: what the headers of `core/` state, as code.
//!
//! It is checked in debug builds, and so in tests, in the simulator and in fuzzing. To look at everything after
//! every change would make them quadratic. So a change is followed by a look at what it has touched, and
//! everything is looked at once in as many changes as there are things to look at, or whenever a test asks.
//! Release builds check nothing.

use super::Core;
use super::accounts::Account;
use midge_reactor::Key;
use std::collections::HashSet;

/// When everything is to be looked at again.
#[derive(Debug, Default)]
pub(crate) struct Due {
    #[cfg(debug_assertions)]
    changes: usize,
}

impl Due {
    /// Something has changed; answers whether all `things` are to be looked at.
    #[cfg(debug_assertions)]
    pub(crate) fn is_due(&mut self, things: usize) -> bool {
        self.changes += 1;
        let is_due = self.changes >= things;
        if is_due {
            self.changes = 0;
        }
        is_due
    }

    /// Never.
    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub(crate) fn is_due(&mut self, _: usize) -> bool {
        false
    }
}

impl Core {
    /// Looks at everything, between two turns.
    ///
    /// # Panics
    /// If something does not hold.
    pub(crate) fn invariants(&self) {
        self.accounts.invariants();
        self.crossing_invariants();
        for account in self.accounts.iter() {
            account.sublist.invariants();
        }
        let subscriptions = self.accounts.iter().map(|account| account.sublist.len());
        assert_eq!(self.interest.subscriptions(), subscriptions.sum::<usize>());
        self.receivers_invariants();
        assert_eq!(self.client_count(), self.clients().count());
        self.interest.invariants();
        self.backpressure.invariants();
        let keys: HashSet<Key> = self.clients().map(|one| one.key).collect();
        for key in self.backpressure.names() {
            assert!(keys.contains(&key), "{key:?} has gone and is kept");
        }
    }

    /// Something has changed in a sublist or among the receivers.
    #[inline(always)]
    pub(super) fn changed(&mut self) {
        if cfg!(debug_assertions) {
            let subscriptions = self.accounts.iter().map(|account| account.sublist.len());
            let things = subscriptions.sum::<usize>() + self.receivers.len();
            if self.due.is_due(things) {
                self.receivers_invariants();
            }
        }
    }

    /// Each sid of a receiver names a subscription of that receiver, each subscription is named by a sid or is
    /// about to be removed, and [`Leaving`](super::leaving::Leaving) knows how many those are.
    fn receivers_invariants(&self) {
        let mut named = 0;
        for (place, receiver) in &self.receivers {
            let sublist = &self.accounts[receiver.account].sublist;
            receiver.sids.invariants(place, sublist);
            assert!(!receiver.is_clearing || receiver.sids.is_empty());
            named += receiver.sids.len();
            for id in receiver.guard.iter().flat_map(|guard| guard.known()) {
                let filtered = sublist.get(id).expect("what is filtered has not ended");
                assert_eq!(filtered.receiver.0 as usize, place, "{filtered:?}");
            }
        }
        let mut nameless = 0;
        for account in self.accounts.ids() {
            let Account {
                sublist,
                left,
                clients,
                ..
            } = &self.accounts[account];
            let nameless_before = nameless;
            for id in (0..sublist.places()).filter_map(|place| sublist.id_at(place)) {
                let subscription = sublist.subscription(id);
                let receiver = self.receiver(subscription.receiver);
                assert_eq!(receiver.account, account, "{subscription:?}");
                if receiver.is_clearing {
                    nameless += 1;
                } else {
                    let known = receiver.sids.get(subscription.sid.as_slice(), sublist);
                    assert_eq!(known, Some(id), "{subscription:?}");
                }
            }
            assert_eq!(*left, nameless - nameless_before);
            let here = self.clients().filter(|one| one.account == account);
            assert_eq!(*clients, here.count());
        }
        let all: usize = self.accounts.iter().map(|one| one.sublist.len()).sum();
        assert_eq!(named + nameless, all);
        self.leaving.invariants(nameless, &self.receivers);
    }
}
