//! Settings of TLS that change while a client is between its connect and its first word.

use super::papers::{Authority, NAME, Secure, clear_line, dial, with};
use crate::raw::{PATIENCE, config, start};
use midge::{Auth, Config, HandshakeFirst, Proof, Running, Tls, User};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A broker that waits for clients to begin the handshake, and one that has connected and says nothing.
fn waiting(authority: &Authority) -> (Running, TcpStream) {
    let broker = start(with(Tls {
        handshake_first: HandshakeFirst::Within(PATIENCE),
        ..authority.tls()
    }));
    let stream = dial(broker.addr());
    // Who comes later is served later: now the first one is known to be there.
    let made = Secure::over(dial(broker.addr()), &authority.client(None), NAME);
    assert!(made.expect("a handshake").line().starts_with("INFO "));
    (broker, stream)
}

fn reload(broker: &Running, config: Config) {
    broker.handle().reload(config).expect("it is good");
}

/// Says `CONNECT` in clear, and is answered.
fn converse_in_clear(mut stream: TcpStream) {
    let words = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
    stream.write_all(words).expect("it reads");
    assert_eq!(clear_line(&stream), "PONG");
}

#[test]
fn one_that_waits_is_greeted_in_clear_when_tls_is_switched_off() {
    let authority = Authority::new();
    let (broker, stream) = waiting(&authority);
    reload(&broker, config());
    let info = clear_line(&stream);
    assert!(
        info.starts_with("INFO ") && !info.contains("tls_"),
        "{info}"
    );
    converse_in_clear(stream);
}

#[test]
fn one_that_waits_is_greeted_when_both_kinds_become_welcome() {
    let authority = Authority::new();
    let both = || Config {
        allow_non_tls: true,
        ..with(Tls {
            handshake_first: HandshakeFirst::Within(PATIENCE),
            ..authority.tls()
        })
    };
    let (broker, stream) = waiting(&authority);
    reload(&broker, both());
    assert!(clear_line(&stream).contains(r#""tls_available":true"#));
    converse_in_clear(stream);
    let (broker, stream) = waiting(&authority);
    reload(&broker, both());
    assert!(clear_line(&stream).contains(r#""tls_available":true"#));
    let made = Secure::over(stream, &authority.client(None), NAME);
    made.expect("a handshake").introduce("");
}

#[test]
fn one_that_waits_is_greeted_when_info_comes_first_again() {
    let authority = Authority::new();
    let (broker, stream) = waiting(&authority);
    reload(&broker, with(authority.tls()));
    assert!(clear_line(&stream).contains(r#""tls_required":true"#));
    let made = Secure::over(stream, &authority.client(None), NAME);
    made.expect("a handshake").introduce("");
}

#[test]
fn one_that_waits_hears_nothing_when_the_handshake_must_come_first() {
    let authority = Authority::new();
    let (broker, mut stream) = waiting(&authority);
    reload(
        &broker,
        with(Tls {
            handshake_first: HandshakeFirst::Yes,
            timeout: 50 * MILLISECOND,
            ..authority.tls()
        }),
    );
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert_eq!(said, b"");
}

#[test]
fn one_that_waits_goes_on_waiting_where_it_still_may() {
    let authority = Authority::new();
    let (broker, stream) = waiting(&authority);
    reload(
        &broker,
        with(Tls {
            handshake_first: HandshakeFirst::Within(MILLISECOND),
            ..authority.tls()
        }),
    );
    let made = Secure::over(stream, &authority.client(None), NAME);
    assert!(made.expect("a handshake").line().starts_with("INFO "));
}

#[test]
fn who_was_told_of_tls_may_speak_as_it_was_told() {
    let authority = Authority::new();
    let both = || Config {
        allow_non_tls: true,
        ..with(authority.tls())
    };
    let greeted = |broker: &Running| {
        let stream = dial(broker.addr());
        assert!(clear_line(&stream).contains(r#""tls_available":true"#));
        stream
    };
    // Without TLS no handshake can be made.
    let broker = start(both());
    let (mut stream, plain) = (greeted(&broker), greeted(&broker));
    reload(&broker, config());
    stream.write_all(b"\x16").expect("it reads");
    assert_eq!(clear_line(&stream), "-ERR 'Unknown Protocol Operation'");
    converse_in_clear(plain);
    // With TLS there is, and who heard that it may do without does without.
    let broker = start(both());
    let (stream, plain) = (greeted(&broker), greeted(&broker));
    reload(&broker, with(authority.tls()));
    let made = Secure::over(stream, &authority.client(None), NAME);
    made.expect("a handshake").introduce("");
    converse_in_clear(plain);
}

#[test]
fn a_handshake_that_has_begun_goes_on_without_the_settings_that_began_it() {
    let authority = Authority::new();
    for handshake_first in [HandshakeFirst::No, HandshakeFirst::Yes] {
        let broker = start(with(Tls {
            handshake_first,
            ..authority.tls()
        }));
        let stream = dial(broker.addr());
        let is_greeted = handshake_first == HandshakeFirst::No;
        if is_greeted {
            clear_line(&stream);
        } else {
            let made = Secure::over(dial(broker.addr()), &authority.client(None), NAME);
            made.expect("a handshake").line();
        }
        reload(&broker, config());
        let made = Secure::over(stream, &authority.client(None), NAME);
        let mut client = made.expect("a handshake");
        if !is_greeted {
            assert!(client.line().starts_with("INFO "));
        }
        client.introduce("");
    }
}

#[test]
fn whose_certificate_is_no_user_goes_when_certificates_begin_to_tell_who_clients_are() {
    let authority = Authority::new();
    let user = |name: &str, pass: &str| User {
        name: name.to_owned(),
        proof: Proof::Password(pass.into()),
        ..User::default()
    };
    let settings = |verify_and_map| Config {
        auth: Auth::Users {
            users: vec![user("ann@acme.test", ""), user("bob", "b")].into(),
            token: None,
        },
        ..with(Tls {
            verify_and_map,
            ..authority.mutual()
        })
    };
    let broker = start(settings(false));
    let join = |mail: &str, fields: &str| {
        let config = authority.client(Some(&authority.client_mail(mail)));
        let mut client = Secure::connect(broker.addr(), &config).expect("a handshake");
        client.introduce(fields);
        client
    };
    let mut ann = join("ann@acme.test", r#","user":"ann@acme.test""#);
    let mut another = join("eve@acme.test", r#","user":"ann@acme.test""#);
    let mut bob = join("ann@acme.test", r#","user":"bob","pass":"b""#);
    // It has made its handshake, and said nothing yet.
    let config = authority.client(Some(&authority.client_mail("ann@acme.test")));
    let mut late = Secure::connect(broker.addr(), &config).expect("a handshake");
    reload(&broker, settings(true));
    for gone in [&mut another, &mut bob] {
        assert_eq!(gone.line(), "-ERR 'Authorization Violation'");
    }
    late.introduce("");
    ann.say("PING\r\n");
    assert_eq!(ann.line(), "PONG");
    // And a client with a certificate stays when that counts no longer, as it might come in again.
    reload(&broker, settings(false));
    ann.say("PING\r\n");
    assert_eq!(ann.line(), "PONG");
}
