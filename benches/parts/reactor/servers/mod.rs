//! The same two servers written four times: for `midge-reactor` and for what one would take in its
//! place.
//!
//! What all have in common: one thread, loopback, a backlog of 1024, `TCP_NODELAY`, and no log.

mod calloop;
mod midge;
mod mio;
mod tokio;

use std::fmt::{self, Display};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::exit;
use std::str::FromStr;
use std::thread;

/// Bytes of one message.
pub(crate) const MESSAGE_BYTES: usize = 64;

/// Connections a listener may keep waiting.
const BACKLOG: u32 = 1024;

/// Whose server it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contender {
    /// The reactor of this repository.
    Midge,
    /// A loop over mio, written for the one purpose.
    Mio,
    /// Tasks on tokio's `current_thread` runtime.
    Tokio,
    /// Sources on calloop's event loop.
    Calloop,
}

/// What a server does with its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    /// Sends everything back.
    Echo,
    /// Sends each message to all other connections, message by message.
    FanOut,
}

impl Contender {
    /// In the order of the tables; ratios are to [`Contender::Mio`].
    pub(crate) const ALL: [Contender; 4] = [
        Contender::Midge,
        Contender::Mio,
        Contender::Tokio,
        Contender::Calloop,
    ];

    /// Runs the server; it tells its address on standard output and ends with standard input.
    pub(crate) fn serve(self, service: Service) -> io::Result<()> {
        match self {
            Contender::Midge => midge::serve(service),
            Contender::Mio => mio::serve(service),
            Contender::Tokio => tokio::serve(service),
            Contender::Calloop => calloop::serve(service),
        }
    }
}

/// Tells whoever has started this process where it listens, and ends it when they have gone.
fn announce(addr: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{addr}")?;
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        exit(0)
    });
    Ok(())
}

impl Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Contender::Midge => "midge-reactor",
            Contender::Mio => "mio",
            Contender::Tokio => "tokio",
            Contender::Calloop => "calloop",
        })
    }
}

impl FromStr for Contender {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Contender> {
        let found = Contender::ALL.into_iter().find(|it| it.to_string() == name);
        found.ok_or_else(|| io::Error::other(format!("no contender {name:?}")))
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Service::Echo => "echo",
            Service::FanOut => "fan-out",
        })
    }
}

impl FromStr for Service {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Service> {
        let all = [Service::Echo, Service::FanOut];
        let found = all.into_iter().find(|it| it.to_string() == name);
        found.ok_or_else(|| io::Error::other(format!("no service {name:?}")))
    }
}
