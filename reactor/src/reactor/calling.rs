//! What happens between one callback and the next: calls of other handlers, and urgent writes.

use super::Reactor;

/// Most calls run at one go; two handlers that call each other for ever must not stop the loop.
const CALLS_MAX: usize = 64;

impl<S> Reactor<S> {
    /// A callback has returned, and the loop holds nothing of its connection: carries out what
    /// could not wait for the end of the turn. Calls over the bound wait for the next callback, in
    /// their order, and the next turn does not wait for it. Looks at the clock if there was anything.
    pub(super) fn after_callback(&mut self) {
        if self.tasks.calls.is_empty() && self.core.urgent.is_empty() {
            return;
        }
        for _ in 0..CALLS_MAX {
            self.flush_urgent();
            let Some((key, work)) = self.tasks.calls.pop_front() else {
                break;
            };
            if self.core.is_open(key) {
                self.call(key, "call", work);
            }
        }
        self.flush_urgent();
        self.read_clock();
    }

    /// Writes what was asked to be written now. What `on_drain` asks for while that goes on waits
    /// for the next callback.
    fn flush_urgent(&mut self) {
        for _ in 0..self.core.urgent.len() {
            let Some(key) = self.core.urgent.pop_front() else {
                break;
            };
            if let Some(conn) = self.core.conn_mut(key) {
                conn.urgent = false;
                self.flush_one(key);
                self.core.count_queue(key);
            }
        }
    }
}
