//! `Revising`: clients whose subscriptions are held against other permissions, in pieces, and how much of that is
//! done at once.
//!
//! ```text
//! reload ──▶ each client does a part of `BUDGET`, all together ──▶ those that are not done: queue
//! turn   ──▶ those in front of the queue share a `BUDGET` ───────▶ those that are not done: queue
//! ```

use midge_reactor::Key;
use std::collections::VecDeque;

/// Most work that is done in a turn, in places of the sublist looked at: about a millisecond.
const BUDGET: usize = 3000;

/// Clients that are called in a turn: what a call costs counts as well.
const CLIENTS_MAX: usize = 32;

/// Clients whose subscriptions are being looked at.
#[derive(Debug)]
pub(crate) struct Revising {
    queue: VecDeque<Key>,
    budget: usize,
    is_scheduled: bool,
}

impl Default for Revising {
    fn default() -> Revising {
        Revising {
            queue: VecDeque::new(),
            budget: BUDGET,
            is_scheduled: false,
        }
    }
}

impl Revising {
    /// Work that may be done at once.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// So much was done.
    pub(crate) fn spend(&mut self, work: usize) {
        self.budget = self.budget.saturating_sub(work);
    }

    /// A client is not done.
    pub(crate) fn push(&mut self, client: Key) {
        self.queue.push_back(client);
    }

    /// Whether [the next piece](Revising::next) is to be done, in the next turn.
    pub(crate) fn is_to_be_scheduled(&mut self) -> bool {
        let is_waiting = !self.queue.is_empty() || self.budget == 0;
        is_waiting && !std::mem::replace(&mut self.is_scheduled, true)
    }

    /// A turn has come: those whose subscriptions are looked at in it.
    pub(crate) fn next(&mut self) -> Vec<Key> {
        self.is_scheduled = false;
        self.budget = BUDGET;
        let count = self.queue.len().min(CLIENTS_MAX);
        self.queue.drain(..count).collect()
    }
}
