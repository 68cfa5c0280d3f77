//! Peers that are refused by the hundred: the log has a bounded number of lines a second about them, and the number of the others.

use crate::{broker, causes, wait};
use midge::{AddressLimits, Auth, Config, Limits, Network, ProxyProtocol};
use midge_reactor::sim::{Faults, Sim};
use midge_reactor::{Context, Handler, Input};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Peers of a storm.
const STORM: usize = 200;

/// Lines in a second about one kind of failure.
const LINES_MAX: usize = 20;

/// Says this and hears nothing.
struct Speaker(&'static [u8]);

impl Handler<()> for Speaker {
    fn on_open(&mut self, cx: &mut Context<'_, ()>) {
        cx.send(self.0);
    }

    fn on_input(&mut self, _: &mut Context<'_, ()>, input: &mut Input<'_>) {
        input.take();
    }
}

/// A storm comes in the time of a second; a second later one more does. Answers the lines that both have made.
fn lines_of<H: Handler<()> + 'static>(config: Config, speaker: impl Fn() -> H) -> Vec<String> {
    lines_beside(0, config, speaker)
}

/// As [`lines_of`], beside `others` clients that stay.
fn lines_beside<H: Handler<()> + 'static>(
    others: usize,
    config: Config,
    speaker: impl Fn() -> H,
) -> Vec<String> {
    let mut sim = Sim::with_faults(1, Faults::none());
    causes::listen();
    let broker = broker(&mut sim, config);
    let addr = sim.addr(broker, crate::PORT);
    let stays = sim.host("others", (), |_| Ok(()));
    for _ in 0..others {
        sim.with(stays, |cx| cx.connect(addr, Speaker(b"CONNECT {}\r\n")));
    }
    sim.run_for(SECOND);
    let storm = sim.host("storm", (), |_| Ok(()));
    let come = |sim: &mut Sim, times: usize| {
        for _ in 0..times {
            sim.with(storm, |cx| cx.connect(addr, speaker()));
        }
        sim.run_for(SECOND / 10);
        wait(sim, "the end of all", |sim| {
            sim.connections(storm) == 0 && sim.connections(broker) == others
        });
    };
    come(&mut sim, STORM);
    sim.run_for(SECOND);
    come(&mut sim, 1);
    causes::warnings()
}

/// The storm is told of in lines that have `text`, and the number of those that were left out comes behind it.
#[track_caller]
fn is_bounded(lines: &[String], text: &str, others: &str) {
    let told = lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(told, LINES_MAX + 1, "{lines:#?}");
    let untold = STORM - LINES_MAX;
    let summary =
        format!("{untold} more {others} were not told of, at most {LINES_MAX} a second are");
    let told = lines.iter().filter(|line| **line == summary).count();
    assert_eq!((told, lines.len()), (1, LINES_MAX + 2), "{lines:#?}");
}

fn proxies(trusted: &str, others_may_come: bool) -> Option<ProxyProtocol> {
    Some(ProxyProtocol {
        trusted: vec![Network::parse(trusted).expect("a network")],
        others_may_come,
    })
}

/// A token is required.
fn secret() -> Config {
    Config {
        auth: Auth::Token("secret".into()),
        ..Config::default()
    }
}

const EARLY: &str = "connections that ended at their beginning";
const ERRORS: &str = "connections that ended by an error";

#[test]
fn what_comes_to_a_listener_for_proxies_and_is_refused_fills_no_log() {
    let stranger = Config {
        proxy_protocol: proxies("192.0.2.0/24", false),
        ..Config::default()
    };
    let lines = lines_of(stranger, || Speaker(b""));
    is_bounded(&lines, "is none of the trusted proxies", EARLY);
    let proxied = || Config {
        proxy_protocol: proxies("10.0.0.0/8", false),
        auth: Auth::Token("secret".into()),
        ..Config::default()
    };
    let lines = lines_of(proxied(), || Speaker(b"GET / HTTP/1.1\r\n\r\n"));
    is_bounded(&lines, " - closed: ", EARLY);
    for begun in [b"".as_slice(), b"PROXY TCP4 192.0.2"] {
        let lines = lines_of(proxied(), || Speaker(begun));
        is_bounded(&lines, "no PROXY protocol header in time", EARLY);
    }
}

#[test]
fn those_that_are_too_many_fill_no_log() {
    let full = Config {
        connections_max: 1,
        ..Config::default()
    };
    let lines = lines_beside(1, full, || Speaker(b""));
    is_bounded(&lines, "maximum connections exceeded", EARLY);
    // Of an address there is a line a minute.
    let limits = Limits {
        connections_per_second_max: Some(1),
        ..Limits::default()
    };
    let limited = Config {
        address_limits: AddressLimits {
            limits,
            ..AddressLimits::default()
        },
        auth: Auth::Token("secret".into()),
        ..Config::default()
    };
    let lines = lines_of(limited, || Speaker(b"PING\r\n"));
    let told = lines
        .iter()
        .filter(|line| line.contains("connections_per_second"));
    assert_eq!(told.count(), 1, "{lines:#?}");
    // The first of each second is late with its CONNECT.
    assert!(lines.len() <= 3, "{lines:#?}");
}

#[test]
fn what_breaks_the_protocol_fills_no_log() {
    let long = [b'x'; 5000];
    for (words, text) in [
        (b"nonsense\r\n".as_slice(), "Client parser ERROR"),
        (b"-ERR 'no'\r\n", "Client Error"),
        (b"CONNECT {\"protocol\":9}\r\n", "invalid client protocol"),
        ([&b"PUB "[..], &long].concat().leak(), "max_control_line"),
        (b"PUB a 9999999\r\n", "maximum payload exceeded"),
    ] {
        let lines = lines_of(Config::default(), || Speaker(words));
        is_bounded(&lines, text, ERRORS);
    }
    let secret = secret();
    let lines = lines_of(secret, || Speaker(b"CONNECT {\"auth_token\":\"x\"}\r\n"));
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|line| !line.contains("many logins"))
        .collect();
    assert!(lines.len() < 60, "{lines:#?}");
}

#[test]
fn who_has_not_logged_in_uses_up_no_line_about_those_who_have() {
    let long = [b'x'; 5000];
    for (words, text) in [
        (b"CONNECT {\"user\":\r\n".as_slice(), "Client parser ERROR"),
        (
            [&b"CONNECT "[..], &long].concat().leak(),
            "max_control_line",
        ),
    ] {
        let lines = lines_of(secret(), || Speaker(words));
        is_bounded(&lines, text, EARLY);
    }
    let lines = lines_of(secret(), || {
        Speaker(b"CONNECT {\"auth_token\":\"secret\"}\r\nnonsense\r\n")
    });
    is_bounded(&lines, "Client parser ERROR", ERRORS);
}

/// Subscribes, and reads nothing from there on.
struct Deaf;

impl Handler<()> for Deaf {
    fn on_open(&mut self, cx: &mut Context<'_, ()>) {
        cx.send(b"CONNECT {\"verbose\":false}\r\nSUB a 1\r\n");
        cx.pause();
    }

    fn on_input(&mut self, _: &mut Context<'_, ()>, input: &mut Input<'_>) {
        input.take();
    }
}

#[test]
fn slow_consumers_fill_no_log() {
    let config = Config {
        payload_bytes_max: 100_000,
        pending_bytes_max: 200_000,
        stall_producers: false,
        ..Config::default()
    };
    let mut sim = Sim::with_faults(1, Faults::none());
    causes::listen();
    let broker = broker(&mut sim, config);
    let addr = sim.addr(broker, crate::PORT);
    let [deaf, publishers] = ["deaf", "publishers"].map(|name| sim.host(name, (), |_| Ok(())));
    let message = [b"PUB a 100000\r\n", &*vec![b'x'; 100_000], b"\r\n"].concat();
    let flood: &[u8] = [b"CONNECT {}\r\n", &*message.repeat(20)].concat().leak();
    for times in [STORM, 1] {
        for _ in 0..times {
            sim.with(deaf, |cx| cx.connect(addr, Deaf));
        }
        sim.run_for(SECOND);
        assert_eq!(sim.with(broker, |cx| cx.state.stats().subscriptions), times);
        let publisher = sim.with(publishers, |cx| cx.connect(addr, Speaker(flood)));
        wait(&mut sim, "the end of all", |sim| {
            sim.with(broker, |cx| cx.state.stats().subscriptions) == 0
        });
        sim.with(publishers, |cx| cx.io.close(publisher));
        sim.run_for(SECOND);
    }
    let lines = causes::news();
    let lines: Vec<String> = lines
        .into_iter()
        .filter(|line| line.to_lowercase().contains("slow consumer"))
        .collect();
    is_bounded(
        &lines,
        "Slow Consumer Detected: MaxPending of 200000 Exceeded",
        "slow consumers",
    );
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::secured;
    use midge::Tls;
    use midge_reactor::tls::rustls::ClientConnection;
    use std::io::Write;

    /// Makes a handshake, and then breaks it.
    struct Breaker {
        session: ClientConnection,
        is_greeted: bool,
        /// With the last words of the handshake.
        at_once: bool,
    }

    impl Breaker {
        fn new() -> Breaker {
            Breaker {
                session: secured::session(),
                is_greeted: false,
                at_once: false,
            }
        }

        fn at_once() -> Breaker {
            Breaker {
                at_once: true,
                ..Breaker::new()
            }
        }
    }

    impl Handler<()> for Breaker {
        fn on_input(&mut self, cx: &mut Context<'_, ()>, input: &mut Input<'_>) {
            let mut wire = input.take();
            let was_done = !self.session.is_handshaking();
            if !self.is_greeted {
                self.is_greeted = true;
                assert!(wire.starts_with(b"INFO ") && wire.ends_with(b"\r\n"));
                wire = b"";
            }
            while !wire.is_empty() {
                self.session.read_tls(&mut wire).expect("it is in memory");
                if self.session.process_new_packets().is_err() {
                    // The broker says what it thinks of the record.
                    return;
                }
            }
            if !was_done && !self.session.is_handshaking() {
                let asked = self.session.writer().write_all(b"CONN");
                asked.expect("it is in memory");
            }
            let mut out = Vec::new();
            while self.session.wants_write() {
                self.session.write_tls(&mut out).expect("it is in memory");
            }
            if was_done || (self.at_once && !self.session.is_handshaking()) {
                // The broker has had its part of the handshake, and gets a record that is not encrypted.
                out.extend(b"\x17\x03\x03\0\x20");
                out.extend([b'x'; 32]);
            }
            cx.send(out);
        }
    }

    fn with(tls: Tls) -> Config {
        Config {
            tls: Some(tls),
            ..Config::default()
        }
    }

    #[test]
    fn peers_whose_tls_breaks_fill_no_log() {
        let lines = lines_of(with(secured::settings()), || Speaker(b"nonsense\r\n"));
        is_bounded(&lines, "TLS handshake error", EARLY);
        let lines = lines_of(with(secured::settings()), Breaker::new);
        is_bounded(&lines, "TLS error: ", ERRORS);
        let guarded = Config {
            tls: Some(secured::settings()),
            ..secret()
        };
        let lines = lines_of(guarded, Breaker::new);
        is_bounded(&lines, "TLS error: ", EARLY);
        let lines = lines_of(with(secured::settings()), Breaker::at_once);
        is_bounded(&lines, "TLS handshake error", EARLY);
        let silent = Tls {
            timeout: SECOND / 20,
            ..secured::settings()
        };
        let lines = lines_of(with(silent), || Speaker(b""));
        is_bounded(&lines, "TLS handshake timeout", EARLY);
    }

    #[test]
    fn handshakes_that_are_too_many_have_a_line_a_second() {
        let limited = Tls {
            connection_rate_limit: Some(1),
            ..secured::settings()
        };
        let lines = lines_of(with(limited), Breaker::new);
        let refused = STORM - 1;
        let summary = format!("Rejected {refused} connections due to TLS rate limiting");
        let told = lines.iter().filter(|line| line.starts_with(&summary));
        assert_eq!(told.count(), 1, "{lines:#?}");
        assert_eq!(lines.len(), 3, "{lines:#?}");
    }
}
