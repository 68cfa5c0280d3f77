//! `/accstatz`: what the accounts do. There is one.

use super::Made;
use crate::core::accounts::Accounts;
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

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Made, Mistake> {
    let unused = query.switch("unused")?;
    let statz = accstatz(view);
    let is_wanted = unused || statz.conns > 0;
    Ok(Made::json(&Accstatz {
        server_id: view.server_id(),
        now: view.now(),
        account_statz: is_wanted.then_some(statz).into_iter().collect(),
    }))
}

/// What the account does.
pub(super) fn accstatz<'a>(view: &View<'a>) -> Statz<'a> {
    let stats = view.state.stats();
    Statz {
        acc: Accounts::GLOBAL,
        name: Accounts::GLOBAL,
        conns: stats.clients,
        leafnodes: 0,
        total_conns: stats.clients,
        num_subscriptions: stats.subscriptions,
        sent: Counts::of(stats.sent),
        received: Counts::of(stats.received),
        slow_consumers: stats.slow_consumers,
    }
}
