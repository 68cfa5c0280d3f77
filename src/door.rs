//! `Door`: the place where a client has come in, one of the broker's listeners. The settings have
//! terms for each (`config/terms.rs`), and the state what is open there.
//!
//! All that differs between clients that come in here or there is asked of the door, so that one more kind of
//! listener is one more door and no new branch. [`Peer`] is who has come.

use midge_reactor::Credentials;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One of the broker's listeners for clients.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Door {
    /// That of the server's own `host` and `port`.
    #[default]
    Main,
    /// That of the block `websocket`.
    WebSocket,
    /// One of the block `listeners`, by its place there.
    Further(u8),
}

/// By which door a client has come in, and as which process if the system tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entrance {
    pub(crate) door: Door,
    pub(crate) credentials: Option<Credentials>,
}

impl From<Door> for Entrance {
    fn from(door: Door) -> Entrance {
        let credentials = None;
        Entrance { door, credentials }
    }
}

/// How clients speak that come in by a door.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    /// In the bytes of the protocol.
    Plain,
    /// In frames of WebSocket.
    WebSocket,
}

impl Door {
    /// How clients speak that come in by it.
    pub(crate) fn transport(self) -> Transport {
        match self {
            Door::Main | Door::Further(_) => Transport::Plain,
            Door::WebSocket => Transport::WebSocket,
        }
    }
}

/// The far end of a connection, as the log and monitoring show it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    /// It has an address.
    Internet(SocketAddr),
    /// It is a process of this machine, at a Unix socket; some systems do not tell which.
    Unix(Option<Credentials>),
}

/// Where a client comes from, for limits that all share who come from there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Source {
    /// An address; one of IPv4 is one, whatever the socket.
    Address(IpAddr),
    /// A user of this machine, if the system tells which.
    User(Option<u32>),
}

impl Peer {
    /// Its address, or in place of one its process and user.
    pub(crate) fn host(&self) -> String {
        match self {
            Peer::Internet(addr) => addr.ip().to_canonical().to_string(),
            Peer::Unix(_) => self.to_string(),
        }
    }

    /// Its port; 0 for one without.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Peer::Internet(addr) => addr.port(),
            Peer::Unix(_) => 0,
        }
    }

    /// Who it is to the system, if that tells.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        match self {
            Peer::Internet(_) => None,
            Peer::Unix(credentials) => *credentials,
        }
    }

    /// Its address, if it has one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Internet(addr) => Some(addr.ip().to_canonical()),
            Peer::Unix(_) => None,
        }
    }

    /// Where it comes from.
    pub(crate) fn source(&self) -> Source {
        match self {
            Peer::Internet(addr) => Source::Address(addr.ip().to_canonical()),
            Peer::Unix(credentials) => Source::User(credentials.map(|who| who.uid)),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Peer {
        Peer::Internet(addr)
    }
}

#[cfg(test)]
impl From<([u8; 4], u16)> for Peer {
    fn from(addr: ([u8; 4], u16)) -> Peer {
        Peer::Internet(addr.into())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Internet(addr) => addr.fmt(f),
            Peer::Unix(None) => f.write_str("unix"),
            Peer::Unix(Some(Credentials { pid, uid, .. })) => match pid {
                Some(pid) => write!(f, "pid:{pid}/uid:{uid}"),
                None => write!(f, "uid:{uid}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_shown_by_its_number_and_its_user_and_comes_from_that_user() {
        let of = |pid, uid| Peer::Unix(Some(Credentials { pid, uid, gid: 5 }));
        assert_eq!(of(Some(812), 1000).to_string(), "pid:812/uid:1000");
        assert_eq!(of(None, 0).host(), "uid:0");
        assert_eq!(of(Some(1), 7).source(), of(Some(2), 7).source());
        assert_ne!(of(Some(1), 7).source(), Peer::Unix(None).source());
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:7".parse().expect("an address");
        let plain: SocketAddr = "10.0.0.1:8".parse().expect("an address");
        assert_eq!(Peer::from(mapped).source(), Peer::from(plain).source());
        assert_eq!(Peer::from(mapped).host(), "10.0.0.1");
    }
}
