//! A client whose account is not known, and is asked for elsewhere: it is not read until that has answered.

use super::Client;
use super::login::{Waiting, inquirer};
use super::wrong::is_told;
use crate::auth::Verdict;
use crate::auth::failures::Kind;
use crate::auth::inquiry::{Inquirer, Purpose};
use crate::auth::tokens::{Now, Refusal};
use crate::config::{AccountToken, Operators, Source};
use crate::state::lookups::{MESSAGES_MAX, REST};
use crate::state::{State, fetching};
use midge_reactor::Context;

impl Client {
    /// Has the account of a refusal asked for, if that may change it; answers whether it waits for that now.
    pub(super) fn look_up(
        &mut self,
        cx: &mut Context<'_, State>,
        inquirer: Inquirer,
        refusal: &Refusal,
    ) -> bool {
        let is_elsewhere = cx
            .state
            .config
            .operators()
            .is_some_and(Operators::ask_elsewhere);
        let Some(key) = refusal.unknown_account() else {
            return false;
        };
        if !is_elsewhere || inquirer.purpose != Purpose::Connect {
            return false;
        }
        let is_asked = cx.state.lookups.ask(key, inquirer);
        if is_asked {
            self.waiting = Some(Waiting::Lookup(inquirer));
            ask_next(cx);
        }
        is_asked
    }

    /// Its account has come, or is not there: then this is why.
    fn looked_up(&mut self, cx: &mut Context<'_, State>, asked: Inquirer, failure: Option<&str>) {
        let is_awaited = matches!(&self.waiting, Some(Waiting::Lookup(one)) if *one == asked);
        let Some(session) = &self.session else {
            return;
        };
        if !is_awaited {
            return;
        }
        let verdict = match session.check(cx.state, &Now::at(cx.now())) {
            Verdict::Denied(refusal) if refusal.unknown_account().is_some() => {
                let told = failure.unwrap_or("account validation failed");
                Verdict::Denied(Refusal::Fetch(told.into()))
            }
            // Its own account is known, and that is not there into which it would be put.
            Verdict::CallOut(_) if failure.is_some() => {
                let told = failure.unwrap_or_default();
                Verdict::Denied(Refusal::Fetch(told.into()))
            }
            verdict => verdict,
        };
        let inquirer = inquirer(cx, Purpose::Connect);
        if let Err(violation) = self.decide(cx, inquirer, verdict) {
            self.refuse(cx, &violation);
        }
    }
}

/// Does what is to be done of imports, if there is something.
pub(super) fn attend(cx: &mut Context<'_, State>) {
    if cx.state.sharing.is_waiting() {
        (cx.state.pushes.attend)(cx);
    }
}

/// Has an account asked for that others import from, if it can be.
pub(crate) fn want(cx: &mut Context<'_, State>, key: &str) {
    let operators = cx.state.config.operators();
    if operators.is_some_and(Operators::ask_elsewhere) {
        cx.state.lookups.want(key);
        ask_next(cx);
    }
}

/// Has accounts asked for, as many at once as may be.
fn ask_next(cx: &mut Context<'_, State>) {
    let operators = cx.state.config.operators();
    match operators.and_then(Operators::source) {
        Some(source) => fetch_next(cx, &source),
        // By messages, which take no thread.
        None => {
            while let Some(key) = cx.state.lookups.start(MESSAGES_MAX) {
                let ask = cx.state.pushes.ask;
                // Monitoring publishes, which it does in turns of its own.
                cx.defer(move |cx| ask(cx, &key));
            }
        }
    }
}

/// Has accounts asked for by HTTP, as long as there are threads.
fn fetch_next(cx: &mut Context<'_, State>, source: &Source) {
    while let Some(key) = cx.state.lookups.start(fetching::ASKED_MAX) {
        let (source, wanted, asked) = (source.clone(), key.clone(), key.clone());
        let work = move || fetching::fetch(&source, &wanted);
        let begun = cx.offload(work, move |cx, answer| {
            let answer = answer.unwrap_or_else(|panic| Err(panic.to_string()));
            let failure = answer.and_then(|token| take(cx, &asked, token)).err();
            tell(cx, &asked, failure.as_deref());
        });
        if let Err(error) = begun {
            tell(cx, &key, Some(&error.to_string()));
        }
    }
}

/// Takes a token that was asked for, if it is good. It is held against the operators as a push is, so that none stands in the
/// way of the right one, and what is there already touches nobody: importers would have it asked for again.
///
/// # Errors
/// Why it is not.
fn take(cx: &mut Context<'_, State>, key: &str, token: AccountToken) -> Result<(), String> {
    let admitted = cx.state.admit_account(Some(key), &token);
    admitted.map_err(|fault| fault.cause().into_owned())?;
    if !cx.state.knows(&token) {
        let now = cx.now();
        cx.state.known.put(token, now);
        let bring = cx.state.pushes.bring;
        bring(cx, key);
    }
    Ok(())
}

/// Tells those who wait for an account that it has come, or why it has not.
pub(crate) fn tell(cx: &mut Context<'_, State>, key: &str, failure: Option<&str>) {
    let wanted = cx.state.lookups.done(key);
    if let Some(text) = failure {
        let now = cx.now();
        if is_told(cx.state, Kind::Lookup, now) {
            log::warn!(target: "midge", "Account [{key}] fetch failed: {text}");
        }
        if wanted.is_exporter {
            rest(cx, key);
        }
    }
    // It may have been pushed meanwhile.
    let failure = failure.filter(|_| !is_good(cx, key));
    for client in wanted.clients {
        let failure = failure.map(str::to_owned);
        cx.call(client.connection, move |one: &mut Client, cx| {
            one.looked_up(cx, client, failure.as_deref());
        });
    }
    if cx.state.lookups.is_waiting() {
        cx.defer(ask_next);
    }
}

/// Whether an account is known, and not over.
fn is_good(cx: &Context<'_, State>, key: &str) -> bool {
    let State { config, known, .. } = &cx.state;
    let found = config
        .operators()
        .and_then(|operators| known.find(operators, key));
    let now = Now::at(cx.now()).wall;
    found.is_some_and(|token| token.claims().is_timely(now.as_second()).is_ok())
}

/// An exporter that was asked for in vain is not asked for again at once.
fn rest(cx: &mut Context<'_, State>, key: &str) {
    cx.state.lookups.rest(key);
    let key = key.to_owned();
    cx.after(REST, move |cx| {
        cx.state.lookups.rested(&key);
        ask_next(cx);
    });
}
