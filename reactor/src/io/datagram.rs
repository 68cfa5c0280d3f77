//! Sockets for datagrams, by their keys.

use super::Io;
use crate::Key;
use std::net::SocketAddr;

impl Io<'_> {
    /// Queues a copy of `packet`, to leave for `to` at the end of this turn, behind all that was
    /// queued before. A packet that the kernel cannot take at once waits until it can.
    ///
    /// Answers `false`, and queues nothing, if the socket has gone or is closing; if the packet is
    /// longer than [`PACKET_BYTES_MAX`](crate::PACKET_BYTES_MAX); if `to` is not the socket's
    /// [`peer`](crate::UdpOptions::peer), where it has one; and if the queue is full. Only the last
    /// is counted as [`dropped`](Io::dropped) and followed by
    /// [`on_drain`](crate::Datagram::on_drain). The new packet is the one to go, so that the one who sent
    /// it knows.
    ///
    /// Cost: copies the packet; allocates nothing once the reactor's buffers are warm. One system
    /// call for each packet at the end of the turn, for at most 256 packets or 1 MiB of a socket;
    /// the rest leaves in the next turns.
    #[doc(alias = "send_datagram")]
    pub fn send_to(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> bool {
        self.core.queue_packet(key, to, packet)
    }

    /// Packets queued on a socket for datagrams and not yet taken by the kernel; their bytes are
    /// [`queued`](Io::queued).
    #[must_use]
    pub fn queued_packets(&self, key: Key) -> usize {
        self.core.udp(key).map_or(0, |udp| udp.packets.len())
    }

    /// Packets that this socket has not sent and never will: refused by a full queue, or given up
    /// after an error that [`on_error`](crate::Datagram::on_error) was told.
    #[must_use]
    pub fn dropped(&self, key: Key) -> u64 {
        self.core.udp(key).map_or(0, |udp| udp.dropped)
    }
}
