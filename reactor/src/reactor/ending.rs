//! The end of a reactor: hooks, then the last call of every handler that is left.

use super::Reactor;
use crate::handler::Close;

impl<S> Reactor<S> {
    /// The loop is over: hooks run, last in first out, and every handler that is left learns of it.
    pub(super) fn end(&mut self) {
        self.tasks.remote.end();
        self.tasks.offloads.clear();
        while let Some(hook) = self.tasks.on_shutdown.pop() {
            self.run_work(hook);
        }
        for key in self.core.keys() {
            self.core.close(key, Close::Shutdown);
        }
        self.close();
        // What those handlers have opened in `on_close` goes without a call.
        for key in self.core.keys() {
            self.forget(key);
        }
    }
}
