//! The options at the top of a file: every name, and what it sets.

use super::listeners::unix_path;
use super::reader::Reader;
use crate::config::LogFormat;
use crate::config::language::{Kind, Pair};
use crate::config::{Config, Monitor, UnixSocket};
use std::time::Duration;

/// Most `max_sub_tokens`, as in nats-server.
const TOKENS_MAX: i64 = 255;

/// What the block `websocket` sets.
const WEBSOCKET: &[&str] = &[
    "websocket",
    "websocket tls",
    "websocket advertise",
    "websocket origins",
    "websocket handshake_timeout",
    "websocket compression",
    "websocket authorization",
    "websocket cookies",
    "websocket proxy_protocol",
];

/// What the block `listeners` sets.
const LISTENERS: &[&str] = &[
    "listeners",
    "listeners tls",
    "listeners advertise",
    "listeners authorization",
    "listeners max_connections",
    "listeners unix users",
    "listeners proxy_protocol",
];

/// Units of numbers that have none.
const SECOND: Duration = Duration::from_secs(1);

/// Shortest `lame_duck_duration`, as in nats-server.
const LAME_DUCK_MIN: Duration = Duration::from_secs(30);

/// One option: its names, the settings that it sets, and how.
pub(super) struct Entry {
    pub(super) names: &'static [&'static str],
    /// The [settings](crate::config::settings) that it sets, by name; none where it has no effect.
    pub(super) sets: &'static [&'static str],
    pub(super) apply: fn(&mut Reader<'_>, &Pair),
}

const fn entry(
    names: &'static [&'static str],
    sets: &'static [&'static str],
    apply: fn(&mut Reader<'_>, &Pair),
) -> Entry {
    Entry { names, sets, apply }
}

/// All but those for what midge has not yet.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of Reader has its lifetime fixed too early for this"
)]
pub(super) static TABLE: &[Entry] = &[
    // Identity and listeners.
    entry(&["listen"], &["host", "port"], |r, p| {
        if let Some(path) = unix_path(p) {
            let unix = &mut r.options.config.unix;
            unix.get_or_insert_with(|| UnixSocket::at("")).path = path.into();
        } else if let Some((host, port)) = r.address(p) {
            r.options.config.host = host.unwrap_or_else(|| Config::default().host);
            r.options.config.port = port.unwrap_or(Config::default().port);
        }
    }),
    entry(&["port"], &["port"], |r, p| {
        if let Some(port) = r.port(p) {
            r.options.config.port = port.unwrap_or(Config::default().port);
        }
    }),
    entry(&["host", "net"], &["host"], |r, p| {
        if let Some(host) = r.text(p) {
            r.options.config.host = match host.is_empty() {
                true => Config::default().host,
                false => host,
            };
        }
    }),
    entry(&["client_advertise"], &["client_advertise"], |r, p| {
        if let Some(text) = r.text(p) {
            match crate::config::Advertise::parse(&text) {
                Ok(advertise) => r.options.config.advertise = advertise,
                Err(wrong) => r.report.error(&p.at, wrong),
            }
        }
    }),
    entry(&["server_name"], &["server_name"], |r, p| {
        if let Some(name) = r.text(p) {
            r.options.config.server_name = Some(name).filter(|name| !name.is_empty());
        }
    }),
    entry(&["server_tags"], &["server_tags"], |r, p| {
        if let Some(tags) = r.texts(p) {
            let tags = tags.iter().map(|tag| tag.trim().to_lowercase());
            r.options.config.server_tags = tags.filter(|tag| !tag.is_empty()).collect();
        }
    }),
    entry(&["server_metadata"], &["server_metadata"], |r, p| {
        let Some(map) = r.map(p) else { return };
        let texts = map
            .iter()
            .map(|pair| Some((pair.key.clone(), r.text(pair)?)));
        r.options.config.server_metadata =
            texts.collect::<Vec<_>>().into_iter().flatten().collect();
    }),
    entry(&["http"], &["http_port"], |r, p| {
        if let Some((host, port)) = r.address(p) {
            r.monitor.host = host;
            monitor_on(r, p, port, false);
        }
    }),
    entry(&["http_port", "monitor_port"], &["http_port"], |r, p| {
        if let Some(port) = r.port(p) {
            monitor_on(r, p, port, false);
        }
    }),
    entry(&["https"], &["https_port"], |r, p| {
        if let Some((host, port)) = r.address(p) {
            r.monitor.host = host;
            monitor_on(r, p, port, true);
        }
    }),
    entry(&["https_port"], &["https_port"], |r, p| {
        if let Some(port) = r.port(p) {
            monitor_on(r, p, port, true);
        }
    }),
    entry(&["http_base_path"], &["http_base_path"], |r, p| {
        if let Some(path) = r.text(p) {
            let path = path.trim_matches('/');
            r.monitor.base_path = match path.is_empty() {
                true => String::new(),
                false => format!("/{path}"),
            };
        }
    }),
    entry(&["http_authorization"], &["http_authorization"], |r, p| {
        r.http_authorization(p);
    }),
    entry(&["ports_file_dir"], &["ports_file_dir"], |r, p| {
        r.options.config.ports_file_dir = path(r, p);
    }),
    entry(&["pid_file", "pidfile"], &["pid_file"], |r, p| {
        r.options.config.pid_file = path(r, p);
    }),
    entry(&["prof_port"], &[], |r, p| {
        if r.integer(p).is_some_and(|port| port != 0) {
            r.ignore(p, "midge has no profiler");
        }
    }),
    entry(&["prof_block_rate"], &[], |r, p| {
        let _ = r.integer(p);
    }),
    entry(&["proxy_protocol"], &["proxy_protocol"], |r, p| {
        r.options.config.proxy_protocol = r.proxy_protocol(p);
    }),
    // Limits and timing.
    entry(
        &["max_connections", "max_conn"],
        &["max_connections"],
        |r, p| {
            r.options.config.connections_max = match r.integer(p) {
                None | Some(0) => Config::default().connections_max,
                Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
            };
        },
    ),
    entry(
        &["max_subscriptions", "max_subs"],
        &["max_subscriptions"],
        |r, p| {
            if let Some(max) = r.limit(p) {
                r.options.config.subscriptions_max = max;
            }
        },
    ),
    entry(
        &["max_sub_tokens", "max_subscription_tokens"],
        &["max_sub_tokens"],
        |r, p| match r.integer(p) {
            None => {}
            Some(number) if number <= 0 => {
                let text = format!("{} value can not be negative; use 1 to {TOKENS_MAX}", p.key);
                r.report.error(&p.at, text);
            }
            Some(number) if number > TOKENS_MAX => {
                let text = format!("{} value is too big; use 1 to {TOKENS_MAX}", p.key);
                r.report.error(&p.at, text);
            }
            Some(number) => r.options.config.subscription_tokens_max = Some(number as usize),
        },
    ),
    entry(&["mappings", "maps"], &["mappings"], |r, p| {
        if let Some(mappings) = r.mappings(p) {
            r.options.config.mappings = mappings;
        }
    }),
    entry(
        &["limits"],
        &["limits per_address", "limits per_user"],
        |r, p| r.limits(p),
    ),
    entry(&["max_control_line"], &["max_control_line"], |r, p| {
        if let Some(max) = r.size(p, Config::default().control_line_bytes_max) {
            r.options.config.control_line_bytes_max = max;
        }
    }),
    entry(&["max_payload"], &["max_payload"], |r, p| {
        if let Some(max) = r.size(p, Config::default().payload_bytes_max) {
            r.options.config.payload_bytes_max = max;
        }
    }),
    entry(&["max_pending"], &["max_pending"], |r, p| {
        if let Some(max) = r.count(p, Config::default().pending_bytes_max) {
            r.options.config.pending_bytes_max = max;
        }
    }),
    entry(&["max_pending_total"], &["max_pending_total"], |r, p| {
        if let Some(max) = r.count(p, 0) {
            r.options.config.pending_total_bytes_max = (max > 0).then_some(max);
        }
    }),
    entry(&["write_deadline"], &["write_deadline"], |r, p| {
        if let Some(time) = r.duration(p) {
            r.options.config.write_deadline = or(time, Config::default().write_deadline);
        }
    }),
    entry(&["write_timeout"], &[], |r, p| {
        match r.text(p).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "default" | "close" => {}
            "retry" => r.refuse(p, "a client that misses its write_deadline is closed"),
            _ => {
                let text = format!(
                    "unknown write_timeout {:?}; use default or close",
                    p.value.text
                );
                r.report.error(&p.at, text);
            }
        }
    }),
    entry(&["ping_interval"], &["ping_interval"], |r, p| {
        if let Some(time) = r.duration(p) {
            r.options.config.ping_interval = or(time, Config::default().ping_interval);
        }
    }),
    entry(&["ping_max"], &["ping_max"], |r, p| {
        let default = Config::default().pings_out_max;
        if let Some(max) = r.size(p, default as usize) {
            r.options.config.pings_out_max = max as u32;
        }
    }),
    entry(&["max_traced_msg_len"], &["max_traced_msg_len"], |r, p| {
        if let Some(max) = r.limit(p) {
            r.options.config.traced_bytes_max = max.unwrap_or(0);
        }
    }),
    entry(&["max_closed_clients"], &["max_closed_clients"], |r, p| {
        if let Some(max) = r.count(p, Config::default().closed_clients_max) {
            r.options.config.closed_clients_max = max;
        }
    }),
    entry(
        &["no_fast_producer_stall"],
        &["no_fast_producer_stall"],
        |r, p| {
            if let Some(off) = r.switch(p) {
                r.options.config.stall_producers = !off;
            }
        },
    ),
    entry(
        &["lame_duck_duration"],
        &["lame_duck_duration"],
        |r, p| match r.duration_in(SECOND, p) {
            None => {}
            Some(time) if time < LAME_DUCK_MIN => {
                let time = crate::config::duration::show(time);
                let text = format!("invalid lame_duck_duration of {time}, minimum is 30 seconds");
                r.report.error(&p.at, text);
            }
            Some(time) => r.options.config.lame_duck_duration = time,
        },
    ),
    entry(
        &["lame_duck_grace_period"],
        &["lame_duck_grace_period"],
        |r, p| {
            if let Some(time) = r.duration_in(SECOND, p) {
                let default = Config::default().lame_duck_grace_period;
                r.options.config.lame_duck_grace_period = or(time, default);
            }
        },
    ),
    entry(
        &["connect_error_reports"],
        &["connect_error_reports"],
        |r, p| {
            let default = Config::default().connect_error_reports;
            if let Some(every) = r.size(p, default as usize) {
                r.options.config.connect_error_reports = every as u32;
            }
        },
    ),
    entry(
        &["reconnect_error_reports"],
        &["reconnect_error_reports"],
        |r, p| {
            let default = Config::default().reconnect_error_reports;
            if let Some(every) = r.size(p, default as usize) {
                r.options.config.reconnect_error_reports = every as u32;
            }
        },
    ),
    entry(
        &["disable_sublist_cache", "no_sublist_cache"],
        &[],
        |r, p| {
            if r.switch(p) == Some(true) {
                r.ignore(p, "the cache cannot be disabled");
            }
        },
    ),
    entry(&["no_header_support"], &["no_header_support"], |r, p| {
        if let Some(off) = r.switch(p) {
            r.options.config.headers = !off;
        }
    }),
    // Who may connect.
    entry(
        &["authorization"],
        &[
            "authorization",
            "auth_callout",
            "authorization timeout",
            "default_permissions",
        ],
        |r, p| r.authorization(p),
    ),
    entry(&["accounts"], &["accounts"], |r, p| r.accounts(p)),
    entry(
        &["system_account", "system"],
        &["system_account"],
        |r, p| match &p.value.kind {
            Kind::Text => {
                let name = p.value.text.clone();
                r.options.config.system_account = Some(name).filter(|name| !name.is_empty());
            }
            _ => {
                let text = "system account name must be a string";
                r.report.error(&p.at, text);
            }
        },
    ),
    entry(
        &[
            "operator",
            "operators",
            "roots",
            "root",
            "root_operators",
            "root_operator",
        ],
        &["operator"],
        |r, p| r.operator(p),
    ),
    entry(&["trusted", "trusted_keys"], &["trusted_keys"], |r, p| {
        r.trusted_keys(p);
    }),
    entry(
        &["resolver", "account_resolver", "accounts_resolver"],
        &["resolver"],
        |r, p| r.resolver(p),
    ),
    entry(&["resolver_tls"], &["resolver_tls"], |r, p| {
        r.resolver_tls(p);
    }),
    entry(&["resolver_preload"], &["resolver_preload"], |r, p| {
        r.resolver_preload(p);
    }),
    entry(
        &["resolver_pinned_accounts"],
        &["resolver_pinned_accounts"],
        |r, p| r.resolver_pinned_accounts(p),
    ),
    entry(&["no_auth_user"], &["no_auth_user"], |r, p| {
        if let Some(user) = r.text(p) {
            r.options.config.no_auth_user = Some(user).filter(|user| !user.is_empty());
        }
    }),
    entry(
        &["no_system_account", "no_system", "no_sys_acc"],
        &[],
        |r, p| {
            let _ = r.switch(p);
        },
    ),
    entry(&["tls"], &["tls"], |r, p| r.tls(p)),
    entry(&["allow_non_tls"], &["allow_non_tls"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.config.allow_non_tls = on;
        }
    }),
    entry(&["ocsp"], &[], |r, p| r.ocsp(p)),
    entry(&["ocsp_cache"], &[], |r, p| r.ocsp_cache(p)),
    // Logging.
    entry(&["debug"], &["debug"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.log.debug = on;
        }
    }),
    entry(&["trace"], &["trace"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.log.trace = on || r.options.log.trace && *r.trace_verbose;
        }
    }),
    entry(&["trace_verbose"], &["trace"], |r, p| {
        if r.switch(p) == Some(true) {
            *r.trace_verbose = true;
            r.options.log.trace = true;
        }
    }),
    entry(&["trace_headers"], &[], |r, p| {
        if r.switch(p) == Some(true) {
            r.ignore(p, "whole messages are traced; max_traced_msg_len cuts them");
        }
    }),
    entry(&["logtime"], &["logtime"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.log.time = on;
        }
    }),
    entry(&["logtime_utc"], &["logtime_utc"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.log.utc = on;
        }
    }),
    entry(&["log_file", "logfile"], &["log_file"], |r, p| {
        r.options.log.file = path(r, p);
    }),
    entry(
        &["logfile_size_limit", "log_size_limit"],
        &["logfile_size_limit"],
        |r, p| {
            if let Some(max) = r.limit(p) {
                r.options.log.size_limit = max.unwrap_or(0) as u64;
            }
        },
    ),
    entry(
        &["logfile_max_num", "log_max_num"],
        &["logfile_max_num"],
        |r, p| {
            if let Some(max) = r.limit(p) {
                r.options.log.files_max = max.unwrap_or(0);
            }
        },
    ),
    entry(&["syslog"], &["syslog"], |r, p| {
        if let Some(on) = r.switch(p) {
            r.options.log.syslog = on;
        }
    }),
    entry(&["remote_syslog"], &["remote_syslog"], |r, p| {
        if let Some(url) = r.text(p) {
            r.options.log.remote_syslog = Some(url).filter(|url| !url.is_empty());
        }
    }),
    // Other ways in.
    entry(&["websocket", "ws"], WEBSOCKET, |r, p| r.websocket(p)),
    entry(&["listeners"], LISTENERS, |r, p| r.listeners(p)),
    entry(&["unix"], &["unix", "unix users"], |r, p| {
        let mut unix = r.options.config.unix.take();
        r.unix_block(p, &mut unix);
        r.options.config.unix = unix;
    }),
    // Not nats-server's.
    entry(&["log_format"], &["log_format"], |r, p| {
        match r.text(p).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "text" => r.options.log.format = LogFormat::Text,
            "json" => r.options.log.format = LogFormat::Json,
            _ => {
                let text = format!("unknown log_format {:?}; use text or json", p.value.text);
                r.report.error(&p.at, text);
            }
        }
    }),
    entry(&["busy_poll"], &["busy_poll"], |r, p| {
        let range = Duration::ZERO..=SECOND;
        if let Some(time) = r.microseconds(p, range, "\"50us\", 0 to 1s") {
            r.options.config.busy_poll = time;
        }
    }),
    entry(&["turn_time"], &["turn_time"], |r, p| {
        let range = Duration::from_micros(100)..=SECOND;
        if let Some(time) = r.microseconds(p, range, "\"4ms\", 100us to 1s") {
            r.options.config.turn_time = time;
        }
    }),
    // Accepted, and not there.
    entry(&["jetstream"], &[], |r, p| r.jetstream(p)),
    entry(&["store_dir", "storedir"], &[], |r, p| {
        if r.text(p).is_some() {
            r.ignore(p, "JetStream is not supported: nothing is stored");
        }
    }),
    entry(&["default_js_domain"], &[], |r, p| {
        let _ = r.map(p);
    }),
    entry(&["mqtt"], &[], |r, p| r.mqtt(p)),
];

fn path(r: &mut Reader<'_>, p: &Pair) -> Option<std::path::PathBuf> {
    let path = r.text(p)?;
    (!path.is_empty()).then(|| path.into())
}

/// Monitoring on this port, if it is one; host and path may stand elsewhere.
fn monitor_on(r: &mut Reader<'_>, p: &Pair, port: Option<u16>, tls: bool) {
    let former = r.options.config.monitor.take();
    if let (Some(port), Some(former)) = (port, former.filter(|former| former.tls != tls)) {
        let (http, https) = if tls {
            (former.port, port)
        } else {
            (port, former.port)
        };
        let text = format!(
            "can't specify both HTTP ({http}) and HTTPs ({https}) ports; leave one of them out"
        );
        r.report.error(&p.at, text);
    }
    r.options.config.monitor = port.map(|port| Monitor {
        port,
        tls,
        ..Monitor::default()
    });
}

/// Zero stands for the default.
fn or(time: Duration, default: Duration) -> Duration {
    if time.is_zero() { default } else { time }
}
