//! What monitoring tells, and how it is asked: fields and types, parameters, HTTP, and that nobody
//! waits for it.

mod answers;
mod asker;
mod asking;
mod deadlines;
mod ends;
mod events;
mod kick;
mod operators;
mod own;
mod pieces;
mod probes;
pub(crate) mod reference;
mod shape;
mod system;
mod tools;
mod top;
mod user;

use crate::raw::{self, Raw};
use midge::{Config, Monitor, Running};
use std::net::SocketAddr;

/// A broker with monitoring, and where that is.
fn start(config: Config) -> (Running, SocketAddr) {
    let monitor = config.monitor.clone().unwrap_or_default();
    let broker = raw::start(Config {
        monitor: Some(monitor),
        ..config
    });
    let addr = broker.monitor_addr().expect("monitoring is served");
    (broker, addr)
}

/// Settings of a broker that is monitored.
fn monitored(monitor: Monitor) -> Config {
    Config {
        monitor: Some(monitor),
        ..raw::config()
    }
}

/// A client that has said who it is.
fn named(addr: SocketAddr, name: &str) -> Raw {
    let json = format!(
        r#"{{"verbose":false,"pedantic":false,"name":"{name}","lang":"test","version":"1.2","user":"{name}-user"}}"#
    );
    Raw::join_with(addr, &json)
}

/// Traffic enough that no list is empty and no counter zero: two clients with subscriptions that got
/// messages, and one that has left.
fn with_traffic(addr: SocketAddr) -> (Raw, Raw) {
    let (mut one, mut two) = (named(addr, "one"), named(addr, "two"));
    one.sub("a.b", Some("group"), "1");
    one.sub("a.*", None, "2");
    one.send(b"UNSUB 2 100\r\n");
    one.sync();
    two.publish("a.b", b"hello");
    two.sub("c", None, "1");
    two.sync();
    let mut gone = named(addr, "gone");
    gone.sub("z.z", None, "7");
    gone.sync();
    drop(gone);
    // It is read once the one before it has been.
    named(addr, "last").sync();
    one.sync();
    (one, two)
}
