//! What tools written for nats-server read, and as what: they decode answers into Go's types, and one
//! number with a fraction where an integer is wanted makes the whole answer useless to them.

use super::{monitored, start, with_traffic};
use crate::http::get;
use midge::Monitor;
use serde_json::Value;

/// As what a field is decoded. `json` of Go takes a fraction for none but `Float`.
#[derive(Clone, Copy, Debug)]
enum Go {
    /// `int`, `int64`, `uint64`, `time.Duration`.
    Integer,
    /// `float64`.
    Float,
    /// `string`.
    Text,
    /// `time.Time`: RFC 3339.
    Time,
    /// `[]string`.
    Texts,
}

use Go::{Float, Integer, Text, Texts, Time};

impl Go {
    fn takes(self, value: &Value) -> bool {
        match self {
            Integer => value.is_i64() || value.is_u64(),
            Float => value.is_number(),
            Text => value.is_string(),
            Time => value
                .as_str()
                .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Texts => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }
}

/// What `nats-top` shows, by the place where it finds it.
const VARZ: &[(&str, Go)] = &[
    ("server_id", Text),
    ("server_name", Text),
    ("version", Text),
    ("uptime", Text),
    ("start", Time),
    ("now", Time),
    ("config_load_time", Time),
    ("cpu", Float),
    ("cores", Integer),
    ("mem", Integer),
    ("in_msgs", Integer),
    ("out_msgs", Integer),
    ("in_bytes", Integer),
    ("out_bytes", Integer),
    ("slow_consumers", Integer),
    ("connections", Integer),
    ("total_connections", Integer),
    ("subscriptions", Integer),
    ("auth_timeout", Float),
    ("tls_timeout", Float),
    ("max_connections", Integer),
    ("max_payload", Integer),
    ("max_pending", Integer),
    ("max_control_line", Integer),
    ("ping_interval", Integer),
    ("ping_max", Integer),
    ("write_deadline", Integer),
    ("port", Integer),
    ("http_port", Integer),
    ("https_port", Integer),
];

const CONNECTION: &[(&str, Go)] = &[
    ("cid", Integer),
    ("ip", Text),
    ("port", Integer),
    ("name", Text),
    ("lang", Text),
    ("version", Text),
    ("start", Time),
    ("last_activity", Time),
    ("uptime", Text),
    ("idle", Text),
    ("subscriptions", Integer),
    ("pending_bytes", Integer),
    ("in_msgs", Integer),
    ("out_msgs", Integer),
    ("in_bytes", Integer),
    ("out_bytes", Integer),
    ("subscriptions_list", Texts),
];

fn check(value: &Value, fields: &[(&str, Go)]) {
    for (name, go) in fields {
        assert!(
            go.takes(&value[name]),
            "{name} is {}, not {go:?}",
            value[name]
        );
    }
}

/// Every number in `value` but those of these names is an integer.
fn check_integers(value: &Value, path: &str, floats: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                check_integers(value, &format!("{path}.{name}"), floats);
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|value| check_integers(value, path, floats)),
        Value::Number(number) => {
            let name = path.rsplit('.').next().unwrap_or_default();
            let is_integer = number.is_i64() || number.is_u64();
            assert!(is_integer || floats.contains(&name), "{path} is {number}");
        }
        _ => {}
    }
}

#[test]
fn nats_top_can_decode_what_it_asks_for() {
    let (running, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(running.addr());
    let varz = get(addr, "/varz").json();
    check(&varz, VARZ);
    // As it asks: all orders that it offers, with the list of subjects and without.
    for sort in [
        "cid",
        "start",
        "subs",
        "pending",
        "msgs_to",
        "msgs_from",
        "bytes_to",
        "bytes_from",
        "last",
        "idle",
        "uptime",
    ] {
        let connz = get(addr, &format!("/connz?limit=1024&sort={sort}&subs=1")).json();
        check(&connz, &[("num_connections", Integer), ("now", Time)]);
        let connections = connz["connections"].as_array().expect("a list");
        assert_eq!(connections.len(), 2, "{sort}");
        let fields = |connection: &Value| match connection["subscriptions"].as_u64() {
            // A list that would be empty is left out.
            Some(0) => CONNECTION.len() - 1,
            _ => CONNECTION.len(),
        };
        for connection in connections {
            check(connection, &CONNECTION[..fields(connection)]);
        }
    }
}

#[test]
fn whole_numbers_are_written_whole_wherever_the_exporter_looks() {
    let (running, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(running.addr());
    let floats = [
        "cpu",
        "auth_timeout",
        "tls_timeout",
        "cache_hit_rate",
        "avg_fanout",
    ];
    for target in [
        "/varz",
        "/connz?auth=true",
        "/subsz",
        "/routez",
        "/gatewayz",
        "/leafz",
        "/accountz",
        "/accstatz",
        "/jsz",
        "/healthz",
    ] {
        check_integers(&get(addr, target).json(), target, &floats);
    }
}
