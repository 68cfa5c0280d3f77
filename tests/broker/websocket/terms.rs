//! Who may come in by WebSocket, where that is another matter than over TCP.

use super::{Client, with};
use crate::raw::{Raw, start};
use midge::{Auth, Config, ConnectionType, Proof, User, WebSocket};

#[test]
fn a_token_may_be_asked_for_here_alone_and_be_in_a_cookie() {
    let broker = start(with(WebSocket {
        auth: Auth::Token("secret".into()),
        token_cookie: Some("t".to_owned()),
        ..WebSocket::default()
    }));
    Raw::join(broker.addr()).leave();
    let mut client = Client::connect(&broker);
    client.send("CONNECT {}\r\nPING\r\n");
    client.end("-ERR 'Authorization Violation'\r\n");
    let mut client = Client::connect(&broker);
    client.send("CONNECT {\"verbose\":false,\"auth_token\":\"secret\"}\r\nPING\r\n");
    client.expect("PONG\r\n");
    for (cookie, answer) in [
        ("t=secret", "PONG\r\n"),
        ("t=guess", "-ERR 'Authorization Violation'\r\n"),
    ] {
        let mut client = Client::dial(&broker, &[("Cookie", cookie)]).expect("welcome");
        assert!(client.frame().contains("\"auth_required\":true"));
        client.send("CONNECT {\"verbose\":false}\r\nPING\r\n");
        client.expect(answer);
    }
}

#[test]
fn a_user_comes_in_by_the_connections_it_may_have() {
    let user = |name: &str, connections: &[ConnectionType]| User {
        name: name.to_owned(),
        proof: Proof::Password("p".into()),
        account: None,
        connections: connections.to_vec(),
        permissions: None,
        limits: None,
    };
    let broker = start(Config {
        auth: Auth::Users {
            users: vec![
                user("both", &[]),
                user("tcp", &[ConnectionType::Standard]),
                user("ws", &[ConnectionType::WebSocket]),
            ]
            .into(),
            token: None,
        },
        ..with(WebSocket {
            no_auth_user: Some("ws".to_owned()),
            ..WebSocket::default()
        })
    });
    let connect = |name: &str| {
        format!("CONNECT {{\"verbose\":false,\"user\":\"{name}\",\"pass\":\"p\"}}\r\nPING\r\n")
    };
    for (name, is_in) in [("both", true), ("ws", true), ("tcp", false)] {
        let mut client = Client::connect(&broker);
        client.send(&connect(name));
        match is_in {
            true => client.expect("PONG\r\n"),
            false => drop(client.end("-ERR 'Authorization Violation'\r\n")),
        }
    }
    // A client without credentials is a user here, and is refused over TCP.
    let mut client = Client::connect(&broker);
    client.send("PING\r\n");
    client.expect("PONG\r\n");
    let mut raw = Raw::connect(broker.addr());
    raw.send(b"PING\r\n");
    assert_eq!(
        raw.line().as_deref(),
        Some("-ERR 'Authorization Violation'")
    );
}
