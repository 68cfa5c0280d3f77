//! The fields of each endpoint and their types.

use super::{monitored, start, with_traffic};
use crate::http::get;
use midge::Monitor;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands where: `connections[].cid` is a `number`.
pub(crate) type Shape = BTreeMap<String, &'static str>;

/// The fields that clients and tools of nats-server 2.9 and 2.10 know. A question mark is behind a
/// field that may be left out; `time`, `span` and `rtt` are texts of that form.
const SHAPES: &[(&str, &str)] = &[
    (
        "/varz",
        "server_id text, server_name text, version text, proto number, go text, host text, port number,
         auth_required? bool, max_connections number, max_subscriptions? number, ping_interval number,
         ping_max number, http_host text, http_port number, http_base_path text, https_port number,
         auth_timeout number, max_control_line number, max_payload number, max_pending number,
         cluster object, gateway object, leaf object, mqtt object, websocket object, jetstream object,
         tls_timeout number, write_deadline number, start time, now time, uptime span, mem number,
         cores number, gomaxprocs number, cpu number, connections number, total_connections number,
         routes number, remotes number, leafnodes number, in_msgs number, out_msgs number,
         in_bytes number, out_bytes number, slow_consumers number, subscriptions number,
         http_req_stats object, http_req_stats./varz number, http_req_stats./connz? number,
         config_load_time time, slow_consumer_stats object, slow_consumer_stats.clients number,
         slow_consumer_stats.routes number, slow_consumer_stats.gateways number,
         slow_consumer_stats.leafs number, in_client_msgs number, in_client_bytes number,
         out_client_msgs number, out_client_bytes number, stale_connections number, auth_failures number,
         stale_connection_stats object, stale_connection_stats.clients number,
         stale_connection_stats.routes number, stale_connection_stats.gateways number,
         stale_connection_stats.leafs number, midge text",
    ),
    (
        "/connz?auth=1&subs=detail&state=any",
        "server_id text, now time, num_connections number, total number, offset number, limit number,
         connections list, connections[] object, connections[].cid number, connections[].kind text,
         connections[].type text, connections[].ip text, connections[].port number,
         connections[].start time, connections[].last_activity time, connections[].stop? time,
         connections[].reason? text, connections[].rtt rtt, connections[].uptime span,
         connections[].idle span, connections[].pending_bytes number,
         connections[].pending_bytes_peak number, connections[].in_msgs number,
         connections[].out_msgs number, connections[].in_bytes number, connections[].out_bytes number,
         connections[].subscriptions number, connections[].name text, connections[].lang text,
         connections[].version text, connections[].authorized_user text, connections[].account text,
         connections[].subscriptions_list_detail list, connections[].subscriptions_list_detail[] object,
         connections[].subscriptions_list_detail[].account? text,
         connections[].subscriptions_list_detail[].subject text,
         connections[].subscriptions_list_detail[].qgroup? text,
         connections[].subscriptions_list_detail[].sid text,
         connections[].subscriptions_list_detail[].msgs number,
         connections[].subscriptions_list_detail[].max? number,
         connections[].subscriptions_list_detail[].cid number",
    ),
    (
        "/subsz?subs=1",
        "server_id text, now time, num_subscriptions number, num_cache number, num_inserts number,
         num_removes number, num_matches number, cache_hit_rate number, max_fanout number,
         avg_fanout number, total number, offset number, limit number, subscriptions_list list,
         subscriptions_list[] object, subscriptions_list[].account text,
         subscriptions_list[].subject text, subscriptions_list[].qgroup? text,
         subscriptions_list[].sid text, subscriptions_list[].msgs number,
         subscriptions_list[].max? number, subscriptions_list[].cid number",
    ),
    (
        "/subsz",
        "num_subscriptions number, num_cache number, num_inserts number, num_removes number,
         num_matches number, cache_hit_rate number, max_fanout number, avg_fanout number",
    ),
    ("/accountz", "server_id text, now time, accounts list, accounts[] text"),
    (
        "/accountz?acc=$G",
        "server_id text, now time, account_detail object, account_detail.account_name text,
         account_detail.update_time time, account_detail.expired bool, account_detail.complete bool,
         account_detail.jetstream_enabled bool, account_detail.leafnode_connections number,
         account_detail.client_connections number, account_detail.subscriptions number,
         account_detail.name_tag text, account_detail.sublist_stats object,
         account_detail.sublist_stats.num_subscriptions number,
         account_detail.sublist_stats.num_cache number,
         account_detail.sublist_stats.num_inserts number,
         account_detail.sublist_stats.num_removes number,
         account_detail.sublist_stats.num_matches number,
         account_detail.sublist_stats.cache_hit_rate number,
         account_detail.sublist_stats.max_fanout number, account_detail.sublist_stats.avg_fanout number",
    ),
    (
        "/accstatz",
        "server_id text, now time, account_statz list, account_statz[] object, account_statz[].acc text,
         account_statz[].name text, account_statz[].conns number, account_statz[].leafnodes number,
         account_statz[].total_conns number, account_statz[].num_subscriptions number,
         account_statz[].sent object, account_statz[].sent.msgs number, account_statz[].sent.bytes number,
         account_statz[].sent.gateways object, account_statz[].sent.gateways.msgs number,
         account_statz[].sent.gateways.bytes number, account_statz[].sent.routes object,
         account_statz[].sent.routes.msgs number, account_statz[].sent.routes.bytes number,
         account_statz[].sent.leafs object, account_statz[].sent.leafs.msgs number,
         account_statz[].sent.leafs.bytes number, account_statz[].received object,
         account_statz[].received.msgs number, account_statz[].received.bytes number,
         account_statz[].received.gateways object, account_statz[].received.gateways.msgs number,
         account_statz[].received.gateways.bytes number, account_statz[].received.routes object,
         account_statz[].received.routes.msgs number, account_statz[].received.routes.bytes number,
         account_statz[].received.leafs object, account_statz[].received.leafs.msgs number,
         account_statz[].received.leafs.bytes number, account_statz[].slow_consumers number",
    ),
    ("/routez", "server_id text, server_name text, now time, num_routes number, routes list"),
    ("/leafz", "server_id text, now time, leafnodes number, leafs list"),
    (
        "/gatewayz",
        "server_id text, now time, outbound_gateways object, inbound_gateways object",
    ),
    (
        "/jsz",
        "server_id text, now time, disabled bool, config object, config.max_memory number,
         config.max_storage number, memory number, storage number, reserved_memory number,
         reserved_storage number, accounts number, ha_assets number, api object, api.total number,
         api.errors number, streams number, consumers number, messages number, bytes number, total number",
    ),
    ("/healthz", "status text"),
    ("/livez", "status text"),
    ("/readyz", "status text"),
    ("/ipqueuesz", ""),
    (
        "/loopz",
        "server_id text, now time, turns number, turn_mean_ns number, turn_max_ns number",
    ),
    (
        "/memz",
        "server_id text, now time, mem number, owners object, owners.queues number,
         owners.input number, owners.sublist number, owners.cache number, owners.receivers number,
         owners.connections number, owners.pools number, owners.monitoring number, accounted number,
         clients_with_queue number, longest_queue number",
    ),
    ("/slowz", "server_id text, now time, num_slow number, total number, slow list"),
    (
        "/topz",
        "server_id text, now time, period text, since time, seconds number, sampled bool,
         sample_every number, totals object, totals.msgs number, totals.bytes number,
         totals.unrouted number, max_subjects number, num_subjects number, offset number, limit number,
         subjects list, subjects[] object, subjects[].subject text, subjects[].account text, subjects[].cut? bool,
         subjects[].msgs number, subjects[].bytes number, subjects[].unrouted number,
         subjects[].error number, subjects[].error_bytes number, subjects[].deviation number,
         subjects[].msgs_rate number, subjects[].bytes_rate number,
         connections list, connections[] object, connections[].cid number, connections[].kind text,
         connections[].ip text, connections[].port number, connections[].name? text,
         connections[].closed? bool, connections[].in_msgs number, connections[].out_msgs number,
         connections[].in_bytes number, connections[].out_bytes number,
         connections[].in_msgs_rate number, connections[].in_bytes_rate number",
    ),
];

/// The shape of an answer. Of a list, that of all elements together.
pub(crate) fn shape(value: &Value) -> Shape {
    let mut shape = Shape::new();
    add(value, "", &mut shape);
    shape
}

fn add(value: &Value, path: &str, shape: &mut Shape) {
    let mut child = |path: String, value: &Value| {
        add(value, &path, shape);
        let before = shape.insert(path.clone(), kind(value));
        assert!(
            before.is_none_or(|before| before == kind(value)),
            "two types at {path}"
        );
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                child(format!("{path}{dot}{name}"), value);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                child(format!("{path}[]"), element);
            }
        }
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        Value::String(text) => {
            if text.parse::<jiff::Timestamp>().is_ok() {
                "time"
            } else if is_span(text) {
                "span"
            } else {
                "text"
            }
        }
    }
}

/// Numbers, each with a unit behind it.
fn is_span(text: &str) -> bool {
    let is_number = |char: char| char.is_ascii_digit() || char == '.';
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(is_number).len();
        let units = ["y", "d", "h", "ns", "µs", "ms", "m", "s"];
        let Some(unit) = units.iter().find(|unit| rest[number..].starts_with(*unit)) else {
            return false;
        };
        if number == 0 {
            return false;
        }
        rest = &rest[number + unit.len()..];
        parts += 1;
    }
    parts > 0
}

/// What differs between an answer and the list of its fields.
fn differences(target: &str, fields: &str, answer: &Value) -> Vec<String> {
    let found = shape(answer);
    let mut wrong = Vec::new();
    let mut known = BTreeMap::new();
    for field in fields.split(',').map(str::trim).filter(|f| !f.is_empty()) {
        let (path, expected) = field.split_once(' ').expect("a field and a type");
        let expected = if expected == "rtt" { "span" } else { expected };
        let name = path.replace('?', "");
        match found.get(&name) {
            Some(kind) if *kind == expected => {}
            None if path.contains('?') => {}
            other => wrong.push(format!("{target}: {name} is {other:?} and not {expected}")),
        }
        known.insert(name, expected);
    }
    let unknown = found.keys().filter(|path| !known.contains_key(*path));
    wrong.extend(unknown.map(|path| format!("{target}: nobody knows {path}")));
    wrong
}

#[test]
fn every_endpoint_has_its_fields_and_no_others_each_of_its_type() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let mut wrong = Vec::new();
    for (target, fields) in SHAPES {
        wrong.extend(differences(target, fields, &get(addr, target).json()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn fields_that_may_be_left_out_are_there_when_they_mean_something() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let found = shape(&get(addr, "/connz?auth=1&subs=detail&state=any").json());
    for field in [
        "stop",
        "reason",
        "subscriptions_list_detail[].qgroup",
        "subscriptions_list_detail[].max",
    ] {
        assert!(
            found.contains_key(&format!("connections[].{field}")),
            "{field}"
        );
    }
    let (_broker, addr) = start(midge::Config {
        auth: midge::Auth::Token("t".into()),
        subscriptions_max: Some(5),
        ..monitored(Monitor::default())
    });
    let varz = get(addr, "/varz").json();
    assert_eq!(varz["auth_required"], true);
    assert_eq!(varz["max_subscriptions"], 5);
}
