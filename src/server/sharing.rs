//! Imports of accounts that come by tokens, while the broker serves: what is touched by another token is furnished anew, a
//! bounded number a turn; activations wake it when they begin and when they are over; exporters that are not known are
//! asked for.

use super::reload::FURNISHING_MAX;
use crate::client::{Client, lookup};
use crate::state::State;
use jiff::{SignedDuration, Timestamp};
use midge_reactor::{Context, Key};
use std::time::Duration;

/// Longest time until it is looked again, however far away what is due is.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Does what is to be done of imports.
pub(super) fn attend(cx: &mut Context<'_, State>) {
    let mut work = 0;
    while work < FURNISHING_MAX
        && let Some(importer) = cx.state.sharing.next_touched()
    {
        work += 1;
        if let Some(account) = cx.state.core.accounts.named(&importer) {
            work += cx.state.furnish_account(account);
        }
    }
    while let Some(exporter) = cx.state.sharing.next_wanted() {
        lookup::want(cx, &exporter);
    }
    introduce(cx);
    arm(cx);
    if work >= FURNISHING_MAX {
        cx.defer(attend);
    }
}

/// Has the clients of accounts leave what is told of them.
fn introduce(cx: &mut Context<'_, State>) {
    let mut accounts = cx.state.sharing.take_introduced();
    if accounts.is_empty() {
        return;
    }
    accounts.sort_unstable();
    let clients = cx.state.core.clients();
    let clients = clients.filter(|one| accounts.binary_search(&one.account).is_ok());
    let keys: Vec<Key> = clients.map(|one| one.key).collect();
    for key in keys {
        cx.call(key, Client::tell_about);
    }
}

/// Wakes when the next activation begins or is over.
fn arm(cx: &mut Context<'_, State>) {
    let next = cx.state.sharing.next_due();
    let armed = cx.state.sharing.timer;
    if next == armed.map(|(second, _)| second) {
        return;
    }
    if let Some((_, timer)) = cx.state.sharing.timer.take() {
        cx.io.cancel(timer);
    }
    let Some(second) = next else {
        return;
    };
    let date = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let left = date
        .duration_since(Timestamp::now())
        .max(SignedDuration::ZERO);
    let left = left.unsigned_abs().min(SLEEP_MAX);
    let timer = cx.after(left, wake);
    cx.state.sharing.timer = Some((second, timer));
}

fn wake(cx: &mut Context<'_, State>) {
    cx.state.sharing.timer = None;
    cx.state.sharing.touch_due(Timestamp::now().as_second());
    attend(cx);
}
