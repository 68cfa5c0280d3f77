//! What the broker tells of itself, and where, is as the file says from a reload on.

use super::Configured;
use crate::http;
use crate::process::{PATIENCE, signal, text};
use std::fs;

#[test]
fn tags_and_metadata_are_told_as_they_are_now() {
    let mut it = Configured::start("tags", "server_tags: [\"a:1\"]", &["-m", "-1"]);
    let monitor = it.monitor();
    let varz = http::get(monitor, "/varz").json();
    assert_eq!(varz["tags"], serde_json::json!(["a:1"]));
    let lines = it.reload("server_tags: [\"B:2\", \"c:3\"]\nserver_metadata: {rack: r7}");
    assert_eq!(
        lines,
        [
            "[INF] Reloaded: tags = [b:2, c:3] (was [a:1])",
            "[INF] Reloaded: server_metadata = {rack: r7} (was none)"
        ]
    );
    let varz = http::get(monitor, "/varz").json();
    assert_eq!(varz["tags"], serde_json::json!(["b:2", "c:3"]));
    assert_eq!(varz["metadata"], serde_json::json!({"rack": "r7"}));
    assert_eq!(
        it.reload("debug: false").first().map(String::as_str),
        Some("[INF] Reloaded: tags = none (was [b:2, c:3])")
    );
    let varz = http::get(monitor, "/varz").json();
    assert!(
        varz["tags"].is_null() && varz["metadata"].is_null(),
        "{varz}"
    );
}

#[test]
fn the_name_of_the_cluster_is_told_as_it_is_now() {
    let mut it = Configured::start("cluster", "cluster { name: X }", &["-m", "-1"]);
    let monitor = it.monitor();
    let cluster = || http::get(monitor, "/varz").json()["cluster"].clone();
    assert_eq!(cluster(), serde_json::json!({"name": "X"}));
    let mut client = it.client_as("");
    let lines = it.reload("cluster { name: Y }");
    assert_eq!(lines, ["[INF] Reloaded: cluster_name = Y (was X)"]);
    assert_eq!(cluster(), serde_json::json!({"name": "Y"}));
    // One that is there is told, and one that comes.
    let told = client.line().expect("an INFO");
    assert!(told.contains("\"cluster\":\"Y\""), "{told}");
    let lines = it.reload("debug: false");
    assert_eq!(
        lines.first().map(String::as_str),
        Some("[INF] Reloaded: cluster_name = none (was Y)")
    );
    assert_eq!(cluster(), serde_json::json!({}));
}

#[test]
fn monitoring_is_served_under_the_path_of_now() {
    let mut it = Configured::start("base_path", "http: \"127.0.0.1:-1\"", &[]);
    let monitor = it.monitor();
    let mut kept = http::Http::connect(monitor);
    assert_eq!(kept.get("/varz").status, 200);
    let lines = it.reload("http: \"127.0.0.1:-1\"\nhttp_base_path: /nats");
    assert_eq!(lines, ["[INF] Reloaded: http_base_path = /nats (was none)"]);
    // Also for a connection that was there before.
    assert_eq!(kept.get("/varz").status, 404);
    let varz = kept.get("/nats/varz").json();
    assert_eq!(varz["http_base_path"], "/nats");
    assert_eq!(http::get(monitor, "/nats").status, 200);
    let lines = it.reload("http: \"127.0.0.1:-1\"");
    assert_eq!(lines, ["[INF] Reloaded: http_base_path = none (was /nats)"]);
    assert_eq!(kept.get("/varz").status, 200);
    assert_eq!(kept.get("/nats/varz").status, 404);
}

#[test]
fn as_many_closed_clients_are_kept_as_are_wanted_now() {
    let mut it = Configured::start("closed", "max_closed_clients: 4", &["-m", "-1", "-D"]);
    let monitor = it.monitor();
    let close = |it: &mut Configured, count: usize| {
        let before = it.broker.count("Client connection closed: ");
        for _ in 0..count {
            it.client_as("");
        }
        // Once it has been told it is among the closed.
        while it.broker.count("Client connection closed: ") < before + count {
            let deadline = std::time::Instant::now() + PATIENCE;
            assert!(it.broker.read_line(deadline), "{:?}", it.broker.lines);
        }
    };
    let kept = || {
        let closed = http::get(monitor, "/connz?state=closed").json();
        let cids = closed["connections"].as_array().expect("a list").iter();
        cids.map(|one| one["cid"].as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    close(&mut it, 6);
    let all = kept();
    assert_eq!(all.len(), 4);
    let lines = it.reload("max_closed_clients: 2");
    assert_eq!(lines, ["[INF] Reloaded: max_closed_clients = 2 (was 4)"]);
    assert_eq!(kept(), all[2..], "the oldest go");
    close(&mut it, 3);
    assert_eq!(kept().len(), 2);
    it.reload("max_closed_clients: 3");
    close(&mut it, 2);
    let now = kept();
    assert_eq!(now.len(), 3);
    assert!(now.iter().all(|cid| !all.contains(cid)), "{now:?}");
}

#[test]
fn files_are_written_where_they_are_to_be_now() {
    let mut it = Configured::start("files", "debug: false", &[]);
    let directory = it
        .file
        .parent()
        .expect("a directory of this test")
        .to_owned();
    let (pid_file, ports) = (directory.join("midge.pid"), directory.join("ports"));
    fs::create_dir(&ports).expect("a directory of its own");
    it.reload(&format!(
        "pid_file: {:?}\nports_file_dir: {:?}",
        text(&pid_file),
        text(&ports)
    ));
    let pid = it.broker.child.id().to_string();
    assert_eq!(fs::read_to_string(&pid_file).expect("it is there"), pid);
    let ports_file = ports.join(format!("midge_{pid}.ports"));
    let written = fs::read_to_string(&ports_file).expect("it is there");
    assert!(
        written.contains(&format!(":{}\"", it.broker.port)),
        "{written}"
    );
    let lines = it.reload("pid_file: /no/such/midge.pid\nports_file_dir: /no/such");
    assert!(!ports_file.exists() && pid_file.exists());
    let failed = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(
        failed("[ERR] Could not write pidfile: open /no/such/midge.pid: "),
        "{lines:?}"
    );
    assert!(
        failed("[ERR] Error writing ports file (/no/such/midge_"),
        "{lines:?}"
    );
}

#[test]
fn lame_duck_mode_is_as_long_as_the_file_says_now() {
    let mut it = Configured::start("lame_duck", "debug: false", &[]);
    it.reload("lame_duck_grace_period: 1ms\nlame_duck_duration: 30s");
    let mut client = it.client_as("");
    signal(it.broker.child.id(), "USR2");
    let rest = client.rest();
    assert!(rest[0].contains("\"ldm\":true"), "{rest:?}");
    drop(client);
    assert_eq!(it.broker.end().code(), Some(0));
}
