//! Connecting, with options.

use super::{Context, Slot};
use crate::annotated::annotated;
use crate::core::{Phase, Target};
use crate::{Close, ConnectOptions, Handler, Key, Transport};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

impl<S> Context<'_, S> {
    /// As [`connect`](Context::connect), with options: from which address, how long it may take,
    /// and how the socket is set.
    ///
    /// Never fails here either: an address that is not this machine's, and whatever else goes wrong
    /// before the connect begins, ends in `on_close` with [`Close::ConnectFailed`].
    #[doc(alias = "bind_connect")]
    pub fn connect_with(
        &mut self,
        addr: SocketAddr,
        options: &ConnectOptions,
        handler: impl Handler<S> + 'static,
    ) -> Key {
        let key = self.io.core.reserve();
        let begun = self.io.driver.connect(key, addr, options);
        let begun = begun.map_err(|error| not_connected(addr, options.local_addr, error));
        self.begin(key, Some(addr), options.timeout, begun, handler);
        key
    }

    /// A connect has begun, or failed at once: puts the connection in its place.
    pub(super) fn begin(
        &mut self,
        key: Key,
        peer: Option<SocketAddr>,
        timeout: Duration,
        begun: io::Result<()>,
        handler: impl Handler<S> + 'static,
    ) {
        self.io.read_clock();
        let core = &mut *self.io.core;
        core.set_conn(key, Phase::Connecting, peer);
        match begun {
            Ok(()) => {
                core.arm_phase_timer(key, timeout, Target::ConnectDeadline(key));
            }
            Err(error) => {
                core.close(key, Close::ConnectFailed(error));
            }
        }
        self.tasks.new.push((key, Slot::Conn(Box::new(handler))));
    }

    /// Puts a stream that is open already in its place; it opens as a connect does, at the next
    /// look at the run queue, so that no handler is called from here.
    pub(crate) fn take_over(
        &mut self,
        key: Key,
        stream: Transport,
        handler: impl Handler<S> + 'static,
    ) -> io::Result<()> {
        let apart = stream.is_pipes();
        let (no_input, no_output) = match &stream {
            Transport::Pipes { input, output } => (input.is_none(), output.is_none()),
            _ => (false, false),
        };
        let peer = match self.io.driver.adopt_stream(key, stream) {
            Ok(peer) => crate::driver::named(peer),
            Err(error) => {
                self.io.core.release(key);
                return Err(error);
            }
        };
        self.begin(key, peer, crate::CONNECT_TIMEOUT, Ok(()), handler);
        if let Some(conn) = self.io.core.conn_mut(key) {
            conn.writable = true;
            conn.apart = apart;
            // Reading from nothing tells whether the other direction still stands.
            conn.readable = no_input;
            conn.wants_write_end = no_output;
            conn.sent_write_end = no_output;
        }
        self.io.core.enqueue(key);
        Ok(())
    }
}

/// The error of a connect that could not begin, with the addresses that were asked for.
fn not_connected(addr: SocketAddr, local: Option<SocketAddr>, error: io::Error) -> io::Error {
    match local {
        Some(local) => annotated(format!("{addr} from {local}"), error),
        None => annotated(addr.to_string(), error),
    }
}
