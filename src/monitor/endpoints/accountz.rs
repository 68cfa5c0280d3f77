//! `/accountz`: the accounts, or one of them. There is one.

use super::Made;
use super::subsz::{SublistStats, Walk};
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use crate::state::{GLOBAL, account_name};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Accountz<'a> {
    server_id: &'a str,
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<Detail<'a>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    account_name: &'a str,
    update_time: Timestamp,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: usize,
    client_connections: usize,
    subscriptions: usize,
    name_tag: &'a str,
    sublist_stats: SublistStats,
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Made, Mistake> {
    match query.text("acc") {
        None => Ok(Made::json(&Accountz {
            server_id: view.server_id(),
            now: view.now(),
            accounts: Some([account_name()]),
            account_detail: None,
        })),
        Some(name) if name == account_name() => {
            Ok(Made::Pieces(Box::new(OneAccount(Walk::default()))))
        }
        Some(name) => Err(format!("Account {name} does not exist")),
    }
}

/// The account, with what a walk over its sublist finds.
struct OneAccount(Walk);

impl Pieces for OneAccount {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let sublist = &view.state.accounts[GLOBAL.0].sublist;
        if !self.0.go_on(sublist, budget) {
            return true;
        }
        let detail = Detail {
            account_name: account_name(),
            update_time: view.wall_of(view.records.started),
            expired: false,
            complete: true,
            jetstream_enabled: false,
            leafnode_connections: 0,
            client_connections: view.state.client_count(),
            subscriptions: sublist.len(),
            name_tag: account_name(),
            sublist_stats: self.0.stats(view),
        };
        let accountz = Accountz {
            server_id: view.server_id(),
            now: view.now(),
            accounts: None,
            account_detail: Some(detail),
        };
        json::put(out, &accountz, 0);
        false
    }
}
