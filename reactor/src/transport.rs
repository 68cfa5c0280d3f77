//! What carries a connection: sockets and pipes on their way into a reactor and out of it.

use std::fmt;
use std::io::{PipeReader, PipeWriter};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// A stream that was opened elsewhere, for [`Context::adopt`](crate::Context::adopt), or that a
/// reactor gives back.
///
/// `From` makes one of a TCP or Unix stream, of either end of a pipe, of both (reader first), and of
/// a child's standard streams.
#[derive(Debug)]
#[non_exhaustive]
pub enum Transport {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A connection over a Unix socket.
    Unix(UnixStream),
    /// Pipes, or whatever else the system can watch and which goes one way: a terminal, a FIFO. What
    /// is not there has ended already. Files cannot be watched.
    Pipes {
        /// To be read from.
        input: Option<OwnedFd>,
        /// To be written to.
        output: Option<OwnedFd>,
    },
}

impl Transport {
    /// A descriptor to read from and one to write to.
    #[must_use]
    pub fn pipes(input: Option<OwnedFd>, output: Option<OwnedFd>) -> Transport {
        Transport::Pipes { input, output }
    }

    /// Whether each direction has an end of its own.
    pub(crate) fn is_pipes(&self) -> bool {
        matches!(self, Transport::Pipes { .. })
    }
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Transport {
        Transport::Tcp(stream)
    }
}

impl From<UnixStream> for Transport {
    fn from(stream: UnixStream) -> Transport {
        Transport::Unix(stream)
    }
}

impl From<PipeReader> for Transport {
    fn from(input: PipeReader) -> Transport {
        Transport::pipes(Some(input.into()), None)
    }
}

impl From<PipeWriter> for Transport {
    fn from(output: PipeWriter) -> Transport {
        Transport::pipes(None, Some(output.into()))
    }
}

impl From<(PipeReader, PipeWriter)> for Transport {
    fn from((input, output): (PipeReader, PipeWriter)) -> Transport {
        Transport::pipes(Some(input.into()), Some(output.into()))
    }
}

impl From<ChildStdout> for Transport {
    fn from(input: ChildStdout) -> Transport {
        Transport::pipes(Some(input.into()), None)
    }
}

impl From<ChildStderr> for Transport {
    fn from(input: ChildStderr) -> Transport {
        Transport::pipes(Some(input.into()), None)
    }
}

impl From<ChildStdin> for Transport {
    fn from(output: ChildStdin) -> Transport {
        Transport::pipes(None, Some(output.into()))
    }
}

impl From<(ChildStdout, ChildStdin)> for Transport {
    fn from((input, output): (ChildStdout, ChildStdin)) -> Transport {
        Transport::pipes(Some(input.into()), Some(output.into()))
    }
}

/// What [`Io::detach`](crate::Io::detach) hands over: the stream, and the bytes on either side of
/// it that its new owner must see to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Detached {
    /// The stream, open. It is non-blocking, as the reactor had it: for a thread that is to wait
    /// for it, call `set_nonblocking(false)` first.
    pub stream: Transport,
    /// What had been received and no `on_input` has consumed.
    pub unread: Vec<u8>,
    /// What had been queued and not sent.
    pub unsent: Vec<u8>,
}

/// A listening socket that was opened elsewhere, for
/// [`Context::adopt_listener`](crate::Context::adopt_listener).
#[derive(Debug)]
#[non_exhaustive]
pub enum ListeningSocket {
    /// For TCP connections.
    Tcp(TcpListener),
    /// For connections over a Unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for ListeningSocket {
    fn from(listener: TcpListener) -> ListeningSocket {
        ListeningSocket::Tcp(listener)
    }
}

impl From<UnixListener> for ListeningSocket {
    fn from(listener: UnixListener) -> ListeningSocket {
        ListeningSocket::Unix(listener)
    }
}

/// Where a listener listens. As text, the address or the path.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ListenerAddr {
    /// At an address and port.
    Internet(SocketAddr),
    /// At a path of the file system.
    Unix(PathBuf),
    /// On a Unix socket that was adopted and has no path.
    Unnamed,
}

impl fmt::Display for ListenerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerAddr::Internet(addr) => addr.fmt(f),
            ListenerAddr::Unix(path) => path.display().fmt(f),
            ListenerAddr::Unnamed => f.write_str("an unnamed Unix socket"),
        }
    }
}

impl From<SocketAddr> for ListenerAddr {
    fn from(addr: SocketAddr) -> ListenerAddr {
        ListenerAddr::Internet(addr)
    }
}
