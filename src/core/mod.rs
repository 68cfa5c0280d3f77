//! What a message meets on its way: the accounts with their subscriptions, the receivers, delivery, and what
//! makes a publisher wait.
//!
//! `core/` knows no settings, no handlers and no monitoring. What it needs of the settings is put into
//! [`Core`] when they change; what monitoring tells of it is counted here and read there.

pub(crate) mod accounts;
pub(crate) mod backpressure;
pub(crate) mod close;
pub(crate) mod crossing;
pub(crate) mod delivery;
pub(crate) mod filter;
pub(crate) mod guard;
pub(crate) mod interest;
pub(crate) mod invariants;
pub(crate) mod leaving;
pub(crate) mod origin;
pub(crate) mod outbox;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod revision;
mod small_bytes;
pub mod sublist;
pub(crate) mod trace;

use crate::door::{Door, Peer};
use accounts::{AccountId, Accounts};
use backpressure::Backpressure;
use crossing::Imports;
use delivery::{Scratch, Tally};
use interest::Ledger;
use invariants::Due;
use leaving::Leaving;
use midge_reactor::Key;
use receiver::{Label, Receiver, Traffic};
use replies::Clock;
use requests::Requests;
use slab::Slab;
use sublist::{ReceiverId, Sublist};

/// What a message meets.
#[derive(Debug)]
pub(crate) struct Core {
    pub accounts: Accounts,
    /// By [`ReceiverId`].
    pub receivers: Slab<Receiver>,
    /// What peers are to be told of what has been subscribed to.
    pub interest: Ledger,
    /// How many receivers are clients and have not gone.
    client_count: usize,
    /// What is left of those that have gone.
    pub leaving: Leaving,
    /// Who waits for whom.
    pub backpressure: Backpressure,
    /// Most bytes that all queues may hold together.
    pub total_bytes_max: usize,
    pub scratch: Scratch,
    /// What the broker itself was asked.
    pub requests: Requests,
    /// What crosses from one account to another.
    pub imports: Imports,
    /// When the present turn began.
    pub clock: Clock,
    /// When the receivers are to be looked at again.
    due: Due,
}

impl Core {
    /// The core of a broker with no clients.
    pub(crate) fn new(total_bytes_max: usize) -> Core {
        Core {
            accounts: Accounts::default(),
            receivers: Slab::new(),
            interest: Ledger::default(),
            client_count: 0,
            leaving: Leaving::default(),
            backpressure: Backpressure::default(),
            total_bytes_max,
            scratch: Scratch::default(),
            requests: Requests::default(),
            imports: Imports::default(),
            clock: Clock::default(),
            due: Due::default(),
        }
    }

    /// Takes a number for choices among the members of queue groups and for hashes. A
    /// simulated broker gets the same one in each run.
    pub(crate) fn seed(&mut self, random: u64) {
        // A client that is here already may know of sets, by the version of a sublist.
        if self.receivers.is_empty() {
            self.accounts.seed(random);
        }
    }

    /// Subscriptions there are.
    pub(crate) fn subscription_count(&self) -> usize {
        self.interest.subscriptions() - self.leaving.subscriptions
    }

    /// How many things are kept for the receivers there are and their subscriptions, apart from those
    /// themselves.
    pub(crate) fn retained(&self) -> usize {
        let sublists = self
            .accounts
            .iter()
            .map(|account| account.sublist.retained());
        sublists.sum::<usize>() + self.backpressure.retained()
    }

    /// Makes a client a receiver, in an account. It has no subscriptions yet.
    pub(crate) fn join(
        &mut self,
        account: AccountId,
        key: Key,
        peer: Peer,
        cid: u64,
    ) -> ReceiverId {
        let door = Door::Main;
        let label = Label { peer, cid, door };
        let receiver = Receiver::new(key, account, label);
        self.accounts[account].clients += 1;
        self.client_count += 1;
        self.add_receiver(receiver)
    }

    fn add_receiver(&mut self, receiver: Receiver) -> ReceiverId {
        let id = self.receivers.insert(receiver);
        ReceiverId(u32::try_from(id).expect("2^32 connections do not fit in memory"))
    }

    /// A receiver, which must exist.
    pub(crate) fn receiver(&self, id: ReceiverId) -> &Receiver {
        &self.receivers[id.0 as usize]
    }

    /// A receiver, which must exist.
    pub(crate) fn receiver_mut(&mut self, id: ReceiverId) -> &mut Receiver {
        &mut self.receivers[id.0 as usize]
    }

    /// The sublist of an account.
    pub(crate) fn sublist(&mut self, account: AccountId) -> &mut Sublist {
        &mut self.accounts[account].sublist
    }

    /// The sublist of the global account.
    #[cfg(test)]
    pub(crate) fn global_sublist(&self) -> &Sublist {
        &self.accounts[self.accounts.global()].sublist
    }

    /// The sublist of the global account.
    #[cfg(test)]
    pub(crate) fn global_sublist_mut(&mut self) -> &mut Sublist {
        let global = self.accounts.global();
        &mut self.accounts[global].sublist
    }

    /// Adds what the messages of a turn of `id`'s have come to to the counters; answers what was published.
    pub(crate) fn settle(&mut self, id: ReceiverId, tally: &Tally) -> Traffic {
        let (received, sent) = tally.traffic();
        self.count(id, received, sent);
        received
    }

    /// Counts what `id` has published, and what of it was delivered.
    fn count(&mut self, id: ReceiverId, received: Traffic, sent: Traffic) {
        let receiver = &mut self.receivers[id.0 as usize];
        receiver.received.add(received);
        self.accounts[receiver.account].traffic.add(received, sent);
        self.accounts.traffic.add(received, sent);
    }
}
