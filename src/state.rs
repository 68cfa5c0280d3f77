//! `State`: what all handlers share, lent to each by the reactor. No lock, no `RefCell`.

use crate::Config;
use crate::backpressure::Backpressure;
use crate::delivery::Scratch;
use crate::receiver::{AccountId, Kind, Label, Receiver, Traffic};
use crate::sublist::{ReceiverId, SubId, Sublist, Subscription};
use midge_protocol::Info;
use midge_reactor::Key;
use slab::Slab;
use std::net::SocketAddr;

/// What ended a broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// A [`Handle`](crate::Handle) asked for it.
    Requested,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// The account of everyone, `$G`, until there are others.
pub(crate) const GLOBAL: AccountId = AccountId(0);

/// A space of subjects of its own.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Who has subscribed to what in it.
    pub sublist: Sublist,
}

/// What a broker has done since it was started, and what it has now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Clients there are.
    pub clients: usize,
    /// Subscriptions there are.
    pub subscriptions: usize,
    /// Connections accepted so far, those that were turned away included.
    pub connections: u64,
    /// What clients have published.
    pub received: Traffic,
    /// What was delivered.
    pub sent: Traffic,
    /// Connections closed for being slow consumers.
    pub slow_consumers: u64,
    /// Connections closed for not answering `PING`s.
    pub stale: u64,
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct State {
    /// The settings.
    pub config: Config,
    /// `INFO` as every client gets it, but for its own id and address.
    pub info: Info,
    /// By [`AccountId`].
    pub accounts: Vec<Account>,
    /// By [`ReceiverId`].
    pub receivers: Slab<Receiver>,
    /// Who waits for whom.
    pub backpressure: Backpressure,
    /// Counters.
    pub stats: Stats,
    /// What ended the broker, once something has.
    pub stop: Stop,
    pub(crate) scratch: Scratch,
    pub(crate) random: u64,
}

impl State {
    /// The state of a broker with no clients. `random` seeds the choice of queue members.
    pub(crate) fn new(config: Config, info: Info, random: u64) -> State {
        State {
            config,
            info,
            accounts: vec![Account::default()],
            receivers: Slab::new(),
            backpressure: Backpressure::default(),
            stats: Stats::default(),
            stop: Stop::Requested,
            scratch: Scratch::default(),
            // The generator must not start from zero, where it would stay.
            random: random | 1,
        }
    }

    /// The counters, with what there is now.
    pub(crate) fn stats(&self) -> Stats {
        let subscriptions = self.accounts.iter().map(|account| account.sublist.len());
        Stats {
            clients: self.receivers.len(),
            subscriptions: subscriptions.sum(),
            ..self.stats
        }
    }

    /// A number for a new connection.
    pub(crate) fn next_cid(&mut self) -> u64 {
        self.stats.connections += 1;
        self.stats.connections
    }

    /// Makes a client a receiver. It has no subscriptions yet.
    pub(crate) fn join(&mut self, key: Key, peer: SocketAddr, cid: u64) -> ReceiverId {
        let receiver = Receiver {
            key,
            kind: Kind::Client {
                headers: false,
                echo: true,
            },
            account: GLOBAL,
            label: Label { peer, cid },
            sids: Default::default(),
            received: Traffic::default(),
            sent: Traffic::default(),
        };
        let id = self.receivers.insert(receiver);
        ReceiverId(u32::try_from(id).expect("2^32 connections do not fit in memory"))
    }

    /// Ends a receiver and all its subscriptions.
    pub(crate) fn leave(&mut self, id: ReceiverId) -> Receiver {
        let mut receiver = self.receivers.remove(id.0 as usize);
        let sublist = &mut self.accounts[receiver.account.0].sublist;
        for (_, subscription) in receiver.sids.drain() {
            sublist.remove(subscription);
        }
        receiver
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
        &mut self.accounts[account.0].sublist
    }

    /// Subscribes `id` to `subject`, which must be subscribable, under a `sid` that is free.
    pub(crate) fn subscribe(
        &mut self,
        id: ReceiverId,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) {
        let receiver = &mut self.receivers[id.0 as usize];
        let sublist = &mut self.accounts[receiver.account.0].sublist;
        let subscription = sublist.insert(subject, queue, sid, id);
        receiver.sids.insert(sid.into(), subscription);
    }

    /// Ends a subscription, which must exist.
    pub(crate) fn unsubscribe(&mut self, id: ReceiverId, subscription: SubId) -> Subscription {
        let receiver = &mut self.receivers[id.0 as usize];
        let ended = self.accounts[receiver.account.0]
            .sublist
            .remove(subscription);
        receiver.sids.remove(&ended.sid);
        ended
    }
}
