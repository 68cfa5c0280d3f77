//! What can be asked of the reactor as a whole.

use super::Io;
use crate::{Counts, Key, Memory, Stats};

impl Io<'_> {
    /// What the reactor has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats
    }

    /// What is open, by kind.
    #[doc(alias = "connection_count")]
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.counts()
    }

    /// Memory that the reactor holds. Costs no more than reading some numbers.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.core.memory()
    }

    /// Bytes that were read from a connection and that its handler has left unread.
    #[must_use]
    pub fn unread(&self, key: Key) -> usize {
        self.core.conn(key).map_or(0, |conn| conn.carry.len())
    }

    /// The most bytes that were left in the queue when the kernel took no more, over the life of the
    /// connection: how far behind the peer ever was. Looked at once in a turn, after writing.
    #[must_use]
    pub fn queued_peak(&self, key: Key) -> usize {
        self.core.conn(key).map_or(0, |conn| conn.queued_peak)
    }

    /// Timers that are armed, those that the reactor has armed for itself among them.
    #[doc(alias = "get_timer_count")]
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.core.timers.len()
    }

    /// Whether the reactor has been stopped: this turn is its last.
    #[doc(alias = "stopping?")]
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.core.stopping
    }

    /// Whether [`shutdown`](Io::shutdown) was called and the reactor is to stop when the last
    /// connection has gone, or has stopped already.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.core.shutting_down || self.core.stopping
    }
}
