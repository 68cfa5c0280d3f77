//! Writing before the end of the turn.

use super::Io;
use crate::Key;

impl Io<'_> {
    /// Has what is queued for the connection written as soon as the present callback has returned,
    /// and not only at the end of the turn: for the rare answer that must not wait until all others
    /// have had their slice of input.
    ///
    /// Costs a system call that would have carried the rest of the turn's output as well; what is
    /// queued later leaves at the end of the turn as always. `false` if the connection has gone or
    /// is still connecting.
    pub fn flush_now(&mut self, key: Key) -> bool {
        let Some(conn) = self.core.conn_mut(key).filter(|conn| conn.is_written()) else {
            return false;
        };
        if !std::mem::replace(&mut conn.urgent, true) {
            self.core.urgent.push_back(key);
        }
        true
    }
}
