//! `State`: what all handlers share, lent to each by the reactor. No lock, no `RefCell`.

pub(crate) mod ending;
pub(crate) mod open_files;
pub(crate) mod ports;

use crate::auth::hashing::Questions;
use crate::client::AskedBy;
use crate::core::backpressure::Backpressure;
use crate::core::delivery::Scratch;
use crate::core::leaving::Leaving;
use crate::core::random::Random;
use crate::core::receiver::{AccountId, Kind, Label, Receiver, Traffic};
use crate::core::sublist::{ReceiverId, SubId, Sublist, Subscription};
use crate::records::Records;
use crate::server::preflight;
use crate::state::ending::Ending;
use crate::state::open_files::Room;
use crate::state::ports::Files;
use crate::{Config, StartError};
use midge_protocol::Info;
use midge_reactor::{Io, Key};
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
    /// Lame duck mode has come to its end.
    LameDuck,
}

/// The account of everyone, `$G`, until there are others.
pub(crate) const GLOBAL: AccountId = AccountId(0);

/// The name of the one account.
pub(crate) fn account_name() -> &'static str {
    "$G"
}

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

/// What all handlers of a broker share: the state of the reactor that it lives in. Opaque, but for
/// what it tells about itself.
///
/// [`Broker::bind`](crate::Broker::bind) makes one by itself; make one of your own for
/// [`Broker::listen`](crate::Broker::listen).
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub(crate) config: Config,
    /// `INFO` as every client gets it, but for its own id and address.
    pub(crate) info: Info,
    /// By [`AccountId`].
    pub(crate) accounts: Vec<Account>,
    /// By [`ReceiverId`].
    pub(crate) receivers: Slab<Receiver>,
    /// What is left of those that have gone.
    pub(crate) leaving: Leaving,
    /// Who waits for whom.
    pub(crate) backpressure: Backpressure,
    /// Most bytes that all queues may hold together.
    pub(crate) total_bytes_max: usize,
    /// Connections that are about to end.
    pub(crate) ending: Ending,
    /// How many files may be open for what.
    pub(crate) room: Room,
    /// Counters.
    pub(crate) stats: Stats,
    /// What ended the broker, once something has.
    pub(crate) stop: Stop,
    /// Where clients are accepted, until they no longer are.
    pub(crate) listener: Option<Key>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// Whether the broker is in lame duck mode.
    pub(crate) lame_duck: bool,
    /// How often `info` has changed.
    pub(crate) info_version: u32,
    /// How often what clients must present has changed.
    pub(crate) auth_version: u32,
    /// Passwords that other threads look at.
    pub(crate) questions: Questions<AskedBy>,
    /// Files that tell of this process; `None` if it is not the broker's.
    pub(crate) files: Option<Files>,
    /// What is kept for monitoring, while there is any.
    pub(crate) records: Option<Box<Records>>,
    pub(crate) scratch: Scratch,
    pub(crate) random: Random,
}

impl State {
    /// The state of a broker with no clients.
    ///
    /// # Errors
    /// [`StartError::Config`]: with these settings no client could be served, or all the world could.
    pub fn new(config: Config) -> Result<State, StartError> {
        preflight::check(&config)?;
        Ok(State::announcing(config, Info::default()))
    }

    /// As [`new`](State::new), with `INFO` made and the settings checked already.
    pub(crate) fn announcing(config: Config, info: Info) -> State {
        State {
            total_bytes_max: config.total_bytes_max(),
            config,
            info,
            accounts: vec![Account::default()],
            receivers: Slab::new(),
            leaving: Leaving::default(),
            backpressure: Backpressure::default(),
            ending: Ending::default(),
            room: Room::default(),
            stats: Stats::default(),
            stop: Stop::Requested,
            listener: None,
            port: 0,
            lame_duck: false,
            info_version: 0,
            auth_version: 0,
            questions: Questions::new(),
            files: None,
            records: None,
            scratch: Scratch::default(),
            random: Random::seeded(1),
        }
    }

    /// The counters, with what there is now. Costs no more than reading them.
    pub fn stats(&self) -> Stats {
        let subscriptions = self.accounts.iter().map(|account| account.sublist.len());
        Stats {
            clients: self.client_count(),
            subscriptions: subscriptions.sum::<usize>() - self.leaving.subscriptions(),
            ..self.stats
        }
    }

    /// Whether the broker is in lame duck mode: see [`Broker::lame_duck`](crate::Broker::lame_duck).
    pub fn is_lame_duck(&self) -> bool {
        self.lame_duck
    }

    /// The port on which monitoring is served, if it is.
    pub fn monitor_port(&self) -> Option<u16> {
        self.records.as_ref().map(|records| records.port())
    }

    /// Bytes in the longest queue of a client. Looks at each client.
    pub fn longest_queue_bytes(&self, io: &Io<'_>) -> usize {
        let queued = |(_, receiver): (usize, &Receiver)| io.queued(receiver.key);
        self.receivers.iter().map(queued).max().unwrap_or(0)
    }

    /// How many things are kept for the clients there are and their subscriptions, apart from those
    /// themselves: subjects, places in the trie, names of queue groups, who waits for whom. Zero
    /// when all clients have left and what they left behind is removed, or something leaks.
    pub fn kept(&self) -> usize {
        let sublists = self.accounts.iter().map(|account| account.sublist.kept());
        sublists.sum::<usize>() + self.backpressure.kept()
    }

    /// Takes a number for choices among the members of queue groups and for hashes. Whoever
    /// simulates a broker gives the same one in each run.
    pub(crate) fn seed(&mut self, random: u64) {
        self.random = Random::seeded(random);
        for account in &mut self.accounts {
            // A client that is here already may know of sets, by the version of this sublist.
            if account.sublist.is_empty() && self.receivers.is_empty() {
                account.sublist = Sublist::seeded(random);
            }
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
            takes_info: false,
            label: Label { peer, cid },
            sids: Default::default(),
            received: Traffic::default(),
            sent: Traffic::default(),
            last_run: 0,
            is_clearing: false,
        };
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
        &mut self.accounts[account.0].sublist
    }

    /// What `id` has subscribed to under this name.
    pub(crate) fn subscription_of(&self, id: ReceiverId, sid: &[u8]) -> Option<SubId> {
        let receiver = self.receiver(id);
        let sublist = &self.accounts[receiver.account.0].sublist;
        receiver.sids.get(sid, sublist)
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
        receiver.sids.insert(subscription, sublist);
    }

    /// Ends a subscription, which must exist.
    pub(crate) fn unsubscribe(&mut self, id: ReceiverId, subscription: SubId) -> Subscription {
        let receiver = &mut self.receivers[id.0 as usize];
        let sublist = &mut self.accounts[receiver.account.0].sublist;
        let ended = sublist.remove(subscription);
        receiver
            .sids
            .remove(subscription, ended.sid.as_slice(), sublist);
        ended
    }
}
