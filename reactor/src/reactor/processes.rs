//! Connections to processes: their end waits for the process's.

use super::Reactor;
use crate::{Close, Key};

impl<S> Reactor<S> {
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
}
