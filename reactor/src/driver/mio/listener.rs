//! Listening sockets: TCP and Unix.

use super::stream::{Stream, set_congestion};
use crate::{ListenOptions, ListenerAddr, ListeningSocket, NO_ADDR};
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(Sockets),
    Unix(UnixListener),
}

/// The sockets of one listener, one for each address.
#[derive(Debug)]
pub(super) struct Sockets {
    all: Vec<TcpListener>,
    /// The one to accept from first, so that a busy one does not keep the others from their turn.
    next: usize,
}

impl Sockets {
    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        for _ in 0..self.all.len() {
            let socket = &self.all[self.next];
            self.next = (self.next + 1) % self.all.len();
            match socket.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                accepted => return accepted,
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }
}

/// Whether accepted connections have the `TCP_NODELAY` of their listener, which saves a call for each.
const NODELAY_IS_INHERITED: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl Listener {
    pub(super) fn tcp(addr: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
        let domain = Domain::for_address(addr);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // A port whose last owner has just ended is free again at once.
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if addr.is_ipv6() {
            socket.set_only_v6(options.only_v6)?;
        }
        // Coalescing in the loop replaces Nagle's algorithm.
        if NODELAY_IS_INHERITED {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some(name) = options.congestion_control {
            set_congestion(&socket, name)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(options.backlog)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    pub(super) fn of_tcp(socket: TcpListener) -> Listener {
        Listener::Tcp(Sockets {
            all: vec![socket],
            next: 0,
        })
    }

    /// Gives the listener one more socket, which is registered.
    pub(super) fn add(&mut self, socket: TcpListener) -> io::Result<()> {
        match self {
            Listener::Tcp(sockets) => sockets.all.push(socket),
            Listener::Unix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    pub(super) fn unix(path: &Path, options: &ListenOptions) -> io::Result<Listener> {
        let addr = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.bind(&addr) {
            Err(error)
                if error.kind() == ErrorKind::AddrInUse
                    && options.unlink_stale
                    && is_stale(path, &addr) =>
            {
                fs::remove_file(path)?;
                socket.bind(&addr)?;
            }
            bound => bound?,
        }
        // No connection is possible before it listens: the permissions keep out who is to be kept out.
        let mode = options.unix_mode.map(fs::Permissions::from_mode);
        let listens = mode
            .map_or(Ok(()), |mode| fs::set_permissions(path, mode))
            .and_then(|()| socket.listen(options.backlog));
        if let Err(error) = listens {
            // It was made a moment ago.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Listener::Unix(UnixListener::from_std(socket.into())))
    }

    /// A foreign listener, made non-blocking.
    pub(super) fn of(listener: ListeningSocket) -> io::Result<(Listener, ListenerAddr)> {
        Ok(match listener {
            ListeningSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                if NODELAY_IS_INHERITED {
                    SockRef::from(&listener).set_tcp_nodelay(true)?;
                }
                let addr = listener.local_addr()?.into();
                (Listener::of_tcp(TcpListener::from_std(listener)), addr)
            }
            ListeningSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let addr = listener.local_addr()?;
                let path = addr.as_pathname().map(Path::to_owned);
                let addr = path.map_or(ListenerAddr::Unnamed, ListenerAddr::Unix);
                (Listener::Unix(UnixListener::from_std(listener)), addr)
            }
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(sockets) => sockets
                .all
                .iter_mut()
                .try_for_each(|socket| registry.register(socket, token, Interest::READABLE)),
            Listener::Unix(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // It fails only for what is not registered.
        let _ = match self {
            Listener::Tcp(sockets) => sockets
                .all
                .iter_mut()
                .try_for_each(|socket| registry.deregister(socket)),
            Listener::Unix(listener) => registry.deregister(listener),
        };
    }

    pub(super) fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Listener::Tcp(sockets) => {
                let (stream, peer) = sockets.accept()?;
                // A socket that cannot has gone already.
                if !NODELAY_IS_INHERITED {
                    let _ = stream.set_nodelay(true);
                }
                Ok((Stream::Tcp(stream), peer))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Stream::Unix(stream), NO_ADDR))
            }
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(sockets) => sockets.all[0].as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Whether a socket stands at `path` that refuses connections: its maker has gone.
fn is_stale(path: &Path, addr: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses = || -> io::Result<bool> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Where the backlog is full this would wait.
        socket.set_nonblocking(true)?;
        let connected = socket.connect(addr);
        Ok(connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
    };
    is_socket && refuses().unwrap_or(false)
}
