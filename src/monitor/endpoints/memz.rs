//! `/memz`: who has the memory.
//!
//! Counted from what each owner has reserved; what the allocator adds, and long texts, are part of
//! what is left over.

use super::Content;
use crate::core::receiver::Receiver;
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use serde::Serialize;

/// Bytes by owner.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Owners {
    /// Waiting for clients that have not taken it.
    pub(super) queues: usize,
    /// Read from clients, and not complete.
    pub(super) input: usize,
    /// Sets, subscriptions, tables and trie.
    pub(super) sublist: usize,
    /// What subjects have reached lately.
    pub(super) cache: usize,
    /// What delivery knows of each client, and its subscriptions by sid.
    pub(super) receivers: usize,
    /// What the reactor knows of each connection.
    pub(super) connections: usize,
    /// Buffers for reuse.
    pub(super) pools: usize,
    /// What is kept for monitoring.
    pub(super) monitoring: usize,
}

impl Owners {
    /// Each with its name.
    pub(super) fn each(&self) -> [(&'static str, usize); 8] {
        [
            ("queues", self.queues),
            ("input", self.input),
            ("sublist", self.sublist),
            ("cache", self.cache),
            ("receivers", self.receivers),
            ("connections", self.connections),
            ("pools", self.pools),
            ("monitoring", self.monitoring),
        ]
    }
}

/// What a walk over the clients finds.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The cid to go on with.
    next: u64,
    pub(super) queues: usize,
    pub(super) longest_queue: usize,
    pub(super) clients_with_queue: usize,
    input: usize,
    sids: usize,
    names: usize,
    pub(super) subscriptions: usize,
    pub(super) received: crate::Traffic,
    pub(super) sent: crate::Traffic,
}

impl Walk {
    /// Goes on; answers whether it is at its end.
    pub(super) fn go_on(&mut self, view: &View<'_>, budget: &mut Budget) -> bool {
        for (cid, presence) in view.records.present.range(self.next..) {
            if !budget.take() {
                self.next = *cid;
                return false;
            }
            let receiver = view.state.core.receiver(presence.receiver);
            let queued = view.sockets.queued(presence.key);
            self.queues += queued;
            self.longest_queue = self.longest_queue.max(queued);
            self.clients_with_queue += usize::from(queued > 0);
            self.input += view.sockets.unread(presence.key);
            self.sids += receiver.sids.bytes();
            self.subscriptions += receiver.sids.len();
            self.received.add(receiver.received);
            self.sent.add(receiver.sent);
            self.names += presence.bytes();
        }
        self.next = u64::MAX;
        true
    }

    /// Bytes by owner, with what the walk has found.
    pub(super) fn owners(&self, view: &View<'_>) -> Owners {
        let state = view.state;
        let accounts = || state.core.accounts.iter();
        let memory = view.sockets.memory();
        Owners {
            queues: self.queues,
            input: self.input,
            sublist: accounts().map(|one| one.sublist.bytes()).sum(),
            cache: accounts().map(|one| one.sublist.cache_bytes()).sum(),
            receivers: state.core.receivers.capacity() * size_of::<Receiver>() + self.sids,
            connections: memory.connections,
            pools: memory.pools,
            monitoring: self.names + view.records.bytes(),
        }
    }
}

#[derive(Serialize)]
struct Memz<'a> {
    server_id: &'a str,
    now: Timestamp,
    /// Resident memory of the process.
    mem: usize,
    owners: Owners,
    /// All owners together.
    accounted: usize,
    clients_with_queue: usize,
    longest_queue: usize,
}

pub(super) fn answer() -> Content {
    Content::Pieces(Box::new(Walk::default()))
}

impl Pieces for Walk {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        if !self.go_on(view, budget) {
            return true;
        }
        let owners = self.owners(view);
        let memz = Memz {
            server_id: view.server_id(),
            now: view.now(),
            mem: view.records.process.resident_bytes(),
            owners,
            accounted: owners.each().iter().map(|(_, bytes)| bytes).sum(),
            clients_with_queue: self.clients_with_queue,
            longest_queue: self.longest_queue,
        };
        json::put(out, &memz, 0);
        false
    }
}
