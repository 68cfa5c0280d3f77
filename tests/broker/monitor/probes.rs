//! A probe is answered whatever others who ask do, over a simulated clock and network: it must never
//! look as if the broker were dead while it is not.

use super::deadlines::{ask, broker};
use midge_reactor::sim::{Faults, HostId, Sim};
use midge_reactor::{Context, Handler, Input};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Connections of one kind: more than have a place.
const CROWD: usize = 90;

/// What an answer may take: some ways over the network.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long one that was sent away stays away.
const AGAIN: Duration = Duration::from_millis(50);

/// Most connections that the broker has for those who ask, in any turn.
const CONNECTIONS_MAX: usize = 64 + 32 + 2 * 8;

/// A kind of those who ask.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// What is said first.
    says: &'static str,
    /// How often.
    times: usize,
    /// What is said each second from then on.
    says_on: &'static str,
    /// How much is read each second; `None`: all, at once.
    reads: Option<usize>,
    /// How long a connection stays before it is given up for a new one.
    stays: Duration,
}

const SILENT: Kind = Kind {
    says: "",
    times: 1,
    says_on: "",
    reads: None,
    stays: Duration::from_secs(100),
};

/// One connection of that kind, which makes another when it ends.
struct Member(SocketAddr, Kind);

const TICK: u64 = 1;
const END: u64 = 2;

impl Handler<()> for Member {
    fn on_open(&mut self, cx: &mut Context<'_, ()>) {
        if self.1.reads.is_some() {
            cx.pause();
        }
        cx.send(self.1.says.repeat(self.1.times).as_bytes());
        cx.set_interval(SECOND, TICK);
        cx.set_timer(self.1.stays, END);
    }

    fn on_input(&mut self, cx: &mut Context<'_, ()>, input: &mut Input<'_>) {
        match self.1.reads {
            None => drop(input.take()),
            Some(bytes) => {
                input.consume(bytes.min(input.len()));
                cx.pause();
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, ()>, timer: u64) {
        if timer == END {
            return cx.close();
        }
        cx.send(self.1.says_on.as_bytes());
        if self.1.reads.is_some_and(|bytes| bytes > 0) {
            cx.resume();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, ()>, _: &midge_reactor::Close) {
        let Member(addr, kind) = *self;
        // One that was sent away comes again, but not in the same moment.
        cx.after(AGAIN, move |cx| {
            cx.connect(addr, Member(addr, kind));
        });
    }
}

#[track_caller]
fn check(kind: Kind) {
    let mut sim = Sim::with_faults(1, Faults::none());
    let broker = broker(&mut sim);
    let addr = sim.addr(broker, 8222);
    sim.host("crowd", (), |cx| {
        for _ in 0..CROWD {
            cx.connect(addr, Member(addr, kind));
        }
        Ok(())
    });
    sim.run_for(SECOND);
    for round in 0..3 {
        let probes: Vec<(&str, HostId<_>)> = [
            ("/healthz", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("/livez", "GET /livez HTTP/1.0\r\n\r\n"),
            ("/readyz", "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"),
        ]
        .map(|(path, request)| (path, ask(&mut sim, broker, &[(Duration::ZERO, request)])))
        .into();
        sim.run_for(PATIENCE);
        let connections = sim.connections(broker);
        assert!(
            connections <= CONNECTIONS_MAX,
            "{kind:?}: {connections} connections"
        );
        for (path, probe) in probes {
            let heard = sim.with(probe, |cx| {
                String::from_utf8_lossy(&cx.state.heard).into_owned()
            });
            assert!(
                heard.starts_with("HTTP/1.1 200 OK\r\n") && heard.ends_with(r#"{"status":"ok"}"#),
                "{kind:?}: {path} of round {round} is answered with {heard:?}"
            );
        }
    }
}

#[test]
fn a_probe_is_answered_beside_connections_that_say_nothing() {
    check(SILENT);
}

#[test]
fn a_probe_is_answered_beside_requests_that_come_a_byte_a_second() {
    let says_on = "X";
    check(Kind {
        says: "GET /",
        says_on,
        ..SILENT
    });
    check(Kind { says_on, ..SILENT });
}

#[test]
fn a_probe_is_answered_beside_connections_that_are_kept_open() {
    check(Kind {
        says: "GET /varz HTTP/1.1\r\nHost: a\r\n\r\n",
        ..SILENT
    });
}

#[test]
fn a_probe_is_answered_beside_answers_that_are_not_read() {
    let says = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let unread = Kind {
        says,
        times: 6,
        reads: Some(0),
        ..SILENT
    };
    check(unread);
    check(Kind {
        reads: Some(1),
        ..unread
    });
    // None stays so long that it is seen not to read.
    check(Kind {
        stays: Duration::from_millis(20),
        ..unread
    });
}

#[test]
fn a_probe_is_answered_beside_connections_that_ask_without_end() {
    let says = "GET /varz HTTP/1.1\r\nHost: a\r\n\r\n";
    check(Kind {
        says,
        times: 5,
        says_on: "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        ..SILENT
    });
}

#[test]
fn a_probe_is_answered_beside_connections_that_come_and_go() {
    // 90 each 60 milliseconds are 1,500 a second.
    let stays = Duration::from_millis(10);
    check(Kind { stays, ..SILENT });
    check(Kind {
        says: "GET /connz HTTP/1.1\r\nHost: a\r\n\r\n",
        stays,
        ..SILENT
    });
    check(Kind {
        says: "this is no request\r\n\r\n",
        stays,
        ..SILENT
    });
}
