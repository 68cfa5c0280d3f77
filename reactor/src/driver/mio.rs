//! The driver over the operating system's sockets, by mio. Edge-triggered, registered once.

mod threads;

use self::threads::Threads;
use super::{Driver, Event, ListenOptions, Wake};
use crate::{Key, OffloadJob, Time};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::FORBIDDEN;
use signal_hook_mio::v1_0::Signals;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Most events fetched in one poll. What does not fit comes with the next.
const EVENTS_MAX: usize = 1024;

/// What may be the number of a signal; asking for any other would be a panic.
const SIGNAL_NUMBERS: std::ops::Range<i32> = 1..128;

#[derive(Debug)]
enum Socket {
    Listener(TcpListener),
    Stream(TcpStream),
}

/// Real sockets and the monotonic clock.
pub struct MioDriver {
    poll: Poll,
    events: Events,
    /// By `key.index()`. A token is an index: events are translated to keys as soon as they are
    /// fetched, before any socket can be closed and its index given to another.
    sockets: Vec<Option<(Key, Socket)>>,
    accepted: Option<TcpStream>,
    signals: Option<Signals>,
    waker: Arc<MioWaker>,
    threads: Threads,
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
            waker,
            threads: Threads::default(),
            start: Instant::now(),
        })
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut TcpStream> {
        match self.sockets.get_mut(key.index()) {
            Some(Some((owner, Socket::Stream(stream)))) if *owner == key => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
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

    fn insert_stream(&mut self, key: Key, mut stream: TcpStream) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(key.index()), interest)?;
        self.insert(key, Socket::Stream(stream));
        Ok(())
    }
}

impl Driver for MioDriver {
    fn now(&mut self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    fn seed(&mut self) -> u64 {
        RandomState::new().hash_one(self.start.elapsed())
    }

    fn poll(&mut self, out: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => {}
                SIGNALS => {
                    let signals = self.signals.as_mut().into_iter();
                    out.extend(signals.flat_map(Signals::pending).map(Event::Signal));
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
                    }
                }
            }
        }
        Ok(())
    }

    fn listen(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        if cfg!(unix) {
            // A port whose last owner has just ended is free again at once.
            socket.set_reuse_address(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(options.backlog)?;
        let mut listener = TcpListener::from_std(socket.into());
        let bound = listener.local_addr()?;
        self.poll
            .registry()
            .register(&mut listener, Token(key.index()), Interest::READABLE)?;
        self.insert(key, Socket::Listener(listener));
        Ok(bound)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        let Some(Some((owner, Socket::Listener(socket)))) = self.sockets.get(listener.index())
        else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        debug_assert_eq!(*owner, listener);
        let (stream, peer) = socket.accept()?;
        // Coalescing in the loop replaces Nagle's algorithm. A socket that cannot has gone already.
        let _ = stream.set_nodelay(true);
        self.accepted = Some(stream);
        Ok(peer)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.accepted.take().ok_or(io::ErrorKind::NotConnected)?;
        let local = stream.local_addr()?;
        self.insert_stream(key, stream)?;
        Ok(local)
    }

    fn connect(&mut self, key: Key, addr: SocketAddr) -> io::Result<()> {
        let stream = TcpStream::connect(addr)?;
        self.insert_stream(key, stream)
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.stream(key)?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {
                let _ = stream.set_nodelay(true);
                stream.local_addr()
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
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
        let stream = self.stream(key)?;
        match pieces {
            [piece] => stream.write(piece),
            pieces => stream.write_vectored(pieces),
        }
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        self.stream(key)?.shutdown(Shutdown::Write)
    }

    fn close(&mut self, key: Key) {
        let Some(slot) = self.sockets.get_mut(key.index()) else {
            return;
        };
        if slot.as_ref().is_none_or(|(owner, _)| *owner != key) {
            return;
        }
        // A description that is still open elsewhere would go on reporting if it stayed registered.
        let registry = self.poll.registry();
        let _ = match slot.take() {
            Some((_, Socket::Listener(mut listener))) => registry.deregister(&mut listener),
            Some((_, Socket::Stream(mut stream))) => registry.deregister(&mut stream),
            None => Ok(()),
        };
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
}
