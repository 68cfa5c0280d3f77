//! Requests about the tokens of accounts: operators bring other ones, delete accounts, and ask which there are.
//!
//! ```text
//! $SYS.REQ.CLAIMS.UPDATE, $SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE   a token ──▶ read ──▶ checked ──▶ written ──▶ known
//! $SYS.REQ.CLAIMS.DELETE                                     a signed list of keys
//! $SYS.REQ.CLAIMS.LIST, .PACK, $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP
//! ```
//!
//! Those that change something are carried out one after the other, with what else is done to tokens (`kept.rs`). An answer
//! tells what will be so after a restart too, if there is a directory. Without one only tokens of accounts are taken, and are
//! gone with the process. A cache takes only those of accounts that it knows, and lists none: it has not all.

use super::body::{json, opened};
use super::{kept, say, wanted, with_view};
use crate::config::{AccountToken, Deletes, Operators, PushFault};
use crate::core::requests::Request;
use crate::core::trace::Text;
use crate::monitor::view::View;
use crate::state::pushes::Work;
use crate::state::{State, directory};
use midge_reactor::Context;
use serde::Serialize;

const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";
const LIST: &str = "$SYS.REQ.CLAIMS.LIST";
const PACK: &str = "$SYS.REQ.CLAIMS.PACK";
pub(super) const OF_ACCOUNT: &str = "$SYS.REQ.ACCOUNT.";
/// What stands in its place in older tools.
const OF_ACCOUNT_BEFORE: &str = "$SYS.ACCOUNT.";
const UPDATE_OF_ACCOUNT: &str = ".CLAIMS.UPDATE";
pub(super) const LOOKUP_OF_ACCOUNT: &str = ".CLAIMS.LOOKUP";

/// What is told where too much waits.
pub(super) const BUSY: &str = "too many requests wait; send fewer at once";

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
    /// Here is what was asked for, about the account of this key.
    Answer(String),
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
            .or(wanted::account_of(subject).map(Asked::Answer))
    }
}

/// The subjects by which a broker of this id with these operators is asked, and answered.
pub(super) fn subjects(operators: Option<&Operators>, server_id: &str) -> Vec<String> {
    let Some(operators) = operators else {
        return Vec::new();
    };
    let mut subjects = vec![
        format!("{OF_ACCOUNT}*{UPDATE_OF_ACCOUNT}"),
        format!("{OF_ACCOUNT_BEFORE}*{UPDATE_OF_ACCOUNT}"),
    ];
    if operators.store().is_some() {
        subjects.extend([UPDATE, DELETE, LIST].map(str::to_owned));
    }
    if operators.cache().is_some() {
        subjects.push(wanted::inbox(server_id, "*"));
    } else if operators.store().is_some() {
        subjects.push(PACK.to_owned());
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
            if cx.state.pushes.keep(Work::Request(kept)) {
                kept::go_on(cx);
            } else {
                refuse_push(cx, request, None, &PushFault::Store(BUSY.to_owned()));
            }
        }
        Asked::List => list(cx, request),
        Asked::Pack => pack(cx, request),
        Asked::Lookup(key) => lookup(cx, request, &key),
        Asked::Answer(key) => wanted::answered(cx, &key, &request.payload),
    }
    true
}

/// Carries a request out whose turn it is. [`kept::done`] has to follow.
pub(super) fn carry_out(cx: &mut Context<'_, State>, request: &Request) {
    match Asked::of(&request.subject) {
        Some(Asked::Update(key)) => update(cx, request, key),
        _ => delete(cx, request),
    }
}

/// Takes a token that was brought, if it is good.
fn update(cx: &mut Context<'_, State>, request: &Request, key: Option<String>) {
    let asked = copy(request);
    kept::read(cx, &request.payload, move |cx, read| {
        let token = match read {
            Ok(token) => token,
            Err(fault) => {
                refuse_push(cx, &asked, None, &fault);
                return kept::done(cx);
            }
        };
        let name = key.clone().unwrap_or_else(|| token.key().to_owned());
        match cx.state.admit_account(key.as_deref(), &token) {
            Err(fault) => {
                refuse_push(cx, &asked, Some(&name), &fault);
                kept::done(cx);
            }
            Ok(()) if is_no_matter_of_a_cache(cx.state, &token) => {
                told(cx, &asked, &name, "jwt update cache skipped");
                kept::done(cx);
            }
            Ok(()) => {
                let is_known = cx.state.knows(&token);
                kept::store(cx, token, move |cx, stored| {
                    match stored {
                        Ok(()) => {
                            log::info!(target: "midge", "Account {name} has another JWT");
                            let message = match is_cache(cx.state) {
                                true => "jwt updated cache",
                                false => "jwt updated",
                            };
                            told(cx, &asked, &name, message);
                            // What is so already is nothing new to anybody.
                            if !is_known {
                                bring(cx, &name);
                            }
                        }
                        Err(text) => {
                            log::error!(target: "midge", "Error writing an account JWT: {text}");
                            refuse_push(cx, &asked, Some(&name), &PushFault::Store(text));
                        }
                    }
                    kept::done(cx);
                });
            }
        }
    });
}

fn is_cache(state: &State) -> bool {
    let operators = state.config.operators();
    operators.is_some_and(|operators| operators.cache().is_some())
}

/// Whether this is a cache that does not know the account: when a client comes, others are asked for it.
fn is_no_matter_of_a_cache(state: &State, token: &AccountToken) -> bool {
    let operators = state.config.operators();
    let known = operators.and_then(|operators| state.known.find(operators, token.key()));
    is_cache(state) && known.is_none()
}

/// Tells that a push was taken, or was no matter of this broker.
fn told(cx: &mut Context<'_, State>, request: &Request, account: &str, message: &str) {
    let told = Told {
        account: Some(account),
        code: 200,
        message,
    };
    answer(cx, request, "data", &told);
}

pub(super) fn bring(cx: &mut Context<'_, State>, key: &str) {
    let bring = cx.state.pushes.bring;
    bring(cx, key);
}

/// Deletes accounts.
fn delete(cx: &mut Context<'_, State>, request: &Request) {
    let text = String::from_utf8_lossy(&request.payload).into_owned();
    let config = &cx.state.config;
    let (operators, system) = (config.operators(), config.system_account_name());
    let store = operators.and_then(Operators::store);
    let deletes = store.map_or(Deletes::No, |store| store.deletes);
    let keys = operators
        .map(|operators| operators.deletion(text.trim_end(), system, deletes != Deletes::No));
    let path = store.map(|store| store.path.to_owned());
    let (Some(Ok(keys)), Some(path)) = (keys.clone(), path) else {
        let text = keys
            .and_then(Result::err)
            .map(|refused| refused.to_string());
        refuse(cx, request, None, &text.unwrap_or_default());
        return kept::done(cx);
    };
    let names = keys.clone();
    let work = move || {
        let gone = |key: &String| directory::delete(&path, key, deletes);
        names.iter().try_for_each(gone)
    };
    let asked = copy(request);
    kept::work(cx, work, move |cx, outcome| {
        if let Err(text) = &outcome {
            log::error!(target: "midge", "Error deleting an account JWT: {text}");
            refuse(cx, &asked, None, text);
        } else {
            let message = format!("deleted {} accounts", keys.len());
            let told = Told {
                account: None,
                code: 200,
                message: &message,
            };
            answer(cx, &asked, "data", &told);
            for key in &keys {
                log::info!(target: "midge", "Account {key} is deleted");
                cx.state.cache.forget(key);
                cx.state.known.delete(key);
                bring(cx, key);
            }
        }
        kept::done(cx);
    });
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
    let token = cx.state.known.kept(key);
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

/// Says why a push is not taken.
fn refuse_push(
    cx: &mut Context<'_, State>,
    request: &Request,
    account: Option<&str>,
    fault: &PushFault,
) {
    let text = fault.told(is_cache(cx.state));
    refuse(cx, request, account, &text);
}

/// Says why a request is not carried out.
fn refuse(cx: &mut Context<'_, State>, request: &Request, account: Option<&str>, text: &str) {
    let whose = account.map_or("An account".to_owned(), |key| {
        format!("Account {}", Text(key))
    });
    log::warn!(target: "midge", "{whose} is not changed: {text}");
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
        let answer = wanted::inbox("N1", "A1");
        assert_eq!(asked(&answer), Some(Asked::Answer("A1".to_owned())));
        assert_eq!(subjects(None, "N1"), Vec::<String>::new());
    }
}
