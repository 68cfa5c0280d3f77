//! Unix sockets: a path is a name on its host, for a port of the host's own that no other host is told.
//!
//! As in a file system, the name stays when its listener has gone, and when the host is restarted.
//! Connecting there meets the same faults as anywhere: more than a real Unix socket has.

use super::net::{ConnId, Net, Socket};
use crate::{Credentials, Key, ListenOptions, NO_ADDR};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

impl Net {
    pub(super) fn listen_unix(
        &mut self,
        host: usize,
        key: Key,
        path: &Path,
        options: &ListenOptions,
    ) -> io::Result<()> {
        if let Some(port) = self.hosts[host].paths.get(path).copied()
            && (self.is_listening(host, port) || !options.unlink_stale)
        {
            self.call();
            return Err(ErrorKind::AddrInUse.into());
        }
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = self.listen(host, key, local, options)?;
        let paths = &mut self.hosts[host].paths;
        paths.insert(path.to_owned(), bound.port());
        Ok(())
    }

    pub(super) fn connect_unix(&mut self, host: usize, key: Key, path: &Path) -> io::Result<()> {
        let port = self.hosts[host].paths.get(path).copied();
        let found = match port {
            None => Err(ErrorKind::NotFound),
            Some(port) if !self.is_listening(host, port) => Err(ErrorKind::ConnectionRefused),
            Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        };
        match found {
            Ok(addr) => self.connect(host, key, addr),
            Err(kind) => {
                self.call();
                Err(kind.into())
            }
        }
    }

    /// An address of a connection of this host, or that there is none: what is at either end of a
    /// Unix socket has no address.
    pub(super) fn shown(&mut self, host: usize, id: ConnId, addr: SocketAddr) -> SocketAddr {
        let to = self.end(id, 1).addr;
        let is_path = |port: &u16| to.ip().is_loopback() && *port == to.port();
        match self.hosts[host].paths.values().any(is_path) {
            true => NO_ADDR,
            false => addr,
        }
    }

    /// Who is at the other end of a Unix socket: the one program that a host has, as which it is taken at present.
    pub(super) fn peer_credentials(&mut self, host: usize, key: Key) -> io::Result<Credentials> {
        let Some(Socket::Stream(id, _)) = self.hosts[host].sockets.get(&key) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let id = *id;
        let addr = self.end(id, 1).addr;
        match self.shown(host, id, addr) {
            NO_ADDR => Ok(self.hosts[host].credentials),
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn is_listening(&self, host: usize, port: u16) -> bool {
        let mut sockets = self.hosts[host].sockets.values();
        sockets.any(|socket| {
            matches!(socket, Socket::Listener(listener)
                if listener.bound.iter().any(|bound| bound.addr.ip().is_loopback()
                    && bound.addr.port() == port))
        })
    }
}
