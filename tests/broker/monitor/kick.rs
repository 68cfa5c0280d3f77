//! `/kick`: whom it closes, what they are told, and who may ask.

use super::{monitored, named, start};
use crate::http::{Http, Response};
use crate::raw::Raw;
use midge::{Auth, Config, Monitor, Running};
use std::net::SocketAddr;

/// Settings of a broker whose monitoring asks for a token.
fn guarded() -> Config {
    monitored(Monitor {
        auth: Auth::Token("t".into()),
        ..Monitor::default()
    })
}

/// Asks with the token, and with `fields` in the head.
fn ask(addr: SocketAddr, method: &str, target: &str, fields: &str) -> Response {
    let mut http = Http::connect(addr);
    http.send(&format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\n{fields}\r\n"
    ));
    http.response(false).expect("an answer comes")
}

fn is_alive(client: &mut Raw) -> bool {
    client.sync_counting().is_ok()
}

/// A broker with three clients, two of whom say to be the same user.
fn three() -> (Running, SocketAddr, [Raw; 3]) {
    let (broker, addr) = start(guarded());
    let clients = ["ann", "ann", "bob"].map(|name| named(broker.addr(), name));
    (broker, addr, clients)
}

#[test]
fn those_that_the_filter_finds_are_told_why_and_closed_and_the_others_stay() {
    let (_broker, addr, [mut one, mut two, mut three]) = three();
    let target = "/kick?user=ann-user&reason=moving%20house";
    let dry = ask(addr, "GET", target, "");
    assert_eq!(dry.status, 200);
    assert_eq!(dry.json()["num_connections"], 2);
    assert!([&mut one, &mut two, &mut three].into_iter().all(is_alive));
    let done = ask(addr, "POST", target, "Content-Length: 0\r\n");
    assert_eq!(done.status, 200);
    assert_eq!(done.json()["connections"].as_array().map(Vec::len), Some(2));
    for client in [&mut one, &mut two] {
        let line = client.line_or_ping();
        assert_eq!(line.as_deref(), Some("-ERR 'Kicked: moving house'"));
        assert_eq!(client.line_or_ping(), None);
    }
    assert!(is_alive(&mut three));
    let closed = ask(addr, "GET", "/connz?state=closed", "").json();
    let reasons: Vec<&str> = closed["connections"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["Kicked", "Kicked"]);
}

#[test]
fn the_list_is_bounded_and_says_how_many_there_are() {
    let (_broker, addr, mut clients) = three();
    let done = ask(addr, "POST", "/kick?all=true&limit=2", "").json();
    assert_eq!(
        (&done["num_connections"], &done["total"]),
        (&2.into(), &3.into())
    );
    for client in &mut clients[..2] {
        let line = client.line_or_ping();
        assert_eq!(line.as_deref(), Some("-ERR 'Kicked: no reason given'"));
    }
    assert!(is_alive(&mut clients[2]));
}

#[test]
fn a_client_that_has_left_is_not_found() {
    let (_broker, addr, [one, two, three]) = three();
    for client in [one, two, three] {
        client.leave();
    }
    for cid in 1..4 {
        let done = ask(addr, "POST", &format!("/kick?cid={cid}"), "").json();
        assert_eq!(done["num_connections"], 0, "{done}");
    }
}

#[test]
fn a_kick_without_a_filter_by_another_site_or_without_a_password_is_refused() {
    let (_broker, addr, mut clients) = three();
    let page = "Origin: http://elsewhere\r\n";
    let long = format!("/kick?all=1&reason={}", "x".repeat(257));
    for (target, fields, status) in [
        ("/kick", "", 400),
        ("/kick?user=", "", 400),
        ("/kick?cid=0", "", 400),
        ("/kick?cid=0&all=1", "", 400),
        ("/kick?cid=", "", 400),
        ("/kick?cid=x", "", 400),
        ("/kick?all=1&state=closed", "", 400),
        ("/kick?all=1&reason=a%27b", "", 400),
        ("/kick?all=1&reason=a%0ab", "", 400),
        (&*long, "", 400),
        ("/kick?all=1&sort=foo", "", 400),
        ("/kick?all=1", page, 403),
    ] {
        let refused = ask(addr, "POST", target, fields);
        assert_eq!(refused.status, status, "{target}: {}", refused.body);
    }
    let mut http = Http::connect(addr);
    http.send("POST /kick?all=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(http.response(false).expect("an answer comes").status, 401);
    assert!(clients.iter_mut().all(is_alive));

    let (broker, addr) = start(monitored(Monitor::default()));
    let mut client = named(broker.addr(), "ann");
    let refused = ask(addr, "POST", "/kick?all=1", "");
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("http_authorization"),
        "{}",
        refused.body
    );
    assert!(is_alive(&mut client));
}
