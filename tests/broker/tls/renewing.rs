//! Certificates that are renewed while the broker runs.

use super::papers::{Authority, NAME, Secure, clear_line, dial, pin, with};
use crate::raw::start;
use midge::{Running, Tls};
use midge_reactor::tls::rustls::pki_types::CertificateDer;
use midge_reactor::tls::rustls::pki_types::pem::PemObject;
use std::collections::BTreeSet;

/// Whether the broker shows this certificate now.
fn shows(broker: &Running, authority: &Authority, certificate: &str) -> bool {
    let wanted = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is one");
    let client = Secure::connect(broker.addr(), &authority.client(None)).expect("a handshake");
    let shown = client.session().peer_certificates().expect("it shows one");
    shown[0] == wanted
}

#[test]
fn a_file_that_changes_is_taken_up_by_itself_and_those_who_are_there_stay() {
    let authority = Authority::new();
    let (former, new) = (authority.paper(NAME), authority.paper(NAME));
    authority.show(&former);
    let broker = start(with(authority.tls()));
    let mut client = Secure::connect(broker.addr(), &authority.client(None)).expect("a handshake");
    client.introduce("");
    assert!(shows(&broker, &authority, &former.certificate));
    // In the wrong order, so that the two do not belong together for a while.
    authority.write("cert.pem", &new.certificate);
    assert!(shows(&broker, &authority, &former.certificate));
    authority.write("key.pem", &new.key);
    while !shows(&broker, &authority, &new.certificate) {
        std::thread::yield_now();
    }
    client.say("PING\r\n");
    assert_eq!(client.line(), "PONG");
}

#[test]
fn new_settings_show_new_files_at_once() {
    let authority = Authority::new();
    let (former, new) = (authority.paper(NAME), authority.paper(NAME));
    authority.show(&former);
    let broker = start(with(authority.tls()));
    assert!(shows(&broker, &authority, &former.certificate));
    authority.show(&new);
    let reloaded = broker.handle().reload(with(authority.tls()));
    reloaded.expect("they are good");
    assert!(shows(&broker, &authority, &new.certificate));
    // What cannot be used changes nothing.
    authority.write("key.pem", "nothing");
    let refused = broker.handle().reload(with(authority.tls()));
    let text = refused.expect_err("there is no key").to_string();
    assert!(text.contains("key.pem: no private key"), "{text}");
    assert!(shows(&broker, &authority, &new.certificate));
}

#[test]
fn tls_can_be_switched_on_and_off_for_those_who_come() {
    let authority = Authority::new();
    let broker = start(crate::raw::config());
    let mut plain = crate::raw::Raw::join(broker.addr());
    let reload = |config| broker.handle().reload(config).expect("it is good");
    reload(with(authority.tls()));
    assert!(clear_line(&dial(broker.addr())).contains("tls_required"));
    plain.sync();
    reload(crate::raw::config());
    let mut other = crate::raw::Raw::join(broker.addr());
    other.sync();
}

#[test]
fn clients_whose_keys_are_listed_no_longer_are_closed_by_a_reload() {
    let authority = Authority::new();
    let (one, other) = (authority.client_paper("a"), authority.client_paper("b"));
    let pinned = |papers: &[_]| {
        with(Tls {
            pinned_certs: papers.iter().copied().map(pin).collect::<BTreeSet<_>>(),
            ..authority.mutual()
        })
    };
    let broker = start(pinned(&[&one, &other]));
    let mut clients = [&one, &other].map(|paper| {
        let config = authority.client(Some(paper));
        let mut client = Secure::connect(broker.addr(), &config).expect("a handshake");
        client.introduce("");
        client
    });
    broker
        .handle()
        .reload(pinned(&[&other]))
        .expect("it is good");
    assert_eq!(clients[0].line(), "-ERR 'Authorization Violation'");
    clients[1].say("PING\r\n");
    assert_eq!(clients[1].line(), "PONG");
}
