//! `/subsz`: the subscriptions, and what the sublist does.
//!
//! `total` counts all that match, as in later releases of nats-server; in 2.9 it was the length of the
//! page, which does not tell whether there is another.
//!
//! Three walks, each in pieces: over the subscriptions, to count those that match and find the page;
//! over the sets and the cache, for their sizes; over the page, to write it.

use super::Content;
use super::detail::Detail;
use crate::core::accounts::AccountId;
use crate::core::sublist::{SubId, Sublist};
use crate::monitor::query::{Mistake, Page, Query, Subscriptions};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use memchr::memmem::Finder;
use midge_protocol::subject;
use serde::Serialize;

/// What writing one subscription costs, in places looked at.
const WRITING: usize = 4;

/// What a sublist has and has done.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SublistStats {
    num_subscriptions: usize,
    /// Subjects of which the cache knows what they reach.
    num_cache: usize,
    num_inserts: u64,
    num_removes: u64,
    /// Messages published: each is matched.
    num_matches: u64,
    /// The share of them for which no subject had to be looked for in the trie.
    cache_hit_rate: f64,
    /// Copies of a message to the subject that most have subscribed to.
    max_fanout: usize,
    /// Copies of a message to a subject, over all that are subscribed to.
    avg_fanout: f64,
}

/// A walk over what has sizes in some accounts, in pieces.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// How many accounts are done.
    done: usize,
    /// The next place of the sets, then of the cache.
    set: usize,
    pair: usize,
    sets: usize,
    copies: usize,
    copies_max: usize,
    cached: usize,
}

impl Walk {
    /// Goes on; answers whether it is at its end.
    pub(super) fn go_on(
        &mut self,
        view: &View<'_>,
        accounts: &[AccountId],
        budget: &mut Budget,
    ) -> bool {
        while let Some(account) = accounts.get(self.done) {
            let sublist = &view.state.core.accounts[*account].sublist;
            if !self.look_at(sublist, budget) {
                return false;
            }
            (self.set, self.pair) = (0, 0);
            self.done += 1;
        }
        true
    }

    fn look_at(&mut self, sublist: &Sublist, budget: &mut Budget) -> bool {
        while self.set < sublist.set_places() {
            if !budget.take() {
                return false;
            }
            if let Some(set) = sublist.set_at(self.set) {
                let copies = set.plain().len() + set.groups().len();
                self.sets += 1;
                self.copies += copies;
                self.copies_max = self.copies_max.max(copies);
            }
            self.set += 1;
        }
        while self.pair < sublist.cache_places() {
            if !budget.take() {
                return false;
            }
            self.cached += sublist.cached_at(self.pair);
            self.pair += 1;
        }
        true
    }

    /// The statistics, with what the walk has found.
    pub(super) fn stats(&self, view: &View<'_>, accounts: &[AccountId]) -> SublistStats {
        let core = &view.state.core;
        let sum = |of: &dyn Fn(AccountId) -> u64| accounts.iter().map(|one| of(*one)).sum::<u64>();
        let matches = sum(&|one| core.accounts[one].traffic.received.messages);
        let subscriptions = sum(&|one| core.subscriptions_in(one) as u64);
        let inserts = sum(&|one| core.accounts[one].sublist.inserts());
        let searches = sum(&|one| core.accounts[one].sublist.searches());
        let share = |part: u64, all: u64| {
            if all == 0 {
                0.0
            } else {
                part as f64 / all as f64
            }
        };
        SublistStats {
            num_subscriptions: subscriptions as usize,
            num_cache: self.cached,
            num_inserts: inserts,
            num_removes: inserts - subscriptions,
            num_matches: matches,
            cache_hit_rate: share(matches.saturating_sub(searches), matches),
            max_fanout: self.copies_max,
            avg_fanout: share(self.copies as u64, self.sets as u64),
        }
    }
}

/// The fields in front of the list. Without `subs` only those of the statistics.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    server_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Timestamp>,
    #[serde(flatten)]
    stats: SublistStats,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    let lists = query.subscriptions()? != Subscriptions::None;
    let page = query.page()?;
    let test = query.text("test").map(String::into_bytes);
    if let Some(test) = &test
        && !subject::is_literal_form(test)
    {
        return Err(format!(
            "invalid test subject, must be valid publish subject: {}",
            String::from_utf8_lossy(test)
        ));
    }
    let find = query.text("find").map(String::into_bytes);
    let find = find.map(|text| Finder::new(&text).into_owned());
    let account = query.text("acc");
    Ok(Content::Pieces(Box::new(Subsz {
        accounts: view.accounts(account.as_deref()),
        account,
        lists,
        page,
        test,
        find,
        looked_at: 0,
        next: 0,
        total: 0,
        found: Vec::new(),
        walk: Walk::default(),
        written: None,
    })))
}

struct Subsz {
    /// The accounts asked for.
    accounts: Vec<AccountId>,
    /// The name of the one that is, if it is one.
    account: Option<String>,
    lists: bool,
    page: Page,
    test: Option<Vec<u8>>,
    /// What must stand somewhere in the subject.
    find: Option<Finder<'static>>,
    /// How many of them were looked at, and the next place in the one after.
    looked_at: usize,
    next: usize,
    /// How many match.
    total: usize,
    /// Those of the page.
    found: Vec<(AccountId, SubId)>,
    walk: Walk,
    /// How many of the page are written, once the head is; and whether any was.
    written: Option<(usize, bool)>,
}

impl Pieces for Subsz {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        if !self.look(view, budget) || !self.walk.go_on(view, &self.accounts, budget) {
            return true;
        }
        let (mut place, mut any) = match self.written {
            Some(written) => written,
            None => {
                let head = self.head(view);
                if !self.lists {
                    json::put(out, &head, 0);
                    return false;
                }
                json::put_open(out, &head, 0);
                json::begin_list(out, "subscriptions_list", 0);
                (0, false)
            }
        };
        while let Some((account, id)) = self.found.get(place) {
            if !budget.spend(WRITING) {
                self.written = Some((place, any));
                return true;
            }
            if let Some(detail) = Detail::of(view, *account, *id) {
                json::put_element(out, !any, &detail, 0);
                budget.spend_bytes(detail.subject.len() + detail.sid.len());
                any = true;
            }
            place += 1;
        }
        json::end_list(out, !any, 0);
        json::end_object(out, 0);
        false
    }

    fn bytes(&self) -> usize {
        self.found.capacity() * size_of::<(AccountId, SubId)>()
    }
}

impl Subsz {
    fn head<'a>(&self, view: &View<'a>) -> Head<'a> {
        let lists = self.lists;
        Head {
            server_id: lists.then(|| view.server_id()),
            now: lists.then(|| view.now()),
            stats: self.walk.stats(view, &self.accounts),
            total: lists.then_some(self.total),
            offset: lists.then_some(self.page.offset),
            limit: lists.then_some(self.page.limit),
        }
    }

    fn is_wanted(&self, subject: &[u8]) -> bool {
        let (test, find) = (self.test.as_deref(), self.find.as_ref());
        test.is_none_or(|test| subject::matches(subject, test))
            && find.is_none_or(|find| find.find(subject).is_some())
    }

    /// Looks for the page; answers whether that is done.
    fn look(&mut self, view: &View<'_>, budget: &mut Budget) -> bool {
        if !self.lists {
            return true;
        }
        while let Some(account) = self.accounts.get(self.looked_at).copied() {
            if !self.look_at(account, view, budget) {
                return false;
            }
            self.next = 0;
            self.looked_at += 1;
        }
        true
    }

    fn look_at(&mut self, account: AccountId, view: &View<'_>, budget: &mut Budget) -> bool {
        let sublist = &view.state.core.accounts[account].sublist;
        let is_left = |id: SubId| {
            let receiver = sublist.subscription(id).receiver;
            view.state.core.receiver(receiver).is_clearing
        };
        // Its place may be that of another account since the answer was begun.
        let wanted = self.account.as_deref();
        if wanted.is_some_and(|name| name != view.account_name(account)) {
            return true;
        }
        while self.next < sublist.places() {
            if !budget.take() {
                return false;
            }
            if let Some(id) = sublist.id_at(self.next)
                && self.is_wanted(sublist.subject(id))
                && !is_left(id)
            {
                if (self.page.offset..self.page.end()).contains(&self.total) {
                    self.found.push((account, id));
                }
                self.total += 1;
            }
            self.next += 1;
        }
        true
    }
}
