//! `Accounts`: spaces of subjects that do not see each other, by name and by number.
//!
//! A name is looked up when a client logs in or a request of monitoring names it; everything else holds an
//! [`AccountId`].

use super::Core;
use super::origin::Role;
use super::receiver::Traffic;
use super::sublist::{ReceiverId, Sublist};
use std::ops::{Index, IndexMut};

/// One of the broker's accounts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct AccountId(u32);

/// A space of subjects of its own.
#[derive(Debug)]
pub(crate) struct Account {
    pub name: Box<str>,
    /// Who has subscribed to what in it.
    pub sublist: Sublist,
    /// Subscriptions in it whose receivers have left.
    pub left: usize,
    /// Clients that see it.
    pub clients: usize,
    /// Clients in it that were closed for being slow consumers.
    pub slow_consumers: u64,
    /// What was published and delivered in it.
    pub traffic: Counters,
}

impl Account {
    fn new(name: &str) -> Account {
        Account {
            name: name.into(),
            sublist: Sublist::default(),
            left: 0,
            clients: 0,
            slow_consumers: 0,
            traffic: Counters::default(),
        }
    }
}

/// What all messages have come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// What was published.
    pub received: Traffic,
    /// What was delivered.
    pub sent: Traffic,
}

/// All accounts. There is one at least, the global one.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: Vec<Account>,
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts {
            accounts: vec![Account::new(Accounts::GLOBAL)],
        }
    }
}

impl Accounts {
    /// The name of the account of those that name none.
    pub(crate) const GLOBAL: &str = "$G";

    /// The account of those that name none.
    pub(crate) fn global(&self) -> AccountId {
        AccountId(0)
    }

    /// The account of this name. Looks at each.
    pub(crate) fn named(&self, name: &str) -> Option<AccountId> {
        let place = self.accounts.iter().position(|one| &*one.name == name)?;
        u32::try_from(place).ok().map(AccountId)
    }

    /// Adds one.
    #[cfg(test)]
    pub(crate) fn add(&mut self, name: &str) -> AccountId {
        self.accounts.push(Account::new(name));
        AccountId(self.accounts.len() as u32 - 1)
    }

    /// All of them, the global one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// The number of each, in the same order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AccountId> {
        (0..).take(self.accounts.len()).map(AccountId)
    }

    /// Takes a number for hashes, while there is no subscription yet.
    pub(crate) fn seed(&mut self, random: u64) {
        for account in &mut self.accounts {
            if account.sublist.is_empty() {
                account.sublist = Sublist::seeded(random);
            }
        }
    }
}

impl Index<AccountId> for Accounts {
    type Output = Account;

    #[inline]
    fn index(&self, id: AccountId) -> &Account {
        &self.accounts[id.0 as usize]
    }
}

impl IndexMut<AccountId> for Accounts {
    #[inline]
    fn index_mut(&mut self, id: AccountId) -> &mut Account {
        &mut self.accounts[id.0 as usize]
    }
}

impl Core {
    /// Subscriptions there are in an account.
    pub(crate) fn subscriptions_in(&self, account: AccountId) -> usize {
        let account = &self.accounts[account];
        account.sublist.len() - account.left
    }

    /// What all messages have come to, in all accounts.
    pub(crate) fn counters(&self) -> Counters {
        let mut all = Counters::default();
        for account in self.accounts.iter() {
            all.received.add(account.traffic.received);
            all.sent.add(account.traffic.sent);
        }
        all
    }

    /// Puts a receiver into an account; answers whether it is there now. One that has subscriptions stays
    /// where those are.
    pub(crate) fn enter(&mut self, id: ReceiverId, account: AccountId) -> bool {
        let receiver = self.receiver_mut(id);
        let may_enter =
            receiver.account == account || receiver.sids.is_empty() && !receiver.is_clearing;
        if may_enter {
            let role = receiver.kind().role();
            let before = std::mem::replace(&mut receiver.account, account);
            let clients = usize::from(role == Role::Client);
            self.accounts[before].clients -= clients;
            self.accounts[account].clients += clients;
        }
        may_enter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midge_reactor::Key;

    #[test]
    fn a_receiver_enters_another_account_until_it_has_subscribed() {
        let mut core = Core::new(usize::MAX);
        let (global, other) = (core.accounts.global(), core.accounts.add("A"));
        let peer = ([127, 0, 0, 1], 1).into();
        let id = core.join(global, Key::NONE, peer, 1);
        assert!(core.enter(id, other));
        core.subscribe(id, b"a", None, b"1");
        assert_eq!(core.accounts[other].sublist.len(), 1);
        assert!(core.accounts[global].sublist.is_empty());
        assert!(core.enter(id, other) && !core.enter(id, global));
        assert_eq!(core.receiver(id).account, other);
        let clients = |account| core.accounts[account].clients;
        assert_eq!((clients(global), clients(other)), (0, 1));
        assert_eq!(core.subscriptions_in(other), 1);
    }

    #[test]
    fn an_account_is_found_by_its_name_and_the_global_one_is_there_from_the_first() {
        let accounts = Accounts::default();
        assert_eq!(accounts.named("$G"), Some(accounts.global()));
        assert_eq!(accounts.named("$g"), None);
        assert_eq!(&*accounts[accounts.global()].name, Accounts::GLOBAL);
    }
}
