//! Unix sockets: the same connections at a path instead of an address.

use super::{Context, Slot};
use crate::annotated::annotated;
use crate::{Accept, CONNECT_TIMEOUT, Credentials, Handler, Io, Key, ListenOptions, ListenerAddr};
use std::io;
use std::path::Path;

impl<S> Context<'_, S> {
    /// Listens on a Unix socket at `path`; `accept` makes a handler for each connection.
    ///
    /// Its connections are like any other, but have no addresses: `peer_addr` and `local_addr` are
    /// `None`, and [`peer_credentials`](Context::peer_credentials) tells who is there. The socket stays in the file system when the listener closes, as the system has it;
    /// remove it, or let the next listener do so with [`ListenOptions::unlink_stale`].
    ///
    /// # Errors
    /// Those of the system; `AddrInUse` if anything stands at `path` already, with a message that
    /// tells what to do. The text names the path; the system's own error is its source. Nothing is
    /// left behind.
    #[doc(alias = "start_unix_domain_server")]
    pub fn listen_unix<H: Handler<S> + 'static>(
        &mut self,
        path: impl AsRef<Path>,
        accept: impl FnMut(&mut Context<'_, S>) -> H + 'static,
    ) -> io::Result<Key> {
        self.listen_unix_with(path, &ListenOptions::default(), accept)
    }

    /// As [`listen_unix`](Context::listen_unix), with options and any acceptor.
    ///
    /// # Errors
    /// As [`listen_unix`](Context::listen_unix).
    pub fn listen_unix_with(
        &mut self,
        path: impl AsRef<Path>,
        options: &ListenOptions,
        accept: impl Accept<S> + 'static,
    ) -> io::Result<Key> {
        let path = path.as_ref();
        let key = self.io.core.reserve();
        if let Err(error) = self.io.driver.listen_unix(key, path, options) {
            self.io.core.release(key);
            return Err(explained(error, path));
        }
        let addr = ListenerAddr::Unix(path.to_owned());
        self.io.core.set_listening(key, addr, options);
        self.tasks.new.push((key, Slot::Listener(Box::new(accept))));
        Ok(key)
    }

    /// Who is at the far end of this connection, if it is a Unix socket: see [`Io::peer_credentials`].
    #[must_use]
    pub fn peer_credentials(&self) -> Option<Credentials> {
        self.io.peer_credentials(self.key)
    }

    /// Connects to the Unix socket at `path`. Never fails here, as [`connect`](Context::connect)
    /// does not: a path at which nothing stands or nobody listens, or whose listener has a full
    /// backlog, ends in `on_close` without `on_open`.
    #[doc(alias = "connect_unix_domain")]
    pub fn connect_unix(
        &mut self,
        path: impl AsRef<Path>,
        handler: impl Handler<S> + 'static,
    ) -> Key {
        let key = self.io.core.reserve();
        let path = path.as_ref();
        let begun = self.io.driver.connect_unix(key, path);
        let begun = begun.map_err(|error| annotated(path.display().to_string(), error));
        self.begin(key, None, CONNECT_TIMEOUT, begun, handler);
        key
    }
}

impl Io<'_> {
    /// Who is at the far end of a connection over a Unix socket, as the system knows it; `None` for any other, for a
    /// socket whose peer the system does not tell of, and on systems without `SO_PEERCRED`. Asks the system each
    /// time.
    #[doc(alias = "SO_PEERCRED")]
    #[must_use]
    pub fn peer_credentials(&self, key: Key) -> Option<Credentials> {
        self.core.conn(key)?;
        self.driver.peer_credentials(key).ok()
    }
}

/// The error of a listen with the path in it, and what to do about one that is taken.
fn explained(error: io::Error, path: &Path) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (remove it if nobody listens there any more, or have that seen to with \
             ListenOptions::unlink_stale)"
        }
        _ => "",
    };
    annotated(format!("listen on {}{advice}", path.display()), error)
}
