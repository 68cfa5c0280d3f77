//! What two ends of one reactor settle in a handshake: a session taken up again, the certificate for
//! a name, and TLS where there are no addresses.

use crate::certificates::{Authority, NAME, name};
use midge_reactor::tls::{self, ClientCerts, Tls, TlsInfo};
use midge_reactor::{Close, Context, Handler, Input, Key, Reactor};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the ends have been told.
#[derive(Debug, Default)]
struct Told {
    server: Vec<TlsInfo>,
    client: Vec<TlsInfo>,
    heard: Vec<u8>,
    closed: Vec<String>,
}

type Cx<'a> = Context<'a, Told>;

/// Sends back what comes; with TLS of its own, begins with that.
struct Echo(Option<Tls>);

impl Handler<Told> for Echo {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        if let Some(tls) = self.0.take() {
            cx.start_tls(tls).expect("it is open");
        }
    }

    fn on_tls(&mut self, cx: &mut Cx<'_>, info: &TlsInfo) {
        cx.state.server.push(info.clone());
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

/// Says hello, and goes when it has come back. What the server sent before that, such as tickets,
/// has been read by then.
struct Caller;

impl Handler<Told> for Caller {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.send(b"hello");
    }

    fn on_tls(&mut self, cx: &mut Cx<'_>, info: &TlsInfo) {
        cx.state.client.push(info.clone());
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        if input.len() == b"hello".len() {
            cx.state.heard.extend(input.take());
            cx.close_after_write();
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.closed.push(why.to_string());
    }
}

fn reactor() -> Reactor<Told> {
    Reactor::new(Told::default()).expect("a selector is free")
}

fn listen(reactor: &mut Reactor<Told>, config: Arc<ServerConfig>) -> SocketAddr {
    reactor.with(|cx| {
        let listener = cx.listen_tls("127.0.0.1:0", config, |_: &mut Cx<'_>| Echo(None));
        let listener = listener.expect("a port is free");
        cx.listening_on(listener).expect("it listens")
    })
}

/// Turns until no connection is left.
fn until_all_are_gone(reactor: &mut Reactor<Told>) {
    let late = reactor.with(|cx| cx.after(PATIENCE, |_| panic!("it has not ended")));
    while reactor.connections() > 0 {
        reactor.turn(None).expect("polling does not fail");
    }
    reactor.with(|cx| cx.io.cancel(late));
}

/// Calls `name` at `addr`; answers how it has ended.
fn call(
    reactor: &mut Reactor<Told>,
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
) -> String {
    reactor.with(|cx| cx.connect_tls(addr, Arc::clone(config), name, Caller));
    until_all_are_gone(reactor);
    reactor.state.closed.pop().expect("it has ended")
}

fn server(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let identity = authority.paper(NAME).identity();
    let config = tls::server_config_with(identity, &ClientCerts::None, versions, &[]);
    config.expect("all is in order")
}

#[test]
fn a_session_is_taken_up_again_by_whoever_has_kept_it() {
    for version in [&version::TLS12, &version::TLS13] {
        let (authority, mut reactor) = (Authority::new(), reactor());
        let addr = listen(&mut reactor, server(&authority, &[version]));
        let (returns, stranger) = (authority.client(), authority.client());
        for config in [&returns, &returns, &stranger, &returns] {
            assert_eq!(call(&mut reactor, addr, config, name()), "closed");
        }
        let resumed =
            |infos: &[TlsInfo]| -> Vec<bool> { infos.iter().map(|info| info.resumed).collect() };
        let wanted = [false, true, false, true];
        let told = &reactor.state;
        assert_eq!(resumed(&told.client), wanted, "{version:?}");
        assert_eq!(resumed(&told.server), wanted, "{version:?}");
        // Who the server is was found out in the session before.
        for info in &told.client {
            assert_eq!(info.version, version.version);
            assert_eq!(info.peer_certificates, told.client[0].peer_certificates);
        }
        assert!(!told.client[0].peer_certificates.is_empty());
        assert_eq!(told.heard, b"hello".repeat(4));
    }
}

#[test]
fn the_server_shows_the_certificate_of_the_name_that_is_called() {
    let (authority, mut reactor) = (Authority::new(), reactor());
    let names = ["one.midge.test", "two.midge.test"];
    let provider = ring::default_provider();
    let mut by_name = ResolvesServerCertUsingSni::new();
    let mut certificates = Vec::new();
    for name in names {
        let paper = authority.paper(name);
        let certificate = CertificateDer::from_pem_slice(paper.certificate.as_bytes());
        let certificate = certificate.expect("it was made a moment ago");
        let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes());
        let key = key.expect("it was made a moment ago");
        certificates.push(certificate.clone());
        let certified = CertifiedKey::from_der(vec![certificate], key, &provider);
        let added = by_name.add(name, certified.expect("the key is its own"));
        added.expect("the name is in it");
    }
    let mut config = ServerConfig::clone(&authority.server());
    config.cert_resolver = Arc::new(by_name);
    let addr = listen(&mut reactor, Arc::new(config));
    let client = authority.client();
    for (name, certificate) in names.into_iter().zip(certificates) {
        let called = ServerName::try_from(name).expect("it is a name");
        assert_eq!(call(&mut reactor, addr, &client, called), "closed");
        let (seen, asked) = (reactor.state.client.pop(), reactor.state.server.pop());
        assert_eq!(seen.expect("they agreed").peer_certificates, [certificate]);
        let asked = asked.expect("they agreed").server_name;
        assert_eq!(asked.as_deref(), Some(name));
    }
    let ended = call(&mut reactor, addr, &client, name());
    assert!(ended.starts_with("TLS: "), "nobody has that name: {ended}");
    assert!(reactor.state.client.is_empty() && reactor.state.server.is_empty());
}

#[test]
fn tls_on_a_unix_socket_is_tls() {
    let (authority, mut reactor) = (Authority::new(), reactor());
    let path = std::env::temp_dir().join(format!("midge-handshakes-{}", std::process::id()));
    let tls = Tls::server(authority.server());
    let listener =
        reactor.with(|cx| cx.listen_unix(&path, move |_: &mut Cx<'_>| Echo(Some(tls.clone()))));
    let call = |reactor: &mut Reactor<Told>, authority: &Authority| -> Key {
        let tls = Tls::client(authority.client(), name());
        reactor.with(|cx| {
            let key = cx.connect_unix(&path, Caller);
            cx.io.start_tls(key, tls).expect("it is connecting");
            key
        })
    };
    call(&mut reactor, &authority);
    until_all_are_gone(&mut reactor);
    call(&mut reactor, &Authority::named("somebody else"));
    until_all_are_gone(&mut reactor);
    std::fs::remove_file(&path).expect("it stands there");
    listener.expect("the path is free");
    let told = &reactor.state;
    assert_eq!(told.heard, b"hello");
    assert_eq!(told.closed[0], "closed");
    assert!(
        told.closed[1].contains("UnknownIssuer"),
        "{:?}",
        told.closed
    );
    assert_eq!((told.client.len(), told.server.len()), (1, 1));
    let asked = told.server[0].server_name.as_deref();
    assert_eq!(asked, Some(NAME));
}
