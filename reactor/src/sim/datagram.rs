//! Datagrams: sockets that hold packets, and packets on their way.
//!
//! ```text
//! send_packet ─▶ send buffer ─▶ lost? twice? late? ─▶ inbox, if there is room ─▶ receive
//!                                      │
//!                     nobody there ◀───┘  and back comes an error, which may be lost as well
//! ```
//!
//! As for connections, readiness is told by edges. Packets between two hosts keep their order unless
//! a fault changes it.

use super::conn::News;
use super::net::{Due, Net, Socket, nanos};
use crate::{Key, UdpOptions};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Too many open files, as the system numbers it.
const EMFILE: i32 = 24;

/// An address of a family that the socket does not know, as the system numbers it.
pub(super) const EAFNOSUPPORT: i32 = 97;

/// A socket for datagrams.
#[derive(Debug)]
pub(super) struct Udp {
    /// Never used again: a host that is restarted uses its keys again.
    id: u64,
    addr: SocketAddr,
    peer: Option<SocketAddr>,
    shared: bool,
    broadcast: bool,
    groups: Vec<IpAddr>,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What the network has told, once.
    error: Option<ErrorKind>,
    /// Bytes in the send buffer, and how many it holds.
    leaving: usize,
    leaving_max: usize,
    read_armed: bool,
    write_armed: bool,
    pub(super) news: News,
}

impl Udp {
    pub(super) fn port(&self) -> u16 {
        self.addr.port()
    }
}

/// Something on its way from one host to another.
#[derive(Debug)]
pub(super) struct Flight {
    from_host: usize,
    to_host: usize,
    from: SocketAddr,
    to: SocketAddr,
    load: Load,
}

#[derive(Clone, Debug)]
enum Load {
    Packet(Vec<u8>),
    /// No socket has the port `from`, to which `to` has sent something.
    Unreachable,
}

/// What the net keeps for all datagrams.
#[derive(Debug, Default)]
pub(super) struct Flights {
    sockets: u64,
    /// By hosts from and to: when the last packet arrives that keeps its place.
    last_at: std::collections::BTreeMap<(usize, usize), u64>,
    /// What has arrived on a link that is held.
    held: Vec<Flight>,
    /// Packets that were sent and never given to a handler.
    pub(super) lost: u64,
}

/// A packet of no bytes takes room as well.
fn room_for(packet: &[u8]) -> usize {
    packet.len() + 1
}

fn is_broadcast(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::BROADCAST) || ip == IpAddr::from([10, 0, 0, 255])
}

impl Net {
    fn udp_socket(&mut self, host: usize, key: Key) -> &mut Udp {
        match self.hosts[host].sockets.get_mut(&key) {
            Some(Socket::Udp(udp)) => udp,
            other => panic!("the loop used {key:?}, which is {other:?}"),
        }
    }

    pub(super) fn open_udp(
        &mut self,
        host: usize,
        key: Key,
        mut addr: SocketAddr,
        options: &UdpOptions,
    ) -> io::Result<SocketAddr> {
        self.call();
        let here = &mut self.hosts[host];
        let ip = addr.ip();
        let is_group = options.groups.contains(&ip);
        if !ip.is_loopback() && !ip.is_unspecified() && ip != here.ip && !is_group {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        if !options.groups.iter().all(IpAddr::is_multicast) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if addr.port() == 0 {
            addr.set_port(here.port());
        }
        let shared = options.reuse_address || options.reuse_port;
        let taken = here.sockets.values().any(|socket| {
            matches!(socket, Socket::Udp(other) if other.addr.port() == addr.port()
                && !(shared && other.shared)
                && (other.addr.ip() == ip || other.addr.ip().is_unspecified() || ip.is_unspecified()))
        });
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        if !self.has_descriptors(host) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let (min, max) = (self.faults.window_bytes_min, self.faults.window_bytes_max);
        self.flights.sockets += 1;
        let udp = Udp {
            id: self.flights.sockets,
            addr,
            peer: options.peer,
            shared,
            broadcast: options.broadcast,
            groups: options.groups.clone(),
            inbox: VecDeque::new(),
            error: None,
            leaving: 0,
            leaving_max: self.rng.packet_room.length(min.max(1), max.max(1)),
            read_armed: true,
            write_armed: false,
            news: News::default(),
        };
        self.open(host, key, Socket::Udp(udp));
        self.progress(host, key, "open for datagrams", Some(addr.port().into()));
        Ok(addr)
    }

    pub(super) fn receive(
        &mut self,
        host: usize,
        key: Key,
        buf: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        self.call();
        self.interrupts()?;
        let udp = self.udp_socket(host, key);
        if let Some(error) = udp.error.take() {
            self.progress(host, key, "receive: error", None);
            return Err(error.into());
        }
        let Some((from, packet)) = udp.inbox.pop_front() else {
            udp.read_armed = true;
            return self.would_block(host, key, "receive would block");
        };
        let len = packet.len().min(buf.len());
        buf[..len].copy_from_slice(&packet[..len]);
        self.progress(host, key, "receive", Some(len as u64));
        Ok((len, from))
    }

    pub(super) fn send_packet(
        &mut self,
        host: usize,
        key: Key,
        to: SocketAddr,
        packet: &[u8],
    ) -> io::Result<()> {
        self.call();
        self.interrupts()?;
        assert!(
            packet.len() <= crate::PACKET_BYTES_MAX,
            "no system takes it"
        );
        let here = self.hosts[host].ip;
        let udp = self.udp_socket(host, key);
        if let Some(error) = udp.error.take() {
            self.progress(host, key, "send: error", None);
            return Err(error.into());
        }
        let (id, ip) = (udp.id, udp.addr.ip());
        let room = room_for(packet);
        if udp.leaving > 0 && udp.leaving + room > udp.leaving_max {
            udp.write_armed = true;
            return self.would_block(host, key, "send would block");
        }
        if ip.is_ipv4() != to.is_ipv4() {
            return Err(io::Error::from_raw_os_error(EAFNOSUPPORT));
        }
        let nearby = to.ip().is_loopback() || to.ip().is_unspecified();
        if is_broadcast(to.ip()) && !udp.broadcast {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if ip.is_loopback() && !nearby {
            return Err(ErrorKind::InvalidInput.into());
        }
        let from = match ip {
            ip if !ip.is_unspecified() && !ip.is_multicast() => ip,
            _ if to.ip().is_loopback() => to.ip(),
            _ => here,
        };
        let from = SocketAddr::new(from, udp.addr.port());
        udp.leaving += room;
        self.history.mix_bytes(packet);
        self.progress(host, key, "send", Some(packet.len() as u64));
        let slowness = nanos(self.faults.latency_min);
        let left_at = self.clock + self.rng.packet_room.up_to(slowness);
        self.schedule(left_at, Due::Left(host, key, id, room));
        let hosts: Vec<usize> = if nearby {
            vec![host]
        } else if is_broadcast(to.ip()) || to.ip().is_multicast() {
            (0..self.hosts.len()).collect()
        } else {
            let owner = self.hosts.iter().position(|host| host.ip == to.ip());
            owner.into_iter().collect()
        };
        if hosts.is_empty() {
            // No host has this address.
            self.lose_packet(host);
        }
        for to_host in hosts {
            let load = Load::Packet(packet.to_vec());
            let flight = Flight {
                from_host: host,
                to_host,
                from,
                to,
                load,
            };
            self.fly(flight);
        }
        Ok(())
    }

    /// A packet has left the send buffer.
    pub(super) fn packet_left(&mut self, host: usize, key: Key, id: u64, room: usize) {
        let Some(Socket::Udp(udp)) = self.hosts[host].sockets.get_mut(&key) else {
            return;
        };
        if udp.id != id {
            return;
        }
        udp.leaving -= room;
        if udp.write_armed && udp.leaving <= udp.leaving_max / 2 {
            udp.write_armed = false;
            udp.news.add(News::WRITABLE);
            self.hosts[host].make_ready(key);
        }
    }

    fn lose_packet(&mut self, host: usize) {
        self.flights.lost += 1;
        self.note(host, Key::NONE, "packet lost", None);
    }

    /// Sends something on its way, or loses it, or sends it twice.
    fn fly(&mut self, flight: Flight) {
        if self.rng.packet_loss.chance(self.faults.packet_loss) {
            return self.lose_packet(flight.from_host);
        }
        if self
            .rng
            .packet_duplicate
            .chance(self.faults.packet_duplicate)
        {
            self.schedule_flight(Flight {
                load: flight.load.clone(),
                ..flight
            });
        }
        self.schedule_flight(flight);
    }

    fn schedule_flight(&mut self, flight: Flight) {
        let faults = &self.faults;
        let (min, max) = (nanos(faults.latency_min), nanos(faults.latency_max));
        let latency = self.rng.packet_latency.between(min, max);
        let late = self.rng.packet_reorder.chance(faults.packet_reorder);
        let link = (flight.from_host, flight.to_host);
        let last_at = self.flights.last_at.entry(link).or_default();
        let mut at = (self.clock + latency).max(*last_at);
        if late {
            // Those behind it overtake it.
            at += self.rng.packet_reorder.up_to(nanos(faults.packet_late_max));
        } else {
            *last_at = at;
        }
        self.schedule(at, Due::Packet(Box::new(flight)));
    }

    /// What waits on links that are whole again goes on.
    pub(super) fn release_packets(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        let held = std::mem::take(&mut self.flights.held);
        for flight in held {
            if wanted(flight.from_host, flight.to_host) {
                self.schedule(self.clock, Due::Packet(Box::new(flight)));
            } else {
                self.flights.held.push(flight);
            }
        }
    }

    /// A packet, or word of one, reaches its host.
    pub(super) fn land(&mut self, flight: Flight) {
        let (host, from, to) = (flight.to_host, flight.from, flight.to);
        let link = self.link(flight.from_host, host);
        if link.is_cut(self.clock) || !self.hosts[host].up {
            return self.lose_packet(host);
        }
        if link.held {
            return self.flights.held.push(flight);
        }
        let takers = self.hosts[host].takers(from, to);
        match flight.load {
            Load::Unreachable => {
                for key in takers {
                    let udp = self.udp_socket(host, key);
                    udp.error = Some(ErrorKind::ConnectionRefused);
                    udp.news.add(News {
                        readable: true,
                        writable: true,
                        hangup: false,
                    });
                    self.hosts[host].make_ready(key);
                }
            }
            Load::Packet(_) if takers.is_empty() => {
                self.lose_packet(host);
                if !is_broadcast(to.ip()) && !to.ip().is_multicast() {
                    self.fly(Flight {
                        from_host: host,
                        to_host: flight.from_host,
                        from: to,
                        to: from,
                        load: Load::Unreachable,
                    });
                }
            }
            Load::Packet(packet) => {
                for key in takers {
                    self.deliver(host, key, from, packet.clone());
                }
            }
        }
    }

    fn deliver(&mut self, host: usize, key: Key, from: SocketAddr, packet: Vec<u8>) {
        let held_max = self.faults.packets_held_max;
        let extra_edge = self.rng.extra_edge.chance(self.faults.extra_edge);
        let udp = self.udp_socket(host, key);
        if udp.inbox.len() >= held_max {
            return self.lose_packet(host);
        }
        udp.inbox.push_back((from, packet));
        if std::mem::take(&mut udp.read_armed) || extra_edge {
            udp.news.add(News::READABLE);
            self.hosts[host].make_ready(key);
        }
    }
}

impl super::net::Host {
    /// The sockets that a packet is for: one, or all of a group.
    fn takers(&self, from: SocketAddr, to: SocketAddr) -> Vec<Key> {
        let everyone = is_broadcast(to.ip());
        let fits = |udp: &Udp| {
            let ip = udp.addr.ip();
            let here = match to.ip() {
                group if group.is_multicast() => udp.groups.contains(&group),
                _ if everyone => ip.is_unspecified(),
                to => ip == to || ip.is_unspecified(),
            };
            here && udp.addr.port() == to.port() && udp.peer.is_none_or(|peer| peer == from)
        };
        let takers = self
            .sockets
            .iter()
            .filter_map(|(key, socket)| match socket {
                Socket::Udp(udp) if fits(udp) => Some((*key, udp)),
                _ => None,
            });
        if everyone || to.ip().is_multicast() {
            return takers.map(|(key, _)| key).collect();
        }
        // The closest one: connected to the sender, or else bound to this very address.
        let closeness = |udp: &Udp| (udp.peer.is_some(), udp.addr.ip() == to.ip());
        let best = takers.max_by_key(|(_, udp)| closeness(udp));
        best.map(|(key, _)| key).into_iter().collect()
    }
}
