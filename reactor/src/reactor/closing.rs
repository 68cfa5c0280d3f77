//! Ends: of connections at the end of a turn, which may wait for their processes, and of the reactor.

use super::Reactor;
use crate::Key;
use crate::handler::Close;

impl<S> Reactor<S> {
    /// Closes what is to be closed, as far as the time for it goes.
    pub(super) fn close(&mut self) {
        let count = self.core.closing.len();
        if count > 0 {
            // The flush may have taken its time.
            self.read_clock();
            self.begin_step(self.core.times.step);
        }
        for closed in 0..count {
            if closed > 0 && self.step_is_over() {
                break;
            }
            self.close_next();
        }
        if self.core.shutting_down && self.core.is_drained() {
            self.core.stopping = true;
        }
    }

    /// Closes the first of those that are to be closed, and tells its handler.
    fn close_next(&mut self) {
        let Some(key) = self.core.closing.pop_front() else {
            return;
        };
        if self.awaits_exit(key) {
            return;
        }
        self.panics.closing = key;
        let why = match self.core.conn_mut(key) {
            Some(conn) => conn.why.take(),
            None => self
                .core
                .watching_mut(key)
                .and_then(|watching| watching.why.take()),
        };
        let why = why.unwrap_or(Close::Local);
        self.call(key, "on_close", |handler, cx| handler.on_close(cx, &why));
        self.call_watch(key, "on_close", |watch, cx| watch.on_close(cx, &why));
        self.close_udp(key);
        self.tell_feeder(key);
        self.panics.closing = Key::NONE;
        self.forget(key);
        if let Some(after) = self.tasks.after_close.remove(&key) {
            self.run_work(|cx| after(cx, why));
        }
        self.after_callback();
    }

    pub(super) fn forget(&mut self, key: Key) {
        if !self.core.is_of(key) {
            return;
        }
        self.driver.close(key);
        self.core.stats.closed += u64::from(self.core.conn(key).is_some());
        self.core.release(key);
        if let Some(handler) = self.slots.get_mut(key.index()).and_then(Option::take) {
            self.drop_handler(key, handler);
        }
    }

    /// Whether a connection that is to close has to wait for its process: all output has come, and
    /// the exit status has not. Its pipes are of no more use, and close now.
    pub(super) fn awaits_exit(&mut self, key: Key) -> bool {
        let stopping = self.core.stopping;
        let Some(conn) = self.core.conn_mut(key) else {
            return false;
        };
        let by_itself = conn.eof && matches!(conn.why, Some(Close::Peer));
        let running = conn.child.as_mut().filter(|child| child.running);
        let Some(child) = running.filter(|_| by_itself && !stopping) else {
            return false;
        };
        child.awaited = true;
        self.driver.close(key);
        true
    }

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
