//! WebSocket over TLS: two layers on one connection.

use crate::http::Http;
use crate::raw::{Raw, config, start};
use crate::tls::papers::{Authority, NAME, Paper, Secure, dial};
use midge::{Auth, Config, Monitor, Proof, Running, Tls, User, WebSocket};
use midge_reactor::tls::rustls::pki_types::CertificateDer;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::pki_types::pem::PemObject;
use midge_reactor::tls::rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tungstenite::Message;

type Client = tungstenite::WebSocket<StreamOwned<ClientConnection, TcpStream>>;

/// Settings with this TLS for those who come by WebSocket, and none for the others.
fn with(tls: Tls) -> Config {
    Config {
        websocket: Some(WebSocket {
            host: "127.0.0.1".to_owned(),
            tls: Some(tls),
            ..WebSocket::default()
        }),
        ..config()
    }
}

fn secured(authority: &Authority) -> Running {
    start(with(authority.tls()))
}

fn session(authority: &Authority, paper: Option<&Paper>) -> ClientConnection {
    let name = ServerName::try_from(NAME).expect("a name");
    ClientConnection::new(authority.client(paper), name).expect("good settings")
}

/// A client that shows this, if it is welcome.
fn try_connect(broker: &Running, authority: &Authority, paper: Option<&Paper>) -> Option<Client> {
    let addr = broker.websocket_addr().expect("it listens");
    let stream = StreamOwned::new(session(authority, paper), dial(addr));
    let (client, _) = tungstenite::client(format!("ws://{NAME}/"), stream).ok()?;
    Some(client)
}

fn connect(broker: &Running, authority: &Authority) -> Client {
    try_connect(broker, authority, None).expect("it is welcome")
}

fn frame(client: &mut Client) -> String {
    match client.read().expect("something comes") {
        Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn say(client: &mut Client, text: String) {
    let message = Message::Binary(text.into_bytes().into());
    client.send(message).expect("it is open");
}

#[test]
fn messages_go_both_ways_over_tls_and_the_others_need_none() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut client = connect(&broker, &authority);
    let info = frame(&mut client);
    assert!(
        info.starts_with("INFO {") && !info.contains("tls_required"),
        "{info}"
    );
    say(
        &mut client,
        "CONNECT {\"verbose\":false}\r\nPING\r\n".to_owned(),
    );
    assert_eq!(frame(&mut client), "PONG\r\n");
    let payload = "0123456789abcdef".repeat(60_000);
    say(&mut client, "SUB a 1\r\n".to_owned());
    for _ in 0..3 {
        say(
            &mut client,
            format!("PUB a {}\r\n{payload}\r\n", payload.len()),
        );
    }
    let expected = format!("MSG a 1 {}\r\n{payload}\r\n", payload.len()).repeat(3);
    let mut got = String::new();
    while got.len() < expected.len() {
        got += &frame(&mut client);
    }
    assert!(got == expected);
    Raw::join(broker.addr()).leave();
}

#[test]
fn the_end_is_said_in_both_layers() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut client = connect(&broker, &authority);
    frame(&mut client);
    say(&mut client, "NONSENSE\r\n".to_owned());
    assert_eq!(frame(&mut client), "-ERR 'Unknown Protocol Operation'\r\n");
    let Message::Close(Some(close)) = client.read().expect("an end comes") else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(close.code), 1002);
    // The end of TLS stands behind it: without, this would be an error.
    let rest = client.get_mut().read_to_end(&mut Vec::new());
    assert_eq!(rest.expect("an orderly end"), 0);
}

#[test]
fn one_that_speaks_http_in_clear_is_closed_and_others_are_served() {
    let authority = Authority::new();
    let broker = secured(&authority);
    let mut stream = dial(broker.websocket_addr().expect("it listens"));
    stream
        .write_all(super::REQUEST.as_bytes())
        .expect("it is open");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 101"));
    frame(&mut connect(&broker, &authority));
}

#[test]
fn a_certificate_tells_which_user_a_client_is() {
    let authority = Authority::new();
    let user = User {
        name: "ann@acme.test".to_owned(),
        proof: Proof::Password("".into()),
        ..User::default()
    };
    let broker = start(Config {
        auth: Auth::Users {
            users: vec![user].into(),
            token: None,
        },
        ..with(Tls {
            verify_and_map: true,
            ..authority.mutual()
        })
    });
    for (name, expected) in [
        ("ann@acme.test", "PONG\r\n"),
        ("eve@acme.test", "-ERR 'Authorization Violation'\r\n"),
    ] {
        let paper = authority.client_mail(name);
        let client = try_connect(&broker, &authority, Some(&paper));
        let mut client = client.expect("the authority vouches for it");
        assert!(frame(&mut client).contains("\"auth_required\":true"));
        say(
            &mut client,
            "CONNECT {\"verbose\":false}\r\nPING\r\n".to_owned(),
        );
        assert_eq!(frame(&mut client), expected, "{name}");
    }
    assert!(try_connect(&broker, &authority, None).is_none());
}

#[test]
fn more_handshakes_in_a_second_than_may_are_closed_and_those_over_tcp_are_not_counted() {
    let authority = Authority::new();
    let limited = Tls {
        connection_rate_limit: Some(2),
        ..authority.tls()
    };
    let broker = start(with(limited));
    // Several seconds may pass, but not one for each two.
    let is_closed = |_| try_connect(&broker, &authority, None).is_none();
    assert!((0..200).any(is_closed));
    Raw::join(broker.addr()).leave();
}

/// Whether those who come by WebSocket are shown this certificate now.
fn shows(broker: &Running, authority: &Authority, certificate: &str) -> bool {
    let wanted = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is one");
    let client = connect(broker, authority);
    let shown = client.get_ref().conn.peer_certificates();
    shown.expect("it shows one")[0] == wanted
}

#[test]
fn a_file_that_changes_is_taken_up_by_itself_and_new_settings_at_once() {
    let authority = Authority::new();
    let papers = [0; 3].map(|_| authority.paper(NAME));
    authority.show(&papers[0]);
    let broker = secured(&authority);
    let mut there = connect(&broker, &authority);
    frame(&mut there);
    assert!(shows(&broker, &authority, &papers[0].certificate));
    authority.show(&papers[1]);
    while !shows(&broker, &authority, &papers[1].certificate) {
        std::thread::yield_now();
    }
    authority.show(&papers[2]);
    let reloaded = broker.handle().reload(with(authority.tls()));
    reloaded.expect("they are good");
    assert!(shows(&broker, &authority, &papers[2].certificate));
    say(&mut there, "PING\r\n".to_owned());
    assert_eq!(frame(&mut there), "PONG\r\n");
}

/// A broker with TLS for WebSocket, and where it is monitored.
fn monitored(authority: &Authority) -> (Running, SocketAddr) {
    let broker = start(Config {
        monitor: Some(Monitor {
            host: Some("127.0.0.1".to_owned()),
            ..Monitor::default()
        }),
        ..with(authority.tls())
    });
    let monitor = broker.monitor_addr().expect("it is monitored");
    (broker, monitor)
}

#[test]
fn monitoring_tells_when_the_certificate_ends() {
    let authority = Authority::new();
    authority.show(&authority.paper_until(NAME, 2222));
    let (_broker, monitor) = monitored(&authority);
    let varz = Http::connect(monitor).get("/varz").json();
    assert_eq!(
        varz["websocket"]["tls_cert_not_after"],
        "2222-01-01T00:00:00Z"
    );
    assert!(varz["tls_cert_not_after"].is_null());
    let metrics = Http::connect(monitor).get("/metrics").body;
    let told = "cert.pem\",listener=\"websocket\"} 7952342400\n";
    assert!(metrics.contains(told), "{metrics}");
}

#[test]
fn a_handshake_over_which_a_websocket_begins_is_counted_with_it() {
    let authority = Authority::new();
    let (broker, monitor) = monitored(&authority);
    let told = || {
        let varz = Http::connect(monitor).get("/varz").json();
        ["under_way", "done", "failed"].map(|name| varz["tls_handshakes"][name].as_u64())
    };
    let client = connect(&broker, &authority);
    assert_eq!(told(), [Some(0), Some(1), Some(0)]);
    // One that makes its handshake and then asks for nothing.
    let stream = dial(broker.websocket_addr().expect("it takes WebSocket"));
    let made = Secure::over(stream, &authority.client(None), NAME).expect("a handshake");
    while told() != [Some(1), Some(1), Some(0)] {
        std::thread::yield_now();
    }
    drop(made);
    while told() != [Some(0), Some(1), Some(1)] {
        std::thread::yield_now();
    }
    drop(client);
}
