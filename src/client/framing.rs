//! A client that comes by WebSocket: what its framing has to be told, and what that tells.

use super::Client;
use crate::core::receiver::Label;
use crate::door::{Door, Peer};
use crate::state::State;
use crate::tls::Purpose;
use crate::websocket::Framing;
use midge_reactor::{Context, Io, Key};
use std::net::{IpAddr, SocketAddr};

/// Puts the framing on a connection that was just accepted.
pub(super) fn begin(cx: &mut Context<'_, State>, door: Door) {
    let (terms, open) = (cx.state.config.terms(door), cx.state.door(door));
    let Some(settings) = open.and_then(|open| open.framing.clone()) else {
        // A reload closed the door after the connection was accepted.
        return cx.close();
    };
    let timeout = terms.handshake_timeout;
    if let Some(tls) = terms.tls
        && let Some(certificates) = tls.certificates()
    {
        let key = cx.key();
        certificates.start(&mut cx.io, key, Purpose::Clients, tls.timeout);
    }
    if let Err(error) = cx.start_layer(Framing::new(settings), timeout) {
        cx.fail(error);
    }
}

/// The address that a client is seen at, as each `INFO` tells it: that of the socket, whatever a proxy has told in the
/// request, as in nats-server. `None` for one without, at a Unix socket.
pub(super) fn seen_at(io: &Io<'_>, key: Key, label: &Label) -> Option<IpAddr> {
    let framing = io.layer::<Framing>(key);
    let former = framing.and_then(Framing::forwarded_from);
    former.or(label.peer.ip())
}

impl Client {
    /// Goes by the address that a proxy has told in the request, if it has.
    pub(super) fn forwarded(&mut self, cx: &mut Context<'_, State>) {
        let Peer::Internet(former) = self.link.label.peer else {
            return;
        };
        let framing = cx.layer_mut::<Framing>();
        let forwarded_for = framing.and_then(|framing| framing.forward(former.ip()));
        let (Some(ip), Some(session)) = (forwarded_for, &mut self.session) else {
            return;
        };
        let peer = SocketAddr::new(ip, former.port()).into();
        let label = Label {
            peer,
            ..self.link.label
        };
        self.link.label = label;
        session.relabel(label, cx.state);
        if let Some(records) = &mut cx.state.records {
            records.forwarded(label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::listener::Clients;
    use crate::config::{Auth, Config, WebSocket};
    use crate::state::OpenDoor;
    use crate::state::handshakes::Handshakes;
    use crate::websocket::Settings;
    use midge_protocol::Info;
    use midge_reactor::sim::{Faults, HostId, Sim};
    use midge_reactor::{Handler, Input};
    use std::rc::Rc;
    use std::time::Duration;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: t=secret\r\n\r\n";

    /// A frame whose mask changes nothing.
    const CONNECT: &[u8] = b"\x82\x8c\0\0\0\0CONNECT {}\r\n";

    struct Speaker(&'static [u8]);

    impl Handler<Vec<u8>> for Speaker {
        fn on_open(&mut self, cx: &mut Context<'_, Vec<u8>>) {
            cx.send(self.0);
        }

        fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
            cx.state.extend(input.take());
        }
    }

    /// A broker that takes clients by WebSocket, whose token may be in a cookie.
    fn broker(sim: &mut Sim) -> HostId<State> {
        let config = Config {
            auth: Auth::Token("secret".into()),
            websocket: Some(WebSocket {
                no_tls: true,
                token_cookie: Some("t".to_owned()),
                ..WebSocket::default()
            }),
            ..Config::default()
        };
        let state = State::announcing(config, Info::default());
        sim.host("broker", state, |cx| {
            let (options, clients) = Clients::of("0.0.0.0", 1, Door::WebSocket);
            let listener = cx.listen_with("0.0.0.0:8080", &options, clients)?;
            let framing = Some(Rc::new(Settings::of(&cx.state.config)));
            cx.state.doors.push(OpenDoor {
                door: Door::WebSocket,
                listener: Some(listener),
                port: 8080,
                clients: 0,
                file: None,
                framing,
                handshakes: Handshakes::default(),
            });
            Ok(())
        })
    }

    /// What the framing of the only client shows, and whether it holds a token.
    fn shown(sim: &mut Sim, broker: HostId<State>) -> (String, bool) {
        sim.with(broker, |cx| {
            let key = cx.state.core.clients().next().expect("it is there").key;
            let framing = cx.io.layer::<Framing>(key).expect("it is framed");
            (format!("{framing:?}"), framing.cookies().token.is_some())
        })
    }

    fn say(sim: &mut Sim, broker: HostId<State>, words: &'static [u8]) -> HostId<Vec<u8>> {
        let client = sim.host("client", Vec::new(), |_| Ok(()));
        let addr = sim.addr(broker, 8080);
        sim.with(client, |cx| {
            cx.connect(addr, Speaker(words));
        });
        sim.run_for(Duration::from_millis(500));
        client
    }

    #[test]
    fn a_client_that_is_let_in_leaves_no_cookie_behind() {
        let words: &'static [u8] = [REQUEST, CONNECT].concat().leak();
        for (words, is_kept) in [(REQUEST, true), (words, false)] {
            let mut sim = Sim::with_faults(1, Faults::none());
            let broker = broker(&mut sim);
            let client = say(&mut sim, broker, words);
            assert_eq!(shown(&mut sim, broker).1, is_kept);
            let heard = sim.with(client, |cx| String::from_utf8_lossy(cx.state).into_owned());
            assert!(!heard.contains("-ERR"), "{heard}");
        }
    }

    #[test]
    fn nothing_of_a_request_that_is_not_whole_is_shown() {
        let mut sim = Sim::with_faults(1, Faults::none());
        let broker = broker(&mut sim);
        say(&mut sim, broker, &REQUEST[..REQUEST.len() - 2]);
        let (shown, _) = shown(&mut sim, broker);
        assert!(shown.contains("rest_bytes: 1"), "{shown}");
        let bytes = format!("{:?}", b"secret");
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(
            !shown.contains("secret") && !shown.contains(bytes),
            "{shown}"
        );
    }
}
