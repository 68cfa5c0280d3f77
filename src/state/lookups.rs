//! `Lookups`: accounts that are asked for elsewhere, and the clients that wait for them.
//!
//! ```text
//! login ──▶ account not known ──▶ one question for all who wait for it ──▶ they are looked at again
//! ```
//!
//! It is asked for by HTTP ([`fetching`](super::fetching)), or by a message in the system account. A client can invent accounts,
//! and each of them is a question. So each has a time, no more wait than may, and past that a login is refused at once.

use crate::auth::inquiry::Inquirer;
use midge_reactor::TimerId;
use std::collections::{HashMap, VecDeque};

/// Accounts that may wait for their question.
const WAITING_MAX: usize = 256;

/// Accounts that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    clients: HashMap<Box<str>, Vec<Inquirer>>,
    waiting: VecDeque<Box<str>>,
    /// Those whose question is out, each with the end of its time, if that is not kept elsewhere.
    asked: HashMap<Box<str>, Option<TimerId>>,
}

impl Lookups {
    /// A client waits for an account; answers whether there is room.
    pub(crate) fn ask(&mut self, key: &str, client: Inquirer) -> bool {
        if let Some(clients) = self.clients.get_mut(key) {
            clients.push(client);
            return true;
        }
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.clients.insert(key.into(), vec![client]);
            self.waiting.push_back(key.into());
        }
        has_room
    }

    /// An account is wanted for which no client waits, if there is room.
    pub(crate) fn want(&mut self, key: &str) {
        if !self.clients.contains_key(key) && self.waiting.len() < WAITING_MAX {
            self.clients.insert(key.into(), Vec::new());
            self.waiting.push_back(key.into());
        }
    }

    /// The account to ask for next, if no more than these are asked for. [`done`](Lookups::done) has to follow.
    pub(crate) fn start(&mut self, asked_max: usize) -> Option<Box<str>> {
        if self.asked.len() >= asked_max {
            return None;
        }
        let key = self.waiting.pop_front()?;
        self.asked.insert(key.clone(), None);
        Some(key)
    }

    /// The question about an account is over at this time.
    pub(crate) fn end_at(&mut self, key: &str, timer: TimerId) {
        if let Some(asked) = self.asked.get_mut(key) {
            *asked = Some(timer);
        }
    }

    /// There is an answer about an account, if it is asked for: then this is the end of its time, which has to be
    /// cancelled.
    pub(crate) fn answered(&mut self, key: &str) -> Option<TimerId> {
        self.asked.get_mut(key)?.take()
    }

    /// It is known what has become of a question; those who wait for it.
    pub(crate) fn done(&mut self, key: &str) -> Vec<Inquirer> {
        match self.asked.remove(key) {
            Some(_) => self.clients.remove(key).unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::inquiry::Purpose;
    use midge_reactor::Key;

    #[test]
    fn all_who_wait_for_an_account_share_a_question_and_few_are_asked_at_once() {
        let client = |number| Inquirer {
            connection: Key::new(number, 1),
            version: 0,
            purpose: Purpose::Connect,
        };
        let mut lookups = Lookups::default();
        for (number, key) in (0..).zip(["A", "B", "A", "C"]) {
            assert!(lookups.ask(key, client(number)));
        }
        let started: Vec<_> = std::iter::from_fn(|| lookups.start(2)).collect();
        assert_eq!(started.len(), 2);
        // One that comes while it is asked waits for the same answer.
        assert!(lookups.ask("A", client(9)));
        let of_a = lookups.done("A");
        assert_eq!(of_a.len(), 3);
        assert_eq!(lookups.start(2).as_deref(), Some("C"));
        assert_eq!(lookups.start(2), None);
        for number in 0..WAITING_MAX {
            assert!(lookups.ask(&number.to_string(), client(1)));
        }
        assert!(!lookups.ask("one too many", client(1)));
        assert!(lookups.ask("B", client(1)));
    }
}
