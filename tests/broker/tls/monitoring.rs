//! What monitoring tells of TLS, and monitoring over it.

use super::papers::{Authority, NAME, Secure, clear_line, dial, with};
use crate::raw::{Raw, start};
use midge::{Config, Monitor, Running, Tls};
use midge_reactor::tls::rustls::ClientConnection;
use midge_reactor::tls::rustls::client::Resumption;
use midge_reactor::tls::rustls::pki_types::ServerName;
use serde_json::Value;
use std::io::{Read, Write};
use std::sync::Arc;

/// A broker that is monitored over HTTPS, and asks clients for certificates.
fn monitored(authority: &Authority) -> Running {
    start(Config {
        allow_non_tls: true,
        monitor: Some(Monitor {
            tls: true,
            ..Monitor::default()
        }),
        ..with(authority.mutual())
    })
}

/// What is told at this path, over HTTPS and without a certificate.
fn ask(broker: &Running, authority: &Authority, path: &str) -> String {
    let monitor = broker.monitor_addr().expect("it is monitored");
    let client = Secure::over(dial(monitor), &authority.client(None), NAME);
    let mut client = client.expect("monitoring asks for no certificate");
    client.say(&format!(
        "GET {path} HTTP/1.1\r\nHost: midge\r\nConnection: close\r\n\r\n"
    ));
    let mut text = String::new();
    client
        .stream
        .read_to_string(&mut text)
        .expect("it ends in good order");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

#[test]
fn a_connection_tells_of_its_version_its_ciphers_and_its_certificate() {
    let authority = Authority::new();
    let broker = monitored(&authority);
    let paper = authority.client_paper("a");
    let client = authority.client(Some(&paper));
    let mut client = Secure::connect(broker.addr(), &client).expect("a handshake");
    client.introduce("");
    let _plain = Raw::join(broker.addr());
    let told = json(&ask(&broker, &authority, "/connz?auth=1"));
    let (one, other) = (&told["connections"][0], &told["connections"][1]);
    assert_eq!(one["tls_version"], "1.3");
    let suite = one["tls_cipher_suite"].as_str().expect("a name");
    assert!(
        suite.starts_with("TLS_") && !suite.contains("13"),
        "{suite}"
    );
    let certificate = &one["tls_peer_certs"][0];
    assert_eq!(certificate["subject"], "O=Acme,CN=somebody");
    for digest in ["spki_sha256", "cert_sha256"] {
        let digest = certificate[digest].as_str().expect("a digest");
        assert_eq!(digest.len(), 64, "{digest}");
    }
    assert!(other["tls_version"].is_null(), "{other}");
    // Without `auth` it is not told who it is.
    let told = json(&ask(&broker, &authority, "/connz"));
    assert!(told["connections"][0]["tls_peer_certs"].is_null());
    drop(client);
    while json(&ask(&broker, &authority, "/connz?state=closed"))["connections"][0].is_null() {}
    let told = json(&ask(&broker, &authority, "/connz?state=closed"));
    assert_eq!(told["connections"][0]["tls_version"], "1.3");
}

#[test]
fn a_handshake_that_fails_is_the_reason_that_is_told() {
    let authority = Authority::new();
    let broker = monitored(&authority);
    let refused = Secure::connect(broker.addr(), &authority.client(None));
    drop(refused);
    let mut told = Value::Null;
    while told["connections"][0].is_null() {
        told = json(&ask(&broker, &authority, "/connz?state=closed"));
    }
    assert_eq!(told["connections"][0]["reason"], "TLS Handshake Failure");
}

#[test]
fn the_server_tells_of_its_settings_and_when_its_certificate_ends() {
    let authority = Authority::new();
    authority.show(&authority.paper_until(NAME, 2222));
    let broker = start(Config {
        monitor: Some(Monitor {
            tls: true,
            ..Monitor::default()
        }),
        ..with(Tls {
            timeout: std::time::Duration::from_millis(1500),
            ..authority.mutual()
        })
    });
    let told = json(&ask(&broker, &authority, "/varz"));
    let port = broker.monitor_addr().map_or(0, |addr| addr.port());
    for (name, expected) in [
        ("tls_required", Value::from(true)),
        ("tls_verify", Value::from(true)),
        ("tls_timeout", Value::from(1.5)),
        ("auth_timeout", Value::from(2.5)),
        ("http_port", Value::from(0)),
        ("https_port", Value::from(port)),
        ("tls_cert_not_after", Value::from("2222-01-01T00:00:00Z")),
    ] {
        assert_eq!(told[name], expected, "{name}");
    }
    let metrics = ask(&broker, &authority, "/metrics");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("midge_tls_certificate_expiry_seconds{"));
    let line = line.expect("it is one of the metrics");
    assert!(
        line.contains("cert.pem\",listener=\"client\"} 7952342400"),
        "{line}"
    );
}

#[test]
fn one_who_asks_in_clear_is_told_so() {
    let authority = Authority::new();
    let broker = monitored(&authority);
    let mut stream = dial(broker.monitor_addr().expect("it is monitored"));
    stream
        .write_all(b"GET /varz HTTP/1.1\r\n\r\n")
        .expect("it reads");
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .expect("it ends in good order");
    assert_eq!(
        text,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
}

#[test]
fn handshakes_are_counted_by_how_they_end() {
    let authority = Authority::new();
    let broker = monitored(&authority);
    let told = |under_way, done, resumed, failed| {
        let told = json(&ask(&broker, &authority, "/varz"));
        let counts = ["under_way", "done", "resumed", "failed"];
        let counts = counts.map(|name| told["tls_handshakes"][name].as_u64());
        counts == [under_way, done, resumed, failed].map(Some)
    };
    let varz = json(&ask(&broker, &authority, "/varz"));
    assert!(
        varz["tls_handshakes"].is_null(),
        "monitoring does not count"
    );
    let paper = authority.client_paper("a");
    let mut config = (*authority.client(Some(&paper))).clone();
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let join = || {
        let mut client = Secure::connect(broker.addr(), &config).expect("a handshake");
        client.introduce("");
        client
    };
    let first = join();
    assert!(told(0, 1, 0, 0));
    let second = join();
    assert!(told(0, 2, 1, 0));
    // One that begins, and leaves it at that.
    let mut stream = dial(broker.addr());
    clear_line(&stream);
    stream.write_all(b"\x16\x03\x01").expect("it reads");
    while !told(1, 2, 1, 0) {
        std::thread::yield_now();
    }
    drop(stream);
    while !told(0, 2, 1, 1) {
        std::thread::yield_now();
    }
    // In clear there is none to count.
    let plain = Raw::join(broker.addr());
    drop((first, second, plain));
    assert!(told(0, 2, 1, 1));
    let metrics = ask(&broker, &authority, "/metrics");
    for expected in ["under_way 0", "done 2", "resumed 1", "failed 1"] {
        let (name, number) = expected.split_once(' ').expect("a name and a number");
        let name = format!("midge_tls_handshakes_{name}{{");
        let line = metrics.lines().find(|line| line.starts_with(&name));
        let line = line.expect("it is one of the metrics");
        assert!(line.ends_with(&format!(" {number}")), "{line}");
    }
}

#[test]
fn a_handshake_whose_last_words_come_with_a_forged_record_is_counted_once() {
    let authority = Authority::new();
    let broker = monitored(&authority);
    let paper = authority.client_paper("a");
    let name = ServerName::try_from(NAME).expect("it is a name");
    let session = ClientConnection::new(authority.client(Some(&paper)), name);
    let mut session = session.expect("all is in order");
    let mut stream = dial(broker.addr());
    clear_line(&stream);
    session.write_tls(&mut stream).expect("the broker reads");
    while session.is_handshaking() {
        session.read_tls(&mut stream).expect("the broker answers");
        session.process_new_packets().expect("it is right");
    }
    // Data stands between the two.
    let said = session.writer().write_all(b"CONNECT {}\r\n");
    said.expect("it is short");
    let mut wire = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut wire).expect("it is in memory");
    }
    wire.extend(b"\x17\x03\x03\0\x28");
    wire.extend([9; 40]);
    stream.write_all(&wire).expect("the broker reads");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it ends");
    assert!(!rest.is_empty(), "an alert comes");
    drop(stream);
    let mut told = Value::Null;
    while told["connections"][0].is_null() {
        told = json(&ask(&broker, &authority, "/connz?state=closed"));
    }
    assert_eq!(told["connections"][0]["reason"], "TLS Handshake Failure");
    let told = json(&ask(&broker, &authority, "/varz"));
    let counts = ["under_way", "done", "failed"];
    let counts = counts.map(|name| told["tls_handshakes"][name].as_u64());
    assert_eq!(counts, [Some(0), Some(0), Some(1)]);
}
