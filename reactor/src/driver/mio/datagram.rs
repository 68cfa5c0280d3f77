//! Sockets for datagrams over the operating system's.

use super::{MioDriver, Socket};
use crate::{Key, UdpOptions};
use mio::net::UdpSocket;
use mio::{Interest, Token};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A UDP socket, and whether it is connected.
#[derive(Debug)]
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    connected: bool,
    /// Of IPv6, and so one that knows an address of IPv4 as `::ffff:127.0.0.1` alone.
    is_v6: bool,
}

impl MioDriver {
    pub(super) fn open_udp(
        &mut self,
        key: Key,
        addr: SocketAddr,
        options: &UdpOptions,
    ) -> io::Result<SocketAddr> {
        let socket = open(addr, options)?;
        let mut socket = UdpSocket::from_std(socket.into());
        if let Some(peer) = options.peer {
            socket.connect(peer)?;
        }
        let bound = socket.local_addr()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket, Token(key.index()), interest)?;
        let connected = options.peer.is_some();
        let udp = Udp {
            socket,
            connected,
            is_v6: bound.is_ipv6(),
        };
        self.insert(key, Socket::Udp(udp));
        Ok(bound)
    }

    pub(super) fn receive_udp(
        &mut self,
        key: Key,
        buf: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        self.udp_socket(key)?.socket.recv_from(buf)
    }

    pub(super) fn send_udp(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let udp = self.udp_socket(key)?;
        // Some systems take no address for a connected socket, not even that of its peer.
        let sent = match udp.connected {
            true => udp.socket.send(packet)?,
            false => udp.socket.send_to(packet, udp.as_known(to))?,
        };
        debug_assert_eq!(sent, packet.len(), "a packet leaves whole");
        Ok(())
    }

    fn udp_socket(&mut self, key: Key) -> io::Result<&mut Udp> {
        match self.sockets.get_mut(key.index()) {
            Some(Some((owner, Socket::Udp(udp)))) if *owner == key => Ok(udp),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Udp {
    /// The address in the family of the socket, where it has a form in it.
    fn as_known(&self, addr: SocketAddr) -> SocketAddr {
        match addr.ip() {
            IpAddr::V4(ip) if self.is_v6 => (ip.to_ipv6_mapped(), addr.port()).into(),
            _ => addr,
        }
    }
}

fn open(addr: SocketAddr, options: &UdpOptions) -> io::Result<socket2::Socket> {
    let domain = Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(options.reuse_address)?;
    #[cfg(unix)]
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_broadcast(options.broadcast)?;
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    for group in &options.groups {
        match group {
            IpAddr::V4(group) => socket.join_multicast_v4(group, &Ipv4Addr::UNSPECIFIED)?,
            IpAddr::V6(group) => socket.join_multicast_v6(group, 0)?,
        }
    }
    Ok(socket)
}
