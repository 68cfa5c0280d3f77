//! Packets waiting for a socket: each whole, in the order in which they were queued.
//!
//! ```text
//! block  [ sent and forgotten | first packet | second packet | ... | room ]
//!                       gone -^                                end -^
//! heads  [ first: to, len ] [ second: to, len ] ...
//!
//! gone + sum of the heads' lengths == end <= block.len()
//! ```
//!
//! One block for all packets, out of a [`Pool`], and given back when the last packet has left: a
//! socket that waits for nothing owns no memory here but its few heads, and queueing allocates nothing
//! once blocks are warm. An empty packet is a head of length zero.

use crate::block::Block;
use crate::outbound::Pool;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Heads for which memory is kept while nothing waits.
const HEADS_KEPT_MAX: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Head {
    to: SocketAddr,
    len: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Packets {
    block: Block,
    gone: usize,
    end: usize,
    heads: VecDeque<Head>,
}

impl Packets {
    /// Packets that wait.
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.end - self.gone
    }

    pub(crate) fn push(&mut self, to: SocketAddr, packet: &[u8], pool: &mut Pool) {
        if self.block.is_empty() {
            self.block = pool.take();
        }
        // Moving what waits to the front costs no more than queueing it did.
        if self.gone > self.end / 2 {
            self.block.copy_within(self.gone..self.end, 0);
            (self.gone, self.end) = (0, self.end - self.gone);
        }
        let start = self.end;
        self.end += packet.len();
        if self.end > self.block.len() {
            self.block.resize(self.end.max(2 * self.block.len()));
        }
        self.block[start..self.end].copy_from_slice(packet);
        let len = packet.len();
        self.heads.push_back(Head { to, len });
        self.invariants();
    }

    /// The packet that is next to leave.
    pub(crate) fn first(&self) -> Option<(SocketAddr, &[u8])> {
        let head = self.heads.front()?;
        Some((head.to, &self.block[self.gone..self.gone + head.len]))
    }

    /// Forgets the first packet: it has left, or never will.
    pub(crate) fn pop(&mut self, pool: &mut Pool) {
        if let Some(head) = self.heads.pop_front() {
            self.gone += head.len;
        }
        if self.heads.is_empty() {
            self.clear(pool);
        }
        self.invariants();
    }

    /// Forgets all packets.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.block));
        (self.gone, self.end) = (0, 0);
        self.heads.clear();
        self.heads.shrink_to(HEADS_KEPT_MAX);
    }

    /// The equation of the header. Every packet is looked at: only where few wait.
    #[inline]
    fn invariants(&self) {
        if cfg!(debug_assertions) && self.heads.len() <= 64 {
            let waiting: usize = self.heads.iter().map(|head| head.len).sum();
            assert_eq!(self.gone + waiting, self.end, "bytes of packets that wait");
            assert!(self.end <= self.block.len(), "longer than its block");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn packets_come_out_whole_and_in_order_empty_ones_too() {
        let (mut packets, mut pool) = (Packets::default(), Pool::default());
        for round in 0..100_u8 {
            packets.push(to(1), &[round; 5], &mut pool);
            packets.push(to(2), b"", &mut pool);
            packets.push(to(3), &[round; 700], &mut pool);
            assert_eq!((packets.len(), packets.bytes()), (3, 705));
            assert_eq!(packets.first(), Some((to(1), &[round; 5][..])));
            packets.pop(&mut pool);
            assert_eq!(packets.first(), Some((to(2), &[][..])));
            packets.pop(&mut pool);
            assert_eq!(packets.first(), Some((to(3), &[round; 700][..])));
            packets.pop(&mut pool);
            assert_eq!((packets.first(), packets.bytes()), (None, 0));
        }
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let (mut packets, mut pool) = (Packets::default(), Pool::default());
        packets.push(to(0), &[0; 100], &mut pool);
        for port in 1..10_000 {
            packets.push(to(port), &port.to_be_bytes().repeat(50), &mut pool);
            packets.pop(&mut pool);
            assert_eq!(
                packets.first(),
                Some((to(port), &port.to_be_bytes().repeat(50)[..]))
            );
        }
        let held = packets.block.len();
        assert!(held < 2000, "{held} bytes are held for a packet of 100");
    }

    #[test]
    fn nothing_is_held_while_nothing_waits() {
        let (mut packets, mut pool) = (Packets::default(), Pool::default());
        for _ in 0..5000 {
            packets.push(to(1), &[1; 100], &mut pool);
        }
        while !packets.is_empty() {
            packets.pop(&mut pool);
        }
        assert_eq!(packets.block.len(), 0);
        assert!(packets.heads.capacity() <= 2 * HEADS_KEPT_MAX);
    }
}
