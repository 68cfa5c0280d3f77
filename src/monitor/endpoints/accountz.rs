//! `/accountz`: the accounts, or one of them.

use super::Content;
use super::subsz::{SublistStats, Walk};
use crate::core::accounts::AccountId;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Accountz<'a> {
    server_id: &'a str,
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<&'a str>>,
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

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    match query.text("acc") {
        None => Ok(Content::json(&Accountz {
            server_id: view.server_id(),
            now: view.now(),
            accounts: Some(
                view.state
                    .core
                    .accounts
                    .iter()
                    .map(|one| &*one.name)
                    .collect(),
            ),
            account_detail: None,
        })),
        Some(name) => match view.state.core.accounts.named(&name) {
            Some(account) => Ok(Content::Pieces(Box::new(OneAccount {
                account,
                walk: Walk::default(),
            }))),
            None => Err(format!("Account {name} does not exist")),
        },
    }
}

/// One account, with what a walk over its sublist finds.
struct OneAccount {
    account: AccountId,
    walk: Walk,
}

impl Pieces for OneAccount {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let account = &view.state.core.accounts[self.account];
        let walked = [self.account];
        if !self.walk.go_on(view, &walked, budget) {
            return true;
        }
        let detail = Detail {
            account_name: &account.name,
            update_time: view.wall_of(view.records.started),
            expired: false,
            complete: true,
            jetstream_enabled: false,
            leafnode_connections: 0,
            client_connections: account.clients,
            subscriptions: view.state.core.subscriptions_in(self.account),
            name_tag: &account.name,
            sublist_stats: self.walk.stats(view, &walked),
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
