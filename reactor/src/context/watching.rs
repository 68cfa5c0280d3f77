//! Watching descriptors that the reactor neither reads nor writes.

use super::{Context, Slot};
use crate::{Io, Key, Readiness, Watch};
use std::io;
use std::os::fd::AsFd;

impl<S> Context<'_, S> {
    /// Calls `handler` when `fd` becomes ready for what `interest` names; you do the reading and
    /// writing. The key is for [`Io::watch_for`] and [`Io::close`].
    ///
    /// The reactor watches a duplicate of the descriptor, which it owns and closes. So yours stays
    /// yours, may live wherever you like, beside the handler or in [`state`](Context::state), and
    /// can be closed at any time without the reactor ever looking at a number that means something
    /// else by then. The price is one more open file, and that a socket or pipe is truly closed only
    /// when the watch is closed as well.
    ///
    /// # Errors
    /// Those of the system: too many open files; a descriptor that cannot be watched, such as a
    /// file's. `Unsupported` where the driver has no descriptors, as in a simulation.
    #[doc(alias = "EM.watch")]
    pub fn watch(
        &mut self,
        fd: impl AsFd,
        interest: Readiness,
        handler: impl Watch<S> + 'static,
    ) -> io::Result<Key> {
        let key = self.io.core.reserve();
        if let Err(error) = self.io.driver.watch(key, fd.as_fd()) {
            self.io.core.release(key);
            return Err(error);
        }
        self.io.core.set_watching(key, interest);
        self.tasks.new.push((key, Slot::Watch(Box::new(handler))));
        Ok(key)
    }
}

impl Io<'_> {
    /// Changes what a watch is told of. What has happened before the change is told if it is
    /// wanted now. `false` if `key` is no watch.
    ///
    /// Cost: no system call; the kernel is always asked for both.
    #[doc(alias = "notify_readable=")]
    #[doc(alias = "notify_writable=")]
    pub fn watch_for(&mut self, key: Key, wanted: Readiness) -> bool {
        self.core.watch_for(key, wanted)
    }

    /// Watched descriptors of this reactor.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.core.watches
    }
}
