//! What the sockets of a host answer while connections come about.

use super::conn::{Dial, News, Packet};
use super::datagram::EAFNOSUPPORT;
use super::net::{Bound, Listener, Net, Socket, nanos};
use crate::{Key, ListenOptions, NO_ADDR};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Too many open files, as the system numbers it.
const EMFILE: i32 = 24;

/// How late a connect may be.
const LATE_MAX: Duration = Duration::from_secs(30);

/// For how long there may be no file descriptors.
const EXHAUSTED_MAX: Duration = Duration::from_millis(500);

impl Net {
    pub(super) fn listen(
        &mut self,
        host: usize,
        key: Key,
        mut addr: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<SocketAddr> {
        self.call();
        let here = &mut self.hosts[host];
        let ip = addr.ip();
        if ip.is_ipv6() && !here.has_v6 {
            return Err(io::Error::from_raw_os_error(EAFNOSUPPORT));
        }
        if !ip.is_loopback() && !ip.is_unspecified() && !here.has_ip(ip) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        if addr.port() == 0 {
            addr.set_port(here.port());
        }
        let bound = Bound {
            addr,
            only_v6: options.only_v6,
        };
        let taken = here.sockets.values().any(|socket| {
            matches!(socket, Socket::Listener(other)
                if other.bound.iter().any(|other| other.takes(addr) || bound.takes(other.addr)))
        });
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        if !self.has_descriptors(host) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        if let Some(Socket::Listener(listener)) = self.hosts[host].sockets.get_mut(&key) {
            listener.bound.push(bound);
        } else {
            let listener = Listener {
                bound: vec![bound],
                waiting: VecDeque::new(),
                waiting_max: usize::try_from(options.backlog).unwrap_or(0).max(1),
                armed: true,
                news: false,
            };
            self.open(host, key, Socket::Listener(listener));
        }
        self.progress(host, key, "listen", Some(addr.port().into()));
        Ok(addr)
    }

    pub(super) fn accept(&mut self, host: usize, key: Key) -> io::Result<SocketAddr> {
        self.call();
        self.interrupts()?;
        let faults = &self.faults;
        let exhausted = self.rng.accept.chance(faults.accept_exhausted);
        let aborted = self.rng.accept.chance(faults.accept_aborted);
        let has_descriptors = self.has_descriptors(host);
        let Some(Socket::Listener(listener)) = self.hosts[host].sockets.get_mut(&key) else {
            panic!("the loop accepts on {key:?}, which does not listen");
        };
        let Some(id) = listener.waiting.front().copied() else {
            listener.armed = true;
            return self.would_block(host, key, "accept would block");
        };
        if exhausted || !has_descriptors {
            if exhausted {
                let rest = self.rng.accept.up_to(nanos(EXHAUSTED_MAX));
                self.hosts[host].exhausted_until = self.clock + rest;
            }
            self.note(host, key, "accept: no descriptors", None);
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        listener.waiting.pop_front();
        if aborted {
            self.progress(host, key, "accept: aborted", None);
            self.resets += 1;
            self.end(id, 1).closed = true;
            self.send(id, 0, Packet::Reset);
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.hosts[host].accepted = Some(id);
        self.progress(host, key, "accept", Some(id));
        let (peer, to) = (self.end(id, 0).addr, self.end(id, 1).addr);
        let peer = self.shown(host, id, peer);
        Ok(match self.is_over_v6(host, key, to) {
            true => mapped(peer),
            false => peer,
        })
    }

    /// Whether what is sent to `to`, of IPv4, comes to a socket of IPv6.
    fn is_over_v6(&self, host: usize, key: Key, to: SocketAddr) -> bool {
        match self.hosts[host].sockets.get(&key) {
            Some(Socket::Listener(listener)) => {
                let taking = listener.bound.iter().filter(|bound| bound.takes(to));
                to.is_ipv4()
                    && taking.clone().count() > 0
                    && taking.clone().all(|bound| bound.addr.is_ipv6())
            }
            _ => false,
        }
    }

    pub(super) fn adopt(&mut self, host: usize, key: Key) -> SocketAddr {
        let id = self.hosts[host].accepted.take();
        let id = id.expect("the loop adopts what it has accepted");
        self.open(host, key, Socket::Stream(id, 1));
        let writable = self.rng.extra_edge.chance(self.faults.extra_edge);
        let end = self.end(id, 1);
        end.key = Some(key);
        let addr = end.addr;
        let mut news = News::default();
        if writable {
            news.add(News::WRITABLE);
        }
        // What has come before is told once.
        if !end.inbox.is_empty() {
            end.read_armed = false;
            news.add(News::READABLE);
        }
        if end.peer_ended {
            news.add(News::ENDED);
        }
        if end.reset {
            news.add(News::GONE);
        }
        if !news.is_none() {
            self.tell(id, 1, news);
        }
        self.shown(host, id, addr)
    }

    pub(super) fn connect(&mut self, host: usize, key: Key, addr: SocketAddr) -> io::Result<()> {
        let ip = match addr.ip() {
            ip if ip.is_loopback() => ip,
            ip if ip.is_ipv6() => self.hosts[host].ip_v6,
            _ => self.hosts[host].ip,
        };
        self.connect_from(host, key, SocketAddr::new(ip, 0), addr)
    }

    pub(super) fn connect_from(
        &mut self,
        host: usize,
        key: Key,
        mut local: SocketAddr,
        addr: SocketAddr,
    ) -> io::Result<()> {
        self.call();
        let here = &self.hosts[host];
        if (local.is_ipv6() || addr.is_ipv6()) && !here.has_v6 {
            return Err(io::Error::from_raw_os_error(EAFNOSUPPORT));
        }
        if local.ip().is_unspecified() {
            local.set_ip(match local.is_ipv4() {
                true => here.ip,
                false => here.ip_v6,
            });
        }
        if !here.has_ip(local.ip()) && !local.ip().is_loopback() {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        if !self.has_descriptors(host) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        if local.port() == 0 {
            local.set_port(self.hosts[host].port());
        }
        let id = self.new_conn(host, local, addr);
        self.open(host, key, Socket::Stream(id, 0));
        self.end(id, 0).key = Some(key);
        self.progress(host, key, "connect", Some(addr.port().into()));
        let faults = &self.faults;
        let rng = &mut self.rng.connect;
        let refused = rng.chance(faults.connect_refused);
        let lost = rng.chance(faults.connect_lost);
        let late = rng.chance(faults.connect_late);
        let late = if late { rng.up_to(nanos(LATE_MAX)) } else { 0 };
        if self.end(id, 1).closed {
            // No host has this address.
        } else if lost || refused {
            self.end(id, 1).closed = true;
            if refused && !lost {
                self.send_after(id, 0, Packet::Refused, late);
            }
        } else {
            self.send_after(id, 1, Packet::Open, late);
        }
        Ok(())
    }

    pub(super) fn finish_connect(&mut self, host: usize, key: Key) -> io::Result<SocketAddr> {
        self.call();
        let (id, side) = self.stream(host, key);
        let end = self.end(id, side);
        let (dial, reset, addr) = (end.dial, end.reset, end.addr);
        match dial {
            _ if reset => {
                self.progress(host, key, "connect: reset", None);
                Err(ErrorKind::ConnectionReset.into())
            }
            Dial::Pending => self.would_block(host, key, "connect: not yet"),
            Dial::Refused => {
                self.progress(host, key, "connect: refused", None);
                Err(ErrorKind::ConnectionRefused.into())
            }
            Dial::Opened | Dial::Done => {
                self.end(id, side).dial = Dial::Done;
                self.progress(host, key, "connect: open", None);
                Ok(self.shown(host, id, addr))
            }
        }
    }
}

/// An address of IPv4 as a socket of IPv6 tells it.
fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if addr != NO_ADDR => (ip.to_ipv6_mapped(), addr.port()).into(),
        _ => addr,
    }
}
