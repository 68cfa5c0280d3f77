//! What a reload changes, whom it concerns, and that no other client notices. Each test runs the real
//! binary, changes its file, and waits for what it says.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use crate::http;
use crate::process::{Broker, Client, PATIENCE, scratch, signal, text, wait_for_file};
use crate::syslog::{packets, patient};
use socket2::{Domain, SockAddr, Socket, Type};

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
fn lines_go_on_in_a_new_log_and_look_as_wanted() {
    let it = Configured::start("log", "debug: false", &[]);
    let (first, second) = (
        it.file.with_file_name("first.log"),
        it.file.with_file_name("second.log"),
    );
    let reload = |it: &Configured, text: &str| {
        fs::write(&it.file, text).expect("a file of this test");
        signal(it.broker.child.id(), "HUP");
    };
    reload(
        &it,
        &format!("log_file: {:?}\ndebug: true\nlogtime: false", text(&first)),
    );
    wait_for_file(&first, "Reloaded server configuration");
    it.client_as("");
    wait_for_file(&first, "[DBG] 127.0.0.1:");
    let log = fs::read_to_string(&first).expect("the log is text");
    let pid = it.broker.child.id();
    let beginning = format!(
        "[{pid}] [INF] Reloaded: debug = true (was false)\n[{pid}] [INF] Reloaded: logtime = false (was true)\n\
         [{pid}] [INF] Reloaded: log_file = "
    );
    assert!(log.starts_with(&beginning), "{log}");
    reload(
        &it,
        &format!(
            "log_file: {:?}\nlogtime: true\nlogtime_utc: true\nlog_format: json\ntrace: true\nmax_traced_msg_len: 3",
            text(&second)
        ),
    );
    wait_for_file(&second, "Reloaded server configuration");
    let mut client = it.client_as("");
    client.say("PUB a 5\r\nhello\r\n");
    wait_for_file(&second, "hel...");
    let log = fs::read_to_string(&second).expect("the log is text");
    assert!(
        log.lines()
            .all(|line| line.starts_with("{\"time\":\"") && line.contains("+00:00\",\"level\":")),
        "{log}"
    );
    // Rotation.
    reload(
        &it,
        &format!(
            "log_file: {:?}\nlogtime: false\nlogfile_size_limit: 300\nlogfile_max_num: 2",
            text(&second)
        ),
    );
    wait_for_file(&second, "Rotated log, backup saved as");
}

#[test]
fn a_log_that_cannot_be_opened_yet_keeps_nobody_waiting() {
    let mut it = Configured::start("waiting_log", "debug: true", &[]);
    // With one connection waiting to be accepted, the next one waits for its turn.
    let path = it.file.with_file_name("syslog");
    let daemon = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(&path).expect("a path of this test");
    daemon.bind(&address).expect("a path of this test");
    daemon.listen(0).expect("a listener");
    let first = UnixStream::connect(&path).expect("it listens");
    let elsewhere = format!("remote_syslog: \"unix://{}\"\ndebug: true", text(&path));
    fs::write(&it.file, elsewhere).expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    it.broker.position("[INF] Trapped \"hangup\" signal");
    let mut client = it.client_as("");
    // What is asked meanwhile is done afterwards.
    it.broker.lines.clear();
    signal(it.broker.child.id(), "HUP");
    it.broker.position("[INF] Trapped \"hangup\" signal");
    is_there(&mut client);
    drop(first);
    let _ = daemon.accept().expect("the first one");
    let (log, _) = daemon.accept().expect("the broker");
    log.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let lines = BufReader::new(log).lines().map_while(Result::ok);
    let done = lines.filter(|line| line.ends_with(": Reloaded server configuration"));
    assert_eq!(done.take(2).count(), 2);
    is_there(&mut client);
}

#[test]
fn lines_go_on_in_a_syslog_in_another_one_and_come_back() {
    let mut it = Configured::start("syslog", "debug: false", &[]);
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let urls = sockets.each_ref().map(|socket| {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        format!("udp://{}", socket.local_addr().expect("an address"))
    });
    let mut former = "none";
    for (socket, url) in sockets.iter().zip(&urls) {
        fs::write(&it.file, format!("remote_syslog: \"{url}\"")).expect("a file of this test");
        signal(it.broker.child.id(), "HUP");
        let receive = |buffer: &mut [u8]| patient(|| socket.recv(buffer));
        let packets = packets(receive, ": Reloaded server configuration\n");
        let told = format!(": Reloaded: remote_syslog = {url} (was {former})\n");
        assert!(packets[0].ends_with(&told), "{packets:?}");
        assert!(packets[0].starts_with("<5>"), "{packets:?}");
        assert_eq!(packets.len(), 2, "{packets:?}");
        former = url;
    }
    // What cannot be opened changes nothing: this is still told where lines went.
    fs::write(&it.file, "remote_syslog: \"foo://127.0.0.1:1\"").expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    let mut buffer = [0; 4096];
    let mut told = String::new();
    while !told.contains("Failed to reload server configuration: ") {
        match sockets[1].recv(&mut buffer) {
            Ok(len) => told = String::from_utf8_lossy(&buffer[..len]).into_owned(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{told}"),
        }
    }
    assert!(told.starts_with("<3>"), "{told}");
    assert!(
        told.contains("error invalid network type: \"foo\"; ")
            && told.ends_with("; nothing has changed\n"),
        "{told}"
    );
    is_there(&mut it.client_as(""));
    // And back to standard error, which has heard of nothing of this.
    it.broker.lines.clear();
    fs::write(&it.file, "debug: false").expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    it.broker.position(DONE);
    assert_eq!(
        it.broker
            .count("Reloaded: remote_syslog = none (was udp://"),
        1
    );
    assert_eq!(it.broker.count("foo"), 0, "{:?}", it.broker.lines);
}

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
