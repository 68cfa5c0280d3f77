//! Who speaks first, and when the handshake is given up.

use super::papers::{Authority, Secure, clear_line, dial, with};
use crate::raw::{Raw, start};
use midge::{Auth, CertFiles, Config, HandshakeFirst, Tls, TlsVersion};
use midge_reactor::tls::rustls::ProtocolVersion;
use midge_reactor::tls::rustls::client::Resumption;
use midge_reactor::tls::rustls::{self, HandshakeKind};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// All that is said up to the end.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut said);
    said
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn info_comes_in_clear_and_the_conversation_after_the_handshake() {
    let authority = Authority::new();
    let broker = start(with(authority.tls()));
    let stream = dial(broker.addr());
    let info = clear_line(&stream);
    assert!(info.contains(r#""tls_required":true"#), "{info}");
    assert!(!info.contains("tls_verify") && !info.contains("tls_available"));
    let client = authority.client(None);
    let mut client = Secure::over(stream, &client, super::papers::NAME).expect("a handshake");
    client.introduce("");
    client.say("SUB a 1\r\nPUB a 2\r\nhi\r\n");
    assert_eq!([client.line(), client.line()], ["MSG a 1 2", "hi"]);
}

#[test]
fn what_is_long_passes_whole_in_both_directions() {
    let authority = Authority::new();
    let broker = start(with(authority.tls()));
    let mut client = Secure::connect(broker.addr(), &authority.client(None)).expect("a handshake");
    client.introduce("");
    let payload = "0123456789abcdef".repeat(60_000);
    client.say("SUB a 1\r\n");
    for _ in 0..4 {
        client.say(&format!("PUB a {}\r\n{payload}\r\n", payload.len()));
    }
    for _ in 0..4 {
        assert_eq!(client.line(), format!("MSG a 1 {}", payload.len()));
        assert!(client.line() == payload);
    }
}

#[test]
fn both_versions_are_spoken_and_an_old_one_can_be_refused() {
    let authority = Authority::new();
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = midge_reactor::tls::roots(authority.pem.as_bytes()).expect("it is one");
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("it is one");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    };
    let (old, new) = (
        client(&[&rustls::version::TLS12]),
        client(&[&rustls::version::TLS13]),
    );
    let broker = start(with(authority.tls()));
    for (config, version) in [
        (&old, ProtocolVersion::TLSv1_2),
        (&new, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = Secure::connect(broker.addr(), config).expect("a handshake");
        assert_eq!(client.session().protocol_version(), Some(version));
        client.introduce("");
    }
    let broker = start(with(Tls {
        min_version: TlsVersion::V1_3,
        ..authority.tls()
    }));
    assert!(Secure::connect(broker.addr(), &old).is_err());
    assert!(Secure::connect(broker.addr(), &new).is_ok());
}

#[test]
fn one_who_speaks_in_clear_is_closed_without_a_word() {
    let authority = Authority::new();
    let broker = start(with(authority.tls()));
    let mut stream = dial(broker.addr());
    clear_line(&stream);
    stream
        .write_all(b"CONNECT {}\r\nPING\r\n")
        .expect("it reads");
    assert_eq!(rest(&stream), b"");
}

#[test]
fn one_who_says_nothing_is_closed_when_the_time_is_over() {
    let authority = Authority::new();
    let tls = Tls {
        timeout: 50 * MILLISECOND,
        ..authority.tls()
    };
    for handshake_first in [HandshakeFirst::No, HandshakeFirst::Yes] {
        let broker = start(with(Tls {
            handshake_first,
            ..tls.clone()
        }));
        let stream = dial(broker.addr());
        if handshake_first == HandshakeFirst::No {
            clear_line(&stream);
        }
        assert_eq!(rest(&stream), b"");
    }
}

#[test]
fn the_handshake_may_come_first_and_then_info_travels_inside() {
    let authority = Authority::new();
    let broker = start(with(Tls {
        handshake_first: HandshakeFirst::Yes,
        ..authority.tls()
    }));
    let stream = dial(broker.addr());
    let client = authority.client(None);
    let mut client = Secure::over(stream, &client, super::papers::NAME).expect("a handshake");
    let info = client.line();
    assert!(info.starts_with("INFO ") && info.contains(r#""tls_required":true"#));
    client.introduce("");
}

#[test]
fn one_who_may_begin_by_himself_and_does_not_gets_info_in_clear() {
    let authority = Authority::new();
    let within = |delay| {
        start(with(Tls {
            handshake_first: HandshakeFirst::Within(delay),
            ..authority.tls()
        }))
    };
    let config = authority.client(None);
    let broker = within(50 * MILLISECOND);
    let mut client = Secure::connect(broker.addr(), &config).expect("a handshake");
    client.introduce("");
    // However long the others may take.
    let broker = within(crate::raw::PATIENCE);
    let stream = dial(broker.addr());
    let mut client = Secure::over(stream, &config, super::papers::NAME).expect("a handshake");
    assert!(client.line().starts_with("INFO "));
    client.introduce("");
    let mut stream = dial(broker.addr());
    stream.write_all(b"CONNECT {}\r\n").expect("it reads");
    let said = rest(&stream);
    assert!(!said.starts_with(b"INFO"), "{said:?}");
}

#[test]
fn both_kinds_of_clients_may_be_welcome() {
    let authority = Authority::new();
    let broker = start(Config {
        allow_non_tls: true,
        ..with(authority.mutual())
    });
    let stream = dial(broker.addr());
    let info = clear_line(&stream);
    assert!(info.contains(r#""tls_available":true"#), "{info}");
    assert!(info.contains(r#""tls_verify":true"#) && !info.contains("tls_required"));
    let paper = authority.client_paper("a");
    let client = authority.client(Some(&paper));
    let mut client = Secure::over(stream, &client, super::papers::NAME).expect("a handshake");
    client.introduce("");
    client.say("SUB a 1\r\nPING\r\n");
    assert_eq!(client.line(), "PONG");
    let mut plain = Raw::join(broker.addr());
    plain.publish("a", b"hi");
    assert_eq!([client.line(), client.line()], ["MSG a 1 2", "hi"]);
    // One byte is enough to see that it is none of TLS.
    let mut slow = Raw::connect(broker.addr());
    slow.send(b"x");
    let refused = slow.line();
    assert_eq!(
        refused.as_deref(),
        Some("-ERR 'Unknown Protocol Operation'")
    );
}

#[test]
fn the_time_for_connect_begins_after_the_handshake() {
    let authority = Authority::new();
    for handshake_first in [HandshakeFirst::No, HandshakeFirst::Yes] {
        let broker = start(Config {
            auth: Auth::Token("secret".into()),
            auth_timeout: Some(50 * MILLISECOND),
            ..with(Tls {
                handshake_first,
                ..authority.tls()
            })
        });
        let stream = dial(broker.addr());
        if handshake_first == HandshakeFirst::No {
            clear_line(&stream);
        }
        // Another client that comes meanwhile is late; this one has the whole time of the handshake.
        let mut other = authority_client(&authority, &broker, handshake_first);
        assert_eq!(other.line(), "-ERR 'Authentication Timeout'");
        let client = authority.client(None);
        let mut client = Secure::over(stream, &client, super::papers::NAME).expect("a handshake");
        if handshake_first == HandshakeFirst::Yes {
            client.line();
        }
        assert_eq!(client.line(), "-ERR 'Authentication Timeout'");
    }
}

/// A client that has got `INFO` and says nothing.
fn authority_client(
    authority: &Authority,
    broker: &midge::Running,
    handshake_first: HandshakeFirst,
) -> Secure {
    let config = authority.client(None);
    match handshake_first {
        HandshakeFirst::No => Secure::connect(broker.addr(), &config).expect("a handshake"),
        _ => {
            let stream = dial(broker.addr());
            let made = Secure::over(stream, &config, super::papers::NAME);
            let mut client = made.expect("a handshake");
            client.line();
            client
        }
    }
}

#[test]
fn more_handshakes_in_a_second_than_may_are_refused_in_clear() {
    let authority = Authority::new();
    let broker = start(with(Tls {
        connection_rate_limit: Some(2),
        ..authority.tls()
    }));
    // Those that may begin one hear nothing behind INFO. However slow they come, some time three are there in a second.
    let mut waiting: Vec<TcpStream> = Vec::new();
    let said = loop {
        let stream = dial(broker.addr());
        assert!(clear_line(&stream).starts_with("INFO "));
        stream.set_nonblocking(true).expect("it is open");
        waiting.push(stream);
        assert!(waiting.len() < 500, "none is refused");
        let has_said = |stream: &&TcpStream| matches!(stream.peek(&mut [0]), Ok(1));
        if let Some(stream) = waiting.iter().find(has_said) {
            stream.set_nonblocking(false).expect("it is open");
            break String::from_utf8(rest(stream)).expect("it is text");
        }
    };
    assert!(waiting.len() > 2, "{}", waiting.len());
    assert_eq!(
        said,
        "-ERR 'Connection throttling is active. Please try again later.'\r\n"
    );
    // In another second one may begin again.
    while Secure::connect(broker.addr(), &authority.client(None)).is_err() {}
}

#[test]
fn of_several_certificates_the_one_for_the_name_is_shown() {
    let authority = Authority::new();
    let files = |name: &str| {
        let paper = authority.paper(name);
        CertFiles {
            cert_file: authority.write(&format!("{name}.pem"), &paper.certificate),
            key_file: authority.write(&format!("{name}.key"), &paper.key),
        }
    };
    let broker = start(with(Tls {
        certs: vec![files("one.test"), files("two.test")],
        ..authority.tls()
    }));
    let config = authority.client(None);
    for name in ["two.test", "one.test"] {
        let stream = dial(broker.addr());
        clear_line(&stream);
        let mut client = Secure::over(stream, &config, name).expect(name);
        client.introduce("");
    }
    let stream = dial(broker.addr());
    clear_line(&stream);
    assert!(Secure::over(stream, &config, "three.test").is_err());
}

#[test]
fn a_session_is_taken_up_again_in_both_versions() {
    let authority = Authority::new();
    let broker = start(with(authority.mutual()));
    let paper = authority.client_paper("a");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = (*authority.client(Some(&paper))).clone();
        let (roots, resolver) = (
            midge_reactor::tls::roots(authority.pem.as_bytes()).expect("it is one"),
            Arc::clone(&config.client_auth_cert_resolver),
        );
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder
            .with_protocol_versions(&[version])
            .expect("it is one");
        let builder = builder.with_root_certificates(roots);
        config = builder.with_client_cert_resolver(resolver);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut client = Secure::connect(broker.addr(), &config).expect("a handshake");
                client.introduce("");
                client.session().handshake_kind()
            })
            .collect();
        assert_eq!(
            kinds,
            [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)],
            "{version:?}"
        );
    }
}
