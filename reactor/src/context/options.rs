//! Options of connections' sockets.

use super::Context;
use crate::{Io, Key, SocketOption};
use std::io;
use std::os::fd::BorrowedFd;

impl<S> Context<'_, S> {
    /// Sets an option of this connection's socket: see [`Io::set_option`].
    ///
    /// # Errors
    /// Those of [`Io::set_option`].
    pub fn set_option(&mut self, option: SocketOption) -> io::Result<()> {
        self.io.set_option(self.key, option)
    }

    /// Takes the pending error of this connection's socket: see [`Io::take_error`].
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.io.take_error(self.key)
    }

    /// This connection's descriptor: see [`Io::as_fd`].
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.io.as_fd(self.key)
    }
}

impl Io<'_> {
    /// Sets an option of a connection's socket. Does nothing in a simulation.
    ///
    /// # Errors
    /// Those of the system; `NotConnected` if there is no such connection; `Unsupported` if what
    /// carries it has no such option, as pipes have none and Unix sockets only buffers.
    #[doc(alias = "set_sock_opt")]
    pub fn set_option(&mut self, key: Key, option: SocketOption) -> io::Result<()> {
        if self.core.conn(key).is_none() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.driver.set_option(key, option)
    }

    /// Takes the error that the system holds for a connection's socket (`SO_ERROR`), if any. The
    /// loop learns of errors by itself, when it reads and writes; one that is taken here it does
    /// not learn of.
    #[doc(alias = "error?")]
    pub fn take_error(&mut self, key: Key) -> Option<io::Error> {
        self.core.conn(key)?;
        self.driver.take_error(key).ok().flatten()
    }

    /// The descriptor behind a key of any kind, for options that have no name here: of two
    /// pipes the one that is read. `None` if it has gone, and in a simulation.
    ///
    /// Reading, writing or closing it behind the reactor's back makes no sense of what follows.
    #[doc(alias = "get_sock_opt")]
    #[doc(alias = "get_file_descriptor")]
    #[must_use]
    pub fn as_fd(&self, key: Key) -> Option<BorrowedFd<'_>> {
        self.driver.fd(key)
    }
}
