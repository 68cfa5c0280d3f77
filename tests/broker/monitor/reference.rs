//! The same questions, put to a nats-server: what it tells, midge tells, with the same types.
//!
//! Plays if there is a `nats-server` in `PATH`, or its executable is in `NATS_SERVER`; says so if not.

use super::asker;
use super::events;
use super::operators::{self, World};
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

fn is_absent(absent: &[&str], path: &str) -> bool {
    absent.iter().any(|absent| {
        let mut parts = path.split('.');
        path.starts_with(absent) || parts.any(|part| part == *absent)
    })
}

/// What `theirs` has and `ours` has not, or differently.
fn missing(target: &str, theirs: &Shape, ours: &Shape) -> Vec<String> {
    missing_but(ABSENT, target, theirs, ours)
}

/// The same, but for what is absent.
fn missing_but(absent: &[&str], target: &str, theirs: &Shape, ours: &Shape) -> Vec<String> {
    let wrong = theirs.iter().filter(|(path, kind)| {
        let found = ours.get(*path);
        let later = |(path_asked, paths): &(&str, &[&str])| {
            *path_asked == target && paths.contains(&path.as_str()) && found.is_none()
        };
        !is_absent(absent, path) && found != Some(kind) && !LATER.iter().any(later)
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
    reference_with_file("accounts", ACCOUNTS)
}

/// A nats-server with this configuration file, under a name that no other test has.
fn reference_with_file(name: &str, text: &str) -> Option<Reference> {
    let name = format!("midge-{name}-{}.conf", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, text).expect("there is room");
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

/// What nats-server tells where accounts come by tokens, and midge does not: how it would write the claims itself.
const ABSENT_OF_TOKENS: &[&str] = &[
    "account_detail.decoded_jwt.nats",
    "data.decoded_jwt.nats",
    "config_digest",
    "feature_flags",
    "account_tag",
    "metadata",
    "stalled_clients",
];

/// What is told of accounts and users that come by tokens: questions and events, and what they bring.
fn told_of_tokens(world: &World, clients: SocketAddr, monitor: SocketAddr) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    let mut system = world.listen(clients);
    let joe = world.join(clients, &world.joe());
    told.extend(operators::two(&mut system));
    let _bob = world.join(clients, &world.bob());
    let (acme, bert) = (world.exporter(), world.importer());
    for target in [
        format!("/accountz?acc={acme}"),
        format!("/accountz?acc={bert}"),
        format!("/connz?auth=1&acc={acme}"),
        "/accstatz".to_owned(),
    ] {
        told.push((target.clone(), get(monitor, &target).json()));
    }
    for subject in [
        format!("$SYS.REQ.ACCOUNT.{acme}.INFO"),
        format!("$SYS.REQ.ACCOUNT.{acme}.CONNZ"),
        "$SYS.REQ.ACCOUNT.PING.STATZ".to_owned(),
    ] {
        let answer = operators::ask(&mut system, &subject, r#"{"auth":true}"#);
        told.push((subject, answer));
    }
    joe.leave();
    told.extend(operators::two(&mut system));
    for (_, one) in &mut told {
        for detail in ["account_detail", "data"] {
            world.tidy(&mut one[detail]);
        }
    }
    told
}

#[test]
fn what_nats_server_tells_of_tokens_midge_tells_too() {
    let world = World::new();
    let Some(reference) = reference_with_file("tokens", &world.file()) else {
        return;
    };
    let varz = get(reference.monitor, "/varz").json();
    let version = varz["version"].as_str().expect("a text");
    let is = |begin: &str| version.starts_with(begin);
    let broker = world.start();
    let http = broker.monitor_addr().expect("it is on");
    let theirs = told_of_tokens(&world, reference.clients, reference.monitor);
    let ours = told_of_tokens(&world, broker.addr(), http);
    let mut wrong = Vec::new();
    for ((name, their), (own_name, own)) in theirs.iter().zip(&ours) {
        assert_eq!(name, own_name);
        let shapes = (shape(their), shape(own));
        wrong.extend(missing_but(ABSENT_OF_TOKENS, name, &shapes.0, &shapes.1));
        // Where they have such, they say the same.
        for (path, fields) in [
            ("/account_detail", operators::OF_ACCOUNT),
            ("/data", operators::OF_ACCOUNT),
            ("/client", operators::OF_USER),
            ("/connections/0", operators::OF_USER),
            ("/data/connections/0", operators::OF_USER),
        ] {
            for field in fields {
                // Later ones have the name of the account there.
                let is_of_user = path != "/account_detail" && path != "/data";
                if *field == "name_tag" && is_of_user && !is("2.9.") && !is("2.10.") {
                    continue;
                }
                // 2.9 has the subjects of a service's import the other way round.
                if *field == "imports" && is("2.9.") {
                    continue;
                }
                let path = format!("{path}/{field}");
                let values = (their.pointer(&path), own.pointer(&path));
                if values.0.is_some() && values.0 != values.1 {
                    wrong.push(format!(
                        "{name}: {path} is {:?}, here {:?}",
                        values.0, values.1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
