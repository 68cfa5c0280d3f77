//! Further places where clients come in, each on terms of its own: listeners, Unix sockets, and proxies in front.

use crate::http::Http;
use crate::raw::{Raw, config, start};
use midge::{Auth, Config, Listener, Monitor, Running, User};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};

mod proxies;
#[cfg(feature = "tls")]
mod secured;
mod unix;

/// Settings with the users ann and bob, and monitoring.
fn settings() -> Config {
    let user = |name: &str| User {
        name: name.to_owned(),
        proof: "secret".into(),
        ..User::default()
    };
    Config {
        auth: Auth::Users {
            users: vec![user("ann"), user("bob")].into(),
            token: None,
        },
        monitor: Some(Monitor::default()),
        ..config()
    }
}

/// A listener on a free port of this machine, where who presents nothing is this user.
fn listener(name: &str, no_auth_user: Option<&str>) -> Listener {
    Listener {
        name: name.to_owned(),
        host: "127.0.0.1".to_owned(),
        no_auth_user: no_auth_user.map(str::to_owned),
        ..Listener::default()
    }
}

fn at(broker: &Running, name: &str) -> SocketAddr {
    broker.listener_addr(name).expect("it listens")
}

/// The first words to a client of this address.
fn greeting(addr: SocketAddr) -> serde_json::Value {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    info(&mut stream)
}

/// The `INFO` that comes next.
fn info(stream: &mut impl Read) -> serde_json::Value {
    let line = line(stream);
    let json = line.strip_prefix("INFO ").expect("it is INFO");
    serde_json::from_str(json).expect("it is JSON")
}

/// The next line; what has come of it at the end of the stream.
fn line(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while let Ok(1) = stream.read(&mut byte) {
        match byte[0] {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    let line = String::from_utf8(line).expect("text");
    line.trim_end().to_owned()
}

/// The connections that `/connz` shows.
fn connz(broker: &Running, query: &str) -> Vec<serde_json::Value> {
    let addr = broker.monitor_addr().expect("it is served");
    let told = Http::connect(addr).get(&format!("/connz?auth=1&{query}"));
    told.json()["connections"]
        .as_array()
        .cloned()
        .expect("a list")
}

#[test]
fn each_listener_has_a_default_user_of_its_own_and_one_subject_space_with_the_others() {
    let broker = start(Config {
        listeners: vec![listener("internal", Some("bob")), listener("open", None)],
        ..settings()
    });
    let (internal, open) = (at(&broker, "internal"), at(&broker, "open"));
    let mut inside = Raw::join(internal);
    inside.sub("a", None, "1");
    inside.sync();
    let ann = r#"{"verbose":false,"user":"ann","pass":"secret"}"#;
    for addr in [broker.addr(), open] {
        Raw::join_with(addr, ann).publish("a", b"hi");
        let subject = inside.message(|message| message.subject.to_vec());
        assert_eq!(subject.as_deref(), Some(b"a".as_slice()));
        let mut nobody = Raw::connect(addr);
        nobody.send(b"CONNECT {}\r\n");
        let said = nobody.line();
        assert_eq!(said.as_deref(), Some("-ERR 'Authorization Violation'"));
    }
    // INFO tells of the listener that a client has come by, and of what is asked there.
    for (addr, asks) in [(broker.addr(), true), (internal, false), (open, true)] {
        let info = greeting(addr);
        assert_eq!(info["port"], addr.port());
        assert_eq!(info["auth_required"].as_bool().unwrap_or(false), asks);
    }
    let told = connz(&broker, "");
    let shown = told
        .iter()
        .find(|one| one["subscriptions"] == 1)
        .expect("it is there");
    assert_eq!(shown["listener"], "internal");
    assert_eq!(shown["authorized_user"], "bob");
    let monitor = broker.monitor_addr().expect("it is served");
    let mut monitor = Http::connect(monitor);
    let listeners = monitor.get("/varz").json()["listeners"].clone();
    assert_eq!(listeners[0]["name"], "internal");
    assert_eq!(listeners[0]["connections"], 1);
    assert_eq!(listeners[0]["no_auth_user"], "bob");
    assert_eq!(listeners[1]["auth_required"], true);
    let metrics = monitor.get("/metrics").body;
    let line = metrics
        .lines()
        .find(|line| line.contains("listener=\"internal\""))
        .expect("it is counted");
    assert!(
        line.starts_with("midge_listener_connections{") && line.ends_with("} 1"),
        "{line}"
    );
}

#[test]
fn a_listener_takes_so_many_clients_and_a_reload_closes_the_last_ones() {
    let few = |max| Listener {
        connections_max: Some(max),
        ..listener("few", Some("ann"))
    };
    let with = |max, port| Config {
        listeners: vec![Listener { port, ..few(max) }],
        ..settings()
    };
    let broker = start(with(2, 0));
    let addr = at(&broker, "few");
    let mut first = Raw::join(addr);
    let mut second = Raw::join(addr);
    let mut third = Raw::connect(addr);
    let too_many = Some("-ERR 'maximum connections exceeded'");
    assert_eq!(third.line().as_deref(), too_many);
    // The others are not concerned.
    let ann = r#"{"verbose":false,"user":"ann","pass":"secret"}"#;
    Raw::join_with(broker.addr(), ann);
    let reloaded = broker.handle().reload(with(1, addr.port()));
    reloaded.expect("they are good");
    assert_eq!(second.line().as_deref(), too_many);
    first.sync();
    first.leave();
    Raw::join(addr);
}

#[test]
fn a_reload_gives_a_listener_another_default_user_also_to_who_was_the_former() {
    let with = |user: &str, port| Config {
        listeners: vec![Listener {
            port,
            ..listener("internal", Some(user))
        }],
        ..settings()
    };
    let broker = start(with("ann", 0));
    let addr = at(&broker, "internal");
    let mut there = Raw::join(addr);
    let reloaded = broker.handle().reload(with("bob", addr.port()));
    reloaded.expect("they are good");
    there.sync();
    let told = connz(&broker, "");
    assert_eq!(told[0]["authorized_user"], "bob");
}

#[test]
fn a_listener_that_cannot_listen_is_named_and_nothing_is_left_open() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has one").port();
    let config = Config {
        listeners: vec![Listener {
            port,
            ..listener("internal", None)
        }],
        ..settings()
    };
    let error = midge::Broker::bind(config).expect_err("it is taken");
    assert_eq!(
        error.to_string(),
        format!(
            "Error listening for listener \"internal\": listen tcp 127.0.0.1:{port}: bind: address already in \
             use; stop the program that listens there, or choose another port"
        )
    );
}
