//! What carries a connection: TCP, a Unix socket, or a pipe for each direction.

use crate::{Credentials, Keepalive, NO_ADDR, SocketOption, Transport};
use mio::net::{TcpStream, UnixStream};
use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pipes {
        input: Option<Receiver>,
        output: Option<Sender>,
    },
}

impl Stream {
    /// A foreign stream, made non-blocking.
    pub(super) fn of(transport: Transport) -> io::Result<Stream> {
        Ok(match transport {
            Transport::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                Stream::Tcp(TcpStream::from_std(stream))
            }
            Transport::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Stream::Unix(UnixStream::from_std(stream))
            }
            Transport::Pipes { input, output } => {
                let input = input.map(Receiver::from);
                let output = output.map(Sender::from);
                if let Some(input) = &input {
                    input.set_nonblocking(true)?;
                }
                if let Some(output) = &output {
                    output.set_nonblocking(true)?;
                }
                Stream::Pipes { input, output }
            }
        })
    }

    /// The same for another.
    pub(super) fn into_transport(self) -> Transport {
        match self {
            Stream::Tcp(stream) => Transport::Tcp(OwnedFd::from(stream).into()),
            Stream::Unix(stream) => Transport::Unix(OwnedFd::from(stream).into()),
            Stream::Pipes { input, output } => {
                Transport::pipes(input.map(OwnedFd::from), output.map(OwnedFd::from))
            }
        }
    }

    /// Registers it once, for all that can happen.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Stream::Tcp(stream) => registry.register(stream, token, both),
            Stream::Unix(stream) => registry.register(stream, token, both),
            Stream::Pipes { input, output } => {
                if let Some(input) = input {
                    registry.register(input, token, Interest::READABLE)?;
                }
                match output {
                    Some(output) => registry.register(output, token, Interest::WRITABLE),
                    None => Ok(()),
                }
            }
        }
    }

    /// A description that is still open elsewhere would go on reporting if it stayed registered.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // It fails only for what is not registered.
        match self {
            Stream::Tcp(stream) => {
                let _ = registry.deregister(stream);
            }
            Stream::Unix(stream) => {
                let _ = registry.deregister(stream);
            }
            Stream::Pipes { input, output } => {
                if let Some(input) = input {
                    let _ = registry.deregister(input);
                }
                if let Some(output) = output {
                    let _ = registry.deregister(output);
                }
            }
        }
    }

    pub(super) fn finish_connect(&self) -> io::Result<SocketAddr> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        let connected = match self {
            Stream::Tcp(stream) => stream.peer_addr().map(drop),
            Stream::Unix(stream) => stream.peer_addr().map(drop),
            Stream::Pipes { .. } => Ok(()),
        };
        match connected {
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                return Err(ErrorKind::WouldBlock.into());
            }
            connected => connected?,
        }
        self.local_addr()
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr(),
            Stream::Unix(_) | Stream::Pipes { .. } => Ok(NO_ADDR),
        }
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr(),
            Stream::Unix(_) | Stream::Pipes { .. } => Ok(NO_ADDR),
        }
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buf),
            Stream::Unix(stream) => stream.read(buf),
            Stream::Pipes { input, output } => match (input, output) {
                (Some(input), _) => input.read(buf),
                (None, Some(output)) => Err(still_open(output)),
                (None, None) => Ok(0),
            },
        }
    }

    pub(super) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => write_to(stream, pieces),
            Stream::Unix(stream) => write_to(stream, pieces),
            Stream::Pipes { output, .. } => match output {
                Some(output) => write_to(output, pieces),
                None => Err(ErrorKind::BrokenPipe.into()),
            },
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn send_file(&self, file: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let socket = self.plain_socket()?;
        Ok(rustix::fs::sendfile(socket, file, None, max)?)
    }

    /// What the system may move bytes to and from by itself.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn plain_socket(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => self.socket(),
            Stream::Pipes { .. } => Err(ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn send_file(&self, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn shutdown_write(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Pipes { output, .. } => match output.take() {
                Some(mut output) => registry.deregister(&mut output),
                None => Ok(()),
            },
        }
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Stream::Tcp(stream) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
            Stream::Pipes { .. } => Ok(None),
        }
    }

    pub(super) fn set_option(&self, option: SocketOption) -> io::Result<()> {
        use SocketOption as O;
        let unsupported = || Err(ErrorKind::Unsupported.into());
        match (self, option) {
            (Stream::Tcp(stream), O::NoDelay(on)) => stream.set_nodelay(on),
            (Stream::Tcp(stream), O::Keepalive(keepalive)) => set_keepalive(stream, keepalive),
            (Stream::Tcp(stream), O::UserTimeout(timeout)) => set_user_timeout(stream, timeout),
            (Stream::Tcp(stream), O::CongestionControl(name)) => set_congestion(stream, name),
            (Stream::Pipes { .. }, _) => unsupported(),
            (_, O::SendBuffer(bytes)) => SockRef::from(&self.socket()?).set_send_buffer_size(bytes),
            (_, O::ReceiveBuffer(bytes)) => {
                SockRef::from(&self.socket()?).set_recv_buffer_size(bytes)
            }
            (Stream::Unix(_), _) => unsupported(),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn peer_credentials(&self) -> io::Result<Credentials> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let Stream::Unix(stream) = self else {
            return Err(ErrorKind::Unsupported.into());
        };
        let peer = getsockopt(stream, PeerCredentials)?;
        Ok(Credentials {
            pid: u32::try_from(peer.pid()).ok().filter(|pid| *pid != 0),
            uid: peer.uid(),
            gid: peer.gid(),
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn peer_credentials(&self) -> io::Result<Credentials> {
        Err(ErrorKind::Unsupported.into())
    }

    fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        self.fd().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Stream::Tcp(stream) => Some(stream.as_fd()),
            Stream::Unix(stream) => Some(stream.as_fd()),
            Stream::Pipes { input, output } => {
                let output = output.as_ref().map(AsFd::as_fd);
                input.as_ref().map(AsFd::as_fd).or(output)
            }
        }
    }
}

/// Begins to connect from an address of one's own choice.
pub(super) fn connect_from(local: SocketAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let domain = Domain::for_address(addr);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    match socket.connect(&addr.into()) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            Err(error)
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// What reading from a connection that can only be written to answers: that there is nothing yet, or
/// that nobody reads at the other end any more.
fn still_open(output: &Sender) -> io::Error {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(output, PollFlags::empty())];
    let gone = poll(&mut asked, Some(&Timespec::default())).is_ok_and(|count| count > 0);
    match gone {
        true => ErrorKind::BrokenPipe.into(),
        false => ErrorKind::WouldBlock.into(),
    }
}

fn write_to(stream: &mut impl Write, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    match pieces {
        [piece] => stream.write(piece),
        pieces => stream.write_vectored(pieces),
    }
}

pub(super) fn set_keepalive(socket: &impl AsFd, keepalive: Option<Keepalive>) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let Some(keepalive) = keepalive else {
        return socket.set_keepalive(false);
    };
    let mut params = TcpKeepalive::new();
    if let Some(idle) = keepalive.idle {
        params = params.with_time(idle);
    }
    if let Some(interval) = keepalive.interval {
        params = params.with_interval(interval);
    }
    if let Some(probes) = keepalive.probes {
        params = params.with_retries(probes);
    }
    socket.set_tcp_keepalive(&params)
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(super) fn set_congestion(socket: &impl AsFd, name: &str) -> io::Result<()> {
    SockRef::from(socket).set_tcp_congestion(name.as_bytes())
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(super) fn set_congestion(_: &impl AsFd, _: &str) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn set_user_timeout(socket: &impl AsFd, timeout: Option<std::time::Duration>) -> io::Result<()> {
    SockRef::from(socket).set_tcp_user_timeout(timeout)
}

#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &impl AsFd, _: Option<std::time::Duration>) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
