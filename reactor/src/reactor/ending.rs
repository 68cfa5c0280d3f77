//! The end of a reactor: hooks, then the last call of every handler that is left.

use super::Reactor;
use crate::handler::Close;

impl<S> Reactor<S> {
    /// The loop is over: hooks run, last in first out, and every handler that is left learns of it.
    pub(super) fn end(&mut self) {
        self.tasks.remote.end();
        // Taken from there, and left over by the last turn: what waits for one learns that it is gone.
        self.jobs.clear();
        self.tasks.offloads.clear();
        // Left over by the last turn, if it did not know that it was the last.
        for _ in 0..self.tasks.deferred.len() {
            self.run_next_deferred();
        }
        while let Some(hook) = self.tasks.on_shutdown.pop() {
            self.run_work(hook);
        }
        for key in self.core.keys() {
            self.core.close(key, Close::Shutdown);
        }
        // All of them: no turn follows that could go on.
        for _ in 0..self.core.closing.len() {
            self.close_next();
        }
        // What those handlers have opened in `on_close` goes without a call, and so does what was deferred.
        for key in self.core.keys() {
            self.forget(key);
        }
        self.tasks.deferred.clear();
    }
}
