//! TLS between simulated hosts: the same promises, and those of its own.

use crate::actors::{
    Caller, Cx, Echo, LONG, Manner, PORT, Seen, assert_released, bytes, echo_host, goes, idle_host,
    no_losses,
};
use crate::certificates::{Authority, NAME, name};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::tls::{ClientCerts, Tls, TlsError, TlsInfo, VerifyClient, VerifyServer};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key, ListenOptions, ProxyOptions};
use rustls::ServerConfig;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn any() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], PORT))
}

fn tls_echo_host(sim: &mut Sim, config: Arc<ServerConfig>, manner: Manner) -> HostId<Seen> {
    sim.host("server", Seen::default(), |cx| {
        cx.listen_tls(any(), config, move |_: &mut Cx<'_>| Echo::new(manner))
            .map(drop)
    })
}

fn manner(seed: u64) -> Manner {
    Manner {
        piece: [0, 1][(seed % 2) as usize],
        pauses: seed.is_multiple_of(3),
        yields: seed.is_multiple_of(5),
        at_end: false,
    }
}

#[test]
fn what_comes_back_is_the_beginning_of_what_was_sent_and_all_of_it_without_resets() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..300, |sim| {
        let mut faults = sim.faults();
        if faults.window_bytes_max < 3_000 {
            // A handshake of a few thousand bytes is to be over in time.
            (faults.window_bytes_min, faults.window_bytes_max) = (1_000, 3_000);
        }
        (faults.pause, faults.stall) = (0.0, 0.0);
        faults.latency_max = faults.latency_max.min(Duration::from_millis(20));
        faults.latency_min = faults.latency_min.min(faults.latency_max);
        sim.set_faults(faults);
        let server = tls_echo_host(sim, Arc::clone(&server_config), manner(sim.seed()));
        let client = idle_host(sim, "client");
        let (seed, addr) = (sim.seed(), sim.addr(server, PORT));
        for caller in 0..3 {
            let config = Arc::clone(&client_config);
            let goes = goes(seed + caller, 1 + (seed + caller) % 4);
            let ends = (seed + caller) % 3 > 0;
            sim.with(client, move |cx| {
                cx.connect_tls(addr, config, name(), Caller::new(goes, ends))
            });
        }
        sim.eventually(LONG, |sim| {
            sim.with(client, |cx| cx.state.closed + cx.state.refused == 3)
                && sim.connections(server) == 0
                && sim.connections(client) == 0
        });
        let sent: Vec<Vec<u8>> = (0..3)
            .map(|caller| goes(seed + caller, 1 + (seed + caller) % 4).concat())
            .collect();
        let heard = sim.with(client, |cx| std::mem::take(&mut cx.state.heard));
        for heard in heard.values() {
            let is_beginning = sent.iter().any(|sent| sent.starts_with(heard));
            assert!(is_beginning, "heard what nobody sent");
        }
        if sim.resets() == 0 && sim.faults().all_connect() {
            let mut heard: Vec<_> = heard.into_values().collect();
            let mut sent = sent;
            heard.sort();
            sent.sort();
            assert!(heard == sent, "something was lost");
        }
        assert_released(sim, &[client, server]);
    });
}

#[test]
fn a_seed_tells_how_many_bytes_move_and_when_though_not_which() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    let run = |seed| {
        let mut sim = Sim::new(seed);
        no_losses(&mut sim);
        // Each run with tickets of its own: a session of the first is not to be resumed in the second.
        let mut config = (*client_config).clone();
        config.resumption = rustls::client::Resumption::disabled();
        let server = tls_echo_host(&mut sim, Arc::clone(&server_config), Manner::default());
        let client = idle_host(&mut sim, "client");
        let (addr, goes) = (sim.addr(server, PORT), goes(seed, 2));
        sim.with(client, move |cx| {
            cx.connect_tls(addr, Arc::new(config), name(), Caller::new(goes, true))
        });
        sim.run_for(LONG);
        sim.history()
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// What a handler was told, in order.
type Told = Vec<String>;

/// Sends, tells, and does what a test wants when the handshake is over.
#[derive(Default)]
struct Teller {
    sends: Vec<u8>,
    /// Bytes to hear before it closes after writing.
    closes_at: usize,
    heard: Vec<u8>,
    /// Drops the connection without a word when TLS is there.
    cuts: bool,
    pauses: bool,
    keeps_open: bool,
}

impl Handler<Told> for Teller {
    fn on_open(&mut self, cx: &mut Context<'_, Told>) {
        cx.state.push("open".to_owned());
        let sends = std::mem::take(&mut self.sends);
        cx.send(&sends);
    }

    fn on_tls(&mut self, cx: &mut Context<'_, Told>, info: &TlsInfo) {
        assert!(self.heard.is_empty(), "input came before on_tls");
        assert_eq!(cx.tls(), Some(info));
        let (name, certificates) = (info.server_name.as_deref(), info.peer_certificates.len());
        cx.state.push(format!(
            "tls {:?} {name:?}, {certificates} certificates",
            info.version
        ));
        if self.cuts {
            cx.close();
        }
        if self.pauses {
            cx.pause();
            cx.set_timer(Duration::from_secs(5), 1);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Told>, _: u64) {
        cx.state.push("resume".to_owned());
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_input(&mut self, cx: &mut Context<'_, Told>, input: &mut Input<'_>) {
        let tells = cx.tls().is_some() || !cx.io.is_tls(cx.key());
        assert!(tells, "input before the handshake was over");
        assert!(!cx.io.is_paused(cx.key()), "input in spite of a pause");
        self.heard.extend(input.take());
        if self.closes_at > 0 && self.heard.len() >= self.closes_at {
            cx.close_after_write();
        }
    }

    fn on_eof(&mut self, cx: &mut Context<'_, Told>) -> Eof {
        cx.state.push("eof".to_owned());
        if self.keeps_open {
            cx.send(b"after the end");
            let key = cx.key();
            cx.io.shutdown_write(key);
            return Eof::KeepOpen;
        }
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Context<'_, Told>, why: &Close) {
        if !self.heard.is_empty() {
            let heard = String::from_utf8_lossy(&self.heard).into_owned();
            cx.state.push(format!("heard {heard}"));
        }
        cx.state.push(format!("close: {why}"));
    }
}

type Made = Rc<RefCell<Option<Teller>>>;

/// One connection between two tellers; answers what the server and the client were told.
fn talk(
    sim: &mut Sim,
    server_tls: Option<Tls>,
    client_tls: Option<Tls>,
    server: Teller,
    client: Teller,
) -> (Told, Told) {
    no_losses(sim);
    let mut faults = sim.faults();
    (faults.pause, faults.stall) = (0.0, 0.0);
    faults.window_bytes_min = 2_000;
    faults.window_bytes_max = 4_000;
    faults.latency_max = faults.latency_max.min(Duration::from_millis(20));
    faults.latency_min = faults.latency_min.min(faults.latency_max);
    sim.set_faults(faults);
    let made: Made = Rc::new(RefCell::new(Some(server)));
    let server = sim.host("server", Told::new(), move |cx| {
        let made = Rc::clone(&made);
        let accept = move |_: &mut Context<'_, Told>| made.take().expect("one connection");
        match server_tls {
            Some(tls) => cx.listen_tls_with(any(), &ListenOptions::default(), tls, accept),
            None => cx.listen(any(), accept),
        }
        .map(drop)
    });
    let addr = sim.addr(server, PORT);
    let client_host = sim.host("client", Told::new(), move |cx| {
        let key = cx.connect(addr, client);
        if let Some(tls) = client_tls {
            cx.io.start_tls(key, tls).expect("it is connecting");
        }
        Ok(())
    });
    sim.run_for(LONG);
    let told = |cx: &mut Context<'_, Told>| std::mem::take(cx.state);
    (sim.with(server, told), sim.with(client_host, told))
}

fn sends(text: &str) -> Teller {
    Teller {
        sends: text.as_bytes().to_vec(),
        ..Teller::default()
    }
}

#[test]
fn on_tls_comes_once_before_input_and_what_was_sent_before_it_arrives_encrypted() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..100, |sim| {
        let client = Teller {
            closes_at: 2,
            ..sends("hello")
        };
        let server_tls = Tls::server(Arc::clone(&server_config));
        let client_tls = Tls::client(Arc::clone(&client_config), name());
        let (server, client) = talk(sim, Some(server_tls), Some(client_tls), sends("hi"), client);
        let tls = "tls TLSv1_3 Some(\"midge.test\")";
        assert_eq!(
            server,
            [
                "open",
                &format!("{tls}, 0 certificates"),
                "eof",
                "heard hello",
                "close: closed by the peer"
            ]
        );
        assert_eq!(
            client,
            [
                "open",
                &format!("{tls}, 1 certificates"),
                "heard hi",
                "close: closed"
            ]
        );
    });
}

#[test]
fn an_end_without_close_notify_is_told_as_truncation_and_not_as_an_end() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..100, |sim| {
        let server = Teller {
            cuts: true,
            ..Teller::default()
        };
        let server_tls = Tls::server(Arc::clone(&server_config));
        let client_tls = Tls::client(Arc::clone(&client_config), name());
        let (_, client) = talk(sim, Some(server_tls), Some(client_tls), server, sends(""));
        assert!(
            client.contains(&"close: TLS: the peer ended without close_notify".to_owned()),
            "{client:?}"
        );
        assert!(!client.contains(&"eof".to_owned()));
    });
}

#[test]
fn nothing_decrypted_is_delivered_while_paused_and_all_of_it_after() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..100, |sim| {
        let server = Teller {
            pauses: true,
            closes_at: 5,
            ..Teller::default()
        };
        let server_tls = Tls::server(Arc::clone(&server_config));
        let client_tls = Tls::client(Arc::clone(&client_config), name());
        let (server, _) = talk(
            sim,
            Some(server_tls),
            Some(client_tls),
            server,
            sends("hello"),
        );
        assert_eq!(server[2..], ["resume", "heard hello", "close: closed"]);
    });
}

#[test]
fn a_half_closed_connection_is_still_written_to() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..100, |sim| {
        let server = Teller {
            keeps_open: true,
            ..Teller::default()
        };
        struct Ends(Teller);
        let client = Ends(sends("x"));
        // The client ends its direction at once; the end waits for the handshake.
        impl Handler<Told> for Ends {
            fn on_open(&mut self, cx: &mut Context<'_, Told>) {
                self.0.on_open(cx);
                let key = cx.key();
                cx.io.shutdown_write(key);
            }
            fn on_input(&mut self, cx: &mut Context<'_, Told>, input: &mut Input<'_>) {
                self.0.on_input(cx, input);
            }
            fn on_eof(&mut self, cx: &mut Context<'_, Told>) -> Eof {
                self.0.on_eof(cx)
            }
            fn on_close(&mut self, cx: &mut Context<'_, Told>, why: &Close) {
                self.0.on_close(cx, why);
            }
        }
        no_losses(sim);
        let mut faults = sim.faults();
        (faults.pause, faults.stall) = (0.0, 0.0);
        faults.window_bytes_min = 2_000;
        faults.window_bytes_max = 4_000;
        sim.set_faults(faults);
        let made: Made = Rc::new(RefCell::new(Some(server)));
        let config = Arc::clone(&server_config);
        let server = sim.host("server", Told::new(), move |cx| {
            let accept = move |_: &mut Context<'_, Told>| made.take().expect("one connection");
            cx.listen_tls(any(), config, accept).map(drop)
        });
        let (addr, config) = (sim.addr(server, PORT), Arc::clone(&client_config));
        let host = sim.host("client", Told::new(), move |cx| {
            cx.connect_tls(addr, config, name(), client);
            Ok(())
        });
        sim.run_for(LONG);
        let client = sim.with(host, |cx| std::mem::take(cx.state));
        assert_eq!(
            client,
            [
                "open",
                "eof",
                "heard after the end",
                "close: closed by the peer"
            ]
        );
    });
}

#[test]
fn a_handshake_that_never_comes_times_out() {
    let authority = Authority::new();
    let config = authority.server();
    sim::check(0..50, |sim| {
        let tls = Tls::server(Arc::clone(&config)).handshake_timeout(Duration::from_secs(3));
        let (server, _) = talk(sim, Some(tls), None, sends("held"), sends(""));
        let ends: Vec<_> = server
            .iter()
            .map(|line| line.starts_with("close: TLS: the handshake timed out"))
            .collect();
        assert_eq!(ends, [false, true], "{server:?}");
    });
}

#[test]
fn a_peer_that_speaks_plaintext_is_named_as_such_on_both_sides() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..100, |sim| {
        let server_tls = Tls::server(Arc::clone(&server_config));
        let line = sends("GET / HTTP/1.1\r\n\r\n");
        let (server, _) = talk(sim, Some(server_tls), None, sends(""), line);
        assert_eq!(server, ["open", "close: TLS: the peer does not speak TLS"]);
    });
    sim::check(0..100, |sim| {
        let client_tls = Tls::client(Arc::clone(&client_config), name());
        struct Loud;
        impl Handler<Told> for Loud {
            fn on_open(&mut self, cx: &mut Context<'_, Told>) {
                cx.send(b"220 welcome\r\n");
            }
            fn on_input(&mut self, _: &mut Context<'_, Told>, input: &mut Input<'_>) {
                input.take();
            }
        }
        no_losses(sim);
        let server = sim.host("server", Told::new(), |cx| {
            cx.listen(any(), |_: &mut Context<'_, Told>| Loud).map(drop)
        });
        let addr = sim.addr(server, PORT);
        let host = sim.host("client", Told::new(), move |cx| {
            let key = cx.connect(addr, sends(""));
            cx.io.start_tls(key, client_tls).expect("it is connecting");
            Ok(())
        });
        sim.run_for(LONG);
        let told = sim.with(host, |cx| std::mem::take(cx.state));
        assert_eq!(told, ["open", "close: TLS: the peer does not speak TLS"]);
    });
}

/// How a handshake ends on both sides.
fn handshake(server: &Tls, client: &Tls) -> (Told, Told) {
    let told = RefCell::new((Told::new(), Told::new()));
    sim::check(0..20, |sim| {
        let closes = Teller {
            closes_at: 2,
            ..sends("hello")
        };
        *told.borrow_mut() = talk(
            sim,
            Some(server.clone()),
            Some(client.clone()),
            sends("hi"),
            closes,
        );
    });
    told.into_inner()
}

fn end(told: &Told) -> &str {
    told.last().map_or("", String::as_str)
}

fn has_tls(told: &Told) -> bool {
    told.iter().any(|line| line.starts_with("tls"))
}

#[test]
fn a_certificate_for_another_name_is_refused_and_the_server_gets_the_alert() {
    let authority = Authority::new();
    let other = "other.test".try_into().expect("a name");
    let client = Tls::client(authority.client(), other);
    let (server, client) = handshake(&Tls::server(authority.server()), &client);
    assert!(end(&client).contains("not valid for name"), "{client:?}");
    assert!(end(&server).contains("received fatal alert"), "{server:?}");
    assert!(!has_tls(&client) && !has_tls(&server));
}

#[test]
fn an_expired_certificate_and_one_of_an_unknown_authority_are_refused() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let expired = authority.paper_until(NAME, 2001).identity();
    let expired = midge_reactor::tls::server_config(expired, &ClientCerts::None);
    let expired = Tls::server(expired.expect("nobody looks at the date yet"));
    let client = Tls::client(authority.client(), name());
    let (_, told) = handshake(&expired, &client);
    assert!(end(&told).to_lowercase().contains("expired"), "{told:?}");
    let (_, told) = handshake(&Tls::server(stranger.server()), &client);
    assert!(end(&told).contains("UnknownIssuer"), "{told:?}");
}

#[test]
fn client_certificates_are_required_or_optional_as_the_server_says() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let config = |paper: Option<crate::certificates::Paper>| {
        let identity = paper.map(|paper| paper.identity());
        let config = midge_reactor::tls::client_config(authority.roots(), identity);
        Tls::client(config.expect("all is in order"), name())
    };
    let roots = Arc::new(authority.roots());
    let required = Tls::server(authority.server_asking(&ClientCerts::Required(Arc::clone(&roots))));
    let optional = Tls::server(authority.server_asking(&ClientCerts::Optional(roots)));

    for server in [&required, &optional] {
        let (told, _) = handshake(server, &config(Some(authority.paper("joe"))));
        assert!(told[1].ends_with("1 certificates"), "{told:?}");
        let (told, _) = handshake(server, &config(Some(stranger.paper("eve"))));
        assert!(
            !has_tls(&told) && end(&told).contains("UnknownIssuer"),
            "{told:?}"
        );
    }
    let (told, _) = handshake(&optional, &config(None));
    assert!(told[1].ends_with("0 certificates"), "{told:?}");
    let (told, _) = handshake(&required, &config(None));
    assert!(
        !has_tls(&told) && end(&told).contains("sent no certificates"),
        "{told:?}"
    );
}

#[test]
fn a_closure_decides_about_certificates_and_is_not_asked_where_there_is_none() {
    let authority = Authority::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let server = |accepts: bool| {
        let asked = Arc::clone(&asked);
        let verify = VerifyClient::required(move |chain| {
            asked.fetch_add(chain.len(), Ordering::Relaxed);
            if accepts {
                return Ok(());
            }
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        });
        Tls::server(authority.server_asking(&ClientCerts::Verify(verify)))
    };
    let paper = || Some(authority.paper("joe").identity());
    let client = |identity| {
        let verify = VerifyServer::new(|chain, wanted| {
            assert_eq!((chain.len(), wanted), (1, &name()));
            Ok(())
        });
        Tls::client(verify.into_config(identity).expect("in order"), name())
    };
    let (told, _) = handshake(&server(true), &client(paper()));
    assert!(has_tls(&told), "{told:?}");
    let before = asked.swap(0, Ordering::Relaxed);
    assert!(before > 0);
    let (told, _) = handshake(&server(false), &client(paper()));
    assert!(
        !has_tls(&told) && end(&told).contains("ApplicationVerificationFailure"),
        "{told:?}"
    );
    asked.store(0, Ordering::Relaxed);
    let (told, _) = handshake(&server(true), &client(None));
    assert!(!has_tls(&told), "{told:?}");
    assert_eq!(
        asked.load(Ordering::Relaxed),
        0,
        "nothing was there to be judged"
    );
}

#[test]
fn versions_and_protocols_are_those_both_sides_have_or_the_handshake_fails_on_both() {
    use rustls::version::{TLS12, TLS13};
    let authority = Authority::new();
    let server = |version, protocols: &[&[u8]]| {
        let identity = authority.paper(NAME).identity();
        let config = midge_reactor::tls::server_config_with(
            identity,
            &ClientCerts::None,
            &[version],
            protocols,
        );
        Tls::server(config.expect("all is in order"))
    };
    let client = |protocols: &[&[u8]]| {
        let mut config = (*authority.client()).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Tls::client(Arc::new(config), name())
    };
    let (told, _) = handshake(&server(&TLS12, &[]), &client(&[]));
    assert!(told[1].starts_with("tls TLSv1_2"), "{told:?}");
    let (told, _) = handshake(
        &server(&TLS13, &[b"nats"]),
        &client(&[b"http/1.1", b"nats"]),
    );
    assert!(has_tls(&told), "{told:?}");
    let (server_told, client_told) = handshake(&server(&TLS13, &[b"nats"]), &client(&[b"h2"]));
    assert!(
        end(&server_told).contains("ALPN") || end(&server_told).contains("rotocol"),
        "{server_told:?}"
    );
    assert!(end(&client_told).contains("alert"), "{client_told:?}");
    assert!(!has_tls(&server_told) && !has_tls(&client_told));
}

#[test]
fn tls_is_started_once_and_only_on_an_open_connection() {
    let authority = Authority::new();
    let mut sim = Sim::new(1);
    let server = tls_echo_host(&mut sim, authority.server(), Manner::default());
    let (addr, client) = (sim.addr(server, PORT), idle_host(&mut sim, "client"));
    let config = authority.client();
    sim.with(client, |cx| {
        let tls = || Tls::client(Arc::clone(&config), name());
        let key = cx.connect(addr, Caller::new(vec![bytes(1, 1)], false));
        assert_eq!(cx.io.start_tls(key, tls()), Ok(()));
        assert_eq!(cx.io.start_tls(key, tls()), Err(TlsError::AlreadyStarted));
        let key = cx.connect(addr, Caller::new(vec![bytes(1, 1)], false));
        cx.io.close(key);
        assert_eq!(cx.io.start_tls(key, tls()), Err(TlsError::NotOpen));
    });
}

/// Takes TLS off: what comes encrypted goes on in plaintext to another host, and back.
struct Terminator {
    upstream: SocketAddr,
    other: Option<Key>,
}

impl Handler<Seen> for Terminator {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let (me, upstream) = (cx.key(), self.upstream);
        let Some(other) = self.other.or_else(|| {
            let far = Terminator {
                upstream,
                other: Some(me),
            };
            let other = cx.connect(upstream, far);
            for (from, to) in [(me, other), (other, me)] {
                cx.io.watermarks(to, 500, 2_000, 4_000);
                let begun = cx.proxy(from, to, &ProxyOptions::default());
                begun.expect("both are open, and neither is relayed");
            }
            Some(other)
        }) else {
            return;
        };
        self.other = Some(other);
        cx.state.opened += 1;
    }

    fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {
        panic!("input went past the relay");
    }

    fn on_eof(&mut self, _: &mut Cx<'_>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        cx.state.closed += 1;
    }
}

#[test]
fn a_relay_takes_tls_off_and_puts_it_on_and_passes_the_ends_of_both() {
    let authority = Authority::new();
    let (server_config, client_config) = (authority.server(), authority.client());
    sim::check(0..200, |sim| {
        let mut faults = no_losses(sim);
        (faults.pause, faults.stall) = (0.0, 0.0);
        (faults.window_bytes_min, faults.window_bytes_max) = (2_000, 4_000);
        faults.latency_max = faults.latency_max.min(Duration::from_millis(20));
        faults.latency_min = faults.latency_min.min(faults.latency_max);
        sim.set_faults(faults);
        let server = echo_host(sim, Manner::default());
        let (upstream, config) = (sim.addr(server, PORT), Arc::clone(&server_config));
        let relay = sim.host("relay", Seen::default(), move |cx| {
            cx.listen_tls(any(), config, move |_: &mut Cx<'_>| Terminator {
                upstream,
                other: None,
            })
            .map(drop)
        });
        let client = idle_host(sim, "client");
        let (addr, sent) = (sim.addr(relay, PORT), bytes(sim.seed(), 60_000));
        let goes = sent.chunks(25_000).map(<[u8]>::to_vec).collect();
        let config = Arc::clone(&client_config);
        let key = sim.with(client, |cx| {
            cx.connect_tls(addr, config, name(), Caller::new(goes, true))
        });
        sim.eventually(LONG, |sim| sim.with(client, |cx| cx.state.closed == 1));
        sim.with(client, |cx| {
            assert!(cx.state.heard[&key] == sent);
            assert_eq!(cx.state.ended, 1);
        });
        sim.eventually(LONG, |sim| {
            sim.connections(relay) + sim.connections(server) == 0
        });
        assert_released(sim, &[client, relay, server]);
    });
}
