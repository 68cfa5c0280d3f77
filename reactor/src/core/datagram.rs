//! Sockets for datagrams, as `Core` keeps them.

use super::{Core, Entry, Lane, Phase, Pools, Target};
use crate::endpoint::canonical;
use crate::packets::Packets;
use crate::{Close, Key, TimerId, UdpOptions};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

/// One socket for datagrams, without its handler.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) key: Key,
    /// `Open`, `Ending` while the last packets leave, or `Closing`.
    pub(crate) phase: Phase,
    /// `on_open` has been called.
    pub(crate) opened: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) paused: bool,
    pub(crate) in_ready: bool,
    /// Slices of input it has had, modulo 2^16.
    pub(crate) slices: u16,
    pub(crate) in_dirty: bool,
    /// Receiving fails again and again; a timer will try once more.
    pub(crate) resting: bool,
    /// Failed receives since one that did not.
    pub(crate) errors: u32,
    /// The first packet has failed so, and is tried once more.
    pub(crate) failed: Option<ErrorKind>,
    /// A packet was refused since the queue was last half empty.
    pub(crate) refused: bool,
    pub(crate) why: Option<Close>,
    pub(crate) packets: Packets,
    pub(crate) bytes_max: usize,
    pub(crate) packets_max: usize,
    /// Packets refused by a full queue or given up after an error.
    pub(crate) dropped: u64,
    /// The sender of the packet that the handler has in hand.
    pub(crate) from: Option<SocketAddr>,
    pub(crate) local: SocketAddr,
    pub(crate) peer: Option<SocketAddr>,
    /// Armed while ending.
    pub(crate) linger: Option<TimerId>,
    /// Armed while it rests, since the system had no memory for a packet.
    pub(crate) try_again_timer: Option<TimerId>,
}

impl Udp {
    /// Whether the handler may be given a packet, if there is one.
    pub(crate) fn takes_packets(&self) -> bool {
        self.phase == Phase::Open && self.readable && !self.paused && !self.resting
    }

    pub(crate) fn is_half_empty(&self) -> bool {
        self.packets.bytes() <= self.bytes_max / 2 && self.packets.len() <= self.packets_max / 2
    }
}

impl Core {
    /// The socket under `key` is open and bound to `local`.
    pub(crate) fn set_udp(&mut self, key: Key, local: SocketAddr, options: &UdpOptions) {
        let udp = Udp {
            key,
            phase: Phase::Open,
            opened: false,
            // The first call of each kind tells what is so.
            readable: true,
            writable: true,
            paused: false,
            in_ready: false,
            slices: 0,
            in_dirty: false,
            resting: false,
            errors: 0,
            failed: None,
            refused: false,
            why: None,
            packets: Packets::default(),
            bytes_max: options.queued_bytes_max,
            packets_max: options.queued_packets_max.max(1),
            dropped: 0,
            from: None,
            local: canonical(local),
            peer: options.peer.map(canonical),
            linger: None,
            try_again_timer: None,
        };
        self.entries[key.index()] = Entry::Udp(Box::new(udp));
        self.udp_sockets += 1;
        self.enqueue(key);
    }

    pub(crate) fn udp(&self, key: Key) -> Option<&Udp> {
        match self.entries.get(key.index()) {
            Some(Entry::Udp(udp)) if udp.key == key => Some(udp),
            _ => None,
        }
    }

    pub(crate) fn udp_mut(&mut self, key: Key) -> Option<&mut Udp> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Udp(udp)) if udp.key == key => Some(udp),
            _ => None,
        }
    }

    /// The socket and, at the same time, the pools its buffer comes from.
    pub(crate) fn udp_and_pools(&mut self, key: Key) -> Option<(&mut Udp, &mut Pools)> {
        match self.entries.get_mut(key.index()) {
            Some(Entry::Udp(udp)) if udp.key == key => Some((udp, &mut self.pools)),
            _ => None,
        }
    }

    /// Queues a packet if it may be queued, and marks the socket for the flush.
    pub(crate) fn queue_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> bool {
        let Some((udp, pools)) = self.udp_and_pools(key) else {
            return false;
        };
        let other = udp.peer.is_some_and(|peer| peer != canonical(to));
        let longest = crate::PACKET_BYTES_MAX.min(udp.bytes_max);
        if udp.phase != Phase::Open || other || packet.len() > longest {
            return false;
        }
        let bytes = udp.packets.bytes() + packet.len();
        if bytes > udp.bytes_max || udp.packets.len() >= udp.packets_max {
            udp.dropped += 1;
            udp.refused = true;
            return false;
        }
        udp.packets.push(to, packet, &mut pools.packets);
        self.produced += packet.len();
        self.mark_udp_dirty(key);
        true
    }

    /// Marks a socket for the flush at the end of the turn, once.
    pub(crate) fn mark_udp_dirty(&mut self, key: Key) {
        if let Some(udp) = self.udp_mut(key)
            && !std::mem::replace(&mut udp.in_dirty, true)
        {
            self.dirty[Lane::Light].push_back(key);
        }
    }

    /// Schedules the close of a socket once its packets have left, or after `linger`.
    pub(super) fn end_udp(&mut self, key: Key, why: Close, linger: Duration) -> bool {
        let Some(udp) = self.udp_mut(key) else {
            return false;
        };
        if udp.phase != Phase::Open {
            return false;
        }
        if udp.packets.is_empty() {
            return self.close(key, why);
        }
        udp.phase = Phase::Ending;
        udp.why = Some(why);
        let target = Target::Linger(key);
        let linger = self.timers.arm_deadline(self.clock, linger, target);
        if let Some(udp) = self.udp_mut(key) {
            udp.linger = Some(linger);
        }
        self.mark_udp_dirty(key);
        true
    }

    /// Gives back what a socket that is gone has held.
    pub(super) fn release_udp(&mut self, mut udp: Udp) {
        self.udp_sockets -= 1;
        udp.packets.clear(&mut self.pools.packets);
        for timer in [udp.linger, udp.try_again_timer].into_iter().flatten() {
            self.timers.cancel(timer);
        }
    }
}
