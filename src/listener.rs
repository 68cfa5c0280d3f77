//! Accepts client sockets. When files run out, those that come wait until there are some again.

use crate::client::Client;
use crate::state::State;
use midge_reactor::{Accept, Context, Handler, ListenerAddr};
use std::io;

/// The listener for clients.
#[derive(Debug)]
pub(crate) struct Clients;

impl Accept<State> for Clients {
    fn accept(&mut self, cx: &mut Context<'_, State>) -> Box<dyn Handler<State>> {
        Box::new(Client::accept(cx))
    }

    fn on_error(&mut self, _: &mut Context<'_, State>, listener: &ListenerAddr, error: &io::Error) {
        log::error!(
            target: "midge",
            "Accept error on {listener}: {error}; trying again in 100 ms; \
             if files ran out, raise the limit (ulimit -n) or lower max_connections"
        );
    }
}
