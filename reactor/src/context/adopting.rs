//! Streams and listeners that were opened elsewhere, and streams that go elsewhere.

use super::{Context, Slot};
use crate::core::{Conn, Phase};
use crate::{Accept, Close, Detached, Handler, Io, Key, ListenOptions, ListeningSocket, Transport};
use std::io;

impl<S> Context<'_, S> {
    /// Makes a connection of a stream that was opened elsewhere: a TCP or Unix stream of the
    /// standard library, pipes, a child's standard streams, an inherited descriptor.
    ///
    /// It is the reactor's from now on, is set non-blocking (which all who share the open file
    /// will notice: a shell whose terminal is adopted, say) and closes with the connection. `on_open`
    /// follows soon, never inside this call. What has come before and was not read is input.
    ///
    /// The standard input is `Transport::pipes(Some(io::stdin().as_fd().try_clone_to_owned()?), None)`,
    /// if it is a terminal or a pipe.
    ///
    /// Of two pipes each is one direction: [`shutdown_write`](Io::shutdown_write) closes the one,
    /// `on_eof` tells that the other has ended. If the outgoing one has no reader any more, nothing
    /// can be sent, what was queued is dropped, and input goes on.
    ///
    /// # Errors
    /// Those of the system: a socket that is not connected; a descriptor that cannot be watched, such
    /// as a file's;
    /// `Unsupported` where the driver has no use for it, as in a simulation. The stream is closed
    /// then.
    #[doc(alias = "EM.attach")]
    #[doc(alias = "open_keyboard")]
    pub fn adopt(
        &mut self,
        stream: impl Into<Transport>,
        handler: impl Handler<S> + 'static,
    ) -> io::Result<Key> {
        let key = self.io.core.reserve();
        self.take_over(key, stream.into(), handler)?;
        Ok(key)
    }

    /// Accepts from a socket that listens already: one that a supervisor has opened, or the program
    /// before this one.
    ///
    /// It is the reactor's from now on, is set non-blocking and closes with the listener. A
    /// duplicate (`try_clone`) that is kept elsewhere goes on listening.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no use for it. The socket is closed
    /// then.
    #[doc(alias = "attach_server")]
    pub fn adopt_listener(
        &mut self,
        listener: impl Into<ListeningSocket>,
        accept: impl Accept<S> + 'static,
    ) -> io::Result<Key> {
        let key = self.io.core.reserve();
        let addr = match self.io.driver.adopt_listener(key, listener.into()) {
            Ok(addr) => addr,
            Err(error) => {
                self.io.core.release(key);
                return Err(error);
            }
        };
        let options = ListenOptions::default();
        self.io.core.set_listening(key, addr, &options);
        self.tasks.new.push((key, Slot::Listener(Box::new(accept))));
        Ok(key)
    }

    /// Hands this connection's stream over: see [`Io::detach`].
    ///
    /// # Errors
    /// Those of [`Io::detach`].
    pub fn detach(&mut self) -> io::Result<Detached> {
        self.io.detach(self.key)
    }
}

impl Io<'_> {
    /// Takes a connection out of the reactor without closing it, and hands over its stream with
    /// all that was received and not consumed, and queued and not sent. The handler is called once
    /// more, with [`Close::Detached`] at the end of this turn.
    ///
    /// What `on_input` has in its `input` while it runs is not in [`Detached::unread`]: take it from
    /// there. A stream may be detached in the turn that adopted it; its `on_open` never comes then.
    ///
    /// # Errors
    /// `NotConnected` if the connection has gone, is closing, or is to close after its last bytes;
    /// `Unsupported` with TLS or another [layer](crate::layer), whose keys stay here, and where the
    /// driver has no streams to hand over, as in a simulation. The connection is as it was then.
    pub fn detach(&mut self, key: Key) -> io::Result<Detached> {
        let open = |phase| matches!(phase, Phase::Open | Phase::Connecting);
        if !self.core.conn(key).is_some_and(|conn| open(conn.phase)) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !self.core.conn(key).is_some_and(Conn::is_plain) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let stream = self.driver.detach(key)?;
        let (mut unread, mut unsent) = (Vec::new(), Vec::new());
        if let Some((conn, pools)) = self.core.conn_and_pools(key) {
            unread.extend_from_slice(conn.carry.unread());
            let len = conn.carry.len();
            conn.carry.consume(len);
            unsent = conn.outbound.to_vec();
            conn.outbound.clear(&mut pools.outbound);
        }
        self.core.close(key, Close::Detached);
        Ok(Detached {
            stream,
            unread,
            unsent,
        })
    }
}
