//! `Records`: what is kept only to be told, and only while monitoring is on.
//!
//! Who is connected under what name (`presence.rs`), who was (`closed.rs`), who was slow (`slow.rs`), which
//! subjects carry the traffic (`meter/`), the traffic of two minutes (`history.rs`), what the process takes
//! (`process.rs`), and who asks at present, with what may be looked at for them (`http_connections.rs`, `budget.rs`).

mod budget;
mod clock;
pub(crate) mod closed;
#[cfg(test)]
mod fixtures;
mod history;
pub(crate) mod http_connections;
pub(crate) mod meter;
pub(crate) mod presence;
mod process;
pub(crate) mod slow;
mod stats;

pub(crate) use budget::Budget;
pub(crate) use history::EVERY;
pub(crate) use http_connections::{ACCEPTS_MAX, HTTP_CONNECTIONS_MAX, NEWCOMERS_MAX};
pub use stats::{Stats, TlsHandshakes};

use crate::core::Core;
use crate::core::close::CloseReason;
use crate::core::receiver::{Label, Traffic};
use crate::core::sublist::ReceiverId;
use crate::tls::Settled;
use clock::Clock;
use closed::{Closed, ClosedRing};
use history::History;
use http_connections::HttpConnections;
use meter::Meter;
use midge_reactor::{Io, Key, Time};
use presence::{Identity, Presence};
use process::Process;
use slow::Slow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is kept only to be told. It changes with connections, `CONNECT`s and `PING`s, and not with
/// messages, but for the meter, which looks at some.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) clock: Clock,
    /// When the broker began to listen.
    pub(crate) started: Time,
    /// When the settings were read last.
    pub(crate) configured: Time,
    /// The port that is listened on.
    pub(crate) port: u16,
    /// Clients, by their cids.
    pub(crate) present: BTreeMap<u64, Presence>,
    /// Clients that have left.
    pub(crate) closed: ClosedRing,
    /// Clients that were behind.
    pub(crate) slow: Slow,
    /// What has passed lately.
    pub(crate) history: History,
    /// Which subjects carry the traffic.
    pub(crate) meter: Meter,
    pub(crate) process: Process,
    /// How often each endpoint was asked.
    pub(crate) requests: BTreeMap<&'static str, u64>,
    /// Connections that ask at present.
    pub(crate) http: HttpConnections,
    /// The turn, and what may still be done in it for those who ask.
    turn: u64,
    budget: Budget,
}

impl Records {
    /// Records of a broker that begins now and is monitored on `port`; `random` is for choices.
    pub(crate) fn new(now: Time, port: u16, closed_max: usize, random: u64) -> Records {
        Records {
            clock: Clock::new(now),
            started: now,
            configured: now,
            port,
            present: BTreeMap::new(),
            closed: ClosedRing::new(closed_max),
            slow: Slow::default(),
            history: History::default(),
            meter: Meter::new(now, random),
            process: Process::default(),
            requests: BTreeMap::new(),
            http: HttpConnections::default(),
            turn: 0,
            budget: Budget::new(),
        }
    }

    /// New settings hold from now on.
    pub(crate) fn reloaded(&mut self, now: Time, closed_max: usize) {
        self.configured = now;
        self.closed.set_max(closed_max);
    }

    /// The port that is listened on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Looks at what changes by itself. Once for each request, before it is answered.
    pub(crate) fn look(&mut self, now: Time) {
        self.clock.follow(now);
        self.process.look(now, now - self.started);
    }

    /// Bytes that are kept, without what is known of clients that are connected.
    pub(crate) fn bytes(&self) -> usize {
        self.closed.bytes() + self.slow.bytes() + self.history.bytes() + self.meter.bytes()
    }

    /// What may still be done in this turn, to be given back with [`give_back`](Records::give_back).
    pub(crate) fn take_budget(&mut self, turn: u64) -> Budget {
        if std::mem::replace(&mut self.turn, turn) != turn {
            self.budget = Budget::new();
        }
        std::mem::take(&mut self.budget)
    }

    /// Keeps what is left for others.
    pub(crate) fn give_back(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Counts a request.
    pub(crate) fn asked(&mut self, endpoint: &'static str) {
        *self.requests.entry(endpoint).or_default() += 1;
    }

    /// A client has come, which may be somebody already.
    pub(crate) fn arrived(
        &mut self,
        label: Label,
        key: Key,
        receiver: ReceiverId,
        identity: Identity,
        now: Time,
    ) {
        let mut presence = Presence::new(label, key, receiver, now);
        presence.identity = identity;
        self.present.insert(label.cid, presence);
    }

    /// A client has come by way of a proxy, which says for whom.
    pub(crate) fn forwarded(&mut self, label: Label) {
        if let Some(presence) = self.present.get_mut(&label.cid) {
            presence.peer = label.peer;
        }
    }

    /// A client has said who it is.
    pub(crate) fn introduced(&mut self, cid: u64, identity: Identity, now: Time) {
        if let Some(presence) = self.present.get_mut(&cid) {
            presence.introduced(identity, now);
        }
    }

    /// A client that has logged in is somebody else now.
    pub(crate) fn identified(&mut self, cid: u64, identity: Identity) {
        if let Some(presence) = self.present.get_mut(&cid) {
            presence.identity = identity;
        }
    }

    /// A client's handshake is over.
    pub(crate) fn secured(&mut self, cid: u64, settled: Settled) {
        if let Some(presence) = self.present.get_mut(&cid) {
            presence.tls = Some(Box::new(settled));
        }
    }

    /// A client is asked for a sign of life, after so much silence.
    pub(crate) fn pinged(&mut self, cid: u64, now: Time, silence: Duration) {
        if let Some(presence) = self.present.get_mut(&cid) {
            presence.pinged(now, silence);
        }
    }

    /// A client has given one; the question was sent at `asked`.
    pub(crate) fn answered(&mut self, cid: u64, now: Time, asked: Time) {
        if let Some(presence) = self.present.get_mut(&cid) {
            presence.answered(now, asked);
        }
    }

    /// A client was turned away before it had said anything; it would have begun in this account.
    pub(crate) fn turned_away(
        &mut self,
        label: Label,
        account: Arc<str>,
        reason: CloseReason,
        now: Time,
    ) {
        self.closed.push(Closed {
            cid: label.cid,
            peer: label.peer,
            door: label.door,
            account,
            identity: Identity::default(),
            tls: None,
            start: now,
            stop: now,
            last_active: now,
            round_trip: Duration::ZERO,
            reason,
            pending: 0,
            pending_peak: 0,
            received: Traffic::default(),
            sent: Traffic::default(),
            subscriptions: 0,
            listed: Vec::new(),
        });
    }

    /// A client leaves, which is still a receiver: who it was, what it did and why it ends. Answers whether it was behind.
    pub(crate) fn left(
        &mut self,
        core: &Core,
        id: ReceiverId,
        identity: Identity,
        reason: CloseReason,
        io: &Io<'_>,
    ) -> bool {
        let receiver = core.receiver(id);
        let was_slow = self.slow.closed(receiver.key, receiver.label, reason, io);
        if let Some(mut presence) = self.present.remove(&receiver.label.cid) {
            // A `CONNECT` that was refused tells who it was as well.
            presence.identity = identity;
            let closed = Closed::of(&presence, receiver, reason, core, io);
            self.closed.push(closed);
        }
        was_slow
    }
}
