//! New settings for a broker that takes clients by WebSocket.

use super::{Client, with};
use crate::raw::start;
use midge::{Advertise, Auth, Config, Running, WebSocket};

/// Gives the broker these terms.
fn reload(broker: &Running, websocket: WebSocket) {
    let addr = broker.websocket_addr().expect("it listens");
    let websocket = WebSocket {
        port: addr.port(),
        ..websocket
    };
    let reloaded = broker.handle().reload(with(websocket));
    reloaded.expect("they are good");
}

fn advertised(host: &str) -> WebSocket {
    WebSocket {
        advertise: Advertise::parse(&format!("{host}:99")).expect("an address"),
        ..WebSocket::default()
    }
}

#[test]
fn origins_hold_for_those_that_come_and_who_is_there_stays() {
    let broker = start(with(WebSocket::default()));
    let page = ("Origin", "https://page.example");
    let mut there = Client::dial(&broker, &[page]).expect("any page may come");
    there.frame();
    reload(
        &broker,
        WebSocket {
            allowed_origins: vec!["https://other.example".to_owned()],
            ..WebSocket::default()
        },
    );
    let refused = Client::dial(&broker, &[page]).err().expect("it may not");
    assert!(refused.to_string().contains("403"), "{refused}");
    there.send("PING\r\n");
    there.expect("PONG\r\n");
}

#[test]
fn who_presents_another_token_than_the_new_one_is_closed() {
    let broker = start(with(WebSocket {
        auth: Auth::Token("former".into()),
        ..WebSocket::default()
    }));
    let mut client = Client::connect(&broker);
    client.send("CONNECT {\"verbose\":false,\"auth_token\":\"former\"}\r\nPING\r\n");
    client.expect("PONG\r\n");
    reload(
        &broker,
        WebSocket {
            auth: Auth::Token("new".into()),
            ..WebSocket::default()
        },
    );
    client.end("-ERR 'Authorization Violation'\r\n");
    let mut client = Client::connect(&broker);
    client.send("CONNECT {\"verbose\":false,\"auth_token\":\"new\"}\r\nPING\r\n");
    client.expect("PONG\r\n");
}

#[test]
fn compression_holds_for_those_that_come() {
    let broker = start(with(WebSocket::default()));
    let offer = ("Sec-WebSocket-Extensions", "permessage-deflate");
    let granted = |broker: &Running| {
        let mut bare = super::Bare::dial(broker);
        bare.write(format!("{}{}: {}\r\n\r\n", super::REQUEST, offer.0, offer.1).as_bytes());
        bare.until("\r\n\r\n").contains("permessage-deflate")
    };
    assert!(!granted(&broker));
    reload(
        &broker,
        WebSocket {
            compression: true,
            ..WebSocket::default()
        },
    );
    assert!(granted(&broker));
}

#[test]
fn another_address_that_is_advertised_is_told_with_the_clients_own_as_before() {
    let broker = start(with(advertised("former.example")));
    let field = ("X-Forwarded-For", "10.9.8.7");
    let mut early = Client::dial(&broker, &[field]).expect("it is welcome");
    let mut late = Client::dial(&broker, &[field]).expect("it is welcome");
    let is_told = |info: &str, host: &str| {
        assert!(info.starts_with("INFO {"), "{info}");
        assert!(
            info.contains(&format!("\"host\":\"{host}\",\"port\":99")),
            "{info}"
        );
        assert!(info.contains("\"client_ip\":\"127.0.0.1\""), "{info}");
        // There is no other server to go to.
        assert!(!info.contains("connect_urls"), "{info}");
    };
    for client in [&mut early, &mut late] {
        is_told(&client.frame(), "former.example");
    }
    let connect = "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";
    early.send(connect);
    early.expect("PONG\r\n");
    reload(&broker, advertised("new.example"));
    is_told(&early.frame(), "new.example");
    // Not before its first PONG.
    late.send(connect);
    let mut heard = late.frame();
    if heard == "PONG\r\n" {
        heard += &late.frame();
    }
    let info = heard.strip_prefix("PONG\r\n").expect("the answer first");
    is_told(info, "new.example");
}

#[test]
fn a_block_that_is_not_there_any_more_leaves_the_port_open() {
    let broker = start(with(WebSocket::default()));
    let mut there = Client::join(&broker);
    let without = Config {
        websocket: None,
        ..with(WebSocket::default())
    };
    broker.handle().reload(without).expect("they are good");
    there.send("PING\r\n");
    there.expect("PONG\r\n");
    Client::join(&broker);
}
