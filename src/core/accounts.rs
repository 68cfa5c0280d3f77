//! `Accounts`: spaces of subjects that do not see each other, by name and by number.
//!
//! ```text
//! open ──▶ Account ──▶ kept while the settings have it, or a client, or a subscription that goes in pieces
//! ```
//!
//! Settings may have ten thousand accounts. One is opened when its first client comes, and closed when the settings
//! have it no longer and nothing is in it: so what is not used costs nothing here, and a reload looks only at what
//! was. A name is looked up when a client logs in or a request of monitoring names it; everything else holds an
//! [`AccountId`], which is the place in a list, so that a message looks nothing up.
//!
//! An account has its own sublist with its cache and version, its own counters, and its own chances in queue groups:
//! what the clients of one do cannot be told from what those of another get.

use super::Core;
use super::crossing::Border;
use super::origin::Role;
use super::random::Random;
use super::receiver::Traffic;
use super::sublist::{ReceiverId, Sublist};
use crate::mapping::Mappings;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// One of the broker's accounts. Used again when it has been closed, which it is not while anybody is in it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct AccountId(u32);

/// An account that is told apart from those that have its place later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Born {
    pub(crate) id: AccountId,
    /// Its own number, that of no account before or after.
    pub(crate) number: u64,
}

/// A space of subjects of its own.
#[derive(Debug)]
pub(crate) struct Account {
    pub name: Arc<str>,
    /// Who has subscribed to what in it.
    pub sublist: Sublist,
    /// For choices among the members of its queue groups.
    pub random: Random,
    /// Subscriptions in it whose receivers have left.
    pub left: usize,
    /// Clients that see it.
    pub clients: usize,
    /// Clients in it that were closed for being slow consumers.
    pub slow_consumers: u64,
    /// What was published and delivered in it.
    pub traffic: Counters,
    /// Whether the settings have it no longer.
    is_retired: bool,
    /// Where what is published in it goes instead.
    pub mappings: Mappings,
    /// What it has to do with others, if anything.
    pub(super) border: Option<Box<Border>>,
    /// Imports by which messages come to it.
    pub(super) reached: u32,
    /// Its own number, that of no account before or after.
    pub born: u64,
}

impl Account {
    fn new(name: Arc<str>, sublist: Sublist, random: Random) -> Account {
        Account {
            name,
            sublist,
            random,
            left: 0,
            clients: 0,
            slow_consumers: 0,
            traffic: Counters::default(),
            is_retired: false,
            mappings: Mappings::default(),
            border: None,
            reached: 0,
            born: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.is_retired && self.is_empty()
    }

    /// Whether nothing is in it, and nothing comes to it.
    fn is_empty(&self) -> bool {
        self.clients == 0 && self.reached == 0 && self.sublist.is_empty()
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

impl Counters {
    #[inline]
    pub(super) fn add(&mut self, received: Traffic, sent: Traffic) {
        self.received.add(received);
        self.sent.add(sent);
    }
}

/// All accounts that are open. There is one at least, the global one.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    /// Places in `accounts`, by name.
    places: HashTable<u32>,
    /// Places of those that were closed.
    free: Vec<u32>,
    /// How many are open and retired.
    retired: usize,
    /// How many were opened.
    opened: u64,
    /// What was published and delivered in all of them, those that were closed included.
    pub(super) traffic: Counters,
    /// Goes into the hashes and chances of each; without one hashes have a seed of their own.
    seed: Option<u64>,
}

impl Default for Accounts {
    fn default() -> Accounts {
        let mut accounts = Accounts {
            accounts: Vec::new(),
            places: HashTable::new(),
            free: Vec::new(),
            retired: 0,
            opened: 0,
            traffic: Counters::default(),
            seed: None,
        };
        accounts.open(Accounts::GLOBAL);
        accounts
    }
}

impl Accounts {
    /// The name of the account of those that name none.
    pub(crate) const GLOBAL: &str = "$G";

    /// The account of those that name none.
    pub(crate) fn global(&self) -> AccountId {
        AccountId(0)
    }

    /// The account of this name, if it is open.
    pub(crate) fn named(&self, name: &str) -> Option<AccountId> {
        let is_it = |place: &u32| &*self.accounts[*place as usize].name == name;
        let place = self.places.find(hash(name), is_it)?;
        Some(AccountId(*place))
    }

    /// An account by its own number.
    pub(crate) fn born(&self, id: AccountId) -> Born {
        let number = self[id].born;
        Born { id, number }
    }

    /// Whether an account is still open.
    pub(crate) fn is_open(&self, born: Born) -> bool {
        self[born.id].born == born.number
    }

    /// What an account is called, if it is still open.
    pub(crate) fn name_of(&self, born: Born) -> Option<&str> {
        self.is_open(born).then(|| &*self[born.id].name)
    }

    /// The account of this name, which is open from here on.
    pub(crate) fn open(&mut self, name: &str) -> AccountId {
        if let Some(id) = self.named(name) {
            return id;
        }
        self.opened += 1;
        let account = Account {
            born: self.opened,
            ..Account::new(name.into(), self.sublist(), self.random(name))
        };
        let id = match self.free.pop() {
            Some(place) => {
                self.accounts[place as usize] = account;
                AccountId(place)
            }
            None => {
                let place = u32::try_from(self.accounts.len());
                self.accounts.push(account);
                AccountId(place.expect("2^32 accounts do not fit in memory"))
            }
        };
        let accounts = &self.accounts;
        let hash_of = |place: &u32| hash(&accounts[*place as usize].name);
        self.places.insert_unique(hash(name), id.0, hash_of);
        id
    }

    /// The settings are others: those that are not `wanted` any more are closed, at once or when nothing is in
    /// them. The global one stays. Looks at `max` places from `from` on; answers where to go on.
    pub(crate) fn retain(
        &mut self,
        from: usize,
        max: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<usize> {
        let end = self.accounts.len().min(from.saturating_add(max));
        for place in from.max(1)..end {
            let account = &mut self.accounts[place];
            let is_retired = !account.name.is_empty() && !wanted(&account.name);
            let was_retired = std::mem::replace(&mut account.is_retired, is_retired);
            self.retired = self.retired + usize::from(is_retired) - usize::from(was_retired);
            if is_retired {
                self.close_if_over(AccountId(place as u32));
            }
        }
        (end < self.accounts.len()).then_some(end)
    }

    /// Something has left an account: if it was the last, gives back the memory of the account, and closes it if the
    /// settings have it no longer.
    #[inline]
    pub(super) fn close_if_over(&mut self, id: AccountId) {
        let account = &mut self[id];
        if account.is_empty() {
            match account.is_retired {
                true => self.close(id),
                false => account.sublist.give_back(),
            }
        }
    }

    #[cold]
    fn close(&mut self, id: AccountId) {
        let none = Account::new("".into(), Sublist::seeded(0), Random::seeded(0));
        let over = std::mem::replace(&mut self[id], none);
        let found = self.places.find_entry(hash(&over.name), |one| *one == id.0);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.retired -= 1;
        self.free.push(id.0);
    }

    /// Counts what was delivered in an account of what has come to it from another one.
    pub(super) fn count_sent(&mut self, id: AccountId, sent: Traffic) {
        self[id].traffic.sent.add(sent);
        self.traffic.sent.add(sent);
    }

    /// Adds one.
    #[cfg(test)]
    pub(crate) fn add(&mut self, name: &str) -> AccountId {
        self.open(name)
    }

    /// All that are open, the global one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.ids().map(|id| &self[id])
    }

    /// The number of each, in the same order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AccountId> {
        let all = (0_u32..).zip(&self.accounts);
        // One that was closed has no name.
        all.filter(|(_, account)| !account.name.is_empty())
            .map(|(place, _)| AccountId(place))
    }

    /// The first from a place on that is open, and the place to go on from.
    pub(crate) fn open_from(&self, place: usize) -> Option<(AccountId, usize)> {
        let rest = self.accounts.get(place..)?;
        let found = rest.iter().position(|account| !account.name.is_empty())?;
        let place = place + found;
        Some((AccountId(u32::try_from(place).ok()?), place + 1))
    }

    /// Takes a number for hashes and chances, while there is no subscription yet.
    pub(crate) fn seed(&mut self, random: u64) {
        self.seed = Some(random);
        for place in 0..self.accounts.len() {
            let account = &self.accounts[place];
            if account.sublist.is_empty() {
                let (sublist, random) = (self.sublist(), self.random(&account.name));
                let account = &mut self.accounts[place];
                (account.sublist, account.random) = (sublist, random);
            }
        }
    }

    fn sublist(&self) -> Sublist {
        self.seed.map_or_else(Sublist::default, Sublist::seeded)
    }

    /// Chances that depend on the account alone, and not on when it was opened.
    fn random(&self, name: &str) -> Random {
        let seed = self.seed.unwrap_or(1);
        Random::seeded(match name {
            Accounts::GLOBAL => seed,
            name => FixedState::with_seed(seed).hash_one(name),
        })
    }

    /// What is counted of those that are open is right.
    pub(super) fn invariants(&self) {
        assert_eq!(self.places.len() + self.free.len(), self.accounts.len());
        let retired = self.iter().filter(|one| one.is_retired).count();
        assert_eq!(retired, self.retired);
        for account in self.iter() {
            assert!(!account.is_over(), "{:?} is to be closed", account.name);
        }
    }
}

/// Names come from the settings: no client chooses them so that they fall together.
fn hash(name: &str) -> u64 {
    FixedState::default().hash_one(name)
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
        self.accounts.traffic
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
            self.accounts.close_if_over(before);
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
    fn an_account_that_the_settings_have_no_longer_is_closed_when_nothing_is_in_it() {
        let mut core = Core::new(usize::MAX);
        let peer = ([127, 0, 0, 1], 1).into();
        let (stays, goes) = (core.accounts.open("stays"), core.accounts.open("goes"));
        let id = core.join(goes, Key::new(1, 1), peer, 1);
        // More than are removed at once.
        for sid in 0..5000 {
            core.subscribe(id, b"a", None, format!("{sid}").as_bytes());
        }
        core.count(id, Traffic::of(3, 5), Traffic::default());
        // In pieces, of which one begins with none and another ends in the middle.
        let retain = |core: &mut Core, wanted: fn(&str) -> bool| {
            let mut next = Some(0);
            while let Some(from) = next {
                next = core.accounts.retain(from, 2, wanted);
            }
        };
        retain(&mut core, |name| name == "stays");
        assert_eq!(core.accounts.named("goes"), Some(goes));
        core.leave(id);
        assert_eq!(core.accounts.named("goes"), Some(goes));
        core.invariants();
        while core.clear_a_piece() {}
        assert_eq!(core.accounts.named("goes"), None);
        assert_eq!(core.counters().received, Traffic::of(3, 5));
        core.invariants();
        // Its place is used again, for one that has nothing of it.
        let comes = core.accounts.open("comes");
        assert_eq!(comes, goes);
        assert_eq!(core.accounts[comes].traffic.received, Traffic::default());
        assert_eq!(core.accounts.named("stays"), Some(stays));
        // The global one is never closed, nor one that is wanted again before its last client has gone.
        core.join(comes, Key::new(2, 1), peer, 2);
        retain(&mut core, |_| false);
        retain(&mut core, |name| name == "comes");
        core.invariants();
        let names: Vec<&str> = core.accounts.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["$G", "comes"]);
    }

    #[test]
    fn an_account_that_is_empty_takes_less_than_a_kibibyte_also_when_it_was_full() {
        let mut core = Core::new(usize::MAX);
        let account = core
            .accounts
            .open("an account with a name of forty letters!");
        let peer = ([127, 0, 0, 1], 1).into();
        let bytes = |core: &Core| {
            let one = &core.accounts[account];
            let sublist = one.sublist.bytes() + one.sublist.cache_bytes();
            // Its place in the list, which may be twice as long, the name, and its place by name.
            size_of::<Account>() + sublist + one.name.len() + 2 * size_of::<usize>() + 16
        };
        assert!(bytes(&core) <= 1024, "{} bytes", bytes(&core));
        let id = core.join(account, Key::new(1, 1), peer, 1);
        for sid in 0..3000 {
            let subject = format!("a.{sid}.{}", if sid % 2 == 0 { "*" } else { "b" });
            core.subscribe(
                id,
                subject.as_bytes(),
                Some(b"q"),
                format!("{sid}").as_bytes(),
            );
        }
        // It publishes, and subjects that come back are cached.
        let mut found = Vec::new();
        for number in 0..10_000 {
            let subject = format!("a.{}.c", number % 1000);
            core.sublist(account)
                .matches(subject.as_bytes(), &mut found);
        }
        assert!(core.accounts[account].sublist.cache_bytes() > 64 * 1024);
        for sid in 0..3000 {
            let subscription = core.subscription_of(id, format!("{sid}").as_bytes());
            core.unsubscribe(id, subscription.expect("it is there"));
        }
        // Some come and go, and it stays connected.
        for _ in 0..3 {
            core.subscribe(id, b"a.*", None, b"1");
            core.subscribe(id, b"a", Some(b"q"), b"2");
            for sid in [b"1", b"2"] {
                let subscription = core.subscription_of(id, sid).expect("it is there");
                core.unsubscribe(id, subscription);
            }
        }
        core.invariants();
        let kept = bytes(&core);
        assert!(kept <= 2048, "{kept} bytes");
        core.leave(id);
        while core.clear_a_piece() {}
        assert!(bytes(&core) <= 1024, "{} bytes", bytes(&core));
    }

    #[test]
    fn the_chances_of_an_account_do_not_depend_on_when_it_was_opened() {
        let first = |names: &[&str]| {
            let mut accounts = Accounts::default();
            accounts.seed(7);
            let ids: Vec<AccountId> = names.iter().map(|name| accounts.open(name)).collect();
            let global = accounts.global();
            let mut random = |id: AccountId| accounts[id].random.below(usize::MAX);
            (random(global), random(ids[0]))
        };
        assert_eq!(first(&["A", "B"]), first(&["A"]));
        assert_ne!(first(&["A"]).1, first(&["B"]).1);
        assert_ne!(first(&["A"]).0, first(&["A"]).1);
    }

    #[test]
    fn an_account_is_found_by_its_name_and_the_global_one_is_there_from_the_first() {
        let accounts = Accounts::default();
        assert_eq!(accounts.named("$G"), Some(accounts.global()));
        assert_eq!(accounts.named("$g"), None);
        assert_eq!(&*accounts[accounts.global()].name, Accounts::GLOBAL);
    }
}
