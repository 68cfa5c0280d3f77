//! The load: one thread, the same code for every server.
//!
//! It goes in lock-step. A *burst* is some messages in one write, and the next burst of a connection
//! leaves when all that must come of the last one has come, and was compared byte for byte. So each
//! server is given the same pieces of work whatever its speed.

use crate::process::{Server, failed};
use crate::servers::{MESSAGE_BYTES, Service};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to do to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) service: Service,
    /// Connections that echo, or that receive what one more publishes.
    pub(crate) connections: usize,
    /// Messages in a burst.
    pub(crate) burst: usize,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Messages that have come back or, with a fan-out, reached a receiver.
    messages: u64,
    elapsed: Duration,
    cpu: Duration,
}

impl Measured {
    /// Server CPU time of one message, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.messages as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

/// One workload on one server, for some time after a tenth of it to warm up.
pub(crate) fn measure(
    workload: &Workload,
    server: &Server,
    time: Duration,
) -> io::Result<Measured> {
    let mut load = Load::connect(workload, server)?;
    load.run(time / 10)?;
    let (cpu, start) = (server.cpu_time()?, Instant::now());
    let messages = load.run(time)?;
    let elapsed = start.elapsed();
    let cpu = settled(server)? - cpu;
    load.finish()?;
    Ok(Measured {
        messages,
        elapsed,
        cpu,
    })
}

/// The server's CPU time once it sleeps, which may be a moment after its last byte has come.
fn settled(server: &Server) -> io::Result<Duration> {
    let mut before = server.cpu_time()?;
    loop {
        std::thread::sleep(Duration::from_millis(2));
        let now = server.cpu_time()?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

struct Load {
    workload: Workload,
    poll: Poll,
    events: Events,
    peers: Vec<Peer>,
    publisher: Option<TcpStream>,
    published: Vec<u8>,
    scratch: Vec<u8>,
    bursts: u64,
}

struct Peer {
    stream: TcpStream,
    /// The burst under way: what must come back. Empty with a fan-out, where all expect the same.
    burst: Vec<u8>,
    /// Bytes of it that have come.
    got: usize,
}

impl Load {
    fn connect(workload: &Workload, server: &Server) -> io::Result<Load> {
        let poll = Poll::new()?;
        let connect = || -> io::Result<TcpStream> {
            let stream = std::net::TcpStream::connect(server.addr)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(TcpStream::from_std(stream))
        };
        let mut peers = Vec::with_capacity(workload.connections);
        for index in 0..workload.connections {
            let mut stream = connect()?;
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE)?;
            peers.push(Peer {
                stream,
                burst: Vec::new(),
                got: 0,
            });
        }
        // The last in the queue of the listener: when its first message is read, all are there.
        let publisher = match workload.service {
            Service::Echo => None,
            Service::FanOut => Some(connect()?),
        };
        Ok(Load {
            workload: *workload,
            poll,
            events: Events::with_capacity(1024),
            peers,
            publisher,
            published: Vec::new(),
            scratch: vec![0; 64 * 1024],
            bursts: 0,
        })
    }

    /// Sends bursts for `time`, and answers how many messages have come.
    fn run(&mut self, time: Duration) -> io::Result<u64> {
        let deadline = Instant::now() + time;
        let mut received = 0;
        // Peers with a burst under way.
        let mut busy = self.peers.len();
        self.begin()?;
        while busy > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(failed(format!("{busy} connections wait in vain")));
            }
            let goes_on = Instant::now() < deadline;
            for event in &self.events {
                let peer = &mut self.peers[event.token().0];
                let expected = match self.workload.service {
                    Service::Echo => peer.burst.len(),
                    Service::FanOut => self.published.len(),
                };
                if !peer.receive(&mut self.scratch, &self.published)? || peer.got < expected {
                    continue;
                }
                received += self.workload.burst as u64;
                if goes_on && self.workload.service == Service::Echo {
                    self.bursts += 1;
                    fill(&mut peer.burst, self.workload.burst, self.bursts);
                    peer.got = 0;
                    send(&mut peer.stream, &peer.burst)?;
                } else {
                    busy -= 1;
                }
            }
            if busy == 0 && goes_on {
                busy = self.peers.len();
                self.begin()?;
            }
        }
        Ok(received)
    }

    /// Nothing must have come that was not asked for.
    fn finish(mut self) -> io::Result<()> {
        for peer in &mut self.peers {
            match peer.stream.read(&mut self.scratch) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return Err(failed(format!("more than was sent: {other:?}"))),
            }
        }
        Ok(())
    }

    /// Sends the first burst of each connection, or the next of the publisher.
    fn begin(&mut self) -> io::Result<()> {
        let count = self.workload.burst;
        for peer in &mut self.peers {
            peer.got = 0;
        }
        if let Some(publisher) = &mut self.publisher {
            self.bursts += 1;
            fill(&mut self.published, count, self.bursts);
            return send(publisher, &self.published);
        }
        for peer in &mut self.peers {
            self.bursts += 1;
            fill(&mut peer.burst, count, self.bursts);
            send(&mut peer.stream, &peer.burst)?;
        }
        Ok(())
    }
}

impl Peer {
    /// Reads what has come and compares it; `false` if that was nothing.
    fn receive(&mut self, scratch: &mut [u8], published: &[u8]) -> io::Result<bool> {
        let mut any = false;
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => return Err(failed("the server has hung up".into())),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let expected = if self.burst.is_empty() {
                published
            } else {
                &self.burst
            };
            if expected.get(self.got..self.got + len) != Some(&scratch[..len]) {
                let shown = scratch[..len.min(80)].escape_ascii();
                return Err(failed(format!("not what was sent: {shown}")));
            }
            self.got += len;
            any = true;
            if len < scratch.len() {
                return Ok(any);
            }
        }
    }
}

/// A burst that is like no other: each message has its number, the number's complement, and bytes
/// that follow from it.
fn fill(burst: &mut Vec<u8>, count: usize, number: u64) {
    burst.clear();
    for place in 0..count as u64 {
        let number = (number << 16) + place;
        burst.extend_from_slice(&number.to_le_bytes());
        burst.extend_from_slice(&(!number).to_le_bytes());
        let filler = (number as u8).wrapping_mul(31);
        burst.extend_from_slice(&[filler; MESSAGE_BYTES - 16]);
    }
}

/// A burst is small and the socket empty: it is taken whole.
fn send(stream: &mut TcpStream, burst: &[u8]) -> io::Result<()> {
    let len = stream.write(burst)?;
    if len < burst.len() {
        return Err(failed(format!("sent {len} of {} bytes", burst.len())));
    }
    Ok(())
}
