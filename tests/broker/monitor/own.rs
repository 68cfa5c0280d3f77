//! The endpoints that nats-server has not: metrics, memory, who was slow, probes.

use super::{monitored, named, start, with_traffic};
use crate::http::get;
use crate::raw::Raw;
use midge::{Config, Monitor};
use serde_json::json;
use std::collections::BTreeMap;

/// The samples of `/metrics`: name, or name and further labels, to number.
fn samples(text: &str, server_id: &str) -> BTreeMap<String, f64> {
    let server = format!("server_id=\"{server_id}\"");
    let samples = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').expect("a sample has a number");
            let name = name
                .replace(&server, "")
                .replace("{}", "")
                .replace("{,", "{");
            (name, number.parse().expect("a number"))
        });
    samples.collect()
}

#[test]
fn metrics_have_the_names_of_the_exporter() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let varz = get(addr, "/varz").json();
    let answer = get(addr, "/metrics");
    assert_eq!(
        answer.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let id = varz["server_id"].as_str().expect("a text");
    let samples = samples(&answer.body, id);
    for (name, expected) in [
        ("gnatsd_varz_in_msgs", 1.0),
        ("gnatsd_varz_out_bytes", 10.0),
        ("gnatsd_varz_connections", 2.0),
        ("gnatsd_varz_total_connections", 4.0),
        ("gnatsd_varz_max_payload", 1_048_576.0),
        ("gnatsd_varz_ping_interval", 120e9),
        ("gnatsd_varz_slow_consumer_stats_clients", 0.0),
        ("gnatsd_varz_http_req_stats_varz", 1.0),
        ("gnatsd_varz_http_req_stats_metrics", 1.0),
        ("gnatsd_varz_version{value=\"2.10.29\"}", 1.0),
        ("gnatsd_subsz_num_subscriptions", 3.0),
        ("gnatsd_subsz_cache_hit_rate", 0.0),
        ("gnatsd_routez_num_routes", 0.0),
        ("gnatsd_connz_num_connections", 2.0),
        ("gnatsd_connz_subscriptions", 3.0),
        ("gnatsd_connz_in_msgs", 1.0),
        ("gnatsd_connz_out_bytes", 10.0),
        ("gnatsd_connz_pending_bytes", 0.0),
        ("gnatsd_healthz_status", 0.0),
        ("gnatsd_healthz_status_value{value=\"ok\"}", 1.0),
        ("gnatsd_leafz_conn_nodes_total", 0.0),
        ("midge_auth_failures", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name} in {samples:#?}");
    }
    let account = "{account=\"$G\",account_id=\"$G\",account_name=\"$G\"}";
    assert_eq!(
        samples[&format!("gnatsd_accstatz_sent_bytes{account}")],
        10.0
    );
    // Each number of /varz has its metric.
    let fields = varz.as_object().expect("an object");
    for (field, _) in fields.iter().filter(|(_, value)| value.is_number()) {
        assert!(
            samples.contains_key(&format!("gnatsd_varz_{field}")),
            "{field}"
        );
    }
    let start: jiff::Timestamp = varz["start"]
        .as_str()
        .and_then(|t| t.parse().ok())
        .expect("a date");
    assert_eq!(samples["gnatsd_varz_start"], start.as_millisecond() as f64);
}

#[test]
fn metrics_are_good_openmetrics() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let text = get(addr, "/metrics").body;
    assert!(text.ends_with("# EOF\n"));
    let mut family = String::new();
    let mut families = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["#", "TYPE", name, kind] => {
                assert_eq!(kind, "gauge");
                name.clone_into(&mut family);
                families.push(name.to_owned());
            }
            ["#", "HELP", name, ..] => assert_eq!(name, family),
            _ => {
                let end = line.find(['{', ' ']).expect("a name ends");
                assert_eq!(line[..end], family, "a sample stands with its family");
                let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                assert!(family.bytes().all(good), "{family}");
            }
        }
    }
    let count = families.len();
    families.sort();
    families.dedup();
    assert_eq!(families.len(), count, "no family comes twice");
    assert!(count > 60, "{count}");
}

#[test]
fn memory_is_told_by_owner() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let before = get(addr, "/memz").json();
    let mut client = Raw::join(broker.addr());
    for number in 0..5000 {
        client.sub(&format!("some.subject.{number}"), None, &number.to_string());
    }
    client.sync();
    let after = get(addr, "/memz").json();
    let of = |memz: &serde_json::Value, owner: &str| memz["owners"][owner].as_u64().unwrap_or(0);
    // A set and a subscription, a cache line each, and more for the table.
    assert!(of(&after, "sublist") > of(&before, "sublist") + 5000 * 128);
    assert!(of(&after, "receivers") > of(&before, "receivers"));
    assert!(of(&after, "connections") > 0 && of(&after, "monitoring") > 0);
    let owners = after["owners"].as_object().expect("an object");
    let sum: u64 = owners.values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(after["accounted"], sum);
    assert!(after["mem"].as_u64() > Some(sum), "{after}");
}

#[test]
fn a_turn_of_the_loop_is_measured_while_it_is_asked_for() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    for _ in 0..3 {
        let loopz = get(addr, "/loopz").json();
        let of = |field: &str| loopz[field].as_u64().expect("a number");
        assert!(of("turns") >= 16, "{loopz}");
        assert!(0 < of("turn_mean_ns"), "{loopz}");
        assert!(of("turn_mean_ns") <= of("turn_max_ns"), "{loopz}");
    }
}

#[test]
fn who_does_not_read_is_told_with_subject_and_subscription() {
    let config = Config {
        pending_bytes_max: 4 * 1024 * 1024,
        ..monitored(Monitor::default())
    };
    let (broker, addr) = start(config);
    let mut slow = Raw::join_narrow(broker.addr());
    slow.sub("feed.*", None, "42");
    slow.sync();
    let mut publisher = named(broker.addr(), "publisher");
    let payload = vec![b'x'; 64 * 1024];
    // More than all buffers on the way hold: the broker closes the subscriber at last.
    let mut sent = 0;
    let mut closed = false;
    while !closed {
        publisher.publish("feed.a", &payload);
        sent += 1;
        if sent % 16 == 0 {
            publisher.sync();
            closed = get(addr, "/varz").json()["slow_consumers"] == 1;
        }
    }
    let slowz = get(addr, "/slowz").json();
    // It may have caught up once, while the kernel's buffers grew.
    assert_eq!(slowz["num_slow"], 0, "{slowz}");
    assert!(slowz["total"].as_u64() >= Some(1), "{slowz}");
    let one = &slowz["slow"][0];
    assert_eq!(one["cid"], 1);
    assert_eq!(
        (&one["subject"], &one["sid"]),
        (&json!("feed.a"), &json!("42")),
        "{slowz}"
    );
    assert_eq!(one["state"], "closed");
    assert!(
        one["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("Slow Consumer"))
    );
    assert!(one["waits"].as_u64() > Some(0));
    // From an eighth of the limit on, publishers wait.
    assert!(
        one["pending_bytes_peak"].as_u64() >= Some(512 * 1024),
        "{one}"
    );
    let closed = &get(addr, "/connz?state=closed").json()["connections"][0];
    assert!(
        closed["pending_bytes_peak"].as_u64() >= Some(512 * 1024),
        "{closed}"
    );
    assert_eq!(closed["reason"], one["reason"]);
}
