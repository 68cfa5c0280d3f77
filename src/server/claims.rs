//! Another token of an account, or its deletion, while the broker serves: whom that concerns.

use super::reload::{bring_to_clients, close_surplus_of_limits, retire_accounts};
use super::sharing;
use crate::client::Changes;
use crate::state::State;
use midge_reactor::Context;
use std::rc::Rc;

/// Brings another token of an account, or its deletion, to its clients.
pub(super) fn account_changed(cx: &mut Context<'_, State>, name: &str) {
    cx.state.auth_version += 1;
    let account = cx.state.core.accounts.named(name);
    if let Some(account) = account {
        cx.state.furnish_account(account);
    }
    // Those that import from it, and then those that are gone.
    cx.state.sharing.touch(name);
    sharing::attend(cx);
    retire_accounts(cx, 0);
    let Some(account) = account else {
        return;
    };
    let core = &cx.state.core;
    let clients = core.clients().filter(|one| one.account == account);
    let keys = clients.map(|one| one.key).collect();
    let changes = Rc::new(Changes::of_credentials());
    bring_to_clients(cx, &changes, keys, |cx| cx.defer(close_surplus_of_limits));
}
