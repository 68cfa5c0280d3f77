//! Another token of an account, or its deletion, while the broker serves: whom that concerns.
//!
//! | who | why |
//! | --- | --- |
//! | clients in the account | it vouches for them |
//! | clients that its callout has put into other accounts | it has let them in, and may do so no longer |
//! | accounts that import from it | their imports are held against its exports (`sharing.rs`) |
//!
//! Tokens may be pushed by the thousand, and there may be a hundred thousand clients. So the clients are walked over in
//! pieces, and those in other accounts only for an account whose callout has put somebody there.

use super::reload::{CLIENTS_MAX, close_surplus_of_limits, retire_accounts};
use super::sharing;
use crate::client::{Changes, Client};
use crate::core::accounts::AccountId;
use crate::core::receiver::Receiver;
use crate::state::State;
use midge_reactor::Context;
use std::rc::Rc;

/// Places in the table of receivers that are passed in one turn: a tenth of a millisecond.
const PLACES_MAX: usize = 4096;

/// Clients whom another token concerns, or may.
struct Concerned {
    /// Its account, if that is open. Where that is closed meanwhile, others may have its number, and are looked at in vain.
    account: Option<AccountId>,
    /// The account, if its callout has put clients into others.
    decider: Option<Box<str>>,
    changes: Changes,
}

impl Concerned {
    fn may_have(&self, client: &Receiver) -> bool {
        self.decider.is_some() || Some(client.account) == self.account
    }
}

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
    // One that is not open is not kept: most that are asked for elsewhere are not.
    if account.is_some() {
        retire_accounts(cx, 0);
    }
    let decider = cx
        .state
        .callouts
        .take_has_put_elsewhere(name)
        .then(|| name.into());
    if account.is_none() && decider.is_none() {
        return;
    }
    let concerned = Concerned {
        account,
        decider,
        changes: Changes::of_credentials(),
    };
    bring(cx, &Rc::new(concerned), 0);
}

/// Brings it to clients from a place on, [`CLIENTS_MAX`] a turn; the others have their turns meanwhile.
fn bring(cx: &mut Context<'_, State>, concerned: &Rc<Concerned>, mut place: usize) {
    let end = cx.state.core.places().min(place + PLACES_MAX);
    let mut called = 0;
    while place < end && called < CLIENTS_MAX {
        let client = cx.state.core.client_at(place);
        place += 1;
        let Some(client) = client.filter(|one| concerned.may_have(one)) else {
            continue;
        };
        called += 1;
        let is_in_account = Some(client.account) == concerned.account;
        let concerned = Rc::clone(concerned);
        // One that has gone meanwhile is called no more.
        cx.call(
            client.key,
            move |client: &mut Client, cx| match &concerned.decider {
                Some(name) if !is_in_account => {
                    client.decider_changed(cx, name, &concerned.changes);
                }
                _ => client.reloaded(cx, &concerned.changes),
            },
        );
    }
    if place < cx.state.core.places() {
        let concerned = Rc::clone(concerned);
        return cx.defer(move |cx| bring(cx, &concerned, place));
    }
    cx.defer(close_surplus_of_limits);
}
