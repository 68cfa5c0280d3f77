//! `Datagram`: the handler of a socket for datagrams, UDP. What comes is a packet, from anyone.

use crate::{Close, Context};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Most bytes of one packet that can be sent: 65,507, what UDP over IPv4 carries. What comes may be
/// a little longer over IPv6, and comes whole as well.
pub const PACKET_BYTES_MAX: usize = 65_507;

/// A socket for datagrams: [`Context::udp`] opens one.
///
/// As [`Handler`](crate::Handler) is for connections, so is this for a socket that has none. The
/// reactor calls; you answer by recording intent: [`Context::reply`], [`Context::send_to`].
///
/// # Contract
///
/// * The order of calls is `on_open (on_packet | on_error | on_drain | on_timer)* on_close`.
///   `on_open` is left out if the socket is closed before; `on_close` comes exactly once and last.
/// * A packet comes whole or not at all, and may have no bytes. The network may lose packets,
///   repeat them and change their order.
/// * All packets of one turn leave at its end, in the order in which they were queued.
/// * After a close or a pause no further packet comes, not even in the same turn.
/// * A socket gets at most 64 packets in a turn; then the others have theirs.
/// * Never block, and do not read the clock: as in every handler.
#[doc(alias = "Connection")]
pub trait Datagram<S = ()> {
    /// The socket is open, and this handler in its place.
    #[doc(alias = "post_init")]
    fn on_open(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }

    /// A packet has come from `from`. [`Context::reply`] answers it.
    #[doc(alias = "receive_data")]
    fn on_packet(&mut self, cx: &mut Context<'_, S>, from: SocketAddr, packet: &[u8]);

    /// Something has gone wrong, and the socket goes on: a host has told that a packet sent
    /// earlier did not arrive (`ConnectionRefused`: no socket has that port; `HostUnreachable`), or a
    /// packet could not be sent (too long for the way, no way there) and is given up.
    ///
    /// Linux tells of ports without a socket only where [`UdpOptions::peer`] is set.
    fn on_error(&mut self, cx: &mut Context<'_, S>, error: &io::Error) {
        let _ = (cx, error);
    }

    /// A packet was refused since the queue was full; now half of it is free again.
    fn on_drain(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }

    /// A timer set with [`Context::set_timer`] or [`Context::set_interval`] is due; `timer` is the
    /// number given there.
    fn on_timer(&mut self, cx: &mut Context<'_, S>, timer: u64) {
        let _ = (cx, timer);
    }

    /// The socket is closed. [`Context::queued`] and [`Io::queued_packets`](crate::Io::queued_packets)
    /// still tell what was queued and did not leave. The handler is dropped after this call.
    #[doc(alias = "unbind")]
    fn on_close(&mut self, cx: &mut Context<'_, S>, why: &Close) {
        let _ = (cx, why);
    }
}

/// How to open a socket for datagrams.
///
/// ```
/// let mut options = midge_reactor::UdpOptions::default();
/// options.broadcast = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UdpOptions {
    /// Exchange packets with this address alone. Others' packets do not come, and errors of the way
    /// there are told on every system. Default: none, and packets come from anyone.
    pub peer: Option<SocketAddr>,
    /// Bind an address that another socket has, if that one allows it too: for several programs
    /// that listen to one multicast group. Default off: a port has one owner.
    pub reuse_address: bool,
    /// Share the port with other sockets that ask for it, among which the system spreads senders.
    /// Default off. Only on Unix; ignored elsewhere.
    pub reuse_port: bool,
    /// Allow packets to broadcast addresses; sending one is an error otherwise. Default off.
    pub broadcast: bool,
    /// Multicast groups to join, on the interface that the system picks. Default none.
    pub groups: Vec<IpAddr>,
    /// Bytes the kernel may hold of packets that have come, as a wish. Default: the system's.
    pub receive_buffer_bytes: Option<usize>,
    /// Bytes the kernel may hold of packets that are to leave, as a wish. Default: the system's.
    pub send_buffer_bytes: Option<usize>,
    /// Most bytes that may wait to be sent; a packet beyond is refused, and one that is longer than
    /// this always. Default 4 MiB: what a gigabit link carries in 35 ms.
    pub queued_bytes_max: usize,
    /// Most packets that may wait to be sent; one more is refused. At least 1. Default 16,384: small
    /// packets need memory beside their bytes.
    pub queued_packets_max: usize,
}

impl Default for UdpOptions {
    fn default() -> UdpOptions {
        UdpOptions {
            peer: None,
            reuse_address: false,
            reuse_port: false,
            broadcast: false,
            groups: Vec::new(),
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
            queued_bytes_max: 4 * 1024 * 1024,
            queued_packets_max: 16 * 1024,
        }
    }
}
