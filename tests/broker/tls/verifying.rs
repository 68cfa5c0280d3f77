//! Whose certificate is good enough.

use super::papers::{Authority, Paper, Secure, clear_line, dial, pin, with};
use crate::raw::{Raw, start};
use midge::{Auth, Config, Proof, Running, Tls, User};
use std::collections::BTreeSet;

/// Whether a client that shows this is let in. With TLS 1.3 it learns of a refusal with the first read only.
fn is_welcome(broker: &Running, authority: &Authority, paper: Option<&Paper>) -> bool {
    let made = Secure::connect(broker.addr(), &authority.client(paper));
    made.is_ok_and(|mut client| {
        client.say("CONNECT {\"verbose\":false}\r\nPING\r\n");
        client.try_line().is_ok_and(|line| line == "PONG")
    })
}

#[test]
fn a_client_must_show_a_certificate_of_the_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let broker = start(with(authority.mutual()));
    let info = clear_line(&dial(broker.addr()));
    assert!(info.contains(r#""tls_required":true,"tls_verify":true"#));
    let good = authority.client_paper("a");
    assert!(is_welcome(&broker, &authority, Some(&good)));
    assert!(!is_welcome(&broker, &authority, None));
    let stranger = other.client_paper("a");
    assert!(!is_welcome(&broker, &authority, Some(&stranger)));
    // Nor is one that is for servers.
    let server = authority.paper("a");
    assert!(!is_welcome(&broker, &authority, Some(&server)));
    let expired = authority.paper_until("a", 2001);
    assert!(!is_welcome(&broker, &authority, Some(&expired)));
}

#[test]
fn an_authority_alone_demands_nothing() {
    let authority = Authority::new();
    let broker = start(with(Tls {
        verify: false,
        ..authority.mutual()
    }));
    assert!(is_welcome(&broker, &authority, None));
}

#[test]
fn a_key_may_have_to_be_listed_besides() {
    let authority = Authority::new();
    let (listed, other) = (authority.client_paper("a"), authority.client_paper("b"));
    let broker = start(with(Tls {
        pinned_certs: BTreeSet::from([pin(&listed)]),
        ..authority.mutual()
    }));
    assert!(is_welcome(&broker, &authority, Some(&listed)));
    assert!(!is_welcome(&broker, &authority, Some(&other)));
}

#[test]
fn a_certificate_tells_which_user_a_client_is() {
    let authority = Authority::new();
    let user = |name: &str, pass: &str| User {
        name: name.to_owned(),
        proof: Proof::Password(pass.into()),
        ..User::default()
    };
    let users = vec![
        user("ann@acme.test", ""),
        user("O=Acme, CN=somebody", ""),
        user("guarded@acme.test", "secret"),
    ];
    let broker = |allow_non_tls| {
        start(Config {
            allow_non_tls,
            auth: Auth::Users {
                users: users.clone().into(),
                token: None,
            },
            ..with(Tls {
                verify_and_map: true,
                ..authority.mutual()
            })
        })
    };
    let mapped = broker(false);
    let info = clear_line(&dial(mapped.addr()));
    assert!(info.contains(r#""auth_required":true"#), "{info}");
    for (name, fields, expected) in [
        ("ann@acme.test", "", "PONG"),
        // The name in `CONNECT` is nothing against the one in the certificate.
        ("ann@acme.test", r#","user":"guarded@acme.test""#, "PONG"),
        (
            "ann@acme.test",
            r#","pass":"x""#,
            "-ERR 'Authorization Violation'",
        ),
        // Only the subject names a user.
        ("nobody@acme.test", "", "PONG"),
        ("guarded@acme.test", "", "-ERR 'Authorization Violation'"),
        ("guarded@acme.test", r#","pass":"secret""#, "PONG"),
    ] {
        let config = authority.client(Some(&authority.client_mail(name)));
        let mut client = Secure::connect(mapped.addr(), &config).expect("a handshake");
        client.say(&format!(
            "CONNECT {{\"verbose\":false{fields}}}\r\nPING\r\n"
        ));
        assert_eq!(client.line(), expected, "{name} {fields}");
    }
    // One that speaks in clear has no certificate, whatever it says.
    let both = broker(true);
    let mut plain = Raw::connect(both.addr());
    plain.send(b"CONNECT {\"user\":\"guarded@acme.test\",\"pass\":\"secret\"}\r\n");
    let told = plain.line();
    assert_eq!(told.as_deref(), Some("-ERR 'Authorization Violation'"));
}
