//! With mio and nothing else, as someone would write it who knows what costs: registered once and
//! edge-triggered; a short read is the last; an echo leaves from the buffer it was read into; output
//! to others is collected and written once per batch of events.
//!
//! There is no bound on a queue, no fairness and no timer, and input is copied only if a message
//! is cut.

use super::{MESSAGE_BYTES, Service, announce};
use ::mio::net::{TcpListener, TcpStream};
use ::mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::{self, ErrorKind, Read, Write};

const LISTENER: Token = Token(usize::MAX);

pub(super) fn serve(service: Service) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?)?;
    let mut events = Events::with_capacity(1024);
    let mut conns = Slab::new();
    let mut scratch = vec![0; 128 * 1024];
    let mut dirty = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&poll, &listener, &mut conns)?;
                continue;
            }
            let index = event.token().0;
            let Some(conn) = conns.get_mut(index) else {
                continue;
            };
            if event.is_writable() && !conn.out.is_empty() {
                conn.is_writable = true;
                mark(&mut dirty, conn, index);
            }
            let hangup = event.is_read_closed() || event.is_error();
            if event.is_readable() || hangup {
                let open = match service {
                    Service::Echo => conn.echo(&mut scratch, hangup),
                    Service::FanOut => fan_out(&mut conns, index, &mut scratch, hangup, &mut dirty),
                };
                if !open {
                    conns.remove(index);
                }
            }
        }
        for index in dirty.drain(..) {
            if let Some(conn) = conns.get_mut(index) {
                conn.is_dirty = false;
                if !conn.flush() {
                    conns.remove(index);
                }
            }
        }
    }
}

struct Conn {
    stream: TcpStream,
    /// The beginning of a message whose end has not come.
    part: Vec<u8>,
    out: Vec<u8>,
    is_writable: bool,
    is_dirty: bool,
}

fn accept(poll: &Poll, listener: &TcpListener, conns: &mut Slab<Conn>) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let entry = conns.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(entry.key()), interest)?;
        entry.insert(Conn {
            stream,
            part: Vec::new(),
            out: Vec::new(),
            is_writable: true,
            is_dirty: false,
        });
    }
}

impl Conn {
    /// Sends back what there is; `false` if the connection is over.
    fn echo(&mut self, scratch: &mut [u8], hangup: bool) -> bool {
        loop {
            let (len, more) = match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(len) => (len, len == scratch.len() || hangup),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            if !self.send(&scratch[..len]) {
                return false;
            }
            if !more {
                return true;
            }
        }
    }

    /// Writes at once if nothing waits, and keeps what is not taken.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let mut taken = 0;
        if self.out.is_empty() && self.is_writable {
            match self.stream.write(bytes) {
                Ok(len) => taken = len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => return self.send(bytes),
                Err(_) => return false,
            }
            self.is_writable = taken == bytes.len();
        }
        self.out.extend_from_slice(&bytes[taken..]);
        true
    }

    fn flush(&mut self) -> bool {
        while self.is_writable && !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(len) => {
                    self.is_writable = len == self.out.len();
                    self.out.drain(..len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn mark(dirty: &mut Vec<usize>, conn: &mut Conn, index: usize) {
    if !std::mem::replace(&mut conn.is_dirty, true) {
        dirty.push(index);
    }
}

/// Copies what connection `from` has sent to all others; `false` if it is over.
fn fan_out(
    conns: &mut Slab<Conn>,
    from: usize,
    scratch: &mut [u8],
    hangup: bool,
    dirty: &mut Vec<usize>,
) -> bool {
    loop {
        let (len, more) = match conns[from].stream.read(scratch) {
            Ok(0) => return false,
            Ok(len) => (len, len == scratch.len() || hangup),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return false,
        };
        let mut part = std::mem::take(&mut conns[from].part);
        let input = if part.is_empty() {
            &scratch[..len]
        } else {
            part.extend_from_slice(&scratch[..len]);
            &part
        };
        let mut messages = input.chunks_exact(MESSAGE_BYTES);
        for message in &mut messages {
            for (index, conn) in conns.iter_mut() {
                if index != from {
                    conn.out.extend_from_slice(message);
                    mark(dirty, conn, index);
                }
            }
        }
        conns[from].part = messages.remainder().to_vec();
        if !more {
            return true;
        }
    }
}
