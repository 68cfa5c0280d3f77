//! Accounts, their limits and mappings are as the file says from a reload on.

use super::{Configured, FAILED, is_there, user};
use crate::http;
use std::fs;

/// The block `accounts` with these users in two accounts, each with the password `p`.
fn accounts(a: &[&str], b: &[&str], limits: &str) -> String {
    let list = |names: &[&str]| {
        let users = names
            .iter()
            .map(|name| format!("{{user: {name}, password: p}}"));
        users.collect::<Vec<_>>().join(", ")
    };
    let (a, b) = (list(a), list(b));
    format!("accounts {{ A {{ users: [ {a} ], limits {{ {limits} }} }}, B {{ users: [ {b} ] }} }}")
}

#[test]
fn who_is_in_another_account_is_closed_without_a_word_and_the_others_stay() {
    let mut it = Configured::start("accounts", &accounts(&["ann", "amy"], &["bob"], ""), &[]);
    let mut all = ["ann", "amy", "bob"].map(|name| it.client_as(&user(name, "p")));
    let lines = it.reload(&accounts(&["amy"], &["ann", "bob"], ""));
    let [ann, amy, bob] = &mut all;
    assert_eq!(ann.line(), None);
    is_there(amy);
    is_there(bob);
    let moved = "user \"ann\" is in account \"B\" now, so the connection ends";
    it.broker.position(moved);
    let changed = "[INF] Reloaded: authorization users = users amy in A, ann in B, bob in B (was users ann in A, \
                   amy in A, bob in B)";
    assert!(lines.iter().any(|line| line == changed), "{lines:#?}");
    // She comes in again, where she belongs now.
    let mut ann = it.client_as(&user("ann", "p"));
    ann.say("SUB a 1\r\nPING\r\n");
    ann.until("PONG");
    bob.say("PUB a 0\r\n\r\nPING\r\n");
    bob.until("PONG");
    assert_eq!(ann.line().as_deref(), Some("MSG a 1 0"));
}

#[test]
fn accounts_come_and_go_and_take_their_clients_along() {
    let monitored = |text: String| format!("{text}\nhttp: \"127.0.0.1:-1\"");
    let mut it = Configured::start(
        "accounts-come-and-go",
        &monitored(accounts(&["ann"], &["bob"], "")),
        &[],
    );
    let monitor = it.monitor();
    let mut ann = it.client_as(&user("ann", "p"));
    let mut bob = it.client_as(&user("bob", "p"));
    let names = |monitor| {
        let list = http::get(monitor, "/accountz").json();
        list["accounts"].to_string()
    };
    assert_eq!(names(monitor), r#"["$G","A","B"]"#);
    let text = "accounts { C { users: [ {user: ann, password: p} ] }, B { users: [ {user: bob, password: p} ] } }";
    it.reload(&monitored(text.to_owned()));
    assert_eq!(ann.line(), None);
    is_there(&mut bob);
    assert_eq!(names(monitor), r#"["$G","B","C"]"#);
    it.client_as(&user("ann", "p"));
}

#[test]
fn lower_limits_of_an_account_close_its_newest_clients_and_those_with_too_many_subscriptions() {
    let mut it = Configured::start(
        "account-limits",
        &accounts(&["ann", "amy"], &["bob"], ""),
        &[],
    );
    let mut all = ["ann", "amy", "bob"].map(|name| it.client_as(&user(name, "p")));
    for one in &mut all {
        one.say("SUB a 1\r\nSUB b 2\r\nPING\r\n");
        one.until("PONG");
    }
    it.reload(&accounts(&["ann", "amy"], &["bob"], "max_connections: 1"));
    let [ann, amy, bob] = &mut all;
    let told = "-ERR 'maximum account active connections exceeded'";
    assert_eq!(amy.line().as_deref(), Some(told));
    assert_eq!(amy.line(), None);
    is_there(ann);
    it.reload(&accounts(&["ann", "amy"], &["bob"], "max_subscriptions: 1"));
    let told = "-ERR 'maximum subscriptions exceeded'";
    assert_eq!(ann.line().as_deref(), Some(told));
    assert_eq!(ann.line(), None);
    is_there(bob);
}

#[test]
fn new_mappings_hold_for_the_next_message() {
    let mut it = Configured::start("mappings", "mappings { a: b }", &[]);
    let mut client = it.client_as("");
    client.say("SUB > 1\r\n");
    let mut goes_to = |subject: &str| {
        client.say("PUB a 0\r\n\r\n");
        for line in [format!("MSG {subject} 1 0"), String::new()] {
            assert_eq!(client.line(), Some(line));
        }
    };
    goes_to("b");
    let told = it.reload("mappings { a: [{dest: c, weight: 100%}], \"x.*\": y }");
    let expected = "[INF] Reloaded: mappings = [a -> c, x.* -> y] (was [a -> b])";
    assert!(told.iter().any(|line| line == expected), "{told:?}");
    goes_to("c");
    it.reload_to("mappings { a: \"d.$1\" }", FAILED);
    goes_to("c");
    it.reload("port: -1");
    goes_to("a");
}

#[test]
fn a_client_of_the_system_account_has_the_file_read_again_and_is_told_what_came_of_it() {
    let text = |payload: &str| {
        format!(
            "accounts {{ $SYS {{ users: [ {{user: sys, password: p}} ] }} }}\nmax_payload: {payload}\n"
        )
    };
    let mut it = Configured::start("by_request", &text("1024"), &[]);
    let mut sys = it.client_as(&user("sys", "p"));
    sys.say("SUB answer 1\r\n");
    let mut ask = |subject: &str| {
        sys.say(&format!("PUB {subject} answer 0\r\n\r\n"));
        loop {
            let line = sys.line().expect("it is connected");
            if line.starts_with('{') {
                return serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
            }
        }
    };
    let id = ask("$SYS.REQ.SERVER.PING.IDZ")["id"].clone();
    let id = id.as_str().expect("an id");
    let reload = format!("$SYS.REQ.SERVER.{id}.RELOAD");
    fs::write(&it.file, text("2048")).expect("a file of this test");
    let told = ask(&reload);
    assert!(
        told["error"].is_null() && told["server"]["id"] == id,
        "{told}"
    );
    it.broker.position("[INF] Reloaded: max_payload = 2048");
    fs::write(&it.file, text("many")).expect("a file of this test");
    let told = ask(&reload);
    assert_eq!(told["error"]["code"], 500);
    let why = told["error"]["description"].as_str().expect("a text");
    assert!(why.contains("max_payload"), "{why}");
}
