//! `/accstatz`: what the accounts do.

use super::Content;
use crate::core::accounts::AccountId;
use crate::core::receiver::Traffic;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Accstatz<'a> {
    server_id: &'a str,
    now: Timestamp,
    account_statz: Vec<Statz<'a>>,
}

/// What one account does.
#[derive(Serialize)]
pub(super) struct Statz<'a> {
    pub(super) acc: &'a str,
    pub(super) name: &'a str,
    pub(super) conns: usize,
    pub(super) leafnodes: usize,
    pub(super) total_conns: usize,
    pub(super) num_subscriptions: usize,
    pub(super) sent: Counts,
    pub(super) received: Counts,
    pub(super) slow_consumers: u64,
}

#[derive(Serialize)]
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
    let accounts = view.accounts(None).into_iter();
    let statz = accounts.map(|account| accstatz(view, account));
    let is_wanted = |statz: &Statz<'_>| unused || statz.conns > 0;
    Ok(Content::json(&Accstatz {
        server_id: view.server_id(),
        now: view.now(),
        account_statz: statz.filter(is_wanted).collect(),
    }))
}

/// What an account does. Slow consumers are counted for all accounts together.
pub(super) fn accstatz<'a>(view: &View<'a>, account: AccountId) -> Statz<'a> {
    let core = &view.state.core;
    let one = &core.accounts[account];
    Statz {
        acc: &one.name,
        name: &one.name,
        conns: one.receivers,
        leafnodes: 0,
        total_conns: one.receivers,
        num_subscriptions: core.subscriptions_in(account),
        sent: Counts::of(one.traffic.sent),
        received: Counts::of(one.traffic.received),
        slow_consumers: view.state.stats.slow_consumers,
    }
}
