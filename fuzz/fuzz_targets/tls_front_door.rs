//! Bytes of a client that has just come to a broker with TLS: nothing panics, little is said to them, and one whose
//! handshake does not come to its end is gone when the time for it is over.
//!
//! The first byte of the data chooses the settings, the second how much of a proper first message comes before the
//! rest, the third how both are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::{Broker, CertFiles, Config, HandshakeFirst, State, Tls};
use midge_reactor::sim::{Faults, HostId, Sim};
use midge_reactor::tls::client_config;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::{ClientConnection, RootCertStore};
use midge_reactor::{Context, Handler, Input};
use std::sync::OnceLock;
use std::time::Duration;

const PORT: u16 = 4222;
const TIMEOUT: Duration = Duration::from_secs(2);

/// More than there is to say to anyone, and less than anyone could use to fill memory.
const QUEUED_MAX: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    let [choice, kept, cuts, rest @ ..] = data else {
        return;
    };
    let hello = hello();
    let kept = hello.len().min(2 * usize::from(*kept));
    let words = [&hello[..kept], rest].concat();
    let mut sim = Sim::with_faults(1, Faults::none());
    let (broker, in_clear) = broker(&mut sim, *choice);
    let addr = sim.addr(broker, PORT);
    let client = sim.host("client", (), |_| Ok(()));
    let key = sim.with(client, |cx| cx.connect(addr, Silent));
    sim.run_for(Duration::from_millis(100));
    for piece in words.chunks(1 + usize::from(*cuts) * 8) {
        sim.with(client, |cx| cx.io.send(key, piece));
        sim.run_for(Duration::from_millis(10));
        let queued = sim.with(broker, |cx| cx.state.longest_queue_bytes(&cx.io));
        assert!(queued <= QUEUED_MAX, "{queued} bytes for a client");
    }
    sim.run_for(2 * TIMEOUT + Duration::from_secs(30));
    if !in_clear {
        assert_eq!(sim.connections(broker), 0, "it has made no handshake");
    }
});

/// The broker of one of the settings, and whether clients may speak in clear to it.
fn broker(sim: &mut Sim, choice: u8) -> (HostId<State>, bool) {
    let handshake_first = match choice % 3 {
        0 => HandshakeFirst::No,
        1 => HandshakeFirst::Yes,
        _ => HandshakeFirst::Within(Duration::from_millis(50)),
    };
    let allow_non_tls = choice & 4 != 0;
    let tls = Tls {
        certs: vec![files().clone()],
        ca_file: Some(files().cert_file.clone()),
        verify: choice & 8 != 0,
        timeout: TIMEOUT,
        handshake_first,
        ..Tls::default()
    };
    let config = Config {
        host: "0.0.0.0".to_owned(),
        port: PORT,
        tls: Some(tls),
        allow_non_tls,
        ..Config::default()
    };
    let state = State::new(config).expect("the settings make sense");
    let host = sim.host("broker", state, |cx| {
        Broker::listen(cx).map(drop).map_err(std::io::Error::other)
    });
    (host, allow_non_tls)
}

/// A certificate and its key, made once.
fn files() -> &'static CertFiles {
    static FILES: OnceLock<CertFiles> = OnceLock::new();
    FILES.get_or_init(|| {
        let name = format!("midge-fuzz-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory of this process");
        let paper = rcgen::generate_simple_self_signed(vec!["midge.test".to_owned()]);
        let paper = paper.expect("ring makes keys");
        let files = CertFiles {
            cert_file: directory.join("cert.pem"),
            key_file: directory.join("key.pem"),
        };
        std::fs::write(&files.cert_file, paper.cert.pem()).expect("a file of this process");
        let key = paper.signing_key.serialize_pem();
        std::fs::write(&files.key_file, key).expect("a file of this process");
        files
    })
}

/// The first message of a client.
fn hello() -> &'static [u8] {
    static HELLO: OnceLock<Vec<u8>> = OnceLock::new();
    HELLO.get_or_init(|| {
        let config = client_config(RootCertStore::empty(), None).expect("all is in order");
        let name = ServerName::try_from("midge.test").expect("it is a name");
        let mut client = ClientConnection::new(config, name).expect("all is in order");
        let mut words = Vec::new();
        client.write_tls(&mut words).expect("memory takes it");
        words
    })
}

/// Says nothing by itself, and takes what comes.
struct Silent;

impl Handler<()> for Silent {
    fn on_input(&mut self, _: &mut Context<'_, ()>, input: &mut Input<'_>) {
        input.take();
    }
}
