//! The same questions, put to a nats-server: what it tells, midge tells, with the same types.
//!
//! Plays if there is a `nats-server` in `PATH`, or its executable is in `NATS_SERVER`; says so if not.

use super::asker;
use super::events;
use super::shape::{Shape, shape};
use super::{monitored, start, with_traffic};
use crate::http::get;
use crate::raw::{self, Raw};
use midge::Monitor;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

/// What nats-server tells of things that midge has not: the system account, its imports, switches and
/// disks of JetStream, tags of accounts, the digest of a configuration file.
const ABSENT: &[&str] = &[
    "system_account",
    "account_detail.imports",
    "config_digest",
    "feature_flags",
    "disk_io_wait_stats",
    "stalled_clients",
    "name_tag",
    "account_tag",
    "git_commit",
    "http_req_stats",
];

/// What releases after 2.10 tell beyond what 2.10 does, by the path that is asked.
const LATER: &[(&str, &[&str])] = &[
    ("/subsz", &["server_id", "now", "total", "offset", "limit"]),
    ("/jsz", &["api.level"]),
];

/// Asked of both.
const TARGETS: &[&str] = &[
    "/varz",
    "/connz",
    "/connz?auth=1&subs=1",
    "/connz?subs=detail",
    "/connz?state=closed&subs=detail",
    "/connz?state=any&offset=1&limit=1",
    "/connz?cid=99999",
    "/subsz",
    "/subsz?subs=1",
    "/accountz",
    "/accountz?acc=$G",
    "/accstatz",
    "/routez",
    "/gatewayz",
    "/jsz",
    "/healthz",
];

/// Answered with these words, whatever the release.
const REFUSED: &[&str] = &[
    "/connz?limit=abc",
    "/connz?offset=x",
    "/connz?auth=2",
    "/connz?subs=x",
    "/connz?cid=x",
    "/connz?state=foo",
    "/connz?sort=bogus",
    "/connz?sort=stop",
    "/connz?sort=reason",
    "/subsz?subs=1&test=foo.*",
    "/accountz?acc=NOPE",
    "/accstatz?unused=x",
    "/nothing",
    "/varz/",
];

pub(crate) struct Reference {
    child: Child,
    pub(crate) clients: SocketAddr,
    pub(crate) monitor: SocketAddr,
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A nats-server on ports that it picks itself; `None` if there is none.
pub(crate) fn reference() -> Option<Reference> {
    reference_with(&[])
}

/// The same with more arguments.
pub(crate) fn reference_with(arguments: &[&str]) -> Option<Reference> {
    let program = std::env::var_os("NATS_SERVER").unwrap_or_else(|| OsString::from("nats-server"));
    let mut command = Command::new(&program);
    command
        .args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1"])
        .args(arguments)
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: {} cannot be run: {error}", program.display());
            return None;
        }
    };
    let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
    let (mut clients, mut monitor) = (None, None);
    for line in log.by_ref().lines() {
        let line = line.expect("the log is text");
        let addr = line.rsplit(' ').next().and_then(|word| word.parse().ok());
        if line.contains("Starting http monitor on") {
            monitor = addr;
        } else if line.contains("Listening for client connections on") {
            clients = addr;
        }
        if line.contains("Server is ready") {
            break;
        }
    }
    let (clients, monitor) = (
        clients.expect("it listens"),
        monitor.expect("it is monitored"),
    );
    // Without a reader it would end at its next line.
    thread::spawn(move || io::copy(&mut log, &mut io::sink()));
    println!("played against {}", program.display());
    Some(Reference {
        child,
        clients,
        monitor,
    })
}

fn is_absent(path: &str) -> bool {
    ABSENT.iter().any(|absent| {
        let mut parts = path.split('.');
        path.starts_with(absent) || parts.any(|part| part == *absent)
    })
}

/// What `theirs` has and `ours` has not, or differently.
fn missing(target: &str, theirs: &Shape, ours: &Shape) -> Vec<String> {
    let wrong = theirs.iter().filter(|(path, kind)| {
        let found = ours.get(*path);
        let later = |(path_asked, paths): &(&str, &[&str])| {
            *path_asked == target && paths.contains(&path.as_str()) && found.is_none()
        };
        !is_absent(path) && found != Some(kind) && !LATER.iter().any(later)
    });
    wrong
        .map(|(path, kind)| format!("{target}: {path} is {kind}, here {:?}", ours.get(path)))
        .collect()
}

#[test]
fn what_nats_server_tells_midge_tells_too() {
    let Some(reference) = reference() else { return };
    let (broker, addr) = start(monitored(Monitor::default()));
    let _theirs = with_traffic(reference.clients);
    let _ours = with_traffic(broker.addr());
    let mut wrong = Vec::new();
    for target in TARGETS {
        let theirs = get(reference.monitor, target);
        let ours = get(addr, target);
        wrong.extend(missing(
            target,
            &shape(&theirs.json()),
            &shape(&ours.json()),
        ));
        for field in ["content-type"] {
            if theirs.field(field) != ours.field(field) {
                wrong.push(format!(
                    "{target}: {field} {:?} {:?}",
                    theirs.field(field),
                    ours.field(field)
                ));
            }
        }
    }
    for target in REFUSED {
        let (theirs, ours) = (get(reference.monitor, target), get(addr, target));
        if (theirs.status, &theirs.body) != (ours.status, &ours.body) {
            wrong.push(format!(
                "{target}: {} {:?}, here {} {:?}",
                theirs.status, theirs.body, ours.status, ours.body
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As those of [`asker::with_accounts`].
const ACCOUNTS: &str = r#"
server_name: one
accounts { $SYS { users: [ {user: sys, password: ""} ] }, A { users: [ {user: ann, password: ""} ] } }
"#;

/// A nats-server with a system account.
fn reference_with_accounts() -> Option<Reference> {
    let name = format!("midge-accounts-{}.conf", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, ACCOUNTS).expect("there is room");
    let reference = reference_with(&["-c", file.to_str().expect("the path is text")]);
    // It has read it when it is ready.
    std::fs::remove_file(&file).expect("it is there");
    reference
}

/// What the system account is told when a client comes and goes, and when another is not let in: subjects and events.
fn told(addr: SocketAddr) -> Vec<(String, Value)> {
    let subjects = [
        "$SYS.ACCOUNT.A.>",
        "$SYS.SERVER.ACCOUNT.A.>",
        "$SYS.SERVER.*.CLIENT.>",
    ];
    let mut sys = events::listen(addr, "sys", &subjects);
    let json = r#"{"verbose":false,"pedantic":false,"user":"ann","pass":"","name":"app","lang":"test","version":"1"}"#;
    let mut ann = Raw::join_with(addr, json);
    ann.publish("a", b"hello");
    ann.sync();
    let mut told = vec![
        events::next(&mut sys),
        events::next(&mut sys),
        events::next(&mut sys),
    ];
    ann.leave();
    told.extend([
        events::next(&mut sys),
        events::next(&mut sys),
        events::next(&mut sys),
    ]);
    let mut zoe = Raw::connect(addr);
    zoe.send(b"CONNECT {\"user\":\"zoe\",\"pass\":\"x\"}\r\n");
    while zoe.try_next(|_| ()).is_ok_and(|op| op.is_some()) {}
    told.push(events::next(&mut sys));
    for (subject, event) in &mut told {
        let id = event["server"]["id"].as_str().expect("it has an id");
        *subject = subject.replace(id, "<id>");
    }
    told
}

#[test]
fn what_nats_server_tells_its_system_account_midge_tells_too() {
    let Some(reference) = reference_with_accounts() else {
        return;
    };
    let broker = asker::start(raw::config());
    let (theirs, ours) = (told(reference.clients), told(broker.addr()));
    let mut wrong = Vec::new();
    for ((subject, their), (own_subject, own)) in theirs.iter().zip(&ours) {
        assert_eq!(subject, own_subject);
        assert_eq!(their["type"], own["type"]);
        let figures = |event: &Value| {
            let [sent, received] = ["sent", "received"].map(|way| event[way]["msgs"].as_u64());
            let of_client = event["client"].is_object().then_some((sent, received));
            (event["reason"].clone(), event["conns"].as_u64(), of_client)
        };
        assert_eq!(figures(their), figures(own), "{subject}");
        wrong.extend(missing(subject, &shape(their), &shape(own)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
