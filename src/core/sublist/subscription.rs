//! `Subscription`: one sid of one receiver, with its counters; and `Sid`, the receiver's own name for it.

use super::queues::QueueId;
use super::{ReceiverId, SetId};
use crate::core::small_bytes::SmallBytes;
use std::fmt;

/// One subscription of one receiver, with its counters. A cache line: a delivery touches one.
#[derive(Debug)]
#[repr(align(64))]
pub struct Subscription {
    /// The receiver of the messages.
    pub receiver: ReceiverId,
    /// The receiver's own name for it.
    pub sid: Sid,
    /// Messages delivered since it was made.
    pub delivered: u64,
    /// How many that may become. As good as no limit: the greatest number there is.
    delivered_max: u64,
    /// How many subscriptions had been made by then, this one included.
    pub(super) born: u64,
    pub(super) set: SetId,
    /// Its queue group, or `QueueId::NONE`.
    queue: QueueId,
    /// Where it stands in its set's list, or in its group's; `DETACHED` if in none.
    pub(super) place: u32,
}

const DETACHED: u32 = u32::MAX;

impl Subscription {
    pub(super) fn new(
        receiver: ReceiverId,
        sid: &[u8],
        set: SetId,
        queue: Option<QueueId>,
        place: u32,
        born: u64,
    ) -> Subscription {
        Subscription {
            receiver,
            sid: Sid::new(sid),
            delivered: 0,
            delivered_max: u64::MAX,
            born,
            set,
            queue: queue.unwrap_or(QueueId::NONE),
            place,
        }
    }

    /// Its queue group, if it is in one.
    pub(super) fn queue(&self) -> Option<QueueId> {
        (self.queue != QueueId::NONE).then_some(self.queue)
    }

    /// Whether it stands in no list any more.
    pub fn is_detached(&self) -> bool {
        self.place == DETACHED
    }

    /// It stands in no list from here on; answers where it stood.
    pub(super) fn detach(&mut self) -> Option<u32> {
        let place = std::mem::replace(&mut self.place, DETACHED);
        (place != DETACHED).then_some(place)
    }

    /// Whether it is in a queue group.
    pub fn is_queued(&self) -> bool {
        self.queue != QueueId::NONE
    }

    /// The set that it is in.
    pub fn set(&self) -> SetId {
        self.set
    }

    /// It ends when `max` messages have been delivered, counted from its beginning.
    pub fn end_after(&mut self, max: u64) {
        self.delivered_max = max;
    }

    /// How many may be delivered before it ends, if there is a limit.
    pub fn max(&self) -> Option<u64> {
        (self.delivered_max < u64::MAX).then_some(self.delivered_max)
    }

    /// Counts deliveries: as many as are [left](Subscription::left), or fewer.
    pub fn count(&mut self, messages: u64) {
        debug_assert!(messages <= self.left());
        self.delivered += messages;
    }

    /// How many deliveries there are until its end.
    pub fn left(&self) -> u64 {
        self.delivered_max.saturating_sub(self.delivered)
    }

    /// Whether it has ended and is only waiting to be removed.
    pub fn finished(&self) -> bool {
        self.delivered >= self.delivered_max
    }
}

/// A client's own name for a subscription: opaque bytes, kept with the blank that follows them on
/// the wire.
///
/// Client libraries count, so nearly all are short: up to 15 bytes stand inline, and a copy
/// of them may be one of a block of a fixed size.
#[derive(Clone)]
pub struct Sid(SmallBytes<{ Sid::BLOCK_BYTES }>);

impl Sid {
    /// Bytes of a [`block`](Sid::block).
    pub const BLOCK_BYTES: usize = 16;

    /// Copies `sid`. Allocates if it has more than 15 bytes.
    pub fn new(sid: &[u8]) -> Sid {
        Sid(SmallBytes::new([sid, b" "]))
    }

    /// The name.
    pub fn as_slice(&self) -> &[u8] {
        let spaced = self.spaced();
        &spaced[..spaced.len() - 1]
    }

    /// The name and one blank.
    pub fn spaced(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// [`spaced`](Sid::spaced) and what follows it in its block, which means nothing; `None` if it
    /// is longer than a block.
    pub fn block(&self) -> Option<&[u8; Sid::BLOCK_BYTES]> {
        self.0.inline()
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Slot;
    use super::*;

    #[test]
    fn it_fits_a_cache_line_also_in_a_pool() {
        assert_eq!(size_of::<Slot<Subscription>>(), 64);
    }

    #[test]
    fn a_sid_is_followed_by_one_blank() {
        for sid in [&b""[..], b"1", b"123456789012345", b"1234567890123456"] {
            let kept = Sid::new(sid);
            assert_eq!(kept.as_slice(), sid);
            assert_eq!(kept.spaced(), [sid, b" "].concat());
            assert_eq!(kept.block().is_some(), sid.len() <= 15, "{kept:?}");
            if let Some(block) = kept.block() {
                assert!(block.starts_with(kept.spaced()));
            }
        }
    }
}
