//! What a reload changes, whom it concerns, and that no other client notices. Each test runs the real
//! binary, changes its file, and waits for what it says.

use crate::process::{Broker, Client, scratch, signal};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

mod accounts;
mod clients;
mod logs;
mod told;

const DONE: &str = "[INF] Reloaded server configuration";

const FAILED: &str = "[ERR] Failed to reload server configuration: ";

const CONNECT: &str = "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";

/// A broker and its configuration file.
struct Configured {
    broker: Broker,
    file: PathBuf,
}

impl Configured {
    /// Starts a broker with this file and these flags.
    fn start(test: &str, text: &str, flags: &[&str]) -> Configured {
        let file = scratch(&format!("reload/{test}")).join("midge.conf");
        fs::write(&file, text).expect("a file of this test");
        let mut args = vec!["-c", file.to_str().expect("a path of this test")];
        args.extend(flags);
        let broker = Broker::start(&args);
        Configured { broker, file }
    }

    /// Has the broker read this text, and answers what it logs about it, from `last` on at the latest
    /// without the beginning that all lines have.
    fn reload_to(&mut self, text: &str, last: &str) -> Vec<String> {
        fs::write(&self.file, text).expect("a file of this test");
        self.broker.lines.clear();
        signal(self.broker.child.id(), "HUP");
        let from = self.broker.position("[INF] Trapped \"hangup\" signal") + 1;
        let to = self.broker.position(last);
        let text = |line: &String| {
            let at = line.find('[').map_or(0, |at| at + 1);
            let at = line[at..].find('[').map_or(0, |more| at + more);
            line[at..].to_owned()
        };
        self.broker.lines[from..=to].iter().map(text).collect()
    }

    /// As [`reload_to`](Configured::reload_to), which must succeed.
    fn reload(&mut self, text: &str) -> Vec<String> {
        let mut lines = self.reload_to(text, DONE);
        assert_eq!(lines.pop().as_deref(), Some(DONE));
        lines
    }

    fn client(&self) -> Client {
        Client::connect(self.broker.port)
    }

    /// Where monitoring is served.
    fn monitor(&mut self) -> SocketAddr {
        let starting = "Starting http monitor on ";
        let at = self.broker.position(starting);
        let (_, address) = self.broker.lines[at]
            .split_once(starting)
            .expect("an address");
        address.parse().expect("an address")
    }

    /// A client that has connected, as whom `fields` of `CONNECT` tell.
    fn client_as(&self, fields: &str) -> Client {
        let mut client = self.client();
        client.say(&format!(
            "CONNECT {{\"verbose\":false,\"protocol\":1{fields}}}\r\nPING\r\n"
        ));
        client.until("PONG");
        client
    }
}

fn is_there(client: &mut Client) {
    client.say("PING\r\n");
    assert_eq!(client.line().as_deref(), Some("PONG"));
}

fn user(name: &str, pass: &str) -> String {
    format!(",\"user\":\"{name}\",\"pass\":\"{pass}\"")
}

#[test]
fn under_traffic_nothing_is_lost_and_nobody_is_closed() {
    let mut it = Configured::start("traffic", "max_pending: 60MB", &[]);
    let mut subscriber = it.client();
    subscriber.say(CONNECT);
    subscriber.until("PONG");
    subscriber.say("SUB a 1\r\nPING\r\n");
    subscriber.until("PONG");
    let mut publisher = it.client();
    let count = 200_000;
    let publishing = thread::spawn(move || {
        publisher.say(CONNECT);
        for first in (0..count).step_by(1000) {
            let messages =
                (first..first + 1000).map(|number| format!("PUB a 6\r\n{number:06}\r\n"));
            publisher.say(&messages.collect::<String>());
        }
        publisher.say("PING\r\n");
        publisher.until("PONG");
        publisher.until("PONG");
    });
    let (mut next, mut infos, mut reloads) = (0, 0_usize, 0);
    while next < count {
        let line = subscriber.line().expect("nobody is closed");
        if line.starts_with("INFO ") {
            infos += 1;
        } else if line == "MSG a 1 6" {
            let payload = subscriber.line().expect("a payload");
            assert_eq!(payload, format!("{next:06}"));
            next += 1;
            if next % 20_000 == 0 {
                reloads += 1;
                let text = format!(
                    "max_pending: {}MB\nmax_payload: {}KB\nping_interval: {}s\nwrite_deadline: {}s",
                    60 - reloads,
                    100 + reloads,
                    100 + reloads,
                    20 + reloads
                );
                it.reload(&text);
            }
        } else {
            panic!("{line}");
        }
    }
    publishing.join().expect("nothing happens to the publisher");
    // News may stand behind all messages, if these were faster than the first reload.
    subscriber.say("PING\r\n");
    while let Some(line) = subscriber.line().filter(|line| line != "PONG") {
        infos += usize::from(line.starts_with("INFO "));
    }
    assert_eq!(reloads, 10);
    assert!(infos > 0, "the largest payload is news");
    it.broker.lines.retain(|line| line.contains("[ERR]"));
    assert!(it.broker.lines.is_empty(), "{:?}", it.broker.lines);
}

fn is_there_behind_news(client: &mut Client) {
    client.say("PING\r\n");
    client.until("PONG");
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_places() {
    let mut it = Configured::start("broken", "max_payload: 1KB\ndebug: false", &[]);
    let mut client = it.client_as("");
    let name = it.file.display().to_string();
    let lines = it.reload_to("max_payload: 2KB\nmax_paylod: 3KB\nping_max: abc", ":3:1");
    assert_eq!(
        lines[0],
        format!(
            "{FAILED}{name}:2:1: unknown field \"max_paylod\"; did you mean max_payload?; nothing has changed"
        )
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
    let lines = it.reload_to("max_payload: 2KB\nport {", FAILED);
    assert!(
        lines[0].starts_with(&format!("{FAILED}{name}:")),
        "{lines:?}"
    );
    // One that contradicts itself is broken too, and so is one whose log cannot be opened.
    let lines = it.reload_to("max_payload: 2KB\nmax_pending: 1KB", FAILED);
    assert!(
        lines[0].contains("max_payload (2048) cannot be higher than max_pending (1024)"),
        "{lines:?}"
    );
    let lines = it.reload_to("max_payload: 2KB\nlog_file: /no/such/midge.log", FAILED);
    assert!(
        lines[0].contains("error opening file: open /no/such/midge.log: "),
        "{lines:?}"
    );
    fs::remove_file(&it.file).expect("it is there");
    signal(it.broker.child.id(), "HUP");
    it.broker
        .position(": no such file or directory; nothing has changed");
    is_there(&mut client);
    assert!(
        it.client().info.contains("\"max_payload\":1024,"),
        "the old one holds"
    );
    // The file counts again once it is right.
    assert_eq!(
        it.reload("max_payload: 2KB"),
        ["[INF] Reloaded: max_payload = 2048 (was 1024)"]
    );
    assert_eq!(it.reload("max_payload: 2KB"), [""; 0]);
}

#[test]
fn what_needs_a_restart_is_named_and_then_nothing_is_taken_over() {
    let mut it = Configured::start("restart", "max_payload: 1KB", &[]);
    let text = "max_payload: 2KB\nserver_name: other\nno_header_support: true\nbusy_poll: 7\nhttp_port: -1";
    let lines = it.reload_to(text, "HTTPPort");
    let expected = [
        "ServerName: old=none, new=other",
        "NoHeaderSupport: old=false, new=true",
        "busy_poll: old=50µs, new=7µs",
        "HTTPPort: old=none, new=-1",
    ];
    let expected = expected.map(|change| {
        format!(
            "{FAILED}config reload not supported for {change}; restart midge to apply it; nothing has changed"
        )
    });
    assert_eq!(lines, expected);
    assert!(it.client().info.contains("\"max_payload\":1024,"));
}

#[test]
fn flags_still_count_over_the_file() {
    let mut it = Configured::start(
        "flags",
        "debug: true\nport: 1\nhost: 127.0.0.1",
        &["-D=false", "--max_traced_msg_len", "5"],
    );
    let lines =
        it.reload("debug: true\nport: 2\nhost: 0.0.0.0\nmax_traced_msg_len: 9\nping_max: 7");
    assert_eq!(lines, ["[INF] Reloaded: ping_max = 7 (was 2)"]);
    is_there(&mut it.client_as(""));
    it.broker.position(DONE);
    assert_eq!(it.broker.count("[DBG]"), 0);
}
