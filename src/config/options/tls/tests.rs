//! The block `tls`.

use super::super::tests::{check, outcome};

#[test]
fn the_block_for_tls_sets_all_that_it_names() {
    const FILES: &str = "cert_file: c, key_file: k";
    let with = |rest: &str| outcome(&format!("tls {{{FILES}, {rest}}}"));
    let start = "tls={cert_file: c, key_file: k, ";
    for (rest, expected) in [
        (
            "timeout: 0.5",
            "verify: false, timeout: 500ms, min_version: 1.2}",
        ),
        (
            "timeout: \"3s\"",
            "verify: false, timeout: 3s, min_version: 1.2}",
        ),
        (
            "ca_file: ca, verify: true",
            "ca_file: ca, verify: true, timeout: 2s, min_version: 1.2}",
        ),
        (
            "min_version: \"1.3\"",
            "verify: false, timeout: 2s, min_version: 1.3}",
        ),
        (
            "verify_and_map: true",
            "verify: true, verify_and_map: true, timeout: 2s, min_version: 1.2}",
        ),
        (
            "connection_rate_limit: 7",
            "verify: false, timeout: 2s, min_version: 1.2, connection_rate_limit: 7}",
        ),
        (
            "handshake_first: true",
            "verify: false, timeout: 2s, min_version: 1.2, handshake_first: true}",
        ),
        (
            "first: auto",
            "verify: false, timeout: 2s, min_version: 1.2, handshake_first: 50ms}",
        ),
        (
            "immediate: \"300ms\"",
            "verify: false, timeout: 2s, min_version: 1.2, handshake_first: 300ms}",
        ),
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305, TLS_AES_128_GCM_SHA256]",
            "verify: false, timeout: 2s, min_version: 1.2, \
             cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256]}",
        ),
        (
            "curve_preferences: [curvep256, X25519]",
            "verify: false, timeout: 2s, min_version: 1.2, curve_preferences: [CurveP256, X25519]}",
        ),
    ] {
        // What follows from the timeout is another setting.
        let told = with(rest);
        let told = told.split_once("tls=").map_or(&*told, |(_, tls)| tls);
        assert_eq!(
            format!("tls={told}"),
            format!("{start}{expected}"),
            "{rest}"
        );
    }
    check(&[
        ("allow_non_tls: true", "allow_non_tls=true"),
        (
            "tls {certs: [{cert_file: a, key_file: b}, {cert_file: c, key_file: d}]}",
            "authorization timeout=3s tls={cert_file: a, key_file: b, cert_file: c, key_file: d, \
             verify: false, timeout: 2s, min_version: 1.2}",
        ),
        ("ocsp: false\nocsp_cache: false", ""),
        (
            "ocsp: {mode: auto}",
            "~f:1:1: \"ocsp\" has no effect: no answer of OCSP is sent along with a certificate; one with must-staple \
             would be refused by clients",
        ),
        ("https: \"127.0.0.1:1\"", "https_port=127.0.0.1:1"),
        ("https_port: -1", "https_port=-1"),
    ]);
}

#[test]
fn what_is_wrong_in_the_block_for_tls_is_told_where_it_stands() {
    let names = |what: &str| format!("error parsing tls config, {what}");
    for (rest, at, wrong) in [
        ("foo: 1", 6, names("unknown field \"foo\"")),
        (
            "cipher_suites: [FOO]",
            22,
            names("unrecognized cipher FOO; there are TLS_AES_256_GCM_SHA384"),
        ),
        (
            "cipher_suites: []",
            6,
            names("'cipher_suites' cannot be empty"),
        ),
        (
            "cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
            6,
            names("'cipher_suites' has none that midge has"),
        ),
        (
            "curve_preferences: [P-256]",
            26,
            names("unrecognized curve preference P-256"),
        ),
        (
            "min_version: \"1.1\"",
            6,
            names("unsupported TLS version: TLS 1.1"),
        ),
        (
            "min_version: 1.2",
            6,
            names("'min_version' wrong type: 1.2"),
        ),
        ("min_version: TLS1.3", 6, names("unknown version: TLS1.3")),
        (
            "handshake_first: bogus",
            6,
            names("field \"handshake_first\"'s value \"bogus\" is invalid"),
        ),
        (
            "pinned_certs: [abc]",
            21,
            "error parsing 'pinned_certs' key abc does not look like".to_owned(),
        ),
        (
            "timeout: true",
            6,
            "error parsing tls config, 'timeout' wrong type".to_owned(),
        ),
        ("timeout: 0", 6, "the tls timeout is 0 or less".to_owned()),
        (
            "key_file: a",
            1,
            "missing 'cert_file' in TLS configuration".to_owned(),
        ),
        (
            "verify_cert_and_check_known_urls: true",
            6,
            names("verify_cert_and_check_known_urls not supported in this context"),
        ),
        (
            "ocsp_peer: true",
            6,
            "\"ocsp_peer\" is not supported yet".to_owned(),
        ),
        (
            "cert_store: x",
            6,
            "\"cert_store\" is not supported yet".to_owned(),
        ),
    ] {
        let told = outcome(&format!("tls {{{rest}}}"));
        assert!(
            told.starts_with(&format!("f:1:{at}: {wrong}")),
            "{rest}: {told}"
        );
    }
    check(&[
        (
            "ocsp: {mode: always}",
            "f:1:1: \"ocsp\" is not supported yet: no answer of OCSP is sent along with a certificate; mode auto or never \
             is possible; remove it",
        ),
        (
            "ocsp: {mode: bogus}",
            "f:1:1: error parsing ocsp config: unsupported ocsp mode string; write auto or never",
        ),
        (
            "http: 1\nhttps: 2",
            "f:2:1: can't specify both HTTP (1) and HTTPs (2) ports; leave one of them out",
        ),
    ]);
}
