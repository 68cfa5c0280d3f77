//! `Pools`: where the buffers of connections come from.

use crate::block::Block;
use crate::outbound::Pool;

/// Unread input up to this many bytes has a pool of its own.
const CARRY_BUFFER_BYTES_MAX: usize = 4 * 1024;

/// Where connections' buffers come from.
#[derive(Debug)]
pub(crate) struct Pools {
    /// For queues, and for long unread input.
    pub(crate) outbound: Pool,
    pub(crate) packets: Pool,
    carry: Pool,
}

impl Pools {
    /// Bytes of all buffers that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.outbound.bytes() + self.packets.bytes() + self.carry.bytes()
    }

    /// A block for that much unread input. It may be shorter.
    pub(crate) fn take_unread(&mut self, len: usize) -> Block {
        if len <= CARRY_BUFFER_BYTES_MAX {
            self.carry.take()
        } else {
            self.outbound.take()
        }
    }

    /// Gives such a block back.
    pub(crate) fn give_unread(&mut self, block: Block) {
        if block.len() <= CARRY_BUFFER_BYTES_MAX {
            self.carry.give(block);
        } else {
            self.outbound.give(block);
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Pools {
            outbound: Pool::default(),
            packets: Pool::default(),
            // The beginning of a message may wait for its end for as long as the peer likes.
            carry: Pool::of_blocks_up_to(CARRY_BUFFER_BYTES_MAX),
        }
    }
}
