//! A client that comes by WebSocket: what its framing has to be told, and what that tells.

use super::Client;
use crate::core::receiver::Label;
use crate::state::State;
use crate::tls::Purpose;
use crate::websocket::Framing;
use midge_reactor::Context;
use std::net::SocketAddr;
use std::rc::Rc;

/// Puts the framing on a connection that was just accepted.
pub(super) fn begin(cx: &mut Context<'_, State>) {
    let State {
        config, websocket, ..
    } = &*cx.state;
    let (Some(config), Some(door)) = (&config.websocket, websocket) else {
        // A reload closed the door after the connection was accepted.
        return cx.close();
    };
    if let Some(tls) = &config.tls
        && let Some(certificates) = tls.certificates()
    {
        let key = cx.key();
        certificates.start(&mut cx.io, key, Purpose::Clients, tls.timeout);
    }
    let (framing, timeout) = (
        Framing::new(Rc::clone(&door.settings)),
        config.handshake_timeout,
    );
    if let Err(error) = cx.start_layer(framing, timeout) {
        cx.fail(error);
    }
}

impl Client {
    /// Goes by the address that a proxy has told in the request, if it has.
    pub(super) fn forwarded(&mut self, cx: &mut Context<'_, State>) {
        let forwarded_for = cx.layer::<Framing>().and_then(Framing::forwarded_for);
        let (Some(ip), Some(session)) = (forwarded_for, &mut self.session) else {
            return;
        };
        let peer = SocketAddr::new(ip, self.link.label.peer.port());
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
