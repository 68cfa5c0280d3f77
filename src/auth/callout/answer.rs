//! What is read of an answer, and what it comes to for the client.
//!
//! It is looked at in nats-server's order, which decides what the log tells. Unlike there, a seal or a place in
//! the account proves nothing: the signature counts.

use super::keys::Keys;
use super::{Decider, Fault, granted};
use crate::auth::Login;
use crate::auth::tokens::{self, Known, Now, Shown, Terms};
use crate::config::Config;
use crate::jwt::{self, Claims, Response};

/// By what an answer is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) decider: Decider<'a>,
    /// The key that was made for the request.
    pub(crate) user_key: &'a str,
    pub(crate) server_id: &'a str,
}

/// Who a client is by an answer. Costs two checks of signatures, and a box if it is sealed: 90 and 100 microseconds on an
/// Intel Xeon.
///
/// # Errors
/// Why it does not come in.
pub(crate) fn login(
    keys: &Keys,
    config: &Config,
    known: &Known,
    asked: &Asked<'_>,
    payload: &[u8],
    shown: &Shown<'_>,
    now: &Now,
) -> Result<Login, Fault> {
    let own = asked.decider.account;
    let is_vouched = |issuer: &str| match config.operators() {
        None => issuer == asked.decider.subject,
        Some(operators) => (known.find(operators, own)).is_some_and(|account| {
            let claims = account.claims();
            let mut keys = claims.body.signing_keys.iter();
            claims.subject == issuer || keys.any(|key| key.key == issuer)
        }),
    };
    let second = now.wall.as_second();
    let response = read(keys, asked, payload)?;
    response.is_timely(second).map_err(Fault::NotTimely)?;
    if response.subject != asked.user_key {
        return Err(Fault::OtherUser);
    }
    if response.audience != asked.server_id {
        return Err(Fault::OtherServer);
    }
    // A refusal is believed for its signature only, too.
    if !is_vouched(&response.issuer) {
        return Err(Fault::Stranger);
    }
    if !response.body.error.is_empty() {
        return Err(Fault::Told(response.body.error));
    }
    let user = jwt::user(&response.body.jwt).map_err(Fault::Token)?;
    user.is_timely(second).map_err(Fault::User)?;
    if let Some(issue) = user.issues().into_iter().next() {
        return Err(Fault::User(issue));
    }
    if user.subject != asked.user_key {
        return Err(Fault::Subject {
            expected: asked.user_key.to_owned(),
            got: user.subject,
            own: own.to_owned(),
        });
    }
    if config.operators().is_some() {
        return tokens::called_out(config, known, own, &user, shown, now);
    }
    let terms = Terms::of(&user, shown, now).map_err(Fault::Terms)?;
    let claimed = crate::auth::claimed_user(shown.options);
    granted::login(config, &user, terms, claimed)
}

/// Reads the token of an answer, sealed or not.
fn read(keys: &Keys, asked: &Asked<'_>, payload: &[u8]) -> Result<Claims<Response>, Fault> {
    if payload.is_empty() {
        return Err(Fault::NoReason {
            own: asked.decider.account.to_owned(),
        });
    }
    let opened = opened(keys, asked, payload)?;
    let text = opened.as_deref().unwrap_or(payload);
    // What is not UTF-8 is no base64 either.
    let text = String::from_utf8_lossy(text);
    jwt::response(&text).map_err(Fault::Token)
}

/// What was sealed in it; `None` if it is not sealed.
#[cfg(feature = "nkeys")]
fn opened(keys: &Keys, asked: &Asked<'_>, payload: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    match asked.decider.xkey {
        Some(from) if !payload.starts_with(b"eyJ") => {
            let opened = keys.sealing.open(payload, &from);
            opened.map(Some).map_err(|told| Fault::Sealed {
                own: asked.decider.account.to_owned(),
                told: told.to_string(),
            })
        }
        _ => Ok(None),
    }
}

#[cfg(not(feature = "nkeys"))]
fn opened(_: &Keys, _: &Asked<'_>, _: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    Ok(None)
}
