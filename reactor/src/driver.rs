//! `Driver`: the only thing that touches the world. The loop above it is the same over any driver.

mod mio;

pub use self::mio::MioDriver;

use crate::endpoint::{self, canonical};
use crate::process::ChildPipes;
use crate::{
    Answer, ConnectOptions, Credentials, Key, ListenOptions, ListenerAddr, ListeningSocket,
    OffloadJob, SocketOption, Time, Transport, UdpOptions,
};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

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
    /// A process started by [`Driver::spawn`] has ended, and is no zombie any more.
    Exited {
        /// The key it was started under.
        key: Key,
        /// How; `None` if another part of this program has taken the status.
        status: Option<ExitStatus>,
    },
}

/// What [`Driver::splice`] has moved. Nothing at all: the peer of the first has ended its direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spliced {
    /// Bytes that the second has taken.
    pub moved: usize,
    /// Bytes that it has not: the first ones of `rest`, behind those.
    pub left: usize,
}

/// What a driver answers in place of an address where there is none: for Unix sockets and pipes.
pub const NO_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The address a driver has answered. One of IPv4 is one, also where it came over a socket of both
/// families.
pub(crate) fn named(addr: SocketAddr) -> Option<SocketAddr> {
    (addr != NO_ADDR).then(|| canonical(addr))
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

    /// Processor time that the reactor's thread has had, since any instant. The present instant where the
    /// system does not tell: the thread is never interrupted then. What an interruption takes out of a slice
    /// does not count as load of its connection, nor does what the handler spends in a call that blocks.
    fn worked(&mut self) -> Time {
        self.now()
    }

    /// A number to seed random choices with; a simulation gives the same one in each run.
    fn seed(&mut self) -> u64;

    /// Whether the world is one of a seed, in which nothing may come from the system.
    fn is_simulated(&self) -> bool {
        false
    }

    /// Whether the clock goes on by itself, so that a reactor may poll again and again instead of
    /// sleeping. Not so in a simulation.
    fn spins(&self) -> bool {
        false
    }

    /// Waits for at most `wait` (for ever if `None`) and appends what has happened to `events`.
    fn poll(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()>;

    /// Whether the last poll had more events to tell than it could take: the next one will not wait.
    fn events_left(&self) -> bool {
        false
    }

    /// A descriptor that is readable while there are events, signals or wakes to be polled for, if
    /// there is such a thing: what a loop around the reactor can wait for.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Opens a listening socket under `key` and answers the address it is bound to. Called again with
    /// the key of a listener, it gives that one more socket: connections are accepted from all of
    /// them, and [`close`](Driver::close) closes them together.
    ///
    /// `[::]` takes connections of IPv4 as well, whatever the system's default, unless `options` has
    /// [`only_v6`](ListenOptions::only_v6).
    ///
    /// # Errors
    /// Those of the system. The sockets that the listener has already stay open.
    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr>;

    /// Accepts one connection, sets it aside for [`adopt`](Driver::adopt), answers its peer.
    /// Addresses that do not exist are [`NO_ADDR`], here and below.
    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr>;

    /// Gives the accepted connection its key, and answers its local address.
    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr>;

    /// Begins to connect. A writable event follows when it is over, either way. The key may be that
    /// of a connect that has failed and was closed: the same connection tries its next address.
    ///
    /// Of the options, the timeout is the loop's business, and those that a driver has no use for may
    /// be left out of account.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` for a local address where the driver cannot choose one.
    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()>;

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
                answer.give(endpoint::of_name(&name, port));
            }
        };
        self.offload(OffloadJob::new(lookup), threads)
    }

    /// The addresses of `name`, each with `port`, here and now: what is listened on is looked up so,
    /// and the loop waits for it. By default the system's resolver is asked.
    ///
    /// # Errors
    /// The name is not known, or no name server answers.
    fn lookup(&mut self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        endpoint::of_name(name, port)
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

    /// Sends at most `max` bytes of `file` without a copy, from where it stands, and moves it on; answers
    /// how many that were, and `Ok(0)` at its end. What is written comes behind what was written before.
    ///
    /// # Errors
    /// As [`write`](Driver::write), and what the file says; by default `Unsupported`, and then the file
    /// is read and written.
    fn send_file(&mut self, key: Key, file: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let _ = (key, file, max);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Moves at most `max` bytes that have come from one connection to another, without a copy. What was
    /// taken from the first and did not fit into the second is put into `rest`.
    ///
    /// # Errors
    /// As [`read`](Driver::read) of the first. What is wrong with the second is for the next write to tell.
    /// By default, and where it cannot be done, `Unsupported`: nothing was taken then.
    fn splice(&mut self, from: Key, to: Key, max: usize, rest: &mut [u8]) -> io::Result<Spliced> {
        let _ = (from, to, max, rest);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends the outgoing direction.
    fn shutdown_write(&mut self, key: Key) -> io::Result<()>;

    /// Opens a socket for datagrams under `key` and answers the address it is bound to. Ready for
    /// both directions when it is new, as far as the loop knows.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no datagrams.
    fn udp(&mut self, key: Key, addr: SocketAddr, options: &UdpOptions) -> io::Result<SocketAddr> {
        let _ = (key, addr, options);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes one packet, and answers its length and its sender. `buf` holds any packet whole; what
    /// would not fit is cut off.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; those that the network has told of packets sent earlier, once
    /// each; `Unsupported` where the driver has no datagrams.
    fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let _ = (key, buf);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends one packet, all of it.
    ///
    /// # Errors
    /// `WouldBlock` if the kernel has no room for it now, and a writable event follows; else this
    /// packet cannot be sent, or the network has told of one sent earlier, and this one has not left
    /// either. `Unsupported` where the driver has no datagrams.
    fn send_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let _ = (key, to, packet);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Closes the socket and forgets the key. Unknown keys are ignored.
    fn close(&mut self, key: Key);

    /// Whether the program takes the rare branch at `site` now, on purpose: see
    /// [`Io::chance`](crate::Io::chance). Never, but in a simulation.
    fn chance(&mut self, site: &'static str, probability: f64) -> bool {
        let _ = (site, probability);
        false
    }

    /// Whether each call of a handler is to be told to [`record`](Driver::record). Asked once.
    fn records(&self) -> bool {
        false
    }

    /// A handler is about to be called: `call` of `key`, or a closure for [`Key::NONE`].
    fn record(&mut self, key: Key, call: &'static str) {
        let _ = (key, call);
    }

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

    /// Opens a listening Unix socket at `path` under `key`.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no Unix sockets.
    fn listen_unix(&mut self, key: Key, path: &Path, options: &ListenOptions) -> io::Result<()> {
        let _ = (key, path, options);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes over a listening socket under `key`, and answers where it listens.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no use for foreign sockets.
    fn adopt_listener(&mut self, key: Key, listener: ListeningSocket) -> io::Result<ListenerAddr> {
        let _ = (key, listener);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Begins to connect to the Unix socket at `path`; what follows is as with
    /// [`connect`](Driver::connect).
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no Unix sockets.
    fn connect_unix(&mut self, key: Key, path: &Path) -> io::Result<()> {
        let _ = (key, path);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes over a stream under `key`, and answers its peer. The next call for it is
    /// [`finish_connect`](Driver::finish_connect).
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no use for foreign streams.
    fn adopt_stream(&mut self, key: Key, stream: Transport) -> io::Result<SocketAddr> {
        let _ = (key, stream);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives a stream back, open, and forgets the key.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver's streams mean nothing to others.
    fn detach(&mut self, key: Key) -> io::Result<Transport> {
        let _ = key;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reports readiness of a duplicate of `fd` under `key`, until it is closed.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no descriptors.
    fn watch(&mut self, key: Key, fd: BorrowedFd<'_>) -> io::Result<()> {
        let _ = (key, fd);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The descriptor behind a key of any kind, if the driver has any.
    fn fd(&self, key: Key) -> Option<BorrowedFd<'_>> {
        let _ = key;
        None
    }

    /// Sets an option of a connection's socket. A driver without such options accepts them all.
    ///
    /// # Errors
    /// Those of the system; by default `Unsupported`.
    fn set_option(&mut self, key: Key, option: SocketOption) -> io::Result<()> {
        let _ = (key, option);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Who is at the far end of a connection over a Unix socket.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` for what is no Unix socket, and by default.
    fn peer_credentials(&self, key: Key) -> io::Result<Credentials> {
        let _ = key;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes the pending error of a connection's socket.
    ///
    /// # Errors
    /// Those of asking; by default `Unsupported`.
    fn take_error(&mut self, key: Key) -> io::Result<Option<io::Error>> {
        let _ = key;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Starts a process under `key` and answers the ends of its pipes; [`Event::Exited`] follows
    /// when it has ended, also after the key was closed.
    ///
    /// # Errors
    /// Those of the system; `Unsupported` where the driver has no processes.
    fn spawn(&mut self, key: Key, command: &mut Command) -> io::Result<ChildPipes> {
        let _ = (key, command);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends a signal to the process started under `key`.
    ///
    /// # Errors
    /// `NotFound` if it has ended, `InvalidInput` for what is no signal; `Unsupported` where the
    /// driver has no processes.
    fn kill(&mut self, key: Key, signal: i32) -> io::Result<()> {
        let _ = (key, signal);
        Err(io::ErrorKind::Unsupported.into())
    }
}
