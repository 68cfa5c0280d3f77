//! Whether a broker is there, and what it takes: its `INFO`, before anything is set up.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use midge_protocol::Info;

use super::Error;

/// More than any broker has to say.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Connects, reads the broker's first line, and leaves.
///
/// # Errors
/// No peer answers, or not as a broker does within `patience`.
pub(super) fn hear(addr: SocketAddr, patience: Duration) -> Result<Info, Error> {
    let connected = TcpStream::connect(addr);
    let stream = connected.map_err(|error| Error::NoBroker { addr, error })?;
    read(stream, patience).map_err(|error| Error::NoGreeting { addr, error })
}

fn read(stream: TcpStream, patience: Duration) -> io::Result<Info> {
    stream.set_read_timeout(Some(patience))?;
    let mut line = Vec::new();
    let read = BufReader::new(stream.take(LINE_BYTES_MAX)).read_until(b'\n', &mut line);
    read.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::other(format!("silent for {} s", patience.as_secs_f64()))
        }
        _ => error,
    })?;
    let json = line.strip_prefix(b"INFO ").ok_or_else(|| {
        let text = if line.is_empty() {
            "it closes the connection".to_owned()
        } else {
            format!("it sends {}", crate::check::shown(&line))
        };
        io::Error::other(text)
    })?;
    serde_json::from_slice(json).map_err(io::Error::other)
}
