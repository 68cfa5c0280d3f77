//! `/metrics`: all numbers as OpenMetrics, under the names that the exporter for nats-server makes.
//!
//! That exporter turns each number of `/varz`, `/subsz` and `/routez` into a gauge that is named after
//! its place in the JSON, and so does this file, from the same JSON: a number that is added there is
//! here as well. What has no place there is called `midge_*`.
//!
//! The text is written by hand: there is nothing to register, since nothing is counted here, and the
//! names, which are the exporter's, would be gauges to any library too.

use super::Content;
use super::accstatz::{Statz, counted};
use super::memz;
use super::routez::routez;
use super::subsz;
use super::varz::varz;
use crate::limits::{Kind, Limiter, Scope};
use crate::monitor::view::View;
use crate::monitor::{Budget, Pieces};
use crate::records::TlsHandshakes;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write as _;

/// Texts that become the label of a metric that is 1, or, if they are dates, its milliseconds.
const TOLD: &[&str] = &[
    "server_id",
    "server_name",
    "version",
    "domain",
    "leader",
    "name",
    "start",
    "config_load_time",
];

/// Most accounts that are told of one by one: a series for each number of each is much for those who collect them.
const ACCOUNTS_MAX: usize = 100;

/// What the others are called together. No account has a blank in its name.
const OTHERS: &str = "all others";

pub(super) fn answer() -> Content {
    Content::Metrics(Box::new(Metrics::default()))
}

/// The numbers, as far as they are collected.
#[derive(Default)]
struct Metrics {
    clients: memz::Walk,
    sublists: subsz::Walk,
}

impl Pieces for Metrics {
    fn next(&mut self, view: &View<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
        let accounts = view.accounts(None);
        if !self.clients.go_on(view, budget) || !self.sublists.go_on(view, &accounts, budget) {
            return true;
        }
        let mut text = Text::new(view.server_id());
        text.tree("varz", &value(&varz(view)));
        text.tree("subsz", &value(&self.sublists.stats(view, &accounts)));
        text.tree("routez", &value(&routez(view)));
        self.connz(view, &mut text);
        self.others(view, &mut text);
        self.own(view, &mut text);
        text.text.push_str("# EOF\n");
        out.extend_from_slice(text.text.as_bytes());
        false
    }
}

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

impl Metrics {
    fn connz(&self, view: &View<'_>, text: &mut Text) {
        let clients = &self.clients;
        let count = view.records.present.len();
        for (name, number) in [
            ("num_connections", count as u64),
            ("total", count as u64),
            ("offset", 0),
            ("limit", count as u64),
            ("pending_bytes", clients.queues as u64),
            ("subscriptions", clients.subscriptions as u64),
            ("in_bytes", clients.received.bytes),
            ("out_bytes", clients.sent.bytes),
            ("in_msgs", clients.received.messages),
            ("out_msgs", clients.sent.messages),
        ] {
            text.gauge(&format!("gnatsd_connz_{name}"), name, &[("", number)]);
        }
    }

    fn others(&self, view: &View<'_>, text: &mut Text) {
        let is_bad = view.state.lame_duck;
        let name = "gnatsd_healthz_status";
        text.gauge(name, "status: 0 is good", &[("", u64::from(is_bad))]);
        let (word, good) = if is_bad { ("error", 0) } else { ("ok", 1) };
        let name = "gnatsd_healthz_status_value";
        text.gauge(name, "status: 1 is good", &[(&label("value", word), good)]);
        text.gauge(
            "gnatsd_leafz_conn_nodes_total",
            "nodes_total",
            &[("", 0_u64)],
        );
        self.accstatz(view, text);
    }

    fn accstatz(&self, view: &View<'_>, text: &mut Text) {
        let open = view.accounts(None);
        let (told, others) = open.split_at(open.len().min(ACCOUNTS_MAX));
        let mut accounts: Vec<_> = told.iter().map(|one| counted(view, *one)).collect();
        if !others.is_empty() {
            let mut all = Statz {
                acc: OTHERS,
                name: OTHERS,
                ..Statz::default()
            };
            others.iter().for_each(|one| all.add(&counted(view, *one)));
            accounts.push(all);
        }
        let labels = accounts.iter().map(|one| {
            let names = [
                ("account", one.acc),
                ("account_id", one.acc),
                ("account_name", one.name),
            ];
            names.map(|(name, value)| label(name, value)).join(",")
        });
        let labels: Vec<String> = labels.collect();
        type Number = fn(&Statz<'_>) -> u64;
        let numbers: [(&str, Number); 9] = [
            ("current_connections", |one| one.conns as u64),
            ("total_connections", |one| one.total_conns as u64),
            ("subscriptions", |one| one.num_subscriptions as u64),
            ("leaf_nodes", |one| one.leafnodes as u64),
            ("sent_messages", |one| one.sent.msgs),
            ("sent_bytes", |one| one.sent.bytes),
            ("received_messages", |one| one.received.msgs),
            ("received_bytes", |one| one.received.bytes),
            ("slow_consumers", |one| one.slow_consumers),
        ];
        for (name, number) in numbers {
            let labelled = labels.iter().zip(&accounts);
            let lines: Vec<(&str, u64)> = labelled
                .map(|(labels, one)| (labels.as_str(), number(one)))
                .collect();
            text.gauge(&format!("gnatsd_accstatz_{name}"), name, &lines);
        }
    }

    fn own(&self, view: &View<'_>, text: &mut Text) {
        let config = &view.state.config;
        let blocks = config.each_tls();
        let ends = blocks.flat_map(|(door, _)| {
            let shown = view.certificates(door).iter();
            shown.map(move |shown| {
                let file = shown.cert_file.display().to_string();
                let listener = label("listener", config.called(door));
                let labels = format!("{},{listener}", label("file", &file));
                (labels, shown.not_after.as_second())
            })
        });
        let ends: Vec<_> = ends.collect();
        let ends: Vec<_> = ends.iter().map(|(l, end)| (l.as_str(), *end)).collect();
        if !ends.is_empty() {
            let name = "midge_tls_certificate_expiry_seconds";
            text.gauge(name, "end of a certificate, in seconds since 1970", &ends);
        }
        let doors = view.state.doors.iter();
        let doors = doors.map(|open| (view.state.config.terms(open.door).name, open.clients));
        let named: Vec<_> = doors
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, clients)| (label("listener", name), clients))
            .collect();
        let named: Vec<_> = named
            .iter()
            .map(|(l, clients)| (l.as_str(), *clients))
            .collect();
        if !named.is_empty() {
            let name = "midge_listener_connections";
            text.gauge(name, "clients that have come in by a listener", &named);
        }
        let TlsHandshakes {
            under_way,
            done,
            resumed,
            failed,
        } = view.state.stats().tls_handshakes;
        for (name, help, number) in [
            (
                "under_way",
                "TLS handshakes of clients under way",
                under_way,
            ),
            ("done", "TLS handshakes made, with resumed ones", done),
            (
                "resumed",
                "TLS handshakes that took up a session again",
                resumed,
            ),
            (
                "failed",
                "TLS handshakes that ended before they were over",
                failed,
            ),
        ] {
            text.gauge(
                &format!("midge_tls_handshakes_{name}"),
                help,
                &[("", number)],
            );
        }
        let owners = self.clients.owners(view);
        let owners = owners
            .each()
            .map(|(owner, bytes)| (label("owner", owner), bytes));
        let owners: Vec<_> = owners
            .iter()
            .map(|(l, bytes)| (l.as_str(), *bytes))
            .collect();
        text.gauge("midge_memory_bytes", "memory by owner, in bytes", &owners);
        limits(&view.state.limiter, text);
        let stats = view.sockets.stats();
        for (name, help, number) in [
            (
                "queue_longest_bytes",
                "longest queue of a client, in bytes",
                self.clients.longest_queue as u64,
            ),
            (
                "clients_with_queue",
                "clients with queued bytes",
                self.clients.clients_with_queue as u64,
            ),
            (
                "slow_episodes",
                "times a client fell behind",
                view.records.slow.total(),
            ),
            (
                "auth_failures",
                "connections closed for wrong or missing credentials",
                view.state.stats().auth_failures,
            ),
            ("loop_turns", "turns of the loop", stats.turns),
            ("loop_polls", "polls of the loop", stats.polls),
            ("loop_events", "events reported by polls", stats.events),
            ("loop_reads", "reads from sockets", stats.reads),
            ("loop_writes", "writes to sockets", stats.writes),
            (
                "loop_read_bytes",
                "bytes read from sockets",
                stats.read_bytes,
            ),
            (
                "loop_written_bytes",
                "bytes written to sockets",
                stats.written_bytes,
            ),
            ("loop_timers_fired", "timers fired", stats.timers_fired),
        ] {
            text.gauge(&format!("midge_{name}"), help, &[("", number)]);
        }
    }
}

/// What the limits of addresses, users and accounts have done, where there are any.
fn limits(limiter: &Limiter, text: &mut Text) {
    for kind in Kind::ALL.into_iter().filter(|_| limiter.is_told()) {
        let (name, help) = kind.name();
        let of = |scope: Scope| (label("of", scope.name()), limiter.counts(scope).of(kind));
        let each = Scope::ALL.map(of);
        let each = each
            .each_ref()
            .map(|(label, count)| (label.as_str(), *count));
        text.counter(&format!("midge_limit_{name}"), help, &each);
    }
}

/// The text as far as it is written.
struct Text {
    text: String,
    /// The label that every metric has.
    server: String,
}

impl Text {
    fn new(server_id: &str) -> Text {
        Text {
            text: String::with_capacity(16 * 1024),
            server: label("server_id", server_id),
        }
    }

    /// One metric. Each sample is further labels and a number.
    fn gauge<N: std::fmt::Display + Copy>(
        &mut self,
        name: &str,
        help: &str,
        samples: &[(&str, N)],
    ) {
        let Text { text, server } = self;
        let name = metric_name(name);
        // Writing to memory does not fail.
        let _ = writeln!(text, "# TYPE {name} gauge\n# HELP {name} {}", escaped(help));
        for (labels, number) in samples {
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = writeln!(text, "{name}{{{server}{comma}{labels}}} {number}");
        }
    }

    /// One that only grows: its samples end in `_total`.
    fn counter(&mut self, name: &str, help: &str, samples: &[(&str, u64)]) {
        let Text { text, server } = self;
        let _ = writeln!(
            text,
            "# TYPE {name} counter\n# HELP {name} {}",
            escaped(help)
        );
        for (labels, number) in samples {
            let _ = writeln!(text, "{name}_total{{{server},{labels}}} {number}");
        }
    }

    /// All numbers of a tree, each named after its place.
    fn tree(&mut self, endpoint: &str, value: &Value) {
        self.branch(&format!("gnatsd_{endpoint}"), "", value);
    }

    fn branch(&mut self, root: &str, path: &str, value: &Value) {
        let Value::Object(fields) = value else { return };
        for (key, value) in fields {
            let path = match path {
                "" => key.clone(),
                path => format!("{path}_{key}"),
            };
            let path = path.replace('/', "_").replace("__", "_");
            let path = path.trim_matches('_');
            let name = format!("{root}_{path}");
            match value {
                Value::Number(number) => self.gauge(&name, path, &[("", number)]),
                Value::String(text) if TOLD.contains(&key.as_str()) => {
                    match text.parse::<Timestamp>() {
                        Ok(date) => self.gauge(&name, path, &[("", date.as_millisecond())]),
                        Err(_) => self.gauge(&name, path, &[(&label("value", text), 1)]),
                    }
                }
                value => self.branch(root, path, value),
            }
        }
    }
}

fn metric_name(name: &str) -> String {
    let is_good = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let good = name
        .chars()
        .map(|char| if is_good(char) { char } else { '_' });
    good.collect()
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", escaped(value))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_named_after_their_place_and_texts_escaped() {
        let mut text = Text::new("A\"");
        text.tree(
            "varz",
            &json!({
                "cpu": 1.5, "name": "a\\b\nc", "host": "left out", "tags": [1],
                "start": "1970-01-01T00:00:01.5Z", "http_req_stats": {"/varz": 3}
            }),
        );
        let samples: Vec<&str> = text
            .text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(
            samples,
            [
                r#"gnatsd_varz_cpu{server_id="A\""} 1.5"#,
                r#"gnatsd_varz_http_req_stats_varz{server_id="A\""} 3"#,
                r#"gnatsd_varz_name{server_id="A\"",value="a\\b\nc"} 1"#,
                r#"gnatsd_varz_start{server_id="A\""} 1500"#,
            ]
        );
    }
}
