//! A connection of the system: over TCP, or at a Unix socket. Where it goes to, and why it does not.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket as Raw, Type};

use crate::server::Server;

/// Where a connection goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// An address and a port.
    Internet(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Internet(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects, by `end` if there is one.
    pub(crate) fn connect(server: &Server, end: Option<Instant>) -> io::Result<Socket> {
        match &server.unix {
            Some(path) => at_path(path, end).map(Socket::Unix),
            None => to_address(&server.address, end).map(Socket::Tcp),
        }
    }

    /// Whether small writes are put off matters to TCP alone.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_nodelay(true),
            Socket::Unix(_) => Ok(()),
        }
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_read_timeout(timeout),
            Socket::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Where it goes to.
    pub(crate) fn peer(&self) -> io::Result<Address> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().map(Address::Internet),
            Socket::Unix(stream) => {
                let addr = stream.peer_addr()?;
                let path = addr.as_pathname().unwrap_or_else(|| Path::new(""));
                Ok(Address::Unix(path.to_owned()))
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time that is left.
pub(crate) fn left(end: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(end) = end else { return Ok(None) };
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(Some(left)),
    }
}

fn to_address(address: &str, end: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for one in address.to_socket_addrs()? {
        let connected = match left(end)? {
            Some(left) => TcpStream::connect_timeout(&one, left),
            None => TcpStream::connect(one),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn at_path(path: &Path, end: Option<Instant>) -> io::Result<UnixStream> {
    // Of a file that is no socket the system says that the connection was refused.
    match std::fs::metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            let text = "what stands there is no socket";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = "there is no socket at this path";
            return Err(io::Error::new(ErrorKind::NotFound, text));
        }
        _ => {}
    }
    let socket = Raw::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener with a full queue is waited for.
    socket.set_write_timeout(left(end)?)?;
    let connected = socket.connect(&SockAddr::unix(path)?);
    connected.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    })?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_socket_is_told_in_words() {
        let folder = std::env::temp_dir();
        let file = folder.join(format!("midge-dial-{}.sock", std::process::id()));
        std::fs::write(&file, "").expect("a file of this test");
        for (path, expected) in [
            (
                Path::new("/nowhere/m.sock"),
                "there is no socket at this path",
            ),
            (&file, "what stands there is no socket"),
            (&folder, "what stands there is no socket"),
        ] {
            let error = at_path(path, None).expect_err("there is none");
            assert_eq!(error.to_string(), expected);
        }
        std::fs::remove_file(&file).expect("it is there");
    }
}
