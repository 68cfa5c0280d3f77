//! What all clients of one address, and all of one user, may have together, over real sockets: who is refused and
//! what monitoring tells of it. What is slowed down is a matter of time, and played in the simulation.

use crate::http::get;
use crate::raw::{Raw, config, start};
use midge::{AddressLimits, Auth, Config, Exceeded, Limits, Monitor, Network, Running, User};

/// The lines up to the end of the stream.
fn last_lines(client: &mut Raw) -> Vec<String> {
    std::iter::from_fn(|| client.line()).collect()
}

fn user(name: &str, limits: Option<Limits>) -> User {
    User {
        name: name.to_owned(),
        limits,
        ..User::default()
    }
}

fn hello(user: &str) -> String {
    format!(r#"{{"verbose":false,"user":"{user}"}}"#)
}

#[test]
fn a_storm_of_connections_is_turned_away_and_clients_that_are_there_do_not_notice() {
    let limits = Limits {
        connections_per_second_max: Some(5),
        ..Limits::default()
    };
    let broker = start(Config {
        address_limits: AddressLimits {
            limits,
            ..AddressLimits::default()
        },
        ..config()
    });
    let addr = broker.addr();
    let mut member = Raw::join(addr);
    let mut turned_away = 0;
    // As many as it takes: on a slow machine a second passes between them.
    while turned_away < 20 {
        let mut client = Raw::dial(addr).expect("the broker listens");
        assert_eq!(client.line().as_deref(), Some("INFO"));
        client.send(b"PING\r\n");
        let told = client.line();
        if told.as_deref() == Some("PONG") {
            continue;
        }
        let text = "-ERR 'Connection throttling is active. Please try again later.'";
        assert_eq!(told.as_deref(), Some(text));
        assert_eq!(client.line(), None);
        turned_away += 1;
    }
    member.sync();
}

#[test]
fn addresses_that_are_excepted_have_no_limits() {
    let broker = start(Config {
        address_limits: AddressLimits {
            limits: Limits {
                connections_max: Some(1),
                ..Limits::default()
            },
            except: vec![Network::parse("127.0.0.0/8").expect("it is a network")],
        },
        ..config()
    });
    let mut clients: Vec<Raw> = (0..5).map(|_| Raw::join(broker.addr())).collect();
    clients.iter_mut().for_each(Raw::sync);
}

#[test]
fn a_user_has_so_many_connections_and_another_one_its_own() {
    let limits = Limits {
        connections_max: Some(2),
        subscriptions_max: Some(3),
        payload_bytes_max: Some(5),
        ..Limits::default()
    };
    let broker = start(Config {
        auth: Auth::Users {
            users: vec![user("ann", Some(limits)), user("bob", None)].into(),
            token: None,
        },
        monitor: Some(Monitor::default()),
        no_auth_user: Some("ann".to_owned()),
        ..config()
    });
    let addr = broker.addr();
    let mut ann = Raw::join_with(addr, &hello("ann"));
    let mut again = Raw::join_with(addr, &hello("ann"));
    let mut third = Raw::connect(addr);
    third.send(format!("CONNECT {}\r\nPING\r\n", hello("ann")).as_bytes());
    assert_eq!(
        last_lines(&mut third),
        ["-ERR 'maximum connections exceeded'"]
    );
    let mut bobs: Vec<Raw> = (0..4)
        .map(|_| Raw::join_with(addr, &hello("bob")))
        .collect();
    // Those that have nothing to present are ann too.
    let mut nobody = Raw::connect(addr);
    nobody.send(b"CONNECT {\"verbose\":false}\r\nPING\r\n");
    assert_eq!(
        last_lines(&mut nobody),
        ["-ERR 'maximum connections exceeded'"]
    );
    // The limit on subscriptions is one of both together.
    ann.sub("a", None, "1");
    ann.sub("b", None, "2");
    ann.sync();
    again.sub("a", None, "1");
    again.sub("b", None, "2");
    let told = again.line();
    assert_eq!(
        told.as_deref(),
        Some("-ERR 'maximum subscriptions exceeded'")
    );
    for bob in &mut bobs {
        bob.sub("c", None, "1");
        bob.publish("c", b"longer than ann may");
        bob.sync();
    }
    let monitor = broker.monitor_addr().expect("it is on");
    let varz = get(monitor, "/varz").json();
    let of_users = &varz["limits"]["user"];
    assert_eq!(of_users["refused_connections"], 2, "{varz}");
    assert_eq!(of_users["refused_subscriptions"], 1, "{varz}");
    let connz = get(monitor, "/connz?cid=1").json();
    let bounds = &connz["connections"][0]["limits"]["user"];
    assert_eq!(bounds["max_connections"], 2, "{connz}");
    let metrics = get(monitor, "/metrics");
    let wanted = "of=\"user\"} 2";
    let name = "midge_limit_refused_connections_total{";
    let is_it = |line: &str| line.starts_with(name) && line.ends_with(wanted);
    assert!(metrics.body.lines().any(is_it), "{}", metrics.body);
    // One place is free when one has left.
    again.leave();
    let mut next = Raw::connect(addr);
    while {
        next.send(format!("CONNECT {}\r\nPING\r\n", hello("ann")).as_bytes());
        next.line().as_deref() != Some("PONG")
    } {
        next = Raw::connect(addr);
    }
    next.send(b"PUB a 6\r\n123456\r\n");
    assert_eq!(last_lines(&mut next), ["-ERR 'Maximum Payload Violation'"]);
    // One that turns out to be ann is told that it may send less than it was told first; bob may send as much.
    while {
        next = Raw::connect(addr);
        next.send(b"CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
        next.line().as_deref() != Some("PONG")
    } {}
    assert_eq!(next.line().as_deref(), Some("INFO"));
    let mut bob = Raw::connect(addr);
    bob.send(b"CONNECT {\"verbose\":false,\"user\":\"bob\",\"protocol\":1}\r\nPING\r\nPING\r\n");
    let told = [bob.line(), bob.line()];
    assert_eq!(
        told.each_ref().map(Option::as_deref),
        [Some("PONG"), Some("PONG")]
    );
}

#[test]
fn clients_that_say_nothing_take_no_place_of_the_user_that_they_might_be() {
    let limits = Limits {
        connections_max: Some(2),
        ..Limits::default()
    };
    let broker = start(Config {
        auth: Auth::Users {
            users: vec![user("ann", Some(limits))].into(),
            token: None,
        },
        no_auth_user: Some("ann".to_owned()),
        ..config()
    });
    let addr = broker.addr();
    let mut silent: Vec<Raw> = (0..5).map(|_| Raw::connect(addr)).collect();
    for client in &mut silent {
        client.send(b"PING\r\n");
        assert_eq!(client.line().as_deref(), Some("PONG"));
    }
    let mut ann = Raw::join_with(addr, &hello("ann"));
    // The first that does something without a CONNECT comes in, and the next ones do not.
    let mut told = silent.iter_mut().map(|client| {
        client.send(b"SUB a 1\r\n");
        client.line()
    });
    let first = told.next().flatten();
    assert_eq!(first.as_deref(), Some("+OK"));
    for told in told {
        assert_eq!(told.as_deref(), Some("-ERR 'maximum connections exceeded'"));
    }
    ann.sync();
    // Those that are there stay so when the limits change, and count.
    let limits = Limits {
        connections_max: Some(1),
        ..Limits::default()
    };
    let reloaded = broker.handle().reload(Config {
        auth: Auth::Users {
            users: vec![user("ann", Some(limits))].into(),
            token: None,
        },
        no_auth_user: Some("ann".to_owned()),
        ..config()
    });
    reloaded.expect("the settings are possible");
    assert_eq!(
        last_lines(&mut ann),
        ["-ERR 'maximum connections exceeded'"]
    );
}

/// A broker where ann may publish one message a second, and guest any number.
fn broker_of_ann_and_guest() -> Running {
    let limits = Limits {
        messages_per_second_max: Some(1),
        exceeded: Exceeded::Disconnect,
        ..Limits::default()
    };
    start(Config {
        auth: Auth::Users {
            users: vec![user("ann", Some(limits)), user("guest", None)].into(),
            token: None,
        },
        ..config()
    })
}

#[test]
fn messages_that_come_with_their_connect_in_one_write_are_limited() {
    let broker = broker_of_ann_and_guest();
    let mut ann = Raw::connect(broker.addr());
    let mut words = format!("CONNECT {}\r\n", hello("ann"));
    words.push_str(&"PUB a 1\r\nx\r\n".repeat(300));
    ann.send((words + "PING\r\n").as_bytes());
    assert_eq!(
        last_lines(&mut ann),
        ["-ERR 'maximum message rate exceeded'"]
    );
}

#[test]
fn a_client_that_is_one_user_and_then_another_is_limited_as_each() {
    let broker = broker_of_ann_and_guest();
    let mut client = Raw::join_with(broker.addr(), &hello("guest"));
    let publishes = "PUB a 1\r\nx\r\n".repeat(300);
    let (guest, ann) = (hello("guest"), hello("ann"));
    let words = format!(
        "{publishes}PING\r\nCONNECT {ann}\r\nPUB a 1\r\nx\r\n\
         CONNECT {guest}\r\n{publishes}PING\r\nCONNECT {ann}\r\n{publishes}PING\r\n"
    );
    client.send(words.as_bytes());
    let told = ["PONG", "PONG", "-ERR 'maximum message rate exceeded'"];
    assert_eq!(last_lines(&mut client), told);
}

#[test]
fn a_reload_that_lowers_the_limit_closes_the_newest_clients_of_an_address() {
    let limited = |max| Config {
        address_limits: AddressLimits {
            limits: Limits {
                connections_max: max,
                ..Limits::default()
            },
            ..AddressLimits::default()
        },
        ..config()
    };
    let broker = start(limited(None));
    let addr = broker.addr();
    let mut clients: Vec<Raw> = (0..5).map(|_| Raw::join(addr)).collect();
    let reloaded = broker.handle().reload(limited(Some(3)));
    reloaded.expect("the settings are possible");
    for client in clients.drain(3..) {
        let mut client = client;
        assert_eq!(
            last_lines(&mut client),
            ["-ERR 'maximum connections exceeded'"]
        );
    }
    clients.iter_mut().for_each(Raw::sync);
    let mut fourth = Raw::dial(addr).expect("the broker listens");
    let told = ["INFO", "-ERR 'maximum connections exceeded'"];
    assert_eq!(last_lines(&mut fourth), told);
    let reloaded = broker.handle().reload(limited(None));
    reloaded.expect("the settings are possible");
    // The reload is over when one comes in.
    while is_turned_away(addr) {}
    clients.iter_mut().for_each(Raw::sync);
}

/// Whether a client that comes is turned away.
fn is_turned_away(addr: std::net::SocketAddr) -> bool {
    let mut client = Raw::connect(addr);
    client.send(b"PING\r\n");
    client.line().as_deref() != Some("PONG")
}
