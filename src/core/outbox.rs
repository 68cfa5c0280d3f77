//! `Outbox`: where bytes for receivers go. The reactor's queues in the broker, vectors in a test.

use crate::core::backpressure::Progress;
use midge_protocol::Sink;
use midge_reactor::Key;

/// Where bytes for receivers are queued.
pub(crate) trait Outbox {
    /// The end of one receiver's queue, lent for one message.
    type Writer<'a>: Sink
    where
        Self: 'a;

    /// Makes room for the `len` bytes, or a few less, that are then written; `None` if `to` takes
    /// nothing any more, because it is closed or has just been for having too much queued.
    fn writer(&mut self, to: Key, len: usize) -> Option<Self::Writer<'_>>;

    /// Whether `to` takes `len` more bytes and is then no more congested than before: no publisher that
    /// feeds it has to be told anything.
    fn has_room(&self, to: Key, len: usize) -> bool;

    /// Whether any receiver is congested. Asked for each message, so it must be cheap.
    fn any_congested(&self) -> bool;

    /// Whether so much is queued for `to` that its publishers should wait.
    fn is_congested(&self, to: Key) -> bool;

    /// Whether `to`, which is congested, still takes bytes, so that it is worth waiting for.
    fn is_moving(&self, to: Key) -> bool;

    /// How far `to`, which is congested, has come.
    fn progress(&self, to: Key) -> Progress;
}

#[cfg(test)]
pub(crate) mod fake {
    //! An outbox in memory.

    use super::{Outbox, Progress};
    use midge_protocol::Sink;
    use midge_reactor::Key;
    use std::collections::{HashMap, HashSet};

    /// Queues as plain vectors, and what the test wants to be true of them.
    #[derive(Debug, Default)]
    pub(crate) struct FakeOutbox {
        queues: HashMap<Key, Vec<u8>>,
        pub(crate) closed: HashSet<Key>,
        pub(crate) congested: HashSet<Key>,
        pub(crate) stalled: HashSet<Key>,
        /// Who takes messages only one by one.
        pub(crate) nearly_full: HashSet<Key>,
    }

    impl FakeOutbox {
        /// What was queued for `key` since the last look.
        pub(crate) fn take(&mut self, key: Key) -> String {
            let bytes = self.queues.remove(&key).unwrap_or_default();
            String::from_utf8(bytes).expect("tests send text")
        }
    }

    pub(crate) struct FakeWriter<'a>(&'a mut Vec<u8>);

    impl Sink for FakeWriter<'_> {
        fn put(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    impl Outbox for FakeOutbox {
        type Writer<'a> = FakeWriter<'a>;

        fn writer(&mut self, to: Key, _: usize) -> Option<FakeWriter<'_>> {
            let queue = self.queues.entry(to).or_default();
            let takes = to != Key::NONE && !self.closed.contains(&to);
            takes.then_some(FakeWriter(queue))
        }

        fn has_room(&self, to: Key, _: usize) -> bool {
            to != Key::NONE && !self.closed.contains(&to) && !self.nearly_full.contains(&to)
        }

        fn any_congested(&self) -> bool {
            !self.congested.is_empty()
        }

        fn is_congested(&self, to: Key) -> bool {
            self.congested.contains(&to)
        }

        fn is_moving(&self, to: Key) -> bool {
            !self.stalled.contains(&to)
        }

        fn progress(&self, to: Key) -> Progress {
            Progress {
                of: to,
                taken: 0,
                earned: 0,
                rate: 1,
                is_full: true,
            }
        }
    }
}
