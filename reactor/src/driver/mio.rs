//! The driver over the operating system's sockets, by mio. Edge-triggered, registered once.

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::Spliced;
use super::{Driver, Event, Wake};
use crate::process::ChildPipes;
use crate::{
    ConnectOptions, Credentials, Key, ListenOptions, ListenerAddr, ListeningSocket, OffloadJob,
    SocketOption, Time, Transport, UdpOptions,
};
use children::Children;
use listener::Listener;
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{FORBIDDEN, SIGCHLD};
use signal_hook_mio::v1_0::Signals;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stream::Stream;
use threads::Threads;

mod children;
mod listener;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod splicer;
mod stream;
mod threads;

mod datagram;

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Most events fetched in one poll. What does not fit comes with the next.
///
/// A turn reads all that is ready before it writes: what it has touched should still be in the
/// cache by then.
const EVENTS_MAX: usize = 1024;

/// How long the loop rests when it could not even wait.
const POLL_REST: Duration = Duration::from_millis(10);

/// What may be the number of a signal; asking for any other would be a panic.
const SIGNAL_NUMBERS: std::ops::Range<i32> = 1..128;

#[derive(Debug)]
enum Socket {
    Listener(Listener),
    Stream(Stream),
    /// A duplicate of a foreign descriptor.
    Watched(OwnedFd),
    Udp(datagram::Udp),
}

impl Socket {
    /// A description that is still open elsewhere would go on reporting if it stayed registered.
    fn deregister(&mut self, registry: &Registry) {
        match self {
            Socket::Listener(listener) => listener.deregister(registry),
            Socket::Stream(stream) => stream.deregister(registry),
            Socket::Udp(udp) => {
                let _ = registry.deregister(&mut udp.socket);
            }
            // It fails only for what is not registered.
            Socket::Watched(fd) => {
                let _ = registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
            }
        }
    }
}

/// Real sockets and the monotonic clock.
pub struct MioDriver {
    poll: Poll,
    events: Events,
    /// By `key.index()`. A token is an index: events are translated to keys as soon as they are
    /// fetched, before any socket can be closed and its index given to another.
    sockets: Vec<Option<(Key, Socket)>>,
    accepted: Option<Stream>,
    signals: Option<Signals>,
    /// The last poll has filled its list of events.
    filled: bool,
    children: Children,
    /// Some process may have ended that no event will tell of.
    ask_children: bool,
    waker: Arc<MioWaker>,
    threads: Threads,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    splicer: splicer::Splicer,
    start: Instant,
}

impl fmt::Debug for MioDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sockets = self.sockets.iter().flatten().count();
        f.debug_struct("MioDriver")
            .field("sockets", &sockets)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct MioWaker(mio::Waker);

impl Wake for MioWaker {
    fn wake(&self) {
        // The only error is a full event counter, which wakes as well.
        let _ = self.0.wake();
    }
}

impl MioDriver {
    /// Opens a selector (epoll, kqueue).
    ///
    /// # Errors
    /// Those of the system: above all too many open files.
    pub fn new() -> io::Result<MioDriver> {
        let poll = Poll::new()?;
        let waker = Arc::new(MioWaker(mio::Waker::new(poll.registry(), WAKER)?));
        Ok(MioDriver {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            sockets: Vec::new(),
            accepted: None,
            signals: None,
            filled: false,
            children: Children::default(),
            ask_children: false,
            waker,
            threads: Threads::default(),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            splicer: splicer::Splicer::default(),
            start: Instant::now(),
        })
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut Stream> {
        match self.sockets.get_mut(key.index()) {
            Some(Some((owner, Socket::Stream(stream)))) if *owner == key => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn insert_listener(&mut self, key: Key, mut listener: Listener) -> io::Result<()> {
        listener.register(self.poll.registry(), Token(key.index()))?;
        self.insert(key, Socket::Listener(listener));
        Ok(())
    }

    fn insert(&mut self, key: Key, socket: Socket) {
        if self.sockets.len() <= key.index() {
            self.sockets.resize_with(key.index() + 1, || None);
        }
        debug_assert!(
            self.sockets[key.index()].is_none(),
            "{key:?} shares its slot"
        );
        self.sockets[key.index()] = Some((key, socket));
    }

    fn insert_stream(&mut self, key: Key, mut stream: Stream) -> io::Result<()> {
        stream.register(self.poll.registry(), Token(key.index()))?;
        self.insert(key, Socket::Stream(stream));
        Ok(())
    }
}

/// How long to rest after a poll that has failed so, if that is no reason to end.
fn rest_after(error: io::Error) -> io::Result<Option<Duration>> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(None),
        // The system has no memory to wait with, and may have some again soon.
        io::ErrorKind::OutOfMemory => Ok(Some(POLL_REST)),
        _ => Err(error),
    }
}

impl Driver for MioDriver {
    fn now(&mut self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    fn worked(&mut self) -> Time {
        let had = clock_gettime(ClockId::ThreadCPUTime);
        Time::ZERO + Duration::try_from(had).unwrap_or_default()
    }

    fn seed(&mut self) -> u64 {
        RandomState::new().hash_one(self.start.elapsed())
    }

    fn spins(&self) -> bool {
        true
    }

    fn poll(&mut self, out: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        self.filled = false;
        if let Err(error) = self.poll.poll(&mut self.events, wait) {
            if let Some(rest) = rest_after(error)? {
                std::thread::sleep(rest.min(wait.unwrap_or(rest)));
            }
            return Ok(());
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            match event.token() {
                WAKER => {}
                SIGNALS => {
                    for signal in self.signals.iter_mut().flat_map(Signals::pending) {
                        self.ask_children |= signal == SIGCHLD;
                        out.push(Event::Signal(signal));
                    }
                }
                Token(index) => {
                    if let Some(Some((key, _))) = self.sockets.get(index) {
                        let gone = event.is_error() || event.is_read_closed();
                        let key = *key;
                        let readable = event.is_readable() || gone;
                        let writable =
                            event.is_writable() || event.is_error() || event.is_write_closed();
                        out.push(Event::Ready {
                            key,
                            readable,
                            writable,
                            hangup: gone,
                        });
                    } else {
                        let registry = self.poll.registry();
                        self.children.ready(event.token(), registry, out);
                    }
                }
            }
        }
        self.filled = count >= EVENTS_MAX;
        if std::mem::take(&mut self.ask_children) {
            self.children.signalled(self.poll.registry(), out);
        }
        Ok(())
    }

    fn events_left(&self) -> bool {
        self.filled
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.poll.as_raw_fd())
    }

    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr> {
        let mut socket = Listener::tcp(addr, options)?;
        let bound = socket.local_addr()?;
        if let Some(Some((owner, Socket::Listener(listener)))) = self.sockets.get_mut(key.index())
            && *owner == key
        {
            let token = Token(key.index());
            let registry = self.poll.registry();
            registry.register(&mut socket, token, Interest::READABLE)?;
            listener.add(socket)?;
        } else {
            self.insert_listener(key, Listener::of_tcp(socket))?;
        }
        Ok(bound)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        let Some(Some((owner, Socket::Listener(socket)))) = self.sockets.get_mut(listener.index())
        else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        debug_assert_eq!(*owner, listener);
        let (stream, peer) = socket.accept()?;
        self.accepted = Some(stream);
        Ok(peer)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.accepted.take().ok_or(io::ErrorKind::NotConnected)?;
        let local = stream.local_addr()?;
        self.insert_stream(key, stream)?;
        Ok(local)
    }

    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()> {
        let stream = match options.local_addr {
            None => TcpStream::connect(addr)?,
            Some(local) => stream::connect_from(local, addr)?,
        };
        if options.nodelay {
            // A socket that cannot has gone already, which the end of the connect tells.
            let _ = stream.set_nodelay(true);
        }
        if options.keepalive.is_some() {
            stream::set_keepalive(&stream, options.keepalive)?;
        }
        self.insert_stream(key, Stream::Tcp(stream))
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.stream(key)?.finish_connect()
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        self.stream(key)?.read(buf)
    }

    fn short_read_drains(&self) -> bool {
        cfg!(any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple"
        ))
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream(key)?.write(pieces)
    }

    fn send_file(&mut self, key: Key, file: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        self.stream(key)?.send_file(file, max)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn splice(&mut self, from: Key, to: Key, max: usize, rest: &mut [u8]) -> io::Result<Spliced> {
        let socket = |key: Key| match self.sockets.get(key.index()) {
            Some(Some((owner, Socket::Stream(stream)))) if *owner == key => stream.plain_socket(),
            _ => Err(io::ErrorKind::NotConnected.into()),
        };
        let (from, to) = (socket(from)?, socket(to)?);
        self.splicer.splice(from, to, max, rest)
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        match self.sockets.get_mut(key.index()) {
            Some(Some((owner, Socket::Stream(stream)))) if *owner == key => {
                stream.shutdown_write(self.poll.registry())
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn udp(&mut self, key: Key, addr: SocketAddr, options: &UdpOptions) -> io::Result<SocketAddr> {
        self.open_udp(key, addr, options)
    }

    fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_udp(key, buf)
    }

    fn send_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        self.send_udp(key, to, packet)
    }

    fn close(&mut self, key: Key) {
        let Some(slot) = self.sockets.get_mut(key.index()) else {
            return;
        };
        if slot.as_ref().is_none_or(|(owner, _)| *owner != key) {
            return;
        }
        if let Some((_, mut socket)) = slot.take() {
            socket.deregister(self.poll.registry());
        }
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn offload(&mut self, job: OffloadJob, threads: usize) -> io::Result<()> {
        self.threads.run(job, threads)
    }

    fn watch_signals(&mut self, wanted: &[i32]) -> io::Result<()> {
        let catchable =
            |signal: &i32| SIGNAL_NUMBERS.contains(signal) && !FORBIDDEN.contains(signal);
        if !wanted.iter().all(catchable) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(signals) = &self.signals {
            return wanted
                .iter()
                .try_for_each(|signal| signals.add_signal(*signal));
        }
        let mut signals = Signals::new(wanted)?;
        self.poll
            .registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    fn listen_unix(&mut self, key: Key, path: &Path, options: &ListenOptions) -> io::Result<()> {
        self.insert_listener(key, Listener::unix(path, options)?)
    }

    fn adopt_listener(&mut self, key: Key, listener: ListeningSocket) -> io::Result<ListenerAddr> {
        let (listener, addr) = Listener::of(listener)?;
        self.insert_listener(key, listener)?;
        Ok(addr)
    }

    fn connect_unix(&mut self, key: Key, path: &Path) -> io::Result<()> {
        let stream = UnixStream::connect(path)?;
        self.insert_stream(key, Stream::Unix(stream))
    }

    fn adopt_stream(&mut self, key: Key, stream: Transport) -> io::Result<SocketAddr> {
        let stream = Stream::of(stream)?;
        let peer = stream.peer_addr()?;
        self.insert_stream(key, stream)?;
        Ok(peer)
    }

    fn detach(&mut self, key: Key) -> io::Result<Transport> {
        self.stream(key)?;
        match self.sockets[key.index()].take() {
            Some((_, Socket::Stream(mut stream))) => {
                stream.deregister(self.poll.registry());
                Ok(stream.into_transport())
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn watch(&mut self, key: Key, fd: BorrowedFd<'_>) -> io::Result<()> {
        let fd = fd.try_clone_to_owned()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let mut source = SourceFd(&fd.as_raw_fd());
        let registry = self.poll.registry();
        registry.register(&mut source, Token(key.index()), interest)?;
        self.insert(key, Socket::Watched(fd));
        Ok(())
    }

    fn fd(&self, key: Key) -> Option<BorrowedFd<'_>> {
        match self.sockets.get(key.index())?.as_ref()? {
            (owner, _) if *owner != key => None,
            (_, Socket::Listener(listener)) => Some(listener.fd()),
            (_, Socket::Stream(stream)) => stream.fd(),
            (_, Socket::Watched(fd)) => Some(fd.as_fd()),
            (_, Socket::Udp(udp)) => Some(udp.socket.as_fd()),
        }
    }

    fn set_option(&mut self, key: Key, option: SocketOption) -> io::Result<()> {
        self.stream(key)?.set_option(option)
    }

    fn peer_credentials(&self, key: Key) -> io::Result<Credentials> {
        match self.sockets.get(key.index()) {
            Some(Some((owner, Socket::Stream(stream)))) if *owner == key => {
                stream.peer_credentials()
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn take_error(&mut self, key: Key) -> io::Result<Option<io::Error>> {
        self.stream(key)?.take_error()
    }

    fn spawn(&mut self, key: Key, command: &mut Command) -> io::Result<ChildPipes> {
        let registry = self.poll.registry();
        let (child, by_signal) = self.children.spawn(key, command, registry)?;
        let pipes = ChildPipes::of(child);
        if by_signal {
            self.watch_signals(&[SIGCHLD])?;
            // It may have ended before the signal was asked for.
            self.ask_children = true;
        }
        Ok(pipes)
    }

    fn kill(&mut self, key: Key, signal: i32) -> io::Result<()> {
        self.children.kill(key, signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_poll_that_fails_for_what_passes_is_tried_again_and_any_other_ends_the_loop() {
        let after = |errno: Errno| rest_after(errno.into());
        assert_eq!(after(Errno::INTR).ok(), Some(None));
        assert_eq!(after(Errno::NOMEM).ok(), Some(Some(POLL_REST)));
        for errno in [Errno::BADF, Errno::INVAL, Errno::IO] {
            let error = after(errno).expect_err("it is told");
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
    }
}
