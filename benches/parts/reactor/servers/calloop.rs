//! With calloop, the event loop of Wayland compositors: a source with a callback for each
//! connection.
//!
//! Level-triggered, one read per event: calloop does not tell that a peer has hung up, so with
//! edges the read that finds nothing could not be spared. Writes are as in the loop over mio; only
//! when the kernel is full a second source, on a duplicate of the socket, waits for room.

use super::{BACKLOG, MESSAGE_BYTES, Service, announce};
use ::calloop::generic::Generic;
use ::calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

pub(super) fn serve(service: Service) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(BACKLOG.cast_signed())?;
    let listener = TcpListener::from(socket);
    announce(listener.local_addr()?)?;

    let mut event_loop = EventLoop::try_new()?;
    let handle = event_loop.handle();
    let source = Generic::new(listener, Interest::READ, Mode::Edge);
    handle
        .insert_source(source, |_, listener, server: &mut Server| {
            server.accept(listener)
        })
        .map_err(|error| error.error)?;
    let mut server = Server {
        service,
        handle,
        conns: Slab::new(),
        dirty: Vec::new(),
        scratch: vec![0; 128 * 1024],
    };
    event_loop.run(None, &mut server, Server::flush)?;
    Ok(())
}

struct Server {
    service: Service,
    handle: LoopHandle<'static, Server>,
    conns: Slab<Conn>,
    dirty: Vec<usize>,
    scratch: Vec<u8>,
}

struct Conn {
    /// The source owns the other half of the count: its callback writes to all connections.
    stream: Rc<TcpStream>,
    part: Vec<u8>,
    out: Vec<u8>,
    /// A source waits for room in the kernel.
    waits: bool,
    is_dirty: bool,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<PostAction> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => Rc::new(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(PostAction::Continue);
                }
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.conns.insert(Conn {
                stream: Rc::clone(&stream),
                part: Vec::new(),
                out: Vec::new(),
                waits: false,
                is_dirty: false,
            });
            let source = Generic::new(stream, Interest::READ, Mode::Level);
            self.handle
                .insert_source(source, move |_, _, server: &mut Server| server.read(index))
                .map_err(|error| error.error)?;
        }
    }

    fn read(&mut self, index: usize) -> io::Result<PostAction> {
        let conn = &mut self.conns[index];
        let len = match (&*conn.stream).read(&mut self.scratch) {
            Ok(len @ 1..) => len,
            Err(error) if is_passing(&error) => return Ok(PostAction::Continue),
            Ok(0) | Err(_) => {
                self.conns.remove(index);
                return Ok(PostAction::Remove);
            }
        };
        match self.service {
            Service::Echo => {
                conn.send(&self.scratch[..len]);
                if !conn.out.is_empty() {
                    self.wait_for_room(index)?;
                }
            }
            Service::FanOut => self.fan_out(index, len),
        }
        Ok(PostAction::Continue)
    }

    fn wait_for_room(&mut self, index: usize) -> io::Result<()> {
        let conn = &mut self.conns[index];
        if std::mem::replace(&mut conn.waits, true) {
            return Ok(());
        }
        let source = Generic::new(conn.stream.try_clone()?, Interest::WRITE, Mode::Level);
        let mine = Rc::downgrade(&conn.stream);
        let more = move |_, _: &mut _, server: &mut Server| {
            // Gone, and the place perhaps given to another?
            let conn = server.conns.get_mut(index);
            let Some(conn) = conn.filter(|conn| Rc::downgrade(&conn.stream).ptr_eq(&mine)) else {
                return Ok(PostAction::Remove);
            };
            conn.flush();
            conn.waits = !conn.out.is_empty();
            Ok(if conn.waits {
                PostAction::Continue
            } else {
                PostAction::Remove
            })
        };
        self.handle
            .insert_source(source, more)
            .map_err(|error| error.error)?;
        Ok(())
    }

    fn fan_out(&mut self, from: usize, len: usize) {
        let mut part = std::mem::take(&mut self.conns[from].part);
        let input = if part.is_empty() {
            &self.scratch[..len]
        } else {
            part.extend_from_slice(&self.scratch[..len]);
            &part
        };
        let mut messages = input.chunks_exact(MESSAGE_BYTES);
        for message in &mut messages {
            for (index, conn) in &mut self.conns {
                if index != from {
                    conn.out.extend_from_slice(message);
                    mark(&mut self.dirty, conn, index);
                }
            }
        }
        self.conns[from].part = messages.remainder().to_vec();
    }

    /// After each batch of events.
    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            let Some(conn) = self.conns.get_mut(index) else {
                continue;
            };
            conn.is_dirty = false;
            conn.flush();
            if !conn.out.is_empty() {
                self.wait_for_room(index)
                    .expect("the loop takes one more source");
            }
        }
        self.dirty = dirty;
    }
}

impl Conn {
    /// Writes at once if nothing waits, and keeps what is not taken.
    fn send(&mut self, bytes: &[u8]) {
        let mut taken = 0;
        if self.out.is_empty() {
            taken = self.write(bytes);
        }
        self.out.extend_from_slice(&bytes[taken..]);
    }

    fn flush(&mut self) {
        let taken = self.write(&self.out);
        self.out.drain(..taken);
    }

    /// How many bytes the kernel has taken. A broken connection takes all: reading finds its end.
    fn write(&self, bytes: &[u8]) -> usize {
        match (&*self.stream).write(bytes) {
            Ok(len) => len,
            Err(error) if is_passing(&error) => 0,
            Err(_) => bytes.len(),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn mark(dirty: &mut Vec<usize>, conn: &mut Conn, index: usize) {
    if !std::mem::replace(&mut conn.is_dirty, true) {
        dirty.push(index);
    }
}
