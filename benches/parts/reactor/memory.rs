//! Memory: what a connection that does nothing costs the process, without the kernel's share.

use crate::process::{Server, failed};
use crate::servers::{Contender, MESSAGE_BYTES, Service};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A listener's queue is shorter than the connections are many: it must be emptied now and then.
const AT_ONCE: usize = 100;

/// Growth of resident memory for each of `count` connections, in bytes: with all open and most
/// silent so far, and when each has had one message echoed and is silent again.
pub(crate) fn measure(contender: Contender, count: usize) -> io::Result<[f64; 2]> {
    let server = Server::start(contender, Service::Echo)?;
    // What the first connection costs is not what each one costs.
    let mut first = connect(&server)?;
    echo(&mut first)?;
    let before = server.resident_bytes()?;
    let growth = || -> io::Result<f64> {
        let now = server.resident_bytes()?;
        Ok(now.saturating_sub(before) as f64 / count as f64)
    };

    let mut streams = Vec::with_capacity(count);
    for place in 1..=count {
        let mut stream = connect(&server)?;
        if place % AT_ONCE == 0 || place == count {
            // It was accepted, and so was everyone before it.
            echo(&mut stream)?;
        }
        streams.push(stream);
    }
    let silent = growth()?;
    for stream in &mut streams {
        echo(stream)?;
    }
    Ok([silent, growth()?])
}

fn connect(server: &Server) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let sent = [0x5a; MESSAGE_BYTES];
    let mut got = [0; MESSAGE_BYTES];
    stream.write_all(&sent)?;
    stream.read_exact(&mut got)?;
    if got != sent {
        return Err(failed(format!("not what was sent: {}", got.escape_ascii())));
    }
    Ok(())
}
