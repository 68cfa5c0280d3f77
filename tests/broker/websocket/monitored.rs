//! What monitoring tells of clients that come by WebSocket.

use super::{Client, with};
use crate::http::Http;
use crate::raw::start;
use midge::{Config, Monitor, WebSocket};

#[test]
fn connz_tells_the_type_and_the_address_a_proxy_tells_and_varz_the_terms() {
    let broker = start(Config {
        monitor: Some(Monitor {
            host: Some("127.0.0.1".to_owned()),
            ..Monitor::default()
        }),
        ..with(WebSocket {
            compression: true,
            ..WebSocket::default()
        })
    });
    let monitor = broker.monitor_addr().expect("it listens");
    let field = ("X-Forwarded-For", "10.9.8.7, 10.0.0.1");
    let mut client = Client::dial(&broker, &[field]).expect("welcome");
    assert!(client.frame().contains("\"client_ip\":\"127.0.0.1\""));
    client.send("PING\r\n");
    client.expect("PONG\r\n");
    let connz = Http::connect(monitor).get("/connz").json();
    let row = &connz["connections"][0];
    assert_eq!(
        (&row["type"], &row["kind"]),
        (&"websocket".into(), &"Client".into())
    );
    assert_eq!(row["ip"], "10.9.8.7");
    let varz = Http::connect(monitor).get("/varz").json();
    let expected = serde_json::json!({
        "host": "127.0.0.1",
        "port": broker.websocket_addr().map(|addr| addr.port()),
        "handshake_timeout": 2_000_000_000_u64,
        "no_tls": true,
        "compression": true,
    });
    assert_eq!(varz["websocket"], expected);
}
