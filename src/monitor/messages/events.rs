//! Events: what clients of the system account are told without asking.
//!
//! | subject | when |
//! |---|---|
//! | `$SYS.ACCOUNT.<account>.CONNECT`, `.DISCONNECT` | a client has logged in, and has ended |
//! | `$SYS.ACCOUNT.<account>.SERVER.CONNS`, `$SYS.SERVER.ACCOUNT.<account>.CONNS` | the number of its connections has changed, and every 30 seconds while there is any |
//! | `$SYS.SERVER.<id>.CLIENT.AUTH.ERR`, and in the account of the client `$SYS.ACCOUNT.CLIENT.AUTH.ERR` | a client was not let in |
//! | `$SYS.SERVER.<id>.STATSZ` | a second after the start, then after times that double up to ten seconds |
//! | `$SYS.SERVER.<id>.MIDGE.SLOW` | publishers wait for a client, or do so no longer |
//! | `$SYS.SERVER.<id>.MIDGE.LATE` | the loop stood still |
//! | `$SYS.SERVER.<id>.MIDGE.CERTIFICATE` | a certificate ends soon, has ended or is not valid yet |
//! | `$SYS.SERVER.<id>.LAMEDUCK`, `.SHUTDOWN` | lame duck mode begins; the broker stops |
//!
//! Nothing is told of clients of the global account, but that they were not let in. An event is made only if
//! somebody has subscribed to its subject. [`Events`](crate::state::events::Events) keeps those that wait.

use super::body::{Count, joined, json, server, statsz};
use super::{say, say_in, with_view};
use crate::core::accounts::AccountId;
use crate::door::Transport;
use crate::link::upkeep::tell_later;
use crate::monitor::endpoints::{figures, slow};
use crate::monitor::view::View;
use crate::state::State;
use crate::state::events::{End, Event, Seen, subjects};
use jiff::Timestamp;
use midge_reactor::Context;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What one event costs, in places looked at.
const EVENT_COST: usize = 16;

/// Events that are told in a turn in any case, whatever else was asked in it.
const EVENTS_MIN: usize = 4;

/// How often the connections of all accounts are told.
const CONNECTIONS_EVERY: Duration = Duration::from_secs(30);

/// Accounts that are looked at for that in one turn, and events that may wait when it goes on.
const ACCOUNTS_MAX: usize = 256;
const WAITING_MAX: usize = 256;

/// When the counters are told first, and how long it is at most from one time to the next.
const STATSZ_FIRST: Duration = Duration::from_secs(1);
const STATSZ_EVERY: Duration = Duration::from_secs(10);

const CONNECTED: &str = "io.nats.server.advisory.v1.client_connect";
const DISCONNECTED: &str = "io.nats.server.advisory.v1.client_disconnect";
const CONNECTIONS: &str = "io.nats.server.advisory.v1.account_connections";

/// There is a service: what is told from time to time begins.
pub(super) fn begin(cx: &mut Context<'_, State>) {
    let connections = cx.every(CONNECTIONS_EVERY, |cx| tell_accounts(cx, 0));
    cx.state.events.timers[0] = Some(connections);
    tell_counters_later(cx, STATSZ_FIRST);
}

/// There is no service any more.
pub(super) fn end(cx: &mut Context<'_, State>) {
    for timer in std::mem::take(&mut cx.state.events.timers) {
        timer.map(|timer| cx.io.cancel(timer));
    }
    cx.state.events.clear();
}

/// Lame duck mode has begun.
pub(crate) fn tell_lame_duck(cx: &mut Context<'_, State>) {
    tell_of_server(cx, "LAMEDUCK");
}

/// The broker is about to stop: what is queued still leaves.
pub(crate) fn tell_shutdown(cx: &mut Context<'_, State>) {
    tell_of_server(cx, "SHUTDOWN");
}

/// Tells what waits, as far as half of the budget goes: the other half is for those who ask.
pub(super) fn tell(cx: &mut Context<'_, State>) {
    cx.state.events.begin();
    if cx.state.events.len() == 0 {
        return;
    }
    let now = cx.now();
    if let Some(records) = &mut cx.state.records {
        records.clock.follow(now);
    }
    for number in 0.. {
        let has_budget = with_view(cx, |_, budget| {
            let has_budget = !budget.is_half_spent();
            budget.spend(EVENT_COST);
            has_budget
        });
        if number >= EVENTS_MIN && has_budget != Some(true) {
            break;
        }
        match cx.state.events.pop(now) {
            None => break,
            Some(Event::Connections(name)) => tell_connections(cx, &name),
            Some(Event::Connected(seen)) => {
                tell_of_client(cx, &subjects::connect(&seen.account), CONNECTED, &seen);
            }
            Some(Event::Disconnected(seen)) => {
                let subject = subjects::disconnect(&seen.account);
                tell_of_client(cx, &subject, DISCONNECTED, &seen);
            }
            Some(Event::Refused(seen)) => tell_refused(cx, &seen),
            Some(Event::Slow(episode)) => {
                tell_own(cx, subjects::SLOW, "slow", |view| {
                    json(&slow(view, &episode))
                });
            }
            Some(Event::Late(until)) => tell_own(cx, subjects::LATE, "late", |view| {
                let until = view.wall_of(until);
                json(&Late { until })
            }),
            Some(Event::Certificate(paper)) => {
                tell_own(cx, subjects::CERTIFICATE, "certificate", |_| {
                    json(&Certificate {
                        name: &paper.name,
                        not_after: paper.not_after,
                        text: &paper.text,
                    })
                });
            }
        }
    }
}

/// Tells the counters to those who listen to them.
pub(super) fn tell_counters(cx: &mut Context<'_, State>) {
    let subject = subjects::of_server(&cx.state.info.server_id, "STATSZ");
    if cx.state.is_heard(&subject) {
        let now = cx.now();
        if let Some(records) = &mut cx.state.records {
            records.look(now);
        }
        tell_if_heard(cx, &subject, statsz);
    }
}

/// How many connections an account has, as one event of several: it has this number.
pub(super) fn connections(view: &View<'_>, name: &str, id: &str) -> Vec<u8> {
    let at = view.now();
    advisory(view, CONNECTIONS, id, at, &figures(view, name))
}

/// A number for an event: 22 letters and digits, that of no other.
pub(super) fn number(cx: &mut Context<'_, State>) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = u128::from(cx.io.random()) << 64 | u128::from(cx.io.random());
    let digits = (0..22).map(|_| {
        let digit = DIGITS[(random % 62) as usize];
        random /= 62;
        char::from(digit)
    });
    digits.collect()
}

/// Notes the accounts from a place on, a bounded number a turn.
fn tell_accounts(cx: &mut Context<'_, State>, from: usize) {
    if cx.state.audience().is_none() {
        return;
    }
    let mut next = from;
    if cx.state.events.len() < WAITING_MAX {
        let accounts = &cx.state.core.accounts;
        let some: Vec<AccountId> = accounts.ids().skip(from).take(ACCOUNTS_MAX).collect();
        if some.is_empty() {
            return;
        }
        next += some.len();
        for account in some {
            if cx.state.core.accounts[account].clients > 0 {
                cx.state.note_connections(account);
            }
        }
        tell_later(cx);
    }
    cx.defer(move |cx| tell_accounts(cx, next));
}

fn tell_counters_later(cx: &mut Context<'_, State>, delay: Duration) {
    let timer = cx.after(delay, move |cx| {
        tell_counters(cx);
        tell_counters_later(cx, (2 * delay).min(STATSZ_EVERY));
    });
    cx.state.events.timers[1] = Some(timer);
}

/// Tells what the server does: the message is who says it.
fn tell_of_server(cx: &mut Context<'_, State>, name: &str) {
    let subject = subjects::of_server(&cx.state.info.server_id, name);
    tell_if_heard(cx, &subject, |view| json(&server(view)));
}

fn tell_connections(cx: &mut Context<'_, State>, name: &str) {
    let subjects = subjects::connections(name);
    if !subjects
        .each_ref()
        .map(|one| cx.state.is_heard(one))
        .contains(&true)
    {
        return;
    }
    let id = number(cx);
    for subject in &subjects {
        tell_if_heard(cx, subject, |view| connections(view, name, &id));
    }
}

fn tell_of_client(cx: &mut Context<'_, State>, subject: &str, kind: &str, seen: &Seen) {
    let id = number(cx);
    tell_if_heard(cx, subject, |view| about_client(view, kind, &id, seen));
}

fn tell_refused(cx: &mut Context<'_, State>, seen: &Seen) {
    let subject = subjects::of_server(&cx.state.info.server_id, "CLIENT.AUTH.ERR");
    tell_of_client(cx, &subject, DISCONNECTED, seen);
    // That of the callout, where one has not let it in.
    let told = seen.refused.as_ref().map(|refused| &*refused.account);
    let name: Arc<str> = told.map_or_else(|| Arc::clone(&seen.account), Arc::from);
    let Some(account) = cx.state.core.accounts.named(&name) else {
        return;
    };
    if cx.state.is_heard_in(account) {
        let id = number(cx);
        let seen = Seen {
            account: name,
            ..seen.clone()
        };
        let body = |view: &View<'_>| about_client(view, DISCONNECTED, &id, &seen);
        if let Some(payload) = made(cx, body) {
            let subject = subjects::REFUSED_IN_ACCOUNT.as_bytes();
            say_in(cx, account, subject, &payload);
        }
    }
}

/// Tells of something that midge alone tells of: it stands in a field of this name.
fn tell_own(
    cx: &mut Context<'_, State>,
    subject: &str,
    field: &str,
    make: impl FnOnce(&View<'_>) -> Vec<u8>,
) {
    let id = number(cx);
    let subject = subjects::of_server(&cx.state.info.server_id, subject);
    let kind = format!("midge.advisory.v1.{field}");
    tell_if_heard(cx, &subject, |view| {
        let mut event = head(view, &kind, &id, view.now());
        event.pop();
        event.extend_from_slice(format!(",\"{field}\":").as_bytes());
        event.extend_from_slice(&make(view));
        event.push(b'}');
        event
    });
}

/// The loop stood still until then.
#[derive(Serialize)]
struct Late {
    until: Timestamp,
}

#[derive(Serialize)]
struct Certificate<'a> {
    name: &'a str,
    not_after: Timestamp,
    text: &'a str,
}

/// Publishes to a subject in the system account what `make` makes, if it is heard.
fn tell_if_heard(
    cx: &mut Context<'_, State>,
    subject: &str,
    make: impl FnOnce(&View<'_>) -> Vec<u8>,
) {
    if cx.state.is_heard(subject)
        && let Some(payload) = made(cx, make)
    {
        say(cx, subject.as_bytes(), &payload);
    }
}

/// The next thing that is said.
fn made(cx: &mut Context<'_, State>, make: impl FnOnce(&View<'_>) -> Vec<u8>) -> Option<Vec<u8>> {
    cx.state.serving.said += 1;
    with_view(cx, |view, _| make(view))
}

/// What stands before what an event is about.
#[derive(Serialize)]
struct Head<'a, S: Serialize> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    timestamp: Timestamp,
    server: S,
}

fn advisory(
    view: &View<'_>,
    kind: &str,
    id: &str,
    timestamp: Timestamp,
    body: &impl Serialize,
) -> Vec<u8> {
    joined(head(view, kind, id, timestamp), body)
}

fn head(view: &View<'_>, kind: &str, id: &str, timestamp: Timestamp) -> Vec<u8> {
    let server = server(view);
    json(&Head {
        kind,
        id,
        timestamp,
        server,
    })
}

#[derive(Serialize)]
struct OfClient<'a> {
    client: Told<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A client as it is told.
#[derive(Serialize)]
struct Told<'a> {
    start: Timestamp,
    host: String,
    id: u64,
    acc: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ver: &'a str,
    /// In nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Timestamp>,
    /// From here on what its token says, if it has come in by one.
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    issuer_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name_tag: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    kind: &'static str,
    client_type: &'static str,
}

fn about_client(view: &View<'_>, kind: &str, id: &str, seen: &Seen) -> Vec<u8> {
    let (at, end) = (view.wall_of(seen.at), seen.end);
    let round_trip = end.map(|end| end.round_trip).filter(|it| !it.is_zero());
    let token = seen.identity.token.as_deref();
    let client = Told {
        start: view.wall_of(seen.start),
        host: seen.peer.host(),
        id: seen.cid,
        acc: &seen.account,
        user: &seen.identity.user,
        name: &seen.identity.name,
        lang: &seen.identity.lang,
        ver: &seen.identity.version,
        rtt: round_trip.map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX)),
        stop: end.map(|_| at),
        jwt: token.map_or("", |token| &token.text),
        issuer_key: token.map_or("", |token| &token.issuer),
        name_tag: token.map_or("", |token| &token.name),
        tags: token.map_or(&[], |token| &token.tags),
        kind: "Client",
        client_type: match seen.door.transport() {
            Transport::Plain => "nats",
            Transport::WebSocket => "websocket",
        },
    };
    let of = OfClient {
        client,
        // As the client sees it, unlike that of accounts.
        sent: end.map(|end| end.received.into()),
        received: end.map(|end| end.sent.into()),
        reason: match &seen.refused {
            Some(refused) => Some(refused.text.clone()),
            None => end.map(|End { reason, .. }| reason.to_string()),
        },
    };
    advisory(view, kind, id, at, &of)
}
