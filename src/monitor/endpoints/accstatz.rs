//! `/accstatz`: what the accounts do.

use super::{Content, figures};
use crate::core::accounts::AccountId;
use crate::core::receiver::Traffic;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Accstatz<'a> {
    server_id: &'a str,
    now: Timestamp,
}

/// What one account does.
#[derive(Default, Serialize)]
pub(in crate::monitor) struct Statz<'a> {
    pub(super) acc: &'a str,
    /// What people call it, which nats-server 2.10 does not tell.
    pub(super) name: &'a str,
    pub(super) conns: usize,
    pub(super) leafnodes: usize,
    pub(super) total_conns: usize,
    pub(super) num_subscriptions: usize,
    pub(super) sent: Counts,
    pub(super) received: Counts,
    pub(super) slow_consumers: u64,
}

#[derive(Default, Serialize)]
pub(super) struct Counts {
    pub(super) msgs: u64,
    pub(super) bytes: u64,
    gateways: Part,
    routes: Part,
    leafs: Part,
}

#[derive(Default, Serialize)]
struct Part {
    msgs: u64,
    bytes: u64,
}

impl Counts {
    fn of(traffic: Traffic) -> Counts {
        Counts {
            msgs: traffic.messages,
            bytes: traffic.bytes,
            gateways: Part::default(),
            routes: Part::default(),
            leafs: Part::default(),
        }
    }
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    let unused = query.switch("unused")?;
    // Of midge alone.
    let limit = query.positive("limit")?.unwrap_or(usize::MAX);
    let only = query.text("acc");
    let is_asked = |name: &&str| only.as_deref().is_none_or(|only| only == *name);
    let names = view.account_names().into_iter().filter(is_asked);
    Ok(Content::Pieces(Box::new(Accounts {
        names: names.map(Into::into).collect(),
        next: None,
        written: 0,
        limit,
        unused,
    })))
}

/// Work that it is to write the figures of one account, in places of a piece.
const WRITING: usize = 8;

/// The figures of all accounts, on their way.
struct Accounts {
    names: Vec<Box<str>>,
    /// The account that comes next, once the head is written.
    next: Option<usize>,
    written: usize,
    /// Most that are told.
    limit: usize,
    /// Whether those are told too that have no connections.
    unused: bool,
}

impl Pieces for Accounts {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let mut next = self.next.unwrap_or_else(|| {
            let head = Accstatz {
                server_id: view.server_id(),
                now: view.now(),
            };
            json::put_open(out, &head, 0);
            json::begin_list(out, "account_statz", 0);
            0
        });
        while let Some(name) = self.names.get(next).filter(|_| self.written < self.limit) {
            if !budget.take() {
                self.next = Some(next);
                return true;
            }
            let statz = figures(view, name);
            if self.unused || statz.conns > 0 {
                json::put_element(out, self.written == 0, &statz, 0);
                self.written += 1;
                budget.spend(WRITING);
            }
            next += 1;
        }
        json::end_list(out, self.written == 0, 0);
        json::end_object(out, 0);
        false
    }

    fn bytes(&self) -> usize {
        self.names.iter().map(|name| name.len() + 16).sum()
    }
}

impl<'a> Statz<'a> {
    /// That of an account in which no client has come.
    pub(super) fn unused(view: &View<'a>, name: &'a str) -> Statz<'a> {
        Statz {
            acc: name,
            name: view.title(name),
            ..Statz::default()
        }
    }

    /// What it does together with another one.
    pub(super) fn add(&mut self, other: &Statz<'_>) {
        self.conns += other.conns;
        self.leafnodes += other.leafnodes;
        self.total_conns += other.total_conns;
        self.num_subscriptions += other.num_subscriptions;
        for (all, one) in [
            (&mut self.sent, &other.sent),
            (&mut self.received, &other.received),
        ] {
            all.msgs += one.msgs;
            all.bytes += one.bytes;
        }
        self.slow_consumers += other.slow_consumers;
    }
}

/// What an account does.
pub(super) fn accstatz<'a>(view: &View<'a>, account: AccountId) -> Statz<'a> {
    let counted = counted(view, account);
    Statz {
        name: view.title(counted.acc),
        ..counted
    }
}

/// The same without a look at what people call it, for those who add up very many.
pub(super) fn counted<'a>(view: &View<'a>, account: AccountId) -> Statz<'a> {
    let core = &view.state.core;
    let one = &core.accounts[account];
    Statz {
        acc: &one.name,
        name: &one.name,
        conns: one.clients,
        leafnodes: 0,
        total_conns: one.clients,
        num_subscriptions: core.subscriptions_in(account),
        sent: Counts::of(one.traffic.sent),
        received: Counts::of(one.traffic.received),
        slow_consumers: one.slow_consumers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::endpoints::accountz;
    use crate::monitor::view::fake;
    use midge_reactor::Key;
    use serde_json::Value;

    fn json(view: &View<'_>, content: Result<Content, Mistake>) -> Value {
        let text = match content.expect("the query makes sense") {
            Content::Json(text) => text,
            Content::Pieces(pieces) => fake::all(view, pieces).0.into_bytes(),
            _ => panic!("it is JSON"),
        };
        serde_json::from_slice(&text).expect("it is JSON")
    }

    #[test]
    fn each_account_is_told_its_own_figures_only() {
        let (mut state, records) = fake::broker();
        let other = state.core.accounts.add("A");
        let global = state.core.accounts.global();
        let peer = ([10, 0, 0, 1], 1).into();
        for (cid, account) in [(1, global), (2, global), (3, other)] {
            let id = state.core.join(account, Key::NONE, peer, cid);
            state.core.subscribe(id, b"a", None, b"1");
        }
        state.counts.slow_consumers = 5;
        state.core.accounts[other].slow_consumers = 1;
        let view = fake::view(&state, &records);
        let statz = json(&view, answer(&view, &Query::new("unused=1")));
        let figures = statz["account_statz"].as_array().expect("a list").iter();
        let figures = figures.map(|one| [&one["conns"], &one["slow_consumers"]].map(Value::as_u64));
        let expected = [[Some(2), Some(0)], [Some(1), Some(1)]];
        assert_eq!(figures.collect::<Vec<_>>(), expected);
        let one = json(&view, answer(&view, &Query::new("limit=1")));
        assert_eq!(one["account_statz"].as_array().map(Vec::len), Some(1));
        for (name, count) in [("$G", 2), ("A", 1)] {
            let query = format!("acc={name}");
            let one = accountz::answer(&view, &Query::new(&query));
            let detail = &json(&view, one)["account_detail"];
            assert_eq!(detail["client_connections"], count, "{name}");
            assert_eq!(detail["subscriptions"], count, "{name}");
        }
    }
}
