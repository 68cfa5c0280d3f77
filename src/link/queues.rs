//! The reactor's queues, as delivery sees them.

use crate::core::backpressure::{self, Progress};
use crate::core::outbox::Outbox;
use crate::state::State;
use midge_protocol::Sink;
use midge_reactor::{Context, Io, Key, QUEUE_BYTES_MAX, Writer};

/// The reactor's queues, as delivery sees them.
pub(crate) struct Queues<'a, 'b>(pub(crate) &'a mut Io<'b>);

impl Outbox for Queues<'_, '_> {
    type Writer<'a>
        = QueueWriter<'a>
    where
        Self: 'a;

    #[inline(always)]
    fn writer(&mut self, to: Key, len: usize) -> Option<QueueWriter<'_>> {
        self.0.writer(to, len).map(QueueWriter)
    }

    #[inline]
    fn has_room(&self, to: Key, len: usize) -> bool {
        self.0.has_room(to, len)
    }

    #[inline]
    fn any_congested(&self) -> bool {
        self.0.any_congested()
    }

    fn is_congested(&self, to: Key) -> bool {
        backpressure::is_congested(to, self.0)
    }

    fn progress(&self, to: Key) -> Progress {
        Progress::of(to, self.0)
    }

    fn is_moving(&self, to: Key) -> bool {
        backpressure::is_moving(to, self.0)
    }
}

pub(crate) struct QueueWriter<'a>(Writer<'a>);

impl Sink for QueueWriter<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    #[inline]
    fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        self.0.put_block(block, len);
    }

    #[inline]
    fn room(&mut self) -> &mut [u8] {
        self.0.room()
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.0.advance(bytes);
    }
}

/// Bounds what may wait for the present connection, and for how long.
pub(crate) fn bound(cx: &mut Context<'_, State>) {
    let (key, config) = (cx.key(), &cx.state.config);
    let pending = config.pending_bytes_max.min(QUEUE_BYTES_MAX);
    let (low, high) = match config.stall_producers {
        true => backpressure::marks(pending),
        // No client is ever so far behind: past this the connection is closed.
        false => (pending, pending),
    };
    cx.io.watermarks(key, low, high, pending);
    // The parser bounds each op, by settings that may change while one is under way.
    cx.io.input_max(key, usize::MAX);
    cx.io.write_timeout(key, Some(config.write_deadline));
}
