//! `/accountz`: the accounts, or one of them.

mod sharing;

use super::Content;
use super::subsz::{SublistStats, Walk};
use crate::core::accounts::Account;
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use serde::Serialize;
use sharing::{Export, Import, Latencies};
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Accountz<'a> {
    server_id: &'a str,
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<Detail<'a>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    account_name: &'a str,
    update_time: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_system: bool,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: usize,
    client_connections: usize,
    subscriptions: usize,
    name_tag: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mappings: BTreeMap<&'a str, Vec<Share<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<Export<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Import<'a>>,
    sublist_stats: SublistStats,
}

/// A destination of a mapping.
#[derive(Serialize)]
struct Share<'a> {
    subject: &'a str,
    /// With those of the destinations before it, as in nats-server.
    weight: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
}

/// The mappings of an account, by their sources.
fn mappings(account: &Account) -> BTreeMap<&str, Vec<Share<'_>>> {
    let all = account.mappings.iter().map(|mapping| {
        let shares = mapping.shares().map(|(subject, weight, cluster)| Share {
            subject,
            weight,
            cluster,
        });
        (mapping.source(), shares.collect())
    });
    all.collect()
}

pub(super) fn answer(view: &View<'_>, query: &Query<'_>) -> Result<Content, Mistake> {
    match query.text("acc") {
        None => Ok(Content::json(&Accountz {
            server_id: view.server_id(),
            now: view.now(),
            system_account: view.state.config.system_account_name(),
            accounts: Some(view.account_names()),
            account_detail: None,
        })),
        Some(name) if view.has_account(&name) => Ok(Content::Pieces(Box::new(OneAccount {
            name,
            is_bare: false,
            walk: Walk::default(),
        }))),
        Some(name) => Err(format!("Account {name} does not exist")),
    }
}

/// What is told of an account, without what is around it over HTTP.
pub(super) fn detail(name: String) -> Box<dyn Pieces> {
    Box::new(OneAccount {
        name,
        is_bare: true,
        walk: Walk::default(),
    })
}

/// One account, with what a walk over its sublist finds.
struct OneAccount {
    name: String,
    is_bare: bool,
    walk: Walk,
}

impl Pieces for OneAccount {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        // None if no client has come in it yet, or it was closed since the answer was begun.
        let walked = view.accounts(Some(&self.name));
        if !self.walk.go_on(view, &walked, budget) {
            return true;
        }
        let core = &view.state.core;
        let account = walked.first().map(|id| &core.accounts[*id]);
        let subscriptions = walked.first().map(|id| core.subscriptions_in(*id));
        let system_account = view.state.config.system_account_name();
        let state = view.state;
        let having = state
            .known
            .told(&state.config, &self.name)
            .unwrap_or_default();
        let left_out = state.sharing.left_out(&self.name);
        let imports = having.imports.iter().enumerate();
        let mut latencies = Latencies::new(view, &self.name);
        let imports = imports.map(|(place, one)| {
            let is_left_out = left_out.contains(&place);
            let latency = if is_left_out { None } else { latencies.of(one) };
            Import::of(one, is_left_out, latency)
        });
        let detail = Detail {
            account_name: &self.name,
            update_time: view.wall_of(view.records.started),
            is_system: system_account == Some(&self.name),
            expired: false,
            complete: true,
            jetstream_enabled: false,
            leafnode_connections: 0,
            client_connections: account.map_or(0, |account| account.clients),
            subscriptions: subscriptions.unwrap_or(0),
            name_tag: &self.name,
            mappings: account.map(mappings).unwrap_or_default(),
            exports: having.exports.iter().map(Export::of).collect(),
            imports: imports.collect(),
            sublist_stats: self.walk.stats(view, &walked),
        };
        if self.is_bare {
            json::put(out, &detail, 0);
            return false;
        }
        let accountz = Accountz {
            server_id: view.server_id(),
            now: view.now(),
            system_account,
            accounts: None,
            account_detail: Some(detail),
        };
        json::put(out, &accountz, 0);
        false
    }
}
