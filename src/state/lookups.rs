//! `Lookups`: accounts that are asked for elsewhere, the clients that wait for them, and the importers.
//!
//! ```text
//! login ──▶ account not known ──▶ one question for all who wait for it ──▶ they are looked at again
//! import ─▶ exporter not known ─▶ the same, in turns with those of clients ──▶ if in vain, it rests for a while
//! ```
//!
//! It is asked for by HTTP ([`fetching`](super::fetching)), or by a message in the system account. A client can invent accounts,
//! and each of them is a question. So each has a time, few are out at once, no more wait than may, and past that a login is
//! refused at once. Exporters stand in tokens that an operator vouches for: none of them is forgotten, and there are no more
//! than these tokens name. Nobody waits for one, so one that was asked for in vain is not asked for again and again.

use crate::auth::inquiry::Inquirer;
use midge_reactor::TimerId;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Accounts of clients that may wait for their question.
const WAITING_MAX: usize = 256;

/// Questions that are out at once by message: each takes a timer, and a message to all who answer for others.
pub(crate) const MESSAGES_MAX: usize = 256;

/// How long an exporter rests that was asked for in vain.
pub(crate) const REST: Duration = Duration::from_secs(10);

/// Accounts that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// All that are to be asked for, or are asked for.
    wanted: HashMap<Box<str>, Wanted>,
    /// Those of clients whose question is not out, in the order in which they came.
    waiting: VecDeque<Box<str>>,
    /// Those that are imported from, and for which no client waits.
    exporters: BTreeSet<Box<str>>,
    /// Whether an exporter is next, if there are both.
    is_exporters_turn: bool,
    /// Those whose question is out, each with the end of its time, if that is not kept elsewhere.
    asked: HashMap<Box<str>, Option<TimerId>>,
    /// Exporters that rest, and whether each is wanted again.
    resting: HashMap<Box<str>, bool>,
}

/// Who wants an account.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Clients that wait for it.
    pub(crate) clients: Vec<Inquirer>,
    /// Whether it is imported from.
    pub(crate) is_exporter: bool,
}

impl Lookups {
    /// A client waits for an account; answers whether there is room.
    pub(crate) fn ask(&mut self, key: &str, client: Inquirer) -> bool {
        if let Some(wanted) = self.wanted.get_mut(key)
            && (!wanted.clients.is_empty() || self.asked.contains_key(key))
        {
            wanted.clients.push(client);
            return true;
        }
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.exporters.remove(key);
            self.waiting.push_back(key.into());
            let wanted = self.wanted.entry(key.into()).or_default();
            wanted.clients.push(client);
        }
        has_room
    }

    /// An account is imported from; if it rests, it is asked for when that is over.
    pub(crate) fn want(&mut self, key: &str) {
        if let Some(is_wanted) = self.resting.get_mut(key) {
            *is_wanted = true;
            return;
        }
        if !self.wanted.contains_key(key) {
            self.exporters.insert(key.into());
        }
        let wanted = self.wanted.entry(key.into()).or_default();
        wanted.is_exporter = true;
    }

    /// The account to ask for next, if no more than these are asked for. [`done`](Lookups::done) has to follow.
    pub(crate) fn start(&mut self, asked_max: usize) -> Option<Box<str>> {
        if self.asked.len() >= asked_max {
            return None;
        }
        let is_exporter = self.waiting.is_empty() || self.is_exporters_turn;
        let key = match is_exporter && !self.exporters.is_empty() {
            true => self.exporters.pop_first(),
            false => self.waiting.pop_front(),
        }?;
        self.is_exporters_turn = !is_exporter;
        self.asked.insert(key.clone(), None);
        Some(key)
    }

    /// Whether somebody waits whose question is not out.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.exporters.is_empty()
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

    /// It is known what has become of a question; those who wanted that.
    pub(crate) fn done(&mut self, key: &str) -> Wanted {
        match self.asked.remove(key) {
            Some(_) => self.wanted.remove(key).unwrap_or_default(),
            None => Wanted::default(),
        }
    }

    /// An exporter was asked for in vain. [`rested`](Lookups::rested) has to follow behind [`REST`].
    pub(crate) fn rest(&mut self, key: &str) {
        self.resting.insert(key.into(), false);
    }

    /// An exporter has rested; it is to be asked for if it was wanted meanwhile.
    pub(crate) fn rested(&mut self, key: &str) {
        if self.resting.remove(key) == Some(true) {
            self.want(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::inquiry::Purpose;
    use midge_reactor::Key;

    fn client(number: usize) -> Inquirer {
        Inquirer {
            connection: Key::new(number, 1),
            version: 0,
            purpose: Purpose::Connect,
        }
    }

    #[test]
    fn all_who_wait_for_an_account_share_a_question_and_few_are_asked_at_once() {
        let mut lookups = Lookups::default();
        for (number, key) in (0..).zip(["A", "B", "A", "C"]) {
            assert!(lookups.ask(key, client(number)));
        }
        let started: Vec<_> = std::iter::from_fn(|| lookups.start(2)).collect();
        assert_eq!(started.len(), 2);
        // One that comes while it is asked waits for the same answer.
        assert!(lookups.ask("A", client(9)));
        assert_eq!(lookups.done("A").clients.len(), 3);
        assert_eq!(lookups.start(2).as_deref(), Some("C"));
        assert_eq!(lookups.start(2), None);
        for number in 0..WAITING_MAX {
            assert!(lookups.ask(&number.to_string(), client(1)));
        }
        assert!(!lookups.ask("one too many", client(1)));
        assert!(lookups.ask("B", client(1)));
    }

    #[test]
    fn exporters_have_their_turns_beside_clients_and_none_is_forgotten() {
        let mut lookups = Lookups::default();
        for number in 0..WAITING_MAX {
            assert!(lookups.ask(&format!("C{number}"), client(number)));
        }
        for key in ["E1", "E2", "E3"] {
            lookups.want(key);
        }
        let started: Vec<_> = std::iter::from_fn(|| lookups.start(6)).collect();
        assert_eq!(started, ["C0", "E1", "C1", "E2", "C2", "E3"].map(Box::from));
        // A client that comes waits for the question that is out, or for its own turn.
        assert!(lookups.ask("E1", client(1)));
        let done = lookups.done("E1");
        assert!(done.is_exporter && done.clients.len() == 1);
        lookups.want("E4");
        assert!(lookups.ask("E4", client(2)));
        assert_eq!(lookups.start(6).as_deref(), Some("C3"));
        assert!(lookups.exporters.is_empty() && lookups.is_waiting());
    }

    #[test]
    fn an_exporter_that_was_asked_for_in_vain_is_asked_for_again_when_it_has_rested() {
        let mut lookups = Lookups::default();
        lookups.want("E");
        assert_eq!(lookups.start(2).as_deref(), Some("E"));
        assert!(lookups.done("E").is_exporter);
        lookups.rest("E");
        lookups.want("E");
        assert_eq!(lookups.start(2), None);
        // A client does not wait for that.
        assert!(lookups.ask("E", client(1)));
        assert_eq!(lookups.start(2).as_deref(), Some("E"));
        assert!(!lookups.done("E").is_exporter);
        lookups.rested("E");
        assert_eq!(lookups.start(2).as_deref(), Some("E"));
        lookups.done("E");
        lookups.rest("E");
        lookups.rested("E");
        assert!(!lookups.is_waiting() && lookups.wanted.is_empty() && lookups.resting.is_empty());
    }
}
