//! `/accountz`: the accounts, or one of them.
//!
//! Both go in pieces: there may be very many accounts, and one of them may have very many exports and imports.

mod sharing;

use super::Content;
use super::subsz::{SublistStats, Walk};
use crate::config::AccountToken;
use crate::core::accounts::{Account, AccountId};
use crate::monitor::query::{Mistake, Query};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces, json};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sharing::{Export, Import, Latencies, revoked};
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Accountz<'a> {
    server_id: &'a str,
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_account: Option<&'a str>,
}

impl<'a> Accountz<'a> {
    fn of(view: &View<'a>) -> Accountz<'a> {
        Accountz {
            server_id: view.server_id(),
            now: view.now(),
            system_account: view.state.config.system_account_name(),
        }
    }
}

/// An account as it is told; its exports and imports follow.
#[derive(Serialize)]
struct Detail<'a> {
    account_name: &'a str,
    update_time: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_system: bool,
    expired: bool,
    /// Whether all of its imports are there.
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: usize,
    client_connections: usize,
    subscriptions: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mappings: BTreeMap<&'a str, Vec<Share<'a>>>,
    /// From here on what its token says, if it has come by one.
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    issuer_key: &'a str,
    name_tag: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded_jwt: Option<Value>,
    /// Users whose tokens are no good if they were made by then.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revoked_user: BTreeMap<&'a str, Timestamp>,
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
        None => {
            let names = view.account_names().into_iter().map(Into::into).collect();
            Ok(Content::Pieces(Box::new(Names { names, next: None })))
        }
        Some(name) if view.has_account(&name) => {
            Ok(Content::Pieces(Box::new(OneAccount::of(name, false))))
        }
        Some(name) => Err(format!("Account {name} does not exist")),
    }
}

/// What is told of an account, without what is around it over HTTP.
pub(super) fn detail(name: String) -> Box<dyn Pieces> {
    Box::new(OneAccount::of(name, true))
}

/// The names of all accounts, on their way.
struct Names {
    names: Vec<Box<str>>,
    /// The one that comes next, once the head is written.
    next: Option<usize>,
}

impl Pieces for Names {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let from = self.next.unwrap_or_else(|| {
            json::put_open(out, &Accountz::of(view), 0);
            json::begin_list(out, "accounts", 0);
            0
        });
        for (place, name) in self.names.iter().enumerate().skip(from) {
            if !budget.take() {
                self.next = Some(place);
                return true;
            }
            json::put_element(out, place == 0, name, 0);
        }
        json::end_list(out, self.names.is_empty(), 0);
        json::end_object(out, 0);
        false
    }

    fn bytes(&self) -> usize {
        self.names.iter().map(|name| name.len() + 16).sum()
    }
}

/// Work that it is to write an export or an import, in places of a piece.
const WRITING: usize = 8;

/// One account, with what a walk over its sublist finds.
struct OneAccount {
    name: String,
    is_bare: bool,
    stage: Stage,
}

enum Stage {
    Walk(Walk),
    /// Writing the exports, from this one on, and then the imports.
    Exports(usize),
    Imports(usize),
}

impl OneAccount {
    fn of(name: String, is_bare: bool) -> OneAccount {
        OneAccount {
            name,
            is_bare,
            stage: Stage::Walk(Walk::default()),
        }
    }

    /// How deep the account's object stands.
    fn depth(&self) -> usize {
        usize::from(!self.is_bare)
    }

    /// Writes all but what goes in pieces.
    fn begin(&self, view: &View<'_>, stats: SublistStats, budget: &mut Budget, out: &mut Vec<u8>) {
        let state = view.state;
        // None if no client has come in it yet, or it was closed since the answer was begun.
        let id: Option<AccountId> = state.core.accounts.named(&self.name);
        let account = id.map(|id| &state.core.accounts[id]);
        let token = view.token(&self.name);
        let claims = token.map(AccountToken::claims);
        let came = state.known.came(&self.name);
        let jwt = token.map_or("", AccountToken::text);
        // It is written twice, and read.
        budget.spend_bytes(4 * jwt.len());
        let detail = Detail {
            account_name: &self.name,
            update_time: view.wall_of(came.unwrap_or(view.records.configured)),
            is_system: state.config.system_account_name() == Some(&self.name),
            expired: claims.is_some_and(|claims| claims.is_expired(view.now().as_second())),
            complete: state.sharing.left_out(&self.name).is_empty(),
            jetstream_enabled: false,
            leafnode_connections: 0,
            client_connections: account.map_or(0, |account| account.clients),
            subscriptions: id.map_or(0, |id| state.core.subscriptions_in(id)),
            mappings: account.map(mappings).unwrap_or_default(),
            jwt,
            issuer_key: claims.map_or("", |claims| &claims.issuer),
            name_tag: view.title(&self.name),
            tags: claims.map_or(&[], |claims| &claims.tags),
            decoded_jwt: token.and_then(AccountToken::written),
            revoked_user: claims
                .map(|claims| revoked(&claims.body.revocations))
                .unwrap_or_default(),
            sublist_stats: stats,
        };
        if !self.is_bare {
            json::put_open(out, &Accountz::of(view), 0);
            json::begin_field(out, "account_detail", 0);
        }
        json::put_open(out, &detail, self.depth());
    }

    /// Writes a list of so many elements from one on, as far as the budget goes; answers where it goes on, if it does. One
    /// without elements is left out.
    fn list<T: Serialize>(
        &self,
        name: &str,
        (from, count): (usize, usize),
        mut element: impl FnMut(usize) -> T,
        budget: &mut Budget,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let depth = self.depth();
        for place in from..count {
            if !budget.spend(WRITING) {
                return Some(place);
            }
            if place == 0 {
                json::begin_list(out, name, depth);
            }
            json::put_element(out, place == 0, &element(place), depth);
        }
        // The account may have fewer than when the list was begun.
        if from > 0 || count > 0 {
            json::end_list(out, false, depth);
        }
        None
    }
}

impl Pieces for OneAccount {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        if let Stage::Walk(walk) = &mut self.stage {
            let walked = view.accounts(Some(&self.name));
            if !walk.go_on(view, &walked, budget) {
                return true;
            }
            let stats = walk.stats(view, &walked);
            self.begin(view, stats, budget, out);
            self.stage = Stage::Exports(0);
        }
        let state = view.state;
        let having = state.known.told(&state.config, &self.name);
        let having = having.unwrap_or_default();
        if let Stage::Exports(from) = self.stage {
            let range = (from, having.exports.len());
            let export = |place: usize| Export::of(&having.exports[place]);
            if let Some(next) = self.list("exports", range, export, budget, out) {
                self.stage = Stage::Exports(next);
                return true;
            }
            self.stage = Stage::Imports(0);
        }
        if let Stage::Imports(from) = self.stage {
            let left_out = state.sharing.left_out(&self.name);
            let mut latencies = Latencies::new(view, &self.name);
            let range = (from, having.imports.len());
            let import = |place: usize| {
                let (one, is_left_out) = (&having.imports[place], left_out.contains(&place));
                let latency = match is_left_out {
                    true => None,
                    false => latencies.of(one),
                };
                Import::of(one, is_left_out, latency)
            };
            if let Some(next) = self.list("imports", range, import, budget, out) {
                self.stage = Stage::Imports(next);
                return true;
            }
        }
        json::end_object(out, self.depth());
        if !self.is_bare {
            json::end_object(out, 0);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::view::fake;
    use std::sync::Arc;

    #[test]
    fn ten_thousand_accounts_and_as_many_exports_and_imports_go_in_small_pieces() {
        const COUNT: usize = 10_000;
        let (mut state, records) = fake::broker();
        let names = (0..COUNT).map(|number| format!("account-{number:05}"));
        let accounts = names.map(|name| (name, crate::Account::default()));
        let mut accounts: BTreeMap<String, crate::Account> = accounts.collect();
        let exports = (0..COUNT).map(|number| crate::Export::stream(&format!("a.{number}")));
        let imports = (0..COUNT).map(|number| {
            let subject = format!("a.{number}");
            crate::Import::new("account-00001", &subject, crate::ImportKind::Stream)
        });
        let large = accounts.get_mut("account-00001").expect("it is there");
        large.exports = exports.map(|one| one.expect("it is right")).collect();
        large.imports = imports.map(|one| one.expect("it is right")).collect();
        state.config.accounts = Arc::new(accounts.into_iter().collect());
        let view = fake::view(&state, &records);
        let one = "/account_detail";
        for (query, lists, pieces) in [
            ("", vec![("/accounts".to_owned(), COUNT + 1)], 10),
            (
                "acc=account-00001",
                vec![
                    (format!("{one}/exports"), COUNT),
                    (format!("{one}/imports"), COUNT),
                ],
                100,
            ),
        ] {
            let Ok(Content::Pieces(made)) = answer(&view, &Query::new(query)) else {
                panic!("it is made in pieces");
            };
            let (text, longest, count) = fake::all(&view, made);
            let parsed: Value = serde_json::from_str(&text).expect("JSON");
            for (path, len) in lists {
                let list = parsed.pointer(&path).and_then(Value::as_array);
                assert_eq!(list.map(Vec::len), Some(len), "{query} {path}");
            }
            assert!(longest <= 64 * 1024, "{query}: a piece of {longest} bytes");
            assert!(count >= pieces, "{query}: {count} pieces");
        }
    }
}
