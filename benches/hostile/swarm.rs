//! Many connections on one thread, each told what to say and whether to listen. It is a loop over
//! mio of its own, so that what it loads is not what it is made of.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Most bytes that one connection reads, and writes, before the next one's turn.
const SHARE_BYTES: usize = 256 * 1024;

/// How long the system may take to open a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// What a connection does with what comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// Takes it out at once and forgets it.
    All,
    /// Keeps it for [`Swarm::heard`].
    Keep,
    /// Leaves it in the socket.
    Never,
}

/// A connection of a swarm; numbers are never used again.
pub(crate) type Id = usize;

struct Conn {
    stream: TcpStream,
    reading: Reading,
    /// What the system has told last, and no call has disproved since.
    readable: bool,
    writable: bool,
    out: VecDeque<Speech>,
    /// Bytes of the first speech's current round that are written.
    written: usize,
    spoken_bytes: u64,
    heard: Vec<u8>,
    /// When the last write began, and when the last read ended.
    said_at: Instant,
    heard_at: Instant,
    is_queued: bool,
}

/// Bytes that are said so many times.
struct Speech {
    bytes: Arc<[u8]>,
    times: u64,
}

/// The connections, all to one address.
pub(crate) struct Swarm {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    conns: HashMap<Id, Conn>,
    next: Id,
    /// Those with something to do that no event will tell of.
    ready: VecDeque<Id>,
    ended: Vec<Id>,
    buffer: Box<[u8]>,
    /// Connections that the other side has ended.
    pub(crate) closed: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) read_bytes: u64,
}

impl Swarm {
    pub(crate) fn new(addr: SocketAddr) -> io::Result<Swarm> {
        Ok(Swarm {
            addr,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            conns: HashMap::new(),
            next: 0,
            ready: VecDeque::new(),
            ended: Vec::new(),
            buffer: vec![0; SHARE_BYTES].into(),
            closed: 0,
            sent_bytes: 0,
            read_bytes: 0,
        })
    }

    /// Connects one, which says `hello` first.
    pub(crate) fn dial(&mut self, hello: &[u8], reading: Reading) -> io::Result<Id> {
        self.dial_with(hello, reading, None)
    }

    /// Connects one that lets the system keep only so many bytes for it.
    pub(crate) fn dial_with(
        &mut self,
        hello: &[u8],
        reading: Reading,
        receive_bytes: Option<usize>,
    ) -> io::Result<Id> {
        let domain = socket2::Domain::for_address(self.addr);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&self.addr.into(), CONNECT_MAX)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        self.enter(TcpStream::from_std(socket.into()), true, reading, hello)
    }

    /// Begins to connect one, which says `hello` once it is connected: waits for nothing, so that one that is not
    /// accepted soon does not hold up the others.
    pub(crate) fn dial_soon(&mut self, hello: &[u8], reading: Reading) -> io::Result<Id> {
        let stream = TcpStream::connect(self.addr)?;
        self.enter(stream, false, reading, hello)
    }

    fn enter(
        &mut self,
        mut stream: TcpStream,
        writable: bool,
        reading: Reading,
        hello: &[u8],
    ) -> io::Result<Id> {
        let id = self.next;
        self.next += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(id), both)?;
        let now = Instant::now();
        let conn = Conn {
            stream,
            reading,
            readable: false,
            writable,
            out: VecDeque::new(),
            written: 0,
            spoken_bytes: 0,
            heard: Vec::new(),
            said_at: now,
            heard_at: now,
            is_queued: false,
        };
        self.conns.insert(id, conn);
        self.say(id, hello);
        Ok(id)
    }

    /// Says something; it is on its way when the next turn ends, or when the socket takes it.
    pub(crate) fn say(&mut self, id: Id, words: &[u8]) {
        if !words.is_empty() {
            self.repeat(id, &words.into(), 1);
        }
    }

    /// Says it `times` times, as fast as it is taken.
    pub(crate) fn repeat(&mut self, id: Id, words: &Arc<[u8]>, times: u64) {
        if let Some(conn) = self.conns.get_mut(&id) {
            let bytes = Arc::clone(words);
            conn.out.push_back(Speech { bytes, times });
            self.wake(id);
        }
    }

    /// Bytes that the system has taken of what it says.
    pub(crate) fn spoken_bytes(&self, id: Id) -> u64 {
        self.conns.get(&id).map_or(0, |conn| conn.spoken_bytes)
    }

    /// Whether all that it was to say has been taken by the system.
    pub(crate) fn is_silent(&self, id: Id) -> bool {
        self.conns.get(&id).is_none_or(|conn| conn.out.is_empty())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.conns.len()
    }

    pub(crate) fn is_open(&self, id: Id) -> bool {
        self.conns.contains_key(&id)
    }

    pub(crate) fn set_reading(&mut self, id: Id, reading: Reading) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.reading = reading;
            self.wake(id);
        }
    }

    /// What has come for one that keeps it.
    pub(crate) fn heard(&mut self, id: Id) -> Option<&mut Vec<u8>> {
        self.conns.get_mut(&id).map(|conn| &mut conn.heard)
    }

    /// When its last words began to leave, and when the last that came had been read: its own times, without those that
    /// this thread spends with the others.
    pub(crate) fn said_and_heard(&self, id: Id) -> Option<(Instant, Instant)> {
        let conn = self.conns.get(&id);
        conn.map(|conn| (conn.said_at, conn.heard_at))
    }

    /// Has one that leaves all in its socket take a little out of it.
    pub(crate) fn sip(&mut self, id: Id, bytes: usize) {
        let len = bytes.min(self.buffer.len());
        if let Some(conn) = self.conns.get_mut(&id)
            && let Ok(len) = conn.stream.read(&mut self.buffer[..len])
        {
            self.read_bytes += len as u64;
        }
    }

    /// Closes it; what is unread in its socket makes that a reset.
    pub(crate) fn close(&mut self, id: Id) {
        if let Some(mut conn) = self.conns.remove(&id) {
            let _ = self.poll.registry().deregister(&mut conn.stream);
        }
    }

    /// As if its process had been killed.
    pub(crate) fn reset(&mut self, id: Id) {
        if let Some(conn) = self.conns.get(&id) {
            let _ = socket2::SockRef::from(&conn.stream).set_linger(Some(Duration::ZERO));
        }
        self.close(id);
    }

    /// Those whom the other side has ended since this was asked last.
    pub(crate) fn take_ended(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.ended)
    }

    /// Moves bytes until `end`.
    pub(crate) fn run_until(&mut self, end: Instant) -> io::Result<()> {
        while let Some(left) = end.checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Waits until `wanted`, or for so long; answers whether it came to that.
    pub(crate) fn wait(
        &mut self,
        most: Duration,
        mut wanted: impl FnMut(&mut Swarm) -> bool,
    ) -> io::Result<bool> {
        let end = Instant::now() + most;
        loop {
            if wanted(self) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            self.turn(Duration::from_millis(10))?;
        }
    }

    /// Waits for something to do, not longer than `patience`, and does a share of it for each.
    pub(crate) fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let patience = if self.ready.is_empty() {
            patience
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        let mut gone = Vec::new();
        for event in &self.events {
            let Token(id) = event.token();
            let Some(conn) = self.conns.get_mut(&id) else {
                continue;
            };
            conn.readable |= event.is_readable();
            conn.writable |= event.is_writable();
            // One that does not read would not learn of its end otherwise.
            let is_over = event.is_error() || event.is_read_closed();
            if is_over && conn.reading == Reading::Never {
                gone.push(id);
            } else if !conn.is_queued {
                conn.is_queued = true;
                self.ready.push_back(id);
            }
        }
        for id in gone {
            self.end(id);
        }
        for _ in 0..self.ready.len() {
            if let Some(id) = self.ready.pop_front() {
                self.pump(id);
            }
        }
        Ok(())
    }

    fn wake(&mut self, id: Id) {
        if let Some(conn) = self.conns.get_mut(&id)
            && !conn.is_queued
        {
            conn.is_queued = true;
            self.ready.push_back(id);
        }
    }

    fn pump(&mut self, id: Id) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        conn.is_queued = false;
        let read = conn.read(&mut self.buffer);
        let written = conn.write();
        let (Ok(read), Ok(written)) = (read, written) else {
            return self.end(id);
        };
        self.read_bytes += read as u64;
        self.sent_bytes += written as u64;
        conn.spoken_bytes += written as u64;
        let reads = conn.readable && conn.reading != Reading::Never;
        if reads || conn.writable && !conn.out.is_empty() {
            self.wake(id);
        }
    }

    fn end(&mut self, id: Id) {
        if self.is_open(id) {
            self.close(id);
            self.closed += 1;
            self.ended.push(id);
        }
    }
}

impl Conn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable || self.reading == Reading::Never {
            return Ok(0);
        }
        match self.stream.read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.heard_at = Instant::now();
                if self.reading == Reading::Keep {
                    self.heard.extend_from_slice(&buffer[..len]);
                }
                Ok(len)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<usize> {
        let mut total = 0;
        if self.writable && !self.out.is_empty() {
            self.said_at = Instant::now();
        }
        while self.writable && total < SHARE_BYTES {
            let Some(speech) = self.out.front_mut() else {
                break;
            };
            match self.stream.write(&speech.bytes[self.written..]) {
                Ok(len) => {
                    total += len;
                    self.written += len;
                    if self.written == speech.bytes.len() {
                        self.written = 0;
                        speech.times -= 1;
                        if speech.times == 0 {
                            self.out.pop_front();
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }
}
