//! Callouts: somebody else decides who a client is. He is asked by a message, and answers with the JWT of a user.
//!
//! ```text
//!                      request, signed by the server, for a key that is made for it
//! check ──▶ CallOut ──────────────────────────────▶ $SYS.REQ.USER.AUTH ──▶ a client, the service
//!                                                                             │
//! Login ◀── terms of the user's JWT ◀── answer, signed by the issuer ◀────────┘
//! ```
//!
//! | | by the settings (`auth_callout`) | by the JWT of an account (`authorization`) |
//! |---|---|---|
//! | about whom | clients other than `auth_users` | users of the account, once their own JWT was accepted |
//! | who answers | `issuer` | the account, or a signing key of it |
//! | in which account a client is | `aud` of the user's JWT | that which has issued it, if it is allowed |
//!
//! The answer is believed for its signatures, sealed or not, and for that one client: the key that was made for the
//! request stands in both of its tokens. Pure: who asks, and how many are asked at once, is in `state/callouts.rs`; who
//! waits for it in `client/callout.rs`.
//!
//! * `request`: what is asked; `answer`: what is read of an answer; `fault`: why it does not let a client in
//! * `granted`: what a callout of the settings has let in
//! * `keys`: the server's; `sealing`: messages that only two can read

pub(crate) mod answer;
mod fault;
mod granted;
pub(crate) mod keys;
pub(crate) mod request;
#[cfg(feature = "nkeys")]
pub(crate) mod sealing;

pub(crate) use fault::Fault;
pub(crate) use granted::Granted;

use super::permissions::Permissions;
use super::tokens::Known;
use crate::config::{Config, Grant, callout};

/// To which a service subscribes that decides.
pub(crate) const SUBJECT: &str = "$SYS.REQ.USER.AUTH";

/// To which answers go: `$SYS._INBOX.`, eight letters for each run of the server, and as many for each request.
pub(crate) const INBOXES: &str = "$SYS._INBOX.";
const ALL_INBOXES: &str = "$SYS._INBOX.>";

/// Who decides about a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Decider<'a> {
    /// The account in which he is asked.
    pub(crate) account: &'a str,
    /// As whose request it is signed: that of the issuer, or of the account.
    pub(crate) subject: &'a str,
    /// To whom requests are sealed.
    pub(crate) xkey: Option<[u8; 32]>,
}

impl<'a> Decider<'a> {
    /// The one who is asked in an account, if somebody is.
    pub(crate) fn of(config: &'a Config, known: &'a Known, account: &str) -> Option<Decider<'a>> {
        let Some(operators) = config.operators() else {
            let own = config.auth_callout.as_ref();
            let own = own.filter(|own| own.account == account)?;
            return Some(Decider {
                account: &own.account,
                subject: &own.issuer,
                xkey: own.xkey.as_deref().and_then(callout::xkey),
            });
        };
        let claims = known.find(operators, account)?.claims();
        let own = &claims.body.authorization;
        (!own.auth_users.is_empty()).then_some(Decider {
            account: &claims.subject,
            subject: &claims.subject,
            xkey: callout::xkey(&own.xkey),
        })
    }
}

/// What a client may do in an account that the settings have put it into: in that of a callout it asks no service.
pub(super) fn reserve(config: &Config, account: &str, grant: Option<&Grant>) -> Permissions {
    let callout = config.auth_callout.as_ref();
    match callout.is_some_and(|callout| callout.account == account) {
        true => without_asking(grant),
        false => Permissions::of(grant),
    }
}

/// Without the right to ask as the server does: for those who may answer.
pub(super) fn without_asking(grant: Option<&Grant>) -> Permissions {
    without(grant, &[SUBJECT], &[])
}

/// Without the right to ask, to hear what is asked and answered, or to answer: for those who were let in by an answer.
pub(super) fn without_deciding(grant: Option<&Grant>) -> Permissions {
    without(grant, &[SUBJECT, ALL_INBOXES], &[SUBJECT, ALL_INBOXES])
}

fn without(grant: Option<&Grant>, publish: &[&str], subscribe: &[&str]) -> Permissions {
    let permissions = match grant {
        Some(grant) => grant.denying(publish, subscribe),
        None => crate::config::Permissions::default().denying(publish, subscribe),
    };
    Permissions::of(Some(&permissions.into()))
}
