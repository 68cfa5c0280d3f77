//! `Memo`: what a publisher's last message has reached, for the next one.
//!
//! Most messages repeat the control line of the one before. As long as no set of subscriptions has appeared
//! or disappeared in the account since, they reach the same sets, and the sublist is not asked.

use crate::core::accounts::AccountId;
use crate::core::sublist::{SetId, Sublist};
use midge_protocol::Publish;

/// Sets that a memo holds; a message that reaches more is looked up each time.
const SETS_MAX: usize = 6;

/// What one publisher's last message has reached, so that the next one with the same control line need
/// not be looked up.
#[derive(Debug)]
pub(super) struct Memo {
    sets: [SetId; SETS_MAX],
    len: u8,
    /// The account that this holds in. Two sublists may have equal versions.
    account: AccountId,
    /// The sublist's version that this holds for, plus one. Zero: for none.
    version: u64,
}

impl Memo {
    /// One that holds nothing yet.
    pub(super) fn new(account: AccountId) -> Memo {
        Memo {
            sets: Default::default(),
            len: 0,
            account,
            version: 0,
        }
    }

    /// Whether `message`, published in `account`, repeats the last one and nothing has changed since.
    #[inline(always)]
    pub(super) fn is_of(
        &self,
        message: &Publish<'_>,
        account: AccountId,
        sublist: &Sublist,
    ) -> bool {
        message.repeats() && self.version == sublist.version() + 1 && self.account == account
    }

    /// The sets that the last message has reached.
    #[inline(always)]
    pub(super) fn sets(&self) -> &[SetId] {
        &self.sets[..usize::from(self.len)]
    }

    /// Keeps what a message, published in `account`, has reached.
    #[inline]
    pub(super) fn keep(&mut self, found: &[SetId], account: AccountId, sublist: &Sublist) {
        if found.len() > SETS_MAX {
            return self.forget();
        }
        // A loop would become a call of memcpy, which costs more than the few sets there mostly are.
        match *found {
            [] => {}
            [only] => self.sets[0] = only,
            [first, second] => (self.sets[0], self.sets[1]) = (first, second),
            _ => self.sets[..found.len()].copy_from_slice(found),
        }
        self.len = found.len() as u8;
        self.account = account;
        self.version = sublist.version() + 1;
    }

    /// Whether the last message was one that was delivered, and what it reached is kept, or was.
    #[inline]
    pub(super) fn is_kept(&self) -> bool {
        self.version > 0
    }

    /// Forgets what the last message has reached: the next one may repeat another, that was refused.
    pub(super) fn forget(&mut self) {
        self.version = 0;
    }
}
