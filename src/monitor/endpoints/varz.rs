//! `/varz`: the server and its counters.

use super::Content;
use crate::ANNOUNCED_VERSION;
use crate::config::Advertise;
use crate::door::Door;
use crate::limits::{Kind, Scope};
use crate::monitor::view::View;
use crate::records::TlsHandshakes;
use crate::state::State;
use crate::tls::Shown;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What nats-server tells without TLS.
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// What midge has not is an empty object, as in a nats-server where it is off.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// A cluster of one, which is nothing without a name.
#[derive(Debug, Serialize)]
struct Cluster<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A count for each kind of connection.
#[derive(Debug, Default, Serialize)]
pub(super) struct ByKind {
    clients: u64,
    routes: u64,
    gateways: u64,
    leafs: u64,
}

/// The answer. Durations are nanoseconds where nothing else is said.
#[derive(Debug, Serialize)]
pub(super) struct Varz<'a> {
    server_id: &'a str,
    server_name: &'a str,
    version: &'a str,
    proto: u32,
    go: &'a str,
    host: &'a str,
    port: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auth_required: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls_required: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls_verify: bool,
    max_connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_subscriptions: Option<usize>,
    ping_interval: u64,
    ping_max: u32,
    http_host: &'a str,
    http_port: u16,
    http_base_path: &'a str,
    https_port: u16,
    /// Seconds.
    auth_timeout: f64,
    max_control_line: usize,
    max_payload: usize,
    max_pending: usize,
    cluster: Cluster<'a>,
    gateway: Nothing,
    leaf: Nothing,
    mqtt: Nothing,
    websocket: WebSocket<'a>,
    /// Of midge alone, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listeners: Vec<Listening<'a>>,
    jetstream: Nothing,
    /// Seconds.
    tls_timeout: f64,
    write_deadline: u64,
    start: Timestamp,
    now: Timestamp,
    uptime: String,
    mem: usize,
    cores: usize,
    gomaxprocs: usize,
    cpu: f64,
    pub(super) connections: usize,
    pub(super) total_connections: u64,
    routes: u64,
    remotes: u64,
    leafnodes: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    in_client_msgs: u64,
    in_client_bytes: u64,
    out_client_msgs: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    stale_connections: u64,
    /// Of midge alone.
    auth_failures: u64,
    /// Of midge alone; left out where there has been none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_handshakes: Option<TlsHandshakes>,
    pub(super) subscriptions: usize,
    http_req_stats: &'a BTreeMap<&'static str, u64>,
    config_load_time: Timestamp,
    /// When the first of the certificates ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_not_after: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_account: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    slow_consumer_stats: ByKind,
    stale_connection_stats: ByKind,
    /// Of midge alone: what the limits of addresses, users and accounts have done, if there are any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// midge's own version.
    midge: &'a str,
}

/// How often each limit did something, by whose it is.
fn limits(state: &State) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let limiter = &state.limiter;
    let of = |scope| {
        let counts = limiter.counts(scope);
        let each = Kind::ALL.into_iter();
        each.map(|kind| (kind.name().0, counts.of(kind))).collect()
    };
    let scopes = Scope::ALL.into_iter().filter(|_| limiter.is_told());
    scopes.map(|scope| (scope.name(), of(scope))).collect()
}

/// Clients that come by WebSocket; without any, what is left out is all there is.
#[derive(Debug, Default, Serialize)]
struct WebSocket<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    advertise: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    no_auth_user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    jwt_cookie: &'a str,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero_long")]
    handshake_timeout: u64,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_timeout: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_tls: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    same_origin: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed_origins: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    compression: bool,
    /// When the first of its certificates ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_not_after: Option<Timestamp>,
}

/// One of `listeners`.
#[derive(Debug, Serialize)]
struct Listening<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    port: u16,
    /// The path of its Unix socket, in place of host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    unix: Option<&'a Path>,
    connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    auth_required: bool,
    tls_required: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    no_auth_user: &'a str,
}

impl<'a> Listening<'a> {
    fn all(state: &'a State) -> Vec<Listening<'a>> {
        let further = state
            .doors
            .iter()
            .filter(|open| matches!(open.door, Door::Further(_)));
        let told = further.map(|open| {
            let terms = state.config.terms(open.door);
            Listening {
                name: terms.name,
                host: terms.unix.map_or(terms.host, |_| ""),
                port: open.port,
                unix: terms.unix.map(|unix| unix.path.as_path()),
                connections: open.clients,
                max_connections: terms.connections_max,
                auth_required: terms.want_credentials(),
                tls_required: terms.tls.is_some() && !terms.allow_non_tls,
                no_auth_user: terms.no_auth_user.unwrap_or_default(),
            }
        });
        told.collect()
    }
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

fn is_zero_long(number: &u64) -> bool {
    *number == 0
}

impl<'a> WebSocket<'a> {
    fn of(view: &View<'a>) -> WebSocket<'a> {
        let state = view.state;
        let (Some(config), Some(door)) = (&state.config.websocket, state.door(Door::WebSocket))
        else {
            return WebSocket::default();
        };
        let advertise = config.advertise.as_ref();
        WebSocket {
            host: &config.host,
            port: door.port,
            advertise: advertise.map_or_else(String::new, Advertise::to_string),
            no_auth_user: config.no_auth_user.as_deref().unwrap_or_default(),
            jwt_cookie: config.jwt_cookie.as_deref().unwrap_or_default(),
            handshake_timeout: nanos(config.handshake_timeout),
            auth_timeout: config.auth_timeout.map(|time| time.as_secs_f64()),
            no_tls: config.no_tls,
            same_origin: config.same_origin,
            allowed_origins: &config.allowed_origins,
            compression: config.compression,
            tls_cert_not_after: first_end(view.certificates(Door::WebSocket)),
        }
    }
}

pub(super) fn answer(view: &View<'_>) -> Content {
    Content::json(&varz(view))
}

pub(super) fn varz<'a>(view: &View<'a>) -> Varz<'a> {
    let (state, records) = (view.state, view.records);
    let (config, info) = (&state.config, &state.info);
    let stats = state.stats();
    let (monitor, tls) = (config.monitor.as_ref(), config.tls.as_ref());
    let is_https = monitor.is_some_and(|monitor| monitor.tls);
    let start = view.wall_of(records.started);
    Varz {
        server_id: &info.server_id,
        server_name: &info.server_name,
        version: ANNOUNCED_VERSION,
        proto: info.proto,
        go: &info.go,
        host: &info.host,
        port: info.port,
        auth_required: config.terms(Door::Main).want_credentials(),
        tls_required: info.tls_required,
        tls_verify: info.tls_verify,
        max_connections: config.connections_max,
        max_subscriptions: config.subscriptions_max,
        ping_interval: nanos(config.ping_interval),
        ping_max: config.pings_out_max,
        http_host: monitor
            .and_then(|monitor| monitor.host.as_deref())
            .unwrap_or(&config.host),
        http_port: if is_https { 0 } else { records.port },
        http_base_path: monitor.map_or("", |monitor| &monitor.base_path),
        https_port: if is_https { records.port } else { 0 },
        auth_timeout: config.terms(Door::Main).login_time.as_secs_f64(),
        max_control_line: config.control_line_bytes_max,
        max_payload: config.payload_bytes_max,
        max_pending: config.pending_bytes_max,
        cluster: Cluster {
            name: config.cluster_name.as_deref(),
        },
        gateway: Nothing {},
        leaf: Nothing {},
        mqtt: Nothing {},
        websocket: WebSocket::of(view),
        listeners: Listening::all(state),
        jetstream: Nothing {},
        tls_timeout: tls.map_or(TLS_TIMEOUT, |tls| tls.timeout).as_secs_f64(),
        write_deadline: nanos(config.write_deadline),
        start,
        now: view.now(),
        uptime: view.since(records.started),
        mem: records.process.resident_bytes(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        // One thread does all the work.
        gomaxprocs: 1,
        cpu: records.process.cpu_percent(),
        connections: stats.clients,
        total_connections: stats.connections,
        routes: 0,
        remotes: 0,
        leafnodes: 0,
        in_msgs: stats.received.messages,
        out_msgs: stats.sent.messages,
        in_bytes: stats.received.bytes,
        out_bytes: stats.sent.bytes,
        in_client_msgs: stats.received.messages,
        in_client_bytes: stats.received.bytes,
        out_client_msgs: stats.sent.messages,
        out_client_bytes: stats.sent.bytes,
        slow_consumers: stats.slow_consumers,
        stale_connections: stats.stale,
        auth_failures: stats.auth_failures,
        tls_handshakes: Some(stats.tls_handshakes).filter(TlsHandshakes::is_any),
        subscriptions: stats.subscriptions,
        http_req_stats: &records.requests,
        config_load_time: view.wall_of(records.configured),
        tls_cert_not_after: first_end(view.certificates(Door::Main)),
        system_account: config.system_account_name(),
        tags: &config.server_tags,
        metadata: &config.server_metadata,
        slow_consumer_stats: ByKind {
            clients: stats.slow_consumers,
            ..ByKind::default()
        },
        stale_connection_stats: ByKind {
            clients: stats.stale,
            ..ByKind::default()
        },
        limits: limits(state),
        midge: env!("CARGO_PKG_VERSION"),
    }
}

/// When the first of these certificates ends.
fn first_end(shown: &[Shown]) -> Option<Timestamp> {
    shown.iter().map(|shown| shown.not_after).min()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
