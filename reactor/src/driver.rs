//! `Driver`: the only thing that touches the world. The loop above it is the same over any driver.

mod mio;

pub use self::mio::MioDriver;

use crate::{Answer, Key, OffloadJob, Time};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How to listen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Connections the kernel may hold before they are accepted. Default 1024; the system's own
    /// limit (`somaxconn` on Linux) still applies.
    pub backlog: i32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { backlog: 1024 }
    }
}

/// Something that happened outside, as a driver reports it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A listener or connection may have become readable or writable.
    ///
    /// Only a hint: the call that follows tells the truth. Reported on a change (an edge), never
    /// because something is still there.
    Ready {
        /// Which one.
        key: Key,
        /// It may have bytes, a connection to accept, an end or an error to report.
        readable: bool,
        /// It may take bytes again, or a connect is over.
        writable: bool,
        /// The peer has ended its direction, or both are gone: a short read no longer proves that
        /// nothing is left to read.
        hangup: bool,
    },
    /// A signal that was asked for has come.
    Signal(i32),
}

/// Ends the sleep of a reactor's poll from any thread. Many wakes before a poll count as one.
pub trait Wake: Send + Sync + fmt::Debug {
    /// Makes the present poll, or the next one, return at once.
    fn wake(&self);
}

/// Sockets and a clock, behind the loop.
///
/// # Contract
///
/// * Every call is made by the reactor, from its thread, and none of them blocks but [`poll`](Driver::poll).
/// * Readiness is edge-triggered: once a call has answered `WouldBlock`, an event follows when that
///   changes. A new socket is reported once if there is something already.
/// * `key.index()` is below the number of sockets there have ever been at once; two live sockets never share it.
/// * After [`close`](Driver::close) no event names that key.
pub trait Driver: fmt::Debug {
    /// The present instant; never earlier than an answer before.
    fn now(&mut self) -> Time;

    /// A number to seed random choices with; a simulation gives the same one in each run.
    fn seed(&mut self) -> u64;

    /// Waits for at most `wait` (for ever if `None`) and appends what has happened to `events`.
    fn poll(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()>;

    /// Opens a listening socket under `key` and answers the address it is bound to.
    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr>;

    /// Accepts one connection, sets it aside for [`adopt`](Driver::adopt), answers its peer.
    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr>;

    /// Gives the accepted connection its key, and answers its local address.
    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr>;

    /// Begins to connect. A writable event follows when it is over, either way. The key may be that
    /// of a connect that has failed and was closed: the same connection tries its next address.
    fn connect(&mut self, key: Key, addr: SocketAddr) -> io::Result<()>;

    /// Runs `job` on some other thread, at most `threads` of them at once; what finds none free
    /// waits, first come, first served.
    ///
    /// Jobs that have not begun when the driver is dropped are dropped, on any thread.
    ///
    /// # Errors
    /// `Unsupported` where the driver has no threads; those of starting one.
    fn offload(&mut self, job: OffloadJob, threads: usize) -> io::Result<()> {
        let _ = (job, threads);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Looks up the addresses of `name`, without blocking, and gives them as the answer, each with
    /// `port`. By default the system's resolver is asked, by a job like any other.
    ///
    /// # Errors
    /// As [`offload`](Driver::offload). A name that is not known is no error here, but an answer.
    fn resolve(
        &mut self,
        name: &str,
        port: u16,
        answer: Answer<io::Result<Vec<SocketAddr>>>,
        threads: usize,
    ) -> io::Result<()> {
        let name = name.to_owned();
        let lookup = move || {
            if answer.is_wanted() {
                let found = (name.as_str(), port).to_socket_addrs();
                answer.give(found.map(Iterator::collect));
            }
        };
        self.offload(OffloadJob::new(lookup), threads)
    }

    /// Whether the connect is over: its local address, `WouldBlock` for not yet, or why it failed.
    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr>;

    /// Reads what is there. `Ok(0)` is the peer's end, for a `buf` that is not empty.
    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize>;

    /// Whether a read that did not fill its buffer proves that nothing is left.
    fn short_read_drains(&self) -> bool {
        false
    }

    /// Writes the pieces in order, as far as they are taken; answers how many bytes that was.
    fn write(&mut self, key: Key, pieces: &[io::IoSlice<'_>]) -> io::Result<usize>;

    /// Ends the outgoing direction.
    fn shutdown_write(&mut self, key: Key) -> io::Result<()>;

    /// Closes the socket and forgets the key. Unknown keys are ignored.
    fn close(&mut self, key: Key);

    /// What other threads wake this driver's poll with.
    fn waker(&self) -> Arc<dyn Wake>;

    /// Asks for these signals to be reported as [`Event::Signal`] from now on.
    ///
    /// # Errors
    /// `Unsupported` where the driver has no signals.
    fn watch_signals(&mut self, signals: &[i32]) -> io::Result<()> {
        let _ = signals;
        Err(io::ErrorKind::Unsupported.into())
    }
}
