//! `Asking`: what clients ask the broker about themselves and their own account, from any account.
//!
//! | subject | asks for |
//! |---|---|
//! | `$SYS.REQ.USER.INFO` | who the client is, and what it may do |
//! | `$SYS.REQ.ACCOUNT.PING.CONNZ`, `$SYS.REQ.SERVER.PING.CONNZ` | the connections of its account |
//! | `$SYS.REQ.ACCOUNT.PING.STATZ` | what its account does |
//!
//! A subscription for each in every account would cost an account more memory than all else in it. So the session looks
//! at the beginning of a subject, beside what it looks at in any case of one that does not repeat, and such a
//! message is not taken for known when it comes again. The message reaches those who have subscribed to it as well.
//!
//! What waits is bounded, also for each account, so that the clients of one do not take the places of all.

use super::State;
use crate::auth::permissions::Permissions;
use crate::core::accounts::AccountId;
use midge_protocol::Publish;
use midge_reactor::Time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Most that wait at once, of all accounts and of one, and the longest payload that is looked at.
const WAITING_MAX: usize = 1024;
const OF_ACCOUNT_MAX: usize = 64;
const PAYLOAD_BYTES_MAX: usize = 4096;

/// With what all of these subjects begin, and many that are none.
pub(crate) const PREFIX: &[u8] = b"$SYS.REQ.";

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Who the client is.
    User,
    /// The connections of its account.
    Connections,
    /// What its account does.
    Figures,
}

impl Wish {
    fn of(subject: &[u8]) -> Option<Wish> {
        match subject.strip_prefix(PREFIX)? {
            b"USER.INFO" => Some(Wish::User),
            b"ACCOUNT.PING.CONNZ" | b"SERVER.PING.CONNZ" => Some(Wish::Connections),
            b"ACCOUNT.PING.STATZ" => Some(Wish::Figures),
            _ => None,
        }
    }
}

/// Who has asked.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) user: Box<str>,
    pub(crate) permissions: Permissions,
    /// Until when its login is good, if not for as long as it stays.
    pub(crate) until: Option<Time>,
}

/// A question.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) wish: Wish,
    pub(crate) asker: Asker,
    /// The name of its account. It may be closed when the answer is made, and its number that of another.
    pub(crate) account: Arc<str>,
    pub(crate) reply: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    waiting: VecDeque<Asked>,
    /// How many of each account.
    counts: BTreeMap<Arc<str>, usize>,
}

impl Asking {
    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out the one that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Asked> {
        let asked = self.waiting.pop_front()?;
        if let Some(count) = self.counts.get_mut(&asked.account) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&asked.account);
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(16);
        }
        Some(asked)
    }

    /// Keeps one; answers whether there is room.
    fn push(&mut self, asked: Asked) -> bool {
        let count = self.counts.get(&asked.account).copied().unwrap_or(0);
        let has_room = self.waiting.len() < WAITING_MAX && count < OF_ACCOUNT_MAX;
        if has_room {
            self.counts.insert(Arc::clone(&asked.account), count + 1);
            self.waiting.push_back(asked);
        }
        has_room
    }
}

impl State {
    /// What a client in this account asks the broker by a message that it may publish, if it does.
    ///
    /// Who it is, it is told in any case. The other questions are answered while there is a system account, whose own
    /// clients ask its service.
    pub(crate) fn wish_of(&self, account: AccountId, message: &Publish<'_>) -> Option<Wish> {
        let wish = Wish::of(message.subject()).filter(|_| message.reply().is_some())?;
        let system = self
            .service
            .as_ref()
            .map(|one| one.publisher.origin().account);
        let is_answered = wish == Wish::User || system.is_some_and(|system| system != account);
        is_answered.then_some(wish)
    }

    /// Keeps a question; answers whether there is room.
    pub(crate) fn ask(
        &mut self,
        wish: Wish,
        asker: Asker,
        account: AccountId,
        message: &Publish<'_>,
    ) -> bool {
        let Some(reply) = message.reply() else {
            return false;
        };
        message.payload().len() <= PAYLOAD_BYTES_MAX
            && self.asking.push(Asked {
                wish,
                asker,
                account: Arc::clone(&self.core.accounts[account].name),
                reply: reply.into(),
                payload: message.payload().into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(account: &str) -> Asked {
        Asked {
            wish: Wish::User,
            asker: Asker {
                user: "".into(),
                permissions: Permissions::default(),
                until: None,
            },
            account: account.into(),
            reply: b"r"[..].into(),
            payload: b""[..].into(),
        }
    }

    #[test]
    fn one_account_does_not_take_the_places_of_all() {
        let mut asking = Asking::default();
        let taken = (0..100).filter(|_| asking.push(asked("A"))).count();
        assert_eq!(taken, OF_ACCOUNT_MAX);
        assert!(asking.push(asked("B")));
        while asking.pop().is_some() {}
        assert!(asking.counts.is_empty() && asking.push(asked("A")));
        let taken = (0..2000).filter(|number| asking.push(asked(&number.to_string())));
        assert_eq!(taken.count(), WAITING_MAX - 1);
    }

    #[test]
    fn only_what_a_client_may_know_of_its_own_account_is_asked_from_there() {
        for (subject, expected) in [
            ("$SYS.REQ.USER.INFO", Some(Wish::User)),
            ("$SYS.REQ.ACCOUNT.PING.CONNZ", Some(Wish::Connections)),
            ("$SYS.REQ.SERVER.PING.CONNZ", Some(Wish::Connections)),
            ("$SYS.REQ.ACCOUNT.PING.STATZ", Some(Wish::Figures)),
            ("$SYS.REQ.ACCOUNT.A.CONNZ", None),
            ("$SYS.REQ.SERVER.PING", None),
            ("$SYS.REQ.USER.INFO.x", None),
            ("x$SYS.REQ.USER.INFO", None),
        ] {
            assert_eq!(Wish::of(subject.as_bytes()), expected, "{subject}");
        }
    }
}
