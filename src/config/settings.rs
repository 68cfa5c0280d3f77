//! Every setting by its name: what it is, and whether it can change while the broker runs.
//!
//! The names are those of nats-server's options, the first where there are several.

use super::{
    Auth, Config, Listener, OperatorToken, Operators, Preload, ProxyProtocol, UnixSocket,
    WebSocket, duration,
};
use crate::config::{LogFormat, LogOptions, Options};
use crate::door::Door;
use crate::jwt::Claims;
use crate::mapping::Mapping;
use crate::tls::{HandshakeFirst, Tls};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

/// What it takes for a new value to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takes {
    /// A reload.
    Reload,
    /// A restart: a reload that changes it is refused, as in nats-server, which refuses some more.
    Restart,
}

/// One setting.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its name in a file.
    pub name: &'static str,
    /// What it takes to change it.
    pub takes: Takes,
    show: fn(&Options) -> String,
    same: fn(&Options, &Options) -> bool,
}

impl Setting {
    /// Its value as an operator would write it, without secrets; `none` where there is none.
    pub fn show(&self, options: &Options) -> String {
        (self.show)(options)
    }

    /// Whether both have the same value, secrets included.
    pub fn is_same(&self, one: &Options, other: &Options) -> bool {
        (self.same)(one, other)
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name)
            .field("takes", &self.takes)
            .finish_non_exhaustive()
    }
}

macro_rules! settings {
    ($($name:literal, $takes:ident, |$options:ident| $value:expr, $show:path;)*) => {
        &[$(Setting {
            name: $name,
            takes: Takes::$takes,
            show: |$options| $show(&$value),
            same: |one, other| {
                let first = { let $options = one; &$value };
                let second = { let $options = other; &$value };
                first == second
            },
        }),*]
    };
}

/// All settings, in the order in which they are told.
pub static SETTINGS: &[Setting] = settings![
    "host", Restart, |o| o.config.host, text;
    "port", Restart, |o| o.config.port, port;
    "unix", Restart, |o| unix_place(o.config.unix.as_ref()), optional;
    "unix users", Reload, |o| unix_users(o.config.unix.as_ref()), optional;
    "proxy_protocol", Reload, |o| proxies(o.config.proxy_protocol.as_ref()), optional;
    "client_advertise", Reload, |o| o.config.advertise, optional;
    "server_name", Restart, |o| o.config.server_name, optional;
    "cluster_name", Reload, |o| o.config.cluster_name, optional;
    "server_tags", Reload, |o| o.config.server_tags, list;
    "server_metadata", Reload, |o| o.config.server_metadata, pairs;
    "operator", Restart, |o| operators(o, |all| names(&all.tokens)), list;
    "trusted_keys", Restart, |o| operators(o, |all| all.keys.clone()), list;
    "resolver", Restart, |o| o.config.operators().map(|all| &all.resolver), optional;
    "resolver_tls", Reload, |o| o.config.operators().and_then(|all| all.resolver_tls.as_ref()).map(resolver_tls), optional;
    "resolver_preload", Reload, |o| o.config.operators().map(|all| &all.preload), preload;
    "resolver_pinned_accounts", Reload, |o| operators(o, |all| all.pinned.clone()), list;
    "authorization", Reload, |o| Asked(&o.config.auth), asked;
    "auth_callout", Reload, |o| o.config.auth_callout, optional;
    "authorization timeout", Reload, |o| o.config.terms(Door::Main).login_time, time;
    "tls", Reload, |o| o.config.tls, tls;
    "allow_non_tls", Reload, |o| o.config.allow_non_tls, number;
    "no_auth_user", Reload, |o| o.config.no_auth_user, optional;
    "default_permissions", Reload, |o| o.config.default_permissions, optional;
    "accounts", Reload, |o| Accounts(&o.config), accounts;
    "system_account", Restart, |o| o.config.system_account, optional;
    "mappings", Reload, |o| o.config.mappings, mappings;
    "max_connections", Reload, |o| o.config.connections_max, count;
    "max_subscriptions", Reload, |o| o.config.subscriptions_max, optional;
    "max_sub_tokens", Reload, |o| o.config.subscription_tokens_max, optional;
    "limits per_address", Reload, |o| o.config.address_limits, number;
    "limits per_user", Reload, |o| o.config.user_limits, number;
    "max_control_line", Reload, |o| o.config.control_line_bytes_max, number;
    "max_payload", Reload, |o| o.config.payload_bytes_max, number;
    "max_pending", Reload, |o| o.config.pending_bytes_max, number;
    "max_pending_total", Reload, |o| Total(&o.config), total;
    "write_deadline", Reload, |o| o.config.write_deadline, time;
    "ping_interval", Reload, |o| o.config.ping_interval, time;
    "ping_max", Reload, |o| o.config.pings_out_max, number;
    "no_fast_producer_stall", Reload, |o| o.config.stall_producers, reversed;
    "no_header_support", Restart, |o| o.config.headers, reversed;
    "max_closed_clients", Reload, |o| o.config.closed_clients_max, number;
    "busy_poll", Restart, |o| o.config.busy_poll, time;
    "turn_time", Restart, |o| o.config.turn_time, time;
    "http_port", Restart, |o| address_of(o, false), address;
    "https_port", Restart, |o| address_of(o, true), address;
    "http_base_path", Reload, |o| base_path_of(o), optional;
    "http_authorization", Reload, |o| *http_auth_of(o), auth;
    "websocket", Restart, |o| websocket(o, |ws| (ws.host.clone(), ws.port, ws.tls.is_some())), websocket_address;
    "websocket tls", Reload, |o| websocket(o, |ws| ws.tls.clone()).flatten(), tls;
    "websocket advertise", Reload, |o| websocket(o, |ws| ws.advertise.clone()).flatten(), optional;
    "websocket origins", Reload, |o| websocket(o, |ws| (ws.same_origin, ws.allowed_origins.clone())), origins;
    "websocket handshake_timeout", Reload, |o| websocket(o, |ws| ws.handshake_timeout), optional_time;
    "websocket compression", Reload, |o| websocket(o, |ws| ws.compression), optional;
    "websocket authorization", Reload, |o| websocket(o, terms), own_terms;
    "websocket cookies", Reload, |o| websocket(o, cookies), list_of;
    "listeners", Restart, |o| listeners(o, |one| Some(listener_place(one))), list;
    "listeners tls", Reload, |o| ListenerTls(&o.config.listeners), listener_tls;
    "listeners advertise", Reload, |o| listeners(o, |one| one.advertise.as_ref().map(ToString::to_string)), list;
    "listeners authorization", Reload, |o| listeners(o, listener_terms), list;
    "listeners max_connections", Reload, |o| listeners(o, |one| one.connections_max.map(|max| max.to_string())), list;
    "listeners proxy_protocol", Reload, |o| listeners(o, |one| proxies(one.proxy_protocol.as_ref())), list;
    "listeners unix users", Reload, |o| listeners(o, |one| unix_users(one.unix.as_ref())), list;
    "websocket proxy_protocol", Reload, |o| websocket(o, |ws| proxies(ws.proxy_protocol.as_ref())).flatten(), optional;
    "lame_duck_duration", Reload, |o| o.config.lame_duck_duration, time;
    "lame_duck_grace_period", Reload, |o| o.config.lame_duck_grace_period, time;
    "connect_error_reports", Reload, |o| o.config.connect_error_reports, number;
    "reconnect_error_reports", Reload, |o| o.config.reconnect_error_reports, number;
    "pid_file", Reload, |o| o.config.pid_file, path;
    "ports_file_dir", Reload, |o| o.config.ports_file_dir, path;
    "debug", Reload, |o| o.log.debug, number;
    "trace", Reload, |o| o.log.trace, number;
    "max_traced_msg_len", Reload, |o| o.config.traced_bytes_max, number;
    "logtime", Reload, |o| o.log.time, number;
    "logtime_utc", Reload, |o| o.log.utc, number;
    "log_format", Reload, |o| o.log.format, format_name;
    "log_file", Reload, |o| o.log.file, path;
    "logfile_size_limit", Reload, |o| o.log.size_limit, number;
    "logfile_max_num", Reload, |o| o.log.files_max, number;
    "syslog", Reload, |o| o.log.syslog, number;
    "remote_syslog", Reload, |o| o.log.remote_syslog, optional;
];

/// Names every field, so that none can be forgotten above.
#[allow(dead_code, reason = "it is there to be compiled")]
fn all_fields(config: &Config, log: &LogOptions) {
    let Config {
        host: _,
        port: _,
        unix: _,
        proxy_protocol: _,
        listeners: _,
        advertise: _,
        server_name: _,
        cluster_name: _,
        server_tags: _,
        server_metadata: _,
        auth: _,
        auth_callout: _,
        auth_timeout: _,
        tls: _,
        allow_non_tls: _,
        no_auth_user: _,
        default_permissions: _,
        accounts: _,
        system_account: _,
        mappings: _,
        connections_max: _,
        subscriptions_max: _,
        subscription_tokens_max: _,
        address_limits: _,
        user_limits: _,
        control_line_bytes_max: _,
        payload_bytes_max: _,
        pending_bytes_max: _,
        pending_total_bytes_max: _,
        write_deadline: _,
        ping_interval: _,
        pings_out_max: _,
        stall_producers: _,
        headers: _,
        closed_clients_max: _,
        busy_poll: _,
        turn_time: _,
        monitor: _,
        websocket: _,
        lame_duck_duration: _,
        lame_duck_grace_period: _,
        connect_error_reports: _,
        reconnect_error_reports: _,
        pid_file: _,
        ports_file_dir: _,
        traced_bytes_max: _,
    } = config;
    let LogOptions {
        debug: _,
        trace: _,
        time: _,
        utc: _,
        format: _,
        file: _,
        size_limit: _,
        files_max: _,
        syslog: _,
        remote_syslog: _,
    } = log;
}

const NONE: &str = "none";

fn text(text: &str) -> String {
    text.to_owned()
}

fn number(number: &impl Display) -> String {
    number.to_string()
}

fn count(count: &usize) -> String {
    match *count {
        usize::MAX => NONE.to_owned(),
        count => count.to_string(),
    }
}

fn reversed(on: &bool) -> String {
    (!on).to_string()
}

/// The bound on all queues: told with its default, which depends on other settings and on the machine, and
/// the same where the same was set.
struct Total<'a>(&'a Config);

impl PartialEq for Total<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.pending_total_bytes_max == other.0.pending_total_bytes_max
    }
}

fn total(total: &Total<'_>) -> String {
    total.0.total_bytes_max().to_string()
}

fn port(port: &u16) -> String {
    if *port == 0 {
        "-1".to_owned()
    } else {
        port.to_string()
    }
}

fn time(time: &Duration) -> String {
    duration::show(*time)
}

fn optional_time(value: &Option<Duration>) -> String {
    value.as_ref().map_or(NONE.to_owned(), time)
}

fn optional<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map_or(NONE.to_owned(), ToString::to_string)
}

fn path(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or(NONE.to_owned(), |path| path.display().to_string())
}

fn list(list: &[String]) -> String {
    if list.is_empty() {
        NONE.to_owned()
    } else {
        format!("[{}]", list.join(", "))
    }
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if pairs.is_empty() {
        NONE.to_owned()
    } else {
        format!("{{{}}}", pairs.join(", "))
    }
}

fn auth(auth: &Auth) -> String {
    match auth {
        Auth::None => NONE.to_owned(),
        Auth::Token(_) => "a token".to_owned(),
        Auth::User { user, .. } => format!("user {user}"),
        Auth::Operators(_) => "a user's JWT".to_owned(),
        Auth::Users { users, token } => {
            let names = users.iter().map(|user| match &user.account {
                None => user.name.clone(),
                Some(account) => format!("{} in {account}", user.name),
            });
            let token = if token.is_some() { ", or a token" } else { "" };
            format!("users {}{token}", first(names))
        }
    }
}

/// What clients must present. Of tokens other settings tell what is another.
struct Asked<'a>(&'a Auth);

impl PartialEq for Asked<'_> {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.0, other.0), (Auth::Operators(_), Auth::Operators(_))) || self.0 == other.0
    }
}

fn asked(asked: &Asked<'_>) -> String {
    auth(asked.0)
}

/// What counts of TLS where a resolver is asked.
fn resolver_tls(tls: &Tls) -> String {
    let mut parts = Vec::new();
    let mut tell = |name: &str, value: String| parts.push(format!("{name}: {value}"));
    if let Some(files) = tls.certs.first() {
        tell("cert_file", files.cert_file.display().to_string());
        tell("key_file", files.key_file.display().to_string());
    }
    if let Some(file) = &tls.ca_file {
        tell("ca_file", file.display().to_string());
    }
    tell("min_version", tls.min_version.name().to_owned());
    let lists = [
        ("cipher_suites", &tls.cipher_suites),
        ("curve_preferences", &tls.curve_preferences),
    ];
    for (name, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        tell(name, list(names));
    }
    format!("{{{}}}", parts.join(", "))
}

/// Something of the operators; nothing without one.
fn operators(options: &Options, get: fn(&Operators) -> Vec<String>) -> Vec<String> {
    options.config.operators().map(get).unwrap_or_default()
}

/// The name and the key of each operator.
fn names(tokens: &[OperatorToken]) -> Vec<String> {
    let name = |token: &OperatorToken| {
        let Claims { name, subject, .. } = &token.claims;
        format!("{name} {subject}").trim_start().to_owned()
    };
    tokens.iter().map(name).collect()
}

fn preload(preload: &Option<&Preload>) -> String {
    let all: Vec<&str> = preload
        .iter()
        .flat_map(|preload| preload.iter().map(|(key, _)| key))
        .collect();
    match all.is_empty() {
        true => NONE.to_owned(),
        false => format!("[{}]", first(all.into_iter().map(str::to_owned))),
    }
}

/// Most names that are told in one line.
const NAMES_MAX: usize = 100;

/// The first of some names, and how many more there are.
fn first(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let told: Vec<String> = names.take(NAMES_MAX).collect();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

/// Accounts of the settings. Where operators vouch for accounts, those come with their tokens, and none stands here.
struct Accounts<'a>(&'a Config);

impl PartialEq for Accounts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.accounts == other.0.accounts
    }
}

fn accounts(Accounts(config): &Accounts<'_>) -> String {
    if config.operators().is_some() {
        return "accounts with a JWT".to_owned();
    }
    let accounts = &config.accounts;
    let each = accounts.iter().map(|(name, account)| {
        let text = format!("{name} {account}");
        text.trim_end().to_owned()
    });
    match accounts.is_empty() {
        true => NONE.to_owned(),
        false => format!("[{}]", first(each)),
    }
}

fn tls(tls: &Option<Tls>) -> String {
    let Some(tls) = tls else {
        return NONE.to_owned();
    };
    let Tls {
        certs,
        ca_file,
        verify,
        verify_and_map,
        timeout,
        min_version,
        cipher_suites,
        curve_preferences,
        pinned_certs,
        connection_rate_limit,
        handshake_first,
        loaded: _,
    } = tls;
    let mut parts: Vec<String> = certs
        .iter()
        .map(|files| {
            let (cert_file, key_file) = (files.cert_file.display(), files.key_file.display());
            format!("cert_file: {cert_file}, key_file: {key_file}")
        })
        .collect();
    let mut tell = |name: &str, value: String| parts.push(format!("{name}: {value}"));
    if let Some(file) = ca_file {
        tell("ca_file", file.display().to_string());
    }
    tell("verify", verify.to_string());
    if *verify_and_map {
        tell("verify_and_map", "true".to_owned());
    }
    tell("timeout", time(timeout));
    tell("min_version", min_version.name().to_owned());
    let lists = [
        ("cipher_suites", cipher_suites),
        ("curve_preferences", curve_preferences),
    ];
    for (name, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        tell(name, list(names));
    }
    if !pinned_certs.is_empty() {
        tell("pinned_certs", pinned_certs.len().to_string());
    }
    if let Some(max) = connection_rate_limit {
        tell("connection_rate_limit", max.to_string());
    }
    match handshake_first {
        HandshakeFirst::No => {}
        HandshakeFirst::Yes => tell("handshake_first", "true".to_owned()),
        HandshakeFirst::Within(delay) => tell("handshake_first", time(delay)),
    }
    format!("{{{}}}", parts.join(", "))
}

/// Where monitoring listens, with TLS or without: host and port.
fn address_of(options: &Options, tls: bool) -> Option<(Option<&str>, u16)> {
    let monitor = options.config.monitor.as_ref();
    let monitor = monitor.filter(|monitor| monitor.tls == tls)?;
    Some((monitor.host.as_deref(), monitor.port))
}

fn address(address: &Option<(Option<&str>, u16)>) -> String {
    match address {
        None => NONE.to_owned(),
        Some((None, number)) => port(number),
        Some((Some(host), number)) => format!("{host}:{}", port(number)),
    }
}

/// Something of the block `websocket`, if there is one.
fn websocket<T>(options: &Options, get: fn(&WebSocket) -> T) -> Option<T> {
    options.config.websocket.as_ref().map(get)
}

fn websocket_address(address: &Option<(String, u16, bool)>) -> String {
    match address {
        None => NONE.to_owned(),
        Some((host, number, is_tls)) => {
            let scheme = if *is_tls { "wss" } else { "ws" };
            format!("{scheme}://{host}:{}", port(number))
        }
    }
}

fn origins(origins: &Option<(bool, Vec<String>)>) -> String {
    match origins {
        None => NONE.to_owned(),
        Some((true, all)) if all.is_empty() => "the same".to_owned(),
        Some((true, all)) => format!("the same, and of {}", list(all)),
        Some((false, all)) => list(all),
    }
}

/// What clients must present by WebSocket, how soon, and who they are if they do not.
type Terms = (Auth, Option<Duration>, Option<String>);

fn terms(websocket: &WebSocket) -> Terms {
    let WebSocket {
        auth,
        auth_timeout,
        no_auth_user,
        ..
    } = websocket;
    (auth.clone(), *auth_timeout, no_auth_user.clone())
}

fn own_terms(terms: &Option<Terms>) -> String {
    let Some((own, timeout, user)) = terms else {
        return NONE.to_owned();
    };
    let within = timeout
        .as_ref()
        .map(|timeout| format!(" within {}", time(timeout)));
    let default = user.as_ref().map(|user| format!(", or nothing as {user}"));
    [Some(auth(own)), within, default]
        .into_iter()
        .flatten()
        .collect()
}

fn cookies(websocket: &WebSocket) -> Vec<String> {
    let WebSocket {
        jwt_cookie,
        user_cookie,
        pass_cookie,
        token_cookie,
        ..
    } = websocket;
    let names = [
        ("jwt", jwt_cookie),
        ("user", user_cookie),
        ("pass", pass_cookie),
        ("token", token_cookie),
    ];
    let names = names
        .iter()
        .filter_map(|(field, name)| Some((field, name.as_ref()?)));
    names
        .map(|(field, name)| format!("{field}: {name}"))
        .collect()
}

fn list_of(names: &Option<Vec<String>>) -> String {
    list(names.as_deref().unwrap_or_default())
}

fn mappings(mappings: &[Mapping]) -> String {
    match mappings.is_empty() {
        true => NONE.to_owned(),
        false => format!("[{}]", first(mappings.iter().map(ToString::to_string))),
    }
}

/// Where a Unix socket stands, and who may use it.
fn unix_place(unix: Option<&UnixSocket>) -> Option<String> {
    let UnixSocket { path, mode, .. } = unix?;
    Some(format!("{} mode {mode:04o}", path.display()))
}

/// Who a client is by its process.
fn unix_users(unix: Option<&UnixSocket>) -> Option<String> {
    let UnixSocket {
        path: _,
        mode: _,
        users_by_uid,
        users_by_gid,
        refuse_others,
    } = unix?;
    let by_uid = users_by_uid
        .iter()
        .map(|(id, user)| format!("uid {id}: {user}"));
    let by_gid = users_by_gid.iter().map(|group| {
        let members: Vec<String> = group.members.iter().map(ToString::to_string).collect();
        let with = match members.is_empty() {
            true => String::new(),
            false => format!(" with uid {}", members.join(", ")),
        };
        format!("gid {}{with}: {}", group.gid, group.user)
    });
    let others = match refuse_others {
        true => "others are refused",
        false => "others log in",
    };
    let all: Vec<String> = by_uid.chain(by_gid).chain([others.to_owned()]).collect();
    Some(all.join(", "))
}

/// From where proxies are believed, and what becomes of others.
fn proxies(proxies: Option<&ProxyProtocol>) -> Option<String> {
    let ProxyProtocol {
        trusted,
        others_may_come,
    } = proxies?;
    let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
    let others = if *others_may_come { "direct" } else { "refuse" };
    Some(format!("trusted {}, others {others}", list(&trusted)))
}

/// Something of each of `listeners` that has it, behind its name.
fn listeners(options: &Options, get: fn(&Listener) -> Option<String>) -> Vec<String> {
    let each = options.config.listeners.iter();
    each.filter_map(|one| Some(format!("{}: {}", one.name, get(one)?)))
        .collect()
}

fn listener_place(listener: &Listener) -> String {
    let Listener {
        host,
        port: number,
        unix,
        tls,
        ..
    } = listener;
    if let Some(place) = unix_place(unix.as_ref()) {
        let with = if tls.is_some() { " with TLS" } else { "" };
        return format!("{place}{with}");
    }
    let scheme = if tls.is_some() { "tls://" } else { "" };
    format!("{scheme}{host}:{}", port(number))
}

fn listener_terms(listener: &Listener) -> Option<String> {
    let Listener {
        allow_non_tls,
        no_auth_user,
        auth_timeout,
        ..
    } = listener;
    let user = no_auth_user
        .as_ref()
        .map(|user| format!("no_auth_user {user}"));
    let timeout = (auth_timeout.as_ref()).map(|timeout| format!("timeout {}", time(timeout)));
    let clear = allow_non_tls.then(|| "allow_non_tls".to_owned());
    let all: Vec<String> = [user, timeout, clear].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// TLS of all of them, which is the same only with the same files and limits.
struct ListenerTls<'a>(&'a [Listener]);

impl PartialEq for ListenerTls<'_> {
    fn eq(&self, other: &Self) -> bool {
        fn each<'a>(all: &ListenerTls<'a>) -> Vec<(&'a str, &'a Tls)> {
            let each = all.0.iter();
            each.filter_map(|one| Some((one.name.as_str(), one.tls.as_ref()?)))
                .collect()
        }
        each(self) == each(other)
    }
}

fn listener_tls(all: &ListenerTls<'_>) -> String {
    let with_tls = all.0.iter().filter(|one| one.tls.is_some());
    let told: Vec<String> = with_tls
        .map(|one| format!("{}: {}", one.name, tls(&one.tls)))
        .collect();
    list(&told)
}

fn base_path_of(options: &Options) -> Option<&str> {
    let monitor = options.config.monitor.as_ref()?;
    Some(monitor.base_path.as_str()).filter(|path| !path.is_empty())
}

/// What monitoring asks for; nothing without monitoring.
fn http_auth_of(options: &Options) -> &Auth {
    let monitor = options.config.monitor.as_ref();
    monitor.map_or(&Auth::None, |monitor| &monitor.auth)
}

fn format_name(format: &LogFormat) -> String {
    match format {
        LogFormat::Text => "text".to_owned(),
        LogFormat::Json => "json".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_on_all_queues_is_told_where_it_is_the_default_one_too() {
        let setting = SETTINGS.iter().find(|s| s.name == "max_pending_total");
        let setting = setting.expect("it is one");
        let mut options = Options::default();
        let default = setting.show(&options);
        let default: usize = default.parse().expect("a number of bytes");
        assert_eq!(default, options.config.total_bytes_max());
        assert!(default >= 2 * options.config.pending_bytes_max);
        options.config.pending_total_bytes_max = Some(7);
        assert_eq!(setting.show(&options), "7");
    }

    #[test]
    fn a_listener_is_elsewhere_with_tls_also_where_it_is_a_unix_socket() {
        let setting = SETTINGS.iter().find(|s| s.name == "listeners");
        let setting = setting.expect("it is one");
        let with = |unix: Option<UnixSocket>, tls: Option<Tls>| {
            let mut options = Options::default();
            let name = "local".to_owned();
            options.config.listeners = vec![Listener {
                name,
                unix,
                tls,
                ..Listener::default()
            }];
            options
        };
        for unix in [None, Some(UnixSocket::at("/run/m"))] {
            let clear = with(unix.clone(), None);
            let tls = with(unix.clone(), Some(Tls::default()));
            assert!(!setting.is_same(&clear, &tls), "{unix:?}");
        }
    }
}
