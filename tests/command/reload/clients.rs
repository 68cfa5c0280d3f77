//! Who is connected, and what clients may do, is as the file says from a reload on.

use super::{Configured, is_there, is_there_behind_news, user};
use crate::process::Client;

#[test]
fn a_change_of_users_closes_only_whom_it_concerns() {
    let salt = *b"sixteen bytes...";
    let hash = |pass| bcrypt::hash_with_salt(pass, 4, salt).expect("it can be hashed");
    let (other, same) = (hash("d2").to_string(), hash("f1").to_string());
    let mut it = Configured::start(
        "users",
        "authorization { timeout: 60, users = [
            {user: ann, password: a1}, {user: bob, password: b1}, {user: cat, password: c1}
            {user: dan, password: d1}, {user: fay, password: f1}
        ]}",
        &[],
    );
    let [mut ann, mut bob, mut cat, mut dan, mut fay] = [
        ("ann", "a1"),
        ("bob", "b1"),
        ("cat", "c1"),
        ("dan", "d1"),
        ("fay", "f1"),
    ]
    .map(|(name, pass)| it.client_as(&user(name, pass)));
    // One that has not logged in yet is not judged by what it has not said.
    let mut late = it.client();
    let text = format!(
        "authorization {{ timeout: 60, users = [ {{user: ann, password: a1}}, {{user: bob, password: b2}}, \
         {{user: dan, password: \"{other}\"}}, {{user: eve, password: e1}}, \
         {{user: fay, password: \"{same}\"}} ]}}"
    );
    let lines = it.reload(&text);
    assert_eq!(
        lines,
        [
            "[INF] Reloaded: authorization users = users ann, bob, dan, eve, fay \
             (was users ann, bob, cat, dan, fay)"
        ]
    );
    for gone in [&mut bob, &mut cat] {
        assert_eq!(gone.rest(), ["-ERR 'Authorization Violation'"]);
    }
    is_there(&mut ann);
    // It takes a moment to find out that one password is not what was hashed, and that another is.
    assert_eq!(dan.rest(), ["-ERR 'Authorization Violation'"]);
    late.say(&format!(
        "CONNECT {{\"verbose\":true{}}}\r\n",
        user("eve", "e1")
    ));
    assert_eq!(late.line().as_deref(), Some("+OK"));
    let lines = it.reload(&text.replace("e1", "e2"));
    assert_eq!(
        lines,
        [
            "[INF] Reloaded: authorization users = users ann, bob, dan, eve, fay (secrets of eve changed)"
        ]
    );
    assert_eq!(late.rest(), ["-ERR 'Authorization Violation'"]);
    is_there(&mut ann);
    is_there(&mut fay);
    // Nobody must present anything any more, and then again.
    it.reload("debug: false");
    let mut guest = it.client_as("");
    let news = ann.line().expect("news");
    assert!(
        news.starts_with("INFO ") && !news.contains("auth_required"),
        "{news}"
    );
    is_there(&mut ann);
    it.reload("authorization { user: ann, password: a1 }");
    assert!(
        ann.line()
            .is_some_and(|news| news.contains("\"auth_required\":true"))
    );
    is_there(&mut ann);
    let rest = guest.rest();
    assert_eq!(
        rest.last().map(String::as_str),
        Some("-ERR 'Authorization Violation'"),
        "{rest:?}"
    );
}

#[test]
fn those_who_present_nothing_are_a_user_while_there_is_one_for_them() {
    let users =
        "authorization { users = [ {user: ann, password: a1}, {user: bob, password: b1} ]}\n";
    let mut it = Configured::start("nobody", &format!("{users}no_auth_user: ann"), &[]);
    let (mut ann, mut guest) = (it.client_as(&user("ann", "a1")), it.client_as(""));
    assert_eq!(
        it.reload(&format!("{users}no_auth_user: bob")),
        ["[INF] Reloaded: no_auth_user = bob (was ann)"]
    );
    is_there(&mut guest);
    assert_eq!(
        it.reload(users),
        ["[INF] Reloaded: no_auth_user = none (was bob)"]
    );
    let rest = guest.rest();
    assert_eq!(
        rest.last().map(String::as_str),
        Some("-ERR 'Authorization Violation'"),
        "{rest:?}"
    );
    is_there_behind_news(&mut ann);
}

#[test]
fn limits_hold_at_once_for_clients_that_are_connected() {
    let mut it = Configured::start("limits", "authorization { token: t }", &[]);
    let token = ",\"auth_token\":\"t\"";
    let mut client = it.client_as(token);
    let mut old = it.client();
    old.say("CONNECT {\"auth_token\":\"t\",\"verbose\":false}\r\nPING\r\n");
    old.until("PONG");
    let lines = it.reload(
        "authorization { token: t, timeout: 0.05 }
        max_payload: 10, max_control_line: 100, max_subscriptions: 1, max_sub_tokens: 2
        client_advertise: \"1.2.3.4:99\"",
    );
    assert_eq!(
        lines,
        [
            "[INF] Reload: client_advertise = 1.2.3.4:99 (was none)",
            "[INF] Reloaded: authorization timeout = 50ms (was 2s)",
            "[INF] Reloaded: max_subscriptions = 1 (was none)",
            "[INF] Reloaded: max_sub_tokens = 2 (was none)",
            "[INF] Reloaded: max_control_line = 100 (was 4096)",
            "[INF] Reloaded: max_payload = 10 (was 1048576)",
        ]
    );
    // Only a client of protocol 1 expects to be told.
    let news = client.line().expect("news");
    assert!(
        news.contains("\"max_payload\":10,") && news.contains("\"port\":99"),
        "{news}"
    );
    is_there(&mut old);
    client.say("SUB a.b.c 1\r\nSUB a 2\r\nSUB b 3\r\nPING\r\n");
    let lines = client.until("PONG");
    assert!(
        lines[0].contains("too many tokens") && lines[1].contains("maximum subscriptions"),
        "{lines:?}"
    );
    client.say("PUB a 11\r\nhello world\r\n");
    assert_eq!(client.rest(), ["-ERR 'Maximum Payload Violation'"]);
    old.say(&format!("PUB {} 1\r\nx\r\n", "a".repeat(100)));
    assert_eq!(old.rest(), ["-ERR 'maximum control line exceeded'"]);
    assert_eq!(it.client().rest(), ["-ERR 'Authentication Timeout'"]);
}

#[test]
fn clients_that_are_too_many_are_closed_the_newest_first() {
    let mut it = Configured::start("connections", "debug: false", &[]);
    let mut clients: Vec<Client> = (0..4).map(|_| it.client_as("")).collect();
    let lines = it.reload_to(
        "max_connections: 2",
        "Closed 2 connections to fall within max_connections",
    );
    assert!(
        lines[0].starts_with("[INF] Reloaded: max_connections = 2 (was "),
        "{lines:?}"
    );
    for client in &mut clients[2..] {
        assert_eq!(client.rest(), ["-ERR 'maximum connections exceeded'"]);
    }
    clients[..2].iter_mut().for_each(is_there);
    it.reload("max_connections: 3");
    it.client_as("");
}

#[test]
fn times_hold_at_once_for_clients_that_are_connected() {
    let mut it = Configured::start("times", "ping_interval: 1h", &[]);
    let mut client = it.client_as("");
    assert_eq!(client.line_or_ping().as_deref(), Some("PING"));
    client.say("PONG\r\n");
    is_there(&mut client);
    let lines = it.reload("ping_interval: 20ms\nping_max: 1");
    assert_eq!(
        lines,
        [
            "[INF] Reloaded: ping_interval = 20ms (was 1h0m0s)",
            "[INF] Reloaded: ping_max = 1 (was 2)"
        ]
    );
    let rest: Vec<String> = std::iter::from_fn(|| client.line_or_ping()).collect();
    assert_eq!(rest, ["PING", "-ERR 'Stale Connection'"]);
}

#[test]
fn a_lower_max_pending_holds_for_a_client_that_reads_nothing() {
    let mut it = Configured::start("pending", "no_fast_producer_stall: true", &[]);
    let mut slow = it.client_as("");
    slow.say("SUB a 1\r\nPING\r\n");
    slow.until("PONG");
    it.reload("no_fast_producer_stall: true\nmax_pending: 50KB\nmax_payload: 50KB");
    let mut publisher = it.client_as("");
    let message = format!("PUB a 40000\r\n{}\r\n", "x".repeat(40_000));
    // Much more than the kernel's buffers hold, and less than the old limit.
    for _ in 0..1000 {
        publisher.say(&message);
    }
    is_there(&mut publisher);
    it.broker
        .position("Slow Consumer Detected: MaxPending of 51200 Exceeded");
}

#[test]
fn plaintext_passwords_that_a_reload_brings_are_warned_of_once() {
    let hash = bcrypt::hash_with_salt("x", 4, *b"sixteen bytes...").expect("it can be hashed");
    let hashed = format!("authorization {{ user: ann, password: \"{hash}\" }}");
    let mut it = Configured::start("plaintext", &hashed, &[]);
    let warning = "[WRN] Plaintext passwords detected, use nkeys or bcrypt";
    let warned = |lines: &[String]| lines.iter().filter(|line| *line == warning).count();
    assert_eq!(it.broker.count(warning), 0);
    let plain = "authorization { user: ann, password: x }";
    assert_eq!(warned(&it.reload(plain)), 1);
    // Whoever goes on with them has heard it.
    assert_eq!(warned(&it.reload(&format!("{plain}\nping_max: 3"))), 0);
    assert_eq!(warned(&it.reload(&hashed)), 0);
    assert_eq!(
        warned(&it.reload("authorization { users: [{user: b, password: y}] }")),
        1
    );
}

#[test]
fn new_permissions_hold_for_those_who_are_connected() {
    let file = |ann: &str| {
        format!(
            "authorization {{users: [{{user: ann, password: a, permissions: {ann}}}, \
             {{user: bob, password: b}}]}}"
        )
    };
    let mut it = Configured::start("permissions", &file("{}"), &[]);
    let mut ann = it.client_as(&user("ann", "a"));
    let mut bob = it.client_as(&user("bob", "b"));
    ann.say("SUB s.a 1\r\nSUB keep 2\r\nSUB s.b q 3\r\nSUB s.> 4\r\nPUB keep 0\r\n\r\n");
    assert_eq!(ann.line().as_deref(), Some("MSG keep 2 0"));
    assert_eq!(ann.line().as_deref(), Some(""));
    let told = it.reload(&file("{sub: {deny: [\"s.*\", \"*.z.>\"]}, pub: x}"));
    for (subject, sid) in [("s.a", 1), ("s.b", 3)] {
        let line = format!(
            "-ERR 'Permissions Violation for Subscription to \"{subject}\" (sid \"{sid}\")'"
        );
        assert_eq!(ann.line(), Some(line));
    }
    let removed = "Removed 2 subs for User \"ann\" - not authorized: \"s.a\" (sid \"1\"), \"s.b\" (sid \"3\")";
    it.broker.position(removed);
    let is_told = |line: &String| line.starts_with("[INF] Reloaded: authorization");
    assert!(told.iter().any(is_told), "{told:?}");
    // What repeats was allowed before, and is no more. What is left of a subscription is filtered.
    ann.say("PUB keep 0\r\n\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"keep\"'";
    assert_eq!(ann.line().as_deref(), Some(denied));
    assert_eq!(ann.line().as_deref(), Some("PONG"));
    for subject in ["s.a", "s.z.a", "s.c.a", "keep"] {
        bob.say(&format!("PUB {subject} 0\r\n\r\n"));
    }
    is_there(&mut bob);
    for line in ["MSG s.c.a 4 0", "", "MSG keep 2 0", ""] {
        assert_eq!(ann.line().as_deref(), Some(line));
    }
    // Back again: a filter goes, what was removed does not come back.
    it.reload(&file("{}"));
    bob.say("PUB s.a 0\r\n\r\n");
    is_there(&mut bob);
    for line in ["MSG s.a 4 0", ""] {
        assert_eq!(ann.line().as_deref(), Some(line));
    }
    ann.say("PUB keep 0\r\n\r\n");
    for line in ["MSG keep 2 0", ""] {
        assert_eq!(ann.line().as_deref(), Some(line));
    }
}
