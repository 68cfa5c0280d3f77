//! What all messages of the broker itself have in common: who says it, its counters, and why there is no answer.

use crate::ANNOUNCED_VERSION;
use crate::core::accounts::AccountId;
use crate::core::receiver::Traffic;
use crate::monitor::view::View;
use crate::state::State;
use jiff::Timestamp;
use serde::Serialize;
use std::thread;

/// Who says it, as it stands in each message.
#[derive(Serialize)]
pub(super) struct Server<'a> {
    name: &'a str,
    host: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    ver: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    jetstream: bool,
    flags: u64,
    seq: u64,
    time: Timestamp,
}

/// Messages and bytes that went one way.
#[derive(Serialize)]
pub(super) struct Count {
    msgs: u64,
    bytes: u64,
}

impl From<Traffic> for Count {
    fn from(traffic: Traffic) -> Count {
        Count {
            msgs: traffic.messages,
            bytes: traffic.bytes,
        }
    }
}

/// The counters of the broker.
#[derive(Serialize)]
struct Statsz {
    start: Timestamp,
    mem: usize,
    cores: usize,
    cpu: f64,
    connections: usize,
    total_connections: u64,
    active_accounts: usize,
    subscriptions: usize,
    sent: Count,
    received: Count,
    slow_consumers: u64,
    active_servers: usize,
    gomaxprocs: usize,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: u16,
    description: &'a str,
}

/// An answer that says why there is none.
pub(super) fn failed(view: &View<'_>, code: u16, description: &str) -> Vec<u8> {
    let mut body = opened(view, "error");
    body.extend(json(&Failure { code, description }));
    body.push(b'}');
    body
}

/// An answer that says no more than who gives it: what was asked for is done.
pub(super) fn done(view: &View<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Done<'a> {
        server: Server<'a>,
    }
    json(&Done {
        server: server(view),
    })
}

/// Who says what comes next.
pub(super) fn server<'a>(view: &View<'a>) -> Server<'a> {
    server_at(view.state, view.now())
}

fn server_at(state: &State, time: Timestamp) -> Server<'_> {
    let State {
        config,
        info,
        serving,
        ..
    } = state;
    Server {
        name: &info.server_name,
        host: &info.host,
        id: &info.server_id,
        cluster: config.cluster_name.as_deref(),
        ver: ANNOUNCED_VERSION,
        tags: &config.server_tags,
        jetstream: false,
        flags: 0,
        seq: serving.said,
        time,
    }
}

/// An answer up to the value that has this name.
pub(super) fn opened(view: &View<'_>, name: &str) -> Vec<u8> {
    opened_at(view.state, view.now(), name)
}

/// The same at this date, also where nothing is kept to be told.
pub(super) fn opened_at(state: &State, now: Timestamp, name: &str) -> Vec<u8> {
    let mut body = b"{\"server\":".to_vec();
    body.extend(json(&server_at(state, now)));
    body.extend(format!(",\"{name}\":").as_bytes());
    body
}

/// An object, and behind its fields those of another one; both have some.
pub(super) fn joined(mut whole: Vec<u8>, rest: &impl Serialize) -> Vec<u8> {
    let rest = json(rest);
    whole.pop();
    whole.push(b',');
    whole.extend_from_slice(&rest[1..]);
    whole
}

/// A value in one line.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are JSON")
}

/// The counters, with who says so.
pub(super) fn statsz(view: &View<'_>) -> Vec<u8> {
    let mut body = opened(view, "statsz");
    body.extend(json(&counters(view)));
    body.push(b'}');
    body
}

fn counters(view: &View<'_>) -> Statsz {
    let (state, records) = (view.state, view.records);
    let stats = state.stats();
    let accounts = &state.core.accounts;
    let is_active = |id: &AccountId| accounts[*id].clients > 0;
    Statsz {
        start: view.wall_of(records.started),
        mem: records.process.resident_bytes(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        cpu: records.process.cpu_percent(),
        connections: stats.clients,
        total_connections: stats.connections,
        active_accounts: accounts.ids().filter(is_active).count(),
        subscriptions: stats.subscriptions,
        sent: stats.sent.into(),
        received: stats.received.into(),
        slow_consumers: stats.slow_consumers,
        active_servers: 1,
        gomaxprocs: 1,
    }
}
