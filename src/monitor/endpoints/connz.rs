//! `/connz`: the connections, open and closed.
//!
//! First all are looked at: those that match are counted, and the best of them by the order asked for
//! are kept, in a tree that never grows beyond the end of the page. Then the page is written, one
//! connection after the other. A connection that closes meanwhile is told as it was when it did.

mod filter;
mod row;

use super::Content;
use super::detail::Detail;
use crate::core::sublist::SubId;
use crate::monitor::query::{Mistake, Query, Subscriptions};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use filter::{Filter, Rank};
use jiff::Timestamp;
use midge_reactor::Key;
use row::{Connection, Row};
use serde::Serialize;
use std::collections::BTreeSet;
use std::vec;

/// What writing one connection costs, in places looked at, and one of its subscriptions.
const WRITING: usize = 16;
const LISTING: usize = 4;

/// Which connection, so that it can be found again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Which {
    Open(u64),
    /// By its number in the ring.
    Closed(u64),
}

#[derive(Serialize)]
struct Head<'a> {
    server_id: &'a str,
    now: Timestamp,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
}

pub(super) fn answer(query: &Query<'_>) -> Result<Content, Mistake> {
    Ok(Content::Pieces(Box::new(Connz::of(Filter::of(query)?))))
}

/// The answer, as far as it is.
pub(super) struct Connz {
    filter: Filter,
    total: usize,
    /// The first of those that match, by their order.
    best: BTreeSet<(Rank, Which)>,
    stage: Stage,
    /// The open connections that were told of since they were last taken, where that is asked for.
    told: Option<Vec<Key>>,
}

enum Stage {
    /// Looking at the open ones, from this cid on.
    Open {
        next: u64,
    },
    /// Looking at the closed ones, from this number on.
    Closed {
        next: u64,
    },
    /// Writing.
    Page {
        rest: vec::IntoIter<Which>,
        is_first: bool,
    },
    /// Writing the subscriptions of an open one.
    Subscriptions {
        rest: vec::IntoIter<Which>,
        /// Whose they are.
        cid: u64,
        ids: vec::IntoIter<SubId>,
        is_first: bool,
    },
    Over,
}

/// How deep the objects of connections stand.
const DEPTH: usize = 2;

impl Pieces for Connz {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            let (stage, goes_on) = match stage {
                Stage::Open { next } => self.look_at_open(view, budget, next),
                Stage::Closed { next } => self.look_at_closed(view, budget, next, out),
                Stage::Page { rest, is_first } => self.write(view, budget, rest, is_first, out),
                Stage::Subscriptions {
                    rest,
                    cid,
                    ids,
                    is_first,
                } => self.list(view, budget, (rest, cid, ids, is_first), out),
                Stage::Over => return false,
            };
            self.stage = stage;
            if !goes_on {
                return true;
            }
        }
    }

    fn bytes(&self) -> usize {
        let page = |rest: &vec::IntoIter<Which>| rest.len() * size_of::<Which>();
        let stage = match &self.stage {
            Stage::Open { .. } | Stage::Closed { .. } | Stage::Over => 0,
            Stage::Page { rest, .. } => page(rest),
            Stage::Subscriptions { rest, ids, .. } => page(rest) + ids.len() * size_of::<SubId>(),
        };
        self.best.len() * size_of::<(Rank, Which)>() + stage
    }
}

impl Connz {
    fn of(filter: Filter) -> Connz {
        Connz {
            filter,
            total: 0,
            best: BTreeSet::new(),
            stage: Stage::Open { next: 0 },
            told: None,
        }
    }

    /// The answer about open connections alone; whom it tells of can be [taken](Connz::take_told).
    pub(super) fn of_open(query: &Query<'_>) -> Result<Connz, Mistake> {
        let mut filter = Filter::of(query)?;
        (filter.open, filter.closed) = (true, false);
        Ok(Connz {
            told: Some(Vec::new()),
            ..Connz::of(filter)
        })
    }

    /// The open connections that were told of since this was last asked.
    pub(super) fn take_told(&mut self) -> Vec<Key> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn look_at_open(&mut self, view: &View<'_>, budget: &mut Budget, next: u64) -> (Stage, bool) {
        let closed = Stage::Closed { next: 0 };
        if !self.filter.open || !self.is_known(view) {
            return (closed, true);
        }
        let next = self.filter.cid.unwrap_or(next).max(next);
        for (cid, presence) in view.records.present.range(next..) {
            if !budget.take() {
                return (Stage::Open { next: *cid }, false);
            }
            if self.filter.cid.is_some_and(|wanted| wanted != *cid) {
                break;
            }
            let receiver = view.state.core.receiver(presence.receiver);
            let row = Row::of_present(view, *cid, presence, receiver);
            self.consider(&row, Which::Open(*cid));
        }
        (closed, true)
    }

    fn look_at_closed(
        &mut self,
        view: &View<'_>,
        budget: &mut Budget,
        mut next: u64,
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        let is_known = self.is_known(view);
        // One that was found among the open ones is not among these.
        if self.filter.closed && is_known && !(self.filter.cid.is_some() && self.total > 0) {
            while let Some((number, closed)) = view.records.closed.at_or_after(next) {
                if !budget.take() {
                    return (Stage::Closed { next: number }, false);
                }
                self.consider(&Row::of_closed(closed), Which::Closed(number));
                next = number + 1;
            }
        }
        let best = std::mem::take(&mut self.best);
        let page: Vec<Which> = best
            .into_iter()
            .skip(self.filter.page.offset)
            .map(|(_, which)| which)
            .collect();
        let head = Head {
            server_id: if is_known { view.server_id() } else { "" },
            now: view.now(),
            num_connections: page.len(),
            total: self.total,
            offset: self.filter.page.offset,
            limit: self.filter.page.limit,
        };
        json::put_open(out, &head, 0);
        json::begin_list(out, "connections", 0);
        budget.spend(page.len() / WRITING);
        let rest = page.into_iter();
        let is_first = true;
        (Stage::Page { rest, is_first }, true)
    }

    /// Whether the account whose connections are asked for is one, if there is one.
    fn is_known(&self, view: &View<'_>) -> bool {
        let name = self.filter.account.as_deref();
        name.is_none_or(|name| view.has_account(name))
    }

    fn consider(&mut self, row: &Row<'_>, which: Which) {
        if !self.filter.includes(row) {
            return;
        }
        self.total += 1;
        self.best.insert((self.filter.sort.rank(row), which));
        if self.best.len() > self.filter.page.end() {
            self.best.pop_last();
        }
    }

    fn write(
        &mut self,
        view: &View<'_>,
        budget: &mut Budget,
        mut rest: vec::IntoIter<Which>,
        mut is_first: bool,
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        loop {
            let Some(which) = rest.as_slice().first().copied() else {
                json::end_list(out, is_first, 0);
                json::end_object(out, 0);
                return (Stage::Over, true);
            };
            if !budget.spend(WRITING) {
                return (Stage::Page { rest, is_first }, false);
            }
            rest.next();
            let records = view.records;
            let (cid, closed) = match which {
                Which::Open(cid) => match records.present.get(&cid) {
                    Some(presence) => {
                        let receiver = view.state.core.receiver(presence.receiver);
                        let row = Row::of_present(view, cid, presence, receiver);
                        json::begin_element(out, is_first, 0);
                        is_first = false;
                        self.write_one(view, &row, out);
                        if let Some(told) = &mut self.told {
                            told.push(presence.key);
                        }
                        budget.spend_bytes(row.identity.bytes());
                        if self.filter.subscriptions == Subscriptions::None
                            || receiver.sids.is_empty()
                        {
                            json::end_object(out, DEPTH);
                            continue;
                        }
                        // In one go: of a client with a million, 4 MB are copied.
                        let ids = receiver.sids.first(usize::MAX);
                        budget.spend(ids.len() / 64);
                        self.begin_subscriptions(out);
                        let ids = ids.into_iter();
                        let is_first = true;
                        return (
                            Stage::Subscriptions {
                                rest,
                                cid,
                                ids,
                                is_first,
                            },
                            true,
                        );
                    }
                    None => (cid, records.closed.find(cid)),
                },
                Which::Closed(number) => (0, records.closed.get(number)),
            };
            let Some(closed) = closed else { continue };
            let mut row = Row::of_closed(closed);
            if cid > 0 {
                // It was open when the page was made.
                row.reason = None;
            }
            json::begin_element(out, is_first, 0);
            is_first = false;
            self.write_one(view, &row, out);
            budget.spend_bytes(row.identity.bytes());
            if self.filter.subscriptions != Subscriptions::None && !closed.listed.is_empty() {
                self.begin_subscriptions(out);
                for (number, listed) in closed.listed.iter().enumerate() {
                    let detail = Detail::of_listed(listed, &closed.account, closed.cid);
                    self.list_closed(&detail, number == 0, out);
                    budget.spend(LISTING);
                    budget.spend_bytes(listed.subject.len() + listed.sid.len());
                }
                json::end_list(out, false, DEPTH);
            }
            json::end_object(out, DEPTH);
        }
    }

    fn write_one(&self, view: &View<'_>, row: &Row<'_>, out: &mut Vec<u8>) {
        json::put_open(out, &Connection::of(view, row, self.filter.auth), DEPTH);
    }

    fn begin_subscriptions(&self, out: &mut Vec<u8>) {
        let name = match self.filter.subscriptions {
            Subscriptions::Detail => "subscriptions_list_detail",
            _ => "subscriptions_list",
        };
        json::begin_list(out, name, DEPTH);
    }

    fn list(
        &self,
        view: &View<'_>,
        budget: &mut Budget,
        at: (vec::IntoIter<Which>, u64, vec::IntoIter<SubId>, bool),
        out: &mut Vec<u8>,
    ) -> (Stage, bool) {
        let (rest, cid, mut ids, mut is_first) = at;
        while let Some(id) = ids.as_slice().first().copied() {
            if !budget.spend(LISTING) {
                let stage = Stage::Subscriptions {
                    rest,
                    cid,
                    ids,
                    is_first,
                };
                return (stage, false);
            }
            ids.next();
            let Some(presence) = view.records.present.get(&cid) else {
                break;
            };
            // One that has ended meanwhile may be another's now.
            let owner = presence.receiver;
            let account = view.state.core.receiver(owner).account;
            let detail = Detail::of(view, account, id);
            let Some(mut detail) = detail.filter(|one| one.receiver == owner) else {
                continue;
            };
            detail.account = "";
            match self.filter.subscriptions {
                Subscriptions::Detail => json::put_element(out, is_first, &detail, DEPTH),
                _ => json::put_element(out, is_first, &detail.subject, DEPTH),
            }
            budget.spend_bytes(detail.subject.len() + detail.sid.len());
            is_first = false;
        }
        json::end_list(out, is_first, DEPTH);
        json::end_object(out, DEPTH);
        let is_first = false;
        (Stage::Page { rest, is_first }, true)
    }

    fn list_closed(&self, detail: &Detail<'_>, is_first: bool, out: &mut Vec<u8>) {
        match self.filter.subscriptions {
            Subscriptions::Subjects => json::put_element(out, is_first, &detail.subject, DEPTH),
            _ => json::put_element(out, is_first, detail, DEPTH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::receiver::Label;
    use crate::door::{Door, Peer};
    use crate::monitor::view::fake;
    use crate::records::presence::Identity;
    use midge_reactor::{Key, Time};

    #[test]
    fn fifty_thousand_connections_are_told_in_small_pieces() {
        const COUNT: u64 = 50_000;
        let (mut state, mut records) = fake::broker();
        let peer = Peer::from(([10, 0, 0, 1], 1));
        let account = state.core.accounts.global();
        for cid in 1..=COUNT {
            let id = state.core.join(account, Key::NONE, peer, cid);
            let (door, identity) = (Door::Main, Identity::default());
            let label = Label { peer, cid, door };
            records.arrived(label, Key::NONE, id, identity, Time::ZERO);
        }
        let view = fake::view(&state, &records);
        // Query, connections told, pieces: all are looked at a thousand a piece, and written as many
        // as a piece has room for.
        for (query, told, pieces) in [
            ("", 1024, 50 + 16),
            ("limit=1", 1, 50),
            ("limit=100000", 50_000, 50 + 790),
            ("limit=100000&sort=rtt&auth=1&subs=detail", 50_000, 50 + 790),
            ("cid=49999", 1, 1),
        ] {
            let made = answer(&Query::new(query)).expect("it makes sense");
            let Content::Pieces(connz) = made else {
                panic!("it is made in pieces");
            };
            let (text, longest, count) = fake::all(&view, connz);
            let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(
                parsed["connections"].as_array().map(Vec::len),
                Some(told),
                "{query}"
            );
            assert!(longest <= 64 * 1024, "{query}: a piece of {longest} bytes");
            assert!(count.abs_diff(pieces) <= 4, "{query}: {count} pieces");
        }
    }
}
