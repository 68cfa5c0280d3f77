//! What the log tells of certificates, and that a reload shows new ones.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::process::{Broker, end_of, scratch, signal};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};

/// Writes a certificate that is good for this number of days, and its key.
fn write(directory: &Path, days: u64) {
    let key = KeyPair::generate().expect("ring makes keys");
    let mut params = CertificateParams::new(vec!["midge.test".to_owned()]).expect("a name");
    params.not_after = (SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60 + 60)).into();
    let certificate = params.self_signed(&key).expect("the key signs");
    fs::write(directory.join("cert.pem"), certificate.pem()).expect("a file of this test");
    fs::write(directory.join("key.pem"), key.serialize_pem()).expect("a file of this test");
}

/// The configuration file of a broker with the certificate in this directory.
fn configure(directory: &Path) -> String {
    let file = directory.join("midge.conf");
    let text = format!(
        "tls {{cert_file: {:?}, key_file: {:?}}}\n",
        directory.join("cert.pem"),
        directory.join("key.pem")
    );
    fs::write(&file, text).expect("a file of this test");
    file.display().to_string()
}

#[test]
fn the_end_of_a_certificate_is_told_and_warned_of() {
    for (days, warning) in [
        (100, None),
        (20, Some("[WRN] TLS certificate ")),
        (3, Some("[WRN] TLS certificate ")),
    ] {
        let directory = scratch(&format!("tls/ends-{days}"));
        write(&directory, days);
        let mut broker = Broker::start(&["-c", &configure(&directory)]);
        broker.position("[INF] TLS required for client connections");
        broker.position("cert.pem is valid until 2");
        assert_eq!(
            broker.count("[WRN] TLS certificate "),
            usize::from(warning.is_some()),
            "{days}"
        );
        if let Some(warning) = warning {
            let at = broker.position(warning);
            let ends = format!("ends in {days} days");
            assert!(broker.lines[at].contains(&ends), "{}", broker.lines[at]);
        }
    }
}

#[test]
fn a_certificate_that_clients_refuse_is_told_by_a_test_and_at_the_start() {
    for (name, [from, until], said) in [
        (
            "ended",
            [2001, 2002],
            "cert.pem has ended at 2002-01-01T00:00:00Z; renew it",
        ),
        (
            "early",
            [4001, 4002],
            "cert.pem is not valid before 4001-01-01T00:00:00Z; ",
        ),
    ] {
        let directory = scratch(&format!("tls/{name}"));
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::new(vec!["midge.test".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).expect("the key signs");
        fs::write(directory.join("cert.pem"), certificate.pem()).expect("a file of this test");
        fs::write(directory.join("key.pem"), key.serialize_pem()).expect("a file of this test");
        let file = configure(&directory);
        let done = end_of(&["-t", "-c", &file]);
        assert!(done.code == Some(1) && done.err.contains(said), "{done:?}");
        let done = end_of(&["check", &file]);
        assert!(done.code == Some(0) && done.out.contains(said), "{done:?}");
        let mut broker = Broker::start(&["-c", &file]);
        let at = broker.position("[ERR] TLS certificate ");
        assert!(broker.lines[at].contains(said), "{}", broker.lines[at]);
    }
}

#[test]
fn a_reload_reads_the_files_again_and_refuses_what_cannot_be_used() {
    let directory = scratch("tls/reload");
    write(&directory, 100);
    let file = configure(&directory);
    let mut broker = Broker::start(&["-c", &file]);
    let reload = |broker: &mut Broker, last: &str| {
        broker.lines.clear();
        signal(broker.child.id(), "HUP");
        broker.position(last);
    };
    // Nothing has changed, and nothing is told.
    reload(&mut broker, "[INF] Reloaded server configuration");
    assert_eq!(broker.count("TLS"), 0, "{:?}", broker.lines);
    write(&directory, 200);
    reload(&mut broker, "[INF] Reloaded server configuration");
    assert_eq!(broker.count("cert.pem was read again: is valid until 2"), 1);
    fs::write(directory.join("key.pem"), "nothing").expect("a file of this test");
    let refused = "[ERR] Failed to reload server configuration: ";
    reload(&mut broker, refused);
    assert_eq!(
        broker.count("key.pem: no private key"),
        1,
        "{:?}",
        broker.lines
    );
    let end = end_of(&["-t", "-c", &file]);
    assert!(end.err.contains("key.pem: no private key"), "{end:?}");
    assert_eq!(end.code, Some(1));
}

#[test]
fn digest_tells_what_pinned_certs_wants_of_each_certificate() {
    let directory = scratch("tls/digest");
    let make = |name: &str| {
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::new(vec!["midge.test".to_owned()]).expect("a name");
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            let name = format!("{name}\u{1b}[2J");
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationName, "Acme");
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
        }
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&key).expect("the key signs");
        let digest = ring::digest::digest(&ring::digest::SHA256, &key.subject_public_key_info());
        let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
        (certificate.pem(), key.serialize_pem(), digest)
    };
    let (ann, bob) = (make("ann"), make(""));
    let file = |name: &str, text: &str| {
        let file = directory.join(name);
        fs::write(&file, text).expect("a file of this test");
        file.display().to_string()
    };
    let both = file("both.pem", &[&*ann.0, &*ann.1, &*bob.0].concat());
    let one = file("one.pem", &bob.0);
    let key = file("key.pem", &ann.1);
    let end = "until 2031-02-03T00:00:00Z";
    let of_bob = format!("{}  {end}  no subject\n", bob.2);
    let of_both = format!("{}  {end}  CN=ann?[2J,O=Acme\n{of_bob}", ann.2);
    let done = end_of(&["digest", &both]);
    assert_eq!(
        (done.code, &done.out, &*done.err),
        (Some(0), &of_both, ""),
        "{done:?}"
    );
    // What is good is told, and what is not is complained of.
    let done = end_of(&["digest", &both, &key, &one, "/nowhere"]);
    assert_eq!(done.out, format!("{both}:\n{of_both}{one}:\n{of_bob}"));
    let complaint = format!(
        "midge digest: {key}: no certificate; it must hold BEGIN CERTIFICATE\n\
         midge digest: /nowhere: no such file or directory\n"
    );
    assert_eq!((done.code, done.err), (Some(1), complaint));
    for (args, expected) in [
        (&["digest"][..], "name a PEM file with certificates; "),
        (&["digest", "-x", &one], "there is no flag -x; "),
    ] {
        let done = end_of(args);
        assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
        assert!(done.err.contains(expected), "{done:?}");
    }
    // The broker takes the digest for what it is.
    let config = directory.join("midge.conf");
    let text = format!(
        "tls {{cert_file: {one:?}, key_file: {:?}, ca_file: {one:?}, verify: true, pinned_certs: [\"{}\"]}}\n",
        file("bob.key", &bob.1),
        bob.2
    );
    fs::write(&config, text).expect("a file of this test");
    let done = end_of(&["-t", "-c", &config.display().to_string()]);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn a_default_user_that_never_applies_is_warned_of_by_a_test_and_at_the_start() {
    let directory = scratch("tls/unused");
    write(&directory, 100);
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let file = directory.join("midge.conf");
    let text = format!(
        "tls {{cert_file: {cert:?}, key_file: {key:?}, ca_file: {cert:?}, verify_and_map: true}}
         authorization {{users: [{{user: ann, password: a}}]}}
         no_auth_user: ann\n"
    );
    fs::write(&file, text).expect("a file of this test");
    let file = file.display().to_string();
    let line = "no_auth_user \"ann\" never applies: verify_and_map goes first";
    let end = end_of(&["-t", "-c", &file]);
    assert!(end.err.contains(line) && end.code == Some(0), "{end:?}");
    let mut broker = Broker::start(&["-c", &file]);
    broker.position(&format!("[WRN] {line}"));
    // A reload that leaves it so says nothing of it.
    broker.lines.clear();
    signal(broker.child.id(), "HUP");
    broker.position("[INF] Reloaded server configuration");
    assert_eq!(broker.count(line), 0, "{:?}", broker.lines);
}
