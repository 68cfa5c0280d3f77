//! TLS of a listener's own, and headers of proxies before it.

use super::{Listener, Running, at, connz, listener, settings};
use crate::raw::{Raw, start};
use crate::tls::papers::{Authority, NAME, Secure, clear_line, dial};
use midge::{Config, HandshakeFirst, Network, ProxyProtocol, Tls};
use std::io::Write;

fn broker(tls: Tls, proxy_protocol: Option<ProxyProtocol>) -> Running {
    start(Config {
        listeners: vec![Listener {
            tls: Some(tls),
            proxy_protocol,
            ..listener("public", Some("ann"))
        }],
        ..settings()
    })
}

#[test]
fn a_listener_has_tls_where_the_servers_own_has_none() {
    let authority = Authority::new();
    let broker = broker(authority.tls(), None);
    let stream = dial(at(&broker, "public"));
    let info = clear_line(&stream);
    assert!(info.contains(r#""tls_required":true"#), "{info}");
    let client = authority.client(None);
    let mut client = Secure::over(stream, &client, NAME).expect("a handshake");
    client.introduce("");
    let mut plain = Raw::dial(broker.addr()).expect("it listens");
    let info = plain.line().expect("it is greeted");
    assert!(!info.contains("tls_required"), "{info}");
}

#[test]
fn the_header_of_a_proxy_comes_before_the_handshake_whoever_speaks_first() {
    let authority = Authority::new();
    for handshake_first in [HandshakeFirst::No, HandshakeFirst::Yes] {
        let tls = Tls {
            handshake_first,
            ..authority.tls()
        };
        let trusted = vec![Network::parse("127.0.0.1").expect("an address")];
        let proxy_protocol = Some(ProxyProtocol {
            trusted,
            ..ProxyProtocol::default()
        });
        let broker = broker(tls, proxy_protocol);
        let mut stream = dial(at(&broker, "public"));
        stream
            .write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 51324 4222\r\n")
            .expect("it reads");
        if handshake_first == HandshakeFirst::No {
            let info = clear_line(&stream);
            assert!(info.contains(r#""client_ip":"192.0.2.7""#), "{info}");
        }
        let client = authority.client(None);
        let mut client = Secure::over(stream, &client, NAME).expect("a handshake");
        if handshake_first == HandshakeFirst::Yes {
            assert!(client.line().contains(r#""client_ip":"192.0.2.7""#));
        }
        client.introduce("");
        let told = connz(&broker, "");
        assert_eq!(told[0]["ip"], "192.0.2.7");
        assert_eq!(told[0]["listener"], "public");
        assert!(told[0]["tls_version"].is_string());
    }
}
