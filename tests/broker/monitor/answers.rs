//! What the numbers mean, and what parameters do.

use super::{monitored, named, start, with_traffic};
use crate::http::{Http, get};
use crate::raw::Raw;
use midge::{Auth, Config, Destination, Mapping, Monitor, User};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The cids of an answer of `/connz`, in their order.
fn cids(answer: &Value) -> Vec<u64> {
    let connections = answer["connections"].as_array().expect("a list");
    connections
        .iter()
        .map(|c| c["cid"].as_u64().expect("a number"))
        .collect()
}

fn connz(addr: SocketAddr, query: &str) -> Value {
    get(addr, &format!("/connz?{query}")).json()
}

#[test]
fn varz_counts_what_was_published_and_delivered() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let varz = get(addr, "/varz").json();
    for (field, expected) in [
        ("connections", 2),
        ("total_connections", 4),
        ("in_msgs", 1),
        ("in_bytes", 5),
        ("out_msgs", 2),
        ("out_bytes", 10),
        ("subscriptions", 3),
        ("slow_consumers", 0),
        ("max_payload", 1024 * 1024),
        ("ping_interval", 120_000_000_000_i64),
        ("write_deadline", 10_000_000_000),
        ("auth_timeout", 2),
        ("gomaxprocs", 1),
    ] {
        assert_eq!(varz[field], expected, "{field}");
    }
    assert_eq!(varz["port"], broker.addr().port());
    assert_eq!(varz["http_port"], addr.port());
    assert_eq!(varz["version"], midge::ANNOUNCED_VERSION);
    assert!(varz["mem"].as_u64() > Some(100_000), "{}", varz["mem"]);
    assert_eq!(varz["start"], varz["config_load_time"]);
    let again = get(addr, "/varz").json();
    assert_eq!(again["start"], varz["start"], "the beginning does not move");
    assert!(again["now"].as_str() >= varz["now"].as_str());
}

#[test]
fn requests_are_counted_by_the_usual_name_of_what_was_asked() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    for target in ["/subscriptionsz", "/subsz", "/nothing", "/connz?limit=x"] {
        get(addr, target);
    }
    let stats = &get(addr, "/varz").json()["http_req_stats"];
    assert_eq!(*stats, json!({"/connz": 1, "/subsz": 2, "/varz": 1}));
}

#[test]
fn connz_tells_of_each_client_what_it_did_and_who_it_is() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let (one, _two) = with_traffic(broker.addr());
    let answer = connz(addr, "auth=true&subs=1");
    assert_eq!(
        (&answer["num_connections"], &answer["total"]),
        (&json!(2), &json!(2))
    );
    let first = &answer["connections"][0];
    let port = one.stream.local_addr().expect("it is open").port();
    for (field, expected) in [
        ("cid", json!(1)),
        ("kind", json!("Client")),
        ("type", json!("nats")),
        ("ip", json!("127.0.0.1")),
        ("port", json!(port)),
        ("pending_bytes", json!(0)),
        ("in_msgs", json!(0)),
        ("out_msgs", json!(2)),
        ("out_bytes", json!(10)),
        ("subscriptions", json!(2)),
        ("name", json!("one")),
        ("lang", json!("test")),
        ("version", json!("1.2")),
        ("authorized_user", json!("one-user")),
        ("account", json!("$G")),
    ] {
        assert_eq!(first[field], expected, "{field}");
    }
    assert_ne!(first["rtt"], "0s", "CONNECT was answered");
    assert_eq!(answer["connections"][1]["in_bytes"], 5);
    let plain = connz(addr, "");
    assert_eq!(plain["connections"][0].get("account"), None);
    assert_eq!(plain["connections"][0].get("subscriptions_list"), None);
}

#[test]
fn subscriptions_are_listed_by_subject_or_in_detail() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let by_subject = &connz(addr, "subs=true&cid=1")["connections"][0]["subscriptions_list"];
    assert_eq!(*by_subject, json!(["a.b", "a.*"]));
    let detail = &connz(addr, "subs=detail&cid=1")["connections"][0]["subscriptions_list_detail"];
    assert_eq!(
        *detail,
        json!([
            {"subject": "a.b", "qgroup": "group", "sid": "1", "msgs": 1, "cid": 1},
            {"subject": "a.*", "sid": "2", "msgs": 1, "max": 100, "cid": 1},
        ])
    );
    let none = named(broker.addr(), "none");
    let last = &connz(addr, "subs=detail&sort=start")["connections"][2];
    assert_eq!(
        (&last["name"], last.get("subscriptions_list_detail")),
        (&json!("none"), None)
    );
    drop(none);
}

#[test]
fn closed_connections_are_told_with_the_reason() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let closed = connz(addr, "state=closed&subs=detail");
    assert_eq!(closed["total"], 2);
    let gone = &closed["connections"][0];
    assert_eq!(gone["name"], "gone");
    assert!(gone["stop"].as_str() >= gone["start"].as_str());
    assert!(["Client Closed", "Read Error"].contains(&gone["reason"].as_str().unwrap_or("")));
    let detail = json!([{"account": "$G", "subject": "z.z", "sid": "7", "msgs": 0, "cid": 3}]);
    assert_eq!(gone["subscriptions_list_detail"], detail);
    assert_eq!(cids(&connz(addr, "state=ALL")), [1, 2, 3, 4]);
    assert_eq!(cids(&connz(addr, "cid=3")), [3], "open or closed");
    assert_eq!(cids(&connz(addr, "cid=1")), [1]);
    assert_eq!(connz(addr, "cid=99")["connections"], json!([]));
    assert_eq!(cids(&connz(addr, "state=closed&sort=stop")), [4, 3]);
    assert_eq!(
        connz(addr, "state=closed&sort=reason")["num_connections"],
        2
    );
}

#[test]
fn who_fails_to_log_in_is_among_the_closed_and_a_token_is_not_shown() {
    let config = Config {
        auth: Auth::Token("secret".into()),
        ..monitored(Monitor::default())
    };
    let (broker, addr) = start(config);
    let mut bad = Raw::connect(broker.addr());
    bad.send(b"CONNECT {\"auth_token\":\"wrong\",\"lang\":\"x\",\"verbose\":false}\r\n");
    while bad.next(|_| ()).is_some() {}
    let good = Raw::join_with(broker.addr(), r#"{"auth_token":"secret","verbose":false}"#);
    let text = get(addr, "/connz?state=any&auth=1").body;
    assert!(
        !text.contains("secret") && !text.contains("wrong"),
        "{text}"
    );
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let (failed, open) = (&answer["connections"][0], &answer["connections"][1]);
    assert_eq!(failed["reason"], "Authentication Failure");
    assert_eq!(
        (&failed["authorized_user"], &failed["lang"]),
        (&json!("[REDACTED]"), &json!("x"))
    );
    assert_eq!(open["authorized_user"], "[REDACTED]");
    drop(good);
}

#[test]
fn failed_logins_are_counted_and_a_client_without_credentials_is_shown_as_its_user() {
    let users = [("ann", "a"), ("bob", "b")].map(|(name, pass)| User {
        name: name.to_owned(),
        proof: pass.into(),
        ..User::default()
    });
    let auth = Auth::Users {
        users: users.to_vec().into(),
        token: None,
    };
    let (broker, addr) = start(Config {
        auth,
        no_auth_user: Some("bob".to_owned()),
        ..monitored(Monitor::default())
    });
    let mut silent = Raw::connect(broker.addr());
    silent.send(b"PING\r\n");
    assert_eq!(silent.line().as_deref(), Some("PONG"));
    let introduced = Raw::join(broker.addr());
    let ann = Raw::join_with(
        broker.addr(),
        r#"{"user":"ann","pass":"a","verbose":false}"#,
    );
    for _ in 0..3 {
        let mut guess = Raw::connect(broker.addr());
        guess.send(b"CONNECT {\"user\":\"ann\",\"pass\":\"x\"}\r\n");
        while guess.next(|_| ()).is_some() {}
    }
    let told = |query: &str, field: &str| -> Vec<Value> {
        let answer = connz(addr, query);
        let connections = answer["connections"].as_array().expect("a list");
        connections.iter().map(|one| one[field].clone()).collect()
    };
    assert_eq!(told("auth=1", "authorized_user"), ["bob", "bob", "ann"]);
    assert_eq!(told("user=bob", "cid"), [1, 2]);
    let closed = "state=closed&auth=1";
    assert_eq!(told(closed, "authorized_user"), ["ann"; 3]);
    assert_eq!(told(closed, "reason"), ["Authentication Failure"; 3]);
    assert_eq!(get(addr, "/varz").json()["auth_failures"], 3);
    let metrics = get(addr, "/metrics").body;
    let line = metrics
        .lines()
        .find(|l| l.starts_with("midge_auth_failures{"));
    assert!(line.is_some_and(|line| line.ends_with(" 3")), "{line:?}");
    drop((introduced, ann));
}

#[test]
fn whoever_is_turned_away_is_among_the_closed() {
    let config = Config {
        connections_max: 1,
        ..monitored(Monitor::default())
    };
    let (broker, addr) = start(config);
    let welcome = Raw::join(broker.addr());
    let mut crowd = Raw::connect(broker.addr());
    while crowd.next(|_| ()).is_some() {}
    let closed = &connz(addr, "state=closed")["connections"][0];
    assert_eq!(closed["reason"], "Maximum Connections Exceeded");
    assert_eq!(get(addr, "/varz").json()["total_connections"], 2);
    drop(welcome);
}

#[test]
fn pages_are_cut_out_of_the_sorted_list() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let mut clients: Vec<Raw> = (0..7)
        .map(|number| named(broker.addr(), &format!("c{number}")))
        .collect();
    // The third has most subscriptions, then the fifth; the second publishes most, to itself.
    for (client, count) in [(2, 5), (4, 3), (1, 1)] {
        for sid in 1..=count {
            clients[client].sub(&format!("s{client}"), None, &sid.to_string());
        }
        clients[client].sync();
    }
    for _ in 0..3 {
        clients[1].publish("s1", b"12345");
    }
    clients[3].publish("nobody", b"1234567890123456789012345");
    for client in &mut clients {
        client.sync();
    }
    for (query, expected) in [
        ("", &[1, 2, 3, 4, 5, 6, 7][..]),
        ("offset=2&limit=3", &[3, 4, 5]),
        ("offset=5", &[6, 7]),
        ("offset=7", &[]),
        ("limit=-1&offset=-1", &[1, 2, 3, 4, 5, 6, 7]),
        ("sort=subs&limit=3", &[3, 5, 2]),
        ("sort=subs&limit=2&offset=1", &[5, 2]),
        ("sort=msgs_from&limit=2", &[2, 4]),
        ("sort=bytes_from&limit=2", &[4, 2]),
        ("sort=msgs_to&limit=1", &[2]),
        ("sort=bytes_to&limit=1", &[2]),
        ("sort=start&limit=2", &[1, 2]),
        ("sort=uptime&limit=2", &[7, 6]),
        ("user=c3-user", &[4]),
        ("user=nobody", &[]),
        ("acc=$G&limit=1", &[1]),
        ("mqtt_client=x", &[]),
        ("find=C3", &[4]),
        ("find=c3-USER", &[4]),
        ("find=c&limit=2", &[1, 2]),
        ("find=127.0.0.1:&limit=1", &[1]),
        ("find=:&limit=1", &[1]),
        // The cid of one and in the name of another.
        ("find=5", &[5, 6]),
        ("find=c3&cid=3", &[]),
    ] {
        assert_eq!(cids(&connz(addr, query)), expected, "{query}");
    }
    for sort in ["cid", "pending", "last", "idle", "rtt"] {
        let answer = connz(addr, &format!("sort={sort}"));
        assert_eq!(cids(&answer).len(), 7, "{sort}");
    }
    let page = connz(addr, "offset=2&limit=3");
    for (field, expected) in [
        ("total", 7),
        ("num_connections", 3),
        ("offset", 2),
        ("limit", 3),
    ] {
        assert_eq!(page[field], expected, "{field}");
    }
    let unknown = connz(addr, "acc=NOPE");
    assert_eq!(
        (&unknown["server_id"], &unknown["total"]),
        (&json!(""), &json!(0))
    );
}

#[test]
fn subsz_lists_pages_and_those_that_match_a_subject() {
    let (broker, addr) = start(monitored(Monitor::default()));
    let _clients = with_traffic(broker.addr());
    let subsz = |query: &str| get(addr, &format!("/subsz?subs=1&{query}")).json();
    let subjects = |answer: &Value| -> Vec<String> {
        let list = answer["subscriptions_list"].as_array().expect("a list");
        let mut found: Vec<String> = list.iter().map(|s| s["subject"].to_string()).collect();
        found.sort();
        found
    };
    let all = subsz("");
    assert_eq!(subjects(&all), ["\"a.*\"", "\"a.b\"", "\"c\""]);
    for (field, expected) in [
        ("num_subscriptions", 3),
        ("num_inserts", 4),
        ("num_removes", 1),
        ("num_matches", 1),
        ("max_fanout", 1),
        ("total", 3),
    ] {
        assert_eq!(all[field], expected, "{field}");
    }
    assert_eq!(subjects(&subsz("test=a.b")), ["\"a.*\"", "\"a.b\""]);
    assert_eq!(subjects(&subsz("test=a.x")), ["\"a.*\""]);
    assert_eq!(subjects(&subsz("find=a.")), ["\"a.*\"", "\"a.b\""]);
    assert_eq!(subjects(&subsz("find=.b&test=a.b")), ["\"a.b\""]);
    assert_eq!(subsz("find=a.&limit=1")["total"], 2);
    let page = subsz("limit=2&offset=2");
    assert_eq!((subjects(&page).len(), &page["total"]), (1, &json!(3)));
    assert_eq!(subjects(&subsz("acc=NOPE")).len(), 0);
}

#[test]
fn parameters_that_make_no_sense_are_told_in_the_words_of_nats_server() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    let syntax = "invalid syntax";
    for (target, expected) in [
        (
            "/connz?limit=abc",
            format!("Error decoding int for 'limit': strconv.Atoi: parsing \"abc\": {syntax}"),
        ),
        (
            "/connz?offset=1.5",
            format!("Error decoding int for 'offset': strconv.Atoi: parsing \"1.5\": {syntax}"),
        ),
        (
            "/connz?auth=2",
            format!(
                "Error decoding boolean for 'auth': strconv.ParseBool: parsing \"2\": {syntax}"
            ),
        ),
        (
            "/connz?cid=x",
            format!("Error decoding uint64 for 'cid': strconv.ParseUint: parsing \"x\": {syntax}"),
        ),
        (
            "/connz?state=foo",
            "Error decoding state for foo".to_owned(),
        ),
        (
            "/connz?sort=bogus",
            "invalid sorting option: bogus".to_owned(),
        ),
        (
            "/connz?sort=stop",
            "sort by stop only valid on closed connections".to_owned(),
        ),
        (
            "/connz?sort=reason&state=any",
            "sort by reason only valid on closed connections".to_owned(),
        ),
        (
            "/subsz?test=foo.*",
            "invalid test subject, must be valid publish subject: foo.*".to_owned(),
        ),
        (
            "/accountz?acc=NOPE",
            "Account NOPE does not exist".to_owned(),
        ),
    ] {
        let answer = get(addr, target);
        assert_eq!((answer.status, &answer.body), (400, &expected), "{target}");
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
}

#[test]
fn a_callback_makes_a_script_and_must_be_a_name() {
    let (_broker, addr) = start(monitored(Monitor::default()));
    for target in ["/varz", "/connz", "/healthz", "/subsz?subs=1"] {
        let mark = if target.contains('?') { '&' } else { '?' };
        let answer = get(addr, &format!("{target}{mark}callback=a.b"));
        assert_eq!(answer.field("content-type"), Some("application/javascript"));
        let inner = answer
            .body
            .strip_prefix("a.b(")
            .and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.unwrap_or_else(|| panic!("{}", answer.body));
        serde_json::from_str::<Value>(inner).expect("JSON between the brackets");
    }
    assert_eq!(get(addr, "/varz?callback=alert(1)//").status, 400);
    let plain = get(addr, "/varz");
    assert_eq!(plain.field("content-type"), Some("application/json"));
    assert_eq!(plain.field("access-control-allow-origin"), Some("*"));
}

#[test]
fn a_round_trip_is_measured_and_answering_it_is_no_activity() {
    let config = Config {
        ping_interval: std::time::Duration::from_millis(20),
        pings_out_max: 1000,
        ..monitored(Monitor::default())
    };
    let (broker, addr) = start(config);
    let mut client = named(broker.addr(), "one");
    client.publish("a", b"b");
    client.sync();
    let mut http = Http::connect(addr);
    let before = http.get("/connz").json()["connections"][0]["last_activity"].clone();
    // Two questions of the broker, each answered; then it was silent.
    for _ in 0..2 {
        while client.next(|op| matches!(op, midge_protocol::ServerOp::Ping)) != Some(true) {}
        client.send(b"PONG\r\n");
    }
    while client.next(|op| matches!(op, midge_protocol::ServerOp::Ping)) != Some(true) {}
    let after = &http.get("/connz").json()["connections"][0];
    assert_ne!(after["rtt"], "0s");
    assert_eq!(after["last_activity"], before);
}

#[test]
fn accountz_tells_mappings_with_weights_that_add_up() {
    let in_east = Destination {
        cluster: Some("east".to_owned()),
        ..Destination::to("e")
    };
    let half = |subject: &str| Destination {
        weight: 25,
        ..Destination::to(subject)
    };
    let (_broker, addr) = start(Config {
        mappings: vec![
            Mapping::new("a.*", [half("b.$1"), half("c")]).expect("it is right"),
            Mapping::new("x", [in_east, Destination::to("y")]).expect("it is right"),
        ],
        ..monitored(Monitor::default())
    });
    let answer = get(addr, "/accountz?acc=$G").json();
    // As nats-server 2.10.29 answers with these mappings.
    let expected = json!({
        "a.*": [
            {"subject": "b.$1", "weight": 25},
            {"subject": "c", "weight": 50},
            {"subject": "a.$1", "weight": 100},
        ],
        "x": [
            {"subject": "y", "weight": 100},
            {"subject": "e", "weight": 100, "cluster": "east"},
        ],
    });
    assert_eq!(answer["account_detail"]["mappings"], expected);
}
