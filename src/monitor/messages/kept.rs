//! What is done to the tokens of accounts, one thing after the other, with all that waits on other threads: signatures are
//! checked there, and files read and written.
//!
//! ```text
//! push ─────────┐                                         ┌─▶ written ─▶ known
//! answer ───────┼─▶ Pushes ─▶ one at a time ─▶ admitted ──┤
//! reload ───────┤                                         └─▶ refused
//! end of a ttl ─┘
//! ```

use super::claims::{bring, carry_out};
use super::wanted;
use crate::config::{AccountToken, Deletes, Operators, PushFault};
use crate::state::pushes::Work;
use crate::state::{State, directory};
use jiff::Timestamp;
use midge_reactor::Context;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Files of which it is found in one turn whether they say something else.
const COMPARED_MAX: usize = 256;

/// How often a cache looks for what is over: twice in that time, within these bounds.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(60);

/// Goes on with what waits, if nothing is under way.
pub(super) fn go_on(cx: &mut Context<'_, State>) {
    if cx.state.pushes.is_busy {
        return;
    }
    let Some(next) = cx.state.pushes.next() else {
        return;
    };
    cx.state.pushes.is_busy = true;
    match next {
        Work::Request(request) => carry_out(cx, &request),
        Work::Come(key, text) => wanted::take(cx, key, &text),
        Work::ReadAgain => read_again(cx),
        Work::Remove(keys) => remove(cx, keys),
    }
}

/// One is done, whatever came of it.
pub(super) fn done(cx: &mut Context<'_, State>) {
    cx.state.pushes.is_busy = false;
    // In the turns that come, so that many of them do not hold this one.
    cx.defer(go_on);
}

/// Does on another thread what waits, and goes on with what came of it.
pub(super) fn work<T: Send + 'static>(
    cx: &mut Context<'_, State>,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
    then: impl FnOnce(&mut Context<'_, State>, Result<T, String>) + 'static,
) {
    // Of two ways to go on only one is gone.
    let then = std::rc::Rc::new(std::cell::Cell::new(Some(then)));
    let other = std::rc::Rc::clone(&then);
    let begun = cx.offload(work, move |cx, outcome| {
        let outcome = outcome.unwrap_or_else(|panic| Err(panic.to_string()));
        if let Some(then) = then.take() {
            then(cx, outcome);
        }
    });
    if let Err(error) = begun
        && let Some(then) = other.take()
    {
        then(cx, Err(error.to_string()));
    }
}

/// Reads a token that was brought.
pub(super) fn read(
    cx: &mut Context<'_, State>,
    text: &[u8],
    then: impl FnOnce(&mut Context<'_, State>, Result<AccountToken, PushFault>) + 'static,
) {
    let text = text.to_vec();
    let read = move || {
        let text = String::from_utf8_lossy(&text);
        Ok(AccountToken::parse(text.trim_end()))
    };
    work(cx, read, |cx, read| {
        then(
            cx,
            match read {
                Ok(read) => read.map_err(PushFault::Token),
                Err(text) => Err(PushFault::Store(text)),
            },
        );
    });
}

/// Has a token written, if there is a directory; then it counts. Where it needs the room of another one, that goes.
pub(super) fn store(
    cx: &mut Context<'_, State>,
    token: AccountToken,
    then: impl FnOnce(&mut Context<'_, State>, Result<(), String>) + 'static,
) {
    let now = cx.now();
    let State { config, cache, .. } = &mut *cx.state;
    let operators = config.operators();
    let Some(store) = operators.and_then(Operators::store) else {
        cx.state.known.put(token, now);
        return then(cx, Ok(()));
    };
    let path = store.path.to_owned();
    let terms = operators.and_then(|operators| operators.cache());
    let gone = terms.map(|terms| cache.make_room(token.key(), terms.accounts_max));
    let gone = gone.unwrap_or_default();
    let (written, removed) = (token.clone(), gone.clone());
    let write = move || {
        for key in &removed {
            directory::delete(&path, key, Deletes::Remove)?;
        }
        directory::write(&path, &written)
    };
    work(cx, write, move |cx, outcome| {
        for key in &gone {
            cx.state.let_go_of_account(key);
        }
        if outcome.is_ok() {
            let now = cx.now();
            cx.state.keep_account(token, now);
        }
        then(cx, outcome);
    });
}

/// The settings are others: what stands in the directory counts as well, where somebody has put it there.
pub(crate) fn read_accounts_again(cx: &mut Context<'_, State>) {
    let operators = cx.state.config.operators();
    if operators.is_some_and(|operators| operators.store().is_some()) {
        cx.state.pushes.read_again();
        go_on(cx);
    }
}

/// Reads the directory; what is another there counts, and is brought to the clients of its account.
fn read_again(cx: &mut Context<'_, State>) {
    let State { config, known, .. } = &*cx.state;
    let Some((operators, store)) = config.operators().and_then(|all| Some((all, all.store()?)))
    else {
        return done(cx);
    };
    let (path, wanted) = (store.path.to_owned(), known.wanted(operators));
    let kept = known
        .from("")
        .map(|token| (token.key().into(), token.clone()));
    let kept: HashMap<Box<str>, AccountToken> = kept.collect();
    let read = move || {
        let held = directory::read(&path, &kept, &wanted)?;
        let mut gone = kept;
        let mut others = VecDeque::new();
        for token in held.tokens {
            if gone.remove(token.key()).as_ref() != Some(&token) {
                others.push_back(token);
            }
        }
        // What cannot be read is there, so what was read of it before counts on.
        let gone: Vec<Box<str>> = gone
            .into_keys()
            .filter(|key| !held.broken.contains(key))
            .collect();
        Ok((others, gone, held.doubts))
    };
    work(cx, read, |cx, read| match read {
        Ok((others, gone, doubts)) => {
            for line in &doubts {
                log::warn!(target: "midge", "{line}");
            }
            for key in &gone {
                log::info!(target: "midge", "Account {key} is no longer in the directory");
                cx.state.let_go_of_account(key);
            }
            take_up(cx, others);
        }
        Err(text) => {
            log::error!(target: "midge", "The directory of accounts cannot be read: {text}; what was there before counts");
            done(cx);
        }
    });
}

/// Takes up tokens that were put into the directory, those of accounts with clients one a turn.
fn take_up(cx: &mut Context<'_, State>, mut others: VecDeque<AccountToken>) {
    for _ in 0..COMPARED_MAX {
        let Some(token) = others.pop_front() else {
            attend(cx);
            return done(cx);
        };
        let key = token.key().to_owned();
        let is_open = cx.state.core.accounts.named(&key).is_some();
        if is_open && let Err(fault) = is_good(cx.state, &token) {
            let why = fault.cause();
            log::warn!(target: "midge", "Account {key} stays as it was: {why}");
            continue;
        }
        log::info!(target: "midge", "Account {key} has another JWT, which was put into the directory");
        let now = cx.now();
        cx.state.keep_account(token, now);
        if is_open {
            bring(cx, &key);
            break;
        }
        // Others may import from it.
        cx.state.sharing.touch(&key);
    }
    attend(cx);
    cx.defer(|cx| take_up(cx, others));
}

/// Does what is to be done of imports, if there is something.
fn attend(cx: &mut Context<'_, State>) {
    if cx.state.sharing.is_waiting() {
        (cx.state.pushes.attend)(cx);
    }
}

/// Whether a token may count for clients that are there. Who puts it into the directory may mean an older one.
fn is_good(state: &State, token: &AccountToken) -> Result<(), PushFault> {
    let operators = state.config.operators().ok_or(PushFault::Stranger)?;
    operators.admit_push(token, None, Timestamp::now().as_second())
}

/// Looks now and then for accounts whose time in a cache is over.
pub(super) fn follow(cx: &mut Context<'_, State>) {
    let operators = cx.state.config.operators();
    let cache = operators.and_then(|operators| operators.cache());
    let every = cache.map(|cache| {
        let half = cache.ttl.map_or(LOOK_MAX, |ttl| ttl / 2);
        half.clamp(LOOK_MIN, LOOK_MAX)
    });
    cx.state.cache.timer = match (every, cx.state.cache.timer) {
        (Some(every), None) => Some(cx.every(every, look)),
        (None, Some(timer)) => {
            cx.io.cancel(timer);
            None
        }
        (_, timer) => timer,
    };
}

fn look(cx: &mut Context<'_, State>) {
    let over = cx.state.cache.over(cx.io.now());
    if !over.is_empty() {
        cx.state.pushes.remove(over);
        go_on(cx);
    }
}

/// Removes the files of accounts whose time in a cache is over.
fn remove(cx: &mut Context<'_, State>, keys: Vec<Box<str>>) {
    let operators = cx.state.config.operators();
    let store = operators.and_then(Operators::store);
    let Some(path) = store.map(|store| store.path.to_owned()) else {
        return done(cx);
    };
    let names = keys.clone();
    let remove = move || {
        for key in &names {
            directory::delete(&path, key, Deletes::Remove)?;
        }
        Ok(())
    };
    work(cx, remove, move |cx, outcome| {
        if let Err(text) = outcome {
            log::error!(target: "midge", "Error removing an account JWT whose time is over: {text}");
        }
        for key in &keys {
            cx.state.let_go_of_account(key);
        }
        done(cx);
    });
}
