//! Accounts that others are asked for, where this broker is a cache: by a message in the system account, which a server with
//! all accounts answers.
//!
//! ```text
//! $SYS.REQ.ACCOUNT.KEY.CLAIMS.LOOKUP ──▶ others ──▶ $SYS._INBOX.ID.KEY ──▶ read ──▶ admitted ──▶ kept ──▶ clients that wait
//! ```
//!
//! The first answer counts. It is held against the operators as a push is, since any client of the system account may give
//! one.

use super::claims::{BUSY, LOOKUP_OF_ACCOUNT, OF_ACCOUNT, bring};
use super::kept::{self, done, go_on};
use crate::link::saying::{Message, publish};
use crate::state::State;
use crate::state::pushes::Work;
use midge_reactor::Context;

/// Where answers come.
const INBOX: &str = "$SYS._INBOX.";

/// Where a broker of this id is answered about an account.
pub(super) fn inbox(server_id: &str, account: &str) -> String {
    format!("{INBOX}{server_id}.{account}")
}

/// The account that an answer is about, by its subject.
pub(super) fn account_of(subject: &str) -> Option<String> {
    let (_, account) = subject.strip_prefix(INBOX)?.split_once('.')?;
    Some(account.to_owned())
}

/// Asks others for an account.
pub(super) fn ask(cx: &mut Context<'_, State>, key: &str) {
    let operators = cx.state.config.operators();
    let cache = operators.and_then(|operators| operators.cache());
    let Some(timeout) = cache.map(|cache| cache.timeout) else {
        return tell(cx, key, Some("account missing"));
    };
    let subject = format!("{OF_ACCOUNT}{key}{LOOKUP_OF_ACCOUNT}");
    let reply = inbox(&cx.state.info.server_id, key);
    let State { core, service, .. } = &mut *cx.state;
    let is_heard = service.as_mut().is_some_and(|service| {
        let message = Message {
            subject: subject.as_bytes(),
            reply: Some(reply.as_bytes()),
            ..Message::default()
        };
        publish(core, &mut cx.io, service, &message)
    });
    if !is_heard {
        let text = "account missing: nobody in the system account answers for others";
        return tell(cx, key, Some(text));
    }
    let asked = key.to_owned();
    let timer = cx.after(timeout, move |cx| {
        tell(cx, &asked, Some("fetching jwt timed out"));
    });
    cx.state.lookups.end_at(key, timer);
}

/// An answer has come.
pub(super) fn answered(cx: &mut Context<'_, State>, key: &str, text: &[u8]) {
    // A further one, or one that comes too late, is of no use.
    let Some(timer) = cx.state.lookups.answered(key) else {
        return;
    };
    cx.io.cancel(timer);
    if text.is_empty() {
        return tell(cx, key, Some("account jwt not found"));
    }
    match cx.state.pushes.keep(Work::Come(key.into(), text.into())) {
        true => go_on(cx),
        false => tell(cx, key, Some(BUSY)),
    }
}

/// Takes the token that was asked for, if it is good, and tells those who wait.
pub(super) fn take(cx: &mut Context<'_, State>, key: Box<str>, text: &[u8]) {
    kept::read(cx, text, move |cx, read| {
        let admitted = read.and_then(|token| {
            cx.state.admit_account(Some(&key), &token)?;
            Ok(token)
        });
        match admitted {
            Ok(token) => {
                let is_another = !cx.state.knows(&token);
                kept::store(cx, token, move |cx, stored| {
                    let failure = stored.err();
                    if failure.is_none() && is_another {
                        bring(cx, &key);
                    }
                    tell(cx, &key, failure.as_deref());
                    done(cx);
                });
            }
            Err(fault) => {
                tell(cx, &key, Some(&fault.cause()));
                done(cx);
            }
        }
    });
}

/// Tells clients that wait what has become of their account.
fn tell(cx: &mut Context<'_, State>, key: &str, failure: Option<&str>) {
    let tell = cx.state.pushes.tell;
    tell(cx, key, failure);
}
