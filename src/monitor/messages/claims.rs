//! Requests about the tokens of accounts: operators bring other ones, delete accounts, and ask which there are.
//!
//! ```text
//! $SYS.REQ.CLAIMS.UPDATE, $SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE   a token ──▶ read ──▶ checked ──▶ written ──▶ known
//! $SYS.REQ.CLAIMS.DELETE                                     a signed list of keys
//! $SYS.REQ.CLAIMS.LIST, .PACK, $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP
//! ```
//!
//! Those that change something are carried out one after the other. What takes long, the check of signatures and the
//! disk, is done on other threads. An answer tells what will be so after a restart too, if there is a directory. Without
//! one only tokens of accounts are taken, and are gone with the process.

use super::body::{json, opened};
use super::{say, with_view};
use crate::config::{AccountToken, Deletes, Operators, PushFault};
use crate::core::requests::Request;
use crate::monitor::view::View;
use crate::state::{State, directory};
use jiff::Timestamp;
use midge_reactor::Context;
use serde::Serialize;

const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";
const LIST: &str = "$SYS.REQ.CLAIMS.LIST";
const PACK: &str = "$SYS.REQ.CLAIMS.PACK";
const OF_ACCOUNT: &str = "$SYS.REQ.ACCOUNT.";
/// What stands in its place in older tools.
const OF_ACCOUNT_BEFORE: &str = "$SYS.ACCOUNT.";
const UPDATE_OF_ACCOUNT: &str = ".CLAIMS.UPDATE";
const LOOKUP_OF_ACCOUNT: &str = ".CLAIMS.LOOKUP";

/// Tokens that are told in one turn to one who asks for all.
const PACK_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Asked {
    /// Here is a token; of the account of this key, if that is said.
    Update(Option<String>),
    Delete,
    List,
    Pack,
    Lookup(String),
}

impl Asked {
    fn of(subject: &[u8]) -> Option<Asked> {
        let subject = str::from_utf8(subject).ok()?;
        match subject {
            UPDATE => return Some(Asked::Update(None)),
            DELETE => return Some(Asked::Delete),
            LIST => return Some(Asked::List),
            PACK => return Some(Asked::Pack),
            _ => {}
        }
        let of_account = |begin: &str, end: &str| {
            let key = subject.strip_prefix(begin)?.strip_suffix(end)?;
            Some(key.to_owned())
        };
        let update = of_account(OF_ACCOUNT, UPDATE_OF_ACCOUNT)
            .or_else(|| of_account(OF_ACCOUNT_BEFORE, UPDATE_OF_ACCOUNT));
        let lookup = of_account(OF_ACCOUNT, LOOKUP_OF_ACCOUNT);
        update
            .map(|key| Asked::Update(Some(key)))
            .or(lookup.map(Asked::Lookup))
    }
}

/// The subjects by which a broker with these operators is asked.
pub(super) fn subjects(operators: Option<&Operators>) -> Vec<String> {
    let Some(operators) = operators else {
        return Vec::new();
    };
    let mut subjects = vec![
        format!("{OF_ACCOUNT}*{UPDATE_OF_ACCOUNT}"),
        format!("{OF_ACCOUNT_BEFORE}*{UPDATE_OF_ACCOUNT}"),
    ];
    if operators.directory().is_some() {
        subjects.extend([UPDATE, DELETE, LIST, PACK].map(str::to_owned));
        subjects.push(format!("{OF_ACCOUNT}*{LOOKUP_OF_ACCOUNT}"));
    }
    subjects
}

/// Takes a request, if it is one of these; answers whether it is.
pub(super) fn take(cx: &mut Context<'_, State>, request: &Request) -> bool {
    if cx.state.config.operators().is_none() {
        return false;
    }
    let Some(asked) = Asked::of(&request.subject) else {
        return false;
    };
    match asked {
        Asked::Update(_) | Asked::Delete => {
            let kept = Request {
                subject: request.subject.clone(),
                reply: request.reply.clone(),
                payload: request.payload.clone(),
            };
            if cx.state.pushes.keep(kept) {
                go_on(cx);
            } else {
                let busy =
                    PushFault::Store("too many requests wait; send fewer at once".to_owned());
                refuse(cx, request, None, &busy.to_string());
            }
        }
        Asked::List => list(cx, request),
        Asked::Pack => pack(cx, request),
        Asked::Lookup(key) => lookup(cx, request, &key),
    }
    true
}

/// Carries out what waits, if nothing is under way.
fn go_on(cx: &mut Context<'_, State>) {
    if cx.state.pushes.is_busy {
        return;
    }
    let Some(request) = cx.state.pushes.next() else {
        return;
    };
    cx.state.pushes.is_busy = true;
    match Asked::of(&request.subject) {
        Some(Asked::Update(key)) => read(cx, &request, key),
        _ => delete(cx, &request),
    }
}

/// One is done, whatever came of it.
fn done(cx: &mut Context<'_, State>) {
    cx.state.pushes.is_busy = false;
    // In the turns that come, so that many of them do not hold this one.
    cx.defer(go_on);
}

/// Reads a token that was brought.
fn read(cx: &mut Context<'_, State>, request: &Request, key: Option<String>) {
    let payload = request.payload.clone();
    let work = move || {
        let text = String::from_utf8_lossy(&payload);
        AccountToken::parse(text.trim_end())
    };
    let kept = copy(request);
    let begun = cx.offload(work, move |cx, read| {
        let read = read.unwrap_or_else(|_| AccountToken::parse(""));
        match read {
            Ok(token) => admit(cx, &kept, key.as_deref(), token),
            Err(fault) => {
                refuse(cx, &kept, None, &PushFault::Token(fault).to_string());
                done(cx);
            }
        }
    });
    if let Err(error) = begun {
        refuse(
            cx,
            request,
            None,
            &PushFault::Store(error.to_string()).to_string(),
        );
        done(cx);
    }
}

/// Holds it against what is known, and has it written.
fn admit(cx: &mut Context<'_, State>, request: &Request, key: Option<&str>, token: AccountToken) {
    let admitted = is_admitted(cx.state, key, &token);
    if let Err(fault) = admitted {
        let asked = key.unwrap_or(token.key());
        refuse(cx, request, Some(asked), &fault.to_string());
        return done(cx);
    }
    let operators = cx.state.config.operators();
    let directory = operators.and_then(|operators| operators.directory());
    let Some(path) = directory.map(|directory| directory.path.clone()) else {
        put(cx, request, token);
        return done(cx);
    };
    let (written, kept) = (token.clone(), copy(request));
    let work = move || directory::write(&path, &written);
    let begun = cx.offload(work, move |cx, outcome| {
        let outcome = outcome.unwrap_or_else(|panic| Err(panic.to_string()));
        match outcome {
            Ok(()) => put(cx, &kept, token),
            Err(text) => {
                log::error!(target: "midge", "Error writing an account JWT: {text}");
                let text = PushFault::Store(text).to_string();
                refuse(cx, &kept, Some(token.key()), &text);
            }
        }
        done(cx);
    });
    if let Err(error) = begun {
        let text = PushFault::Store(error.to_string()).to_string();
        refuse(cx, request, None, &text);
        done(cx);
    }
}

fn is_admitted(state: &State, key: Option<&str>, token: &AccountToken) -> Result<(), PushFault> {
    let Some(operators) = state.config.operators() else {
        return Err(PushFault::Stranger);
    };
    if key.is_some_and(|key| key != token.key()) {
        return Err(PushFault::Subject);
    }
    let stored = state.known.find(operators, token.key());
    let second = Timestamp::now().as_second();
    operators.admit_push(token, stored, second)?;
    let max = operators
        .directory()
        .and_then(|directory| directory.accounts_max);
    let is_full = || max.is_some_and(|max| state.known.from("").count() >= max);
    match stored.is_none() && is_full() {
        true => Err(PushFault::Full),
        false => Ok(()),
    }
}

/// The token counts, and its account's clients hear of it.
fn put(cx: &mut Context<'_, State>, request: &Request, token: AccountToken) {
    let key = token.key().to_owned();
    cx.state.known.put(token);
    log::info!(target: "midge", "Account {key} has another JWT");
    let told = Told {
        account: Some(&key),
        code: 200,
        message: "jwt updated",
    };
    answer(cx, request, "data", &told);
    bring(cx, &key);
}

fn bring(cx: &mut Context<'_, State>, key: &str) {
    let bring = cx.state.pushes.bring;
    bring(cx, key);
}

/// Deletes accounts.
fn delete(cx: &mut Context<'_, State>, request: &Request) {
    let text = String::from_utf8_lossy(&request.payload).into_owned();
    let config = &cx.state.config;
    let (operators, system) = (config.operators(), config.system_account_name());
    let directory = operators.and_then(|operators| operators.directory());
    let deletes = directory.map_or(Deletes::No, |directory| directory.deletes);
    let keys = operators
        .map(|operators| operators.deletion(text.trim_end(), system, deletes != Deletes::No));
    let path = directory.map(|directory| directory.path.clone());
    let (Some(Ok(keys)), Some(path)) = (keys.clone(), path) else {
        let text = keys
            .and_then(Result::err)
            .map(|refused| refused.to_string());
        refuse(cx, request, None, &text.unwrap_or_default());
        return done(cx);
    };
    let names = keys.clone();
    let work = move || {
        let gone = |key: &String| directory::delete(&path, key, deletes);
        names.iter().try_for_each(gone)
    };
    let kept = copy(request);
    let begun = cx.offload(work, move |cx, outcome| {
        let outcome = outcome.unwrap_or_else(|panic| Err(panic.to_string()));
        if let Err(text) = &outcome {
            log::error!(target: "midge", "Error deleting an account JWT: {text}");
            refuse(cx, &kept, None, text);
        } else {
            let message = format!("deleted {} accounts", keys.len());
            let told = Told {
                account: None,
                code: 200,
                message: &message,
            };
            answer(cx, &kept, "data", &told);
            for key in &keys {
                log::info!(target: "midge", "Account {key} is deleted");
                cx.state.known.delete(key);
                bring(cx, key);
            }
        }
        done(cx);
    });
    if let Err(error) = begun {
        refuse(cx, request, None, &error.to_string());
        done(cx);
    }
}

/// Tells the keys of all accounts.
fn list(cx: &mut Context<'_, State>, request: &Request) {
    let known = &cx.state.known;
    let keys: Vec<String> = known.from("").map(|token| token.key().to_owned()).collect();
    answer(cx, request, "data", &keys);
}

/// Tells the token of an account; nothing, if there is none.
fn lookup(cx: &mut Context<'_, State>, request: &Request, key: &str) {
    let Some(reply) = &request.reply else {
        return;
    };
    let operators = cx.state.config.operators();
    let token = operators.and_then(|operators| cx.state.known.find(operators, key));
    let text = token
        .map(|token| token.text().to_owned())
        .unwrap_or_default();
    say(cx, reply, text.as_bytes());
}

/// Tells all accounts and their tokens, and then nothing; nothing at once, to one that has the same.
fn pack(cx: &mut Context<'_, State>, request: &Request) {
    let Some(reply) = request.reply.clone() else {
        return;
    };
    let is_asked = !request.payload.is_empty();
    let is_same = is_asked && *request.payload == sum(cx.state.known.from(""));
    match is_same {
        true => say(cx, &reply, b""),
        false => pack_from(cx, reply, ""),
    }
}

/// Goes on to tell them, from a key on.
fn pack_from(cx: &mut Context<'_, State>, reply: Box<[u8]>, key: &str) {
    let tokens: Vec<AccountToken> = cx
        .state
        .known
        .from(key)
        .take(PACK_MAX + 1)
        .cloned()
        .collect();
    for token in tokens.iter().take(PACK_MAX) {
        let line = format!("{}|{}", token.key(), token.text());
        say(cx, &reply, line.as_bytes());
    }
    match tokens.get(PACK_MAX) {
        None => say(cx, &reply, b""),
        Some(next) => {
            let next = next.key().to_owned();
            cx.defer(move |cx| pack_from(cx, reply, &next));
        }
    }
}

/// By which two sets of tokens are told apart: the hashes of all, one over the other.
#[cfg(feature = "nkeys")]
fn sum<'a>(tokens: impl Iterator<Item = &'a AccountToken>) -> [u8; 32] {
    use ring::digest::{SHA256, digest};

    tokens.fold([0; 32], |mut sum, token| {
        let hash = digest(&SHA256, token.text().as_bytes());
        sum.iter_mut()
            .zip(hash.as_ref())
            .for_each(|(sum, byte)| *sum ^= byte);
        sum
    })
}

/// No broker has tokens.
#[cfg(not(feature = "nkeys"))]
fn sum<'a>(_: impl Iterator<Item = &'a AccountToken>) -> [u8; 32] {
    [0; 32]
}

/// What became of a request.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    code: u16,
    message: &'a str,
}

#[derive(Serialize)]
struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    code: u16,
    description: &'a str,
}

/// Says why a request is not carried out.
fn refuse(cx: &mut Context<'_, State>, request: &Request, account: Option<&str>, text: &str) {
    log::warn!(target: "midge", "An account is not changed: {text}");
    let is_deletion = *request.subject == *DELETE.as_bytes();
    let failure = Failure {
        account: (!is_deletion).then(|| account.unwrap_or("n/a")),
        code: 500,
        description: text,
    };
    answer(cx, request, "error", &failure);
}

fn answer(cx: &mut Context<'_, State>, request: &Request, name: &str, value: &impl Serialize) {
    let Some(reply) = &request.reply else {
        return;
    };
    let made = with_view(cx, |view: &View<'_>, _| {
        let mut body = opened(view, name);
        body.extend(json(value));
        body.push(b'}');
        body
    });
    say(cx, reply, &made.unwrap_or_default());
}

fn copy(request: &Request) -> Request {
    Request {
        subject: request.subject.clone(),
        reply: request.reply.clone(),
        payload: Box::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_tells_what_is_asked() {
        let asked = |subject: &str| Asked::of(subject.as_bytes());
        let update = |key: &str| Some(Asked::Update(Some(key.to_owned())));
        assert_eq!(asked("$SYS.REQ.CLAIMS.UPDATE"), Some(Asked::Update(None)));
        assert_eq!(asked("$SYS.REQ.ACCOUNT.A1.CLAIMS.UPDATE"), update("A1"));
        assert_eq!(asked("$SYS.ACCOUNT.A1.CLAIMS.UPDATE"), update("A1"));
        assert_eq!(
            asked("$SYS.REQ.ACCOUNT.A1.CLAIMS.LOOKUP"),
            Some(Asked::Lookup("A1".to_owned()))
        );
        assert_eq!(asked("$SYS.REQ.ACCOUNT.A1.CONNZ"), None);
        assert_eq!(asked("$SYS.REQ.SERVER.PING"), None);
        assert_eq!(subjects(None), Vec::<String>::new());
    }
}
